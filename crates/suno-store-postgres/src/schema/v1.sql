-- Rows of `work`, `settled_in`, `tally` and `expected` live shortly: they are vacuumed by the number of dead
-- rows, without pauses, and without giving the end of the table back, which takes an exclusive lock.

-- One row: the version of the schema, and the clock that all processes share.
CREATE TABLE {schema}.meta (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    -- The version of the schema, and the oldest version whose programs can use it.
    version integer NOT NULL,
    oldest_reader integer NOT NULL,
    -- What is added to the server's clock, and the latest time that a process has seen.
    clock_offset bigint NOT NULL DEFAULT 0,
    seen bigint NOT NULL DEFAULT 0
);

-- How far a purge has come, and rows that processes lock to take turns.
CREATE TABLE {schema}.mark (
    name text PRIMARY KEY,
    through bigint NOT NULL DEFAULT 0
);
INSERT INTO {schema}.mark (name) VALUES ('keys'), ('bodies'), ('quarantine'), ('purge');

-- The server's time in microseconds since 1970. Only `clock` calls it.
CREATE FUNCTION {schema}.wall() RETURNS bigint LANGUAGE sql VOLATILE AS
    $$ SELECT (extract(epoch FROM pg_catalog.clock_timestamp()) * 1000000)::bigint $$;

-- The store's time in microseconds.
CREATE FUNCTION {schema}.clock() RETURNS bigint LANGUAGE sql VOLATILE AS
    $$ SELECT {schema}.wall() + m.clock_offset FROM {schema}.meta m $$;

-- The numbers of events and of entries of the quarantine. They increase in the order of arrival, so
-- the sequence must not be cached by sessions.
CREATE SEQUENCE {schema}.numbers AS bigint;

-- The tasks. A row is locked by whoever changes something about the events of the task.
CREATE TABLE {schema}.task (
    no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- The first 16 bytes of the SHA-256 of the id.
    key bytea NOT NULL UNIQUE,
    id text NOT NULL
) WITH (autovacuum_vacuum_insert_scale_factor = 0.05);

-- What an event says. Written once; only a confirmation changes it.
CREATE TABLE {schema}.event (
    no bigint PRIMARY KEY,
    task_no bigint NOT NULL,
    stored_at bigint NOT NULL,
    received_at bigint NOT NULL,
    code bigint NOT NULL,
    results integer NOT NULL,
    revision smallint NOT NULL,
    source smallint NOT NULL,
    verified_by smallint NOT NULL,
    unconfirmed boolean NOT NULL,
    strict bytea NOT NULL,
    semantic bytea NOT NULL,
    stage text NOT NULL,
    -- Null for a song.
    product text,
    suffix text,
    submit bytea,
    reference text,
    kind text
);
CREATE INDEX event_task ON {schema}.event (task_no);

-- The body of an event, until it is purged.
CREATE TABLE {schema}.body (
    event_no bigint PRIMARY KEY,
    raw bytea NOT NULL
);

-- Deliveries with different content, at most 16 for an event.
CREATE TABLE {schema}.conflict (
    event_no bigint NOT NULL,
    strict bytea NOT NULL,
    semantic bytea NOT NULL,
    raw bytea,
    PRIMARY KEY (event_no, strict)
);

-- The state of each event that is not settled, and the queue.
CREATE TABLE {schema}.work (
    event_no bigint PRIMARY KEY,
    task_no bigint NOT NULL,
    -- The place in the queue. Null while another event of the task is claimed.
    at bigint,
    -- When it became ready (state 0), the end of the lease (1), the end of a wait (2).
    due bigint NOT NULL,
    open_since bigint NOT NULL,
    worker bigint NOT NULL,
    -- The number of the request that was granted the latest claim.
    request bigint,
    epoch bigint NOT NULL,
    attempts bigint NOT NULL,
    lapses bigint NOT NULL,
    nudges integer NOT NULL,
    state smallint NOT NULL,
    reason text
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0, vacuum_truncate = off);
CREATE INDEX work_at ON {schema}.work (at, event_no);

-- The state of each event that is settled: 3 done, 4 dead, 5 superseded.
CREATE TABLE {schema}.past (
    event_no bigint PRIMARY KEY,
    stored_at bigint NOT NULL,
    open_since bigint NOT NULL,
    worker bigint NOT NULL,
    epoch bigint NOT NULL,
    attempts bigint NOT NULL,
    lapses bigint NOT NULL,
    nudges integer NOT NULL,
    state smallint NOT NULL,
    cause text,
    reason text
);
CREATE INDEX past_dead ON {schema}.past (event_no) WHERE state = 4;

-- Events that a user's transaction has settled, until the store has taken notice of it.
CREATE TABLE {schema}.settled_in (
    event_no bigint PRIMARY KEY,
    epoch bigint NOT NULL,
    worker bigint NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0, vacuum_truncate = off);

-- How many events became done or superseded, and how many deliveries were dropped. Summed up, so that
-- no transaction waits for another one to count.
CREATE TABLE {schema}.tally (
    done bigint NOT NULL,
    superseded bigint NOT NULL,
    dropped bigint NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0, vacuum_truncate = off);

CREATE TABLE {schema}.quarantine (
    no bigint PRIMARY KEY,
    strict bytea NOT NULL UNIQUE,
    stored_at bigint NOT NULL,
    received_at bigint NOT NULL,
    source smallint NOT NULL,
    verified_by smallint NOT NULL,
    task_id text,
    submit bytea,
    suffix text,
    reason text NOT NULL,
    raw bytea NOT NULL
);

-- Submits that were about to be sent. Open while `task_id` is null.
CREATE TABLE {schema}.intent (
    no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    submit bytea NOT NULL UNIQUE,
    stored_at bigint NOT NULL,
    intended_at bigint NOT NULL,
    due_after bigint NOT NULL,
    reference text,
    kind text NOT NULL,
    task_id text
);
CREATE INDEX intent_open ON {schema}.intent (no) WHERE task_id IS NULL;

-- Tasks whose callbacks are expected.
CREATE TABLE {schema}.expected (
    no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    task_id text NOT NULL UNIQUE,
    due bigint NOT NULL,
    expected_since bigint NOT NULL,
    epoch bigint NOT NULL DEFAULT 0,
    answers bigint NOT NULL DEFAULT 0,
    submit bytea,
    kind text NOT NULL
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0, vacuum_truncate = off);
CREATE INDEX expected_due ON {schema}.expected (due, no);

-- The epochs of tickets for expected tasks, so that a ticket becomes void when its task is forgotten.
CREATE SEQUENCE {schema}.epochs AS bigint;

-- Settles the event of a claim in the transaction of a handler: 'settled', 'already_settled' or 'lost'.
-- It locks the row of the claim in a mode in which the lease can be extended and nobody can claim the
-- event, and inserts; what `accept` reads is not changed, so that no delivery waits for the handler.
CREATE FUNCTION {schema}.settle_in_v1(event_no bigint, epoch bigint, worker bigint) RETURNS text
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog AS $$
#variable_conflict use_column
BEGIN
    PERFORM FROM {schema}.work w
        WHERE w.event_no = settle_in_v1.event_no AND w.epoch = settle_in_v1.epoch
            AND w.worker = settle_in_v1.worker AND w.state = 1
        FOR KEY SHARE;
    IF FOUND THEN
        INSERT INTO {schema}.settled_in (event_no, epoch, worker)
            VALUES (settle_in_v1.event_no, settle_in_v1.epoch, settle_in_v1.worker)
            ON CONFLICT (event_no) DO NOTHING;
        IF FOUND THEN
            RETURN 'settled';
        END IF;
        RETURN 'already_settled';
    END IF;
    PERFORM FROM {schema}.past p
        WHERE p.event_no = settle_in_v1.event_no AND p.epoch = settle_in_v1.epoch
            AND p.worker = settle_in_v1.worker AND p.epoch > 0;
    IF FOUND THEN
        RETURN 'already_settled';
    END IF;
    PERFORM FROM {schema}.work w
        WHERE w.event_no = settle_in_v1.event_no AND w.epoch = settle_in_v1.epoch
            AND w.worker = settle_in_v1.worker AND w.epoch > 0;
    IF FOUND THEN
        RETURN 'already_settled';
    END IF;
    RETURN 'lost';
END $$;
