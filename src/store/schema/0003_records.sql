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
    id BLOB NOT NULL UNIQUE,      -- UUIDv7: in the order in which exchanges began
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
    client_ip, client_port INTEGER, -- word, without the port; IPv6 in brackets
    key_label, user_label,       -- words
    client_request_id TEXT, upstream_request_id TEXT,
    trace_id BLOB, replay_of BLOB, run_id BLOB,
    tags, headers,               -- words; JSON objects: tags, and the values of the indexed headers
    level INTEGER NOT NULL,      -- 0 off, 1 meta, 2 headers, 3 full
    flags INTEGER NOT NULL,      -- see store/flags.rs
    signals INTEGER NOT NULL,    -- see exchange/signal.rs
    duplicate_of BLOB,           -- the exchange that this one repeats
    prefix_changed_at INTEGER,   -- where the prompt first differs from the conversation's last turn
    policy INTEGER NOT NULL DEFAULT 0, -- which rules of redaction it was written by; 0: by more than one, or unknown
    -- All attempts, see docs/store.md.
    detail BLOB
);

CREATE INDEX exchanges_of_session ON exchange_records (session) WHERE session IS NOT NULL;
CREATE INDEX exchanges_of_run ON exchange_records (run_id) WHERE run_id IS NOT NULL;

-- Which blocks of 1,024 records have which value of which field: what a filter skips by. Fields are numbered in
-- store/zones.rs. `value` is a word as above, a number, for what is compared by size the number of bits of it, or x''
-- where a block has so many texts of a field that it may have any.
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

-- The public face, readable by any SQLite tool: columns are added, never renamed or dropped.
DROP VIEW IF EXISTS exchanges;
CREATE VIEW exchanges AS
SELECT
    lower(substr(hex(r.id), 1, 8) || '-' || substr(hex(r.id), 9, 4) || '-' || substr(hex(r.id), 13, 4) || '-' ||
        substr(hex(r.id), 17, 4) || '-' || substr(hex(r.id), 21)) AS id,
    r.started_at_us,
    (SELECT name FROM sessions WHERE sessions.id = r.session) AS session_id,
    (SELECT parents.name FROM sessions AS own JOIN sessions AS parents ON parents.id = own.parent
        WHERE own.id = r.session) AS parent_session_id,
    CASE typeof(r.dialect) WHEN 'integer' THEN (SELECT text FROM words WHERE words.id = r.dialect)
        ELSE r.dialect END AS dialect,
    CASE typeof(r.operation) WHEN 'integer' THEN (SELECT text FROM words WHERE words.id = r.operation)
        ELSE r.operation END AS operation,
    CASE typeof(r.provider) WHEN 'integer' THEN (SELECT text FROM words WHERE words.id = r.provider)
        ELSE r.provider END AS provider,
    CASE typeof(r.model_requested) WHEN 'integer' THEN (SELECT text FROM words WHERE words.id = r.model_requested)
        ELSE r.model_requested END AS model_requested,
    CASE typeof(r.model) WHEN 'integer' THEN (SELECT text FROM words WHERE words.id = r.model) ELSE r.model END AS model,
    r.status,
    CASE typeof(r.outcome) WHEN 'integer' THEN (SELECT text FROM words WHERE words.id = r.outcome)
        ELSE r.outcome END AS outcome,
    r.stream, r.input_tokens, r.output_tokens, r.cache_read_tokens, r.cache_write_tokens, r.reasoning_tokens,
    CASE typeof(r.usage_source) WHEN 'integer' THEN (SELECT text FROM words WHERE words.id = r.usage_source)
        ELSE r.usage_source END AS usage_source,
    r.cost_nanousd, r.ttft_us, r.duration_us, r.overhead_us, r.request_bytes, r.response_bytes, r.attempts,
    CASE typeof(r.error_source) WHEN 'integer' THEN (SELECT text FROM words WHERE words.id = r.error_source)
        ELSE r.error_source END AS error_source,
    CASE typeof(r.error_kind) WHEN 'integer' THEN (SELECT text FROM words WHERE words.id = r.error_kind)
        ELSE r.error_kind END AS error_kind,
    r.upstream_status,
    CASE typeof(r.finish_reason) WHEN 'integer' THEN (SELECT text FROM words WHERE words.id = r.finish_reason)
        ELSE r.finish_reason END AS finish_reason,
    CASE typeof(r.tools) WHEN 'integer' THEN (SELECT text FROM words WHERE words.id = r.tools) ELSE r.tools END AS tools,
    CASE typeof(r.agent) WHEN 'integer' THEN (SELECT text FROM words WHERE words.id = r.agent) ELSE r.agent END AS agent,
    CASE typeof(r.path) WHEN 'integer' THEN (SELECT text FROM words WHERE words.id = r.path) ELSE r.path END AS path,
    CASE typeof(r.client_ip) WHEN 'integer' THEN (SELECT text FROM words WHERE words.id = r.client_ip) ELSE r.client_ip END
        || ':' || r.client_port AS client_addr,
    CASE typeof(r.key_label) WHEN 'integer' THEN (SELECT text FROM words WHERE words.id = r.key_label)
        ELSE r.key_label END AS key_label,
    CASE typeof(r.user_label) WHEN 'integer' THEN (SELECT text FROM words WHERE words.id = r.user_label)
        ELSE r.user_label END AS user_label,
    r.client_request_id, r.upstream_request_id,
    CASE WHEN r.trace_id IS NULL THEN NULL ELSE lower(hex(r.trace_id)) END AS trace_id,
    CASE WHEN r.replay_of IS NULL THEN NULL ELSE
        lower(substr(hex(r.replay_of), 1, 8) || '-' || substr(hex(r.replay_of), 9, 4) || '-' || substr(hex(r.replay_of), 13, 4) || '-' ||
        substr(hex(r.replay_of), 17, 4) || '-' || substr(hex(r.replay_of), 21)) END AS replay_of,
    CASE WHEN r.run_id IS NULL THEN NULL ELSE
        lower(substr(hex(r.run_id), 1, 8) || '-' || substr(hex(r.run_id), 9, 4) || '-' || substr(hex(r.run_id), 13, 4) || '-' ||
        substr(hex(r.run_id), 17, 4) || '-' || substr(hex(r.run_id), 21)) END AS run_id,
    CASE r.level WHEN 0 THEN 'off' WHEN 1 THEN 'meta' WHEN 2 THEN 'headers' ELSE 'full' END AS capture_level,
    r.flags & 1 AS redacted,
    r.flags >> 1 & 1 AS replayable,
    CASE typeof(r.tags) WHEN 'integer' THEN (SELECT text FROM words WHERE words.id = r.tags) ELSE r.tags END AS tags,
    (SELECT nullif(json_group_array(name), '[]') FROM (
        SELECT name FROM labels WHERE exchange = r.id
        UNION SELECT name FROM labels WHERE session = (SELECT name FROM sessions WHERE sessions.id = r.session)
        ORDER BY name)) AS labels,
    r.error_detail,
    CASE typeof(r.method) WHEN 'integer' THEN (SELECT text FROM words WHERE words.id = r.method)
        ELSE r.method END AS method,
    coalesce((SELECT inferred FROM sessions WHERE sessions.id = r.session), 0) AS session_inferred,
    nullif(substr(
        iif(r.signals & 1, ',empty_reply', '') ||
        iif(r.signals & 2, ',invalid_tool_arguments', '') ||
        iif(r.signals & 4, ',failed_tool_result', '') ||
        iif(r.signals & 8, ',repeated_call', '') ||
        iif(r.signals & 16, ',duplicate_of', '') ||
        iif(r.signals & 32, ',prefix_changed', '') ||
        iif(r.signals & 64, ',truncated', '') ||
        iif(r.signals & 128, ',refusal', '') ||
        iif(r.signals & 256, ',stall', ''), 2), '') AS signals,
    CASE typeof(r.headers) WHEN 'integer' THEN (SELECT text FROM words WHERE words.id = r.headers)
        ELSE r.headers END AS headers,
    r.ttfo_us, r.gap_p50_us, r.gap_p99_us, r.gap_max_us, r.stalls, r.queued_us,
    r.flags >> 3 & 1 AS pinned,
    r.seq,
    CASE WHEN r.duplicate_of IS NULL THEN NULL ELSE
        lower(substr(hex(r.duplicate_of), 1, 8) || '-' || substr(hex(r.duplicate_of), 9, 4) || '-' ||
        substr(hex(r.duplicate_of), 13, 4) || '-' || substr(hex(r.duplicate_of), 17, 4) || '-' ||
        substr(hex(r.duplicate_of), 21)) END AS duplicate_of,
    r.prefix_changed_at,
    r.policy AS policy_version
FROM exchange_records AS r;
