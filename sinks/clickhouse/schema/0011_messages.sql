-- The state of a message is that of its newest record, as streams has put it together.
CREATE OR REPLACE VIEW messages {{on_cluster}}
AS SELECT
    message_id, campaign_tracking_id, campaign_name, recipient, sender, country, operator,
    status, is_final, parts, parts_seen, latency_seconds, price, first_received_at, received_at,
    previous_status, generation, revision
FROM message_status FINAL
WHERE status != ''
COMMENT 'A row per message: all its parts together';

-- Each part has callbacks of its own: a part never heard of means lost callbacks, or that they are still on their way.
CREATE OR REPLACE VIEW missing_parts {{on_cluster}}
AS SELECT
    message_id,
    campaign_tracking_id,
    parts,
    parts_seen,
    -- No SMS has more than 255 parts; a wrong number must not become a long list.
    arrayFilter(number -> NOT has(seen, number), range(1, least(parts, 255) + 1)) AS missing
FROM
(
    SELECT message_id, campaign_tracking_id, parts, parts_seen FROM messages WHERE parts_seen < parts
) AS incomplete
LEFT JOIN
(
    SELECT message_id, groupUniqArray(ifNull(part, 1)) AS seen
    FROM sms
    WHERE message_id IN (SELECT message_id FROM messages WHERE parts_seen < parts)
    GROUP BY message_id
) AS known USING (message_id)
COMMENT 'Messages of which parts were never heard of. missing: the numbers of those parts';
