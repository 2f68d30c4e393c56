-- One row per SMS (a part of a message) after its latest change, and one row per change.
--
-- Sorted by the moment at which an SMS was first seen, which never changes: all revisions of an SMS meet in one place
-- to replace each other, old parts no longer overlap new ones (so FINAL costs little), and the SMS of a campaign lie
-- close together.
CREATE TABLE IF NOT EXISTS sms_status {{on_cluster}}
(
    sms_key              String,
    message_id           String,
    sms_id               Nullable(String),
    campaign_tracking_id LowCardinality(Nullable(String)),
    campaign_name        LowCardinality(Nullable(String)),
    part                 Nullable(Int32),
    parts                Nullable(Int32),
    label                Nullable(String),
    recipient            Nullable(String),
    sender               LowCardinality(Nullable(String)),
    country              LowCardinality(Nullable(String)),
    operator             LowCardinality(Nullable(String)),
    groups               Array(LowCardinality(String)),
    status               LowCardinality(String),
    previous_status      LowCardinality(Nullable(String)),
    is_final             Bool,
    detailed_status      LowCardinality(Nullable(String)),
    status_description   LowCardinality(Nullable(String)),
    status_updated_at    DateTime64(3, 'UTC'),
    queued_at            Nullable(DateTime64(3, 'UTC')),
    sent_at              Nullable(DateTime64(3, 'UTC')),
    final_at             Nullable(DateTime64(3, 'UTC')),
    latency_seconds      Nullable(Float64),
    price                Nullable(Decimal(18, 8)),
    application_name     LowCardinality(Nullable(String)),
    direction            LowCardinality(Nullable(String)),
    originating_service  LowCardinality(Nullable(String)),
    message              Nullable(String),
    revision             UInt64,
    conflicts            UInt32,
    first_received_at    DateTime64(3, 'UTC'),
    received_at          DateTime64(3, 'UTC'),
    `partition`          UInt32,
    `offset`             UInt64,
    `index`              UInt32,
    INDEX sms_key_bloom sms_key TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX message_id_bloom message_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX recipient_bloom recipient TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX campaign_bloom campaign_tracking_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = {{replicated}}ReplacingMergeTree(revision)
PARTITION BY toYYYYMM(first_received_at)
ORDER BY (first_received_at, sms_key)
COMMENT 'One row per SMS part after its latest change, once merged; read the view sms to be exact at any moment';

CREATE TABLE IF NOT EXISTS sms_status_history {{on_cluster}} AS sms_status
ENGINE = {{replicated}}ReplacingMergeTree
PARTITION BY toYYYYMM(first_received_at)
ORDER BY (first_received_at, sms_key, revision)
COMMENT 'Every change of every SMS part, once merged; read the view sms_history to be exact at any moment';

-- What the sink inserts into: it keeps nothing, and the two views below pass each block on to both tables.
--
-- JSON is read three times as fast into plain strings, and once instead of twice. An insert is acknowledged when both
-- tables have it. If only one has, the sink does not learn that it succeeded and inserts the same rows again, until both
-- have them: so this must never be used with insert_deduplicate, which would take the second attempt for done.
CREATE TABLE IF NOT EXISTS sms_inbox {{on_cluster}}
(
    sms_key              String,
    message_id           String,
    sms_id               Nullable(String),
    campaign_tracking_id Nullable(String),
    campaign_name        Nullable(String),
    part                 Nullable(Int32),
    parts                Nullable(Int32),
    label                Nullable(String),
    recipient            Nullable(String),
    sender               Nullable(String),
    country              Nullable(String),
    operator             Nullable(String),
    groups               Array(String),
    status               String,
    previous_status      Nullable(String),
    is_final             Bool,
    detailed_status      Nullable(String),
    status_description   Nullable(String),
    status_updated_at    DateTime64(3, 'UTC'),
    queued_at            Nullable(DateTime64(3, 'UTC')),
    sent_at              Nullable(DateTime64(3, 'UTC')),
    final_at             Nullable(DateTime64(3, 'UTC')),
    latency_seconds      Nullable(Float64),
    price                Nullable(Decimal(18, 8)),
    application_name     Nullable(String),
    direction            Nullable(String),
    originating_service  Nullable(String),
    message              Nullable(String),
    revision             UInt64,
    conflicts            UInt32,
    first_received_at    DateTime64(3, 'UTC'),
    received_at          DateTime64(3, 'UTC'),
    `partition`          UInt32,
    `offset`             UInt64,
    `index`              UInt32,
    -- A field that is missing from the JSON takes a default; without these no row is an SMS.
    CONSTRAINT is_sms CHECK sms_key != '' AND status != '' AND revision > 0 AND first_received_at > '2000-01-01'
)
ENGINE = Null
COMMENT 'Where sinks insert; sms_status and sms_status_history are filled from here';

CREATE MATERIALIZED VIEW IF NOT EXISTS sms_inbox_to_history {{on_cluster}} TO sms_status_history
AS SELECT * FROM sms_inbox
COMMENT 'Passes every row on to sms_status_history';

CREATE MATERIALIZED VIEW IF NOT EXISTS sms_inbox_to_status {{on_cluster}} TO sms_status
AS SELECT * FROM sms_inbox
COMMENT 'Passes every row on to sms_status';
