-- Times are in microseconds of the store's own clock (see clock.rs), except received_at and
-- intended_at: those are the caller's times and are only shown to people.

-- Received deliveries. A row is appended, and changes only if the record confirms it or its body is
-- purged.
CREATE TABLE events (
    -- Numbers increase, and are not reused after a purge; see numbered_through.
    id INTEGER PRIMARY KEY,
    -- 64 bits of a hash of the task id. Narrow keys find the events of a task; then task_id
    -- decides.
    task_hash INTEGER NOT NULL,
    task_id TEXT NOT NULL,
    stage TEXT NOT NULL,
    code INTEGER NOT NULL,
    source INTEGER NOT NULL,
    verified_by INTEGER NOT NULL,
    -- 1 if the provider's record must confirm it.
    unconfirmed INTEGER NOT NULL,
    -- The number of deliveries that ended its wait early.
    nudges INTEGER NOT NULL DEFAULT 0,
    received_at INTEGER NOT NULL,
    stored_at INTEGER NOT NULL,
    strict BLOB NOT NULL,
    semantic BLOB NOT NULL,
    -- The revision of the stage; rows of a stage have ascending ones.
    revision INTEGER NOT NULL DEFAULT 0,
    -- The number of results that it reports.
    results INTEGER NOT NULL DEFAULT 0,
    -- What the task makes; null for songs.
    product TEXT,
    -- What the callback URL said, and what is known of the submit that it named.
    suffix TEXT,
    submit BLOB,
    reference TEXT,
    kind TEXT,
    -- The body as it was received; null after it was purged. The last column, so that the others
    -- can be read without it.
    raw BLOB
) STRICT;

-- The state of an event is a row in one of four tables. They are narrow, because states change
-- often.

-- Ready, and never claimed. Scanned from the start, which has the oldest.
CREATE TABLE ready (
    event_id INTEGER PRIMARY KEY,
    -- The time at which the event was stored.
    since INTEGER NOT NULL,
    -- 1 if it is the only event that its task ever had: then it is its turn, and nothing needs to
    -- be looked up.
    is_only INTEGER NOT NULL
) STRICT;

-- Claimed, waiting for a retry, or ready again.
CREATE TABLE later (
    event_id INTEGER PRIMARY KEY,
    task_hash INTEGER NOT NULL,
    -- 0 ready, 1 claimed, 2 waiting.
    state INTEGER NOT NULL,
    -- The time at which it is or becomes claimable: since when it is ready, or the end of the lease
    -- or of the wait. Null while another event of the task is claimed: the event is then parked.
    due INTEGER,
    -- The due time of a parked event.
    since INTEGER NOT NULL,
    -- 1 if the task may have other open events that this one supersedes when it is done.
    supersedes INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    lapses INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    worker INTEGER NOT NULL,
    stored_at INTEGER NOT NULL,
    -- The time at which the event was stored or redriven.
    open_since INTEGER NOT NULL,
    reason TEXT
) STRICT;

CREATE INDEX later_by_due ON later (due) WHERE due IS NOT NULL;
CREATE INDEX parked_by_task ON later (task_hash) WHERE due IS NULL;

-- Done (3) or superseded (5).
CREATE TABLE settled (
    event_id INTEGER PRIMARY KEY,
    state INTEGER NOT NULL,
    stored_at INTEGER NOT NULL,
    -- 1 until the body is purged.
    has_body INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    worker INTEGER NOT NULL,
    reason TEXT
) STRICT;

-- Dead letters.
CREATE TABLE dead (
    event_id INTEGER PRIMARY KEY,
    stored_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    worker INTEGER NOT NULL,
    cause TEXT NOT NULL,
    reason TEXT
) STRICT;

-- Finds the events of a task. Hashes are random, so writing each key at once would change a page
-- for nearly every event. Instead, keys are merged in sorted slices; see keys.rs.
CREATE TABLE keys (
    task_hash INTEGER NOT NULL,
    event_id INTEGER NOT NULL,
    PRIMARY KEY (task_hash, event_id)
) STRICT, WITHOUT ROWID;

-- The keys that are not merged yet: for each transaction that stored events, their task hashes in
-- the order of their numbers, 8 bytes each.
CREATE TABLE key_log (
    first_event INTEGER PRIMARY KEY,
    hashes BLOB NOT NULL
) STRICT;

CREATE TABLE marks (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    -- The store's clock: the latest time that was written, to the second, and the offset from the
    -- system's time.
    clock INTEGER NOT NULL,
    clock_offset INTEGER NOT NULL,
    -- The last event whose key is in keys.
    merged_through INTEGER NOT NULL,
    -- Numbers up to this one are not reused, because their events may have been purged.
    numbered_through INTEGER NOT NULL,
    -- Bodies up to this event were purged.
    bodies_through INTEGER NOT NULL,
    -- Keys up to this hash were swept.
    swept_through INTEGER NOT NULL,
    -- The number of times that expected tasks were taken: the epoch of the latest ticket.
    due_epoch INTEGER NOT NULL,
    -- The numbers of events that are done and superseded, and of deliveries that were dropped.
    done INTEGER NOT NULL,
    superseded INTEGER NOT NULL,
    dropped INTEGER NOT NULL
) STRICT;

INSERT INTO marks VALUES (1, 0, 0, 0, 0, 0, -9223372036854775808, 0, 0, 0, 0);

-- Deliveries of a known key with different content.
CREATE TABLE conflicts (
    id INTEGER PRIMARY KEY,
    event_id INTEGER NOT NULL,
    source INTEGER NOT NULL,
    verified_by INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    strict BLOB NOT NULL,
    semantic BLOB NOT NULL,
    -- Null after it was purged.
    raw BLOB
) STRICT;

CREATE INDEX conflicts_of_event ON conflicts (event_id);

-- Deliveries from a trusted sender that could not be decoded, or that were too many for their task.
CREATE TABLE quarantine (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    strict BLOB NOT NULL UNIQUE,
    task_id TEXT,
    source INTEGER NOT NULL,
    verified_by INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    stored_at INTEGER NOT NULL,
    reason TEXT NOT NULL,
    submit BLOB,
    suffix TEXT,
    raw BLOB NOT NULL
) STRICT;

-- Submits that were about to be sent.
CREATE TABLE intents (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    submit BLOB NOT NULL UNIQUE,
    intended_at INTEGER NOT NULL,
    stored_at INTEGER NOT NULL,
    -- The time at which its task becomes due.
    due INTEGER NOT NULL,
    -- The application's own name for it.
    reference TEXT,
    -- The kind of its task.
    kind TEXT NOT NULL,
    -- Its task; null while that is unknown, so that the intent is open.
    task_id TEXT
) STRICT;

CREATE INDEX open_intents ON intents (number) WHERE task_id IS NULL;
CREATE INDEX intents_of_reference ON intents (reference) WHERE reference IS NOT NULL;
CREATE INDEX intents_of_task ON intents (task_id) WHERE task_id IS NOT NULL;

-- Tasks whose last callback is expected.
CREATE TABLE expected (
    -- In the order in which they became expected.
    number INTEGER PRIMARY KEY,
    task_id TEXT NOT NULL UNIQUE,
    expected_since INTEGER NOT NULL,
    -- The time at which the provider is to be asked; while it is being asked, the end of the lease.
    due INTEGER NOT NULL,
    -- 1 if it was taken and not postponed since.
    is_asked INTEGER NOT NULL DEFAULT 0,
    -- The epoch of the latest ticket; 0 if the task was not taken yet.
    epoch INTEGER NOT NULL DEFAULT 0,
    -- The number of answers from the provider.
    answers INTEGER NOT NULL DEFAULT 0,
    -- The submit that made it, if that was recorded.
    submit BLOB,
    kind TEXT NOT NULL
) STRICT;

CREATE INDEX expected_by_due ON expected (due, task_id);
