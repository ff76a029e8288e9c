-- Submits that were about to be sent, and of which nothing was heard since.
CREATE TABLE intents (
    submit BLOB PRIMARY KEY,
    intended_at INTEGER NOT NULL,
    -- When its task is to be asked about.
    due_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX intents_by_age ON intents (intended_at);

-- Tasks whose last callback is expected.
CREATE TABLE expected (
    task_id TEXT PRIMARY KEY,
    expected_at INTEGER NOT NULL,
    -- When it is to be asked about; while somebody asks, the end of the lease.
    due_at INTEGER NOT NULL,
    -- How often it was taken to be asked about.
    epoch INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE INDEX expected_by_due ON expected (due_at);
