-- Stores a slice of deliveries in one round trip, if each of them is plain: a new event of a stage with
-- a rank, or a duplicate by its fingerprint of a confirmed event. Otherwise it stores nothing, and the
-- caller applies the rules of the contract itself.
--
-- Each statement of a VOLATILE function has a snapshot of its own, so that what is read after the tasks
-- were locked is what those who held them have committed. That needs READ COMMITTED.
--
-- `expected` is the time that the caller's own clock says; `keys` and `ids` are the distinct tasks in the
-- order of their keys. The other arrays have one element for each delivery, in the order of the slice. No
-- two of them name one submit.
--
-- Returns the store's time, and the outcome of each delivery: 0 new, 1 late, 2 duplicate. The outcomes
-- are null if a delivery is not plain, or if the time is not what was expected.
CREATE FUNCTION {schema}.accept_v1(
    expected bigint, keys bytea[], ids text[], task_keys bytea[], stage text[], strict bytea[],
    semantic bytea[], code bigint[], results integer[], source smallint[], verified_by smallint[],
    unconfirmed boolean[], received_at bigint[], product text[], suffix text[], task_id text[],
    submit bytea[], raw bytea[],
    OUT now bigint, OUT outcomes smallint[]
) LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog SET enable_seqscan = off SET enable_hashjoin = off
SET enable_mergejoin = off SET plan_cache_mode = force_generic_plan SET jit = off SET lock_timeout = '3s' AS $$
#variable_conflict use_column
DECLARE
    inserted bigint;
    tasks bigint[];
    numbers bigint[];
    places bigint[];
    late bigint;
    is_plain boolean := true;
BEGIN
    now := {schema}.clock();
    IF abs(now - accept_v1.expected) > 2000000
        OR current_setting('transaction_isolation') <> 'read committed'
        OR current_setting('transaction_read_only') <> 'off' THEN
        RETURN;
    END IF;
    INSERT INTO {schema}.task AS t (key, id)
        SELECT d.key, d.id FROM unnest(accept_v1.keys, accept_v1.ids) AS d (key, id) ORDER BY d.key
        ON CONFLICT (key) DO UPDATE SET id = t.id WHERE false;
    GET DIAGNOSTICS inserted = ROW_COUNT;
    -- A wait for a lock may have taken long.
    now := {schema}.clock();
    SELECT array_agg(t.no ORDER BY d.place) INTO tasks
        FROM unnest(accept_v1.task_keys) WITH ORDINALITY AS d (key, place)
            JOIN {schema}.task t ON t.key = d.key;
    IF inserted = cardinality(accept_v1.keys) THEN
        outcomes := array_fill(0::smallint, ARRAY[cardinality(tasks)]);
        places := array_fill(now, ARRAY[cardinality(tasks)]);
    ELSE
        SELECT array_agg((CASE WHEN s.is_known THEN 2 WHEN s.is_late THEN 1 ELSE 0 END)::smallint
                ORDER BY d.place),
            -- An event has no place in the queue while another one of its task is claimed.
            array_agg(CASE WHEN s.is_held THEN NULL ELSE accept_v1.now END ORDER BY d.place),
            bool_and(s.is_plain)
        INTO outcomes, places, is_plain
        FROM unnest(tasks, accept_v1.stage, accept_v1.strict, accept_v1.semantic) WITH ORDINALITY
                AS d (task_no, stage, strict, semantic, place),
            LATERAL (
                SELECT coalesce(bool_or(e.stage = d.stage
                        AND (e.strict = d.strict OR e.semantic = d.semantic)), false) AS is_known,
                    -- A later stage, or the other terminal one.
                    coalesce(bool_or((NOT e.unconfirmed OR (p.state = 3 AND e.revision = 0))
                        AND e.stage <> d.stage
                        AND CASE e.stage WHEN 'text' THEN 1 WHEN 'first' THEN 2
                                WHEN 'complete' THEN 3 WHEN 'failed' THEN 3 END
                            >= CASE d.stage WHEN 'text' THEN 1 WHEN 'first' THEN 2 ELSE 3 END),
                        false) AS is_late,
                    coalesce(bool_or(w.state = 1), false) AS is_held,
                    -- The stage is new, or the delivery is a duplicate of a confirmed event; and no
                    -- handler's transaction has settled an event of the task.
                    coalesce(bool_and(m.event_no IS NULL), true)
                        AND NOT coalesce(bool_or(e.stage = d.stage AND e.unconfirmed), false)
                        AND (NOT coalesce(bool_or(e.stage = d.stage), false)
                            OR coalesce(bool_or(e.stage = d.stage
                                AND (e.strict = d.strict OR e.semantic = d.semantic)), false))
                        AS is_plain
                FROM {schema}.event e
                    LEFT JOIN {schema}.work w ON w.event_no = e.no
                    LEFT JOIN {schema}.past p ON p.event_no = e.no
                    LEFT JOIN {schema}.settled_in m ON m.event_no = e.no
                WHERE e.task_no = d.task_no
            ) s;
        IF NOT is_plain THEN
            outcomes := NULL;
            RETURN;
        END IF;
    END IF;
    IF array_length(array_remove(accept_v1.submit, NULL), 1) > 0 THEN
        PERFORM FROM {schema}.intent i WHERE i.submit = ANY (accept_v1.submit)
            ORDER BY i.submit FOR UPDATE;
        WITH closed AS (
            UPDATE {schema}.intent i SET task_id = d.task_id
                FROM unnest(accept_v1.task_id, accept_v1.submit) AS d (task_id, submit)
                WHERE i.submit = d.submit AND i.task_id IS NULL
                RETURNING i.task_id, i.stored_at, i.due_after, i.submit, i.kind
        )
        INSERT INTO {schema}.expected (task_id, due, expected_since, submit, kind)
            SELECT c.task_id, c.stored_at + c.due_after, c.stored_at, c.submit, c.kind FROM closed c
            ORDER BY c.task_id
            ON CONFLICT (task_id) DO NOTHING;
    END IF;
    SELECT array_agg(CASE WHEN o.outcome < 2 THEN nextval('{schema}.numbers') END ORDER BY o.place),
            count(*) FILTER (WHERE o.outcome = 1)
        INTO numbers, late
        FROM (SELECT * FROM unnest(outcomes) WITH ORDINALITY AS o (outcome, place)
            ORDER BY o.place) o;
    INSERT INTO {schema}.event (no, task_no, stored_at, received_at, code, results, revision, source,
            verified_by, unconfirmed, strict, semantic, stage, product, suffix, submit, reference, kind)
        SELECT d.no, d.task_no, accept_v1.now, d.received_at, d.code, d.results, 0, d.source,
            d.verified_by, d.unconfirmed, d.strict, d.semantic, d.stage, d.product, d.suffix, d.submit,
            i.reference, i.kind
        FROM unnest(numbers, tasks, accept_v1.received_at, accept_v1.code, accept_v1.results,
                accept_v1.source, accept_v1.verified_by, accept_v1.unconfirmed, accept_v1.strict,
                accept_v1.semantic, accept_v1.stage, accept_v1.product, accept_v1.suffix,
                accept_v1.task_id, accept_v1.submit)
            AS d (no, task_no, received_at, code, results, source, verified_by, unconfirmed, strict,
                semantic, stage, product, suffix, task_id, submit)
            -- What is known of the submit, unless it made another task.
            LEFT JOIN {schema}.intent i ON i.submit = d.submit AND i.task_id = d.task_id
        WHERE d.no IS NOT NULL;
    INSERT INTO {schema}.body (event_no, raw)
        SELECT d.no, d.raw FROM unnest(numbers, accept_v1.raw) AS d (no, raw)
        WHERE d.no IS NOT NULL;
    INSERT INTO {schema}.work (event_no, task_no, at, due, open_since, worker, epoch, attempts, lapses,
            nudges, state)
        SELECT d.no, d.task_no, d.at, accept_v1.now, accept_v1.now, 0, 0, 0, 0, 0, 0
        FROM unnest(numbers, tasks, places, outcomes) AS d (no, task_no, at, outcome)
        WHERE d.outcome = 0;
    IF late > 0 THEN
        INSERT INTO {schema}.past (event_no, stored_at, open_since, worker, epoch, attempts, lapses,
                nudges, state)
            SELECT d.no, accept_v1.now, accept_v1.now, 0, 0, 0, 0, 0, 5
            FROM unnest(numbers, outcomes) AS d (no, outcome) WHERE d.outcome = 1;
        INSERT INTO {schema}.tally (done, superseded, dropped) VALUES (0, late, 0);
    END IF;
END $$;
