-- What happened to the events of tasks, for people. Nothing that the store decides depends on it.
CREATE TABLE entries (
    id INTEGER PRIMARY KEY,
    task_id TEXT NOT NULL,
    -- Null if the entry is about no stage.
    stage TEXT,
    revision INTEGER NOT NULL,
    -- Microseconds since 1970, by the clock of the process that recorded it.
    at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    -- JSON.
    detail TEXT NOT NULL
) STRICT;

CREATE INDEX entries_of_task ON entries (task_id, id);
CREATE INDEX entries_by_time ON entries (at);
