-- Where every capture stands, and what every hop counted.

CREATE TABLE IF NOT EXISTS captures
(
    capture_id String,
    version UInt64,
    state LowCardinality(String),
    source LowCardinality(String),
    name String,
    fingerprint String,
    sensor LowCardinality(String),
    window_ns Int64,
    partitions UInt16,
    started_ns Int64,
    ended_ns Nullable(Int64),
    first_ts_ns Nullable(Int64),
    last_ts_ns Nullable(Int64),
    packets UInt64,
    bytes UInt64,
    file_bytes UInt64,
    is_truncated Bool,
    error String
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (capture_id)
SETTINGS non_replicated_deduplication_window = 10000, min_bytes_for_full_part_storage = 67108864;

CREATE TABLE IF NOT EXISTS ledger
(
    capture_id LowCardinality(String),
    hop LowCardinality(String),
    partition Int16,
    reason LowCardinality(String),
    packets_in UInt64,
    packets_out UInt64,
    version UInt64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (capture_id, hop, partition, reason)
SETTINGS non_replicated_deduplication_window = 10000, min_bytes_for_full_part_storage = 67108864;

CREATE VIEW IF NOT EXISTS ledger_now AS
SELECT * FROM ledger FINAL;

CREATE VIEW IF NOT EXISTS captures_now AS
SELECT
    captures.*,
    captures.state = 'complete' AND stored.partitions_stored >= captures.partitions AND stored.merges > 0 AS is_stored
FROM (SELECT * FROM captures FINAL) AS captures
LEFT JOIN
(
    SELECT
        capture_id,
        uniqExactIf(partition, hop = 'store' AND partition >= 0) AS partitions_stored,
        countIf(hop = 'merge') AS merges
    FROM ledger
    GROUP BY capture_id
) AS stored ON captures.capture_id = stored.capture_id;
