-- Schema 1. Never edited once released: what changes comes in the next file.

-- One row an exchange, in the order of their starts: the first 60 bits of the id are the time.
CREATE TABLE records (
    id BLOB NOT NULL PRIMARY KEY,
    started_at_us INTEGER NOT NULL,
    session_id TEXT,
    parent_session_id TEXT,
    dialect TEXT NOT NULL,
    operation TEXT NOT NULL,
    provider TEXT,
    model_requested TEXT,
    model TEXT,
    status INTEGER,
    outcome TEXT NOT NULL,
    stream INTEGER NOT NULL,
    input_tokens INTEGER,
    output_tokens INTEGER,
    cache_read_tokens INTEGER,
    cache_write_tokens INTEGER,
    reasoning_tokens INTEGER,
    usage_source TEXT,
    cost_nanousd INTEGER,
    queued_us INTEGER NOT NULL,
    ttft_us INTEGER,
    ttfo_us INTEGER,
    contents_us INTEGER,
    contents INTEGER NOT NULL,
    gap_p50_us INTEGER,
    gap_p99_us INTEGER,
    gap_max_us INTEGER,
    stalls INTEGER,
    duration_us INTEGER NOT NULL,
    overhead_us INTEGER NOT NULL,
    request_bytes INTEGER NOT NULL,
    response_bytes INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    error_source TEXT,
    error_kind TEXT,
    error_detail TEXT,
    upstream_status INTEGER,
    finish_reason TEXT,
    tools TEXT,
    agent TEXT NOT NULL,
    method TEXT NOT NULL,
    path TEXT NOT NULL,
    client_addr TEXT,
    key_label TEXT,
    user_label TEXT,
    client_request_id TEXT,
    upstream_request_id TEXT,
    trace_id BLOB,
    replay_of BLOB,
    run_id BLOB,
    tags TEXT
) WITHOUT ROWID;

CREATE INDEX records_of_session ON records (session_id) WHERE session_id IS NOT NULL;

-- Every try at a provider: what it cost stands here, also when another try answered the client.
CREATE TABLE attempts (
    exchange_id BLOB NOT NULL,
    n INTEGER NOT NULL,
    provider TEXT NOT NULL,
    model TEXT,
    model_label TEXT NOT NULL,
    key_label TEXT,
    because TEXT NOT NULL,
    status INTEGER,
    error_source TEXT,
    error_kind TEXT,
    sent_us INTEGER NOT NULL,
    head_us INTEGER,
    ended_us INTEGER,
    resolve_us INTEGER,
    connect_us INTEGER,
    tls_us INTEGER,
    reused INTEGER NOT NULL,
    peer TEXT,
    http TEXT,
    tls TEXT,
    bytes INTEGER NOT NULL,
    response_id TEXT,
    response_model TEXT,
    service_tier TEXT,
    input_tokens INTEGER,
    output_tokens INTEGER,
    cache_read_tokens INTEGER,
    cache_write_tokens INTEGER,
    cache_write_1h_tokens INTEGER,
    reasoning_tokens INTEGER,
    image_input_tokens INTEGER,
    image_output_tokens INTEGER,
    audio_input_tokens INTEGER,
    audio_output_tokens INTEGER,
    web_searches INTEGER,
    usage_source TEXT,
    partial INTEGER NOT NULL,
    missing INTEGER NOT NULL,
    cost_nanousd INTEGER,
    unpriced INTEGER NOT NULL,
    price_basis TEXT,
    price_version TEXT,
    PRIMARY KEY (exchange_id, n)
) WITHOUT ROWID;

-- Answers whose usage a later GET brings: background responses, batches.
CREATE TABLE awaited (
    provider TEXT NOT NULL,
    response_id TEXT NOT NULL,
    exchange_id BLOB NOT NULL,
    noted_at_us INTEGER NOT NULL,
    PRIMARY KEY (provider, response_id)
) WITHOUT ROWID;

CREATE INDEX awaited_by_age ON awaited (noted_at_us);

-- Roll-ups, kept in the transactions that write the rows; replays are not in them. `start_s` is the beginning of the
-- hour or day (UTC) in seconds since 1970. `durations` and `ttfts` are counts by size, see docs/store.md.

CREATE TABLE usage_hours (
    start_s INTEGER NOT NULL,
    provider TEXT NOT NULL, model TEXT NOT NULL, key_label TEXT NOT NULL, agent TEXT NOT NULL, dialect TEXT NOT NULL,
    requests INTEGER NOT NULL, errors INTEGER NOT NULL, cancelled INTEGER NOT NULL, attempts INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL, cache_read_tokens INTEGER NOT NULL,
    cache_write_tokens INTEGER NOT NULL, reasoning_tokens INTEGER NOT NULL,
    estimated_input_tokens INTEGER NOT NULL, estimated_output_tokens INTEGER NOT NULL,
    cost_nanousd INTEGER NOT NULL, estimated_cost_nanousd INTEGER NOT NULL,
    unpriced INTEGER NOT NULL, partial INTEGER NOT NULL, missing INTEGER NOT NULL,
    tool_calls INTEGER NOT NULL, duration_us INTEGER NOT NULL, durations BLOB NOT NULL, ttfts BLOB NOT NULL,
    PRIMARY KEY (start_s, provider, model, key_label, agent, dialect)
) WITHOUT ROWID;

CREATE TABLE usage_days (
    start_s INTEGER NOT NULL,
    provider TEXT NOT NULL, model TEXT NOT NULL, key_label TEXT NOT NULL, agent TEXT NOT NULL, dialect TEXT NOT NULL,
    requests INTEGER NOT NULL, errors INTEGER NOT NULL, cancelled INTEGER NOT NULL, attempts INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL, cache_read_tokens INTEGER NOT NULL,
    cache_write_tokens INTEGER NOT NULL, reasoning_tokens INTEGER NOT NULL,
    estimated_input_tokens INTEGER NOT NULL, estimated_output_tokens INTEGER NOT NULL,
    cost_nanousd INTEGER NOT NULL, estimated_cost_nanousd INTEGER NOT NULL,
    unpriced INTEGER NOT NULL, partial INTEGER NOT NULL, missing INTEGER NOT NULL,
    tool_calls INTEGER NOT NULL, duration_us INTEGER NOT NULL, durations BLOB NOT NULL, ttfts BLOB NOT NULL,
    PRIMARY KEY (start_s, provider, model, key_label, agent, dialect)
) WITHOUT ROWID;

CREATE TABLE total_hours (
    start_s INTEGER NOT NULL PRIMARY KEY,
    requests INTEGER NOT NULL, errors INTEGER NOT NULL, cancelled INTEGER NOT NULL, attempts INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL, cache_read_tokens INTEGER NOT NULL,
    cache_write_tokens INTEGER NOT NULL, reasoning_tokens INTEGER NOT NULL,
    estimated_input_tokens INTEGER NOT NULL, estimated_output_tokens INTEGER NOT NULL,
    cost_nanousd INTEGER NOT NULL, estimated_cost_nanousd INTEGER NOT NULL,
    unpriced INTEGER NOT NULL, partial INTEGER NOT NULL, missing INTEGER NOT NULL,
    tool_calls INTEGER NOT NULL, duration_us INTEGER NOT NULL, durations BLOB NOT NULL, ttfts BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE session_hours (
    start_s INTEGER NOT NULL, session TEXT NOT NULL,
    requests INTEGER NOT NULL, errors INTEGER NOT NULL, cancelled INTEGER NOT NULL, attempts INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL, cache_read_tokens INTEGER NOT NULL,
    cache_write_tokens INTEGER NOT NULL, reasoning_tokens INTEGER NOT NULL,
    estimated_input_tokens INTEGER NOT NULL, estimated_output_tokens INTEGER NOT NULL,
    cost_nanousd INTEGER NOT NULL, estimated_cost_nanousd INTEGER NOT NULL,
    unpriced INTEGER NOT NULL, partial INTEGER NOT NULL, missing INTEGER NOT NULL,
    tool_calls INTEGER NOT NULL, duration_us INTEGER NOT NULL,
    PRIMARY KEY (start_s, session)
) WITHOUT ROWID;

CREATE TABLE session_days (
    start_s INTEGER NOT NULL, session TEXT NOT NULL,
    requests INTEGER NOT NULL, errors INTEGER NOT NULL, cancelled INTEGER NOT NULL, attempts INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL, cache_read_tokens INTEGER NOT NULL,
    cache_write_tokens INTEGER NOT NULL, reasoning_tokens INTEGER NOT NULL,
    estimated_input_tokens INTEGER NOT NULL, estimated_output_tokens INTEGER NOT NULL,
    cost_nanousd INTEGER NOT NULL, estimated_cost_nanousd INTEGER NOT NULL,
    unpriced INTEGER NOT NULL, partial INTEGER NOT NULL, missing INTEGER NOT NULL,
    tool_calls INTEGER NOT NULL, duration_us INTEGER NOT NULL,
    PRIMARY KEY (start_s, session)
) WITHOUT ROWID;

CREATE TABLE tag_hours (
    start_s INTEGER NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL,
    requests INTEGER NOT NULL, errors INTEGER NOT NULL, cancelled INTEGER NOT NULL, attempts INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL, cache_read_tokens INTEGER NOT NULL,
    cache_write_tokens INTEGER NOT NULL, reasoning_tokens INTEGER NOT NULL,
    estimated_input_tokens INTEGER NOT NULL, estimated_output_tokens INTEGER NOT NULL,
    cost_nanousd INTEGER NOT NULL, estimated_cost_nanousd INTEGER NOT NULL,
    unpriced INTEGER NOT NULL, partial INTEGER NOT NULL, missing INTEGER NOT NULL,
    tool_calls INTEGER NOT NULL, duration_us INTEGER NOT NULL, durations BLOB NOT NULL, ttfts BLOB NOT NULL,
    PRIMARY KEY (start_s, name, value)
) WITHOUT ROWID;

CREATE TABLE tag_days (
    start_s INTEGER NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL,
    requests INTEGER NOT NULL, errors INTEGER NOT NULL, cancelled INTEGER NOT NULL, attempts INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL, cache_read_tokens INTEGER NOT NULL,
    cache_write_tokens INTEGER NOT NULL, reasoning_tokens INTEGER NOT NULL,
    estimated_input_tokens INTEGER NOT NULL, estimated_output_tokens INTEGER NOT NULL,
    cost_nanousd INTEGER NOT NULL, estimated_cost_nanousd INTEGER NOT NULL,
    unpriced INTEGER NOT NULL, partial INTEGER NOT NULL, missing INTEGER NOT NULL,
    tool_calls INTEGER NOT NULL, duration_us INTEGER NOT NULL, durations BLOB NOT NULL, ttfts BLOB NOT NULL,
    PRIMARY KEY (start_s, name, value)
) WITHOUT ROWID;

CREATE TABLE tool_hours (
    start_s INTEGER NOT NULL, tool TEXT NOT NULL,
    requests INTEGER NOT NULL, tool_calls INTEGER NOT NULL,
    PRIMARY KEY (start_s, tool)
) WITHOUT ROWID;

CREATE TABLE tool_days (
    start_s INTEGER NOT NULL, tool TEXT NOT NULL,
    requests INTEGER NOT NULL, tool_calls INTEGER NOT NULL,
    PRIMARY KEY (start_s, tool)
) WITHOUT ROWID;

-- The public face: columns are added, never renamed or dropped.
CREATE VIEW exchanges AS
SELECT
    lower(substr(hex(id), 1, 8) || '-' || substr(hex(id), 9, 4) || '-' || substr(hex(id), 13, 4) || '-' ||
          substr(hex(id), 17, 4) || '-' || substr(hex(id), 21)) AS id,
    started_at_us, session_id, parent_session_id, dialect, operation, provider, model_requested, model, status, outcome,
    stream, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens, usage_source,
    cost_nanousd, ttft_us, duration_us, overhead_us, request_bytes, response_bytes, attempts, error_source, error_kind,
    upstream_status, finish_reason, tools, agent, path, client_addr, key_label, user_label, client_request_id,
    upstream_request_id, lower(hex(trace_id)) AS trace_id,
    CASE WHEN replay_of IS NULL THEN NULL ELSE
        lower(substr(hex(replay_of), 1, 8) || '-' || substr(hex(replay_of), 9, 4) || '-' ||
              substr(hex(replay_of), 13, 4) || '-' || substr(hex(replay_of), 17, 4) || '-' ||
              substr(hex(replay_of), 21)) END AS replay_of,
    CASE WHEN run_id IS NULL THEN NULL ELSE
        lower(substr(hex(run_id), 1, 8) || '-' || substr(hex(run_id), 9, 4) || '-' || substr(hex(run_id), 13, 4) || '-' ||
              substr(hex(run_id), 17, 4) || '-' || substr(hex(run_id), 21)) END AS run_id,
    'meta' AS capture_level, 0 AS redacted, 0 AS replayable, tags, NULL AS labels
FROM records;
