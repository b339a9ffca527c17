-- Schema 2: headers, bodies and arrival times. Never edited once released: what changes comes in the next file.
-- The layout of the blobs is described in docs/capture-format.md.

-- What was kept of one exchange, under the number of its record. `content` is what this exchange brought that no earlier
-- one had: segments of its requests, which later exchanges may refer to. `rest` is its own alone: how its bodies are put
-- together, its headers, its answers, its times. Either is NULL where there is nothing.
CREATE TABLE bodies (
    seq INTEGER NOT NULL PRIMARY KEY,
    content_dictionary INTEGER,
    content BLOB,
    rest_dictionary INTEGER,
    rest BLOB,
    -- Bytes of all bodies as they were on the wire, equal legs once.
    raw_bytes INTEGER NOT NULL
);

-- The exchange `seq` is put together with content of `needs`, directly or by way of what that one needs.
CREATE TABLE links (
    needs INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (needs, seq)
) WITHOUT ROWID;

-- Dictionaries that were trained on this store's own content; those of the program have numbers below 1,000.
CREATE TABLE dictionaries (
    id INTEGER NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    trained_at_us INTEGER NOT NULL,
    samples INTEGER NOT NULL,
    bytes BLOB NOT NULL
);

-- What belongs to the file as a whole: the key of its digests, what encryption needs to know, how far exports went.
CREATE TABLE facts (
    name TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) WITHOUT ROWID;
