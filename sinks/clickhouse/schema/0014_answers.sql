-- Answers from single SMS, where cells do not have what is asked. An SMS of a row that was written before `sending_at` was
-- there has been sent when it was queued, else when it was sent to the operator, else at the date of its status.
--
-- The hour in which the fate of an SMS was decided, whenever it was sent. Only final SMS have one, so every SMS here is
-- final and both rates are the same. Answers "what went wrong at the operator at ten?".
CREATE OR REPLACE VIEW delivery_by_final_hour {{on_cluster}}
AS SELECT
    toDate(ifNull(s.final_at, s.status_updated_at), '{{time_zone}}') AS day,
    toDateTime(ifNull(s.final_at, s.status_updated_at), '{{time_zone}}') - toIntervalSecond(60 * toMinute(ifNull(s.final_at, s.status_updated_at), '{{time_zone}}') + toSecond(ifNull(s.final_at, s.status_updated_at))) AS hour,
    count() AS sms,
    countIf(s.is_final) AS final,
    countIf(s.status = 'Delivered') AS delivered,
    countIf(s.status = 'Undelivered') AS undelivered,
    countIf(s.status = 'Failed') AS failed,
    countIf(s.status = 'Unsent') AS unsent,
    if(final = 0, NULL, delivered / final) AS delivered_per_final,
    if(sms = 0, NULL, delivered / sms) AS delivered_per_accepted
FROM sms AS s
WHERE s.is_final
GROUP BY day, hour
COMMENT 'Delivery by hour of the final status. Counts final SMS parts only; denominator: final parts of that hour';

CREATE OR REPLACE VIEW failure_reasons {{on_cluster}}
AS SELECT
    toDate(coalesce(sending_at, queued_at, sent_at, status_updated_at), '{{time_zone}}') AS day,
    country,
    operator,
    status,
    detailed_status,
    count() AS sms
FROM sms
WHERE is_final AND status != 'Delivered'
GROUP BY day, country, operator, status, detailed_status
COMMENT 'Why SMS parts ended as anything but Delivered, in the words of Routee, by day of sending. Counts final SMS parts';

-- A final status that was followed by another one: which of the two the operator means is unknown.
CREATE OR REPLACE VIEW conflicting_finals {{on_cluster}}
AS SELECT
    toDate(coalesce(s.sending_at, s.queued_at, s.sent_at, s.status_updated_at), '{{time_zone}}') AS day,
    country,
    operator,
    count() AS sms,
    sum(s.conflicts) AS conflicts,
    countIf(s.conflicts > 0) AS conflicting_sms,
    if(sms = 0, NULL, conflicting_sms / sms) AS conflicting_per_sms
FROM sms AS s
GROUP BY day, country, operator
COMMENT 'How often a final status was contradicted, by day of sending. Counts SMS parts; denominator: all parts';

CREATE OR REPLACE VIEW campaign_by_operator {{on_cluster}}
AS SELECT
    campaign_tracking_id,
    any(s.campaign_name) AS campaign_name,
    country,
    operator,
    count() AS sms,
    countIf(s.is_final) AS final,
    countIf(s.status = 'Delivered') AS delivered,
    countIf(s.status = 'Undelivered') AS undelivered,
    countIf(s.status = 'Failed') AS failed,
    countIf(s.status = 'Unsent') AS unsent,
    countIf(isNull(s.price)) AS unpriced,
    ifNull(sum(s.price), 0) AS price_total,
    if(final = 0, NULL, delivered / final) AS delivered_per_final,
    if(sms = 0, NULL, delivered / sms) AS delivered_per_accepted
FROM sms AS s
WHERE isNotNull(s.campaign_tracking_id)
GROUP BY campaign_tracking_id, country, operator
COMMENT 'Each campaign by country and operator. Counts SMS parts; denominators: final parts, all parts';

-- A campaign starts with the first of its SMS that is sent. Sent to the operator or not: an SMS is sent when Routee takes it.
CREATE OR REPLACE VIEW campaign_curve {{on_cluster}}
AS SELECT
    campaign_tracking_id,
    campaign_name,
    started_at,
    minutes,
    sms,
    sent,
    delivered,
    sent / sms AS sent_per_sms,
    delivered / sms AS delivered_per_sms
FROM
(
    SELECT
        campaign_tracking_id,
        any(one.campaign_name) AS campaign_name,
        any(began) AS started_at,
        count() AS sms,
        [1, 5, 15, 60, 240, 720, 1440, 2880] AS steps,
        [countIf(sent_after <= 60), countIf(sent_after <= 300), countIf(sent_after <= 900), countIf(sent_after <= 3600), countIf(sent_after <= 14400), countIf(sent_after <= 43200), countIf(sent_after <= 86400), countIf(sent_after <= 172800)] AS sent_by,
        [countIf(delivered_after <= 60), countIf(delivered_after <= 300), countIf(delivered_after <= 900), countIf(delivered_after <= 3600), countIf(delivered_after <= 14400), countIf(delivered_after <= 43200), countIf(delivered_after <= 86400), countIf(delivered_after <= 172800)] AS delivered_by
    FROM
    (
        SELECT
            s.campaign_tracking_id AS campaign_tracking_id,
            s.campaign_name AS campaign_name,
            first.began AS began,
            dateDiff('millisecond', began, coalesce(s.sending_at, s.queued_at, s.sent_at, s.status_updated_at)) / 1000 AS sent_after,
            if(s.status = 'Delivered', dateDiff('millisecond', began, ifNull(s.final_at, s.status_updated_at)) / 1000, NULL) AS delivered_after
        FROM sms AS s
        INNER JOIN
        (
            SELECT campaign_tracking_id, min(coalesce(sending_at, queued_at, sent_at, status_updated_at)) AS began
            FROM sms
            WHERE isNotNull(campaign_tracking_id)
            GROUP BY campaign_tracking_id
        ) AS first ON s.campaign_tracking_id = first.campaign_tracking_id
    ) AS one
    GROUP BY campaign_tracking_id
)
ARRAY JOIN steps AS minutes, sent_by AS sent, delivered_by AS delivered
COMMENT 'How many SMS parts of a campaign were sent and delivered so many minutes after its first one was sent. Denominator: all parts of the campaign';

CREATE OR REPLACE VIEW cost_by_campaign {{on_cluster}}
AS SELECT
    toStartOfMonth(coalesce(s.sending_at, s.queued_at, s.sent_at, s.status_updated_at), '{{time_zone}}') AS month,
    campaign_tracking_id,
    any(s.campaign_name) AS campaign_name,
    count() AS sms,
    countIf(s.status = 'Delivered') AS delivered,
    countIf(isNull(s.price)) AS unpriced,
    ifNull(sum(s.price), 0) AS price_total,
    ifNull(sumIf(s.price, s.status = 'Delivered'), 0) AS price_delivered,
    ifNull(sumIf(s.price, s.is_final AND s.status != 'Delivered'), 0) AS price_wasted,
    price_total / nullIf(delivered, 0) AS price_per_delivered
FROM sms AS s
WHERE isNotNull(s.campaign_tracking_id)
GROUP BY month, campaign_tracking_id
COMMENT 'Cost by month of sending and campaign. price_total: all SMS parts but the unpriced; price_wasted: final but not delivered; price_per_delivered: price_total over Delivered parts';

-- Lost callbacks, operators that never answer, and campaigns that wait for their hour all look like this.
CREATE OR REPLACE VIEW stuck_messages {{on_cluster}}
AS SELECT
    sms_key,
    message_id,
    campaign_tracking_id,
    campaign_name,
    recipient,
    sender,
    country,
    operator,
    application_name,
    status,
    detailed_status,
    status_updated_at,
    received_at,
    dateDiff('second', least(first_received_at, coalesce(sending_at, queued_at, sent_at, first_received_at)), now64(3, 'UTC')) AS age_seconds
FROM sms
WHERE NOT is_final AND age_seconds > {older_than_seconds:UInt32}
COMMENT 'SMS parts without a final status so many seconds after the first thing known of them, unknown statuses among them: SELECT * FROM stuck_messages(older_than_seconds = 3600)';

-- With OnCompletion nothing is known of an SMS before it is final. A few SMS of OnChange lose their first callbacks.
CREATE OR REPLACE VIEW strategy_by_application {{on_cluster}}
AS SELECT
    toDate(coalesce(s.sending_at, s.queued_at, s.sent_at, s.status_updated_at), '{{time_zone}}') AS day,
    application_name,
    count() AS sms,
    countIf(NOT s.is_final OR isNotNull(s.queued_at) OR isNotNull(s.sent_at)) AS staged,
    sms - staged AS only_final,
    staged / sms AS staged_per_sms,
    multiIf(staged_per_sms >= 0.95, 'OnChange', staged_per_sms <= 0.05, 'OnCompletion', 'mixed') AS strategy
FROM sms AS s
GROUP BY day, application_name
COMMENT 'The strategy of callbacks that an application seems to have, by day of sending. staged: SMS parts of which a status before the final one was seen: at least 95 % mean OnChange, at most 5 % OnCompletion';

-- Each part has callbacks of its own: a part never heard of means lost callbacks, or that they are still on their way.
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
    FROM messages
    WHERE parts_seen < parts
) AS incomplete
LEFT JOIN
(
    SELECT message_id, groupUniqArray(ifNull(part, 1)) AS seen
    FROM sms
    WHERE message_id IN (SELECT message_id FROM messages WHERE parts_seen < parts)
    GROUP BY message_id
) AS known USING (message_id)
COMMENT 'Messages of which parts were never heard of. missing: the numbers of those parts';
