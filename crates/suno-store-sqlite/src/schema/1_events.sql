-- What was received, body and all: appended, and not changed until its body is purged.
CREATE TABLE events (
    -- A number is never used again, also after a purge; see numbered_through.
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
    -- The body as it was received; null when it was purged. The last column, so that the others are
    -- read without it.
    raw BLOB
) STRICT;

-- How events stand changes often, and stands apart in narrow rows. Each event has one row: here while
-- there is something to be done, and then in settled.
CREATE TABLE open (
    event_id INTEGER PRIMARY KEY,
    -- 0 ready, 1 claimed, 2 waiting.
    state INTEGER NOT NULL,
    -- The end of the lease, or the earliest moment of another attempt; 0 if ready.
    due INTEGER NOT NULL,
    -- That of the event.
    received_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    reason TEXT
) STRICT;

CREATE TABLE settled (
    event_id INTEGER PRIMARY KEY,
    -- 3 done, 4 dead, 5 superseded.
    state INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    -- 1 until the body is purged.
    has_body INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    reason TEXT
) STRICT;

-- Finds the events of a task. Events are appended at random places of this order, so that it is
-- kept up behind them in sorted slices; see keys.rs.
CREATE TABLE keys (
    task_hash INTEGER NOT NULL,
    event_id INTEGER NOT NULL,
    PRIMARY KEY (task_hash, event_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE marks (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    -- The last event whose key is in keys.
    merged_through INTEGER NOT NULL,
    -- Up to here numbers are not given again, since their events may have been purged.
    numbered_through INTEGER NOT NULL,
    -- How often events were purged before their keys were merged.
    unmerged_purges INTEGER NOT NULL
) STRICT;

INSERT INTO marks VALUES (1, 0, 0, 0);

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
