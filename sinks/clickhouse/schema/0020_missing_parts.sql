-- Messages of which parts are missing are few where rows are merged. Any row that says so leads to them, also an older one; the row that
-- stands is read for these alone. `message_id` is the order of message_status, so PREWHERE may take rows away before FINAL.
CREATE OR REPLACE VIEW missing_parts {{on_cluster}}
AS SELECT
    message_id,
    campaign_tracking_id,
    parts,
    parts_seen,
    -- No SMS has more than 255 parts; a wrong number must not become a long list.
    arrayFilter(number -> NOT has(seen, number), range(1, least(parts, 255) + 1)) AS missing,
    first_received_at,
    received_at
FROM
(
    SELECT message_id, campaign_tracking_id, parts, parts_seen, first_received_at, received_at
    FROM message_status FINAL
    PREWHERE message_id IN (SELECT message_id FROM message_status WHERE parts_seen < parts)
    WHERE parts_seen < parts AND status != ''
) AS incomplete
LEFT JOIN
(
    SELECT message_id, groupUniqArray(ifNull(part, 1)) AS seen
    FROM sms
    WHERE message_id IN (SELECT message_id FROM message_status WHERE parts_seen < parts)
    GROUP BY message_id
) AS known USING (message_id)
COMMENT 'Messages of which parts were never heard of. missing: the numbers of those parts';
