-- Answers. Each says what a row is, what is counted, and over what a rate is taken. `sms` counts parts, as they are billed.
--
-- delivered_per_final: of the SMS whose fate is known, the share that was delivered. Rises and falls little while
-- a campaign runs. delivered_per_accepted: of all SMS that Routee accepted; rises while finals come in.
CREATE OR REPLACE VIEW delivery_by_country {{on_cluster}}
AS SELECT
    country,
    count() AS sms,
    countIf(is_final) AS final,
    countIf(status = 'Delivered') AS delivered,
    countIf(status = 'Undelivered') AS undelivered,
    countIf(status = 'Failed') AS failed,
    countIf(status = 'Unsent') AS unsent,
    if(final = 0, NULL, delivered / final) AS delivered_per_final,
    if(sms = 0, NULL, delivered / sms) AS delivered_per_accepted
FROM sms
GROUP BY country
COMMENT 'Delivery by country of the recipient. Counts SMS parts; denominators: final parts, all parts';

CREATE OR REPLACE VIEW delivery_by_operator {{on_cluster}}
AS SELECT
    country,
    operator,
    count() AS sms,
    countIf(is_final) AS final,
    countIf(status = 'Delivered') AS delivered,
    countIf(status = 'Undelivered') AS undelivered,
    countIf(status = 'Failed') AS failed,
    countIf(status = 'Unsent') AS unsent,
    if(final = 0, NULL, delivered / final) AS delivered_per_final,
    if(sms = 0, NULL, delivered / sms) AS delivered_per_accepted
FROM sms
GROUP BY country, operator
COMMENT 'Delivery by country and operator. Counts SMS parts; denominators: final parts, all parts';

CREATE OR REPLACE VIEW delivery_by_sender {{on_cluster}}
AS SELECT
    sender,
    count() AS sms,
    countIf(is_final) AS final,
    countIf(status = 'Delivered') AS delivered,
    countIf(status = 'Undelivered') AS undelivered,
    countIf(status = 'Failed') AS failed,
    countIf(status = 'Unsent') AS unsent,
    if(final = 0, NULL, delivered / final) AS delivered_per_final,
    if(sms = 0, NULL, delivered / sms) AS delivered_per_accepted
FROM sms
GROUP BY sender
COMMENT 'Delivery by sender id. Counts SMS parts; denominators: final parts, all parts';

-- The hour in which an SMS was sent: when it was queued at Routee or, if that was not told, when it was first heard of.
-- Answers "how did what we sent at ten fare?"; the rates of recent hours still rise.
CREATE OR REPLACE VIEW delivery_by_hour {{on_cluster}}
AS SELECT
    toStartOfHour(ifNull(queued_at, first_received_at)) AS hour,
    count() AS sms,
    countIf(is_final) AS final,
    countIf(status = 'Delivered') AS delivered,
    countIf(status = 'Undelivered') AS undelivered,
    countIf(status = 'Failed') AS failed,
    countIf(status = 'Unsent') AS unsent,
    if(final = 0, NULL, delivered / final) AS delivered_per_final,
    if(sms = 0, NULL, delivered / sms) AS delivered_per_accepted
FROM sms
GROUP BY hour
COMMENT 'Delivery by hour (UTC) of sending. Counts SMS parts; denominators: final parts, all parts of that hour';

-- The hour in which the fate of an SMS was decided, whenever it was sent. Only final SMS have one, so every SMS here is
-- final and both rates are the same. Answers "what went wrong at the operator at ten?".
CREATE OR REPLACE VIEW delivery_by_final_hour {{on_cluster}}
AS SELECT
    toStartOfHour(ifNull(final_at, status_updated_at)) AS hour,
    count() AS sms,
    countIf(is_final) AS final,
    countIf(status = 'Delivered') AS delivered,
    countIf(status = 'Undelivered') AS undelivered,
    countIf(status = 'Failed') AS failed,
    countIf(status = 'Unsent') AS unsent,
    if(final = 0, NULL, delivered / final) AS delivered_per_final,
    if(sms = 0, NULL, delivered / sms) AS delivered_per_accepted
FROM sms
WHERE is_final
GROUP BY hour
COMMENT 'Delivery by hour (UTC) of the final status. Counts final SMS parts only; denominator: final parts of that hour';

-- Routee gives whole seconds, 0 until a part is final: only Delivered parts are looked at. The quantiles are exact.
CREATE OR REPLACE VIEW latency_by_operator {{on_cluster}}
AS SELECT
    country,
    operator,
    count() AS delivered,
    quantileExact(0.5)(latency_seconds) AS p50,
    quantileExact(0.9)(latency_seconds) AS p90,
    quantileExact(0.99)(latency_seconds) AS p99
FROM sms
WHERE status = 'Delivered'
GROUP BY country, operator
COMMENT 'Seconds from sending to delivery by country and operator. Of Delivered SMS parts; quantiles over those that have a latency';

CREATE OR REPLACE VIEW failure_reasons {{on_cluster}}
AS SELECT
    country,
    operator,
    status,
    detailed_status,
    count() AS sms
FROM sms
WHERE is_final AND status != 'Delivered'
GROUP BY country, operator, status, detailed_status
COMMENT 'Why SMS parts ended as anything but Delivered, in the words of Routee. Counts final SMS parts';

-- Prices are per part and in the currency of the account, which Routee does not name. What is neither delivered nor
-- wasted is still under way.
CREATE OR REPLACE VIEW cost_by_country {{on_cluster}}
AS SELECT
    country,
    count() AS sms,
    ifNull(sum(price), 0) AS price_total,
    ifNull(sumIf(price, status = 'Delivered'), 0) AS price_delivered,
    ifNull(sumIf(price, is_final AND status != 'Delivered'), 0) AS price_wasted,
    price_total / nullIf(countIf(status = 'Delivered'), 0) AS price_per_delivered
FROM sms
GROUP BY country
COMMENT 'Cost by country. price_total: all SMS parts; price_wasted: final but not delivered; price_per_delivered: price_total over Delivered parts';

-- What Routee counted beside what was counted from single callbacks. drift: counted less reported, per final status.
CREATE OR REPLACE VIEW campaign_reconciliation {{on_cluster}}
AS SELECT
    campaign_tracking_id,
    name,
    campaign_status,
    reconciliation,
    reconciliation_unit,
    total_recipients,
    messages,
    messages_final,
    parts,
    reported_by_status,
    drift,
    last_received_at
FROM campaigns
COMMENT 'Own counts against the reports of Routee, a row per campaign. drift is in reconciliation_unit: messages or parts';

-- Lost callbacks, operators that never answer, and campaigns that wait for their hour all look like this.
CREATE OR REPLACE VIEW stuck_messages {{on_cluster}}
AS SELECT
    sms_key,
    message_id,
    campaign_tracking_id,
    country,
    operator,
    status,
    dateDiff('second', least(first_received_at, ifNull(queued_at, first_received_at), ifNull(sent_at, first_received_at)), now64(3, 'UTC')) AS age_seconds
FROM sms
WHERE NOT is_final AND age_seconds > 3600
COMMENT 'SMS parts without a final status over an hour after the first thing known of them';

-- Each part has callbacks of its own: a part never heard of means lost callbacks, or that they are still on their way.
CREATE OR REPLACE VIEW missing_parts {{on_cluster}}
AS SELECT
    message_id,
    any(s.campaign_tracking_id) AS campaign_tracking_id,
    max(assumeNotNull(s.parts)) AS parts,
    length(groupUniqArray(ifNull(s.part, 1)) AS seen) AS parts_seen,
    -- No SMS has more than 255 parts; a wrong number must not become a long list.
    arrayFilter(number -> NOT has(seen, number), range(1, least(parts, 255) + 1)) AS missing
FROM sms AS s
WHERE s.parts > 1
GROUP BY message_id
HAVING notEmpty(missing)
COMMENT 'Messages of which parts were never heard of. missing: the numbers of those parts';

-- A final status that was followed by another one: which of the two the operator means is unknown.
CREATE OR REPLACE VIEW conflicting_finals {{on_cluster}}
AS SELECT
    country,
    operator,
    count() AS sms,
    sum(s.conflicts) AS conflicts,
    countIf(s.conflicts > 0) AS conflicting_sms
FROM sms AS s
GROUP BY country, operator
COMMENT 'How often a final status was contradicted. sms: all SMS parts; conflicts: contradictions; conflicting_sms: parts with any';
