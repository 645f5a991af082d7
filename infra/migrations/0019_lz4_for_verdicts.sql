-- LZ4 for every column of a record's verdict. Parts that are there stay as they are until they are merged.

ALTER TABLE packet_verdicts
    MODIFY COLUMN flow_id CODEC(LZ4),
    MODIFY COLUMN window_id CODEC(Delta, LZ4),
    MODIFY COLUMN start_ns CODEC(DoubleDelta, LZ4),
    MODIFY COLUMN end_ns CODEC(DoubleDelta, LZ4),
    MODIFY COLUMN since_frame CODEC(Delta, LZ4),
    MODIFY COLUMN last_frame CODEC(Delta, LZ4),
    MODIFY COLUMN src_ip CODEC(LZ4),
    MODIFY COLUMN dst_ip CODEC(LZ4),
    MODIFY COLUMN src_port CODEC(LZ4),
    MODIFY COLUMN dst_port CODEC(LZ4),
    MODIFY COLUMN protocol CODEC(LZ4),
    MODIFY COLUMN vlan CODEC(LZ4),
    MODIFY COLUMN new_fwd_packets CODEC(T64, LZ4),
    MODIFY COLUMN new_bwd_packets CODEC(T64, LZ4),
    MODIFY COLUMN confidence CODEC(LZ4),
    MODIFY COLUMN attack_probability CODEC(LZ4);
