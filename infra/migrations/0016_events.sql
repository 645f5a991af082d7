-- Verdicts on packets, and the figures of the dashboard.

-- Every record's verdict is kept, also where a later record of the flow replaces it in `classifications`: the packets
-- that came with it keep it.
CREATE TABLE IF NOT EXISTS packet_verdicts
(
    capture_id LowCardinality(String),
    flow_id UInt64 CODEC(ZSTD(1)),
    model LowCardinality(String),
    window_id UInt32 CODEC(Delta, ZSTD(1)),
    start_ns Int64 CODEC(DoubleDelta, ZSTD(1)),
    end_ns Int64 CODEC(DoubleDelta, ZSTD(1)),
    since_frame UInt64 CODEC(Delta, ZSTD(1)),
    last_frame UInt64 CODEC(Delta, ZSTD(1)),
    src_ip IPv6 CODEC(ZSTD(1)),
    dst_ip IPv6 CODEC(ZSTD(1)),
    src_port UInt16 CODEC(ZSTD(1)),
    dst_port UInt16 CODEC(ZSTD(1)),
    protocol UInt8 CODEC(ZSTD(1)),
    vlan UInt16 CODEC(ZSTD(1)),
    new_fwd_packets UInt64 CODEC(T64, ZSTD(1)),
    new_bwd_packets UInt64 CODEC(T64, ZSTD(1)),
    class_name LowCardinality(String),
    confidence Float32 CODEC(ZSTD(1)),
    attack_probability Float32 CODEC(ZSTD(1)),
    is_uncertain Bool,
    inserted_at DateTime('UTC') MATERIALIZED now() CODEC(Delta(4), LZ4),
    INDEX by_src_ip src_ip TYPE bloom_filter GRANULARITY 1,
    INDEX by_dst_ip dst_ip TYPE bloom_filter GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY positiveModulo(intDiv(end_ns, 86400000000000), 64)
ORDER BY (capture_id, end_ns, flow_id)
TTL inserted_at + toIntervalDay({packets_ttl_days})
SETTINGS non_replicated_deduplication_window = 10000, min_bytes_for_full_part_storage = 67108864, min_bytes_for_wide_part = 67108864, merge_selector_base = 200, ttl_only_drop_parts = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS packet_verdicts_filled TO packet_verdicts AS
SELECT
    capture_id, flow_id, model, window_id, start_ns, end_ns, since_frame, last_frame,
    src_ip, dst_ip, src_port, dst_port, protocol, vlan, new_fwd_packets, new_bwd_packets,
    class_name, confidence, attack_probability, is_uncertain
FROM classifications
WHERE role = 'champion';

-- What the classifier makes of packets, by minute. Every record adds the packets that are new in it, so that nothing
-- needs to be taken back.
CREATE TABLE IF NOT EXISTS traffic_stats
(
    capture_id LowCardinality(String),
    minute_ns Int64 CODEC(Delta(8), LZ4),
    threat LowCardinality(String),
    class_name LowCardinality(String),
    packets SimpleAggregateFunction(sum, UInt64),
    score_sum SimpleAggregateFunction(sum, Float64),
    sources AggregateFunction(uniq, IPv6),
    attackers AggregateFunction(uniq, IPv6),
    inserted_at SimpleAggregateFunction(max, DateTime('UTC')) DEFAULT now()
)
ENGINE = AggregatingMergeTree
ORDER BY (capture_id, minute_ns, threat, class_name)
TTL inserted_at + toIntervalDay({packets_ttl_days})
SETTINGS non_replicated_deduplication_window = 10000, min_bytes_for_full_part_storage = 67108864;

CREATE MATERIALIZED VIEW IF NOT EXISTS traffic_stats_filled TO traffic_stats AS
SELECT
    capture_id,
    end_ns - positiveModulo(end_ns, 60000000000) AS minute_ns,
    multiIf(attack_probability >= 0.8, 'MALICIOUS', attack_probability >= 0.4, 'SUSPICIOUS', 'BENIGN') AS threat,
    class_name,
    sum(sent.2) AS packets,
    sum(100 * attack_probability * sent.2) AS score_sum,
    uniqStateIf(sent.1, threat != 'BENIGN' AND sent.2 > 0) AS sources,
    uniqStateIf(src_ip, threat != 'BENIGN') AS attackers,
    now() AS inserted_at
FROM classifications
ARRAY JOIN [(src_ip, new_fwd_packets), (dst_ip, new_bwd_packets)] AS sent
WHERE role = 'champion'
GROUP BY capture_id, minute_ns, threat, class_name;

-- What the anomalies of each window make of flows. An anomaly that names a flow is about that flow, whichever end began
-- it; any other about all flows that its source began.
CREATE VIEW IF NOT EXISTS threat_anomalies AS
SELECT
    capture_id AS named_capture_id,
    window_id AS named_window_id,
    groupArray((
        if(flow_src = '', toIPv6OrDefault(source_ip), toIPv6OrDefault(trim(BOTH '[]' FROM extract(flow_src, '^(.*):[0-9]+$')))),
        toUInt16OrZero(extract(flow_src, ':([0-9]+)$')),
        toIPv6OrDefault(trim(BOTH '[]' FROM extract(flow_dst, '^(.*):[0-9]+$'))),
        toUInt16OrZero(extract(flow_dst, ':([0-9]+)$')),
        flow_src = '',
        multiIf(
            type IN ('port_scan', 'traffic_spike'), if(severity = 'high', 85, 60),
            type IN ('protocol_anomaly', 'long_lived_conn'), if(severity = 'high', 60, 40),
            0
        ),
        type::String
    )::Tuple(a IPv6, a_port UInt16, b IPv6, b_port UInt16, is_source Bool, score Float64, type String)) AS named
FROM anomalies_now
WHERE flow_src != '' OR source_ip != ''
GROUP BY capture_id, window_id;

-- The verdict on the packets of each record.
CREATE VIEW IF NOT EXISTS record_verdicts AS
SELECT
    v.*,
    100 * toFloat64(attack_probability) AS classifier_score,
    arrayFilter(
        x -> (x.is_source AND x.a = src_ip)
            OR (NOT x.is_source AND (
                (x.a = src_ip AND x.a_port = src_port AND x.b = dst_ip AND x.b_port = dst_port)
                OR (x.a = dst_ip AND x.a_port = dst_port AND x.b = src_ip AND x.b_port = src_port))),
        named
    ) AS naming,
    arrayMax(x -> x.score, arrayPushBack(naming, (src_ip, 0, dst_ip, 0, false, 0, '')::Tuple(a IPv6, a_port UInt16, b IPv6, b_port UInt16, is_source Bool, score Float64, type String))) AS anomaly_score,
    arraySort(arrayMap(x -> x.type, arrayFilter(x -> x.score = anomaly_score, naming)))[1] AS anomaly_type,
    greatest(classifier_score, anomaly_score) AS threat_score,
    multiIf(threat_score >= 80, 'MALICIOUS', threat_score >= 40, 'SUSPICIOUS', 'BENIGN') AS threat,
    multiIf(
        threat = 'BENIGN', 'BENIGN',
        classifier_score >= 40 AND class_name != 'BENIGN', class_name::String,
        anomaly_score >= 40, anomaly_type,
        'UNKNOWN'
    ) AS attack_class
FROM packet_verdicts AS v
LEFT JOIN threat_anomalies ON capture_id = named_capture_id AND window_id = named_window_id;
