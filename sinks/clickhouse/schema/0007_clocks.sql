-- The time of receipt is that of one of our clocks, and may be decades wrong: it decides no longer what is an SMS.
--
-- ENGINE = Null cannot alter a constraint, so the inbox is made anew. Both views go on reading it, in their order: they
-- know it by its name. In between an insert fails, and its rows are inserted again. CREATE OR REPLACE would turn the
-- order of the views round: a row would be in sms_status before it is in the history.
DROP TABLE IF EXISTS sms_inbox {{on_cluster}};

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
    -- A field that is missing from the JSON takes a default: that of a time is the beginning of 1970.
    CONSTRAINT is_sms CHECK sms_key != '' AND status != '' AND revision > 0
        AND toUnixTimestamp64Milli(first_received_at) != 0
)
ENGINE = Null
COMMENT 'Where sinks insert; sms_status and sms_status_history are filled from here';
