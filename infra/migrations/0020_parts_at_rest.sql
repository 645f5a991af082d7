-- Parts that are ten minutes old are merged, up to 256 MiB, also where inserting leaves many of them; merged ones are wide,
-- inserted ones compact. Parts that are there stay as they are until they are merged.

ALTER TABLE packet_logs
    MODIFY SETTING min_age_to_force_merge_seconds = 600, max_bytes_to_merge_at_max_space_in_pool = 268435456, min_level_for_wide_part = 1, min_bytes_for_wide_part = 10485760;

ALTER TABLE packet_verdicts
    MODIFY SETTING min_age_to_force_merge_seconds = 600, max_bytes_to_merge_at_max_space_in_pool = 268435456, min_level_for_wide_part = 1, min_bytes_for_wide_part = 10485760;
