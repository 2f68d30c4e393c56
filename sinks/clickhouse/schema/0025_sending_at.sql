-- Rows that came after 0013 and before 0022 from a version without `sending_at`, and rows merged with them, have NULL stored, which no
-- default replaces. ClickHouse fills them in the background, and writes no other part anew.
ALTER TABLE sms_status {{on_cluster}} UPDATE sending_at = coalesce(queued_at, sent_at)
WHERE isNull(sending_at) AND isNotNull(coalesce(queued_at, sent_at));
