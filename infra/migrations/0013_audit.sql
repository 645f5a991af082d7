-- Who had what done.

CREATE TABLE IF NOT EXISTS audit
(
    at_ns Int64,
    entry_id String,
    who LowCardinality(String),
    key_id LowCardinality(String),
    address String,
    action LowCardinality(String),
    target String,
    outcome LowCardinality(String),
    status UInt16,
    details String,
    inserted_at DateTime('UTC') MATERIALIZED now() CODEC(Delta(4), LZ4)
)
ENGINE = MergeTree
ORDER BY (at_ns, entry_id)
TTL inserted_at + toIntervalDay({audit_ttl_days})
SETTINGS non_replicated_deduplication_window = 10000, min_bytes_for_full_part_storage = 67108864, ttl_only_drop_parts = 1;
