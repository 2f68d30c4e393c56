-- Lost callbacks, as far as the rows of the SMS tell of them.
--
-- An SMS that has a final status after `Sent` was both queued and sent. Where each of the two callbacks is lost with the
-- same chance p, of the SMS with a trace of them 2 p (1 - p) have one and (1 - p)² have both: p = one / (one + 2 both).
-- So SMS of OnCompletion, of which neither comes, need not be told from the others.
CREATE OR REPLACE VIEW lost_callbacks {{on_cluster}}
AS SELECT
    day,
    application_name,
    countIf(NOT is_unheard) AS sms,
    countIf(is_pulled) AS healed,
    countIf(is_open) + sumIf(unheard, is_unheard) AS still_missing,
    countIf(is_staged AND is_queued AND is_sent) AS both_stages,
    countIf(is_staged AND is_queued != is_sent) AS one_stage,
    if(both_stages = 0, NULL, one_stage / (one_stage + 2 * both_stages)) AS loss_estimate
FROM
(
    SELECT
        toDate(coalesce(s.sending_at, s.queued_at, s.sent_at, s.status_updated_at), '{{time_zone}}') AS day,
        application_name,
        s.source = 'pull' AS is_pulled,
        NOT s.is_final AND s.received_at < now64(3, 'UTC') - toIntervalHour(1) AS is_open,
        s.status IN ('Delivered', 'Undelivered') AS is_staged,
        isNotNull(s.queued_at) AS is_queued,
        isNotNull(s.sent_at) AS is_sent,
        false AS is_unheard,
        0 AS unheard
    FROM sms AS s
    UNION ALL
    -- The parts that a message lacks are of the day and the application of the parts that it has.
    SELECT
        min(toDate(coalesce(s.sending_at, s.queued_at, s.sent_at, s.status_updated_at), '{{time_zone}}')) AS day,
        any(s.application_name) AS application_name,
        false, false, false, false, false,
        true,
        any(m.parts - m.parts_seen) AS unheard
    FROM sms AS s
    INNER JOIN
    (
        SELECT message_id, parts, parts_seen
        FROM messages
        WHERE parts_seen < parts AND received_at < now64(3, 'UTC') - toIntervalHour(1)
    ) AS m ON s.message_id = m.message_id
    GROUP BY s.message_id
)
GROUP BY day, application_name
COMMENT 'Callbacks that did not come, by day of sending and application. Counts SMS parts; denominator of loss_estimate: the two callbacks Queued and Sent of the Delivered and Undelivered parts of OnChange. An SMS of which nothing is known is in no count before it is healed';

-- Routee tells of an SMS for 7 days. What is missing then stays missing.
CREATE OR REPLACE VIEW backfill_deadline {{on_cluster}}
AS SELECT
    toDate(heard_at, '{{time_zone}}') AS day,
    application_name,
    heard_at + toIntervalDay(7) <= now64(3, 'UTC') AS is_gone,
    count() AS messages,
    ifNull(sum(price), 0) AS price_total,
    min(heard_at) + toIntervalDay(7) AS deadline,
    greatest(0, dateDiff('second', now64(3, 'UTC'), deadline)) AS seconds_left
FROM
(
    SELECT
        min(s.first_received_at) AS heard_at,
        any(s.application_name) AS application_name,
        sum(s.price) AS price
    FROM sms AS s
    WHERE s.message_id IN (SELECT message_id FROM messages WHERE NOT is_final AND received_at < now64(3, 'UTC') - toIntervalHour(1))
    GROUP BY s.message_id
)
GROUP BY day, application_name, is_gone
COMMENT 'Until when Routee tells the statuses that are still missing, by day of the first callback and application. Counts messages that are not final, or lack parts, an hour after their last callback'
