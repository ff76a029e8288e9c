
-- Settles and claims in one round trip, if each event concerned is the only open one of its task: then no
-- event affects another one. Otherwise it changes nothing, and the caller applies the rules of the
-- contract itself.
--
-- The first arrays are the settlements, one element for each: `kind` is the state after it (2 waiting,
-- 3 done, 4 dead), `wait` how long it waits. `first` is a place in the queue before which nothing is ready.
-- What transactions of handlers have settled is done first.
--
-- The last row returned has the store's time, whether everything was plain, the results of the settlements
-- (1 settled, 2 already settled), whether more events are ready, and when the next one will be. The others
-- are the claims.
CREATE FUNCTION {schema}.claim_v1(
    expected bigint, events bigint[], epochs bigint[], workers bigint[], kind smallint[], wait bigint[],
    cause text[], reason text[], claimer bigint, number bigint, lease bigint, most bigint, first bigint
) RETURNS TABLE (
    now bigint, is_plain boolean, settled smallint[], more boolean, next bigint, event_no bigint, epoch bigint,
    attempts bigint, lapses bigint, open_since bigint, task_id text, stage text,
    revision smallint, source smallint, verified_by smallint, unconfirmed boolean, received_at bigint,
    suffix text, submit bytea, reference text, task_kind text, raw bytea
) LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog SET enable_seqscan = off SET enable_hashjoin = off
SET enable_mergejoin = off SET plan_cache_mode = force_generic_plan SET jit = off SET lock_timeout = '3s' AS $$
#variable_conflict use_column
DECLARE
    moment bigint := {schema}.clock();
    tickets integer := cardinality(claim_v1.events);
    done bigint := 0;
    marked_tasks bigint[] := '{}';
    marked bigint[] := '{}';
    picked bigint[] := '{}';
    free bigint[] := '{}';
    plain boolean := true;
    is_full boolean := false;
    following bigint;
BEGIN
    IF abs(moment - claim_v1.expected) > 2000000
        OR current_setting('transaction_isolation') <> 'read committed'
        OR current_setting('transaction_read_only') <> 'off' THEN
        now := moment;
        is_plain := false;
        more := false;
        RETURN NEXT;
        RETURN;
    END IF;
    IF tickets > 0 THEN
        PERFORM t.no FROM {schema}.task t
            WHERE t.no = ANY (ARRAY(SELECT w.task_no FROM {schema}.work w
                WHERE w.event_no = ANY (claim_v1.events)))
            ORDER BY t.key FOR NO KEY UPDATE;
    END IF;
    IF EXISTS (SELECT FROM {schema}.settled_in) THEN
        SELECT coalesce(array_agg(l.no), '{}') INTO marked_tasks FROM (
            SELECT t.no FROM {schema}.task t
                WHERE t.no = ANY (ARRAY(SELECT w.task_no FROM {schema}.settled_in m
                    JOIN {schema}.work w ON w.event_no = m.event_no LIMIT 256))
                ORDER BY t.key FOR NO KEY UPDATE SKIP LOCKED
        ) l;
        SELECT coalesce(array_agg(l.event_no), '{}'), coalesce(bool_and(l.is_plain), true)
        INTO marked, plain FROM (
            SELECT w.event_no, NOT EXISTS (SELECT FROM {schema}.event o
                        JOIN {schema}.work ow ON ow.event_no = o.no
                    WHERE o.task_no = w.task_no AND o.no <> w.event_no) AS is_plain
                FROM {schema}.settled_in m JOIN {schema}.work w ON w.event_no = m.event_no
                WHERE w.epoch = m.epoch AND w.worker = m.worker AND w.state = 1
                    AND w.task_no = ANY (marked_tasks)
                ORDER BY w.event_no FOR UPDATE OF w SKIP LOCKED
        ) l;
    END IF;
    IF plain AND tickets > 0 THEN
        SELECT count(*) = tickets INTO plain FROM (
            SELECT w.event_no
                FROM unnest(claim_v1.events, claim_v1.epochs, claim_v1.workers)
                        AS d (event_no, epoch, worker)
                    JOIN {schema}.work w ON w.event_no = d.event_no
                WHERE w.epoch = d.epoch AND w.worker = d.worker AND w.state = 1
                    AND (w.event_no = ANY (marked) OR NOT EXISTS (SELECT FROM {schema}.settled_in m
                        WHERE m.event_no = w.event_no))
                    AND NOT EXISTS (SELECT FROM {schema}.event o
                            JOIN {schema}.work ow ON ow.event_no = o.no
                        WHERE o.task_no = w.task_no AND o.no <> w.event_no)
                ORDER BY w.event_no FOR UPDATE OF w SKIP LOCKED
        ) held;
    END IF;
    -- A wait for a lock may have taken long.
    moment := {schema}.clock();
    IF plain AND claim_v1.most > 0 THEN
        SELECT coalesce(array_agg(p.event_no ORDER BY p.at, p.event_no), '{}') INTO picked FROM (
            SELECT w.event_no, w.at
                FROM {schema}.work w JOIN {schema}.task t ON t.no = w.task_no
                WHERE w.at <= moment AND w.at >= claim_v1.first
                    AND w.event_no <> ALL (claim_v1.events) AND w.event_no <> ALL (marked)
                ORDER BY w.at, w.event_no LIMIT claim_v1.most
                FOR NO KEY UPDATE OF t SKIP LOCKED
        ) p;
        is_full := cardinality(picked) >= claim_v1.most;
        -- What another transaction has claimed before its task was locked is not ready any more, and
        -- what a handler's transaction holds cannot be claimed.
        SELECT coalesce(array_agg(p.event_no ORDER BY p.at, p.event_no), '{}'),
            coalesce(bool_and(p.is_plain), true)
        INTO free, plain FROM (
            SELECT w.event_no, w.at,
                w.lapses + (w.state = 1)::integer < 2
                    AND EXISTS (SELECT FROM {schema}.body b WHERE b.event_no = w.event_no)
                    AND NOT EXISTS (SELECT FROM {schema}.settled_in m
                        WHERE m.event_no = w.event_no)
                    AND NOT EXISTS (SELECT FROM {schema}.event o
                            JOIN {schema}.work ow ON ow.event_no = o.no
                        WHERE o.task_no = w.task_no AND o.no <> w.event_no) AS is_plain
                FROM {schema}.work w WHERE w.event_no = ANY (picked) AND w.at <= moment
                ORDER BY w.event_no FOR UPDATE OF w SKIP LOCKED
        ) p;
    END IF;
    IF NOT plain THEN
        now := moment;
        is_plain := false;
        more := false;
        RETURN NEXT;
        RETURN;
    END IF;
    IF tickets > 0 OR cardinality(marked) > 0 THEN
        UPDATE {schema}.work w SET state = 2, due = moment + d.wait, at = moment + d.wait, lapses = 0,
                reason = d.reason
            FROM unnest(claim_v1.events, claim_v1.kind, claim_v1.wait, claim_v1.reason)
                AS d (event_no, kind, wait, reason)
            WHERE w.event_no = d.event_no AND d.kind = 2 AND d.event_no <> ALL (marked);
        WITH settled AS (
            DELETE FROM {schema}.work w
                USING (
                    SELECT d.event_no, d.kind, d.cause, d.reason
                        FROM unnest(claim_v1.events, claim_v1.kind, claim_v1.cause, claim_v1.reason)
                            AS d (event_no, kind, cause, reason)
                        WHERE d.kind <> 2 AND d.event_no <> ALL (marked)
                    UNION ALL SELECT m.event_no, 3, NULL, NULL FROM unnest(marked) AS m (event_no)
                ) d
                WHERE w.event_no = d.event_no
                RETURNING w.event_no, w.open_since, w.worker, w.epoch, w.attempts, w.nudges, d.kind,
                    d.cause, coalesce(d.reason, w.reason) AS reason
        )
        INSERT INTO {schema}.past (event_no, stored_at, open_since, worker, epoch, attempts, lapses,
                nudges, state, cause, reason)
            SELECT s.event_no, e.stored_at, s.open_since, s.worker, s.epoch, s.attempts, 0, s.nudges,
                s.kind, s.cause, s.reason
            FROM settled s JOIN {schema}.event e ON e.no = s.event_no;
        DELETE FROM {schema}.settled_in WHERE event_no = ANY (marked);
        SELECT count(*) + cardinality(marked) INTO done
            FROM unnest(claim_v1.events, claim_v1.kind) AS d (event_no, kind)
            WHERE d.kind = 3 AND d.event_no <> ALL (marked);
        IF done > 0 THEN
            INSERT INTO {schema}.tally (done, superseded, dropped) VALUES (done, 0, 0);
        END IF;
    END IF;
    IF cardinality(free) > 0 THEN
        RETURN QUERY
            WITH granted AS (
                UPDATE {schema}.work w SET state = 1, due = moment + claim_v1.lease,
                        at = moment + claim_v1.lease, epoch = w.epoch + 1, attempts = w.attempts + 1,
                        lapses = w.lapses + (w.state = 1)::integer, worker = claim_v1.claimer,
                        request = claim_v1.number
                    FROM unnest(free) WITH ORDINALITY AS f (event_no, place)
                    WHERE w.event_no = f.event_no
                    RETURNING w.event_no, f.place, w.epoch, w.attempts, w.lapses, w.open_since
            )
            SELECT moment, true, NULL::smallint[], false, NULL::bigint, g.event_no, g.epoch, g.attempts, g.lapses,
                g.open_since, t.id, e.stage, e.revision, e.source, e.verified_by,
                e.unconfirmed, e.received_at, e.suffix, e.submit, e.reference, e.kind, b.raw
            FROM granted g JOIN {schema}.event e ON e.no = g.event_no
                JOIN {schema}.task t ON t.no = e.task_no
                JOIN {schema}.body b ON b.event_no = g.event_no
            ORDER BY g.place;
    END IF;
    SELECT w.at INTO following FROM {schema}.work w WHERE w.at >= claim_v1.first
        ORDER BY w.at LIMIT 1;
    now := moment;
    is_plain := true;
    more := coalesce(following <= moment AND (is_full OR claim_v1.most = 0), false);
    IF following <= moment AND NOT more THEN
        -- Others hold it: look at what is next besides, and soon at this one.
        SELECT w.at INTO following FROM {schema}.work w WHERE w.at > moment ORDER BY w.at LIMIT 1;
        following := least(following, moment + 1000000);
    END IF;
    next := following;
    settled := ARRAY(SELECT (CASE WHEN d.event_no = ANY (marked) THEN 2 ELSE 1 END)::smallint
        FROM unnest(claim_v1.events) WITH ORDINALITY AS d (event_no, place) ORDER BY d.place);
    RETURN NEXT;
END $$;
