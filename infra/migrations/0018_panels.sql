-- What dashboards read: views made for panels, and the indexes by which they find a time. See docs/grafana.md.
--
-- `at` is a DateTime in every view. Division and conversion keep the order, so that a condition on `at` is one on
-- the nanoseconds below, and the keys and indexes of the tables serve it.

-- How the pipeline itself does: what the storage agents' timer writes, see agents/pipeline_figures.py.
CREATE TABLE IF NOT EXISTS pipeline
(
    at_ns Int64 CODEC(DoubleDelta, ZSTD(1)),
    process LowCardinality(String),
    figure LowCardinality(String),
    subject LowCardinality(String),
    value Float64 CODEC(ZSTD(1)),
    inserted_at DateTime('UTC') MATERIALIZED now() CODEC(Delta(4), LZ4)
)
ENGINE = MergeTree
ORDER BY (at_ns, process, figure, subject)
TTL inserted_at + toIntervalDay({windows_ttl_days})
SETTINGS non_replicated_deduplication_window = 10000, min_bytes_for_full_part_storage = 67108864, ttl_only_drop_parts = 1;

-- Rows lie by capture and window; within a capture these rise with the window, so that the least and greatest of a few
-- thousand rows tell whether they are of a time.
ALTER TABLE windows ADD INDEX IF NOT EXISTS by_start window_start_ns TYPE minmax GRANULARITY 1;
ALTER TABLE windows MATERIALIZE INDEX by_start;
ALTER TABLE anomalies ADD INDEX IF NOT EXISTS by_start window_start_ns TYPE minmax GRANULARITY 1;
ALTER TABLE anomalies MATERIALIZE INDEX by_start;
ALTER TABLE model_windows ADD INDEX IF NOT EXISTS by_last last_ns TYPE minmax GRANULARITY 1;
ALTER TABLE model_windows MATERIALIZE INDEX by_last;

CREATE OR REPLACE VIEW panel_captures AS
SELECT
    capture_id,
    toDateTime(intDiv(started_ns, 1000000000), 'UTC') AS at,
    sensor,
    source,
    name,
    concat(name, ' · ', sensor, ' · ', formatDateTime(at, '%F %T')) AS label,
    state,
    toDateTime(intDiv(ended_ns, 1000000000), 'UTC') AS ended,
    toDateTime(intDiv(first_ts_ns, 1000000000), 'UTC') AS first_at,
    toDateTime(intDiv(last_ts_ns, 1000000000), 'UTC') AS last_at,
    packets,
    bytes,
    packets_lost,
    sampling_rate,
    is_stored,
    error
FROM captures_now;

-- The rollup that fits a step: 1 min, 5 min from steps of 5 min on, 1 h from steps of an hour on.
CREATE OR REPLACE VIEW panel_traffic AS
SELECT
    toDateTime(intDiv(start_ns, 1000000000), 'UTC') AS at,
    capture_id,
    transform(
        protocol,
        [0, 1, 2, 4, 6, 8, 9, 17, 27, 33, 41, 46, 47, 50, 51, 58, 59, 88, 89, 94, 97, 103, 108, 112, 115, 132, 136, 137, 255]::Array(UInt8),
        ['hopopt', 'icmp', 'igmp', 'ipv4', 'tcp', 'egp', 'igp', 'udp', 'rdp', 'dccp', 'ipv6', 'rsvp', 'gre', 'esp', 'ah', 'ipv6-icmp', 'ipv6-nonxt', 'eigrp', 'ospf', 'ipip', 'etherip', 'pim', 'ipcomp', 'vrrp', 'l2tp', 'sctp', 'udplite', 'mpls-in-ip', 'no IP'],
        concat('ip-', toString(protocol))
    ) AS ip_protocol,
    sum(traffic.packets) AS packets,
    sum(traffic.bytes) AS bytes,
    sum(traffic.payload_bytes) AS payload_bytes
FROM traffic
WHERE interval_s = multiIf({step_s:UInt32} >= 3600, 3600, {step_s:UInt32} >= 300, 300, 60)
GROUP BY at, capture_id, ip_protocol;

CREATE OR REPLACE VIEW panel_windows AS
SELECT
    toDateTime(intDiv(window_start_ns, 1000000000), 'UTC') AS at,
    capture_id,
    window_id,
    (window_end_ns - window_start_ns) / 1e9 AS seconds,
    record_count AS packets,
    windows.bytes AS bytes,
    hosts,
    connections_total AS connections,
    connections_failed,
    connections_half_open,
    rtt_count,
    rtt_sum_ns / 1e6 AS rtt_sum_ms,
    rtt_p95_ns / 1e6 AS rtt_p95_ms,
    tcp_data_segments,
    tcp_retransmissions,
    late_packets,
    lost_upstream,
    is_complete,
    sampling_rate,
    arraySum(mapValues(undecoded)) AS undecoded_packets,
    protocol_packets,
    protocol_bytes,
    greatest(0, toUnixTimestamp(inserted_at) - window_end_ns / 1e9) AS stored_after_s
FROM windows FINAL;

-- Of the hosts that a window lists.
CREATE OR REPLACE VIEW panel_talkers AS
SELECT
    toDateTime(intDiv(window_start_ns, 1000000000), 'UTC') AS at,
    capture_id,
    talker.ip AS host,
    talker.bytes_sent AS bytes_sent,
    talker.bytes_received AS bytes_received,
    talker.conversations AS conversations
FROM windows FINAL
ARRAY JOIN host_traffic AS talker;

-- One host, window by window; 0 where the window does not list it.
CREATE OR REPLACE VIEW panel_host AS
SELECT
    toDateTime(intDiv(window_start_ns, 1000000000), 'UTC') AS at,
    capture_id,
    (window_end_ns - window_start_ns) / 1e9 AS seconds,
    indexOf(host_traffic.ip, {host:String}) AS place,
    host_traffic.bytes_sent[place] AS bytes_sent,
    host_traffic.bytes_received[place] AS bytes_received,
    host_traffic.conversations[place] AS conversations,
    sampling_rate
FROM windows FINAL;

CREATE OR REPLACE VIEW panel_ledger AS
SELECT
    capture_id,
    hop,
    transform(
        hop,
        ['nic', 'kernel', 'read', 'record', 'decode', 'sample', 'produce', 'windows', 'merge', 'store', 'analysis', 'flows', 'classifications'],
        range(1, 14)::Array(UInt8),
        99
    ) AS place,
    reason,
    sum(ledger_now.packets_in) AS packets_in,
    sum(ledger_now.packets_out) AS packets_out,
    if(reason != '', greatest(toInt64(packets_in) - toInt64(packets_out), 0), 0) AS packets_lost
FROM ledger_now
GROUP BY capture_id, hop, reason;

CREATE OR REPLACE VIEW panel_anomalies AS
SELECT
    toDateTime(intDiv(window_start_ns, 1000000000), 'UTC') AS at,
    toDateTime(intDiv(window_end_ns, 1000000000), 'UTC') AS at_end,
    capture_id,
    window_id,
    anomaly_id,
    incident_id,
    type,
    signal,
    severity,
    message,
    source_ip,
    destination_ip,
    protocol,
    metric,
    current_value,
    threshold,
    baseline_mean,
    deviation,
    folded,
    hosts
FROM anomalies_now;

-- The flows of one host, as it sees them.
CREATE OR REPLACE VIEW panel_host_flows AS
SELECT
    toDateTime(intDiv(start_ns, 1000000000), 'UTC') AS at,
    capture_id,
    flow_id,
    if(startsWith(IPv6NumToString(dst_ip), '::ffff:'), substring(IPv6NumToString(dst_ip), 8), IPv6NumToString(dst_ip)) AS peer,
    true AS is_originator,
    flows.protocol AS protocol,
    dst_port AS service_port,
    fwd_packets + bwd_packets AS packets,
    fwd_bytes AS bytes_sent,
    bwd_bytes AS bytes_received,
    (end_ns - start_ns) / 1e9 AS seconds,
    end_reason
FROM flows FINAL
WHERE src_ip = toIPv6OrDefault({host:String})
UNION ALL
SELECT
    toDateTime(intDiv(start_ns, 1000000000), 'UTC') AS at,
    capture_id,
    flow_id,
    if(startsWith(IPv6NumToString(src_ip), '::ffff:'), substring(IPv6NumToString(src_ip), 8), IPv6NumToString(src_ip)) AS peer,
    false AS is_originator,
    flows.protocol AS protocol,
    dst_port AS service_port,
    fwd_packets + bwd_packets AS packets,
    bwd_bytes AS bytes_sent,
    fwd_bytes AS bytes_received,
    (end_ns - start_ns) / 1e9 AS seconds,
    end_reason
FROM flows FINAL
WHERE dst_ip = toIPv6OrDefault({host:String}) AND src_ip != dst_ip;

-- The champion's verdict on the newest record of each flow.
CREATE OR REPLACE VIEW panel_verdicts AS
SELECT
    toDateTime(intDiv(end_ns, 1000000000), 'UTC') AS at,
    capture_id,
    lower(leftPad(hex(flow_id), 16, '0')) AS flow,
    if(startsWith(IPv6NumToString(src_ip), '::ffff:'), substring(IPv6NumToString(src_ip), 8), IPv6NumToString(src_ip)) AS originator,
    if(startsWith(IPv6NumToString(dst_ip), '::ffff:'), substring(IPv6NumToString(dst_ip), 8), IPv6NumToString(dst_ip)) AS responder,
    dst_port AS service_port,
    classifications.protocol AS protocol,
    class_name,
    confidence,
    attack_probability,
    is_uncertain,
    fwd_packets + bwd_packets AS packets,
    arrayStringConcat(arraySlice(reason_features, 1, 3), ', ') AS reasons,
    model
FROM classifications FINAL
WHERE role = 'champion';

-- The same on the flows of one host.
CREATE OR REPLACE VIEW panel_host_verdicts AS
SELECT
    toDateTime(intDiv(end_ns, 1000000000), 'UTC') AS at,
    capture_id,
    lower(leftPad(hex(flow_id), 16, '0')) AS flow,
    if(startsWith(IPv6NumToString(dst_ip), '::ffff:'), substring(IPv6NumToString(dst_ip), 8), IPv6NumToString(dst_ip)) AS peer,
    true AS is_originator,
    dst_port AS service_port,
    class_name,
    confidence,
    is_uncertain
FROM classifications FINAL
WHERE role = 'champion' AND src_ip = toIPv6OrDefault({host:String})
UNION ALL
SELECT
    toDateTime(intDiv(end_ns, 1000000000), 'UTC') AS at,
    capture_id,
    lower(leftPad(hex(flow_id), 16, '0')) AS flow,
    if(startsWith(IPv6NumToString(src_ip), '::ffff:'), substring(IPv6NumToString(src_ip), 8), IPv6NumToString(src_ip)) AS peer,
    false AS is_originator,
    dst_port AS service_port,
    class_name,
    confidence,
    is_uncertain
FROM classifications FINAL
WHERE role = 'champion' AND dst_ip = toIPv6OrDefault({host:String}) AND src_ip != dst_ip;

-- Packets by minute and what the classifier takes them for.
CREATE OR REPLACE VIEW panel_classes AS
SELECT
    toDateTime(intDiv(minute_ns, 1000000000), 'UTC') AS at,
    capture_id,
    class_name,
    threat,
    sum(traffic_stats.packets) AS packets,
    sum(traffic_stats.score_sum) AS score_sum
FROM traffic_stats
GROUP BY at, capture_id, class_name, threat;

-- What each model said, window by window.
CREATE OR REPLACE VIEW panel_models_said AS
SELECT
    toDateTime(intDiv(last_ns, 1000000000), 'UTC') AS at,
    model,
    role,
    capture_id,
    verdicts,
    uncertain,
    attacks,
    confidence_sum,
    outside_sum
FROM model_windows;

CREATE OR REPLACE VIEW panel_drift AS
SELECT
    model,
    signal,
    toDateTime(intDiv(version, 1000000000), 'UTC') AS at,
    windows,
    verdicts,
    mean,
    before,
    changes,
    toDateTime(intDiv(changed_ns, 1000000000), 'UTC') AS changed,
    changed_capture
FROM model_drift_now;

CREATE OR REPLACE VIEW panel_models AS
SELECT
    role,
    fingerprint AS model,
    models.version AS version,
    models.trained_at AS trained_at,
    toDateTime(intDiv(changed_ns, 1000000000), 'UTC') AS since,
    changed_by,
    reason
FROM model_roles_now
LEFT JOIN (SELECT fingerprint, version, trained_at FROM models_now) AS models USING fingerprint
WHERE fingerprint != '';

-- What was usual, report by report; the band is what windows are judged by, mean ± 2 standard deviations.
CREATE OR REPLACE VIEW panel_baselines AS
SELECT
    toDateTime(intDiv(window_end_ns, 1000000000), 'UTC') AS at,
    source,
    capture_id,
    kind,
    subject AS host,
    unit,
    baselines.windows AS windows,
    if(mapContains(extra, 'band_mean'), extra['band_mean'], mean) AS usual,
    if(mapContains(extra, 'band_std'), extra['band_std'], std) AS deviation,
    greatest(usual - 2 * deviation, 0) AS lower,
    usual + 2 * deviation AS upper,
    p99,
    drift_alarms,
    toDateTime(intDiv(last_drift_ns, 1000000000), 'UTC') AS last_drift
FROM baselines FINAL;

CREATE OR REPLACE VIEW panel_pipeline AS
SELECT
    toDateTime(intDiv(at_ns, 1000000000), 'UTC') AS at,
    process,
    figure,
    subject,
    value
FROM pipeline;

-- What somebody should look at: incidents, captures that failed or lost packets, models that drift. `at` is when it was
-- seen last.
CREATE OR REPLACE VIEW panel_troubles AS
SELECT
    max(panel_anomalies.at_end) AS at,
    capture_id,
    if(countIf(severity = 'high') > 0, 'high', 'medium') AS severity,
    any(type)::String AS kind,
    argMax(message, panel_anomalies.at) AS what,
    count() AS times,
    argMax(panel_anomalies.anomaly_id, panel_anomalies.at) AS anomaly_id
FROM panel_anomalies
WHERE panel_anomalies.at >= {since:DateTime}
GROUP BY capture_id, incident_id
UNION ALL
SELECT
    coalesce(ended, at),
    capture_id,
    'high',
    'capture_failed',
    concat(name, ': ', error),
    1,
    ''
FROM panel_captures
WHERE state = 'failed'
UNION ALL
SELECT
    coalesce(ended, last_at, at),
    capture_id,
    'medium',
    'packets_lost',
    concat(name, ' lost ', toString(packets_lost), ' packets before they could be read'),
    1,
    ''
FROM panel_captures
WHERE packets_lost > 0
UNION ALL
SELECT
    coalesce(changed, at),
    changed_capture,
    'medium',
    'drift',
    concat('the ', signal, ' of the model ', model, ' went from ', toString(round(assumeNotNull(before), 3)), ' to ', toString(round(mean, 3))),
    changes,
    ''
FROM panel_drift
WHERE changes > 0 AND before IS NOT NULL;
