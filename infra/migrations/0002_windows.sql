-- One row per window and version.

CREATE TABLE IF NOT EXISTS windows
(
    capture_id LowCardinality(String),
    window_id UInt32 CODEC(Delta, ZSTD(1)),
    version UInt64 CODEC(T64, ZSTD(1)),
    window_start_ns Int64 CODEC(DoubleDelta, ZSTD(1)),
    window_end_ns Int64 CODEC(DoubleDelta, ZSTD(1)),
    record_count UInt64 CODEC(T64, ZSTD(1)),
    bytes UInt64 CODEC(T64, ZSTD(1)),
    first_ts_ns Nullable(Int64) CODEC(ZSTD(1)),
    last_ts_ns Nullable(Int64) CODEC(ZSTD(1)),
    top_src_bytes Array(Tuple(ip String, bytes UInt64)) CODEC(ZSTD(1)),
    top_dst_bytes Array(Tuple(ip String, bytes UInt64)) CODEC(ZSTD(1)),
    hosts UInt64 CODEC(T64, ZSTD(1)),
    rtt_count UInt64 CODEC(T64, ZSTD(1)),
    rtt_sum_ns UInt64 CODEC(T64, ZSTD(1)),
    rtt_max_ns Nullable(Int64) CODEC(ZSTD(1)),
    rtt_p95_ns Nullable(Int64) CODEC(ZSTD(1)),
    rtt_is_sketched Bool,
    handshake_rtt_count UInt64 CODEC(T64, ZSTD(1)),
    handshake_rtt_sum_ns UInt64 CODEC(T64, ZSTD(1)),
    connections_total UInt64 CODEC(T64, ZSTD(1)),
    connections_by_protocol Map(LowCardinality(String), UInt64) CODEC(ZSTD(1)),
    connections_attempted UInt64 CODEC(T64, ZSTD(1)),
    connections_established UInt64 CODEC(T64, ZSTD(1)),
    connections_failed UInt64 CODEC(T64, ZSTD(1)),
    connections_half_open UInt64 CODEC(T64, ZSTD(1)),
    protocol_packets Map(LowCardinality(String), UInt64) CODEC(ZSTD(1)),
    protocol_bytes Map(LowCardinality(String), UInt64) CODEC(ZSTD(1)),
    ip_protocol_packets Map(LowCardinality(String), UInt64) CODEC(ZSTD(1)),
    ip_protocol_bytes Map(LowCardinality(String), UInt64) CODEC(ZSTD(1)),
    tcp_segments UInt64 CODEC(T64, ZSTD(1)),
    tcp_data_segments UInt64 CODEC(T64, ZSTD(1)),
    tcp_analysis Map(LowCardinality(String), UInt64) CODEC(ZSTD(1)),
    undecoded Map(LowCardinality(String), UInt64) CODEC(ZSTD(1)),
    late_packets UInt64 CODEC(T64, ZSTD(1)),
    is_complete Bool,
    lost_upstream UInt64 CODEC(T64, ZSTD(1)),
    inserted_at DateTime('UTC') MATERIALIZED now() CODEC(Delta(4), LZ4)
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (capture_id, window_id)
TTL inserted_at + toIntervalDay({windows_ttl_days})
SETTINGS non_replicated_deduplication_window = 10000, min_bytes_for_full_part_storage = 67108864, ttl_only_drop_parts = 1;

CREATE VIEW IF NOT EXISTS windows_now AS
SELECT * FROM windows FINAL;
