-- Version 2. Programs of version 1 can use it: they write and read none of these columns.

-- Where a conflict came from, and the order of arrival; null for those of version 1.
CREATE SEQUENCE {schema}.conflict_numbers AS bigint;
ALTER TABLE {schema}.conflict
    ADD COLUMN no bigint,
    ADD COLUMN received_at bigint,
    ADD COLUMN source smallint,
    ADD COLUMN verified_by smallint;
-- Set afterwards, so that no row is written again.
ALTER TABLE {schema}.conflict ALTER COLUMN no SET DEFAULT nextval('{schema}.conflict_numbers');

-- What happened to the events of tasks, for people. Nothing that the store decides depends on it.
CREATE TABLE {schema}.history (
    no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    task_id text NOT NULL,
    -- Microseconds since 1970, by the clock of the process that recorded it.
    at bigint NOT NULL,
    -- Null if the entry is about no stage.
    stage text,
    revision integer NOT NULL,
    kind text NOT NULL,
    -- JSON.
    detail text NOT NULL
) WITH (autovacuum_vacuum_insert_scale_factor = 0.05);
CREATE INDEX history_task ON {schema}.history (task_id, no);
CREATE INDEX history_at ON {schema}.history (at);

-- The submits of a reference are asked for before each submit that must not be repeated.
CREATE INDEX intent_reference ON {schema}.intent (reference) WHERE reference IS NOT NULL;

-- The first submit that made a task.
CREATE INDEX intent_task ON {schema}.intent (task_id, no) WHERE task_id IS NOT NULL;

-- The end of the lease of a task that was taken and not postponed since. It equals `due`, unless a
-- program of version 1 has changed that.
ALTER TABLE {schema}.expected ADD COLUMN lease_end bigint;
