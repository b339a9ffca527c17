-- Schema 3: one row an exchange, small, in the order in which exchanges ended. Never edited once released.
-- (The migration copies what `records` and `attempts` of schema 1 hold, then drops them; see store/upgrade.rs.)

-- Words that come again: providers, models, paths, agents. A column that is called a word below holds the number of its
-- row here, or, for words that did not come twice, the text itself.
CREATE TABLE words (
    id INTEGER NOT NULL PRIMARY KEY,
    text TEXT NOT NULL UNIQUE
);

-- `inferred`: the gateway found the session by the messages, no client named it.
CREATE TABLE sessions (
    id INTEGER NOT NULL PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    parent INTEGER,
    inferred INTEGER NOT NULL
);

CREATE TABLE exchange_records (
    seq INTEGER NOT NULL PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    started_at_us INTEGER NOT NULL,
    session INTEGER,             -- sessions.id
    dialect, operation,          -- words
    provider, model_requested, model,
    status INTEGER,
    outcome,                     -- word
    stream INTEGER NOT NULL,
    input_tokens INTEGER, output_tokens INTEGER, cache_read_tokens INTEGER, cache_write_tokens INTEGER,
    reasoning_tokens INTEGER,
    usage_source,                -- word
    cost_nanousd INTEGER,
    queued_us INTEGER, ttft_us INTEGER, ttfo_us INTEGER, contents_us INTEGER, contents INTEGER,
    gap_p50_us INTEGER, gap_p99_us INTEGER, gap_max_us INTEGER, stalls INTEGER,
    duration_us INTEGER NOT NULL, overhead_us INTEGER NOT NULL,
    request_bytes INTEGER NOT NULL, response_bytes INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    error_source, error_kind,    -- words
    error_detail TEXT,
    upstream_status INTEGER,
    finish_reason, tools,        -- words; tools is a JSON array
    agent, method, path,         -- words
    client_ip, client_port INTEGER,
    key_label, user_label,       -- words
    client_request_id TEXT, upstream_request_id TEXT,
    trace_id BLOB, replay_of BLOB, run_id BLOB,
    tags, headers,               -- words; JSON objects: tags, and the values of the indexed headers
    level INTEGER NOT NULL,      -- 0 off, 1 meta, 2 headers, 3 full
    flags INTEGER NOT NULL,      -- see store/flags.rs
    signals INTEGER NOT NULL,    -- see exchange/signal.rs
    -- All attempts, see docs/capture-format.md.
    detail BLOB
);

CREATE INDEX records_of_session ON exchange_records (session) WHERE session IS NOT NULL;
CREATE INDEX records_of_run ON exchange_records (run_id) WHERE run_id IS NOT NULL;

-- Which blocks of 1,024 records have which value of which field: what a filter skips by. `value` is a word as above, a
-- number, or for what is compared by size the number of bits of it.
CREATE TABLE zones (
    field INTEGER NOT NULL,
    value NOT NULL,
    block INTEGER NOT NULL,
    PRIMARY KEY (field, value, block)
) WITHOUT ROWID;

-- Exchanges that had not ended when the last batch was written. What stands here at a start was cut by a crash.
CREATE TABLE in_flight (
    id BLOB NOT NULL PRIMARY KEY,
    head TEXT NOT NULL           -- JSON
) WITHOUT ROWID;

-- Labels, scores and notes that people and programs put on exchanges and sessions afterwards.
CREATE TABLE labels (
    id INTEGER NOT NULL PRIMARY KEY,
    exchange BLOB,
    session TEXT,
    name TEXT NOT NULL,
    score REAL,
    note TEXT,
    author TEXT,
    at_us INTEGER NOT NULL
);
CREATE INDEX labels_by_name ON labels (name);
CREATE INDEX labels_of_exchange ON labels (exchange) WHERE exchange IS NOT NULL;
CREATE INDEX labels_of_session ON labels (session) WHERE session IS NOT NULL;
