-- Verdicts on flows, and that a capture is stored once its flows have been judged.

-- The records of a flow add up: each says how many packets have come since the one before; those from before that say 0.
ALTER TABLE flows ADD COLUMN IF NOT EXISTS since_frame UInt64 CODEC(Delta, ZSTD(1)) AFTER bwd_bytes;
ALTER TABLE flows ADD COLUMN IF NOT EXISTS new_fwd_packets UInt64 CODEC(T64, ZSTD(1)) AFTER since_frame;
ALTER TABLE flows ADD COLUMN IF NOT EXISTS new_bwd_packets UInt64 CODEC(T64, ZSTD(1)) AFTER new_fwd_packets;
CREATE OR REPLACE VIEW flows_now AS SELECT * FROM flows FINAL;

CREATE TABLE IF NOT EXISTS classifications
(
    capture_id LowCardinality(String),
    flow_id UInt64 CODEC(ZSTD(1)),
    role LowCardinality(String),
    model LowCardinality(String),
    src_ip IPv6 CODEC(ZSTD(1)),
    dst_ip IPv6 CODEC(ZSTD(1)),
    src_port UInt16 CODEC(ZSTD(1)),
    dst_port UInt16 CODEC(ZSTD(1)),
    protocol UInt8 CODEC(ZSTD(1)),
    vlan UInt16 CODEC(ZSTD(1)),
    start_ns Int64 CODEC(DoubleDelta, ZSTD(1)),
    end_ns Int64 CODEC(DoubleDelta, ZSTD(1)),
    end_reason LowCardinality(String),
    window_id UInt32 CODEC(Delta, ZSTD(1)),
    first_frame UInt64 CODEC(Delta, ZSTD(1)),
    last_frame UInt64 CODEC(Delta, ZSTD(1)),
    since_frame UInt64 CODEC(Delta, ZSTD(1)),
    fwd_packets UInt64 CODEC(T64, ZSTD(1)),
    bwd_packets UInt64 CODEC(T64, ZSTD(1)),
    new_fwd_packets UInt64 CODEC(T64, ZSTD(1)),
    new_bwd_packets UInt64 CODEC(T64, ZSTD(1)),
    class_name LowCardinality(String),
    confidence Float32 CODEC(ZSTD(1)),
    attack_probability Float32 CODEC(ZSTD(1)),
    is_uncertain Bool,
    outside Float32 CODEC(ZSTD(1)),
    reason_features Array(LowCardinality(String)) CODEC(ZSTD(1)),
    reason_values Array(Float32) CODEC(ZSTD(1)),
    reason_contributions Array(Float32) CODEC(ZSTD(1)),
    inserted_at DateTime('UTC') MATERIALIZED now() CODEC(Delta(4), LZ4),
    version UInt64 MATERIALIZED ((fwd_packets + bwd_packets) * 2) + (end_reason != 'interim') CODEC(T64, LZ4),
    INDEX by_flow_id flow_id TYPE bloom_filter GRANULARITY 1,
    INDEX by_src_ip src_ip TYPE bloom_filter GRANULARITY 1,
    INDEX by_dst_ip dst_ip TYPE bloom_filter GRANULARITY 1,
    INDEX by_end end_ns TYPE minmax GRANULARITY 1,
    INDEX by_class_name class_name TYPE set(15) GRANULARITY 1
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY positiveModulo(intDiv(start_ns, 86400000000000), 64)
ORDER BY (capture_id, start_ns, flow_id, role)
TTL inserted_at + toIntervalDay({flows_ttl_days})
SETTINGS non_replicated_deduplication_window = 10000, min_bytes_for_full_part_storage = 67108864, min_bytes_for_wide_part = 67108864, merge_selector_base = 200, ttl_only_drop_parts = 1, enable_block_number_column = 1, enable_block_offset_column = 1;

-- The champion's verdict on the newest record of each flow.
CREATE VIEW IF NOT EXISTS classifications_now AS
SELECT * FROM classifications FINAL WHERE role = 'champion';

-- A capture is stored once the verdicts of every partition are, too. Those that were stored before there were any have
-- none: their ledger says so, and they stay stored.
INSERT INTO ledger (capture_id, hop, partition, reason, packets_in, packets_out, version)
SELECT capture_id, 'classifications', partition, reason, packets_out, packets_out, version
FROM ledger FINAL
ARRAY JOIN ['', 'before_classifications'] AS reason
WHERE ledger.hop = 'flows' AND ledger.reason = ''
    AND capture_id NOT IN (SELECT capture_id FROM ledger WHERE hop = 'classifications');

CREATE OR REPLACE VIEW captures_now AS
SELECT
    captures.*,
    captures.state = 'complete' AND stored.partitions_stored >= captures.partitions
        AND stored.partitions_metered >= captures.partitions
        AND stored.partitions_judged >= captures.partitions
        AND stored.merges > 0 AND stored.analyses > 0 AS is_stored
FROM (SELECT * FROM captures FINAL) AS captures
LEFT JOIN
(
    SELECT
        capture_id,
        uniqExactIf(partition, hop = 'store' AND partition >= 0) AS partitions_stored,
        uniqExactIf(partition, hop = 'flows' AND partition >= 0) AS partitions_metered,
        uniqExactIf(partition, hop = 'classifications' AND partition >= 0) AS partitions_judged,
        countIf(hop = 'merge') AS merges,
        countIf(hop = 'analysis') AS analyses
    FROM ledger
    GROUP BY capture_id
) AS stored ON captures.capture_id = stored.capture_id;
