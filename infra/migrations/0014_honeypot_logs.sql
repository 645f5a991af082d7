-- What honeypots logged, a table for each kind, and what nobody could understand of it.

CREATE TABLE IF NOT EXISTS ssh_logs
(
    read_id LowCardinality(String),
    log_id UInt64,
    ts_ns Int64 CODEC(DoubleDelta, ZSTD(1)),
    source_ip IPv6 CODEC(ZSTD(1)),
    source_port UInt16 CODEC(ZSTD(1)),
    destination_port UInt16 CODEC(ZSTD(1)),
    protocol LowCardinality(String),
    sensor LowCardinality(String),
    session String CODEC(ZSTD(1)),
    event LowCardinality(String),
    action LowCardinality(String),
    level LowCardinality(String),
    username String CODEC(ZSTD(1)),
    password String CODEC(ZSTD(1)),
    command String CODEC(ZSTD(1)),
    message String CODEC(ZSTD(1)),
    data String CODEC(ZSTD(3)),
    inserted_at DateTime('UTC') MATERIALIZED now() CODEC(Delta(4), LZ4),
    INDEX by_source_ip source_ip TYPE bloom_filter GRANULARITY 1
)
ENGINE = ReplacingMergeTree
ORDER BY (ts_ns, log_id)
TTL inserted_at + toIntervalDay({honeypots_ttl_days})
SETTINGS non_replicated_deduplication_window = 10000, min_bytes_for_full_part_storage = 67108864;

CREATE TABLE IF NOT EXISTS http_logs
(
    read_id LowCardinality(String),
    log_id UInt64,
    ts_ns Int64 CODEC(DoubleDelta, ZSTD(1)),
    source_ip IPv6 CODEC(ZSTD(1)),
    source_port UInt16 CODEC(ZSTD(1)),
    destination_port UInt16 CODEC(ZSTD(1)),
    protocol LowCardinality(String),
    sensor LowCardinality(String),
    session String CODEC(ZSTD(1)),
    event LowCardinality(String),
    action LowCardinality(String),
    level LowCardinality(String),
    username String CODEC(ZSTD(1)),
    password String CODEC(ZSTD(1)),
    command String CODEC(ZSTD(1)),
    message String CODEC(ZSTD(1)),
    data String CODEC(ZSTD(3)),
    inserted_at DateTime('UTC') MATERIALIZED now() CODEC(Delta(4), LZ4),
    INDEX by_source_ip source_ip TYPE bloom_filter GRANULARITY 1
)
ENGINE = ReplacingMergeTree
ORDER BY (ts_ns, log_id)
TTL inserted_at + toIntervalDay({honeypots_ttl_days})
SETTINGS non_replicated_deduplication_window = 10000, min_bytes_for_full_part_storage = 67108864;

CREATE TABLE IF NOT EXISTS ftp_logs
(
    read_id LowCardinality(String),
    log_id UInt64,
    ts_ns Int64 CODEC(DoubleDelta, ZSTD(1)),
    source_ip IPv6 CODEC(ZSTD(1)),
    source_port UInt16 CODEC(ZSTD(1)),
    destination_port UInt16 CODEC(ZSTD(1)),
    protocol LowCardinality(String),
    sensor LowCardinality(String),
    session String CODEC(ZSTD(1)),
    event LowCardinality(String),
    action LowCardinality(String),
    level LowCardinality(String),
    username String CODEC(ZSTD(1)),
    password String CODEC(ZSTD(1)),
    command String CODEC(ZSTD(1)),
    message String CODEC(ZSTD(1)),
    data String CODEC(ZSTD(3)),
    inserted_at DateTime('UTC') MATERIALIZED now() CODEC(Delta(4), LZ4),
    INDEX by_source_ip source_ip TYPE bloom_filter GRANULARITY 1
)
ENGINE = ReplacingMergeTree
ORDER BY (ts_ns, log_id)
TTL inserted_at + toIntervalDay({honeypots_ttl_days})
SETTINGS non_replicated_deduplication_window = 10000, min_bytes_for_full_part_storage = 67108864;

CREATE TABLE IF NOT EXISTS asyncssh_logs
(
    read_id LowCardinality(String),
    log_id UInt64,
    ts_ns Int64 CODEC(DoubleDelta, ZSTD(1)),
    source_ip IPv6 CODEC(ZSTD(1)),
    source_port UInt16 CODEC(ZSTD(1)),
    destination_port UInt16 CODEC(ZSTD(1)),
    protocol LowCardinality(String),
    sensor LowCardinality(String),
    session String CODEC(ZSTD(1)),
    event LowCardinality(String),
    action LowCardinality(String),
    level LowCardinality(String),
    username String CODEC(ZSTD(1)),
    password String CODEC(ZSTD(1)),
    command String CODEC(ZSTD(1)),
    message String CODEC(ZSTD(1)),
    data String CODEC(ZSTD(3)),
    inserted_at DateTime('UTC') MATERIALIZED now() CODEC(Delta(4), LZ4),
    INDEX by_source_ip source_ip TYPE bloom_filter GRANULARITY 1
)
ENGINE = ReplacingMergeTree
ORDER BY (ts_ns, log_id)
TTL inserted_at + toIntervalDay({honeypots_ttl_days})
SETTINGS non_replicated_deduplication_window = 10000, min_bytes_for_full_part_storage = 67108864;

CREATE TABLE IF NOT EXISTS honeypot_dead_letters
(
    letter_id UInt64,
    read_ns Int64 CODEC(ZSTD(1)),
    read_id LowCardinality(String),
    file LowCardinality(String),
    line UInt64 CODEC(ZSTD(1)),
    reason String CODEC(ZSTD(1)),
    size_bytes UInt64 CODEC(ZSTD(1)),
    text String CODEC(ZSTD(1)),
    inserted_at DateTime('UTC') MATERIALIZED now() CODEC(Delta(4), LZ4)
)
ENGINE = ReplacingMergeTree(read_ns)
ORDER BY (letter_id)
TTL inserted_at + toIntervalDay({honeypots_ttl_days})
SETTINGS non_replicated_deduplication_window = 10000, min_bytes_for_full_part_storage = 67108864;

-- All honeypots together.
CREATE VIEW IF NOT EXISTS honeypot_logs AS
SELECT 'ssh' AS honeypot_type, * FROM ssh_logs FINAL
UNION ALL
SELECT 'http' AS honeypot_type, * FROM http_logs FINAL
UNION ALL
SELECT 'ftp' AS honeypot_type, * FROM ftp_logs FINAL
UNION ALL
SELECT 'asyncssh' AS honeypot_type, * FROM asyncssh_logs FINAL;
