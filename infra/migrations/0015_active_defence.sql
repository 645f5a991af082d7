-- Addresses that a firewall was asked to cut off.

CREATE TABLE IF NOT EXISTS blocks
(
    block_id String,
    version UInt64,
    sensor LowCardinality(String),
    firewall LowCardinality(String),
    ip String,
    state LowCardinality(String),
    reason String,
    blocked_by LowCardinality(String),
    is_automatic Bool,
    evidence String,
    blocked_ns Int64,
    expires_ns Int64,
    ended_ns Nullable(Int64),
    ended_by LowCardinality(String),
    error String,
    inserted_at DateTime('UTC') MATERIALIZED now() CODEC(Delta(4), LZ4)
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (block_id)
SETTINGS non_replicated_deduplication_window = 10000, min_bytes_for_full_part_storage = 67108864;

-- Every block as it stands: it is in force while it is active and its time is not over.
CREATE VIEW IF NOT EXISTS blocks_now AS
SELECT *, state = 'active' AND expires_ns > toUnixTimestamp64Nano(now64(9)) AS is_in_force FROM blocks FINAL;
