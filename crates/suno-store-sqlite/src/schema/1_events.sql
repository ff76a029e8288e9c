-- What events are: narrow rows, appended; how they stand changes in place.
CREATE TABLE events (
    -- From last_event: AUTOINCREMENT would write its own counter with every event, and not once with
    -- every commit.
    id INTEGER PRIMARY KEY,
    -- 64 bits of a hash of the task id: narrow keys find a task's events, and the id decides.
    task_hash INTEGER NOT NULL,
    task_id TEXT NOT NULL,
    stage TEXT NOT NULL,
    code INTEGER NOT NULL,
    source INTEGER NOT NULL,
    verified_by INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    strict BLOB NOT NULL,
    semantic BLOB NOT NULL,
    state INTEGER NOT NULL,
    -- The end of the lease, or the earliest moment of another attempt; 0 if ready.
    due INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    epoch INTEGER NOT NULL DEFAULT 0,
    reason TEXT
) STRICT;

-- The number of the latest event. A number is never used again, also after a purge.
CREATE TABLE last_event (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    id INTEGER NOT NULL
) STRICT;

INSERT INTO last_event VALUES (1, 0);

-- Finds the events of a task. Events are appended at random places of this order, so that it is
-- kept up behind them in sorted slices; see keys.rs. What was not merged yet is past merged_through.
CREATE TABLE keys (
    task_hash INTEGER NOT NULL,
    event_id INTEGER NOT NULL,
    PRIMARY KEY (task_hash, event_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE keys_merged (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    merged_through INTEGER NOT NULL
) STRICT;

INSERT INTO keys_merged VALUES (1, 0);

-- What is still to be done. States below 3 are ready, claimed and waiting.
CREATE INDEX events_open ON events (id) WHERE state < 3;

-- The bodies as they were received, apart, so that settling an event does not rewrite them.
CREATE TABLE bodies (
    event_id INTEGER PRIMARY KEY REFERENCES events (id),
    raw BLOB NOT NULL
) STRICT;

-- Deliveries of a known key that say something else.
CREATE TABLE conflicts (
    id INTEGER PRIMARY KEY,
    event_id INTEGER NOT NULL REFERENCES events (id),
    source INTEGER NOT NULL,
    verified_by INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    strict BLOB NOT NULL,
    semantic BLOB NOT NULL,
    -- Null when it was purged.
    raw BLOB
) STRICT;

CREATE INDEX conflicts_of_event ON conflicts (event_id);

-- Deliveries that could be trusted but not understood.
CREATE TABLE quarantine (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    strict BLOB NOT NULL UNIQUE,
    task_id TEXT,
    source INTEGER NOT NULL,
    verified_by INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    reason TEXT NOT NULL,
    raw BLOB NOT NULL
) STRICT;
