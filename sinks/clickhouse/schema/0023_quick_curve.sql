-- For each SMS its step is found once, in place of sixteen comparisons. `sending_at` tells what `queued_at` and `sent_at` did, which
-- need not be read.
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
        arrayCumSum(countResample(0, 8, 1)(sent_in)) AS sent_by,
        arrayCumSum(countResampleIf(0, 8, 1)(delivered_in, is_delivered)) AS delivered_by
    FROM
    (
        SELECT
            s.campaign_tracking_id AS campaign_tracking_id,
            s.campaign_name AS campaign_name,
            first.began AS began,
            s.status = 'Delivered' AS is_delivered,
            dateDiff('millisecond', began, ifNull(s.sending_at, s.status_updated_at)) AS sent_after,
            dateDiff('millisecond', began, ifNull(s.final_at, s.status_updated_at)) AS delivered_after,
            toUInt8(multiIf(sent_after <= 60000, 0, sent_after <= 300000, 1, sent_after <= 900000, 2, sent_after <= 3600000, 3, sent_after <= 14400000, 4, sent_after <= 43200000, 5, sent_after <= 86400000, 6, sent_after <= 172800000, 7, 8)) AS sent_in,
            toUInt8(multiIf(delivered_after <= 60000, 0, delivered_after <= 300000, 1, delivered_after <= 900000, 2, delivered_after <= 3600000, 3, delivered_after <= 14400000, 4, delivered_after <= 43200000, 5, delivered_after <= 86400000, 6, delivered_after <= 172800000, 7, 8)) AS delivered_in
        FROM sms AS s
        INNER JOIN
        (
            SELECT campaign_tracking_id, min(ifNull(sending_at, status_updated_at)) AS began
            FROM sms
            WHERE isNotNull(campaign_tracking_id)
            GROUP BY campaign_tracking_id
        ) AS first ON s.campaign_tracking_id = first.campaign_tracking_id
    ) AS one
    GROUP BY campaign_tracking_id
)
ARRAY JOIN steps AS minutes, sent_by AS sent, delivered_by AS delivered
COMMENT 'How many SMS parts of a campaign were sent and delivered so many minutes after its first one was sent. Denominator: all parts of the campaign';
