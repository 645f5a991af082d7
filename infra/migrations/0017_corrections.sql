-- A window that late packets change is judged again: what is then not found any more does not count any more.

CREATE TABLE IF NOT EXISTS corrections
(
    capture_id LowCardinality(String),
    window_id UInt32 CODEC(Delta, ZSTD(1)),
    version UInt64 CODEC(T64, ZSTD(1)),
    signals Array(LowCardinality(String)) CODEC(ZSTD(1)),
    inserted_at DateTime('UTC') MATERIALIZED now() CODEC(Delta(4), LZ4)
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (capture_id, window_id)
TTL inserted_at + toIntervalDay({windows_ttl_days})
SETTINGS non_replicated_deduplication_window = 10000, min_bytes_for_full_part_storage = 67108864, ttl_only_drop_parts = 1;

-- As in 0007, less what the stream said of a window before a correction of it.
CREATE OR REPLACE VIEW anomalies_now AS
SELECT current.*
FROM
(
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
    ))[1]
) AS current
LEFT JOIN (SELECT capture_id, window_id, version, signals FROM corrections FINAL) AS corrected
    ON current.capture_id = corrected.capture_id AND current.window_id = corrected.window_id
WHERE current.run_id != '' OR current.version >= corrected.version OR NOT has(corrected.signals, current.signal);
