-- The registry of models, who has which role, and how they do.

CREATE TABLE IF NOT EXISTS models
(
    fingerprint String,
    version String,
    trained_at String,
    registered_ns Int64,
    registered_by String,
    note String,
    data_sha256 String,
    n_features UInt16,
    classes Array(String),
    epochs UInt32,
    metrics Map(String, Float64),
    flows_by_class Map(String, UInt64),
    plan Map(String, String),
    size_bytes UInt64,
    bundle String CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree(registered_ns)
ORDER BY (fingerprint)
SETTINGS non_replicated_deduplication_window = 10000, min_bytes_for_full_part_storage = 67108864;

CREATE TABLE IF NOT EXISTS model_roles
(
    role LowCardinality(String),
    changed_ns UInt64,
    fingerprint String,
    previous String,
    changed_by LowCardinality(String),
    action LowCardinality(String),
    reason String
)
ENGINE = ReplacingMergeTree
ORDER BY (role, changed_ns)
SETTINGS non_replicated_deduplication_window = 10000, min_bytes_for_full_part_storage = 67108864;

CREATE TABLE IF NOT EXISTS model_windows
(
    model LowCardinality(String),
    role LowCardinality(String),
    capture_id LowCardinality(String),
    window_id UInt32,
    slot UInt8,
    verdicts SimpleAggregateFunction(sum, UInt64),
    uncertain SimpleAggregateFunction(sum, UInt64),
    attacks SimpleAggregateFunction(sum, UInt64),
    confidence_sum SimpleAggregateFunction(sum, Float64),
    outside_sum SimpleAggregateFunction(sum, Float64),
    last_ns SimpleAggregateFunction(max, Int64),
    seen_at SimpleAggregateFunction(min, DateTime64(3, 'UTC')),
    inserted_at SimpleAggregateFunction(max, DateTime('UTC')) DEFAULT now()
)
ENGINE = AggregatingMergeTree
ORDER BY (model, role, capture_id, window_id, slot)
TTL inserted_at + toIntervalDay({flows_ttl_days})
SETTINGS non_replicated_deduplication_window = 10000, min_bytes_for_full_part_storage = 67108864;

CREATE TABLE IF NOT EXISTS model_drift
(
    model LowCardinality(String),
    signal LowCardinality(String),
    version UInt64,
    windows UInt32,
    verdicts UInt64,
    mean Float64,
    before Nullable(Float64),
    changes UInt32,
    changed_ns Nullable(Int64),
    changed_capture String
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (model, signal)
SETTINGS non_replicated_deduplication_window = 10000, min_bytes_for_full_part_storage = 67108864;

CREATE MATERIALIZED VIEW IF NOT EXISTS model_windows_filled TO model_windows AS
SELECT
    model,
    role,
    capture_id,
    window_id,
    flow_id % 4 AS slot,
    count() AS verdicts,
    countIf(is_uncertain) AS uncertain,
    countIf(class_name != 'BENIGN' AND NOT is_uncertain) AS attacks,
    sum(toFloat64(confidence)) AS confidence_sum,
    sum(toFloat64(outside)) AS outside_sum,
    max(end_ns) AS last_ns,
    now64(3, 'UTC') AS seen_at
FROM classifications
GROUP BY model, role, capture_id, window_id, slot;

CREATE VIEW IF NOT EXISTS models_now AS
SELECT * FROM models FINAL;

-- Who has a role now; an empty fingerprint is nobody.
CREATE VIEW IF NOT EXISTS model_roles_now AS
SELECT * FROM model_roles FINAL ORDER BY changed_ns DESC LIMIT 1 BY role;

CREATE VIEW IF NOT EXISTS model_drift_now AS
SELECT * FROM model_drift FINAL;
