-- What detectors judge by: hosts, failed contacts, notable conversations, ages; and the share kept under overload.

ALTER TABLE windows
    ADD COLUMN IF NOT EXISTS sampling_rate Float64 CODEC(ZSTD(1)) AFTER lost_upstream,
    ADD COLUMN IF NOT EXISTS tcp_retransmissions UInt64 CODEC(T64, ZSTD(1)) AFTER sampling_rate,
    ADD COLUMN IF NOT EXISTS host_traffic Array(Tuple(ip String, bytes_sent UInt64, bytes_received UInt64, conversations UInt64)) CODEC(ZSTD(1)) AFTER tcp_retransmissions,
    ADD COLUMN IF NOT EXISTS scan_sources Array(Tuple(src_ip String, targets UInt32, failed_targets UInt32, max_ports UInt32, max_hosts UInt32)) CODEC(ZSTD(1)) AFTER host_traffic,
    ADD COLUMN IF NOT EXISTS contacts Array(Tuple(src_ip String, dst_ip String, dst_port UInt16, protocol UInt8, conversations UInt32, resets UInt32)) CODEC(ZSTD(1)) AFTER scan_sources,
    ADD COLUMN IF NOT EXISTS service_clients Array(Tuple(src_ip String, dst_ip String, dst_port UInt16, protocol UInt8, name String, conversations UInt32, begun UInt32, failed UInt32, packets_forward UInt64, packets_backward UInt64, bytes_forward UInt64, bytes_backward UInt64)) CODEC(ZSTD(1)) AFTER contacts,
    ADD COLUMN IF NOT EXISTS responders Array(Tuple(dst_ip String, sources UInt32, conversations UInt32, begun UInt32, failed UInt32, packets_forward UInt64, packets_backward UInt64, bytes_forward UInt64, bytes_backward UInt64)) CODEC(ZSTD(1)) AFTER service_clients,
    ADD COLUMN IF NOT EXISTS conversations Array(Tuple(src_ip String, src_port UInt16, dst_ip String, dst_port UInt16, protocol UInt8, name String, first_ts_ns Int64, last_ts_ns Int64, packets_forward UInt64, packets_backward UInt64, bytes_forward UInt64, bytes_backward UInt64, data_segments_forward UInt32, data_segments_backward UInt32, retransmissions_forward UInt32, retransmissions_backward UInt32, rtt_count UInt32, rtt_sum_ns UInt64, rtt_max_ns Int64)) CODEC(ZSTD(1)) AFTER responders,
    ADD COLUMN IF NOT EXISTS age_median_ns Nullable(Int64) CODEC(ZSTD(1)) AFTER conversations,
    ADD COLUMN IF NOT EXISTS age_p95_ns Nullable(Int64) CODEC(ZSTD(1)) AFTER age_median_ns,
    ADD COLUMN IF NOT EXISTS age_max_ns Nullable(Int64) CODEC(ZSTD(1)) AFTER age_p95_ns;

-- What was stored before was never sampled.
ALTER TABLE windows UPDATE sampling_rate = 1 WHERE sampling_rate = 0;

-- A view keeps the columns that its table had when it was made.
CREATE OR REPLACE VIEW windows_now AS
SELECT * FROM windows FINAL;
