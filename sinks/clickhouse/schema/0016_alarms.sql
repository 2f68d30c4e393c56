-- Alarms of deliveries: a row per alarm with its newest record, and a row per record.
--
-- An alarm is a kind and a subject, and opens again and again: the history has each time. The first table has no
-- partitions: rows of one alarm, in which it opened in different months, have to meet.
CREATE TABLE IF NOT EXISTS delivery_alarms {{on_cluster}}
(
    alarm          String,
    kind           LowCardinality(String),
    subject        String,
    scope          LowCardinality(String),
    country        LowCardinality(Nullable(String)),
    operator       LowCardinality(Nullable(String)),
    sender         LowCardinality(Nullable(String)),
    level          LowCardinality(String),
    is_open        Bool,
    opened_at      DateTime64(3, 'UTC'),
    closed_at      Nullable(DateTime64(3, 'UTC')),
    closed_because LowCardinality(Nullable(String)),
    muted_until    Nullable(DateTime64(3, 'UTC')),
    since          DateTime64(3, 'UTC'),
    until          Nullable(DateTime64(3, 'UTC')),
    observed       Float64,
    expected       Float64,
    n              UInt64,
    only_sender    Bool,
    routes         Array(Array(String)),
    judged         Map(LowCardinality(String), Float64),
    why            String,
    revision       UInt64,
    generation     UInt64,
    version        UInt128 MATERIALIZED bitOr(bitShiftLeft(toUInt128(generation), 64), revision)
)
ENGINE = {{replicated}}ReplacingMergeTree(version)
ORDER BY alarm
COMMENT 'One row per alarm after its latest change, once merged; read the view alarms to be exact at any moment';

CREATE TABLE IF NOT EXISTS delivery_alarms_history {{on_cluster}} AS delivery_alarms
ENGINE = {{replicated}}ReplacingMergeTree(version)
PARTITION BY toYYYYMM(opened_at)
ORDER BY (opened_at, alarm, generation, revision)
COMMENT 'One row per record of an alarm, once merged';

CREATE TABLE IF NOT EXISTS alarm_inbox {{on_cluster}}
(
    alarm          String,
    kind           String,
    subject        String,
    scope          String,
    country        Nullable(String),
    operator       Nullable(String),
    sender         Nullable(String),
    level          String,
    is_open        Bool,
    opened_at      DateTime64(3, 'UTC'),
    closed_at      Nullable(DateTime64(3, 'UTC')),
    closed_because Nullable(String),
    muted_until    Nullable(DateTime64(3, 'UTC')),
    since          DateTime64(3, 'UTC'),
    until          Nullable(DateTime64(3, 'UTC')),
    observed       Float64,
    expected       Float64,
    n              UInt64,
    only_sender    Bool,
    routes         Array(Array(String)),
    judged         Map(String, Float64),
    why            String,
    revision       UInt64,
    generation     UInt64,
    -- A field that is missing from the JSON takes a default: that of a time is the beginning of 1970.
    CONSTRAINT is_alarm CHECK alarm != '' AND revision > 0 AND toUnixTimestamp64Milli(opened_at) != 0
)
ENGINE = Null
COMMENT 'Where sinks insert; delivery_alarms and delivery_alarms_history are filled from here';

CREATE MATERIALIZED VIEW IF NOT EXISTS alarm_inbox_to_latest {{on_cluster}} TO delivery_alarms
AS SELECT * FROM alarm_inbox
COMMENT 'Passes every row on to delivery_alarms';

CREATE MATERIALIZED VIEW IF NOT EXISTS alarm_inbox_to_history {{on_cluster}} TO delivery_alarms_history
AS SELECT * FROM alarm_inbox
COMMENT 'Passes every row on to delivery_alarms_history';

CREATE OR REPLACE VIEW alarms {{on_cluster}}
AS SELECT * FROM delivery_alarms FINAL
COMMENT 'A row per alarm of deliveries: its latest state';

CREATE OR REPLACE VIEW alarm_history {{on_cluster}}
AS SELECT * FROM delivery_alarms_history FINAL
COMMENT 'A row per record of an alarm of deliveries: each time it opens, closes or is muted';
