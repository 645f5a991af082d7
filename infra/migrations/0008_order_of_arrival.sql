-- Rows keep the number of their insert through merges: the exact order in which they became visible. What streams of
-- new windows and anomalies are read by; see api/cursor.py.

ALTER TABLE windows MODIFY SETTING enable_block_number_column = 1, enable_block_offset_column = 1;

ALTER TABLE anomalies MODIFY SETTING enable_block_number_column = 1, enable_block_offset_column = 1;
