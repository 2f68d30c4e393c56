-- Deliveries by time of sending and route: the cells that streams counts, and when each SMS was sent.
--
-- A row per cell. The columns after `generation` are its counts by status and latency, one column each: reading a map of
-- every row would take ten times as long. A cell lies in one window, so all its revisions meet in one place.
CREATE TABLE IF NOT EXISTS delivery_windows {{on_cluster}}
(
    cell                 String,
    window_start         DateTime64(3, 'UTC'),
    window_end           DateTime64(3, 'UTC'),
    country              LowCardinality(Nullable(String)),
    operator             LowCardinality(Nullable(String)),
    sender               LowCardinality(Nullable(String)),
    application_name     LowCardinality(Nullable(String)),
    originating_service  LowCardinality(Nullable(String)),
    label                LowCardinality(Nullable(String)),
    messages             UInt32,
    messages_by_status   Map(LowCardinality(String), UInt32),
    parts                UInt32,
    parts_by_status      Map(LowCardinality(String), UInt32),
    conflicts            UInt32,
    delivered_by_latency Map(LowCardinality(String), UInt32),
    price_total          Decimal(18, 8),
    price_delivered      Decimal(18, 8),
    price_undelivered    Decimal(18, 8),
    unpriced             UInt32,
    is_closed            Bool,
    revision             UInt64,
    generation           UInt64,
    version              UInt128 MATERIALIZED bitOr(bitShiftLeft(toUInt128(generation), 64), revision),
    messages_final       UInt32 MATERIALIZED messages_by_status['Delivered'] + messages_by_status['Undelivered'] + messages_by_status['Failed'] + messages_by_status['Unsent'],
    messages_delivered   UInt32 MATERIALIZED messages_by_status['Delivered'],
    delivered            UInt32 MATERIALIZED parts_by_status['Delivered'],
    undelivered          UInt32 MATERIALIZED parts_by_status['Undelivered'],
    failed               UInt32 MATERIALIZED parts_by_status['Failed'],
    unsent               UInt32 MATERIALIZED parts_by_status['Unsent'],
    latency_1            UInt32 MATERIALIZED delivered_by_latency['1'],
    latency_2            UInt32 MATERIALIZED delivered_by_latency['2'],
    latency_5            UInt32 MATERIALIZED delivered_by_latency['5'],
    latency_10           UInt32 MATERIALIZED delivered_by_latency['10'],
    latency_20           UInt32 MATERIALIZED delivered_by_latency['20'],
    latency_30           UInt32 MATERIALIZED delivered_by_latency['30'],
    latency_60           UInt32 MATERIALIZED delivered_by_latency['60'],
    latency_120          UInt32 MATERIALIZED delivered_by_latency['120'],
    latency_300          UInt32 MATERIALIZED delivered_by_latency['300'],
    latency_600          UInt32 MATERIALIZED delivered_by_latency['600'],
    latency_900          UInt32 MATERIALIZED delivered_by_latency['900'],
    latency_1800         UInt32 MATERIALIZED delivered_by_latency['1800'],
    latency_3600         UInt32 MATERIALIZED delivered_by_latency['3600'],
    latency_14400        UInt32 MATERIALIZED delivered_by_latency['14400'],
    latency_43200        UInt32 MATERIALIZED delivered_by_latency['43200'],
    latency_86400        UInt32 MATERIALIZED delivered_by_latency['86400'],
    latency_more         UInt32 MATERIALIZED delivered_by_latency['more']
)
ENGINE = {{replicated}}ReplacingMergeTree(version)
PARTITION BY toYYYYMM(window_start)
ORDER BY (window_start, cell)
SETTINGS min_bytes_for_wide_part = 134217728
COMMENT 'One row per cell after its latest change, once merged; read the view delivery_cells to be exact at any moment';

CREATE TABLE IF NOT EXISTS delivery_inbox {{on_cluster}}
(
    cell                 String,
    window_start         DateTime64(3, 'UTC'),
    window_end           DateTime64(3, 'UTC'),
    country              Nullable(String),
    operator             Nullable(String),
    sender               Nullable(String),
    application_name     Nullable(String),
    originating_service  Nullable(String),
    label                Nullable(String),
    messages             UInt32,
    messages_by_status   Map(String, UInt32),
    parts                UInt32,
    parts_by_status      Map(String, UInt32),
    conflicts            UInt32,
    delivered_by_latency Map(String, UInt32),
    price_total          Decimal(18, 8),
    price_delivered      Decimal(18, 8),
    price_undelivered    Decimal(18, 8),
    unpriced             UInt32,
    is_closed            Bool,
    revision             UInt64,
    generation           UInt64,
    -- A field that is missing from the JSON takes a default: that of a time is the beginning of 1970.
    CONSTRAINT is_cell CHECK cell != '' AND revision > 0 AND toUnixTimestamp64Milli(window_start) != 0
)
ENGINE = Null
COMMENT 'Where sinks insert; delivery_windows is filled from here';

CREATE MATERIALIZED VIEW IF NOT EXISTS delivery_inbox_to_windows {{on_cluster}} TO delivery_windows
AS SELECT * FROM delivery_inbox
COMMENT 'Passes every row on to delivery_windows';

-- What people query. `day`, `hour` and `month` are those of CLICKHOUSE_TIME_ZONE; `hour` is a moment: where clocks go back,
-- two hours have the same text, and are two rows. Minutes are taken off by the local clock: toStartOfHour is half an hour
-- wrong for a whole day where clocks change by half an hour. A filter on `day` reads that day alone, one on `hour` does not.
-- A view keeps the zone of a column that it was created with, so each of them names it: then all are made again with another.
CREATE OR REPLACE VIEW delivery_cells {{on_cluster}}
AS SELECT
    toDate(window_start, '{{time_zone}}') AS day,
    toDateTime(window_start, '{{time_zone}}') - toIntervalMinute(toMinute(window_start, '{{time_zone}}')) AS hour,
    toStartOfMonth(window_start, '{{time_zone}}') AS month,
    *,
    messages_final,
    messages_delivered,
    delivered + undelivered + failed + unsent AS final,
    delivered,
    undelivered,
    failed,
    unsent,
    latency_1, latency_2, latency_5, latency_10, latency_20, latency_30,
    latency_60, latency_120, latency_300, latency_600, latency_900, latency_1800,
    latency_3600, latency_14400, latency_43200, latency_86400, latency_more
FROM delivery_windows FINAL
-- A cell that all its SMS have left.
WHERE parts > 0
COMMENT 'A row per cell: SMS by window of five minutes of sending, country, operator, sender, application, service and label';

-- Each says what a row is, what is counted, and over what a rate is taken. `sms` counts parts, as they are billed.
--
-- delivered_per_final: of the SMS whose fate is known, the share that was delivered. Rises and falls little while
-- a campaign runs. delivered_per_accepted: of all SMS that Routee accepted; rises while finals come in.
CREATE OR REPLACE VIEW delivery_by_country {{on_cluster}}
AS SELECT
    day,
    toTimeZone(c.hour, '{{time_zone}}') AS hour,
    country,
    sum(c.messages) AS messages,
    sum(c.parts) AS sms,
    sum(c.final) AS final,
    sum(c.delivered) AS delivered,
    sum(c.undelivered) AS undelivered,
    sum(c.failed) AS failed,
    sum(c.unsent) AS unsent,
    if(final = 0, NULL, delivered / final) AS delivered_per_final,
    if(sms = 0, NULL, delivered / sms) AS delivered_per_accepted
FROM delivery_cells AS c
GROUP BY day, hour, country
COMMENT 'Delivery by hour of sending and country of the recipient. Counts SMS parts; denominators: final parts, all parts';

CREATE OR REPLACE VIEW delivery_by_operator {{on_cluster}}
AS SELECT
    day,
    toTimeZone(c.hour, '{{time_zone}}') AS hour,
    country,
    operator,
    sum(c.messages) AS messages,
    sum(c.parts) AS sms,
    sum(c.final) AS final,
    sum(c.delivered) AS delivered,
    sum(c.undelivered) AS undelivered,
    sum(c.failed) AS failed,
    sum(c.unsent) AS unsent,
    if(final = 0, NULL, delivered / final) AS delivered_per_final,
    if(sms = 0, NULL, delivered / sms) AS delivered_per_accepted
FROM delivery_cells AS c
GROUP BY day, hour, country, operator
COMMENT 'Delivery by hour of sending, country and operator. Counts SMS parts; denominators: final parts, all parts';

CREATE OR REPLACE VIEW delivery_by_sender {{on_cluster}}
AS SELECT
    day,
    toTimeZone(c.hour, '{{time_zone}}') AS hour,
    country,
    sender,
    sum(c.messages) AS messages,
    sum(c.parts) AS sms,
    sum(c.final) AS final,
    sum(c.delivered) AS delivered,
    sum(c.undelivered) AS undelivered,
    sum(c.failed) AS failed,
    sum(c.unsent) AS unsent,
    if(final = 0, NULL, delivered / final) AS delivered_per_final,
    if(sms = 0, NULL, delivered / sms) AS delivered_per_accepted
FROM delivery_cells AS c
GROUP BY day, hour, country, sender
COMMENT 'Delivery by hour of sending, country and sender id. Counts SMS parts; denominators: final parts, all parts';

CREATE OR REPLACE VIEW delivery_by_application {{on_cluster}}
AS SELECT
    day,
    toTimeZone(c.hour, '{{time_zone}}') AS hour,
    country,
    application_name,
    sum(c.messages) AS messages,
    sum(c.parts) AS sms,
    sum(c.final) AS final,
    sum(c.delivered) AS delivered,
    sum(c.undelivered) AS undelivered,
    sum(c.failed) AS failed,
    sum(c.unsent) AS unsent,
    if(final = 0, NULL, delivered / final) AS delivered_per_final,
    if(sms = 0, NULL, delivered / sms) AS delivered_per_accepted
FROM delivery_cells AS c
GROUP BY day, hour, country, application_name
COMMENT 'Delivery by hour of sending, country and application at Routee. Counts SMS parts; denominators: final parts, all parts';

CREATE OR REPLACE VIEW delivery_by_label {{on_cluster}}
AS SELECT
    day,
    toTimeZone(c.hour, '{{time_zone}}') AS hour,
    label,
    sum(c.messages) AS messages,
    sum(c.parts) AS sms,
    sum(c.final) AS final,
    sum(c.delivered) AS delivered,
    sum(c.undelivered) AS undelivered,
    sum(c.failed) AS failed,
    sum(c.unsent) AS unsent,
    if(final = 0, NULL, delivered / final) AS delivered_per_final,
    if(sms = 0, NULL, delivered / sms) AS delivered_per_accepted
FROM delivery_cells AS c
GROUP BY day, hour, label
COMMENT 'Delivery by hour of sending and label of the message. Counts SMS parts; denominators: final parts, all parts';

CREATE OR REPLACE VIEW delivery_by_hour {{on_cluster}}
AS SELECT
    day,
    toTimeZone(c.hour, '{{time_zone}}') AS hour,
    sum(c.messages) AS messages,
    sum(c.parts) AS sms,
    sum(c.final) AS final,
    sum(c.delivered) AS delivered,
    sum(c.undelivered) AS undelivered,
    sum(c.failed) AS failed,
    sum(c.unsent) AS unsent,
    if(final = 0, NULL, delivered / final) AS delivered_per_final,
    if(sms = 0, NULL, delivered / sms) AS delivered_per_accepted
FROM delivery_cells AS c
GROUP BY day, hour
COMMENT 'Delivery by hour of sending. Counts SMS parts; denominators: final parts, all parts';

-- The latency of an SMS is known once it is delivered, and Routee may leave it out: timed counts the SMS that have one.
-- Each column is summed once, and the sums are added: cheaper than sums of added columns.
CREATE OR REPLACE VIEW sla_by_operator {{on_cluster}}
AS SELECT
    day,
    toTimeZone(c.hour, '{{time_zone}}') AS hour,
    country,
    operator,
    sum(c.delivered) AS delivered,
    within_3600s + sum(c.latency_14400) + sum(c.latency_43200) + sum(c.latency_86400) + sum(c.latency_more) AS timed,
    sum(c.latency_1) + sum(c.latency_2) + sum(c.latency_5) + sum(c.latency_10) AS within_10s,
    within_10s + sum(c.latency_20) + sum(c.latency_30) AS within_30s,
    within_30s + sum(c.latency_60) AS within_60s,
    within_60s + sum(c.latency_120) AS within_120s,
    within_120s + sum(c.latency_300) AS within_300s,
    within_300s + sum(c.latency_600) + sum(c.latency_900) AS within_900s,
    within_900s + sum(c.latency_1800) + sum(c.latency_3600) AS within_3600s,
    if(timed = 0, NULL, within_10s / timed) AS within_10s_per_timed,
    if(timed = 0, NULL, within_30s / timed) AS within_30s_per_timed,
    if(timed = 0, NULL, within_60s / timed) AS within_60s_per_timed,
    if(timed = 0, NULL, within_120s / timed) AS within_120s_per_timed,
    if(timed = 0, NULL, within_300s / timed) AS within_300s_per_timed,
    if(timed = 0, NULL, within_900s / timed) AS within_900s_per_timed,
    if(timed = 0, NULL, within_3600s / timed) AS within_3600s_per_timed
FROM delivery_cells AS c
GROUP BY day, hour, country, operator
COMMENT 'Delivered SMS parts within so many seconds, by hour of sending, country and operator. timed: delivered parts with a latency, the denominator';

-- From a histogram: a quantile is the least of its bounds within which that share of the SMS lies, null beyond the last
-- bound. Quantiles cannot be summed, `within` can: sumForEach(within), and the same rule.
CREATE OR REPLACE VIEW latency_by_operator {{on_cluster}}
AS SELECT
    day,
    toTimeZone(c.hour, '{{time_zone}}') AS hour,
    country,
    operator,
    sum(c.delivered) AS delivered,
    arrayCumSum([sum(c.latency_1), sum(c.latency_2), sum(c.latency_5), sum(c.latency_10), sum(c.latency_20),
        sum(c.latency_30), sum(c.latency_60), sum(c.latency_120), sum(c.latency_300), sum(c.latency_600),
        sum(c.latency_900), sum(c.latency_1800), sum(c.latency_3600), sum(c.latency_14400), sum(c.latency_43200),
        sum(c.latency_86400), sum(c.latency_more)]) AS within,
    within[-1] AS timed,
    if(timed = 0, NULL, [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 14400, 43200, 86400, NULL][arrayFirstIndex(parts -> parts >= 0.5 * timed, within)]) AS p50,
    if(timed = 0, NULL, [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 14400, 43200, 86400, NULL][arrayFirstIndex(parts -> parts >= 0.9 * timed, within)]) AS p90,
    if(timed = 0, NULL, [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 14400, 43200, 86400, NULL][arrayFirstIndex(parts -> parts >= 0.99 * timed, within)]) AS p99
FROM delivery_cells AS c
GROUP BY day, hour, country, operator
COMMENT 'Seconds from sending to delivery by hour of sending, country and operator, at most: bounds of a histogram. Of Delivered SMS parts that have a latency (timed)';

-- Prices are per part and in the currency of the account, which Routee does not name. What is neither delivered nor
-- wasted is still under way.
CREATE OR REPLACE VIEW cost_by_country {{on_cluster}}
AS SELECT
    day,
    toTimeZone(c.hour, '{{time_zone}}') AS hour,
    country,
    sum(c.parts) AS sms,
    sum(c.delivered) AS delivered,
    sum(c.unpriced) AS unpriced,
    sum(c.price_total) AS price_total,
    sum(c.price_delivered) AS price_delivered,
    sum(c.price_undelivered) AS price_wasted,
    price_total / nullIf(delivered, 0) AS price_per_delivered
FROM delivery_cells AS c
GROUP BY day, hour, country
COMMENT 'Cost by hour of sending and country. price_total: all SMS parts but the unpriced; price_wasted: final but not delivered; price_per_delivered: price_total over Delivered parts';

CREATE OR REPLACE VIEW cost_by_day {{on_cluster}}
AS SELECT
    day,
    country,
    operator,
    application_name,
    sum(c.parts) AS sms,
    sum(c.delivered) AS delivered,
    sum(c.unpriced) AS unpriced,
    sum(c.price_total) AS price_total,
    sum(c.price_delivered) AS price_delivered,
    sum(c.price_undelivered) AS price_wasted,
    price_total / nullIf(delivered, 0) AS price_per_delivered
FROM delivery_cells AS c
GROUP BY day, country, operator, application_name
COMMENT 'Cost by day of sending, country, operator and application. price_total: all SMS parts but the unpriced; price_wasted: final but not delivered; price_per_delivered: price_total over Delivered parts';

CREATE OR REPLACE VIEW cost_by_month {{on_cluster}}
AS SELECT
    month,
    country,
    operator,
    application_name,
    sum(c.parts) AS sms,
    sum(c.delivered) AS delivered,
    sum(c.unpriced) AS unpriced,
    sum(c.price_total) AS price_total,
    sum(c.price_delivered) AS price_delivered,
    sum(c.price_undelivered) AS price_wasted,
    price_total / nullIf(delivered, 0) AS price_per_delivered
FROM delivery_cells AS c
GROUP BY month, country, operator, application_name
COMMENT 'Cost by month of sending, country, operator and application. price_total: all SMS parts but the unpriced; price_wasted: final but not delivered; price_per_delivered: price_total over Delivered parts';

-- When an SMS was sent, and by which value that is known. Rows written before have null.
ALTER TABLE sms_status {{on_cluster}} ADD COLUMN IF NOT EXISTS sending_at Nullable(DateTime64(3, 'UTC'));
ALTER TABLE sms_status {{on_cluster}} ADD COLUMN IF NOT EXISTS sent_from LowCardinality(Nullable(String));

ALTER TABLE sms_status_history {{on_cluster}} ADD COLUMN IF NOT EXISTS sending_at Nullable(DateTime64(3, 'UTC'));
ALTER TABLE sms_status_history {{on_cluster}} ADD COLUMN IF NOT EXISTS sent_from LowCardinality(Nullable(String));

ALTER TABLE sms_inbox {{on_cluster}} ADD COLUMN IF NOT EXISTS sending_at Nullable(DateTime64(3, 'UTC'));
ALTER TABLE sms_inbox {{on_cluster}} ADD COLUMN IF NOT EXISTS sent_from Nullable(String);

-- A view keeps the columns that it was created with.
CREATE OR REPLACE VIEW sms {{on_cluster}}
AS SELECT * EXCEPT (is_superseded) FROM sms_status FINAL WHERE NOT is_superseded
COMMENT 'A row per SMS part: its latest state';

CREATE OR REPLACE VIEW sms_history {{on_cluster}}
AS SELECT * EXCEPT (life) FROM sms_status_history FINAL
COMMENT 'A row per change of an SMS part';
