-- A part of up to 128 MiB is a few files instead of three for each of its columns: every batch makes two parts, and
-- creating and removing their files was a fifth of the work of an insert.
ALTER TABLE sms_status {{on_cluster}} MODIFY SETTING min_bytes_for_wide_part = 134217728;

ALTER TABLE sms_status_history {{on_cluster}} MODIFY SETTING min_bytes_for_wide_part = 134217728;
