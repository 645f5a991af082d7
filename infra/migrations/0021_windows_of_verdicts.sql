-- Records by their windows: what anomalies raise is found without reading all the others. Records come in the order of
-- their windows, so the least and the most of a granule say enough.

ALTER TABLE packet_verdicts ADD INDEX IF NOT EXISTS by_window window_id TYPE minmax GRANULARITY 1;
ALTER TABLE packet_verdicts MATERIALIZE INDEX by_window;
