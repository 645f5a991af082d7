-- One row per packet. {packets_ttl_days} is the retention setting when the table is made; it is kept up to date afterwards.

CREATE TABLE IF NOT EXISTS packet_logs
(
    capture_id LowCardinality(String),
    event_id UInt64 CODEC(Delta, ZSTD(1)),
    ts_ns Int64 CODEC(DoubleDelta, LZ4),
    frame UInt64 CODEC(Delta, LZ4),
    lag_ns Int64 CODEC(T64, LZ4),
    src_ip IPv6 CODEC(ZSTD(1)),
    dst_ip IPv6 CODEC(ZSTD(1)),
    src_port UInt16 CODEC(LZ4),
    dst_port UInt16 CODEC(LZ4),
    protocol UInt8 CODEC(LZ4),
    ether_type UInt16 CODEC(LZ4),
    vlan UInt16 CODEC(LZ4),
    tunnel UInt8 CODEC(LZ4),
    fragment UInt8 CODEC(LZ4),
    ttl UInt8 CODEC(LZ4),
    tcp_flags UInt16 CODEC(LZ4),
    tcp_seq UInt32 CODEC(LZ4),
    tcp_ack UInt32 CODEC(LZ4),
    tcp_window_bytes UInt16 CODEC(LZ4),
    tcp_window_scale UInt8 CODEC(LZ4),
    payload_bytes UInt32 CODEC(T64, LZ4),
    length_bytes UInt32 CODEC(T64, LZ4),
    captured_bytes UInt32 CODEC(T64, LZ4),
    ip_header_bytes UInt16 CODEC(LZ4),
    l4_header_bytes UInt8 CODEC(LZ4),
    icmp_type UInt8 CODEC(LZ4),
    icmp_code UInt8 CODEC(LZ4),
    decode_status UInt8 CODEC(LZ4),
    inserted_at DateTime('UTC') MATERIALIZED now() CODEC(Delta(4), LZ4),
    ts DateTime64(9, 'UTC') ALIAS fromUnixTimestamp64Nano(ts_ns, 'UTC'),
    ip_version UInt8 ALIAS multiIf(ether_type = 2048, 4, ether_type = 34525, 6, 0),
    INDEX batch bitShiftRight(event_id, 18) TYPE set(64) GRANULARITY 1,
    INDEX by_src_ip src_ip TYPE bloom_filter GRANULARITY 1,
    INDEX by_dst_ip dst_ip TYPE bloom_filter GRANULARITY 1,
    INDEX by_dst_port dst_port TYPE bloom_filter GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY positiveModulo(intDiv(ts_ns, 86400000000000), 64)
ORDER BY (capture_id, ts_ns, event_id)
TTL inserted_at + toIntervalDay({packets_ttl_days})
SETTINGS non_replicated_deduplication_window = 10000, min_bytes_for_full_part_storage = 67108864, min_bytes_for_wide_part = 67108864, merge_selector_base = 200, ttl_only_drop_parts = 1;
