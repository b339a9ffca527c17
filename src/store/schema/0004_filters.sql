-- Schema 4: what a block has too many of for `zones`. Never edited once released.
-- (The migration makes the skip index anew from the records; see store/rezone.rs.)

-- Sizes in `zones` are now in quarters of powers of two, and no block has x'' any more. For each field of texts that others
-- choose, and each block that has any without a row: which they may be. See store/filters.rs.
CREATE TABLE zone_filters (
    field INTEGER NOT NULL,
    block INTEGER NOT NULL,
    words INTEGER NOT NULL,      -- 1: words are in it too, because the block has too many of them
    bits BLOB NOT NULL,
    PRIMARY KEY (field, block)
) WITHOUT ROWID;

-- Names are asked for in any case.
CREATE INDEX words_in_lower_case ON words (lower(text));
