-- What a live capture lost and left out.

ALTER TABLE captures
    ADD COLUMN IF NOT EXISTS packets_lost UInt64 AFTER error,
    ADD COLUMN IF NOT EXISTS sampling_rate Float64 AFTER packets_lost;

-- Captures from before left nothing out.
ALTER TABLE captures UPDATE sampling_rate = 1 WHERE sampling_rate = 0;

-- A view keeps the columns that its table had when it was made.
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
