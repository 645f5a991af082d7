-- What was found in the windows, what is usual, and what was judged again on request.

CREATE TABLE IF NOT EXISTS anomalies
(
    capture_id LowCardinality(String),
    window_id UInt32 CODEC(Delta, ZSTD(1)),
    anomaly_id String,
    run_id LowCardinality(String),
    version UInt64,
    window_start_ns Int64 CODEC(DoubleDelta, ZSTD(1)),
    window_end_ns Int64 CODEC(DoubleDelta, ZSTD(1)),
    type LowCardinality(String),
    signal LowCardinality(String),
    severity LowCardinality(String),
    message String CODEC(ZSTD(1)),
    metric LowCardinality(String),
    current_value Float64,
    threshold Float64,
    baseline_mean Nullable(Float64),
    deviation Nullable(Float64),
    source_ip String,
    destination_ip String,
    flow_src String,
    flow_dst String,
    protocol LowCardinality(String),
    subject String,
    incident_id String,
    incident_start_ns Int64 CODEC(ZSTD(1)),
    incident_count UInt32 CODEC(ZSTD(1)),
    folded UInt32 CODEC(ZSTD(1)),
    explanation String CODEC(ZSTD(3)),
    hosts Array(String) CODEC(ZSTD(1)),
    flows Array(Tuple(src_ip String, src_port UInt16, dst_ip String, dst_port UInt16, protocol UInt8, name String, first_ts_ns Int64, last_ts_ns Int64, packets_forward UInt64, packets_backward UInt64, bytes_forward UInt64, bytes_backward UInt64, data_segments_forward UInt32, data_segments_backward UInt32, retransmissions_forward UInt32, retransmissions_backward UInt32, rtt_count UInt32, rtt_sum_ns UInt64, rtt_max_ns Int64)) CODEC(ZSTD(1)),
    inserted_at DateTime('UTC') MATERIALIZED now() CODEC(Delta(4), LZ4)
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (capture_id, window_id, anomaly_id, run_id)
TTL inserted_at + toIntervalDay({windows_ttl_days})
SETTINGS non_replicated_deduplication_window = 10000, min_bytes_for_full_part_storage = 67108864, ttl_only_drop_parts = 1;

CREATE TABLE IF NOT EXISTS baselines
(
    source LowCardinality(String),
    kind LowCardinality(String),
    subject String CODEC(ZSTD(1)),
    version UInt64 CODEC(T64, ZSTD(1)),
    origin LowCardinality(String),
    capture_id LowCardinality(String),
    window_id UInt32 CODEC(Delta, ZSTD(1)),
    window_end_ns Int64 CODEC(DoubleDelta, ZSTD(1)),
    windows UInt64 CODEC(T64, ZSTD(1)),
    held_back UInt64 CODEC(T64, ZSTD(1)),
    unit LowCardinality(String),
    mean Nullable(Float64) CODEC(ZSTD(1)),
    std Nullable(Float64) CODEC(ZSTD(1)),
    median Nullable(Float64) CODEC(ZSTD(1)),
    min Nullable(Float64) CODEC(ZSTD(1)),
    max Nullable(Float64) CODEC(ZSTD(1)),
    p95 Nullable(Float64) CODEC(ZSTD(1)),
    p99 Nullable(Float64) CODEC(ZSTD(1)),
    recent_mean Nullable(Float64) CODEC(ZSTD(1)),
    drift_alarms UInt32,
    last_drift_ns Nullable(Int64) CODEC(ZSTD(1)),
    distribution Map(LowCardinality(String), Float64) CODEC(ZSTD(1)),
    hours Map(UInt8, Float64) CODEC(ZSTD(1)),
    extra Map(LowCardinality(String), Float64) CODEC(ZSTD(1)),
    inserted_at DateTime('UTC') MATERIALIZED now() CODEC(Delta(4), LZ4)
)
ENGINE = ReplacingMergeTree
ORDER BY (source, kind, subject, version)
TTL inserted_at + toIntervalDay({windows_ttl_days})
SETTINGS non_replicated_deduplication_window = 10000, min_bytes_for_full_part_storage = 67108864, ttl_only_drop_parts = 1;

CREATE TABLE IF NOT EXISTS analysis_runs
(
    run_id String,
    capture_id LowCardinality(String),
    kind LowCardinality(String),
    state LowCardinality(String),
    version UInt64,
    is_dry_run Bool,
    first_window_id UInt32,
    last_window_id UInt32,
    windows UInt32,
    anomalies UInt32,
    thresholds String CODEC(ZSTD(1)),
    started_ns Int64,
    ended_ns Nullable(Int64),
    result String CODEC(ZSTD(1)),
    error String,
    inserted_at DateTime('UTC') MATERIALIZED now() CODEC(Delta(4), LZ4)
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (capture_id, run_id)
TTL inserted_at + toIntervalDay({windows_ttl_days})
SETTINGS non_replicated_deduplication_window = 10000, min_bytes_for_full_part_storage = 67108864, ttl_only_drop_parts = 1;

-- The newest version of every baseline.
CREATE VIEW IF NOT EXISTS baselines_now AS
SELECT * FROM baselines FINAL ORDER BY version DESC LIMIT 1 BY source, kind, subject;

CREATE VIEW IF NOT EXISTS analysis_runs_now AS
SELECT * FROM analysis_runs FINAL;

-- The anomalies that count: of each window those of the newest run that judged it again and is complete (a dry run
-- only shows), else the stream's own, whose run is ''. Ids of runs sort by time.
CREATE VIEW IF NOT EXISTS anomalies_now AS
SELECT anomalies.*
FROM (SELECT * FROM anomalies FINAL) AS anomalies
LEFT JOIN
(
    SELECT capture_id, groupArray((run_id, first_window_id, last_window_id)) AS runs
    FROM analysis_runs FINAL
    WHERE kind = 'detect' AND state = 'complete' AND NOT is_dry_run
    GROUP BY capture_id
) AS judged ON anomalies.capture_id = judged.capture_id
WHERE anomalies.run_id = arrayReverseSort(arrayMap(
    run -> run.1,
    arrayFilter(run -> anomalies.window_id >= run.2 AND anomalies.window_id <= run.3, judged.runs)
))[1];

-- Who has gone silent is ended by others, unless a worker reads it again.
ALTER TABLE captures ADD COLUMN IF NOT EXISTS is_requested Bool AFTER error;

-- A capture is stored once its windows have been judged, too. Captures that were merged before there was an analysis
-- will not be judged: their ledger says so, and they stay stored.
INSERT INTO ledger (capture_id, hop, partition, reason, packets_in, packets_out, version)
SELECT capture_id, 'analysis', -1, reason, packets_out, packets_out, version
FROM ledger FINAL
ARRAY JOIN ['', 'before_analysis'] AS reason
WHERE ledger.hop = 'merge' AND capture_id NOT IN (SELECT capture_id FROM ledger WHERE hop = 'analysis');

CREATE OR REPLACE VIEW captures_now AS
SELECT
    captures.*,
    captures.state = 'complete' AND stored.partitions_stored >= captures.partitions
        AND stored.merges > 0 AND stored.analyses > 0 AS is_stored
FROM (SELECT * FROM captures FINAL) AS captures
LEFT JOIN
(
    SELECT
        capture_id,
        uniqExactIf(partition, hop = 'store' AND partition >= 0) AS partitions_stored,
        countIf(hop = 'merge') AS merges,
        countIf(hop = 'analysis') AS analyses
    FROM ledger
    GROUP BY capture_id
) AS stored ON captures.capture_id = stored.capture_id;
