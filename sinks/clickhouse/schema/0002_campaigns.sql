-- One row per campaign after its latest progress record, and one row per record.
CREATE TABLE IF NOT EXISTS campaign_progress {{on_cluster}}
(
    campaign_tracking_id String,
    name                 Nullable(String),
    campaign_status      LowCardinality(Nullable(String)),
    strategy             LowCardinality(Nullable(String)),
    total_recipients     Nullable(Int64),
    messages             UInt64,
    messages_final       UInt64,
    messages_delivered   UInt64,
    messages_by_status   Map(LowCardinality(String), UInt64),
    parts                UInt64,
    parts_by_status      Map(LowCardinality(String), UInt64),
    -- A map cannot be null: without a report it is empty, and reconciliation is `unreported`.
    reported_by_status   Map(LowCardinality(String), UInt64),
    progress             Nullable(Float64),
    delivery_rate        Nullable(Float64),
    price_total          Decimal(18, 8),
    reconciliation       LowCardinality(String),
    reconciliation_unit  LowCardinality(Nullable(String)),
    drift                Map(LowCardinality(String), Int64),
    is_final             Bool,
    conflicts            UInt64,
    stale_reports        UInt64,
    first_received_at    DateTime64(3, 'UTC'),
    last_received_at     DateTime64(3, 'UTC'),
    finished_at          Nullable(DateTime64(3, 'UTC')),
    revision             UInt64
)
ENGINE = {{replicated}}ReplacingMergeTree(revision)
ORDER BY campaign_tracking_id
COMMENT 'One row per campaign after its latest record, once merged; read the view campaigns to be exact at any moment';

CREATE TABLE IF NOT EXISTS campaign_progress_history {{on_cluster}} AS campaign_progress
ENGINE = {{replicated}}ReplacingMergeTree
ORDER BY (campaign_tracking_id, revision)
COMMENT 'Every progress record of every campaign, once merged; read the view campaign_history to be exact at any moment';

CREATE TABLE IF NOT EXISTS campaign_inbox {{on_cluster}}
(
    campaign_tracking_id String,
    name                 Nullable(String),
    campaign_status      Nullable(String),
    strategy             Nullable(String),
    total_recipients     Nullable(Int64),
    messages             UInt64,
    messages_final       UInt64,
    messages_delivered   UInt64,
    messages_by_status   Map(String, UInt64),
    parts                UInt64,
    parts_by_status      Map(String, UInt64),
    reported_by_status   Map(String, UInt64),
    progress             Nullable(Float64),
    delivery_rate        Nullable(Float64),
    price_total          Decimal(18, 8),
    reconciliation       String,
    reconciliation_unit  Nullable(String),
    drift                Map(String, Int64),
    is_final             Bool,
    conflicts            UInt64,
    stale_reports        UInt64,
    first_received_at    DateTime64(3, 'UTC'),
    last_received_at     DateTime64(3, 'UTC'),
    finished_at          Nullable(DateTime64(3, 'UTC')),
    revision             UInt64,
    CONSTRAINT is_campaign CHECK campaign_tracking_id != '' AND revision > 0
)
ENGINE = Null
COMMENT 'Where sinks insert; campaign_progress and campaign_progress_history are filled from here';

CREATE MATERIALIZED VIEW IF NOT EXISTS campaign_inbox_to_history {{on_cluster}} TO campaign_progress_history
AS SELECT * FROM campaign_inbox
COMMENT 'Passes every row on to campaign_progress_history';

CREATE MATERIALIZED VIEW IF NOT EXISTS campaign_inbox_to_progress {{on_cluster}} TO campaign_progress
AS SELECT * FROM campaign_inbox
COMMENT 'Passes every row on to campaign_progress';
