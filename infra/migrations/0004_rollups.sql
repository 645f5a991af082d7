-- Packets and bytes per protocol in 1 min, 5 min and 1 h. One view adds an insert's packets up by minute once and
-- the three intervals from the minutes. {windows_ttl_days} is the retention setting, as in 0001.

CREATE TABLE IF NOT EXISTS traffic
(
    capture_id LowCardinality(String),
    interval_s UInt16,
    start_ns Int64 CODEC(Delta(8), LZ4),
    protocol UInt8,
    packets SimpleAggregateFunction(sum, UInt64),
    bytes SimpleAggregateFunction(sum, UInt64),
    payload_bytes SimpleAggregateFunction(sum, UInt64),
    inserted_at SimpleAggregateFunction(max, DateTime('UTC')) DEFAULT now(),
    start DateTime64(0, 'UTC') ALIAS fromUnixTimestamp64Nano(start_ns, 'UTC')
)
ENGINE = AggregatingMergeTree
ORDER BY (capture_id, interval_s, start_ns, protocol)
TTL inserted_at + toIntervalDay({windows_ttl_days})
SETTINGS non_replicated_deduplication_window = 10000, min_bytes_for_full_part_storage = 67108864;

CREATE MATERIALIZED VIEW IF NOT EXISTS traffic_from_packet_logs TO traffic AS
SELECT
    capture_id,
    interval_s,
    minute_ns - positiveModulo(minute_ns, interval_s * 1000000000) AS start_ns,
    protocol,
    sum(minute_packets) AS packets,
    sum(minute_bytes) AS bytes,
    sum(minute_payload_bytes) AS payload_bytes,
    now() AS inserted_at
FROM
(
    SELECT
        capture_id,
        ts_ns - positiveModulo(ts_ns, 60000000000) AS minute_ns,
        protocol,
        count() AS minute_packets,
        sum(length_bytes) AS minute_bytes,
        sum(packet_logs.payload_bytes) AS minute_payload_bytes
    FROM packet_logs
    GROUP BY capture_id, minute_ns, protocol
)
ARRAY JOIN [60, 300, 3600]::Array(UInt16) AS interval_s
GROUP BY capture_id, interval_s, start_ns, protocol;

CREATE VIEW IF NOT EXISTS traffic_1m AS
SELECT capture_id, start_ns, start, protocol, sum(traffic.packets) AS packets, sum(traffic.bytes) AS bytes, sum(traffic.payload_bytes) AS payload_bytes
FROM traffic
WHERE interval_s = 60
GROUP BY capture_id, start_ns, start, protocol;

CREATE VIEW IF NOT EXISTS traffic_5m AS
SELECT capture_id, start_ns, start, protocol, sum(traffic.packets) AS packets, sum(traffic.bytes) AS bytes, sum(traffic.payload_bytes) AS payload_bytes
FROM traffic
WHERE interval_s = 300
GROUP BY capture_id, start_ns, start, protocol;

CREATE VIEW IF NOT EXISTS traffic_1h AS
SELECT capture_id, start_ns, start, protocol, sum(traffic.packets) AS packets, sum(traffic.bytes) AS bytes, sum(traffic.payload_bytes) AS payload_bytes
FROM traffic
WHERE interval_s = 3600
GROUP BY capture_id, start_ns, start, protocol;
