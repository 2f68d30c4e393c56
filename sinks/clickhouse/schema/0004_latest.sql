-- What people query: the tables above, de-duplicated at the moment of reading.
CREATE OR REPLACE VIEW sms {{on_cluster}}
AS SELECT * FROM sms_status FINAL
COMMENT 'A row per SMS part: its latest state';

CREATE OR REPLACE VIEW sms_history {{on_cluster}}
AS SELECT * FROM sms_status_history FINAL
COMMENT 'A row per change of an SMS part';

CREATE OR REPLACE VIEW campaigns {{on_cluster}}
AS SELECT * FROM campaign_progress FINAL
COMMENT 'A row per campaign: its latest progress';

CREATE OR REPLACE VIEW campaign_history {{on_cluster}}
AS SELECT * FROM campaign_progress_history FINAL
COMMENT 'A row per progress record of a campaign';

CREATE OR REPLACE VIEW rejections {{on_cluster}}
AS SELECT * FROM rejected_callbacks FINAL
COMMENT 'A row per refused callback';

-- A part that calls itself 1 of 1 is a message; the others are put together, which costs more the more there are.
-- The status of several parts is that of the least advanced, and a part not seen yet counts as Sent; when all are
-- final it is Delivered if every part is, else the worst: Failed, Unsent, Undelivered, in that order.
CREATE OR REPLACE VIEW messages {{on_cluster}}
AS
SELECT
    message_id, campaign_tracking_id, campaign_name, recipient, sender, country, operator,
    status, is_final, toInt32(1) AS parts, toUInt64(1) AS parts_seen,
    latency_seconds, toDecimal128(price, 8) AS price, first_received_at, received_at
FROM sms AS s  -- without `s.` the condition would read the 1 that is selected as `parts`
WHERE ifNull(s.parts, 0) = 1 AND ifNull(s.part, 1) = 1
UNION ALL
SELECT
    message_id, campaign_tracking_id, campaign_name, recipient, sender, country, operator,
    multiIf(
        queued > 0, 'Queued',
        parts_seen < parts OR sent > 0, 'Sent',
        final < parts_seen, unknown_status,
        failed > 0, 'Failed',
        unsent > 0, 'Unsent',
        undelivered > 0, 'Undelivered',
        'Delivered') AS status,
    final = parts_seen AND parts_seen >= parts AS is_final, parts, parts_seen,
    latency_seconds, price, first_received_at, received_at
FROM
(
    SELECT
        message_id,
        any(s.campaign_tracking_id) AS campaign_tracking_id,
        any(s.campaign_name) AS campaign_name,
        any(s.recipient) AS recipient,
        any(s.sender) AS sender,
        any(s.country) AS country,
        any(s.operator) AS operator,
        countIf(s.status = 'Queued') AS queued,
        countIf(s.status = 'Sent') AS sent,
        countIf(s.is_final) AS final,
        countIf(s.status = 'Failed') AS failed,
        countIf(s.status = 'Unsent') AS unsent,
        countIf(s.status = 'Undelivered') AS undelivered,
        minIf(s.status, NOT s.is_final) AS unknown_status,
        toInt32(ifNull(max(s.parts), count())) AS parts,
        count() AS parts_seen,
        max(s.latency_seconds) AS latency_seconds,
        sum(s.price) AS price,
        min(s.first_received_at) AS first_received_at,
        max(s.received_at) AS received_at
    FROM sms AS s
    WHERE NOT (ifNull(s.parts, 0) = 1 AND ifNull(s.part, 1) = 1)
    GROUP BY message_id
)
COMMENT 'A row per message: all its parts together';
