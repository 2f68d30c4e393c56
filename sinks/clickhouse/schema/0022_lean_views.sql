-- The zone's clock is asked for each quarter of an hour instead of for each SMS: every zone is ahead of UTC by whole quarters.
CREATE OR REPLACE VIEW delivery_by_final_hour {{on_cluster}}
AS SELECT
    toDate(quarter, '{{time_zone}}') AS day,
    toDateTime(quarter, '{{time_zone}}') - toIntervalMinute(toMinute(quarter, '{{time_zone}}')) AS hour,
    sum(q.sms) AS sms,
    sms AS final,
    sum(q.delivered) AS delivered,
    sum(q.undelivered) AS undelivered,
    sum(q.failed) AS failed,
    sum(q.unsent) AS unsent,
    if(final = 0, NULL, delivered / final) AS delivered_per_final,
    if(sms = 0, NULL, delivered / sms) AS delivered_per_accepted
FROM
(
    SELECT
        toDateTime(intDiv(toUnixTimestamp(ifNull(s.final_at, s.status_updated_at)), 900) * 900, 'UTC') AS quarter,
        count() AS sms,
        countIf(s.status = 'Delivered') AS delivered,
        countIf(s.status = 'Undelivered') AS undelivered,
        countIf(s.status = 'Failed') AS failed,
        countIf(s.status = 'Unsent') AS unsent
    FROM sms AS s
    WHERE s.is_final
    GROUP BY quarter
) AS q
GROUP BY day, hour
COMMENT 'Delivery by hour of the final status. Counts final SMS parts only; denominator: final parts of that hour';

-- `sending_at` is `queued_at` or `sent_at` where one of these is known, so they need not be read; also in rows and records of
-- versions that did not have it.
ALTER TABLE sms_status {{on_cluster}} MODIFY COLUMN sending_at DEFAULT coalesce(queued_at, sent_at);
ALTER TABLE sms_inbox {{on_cluster}} MODIFY COLUMN sending_at DEFAULT coalesce(queued_at, sent_at);

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
    dateDiff('second', least(first_received_at, ifNull(sending_at, first_received_at)), now64(3, 'UTC')) AS age_seconds
FROM sms
WHERE NOT is_final AND age_seconds > {older_than_seconds:UInt32}
COMMENT 'SMS parts without a final status so many seconds after the first thing known of them, unknown statuses among them: SELECT * FROM stuck_messages(older_than_seconds = 3600)';
