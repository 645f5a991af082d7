-- LZ4 for every column of a packet. Parts that are there stay as they are until they are merged.

ALTER TABLE packet_logs
    MODIFY COLUMN event_id CODEC(Delta, LZ4),
    MODIFY COLUMN src_ip CODEC(LZ4),
    MODIFY COLUMN dst_ip CODEC(LZ4);
