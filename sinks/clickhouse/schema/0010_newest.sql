-- Of two records of a key the one with the higher (generation, revision) is newer. A key has one row in the view sms, and
-- a message one in message_status.
--
-- sms_status is made anew beside the one that sinks insert into, and changes places with it when it has all rows; each
-- insert goes to both meanwhile. What a run before this one has left is removed first. SYNC waits for the end of the
-- inserts that use the table or view.
ATTACH TABLE IF NOT EXISTS sms_inbox {{on_cluster}};

DROP VIEW IF EXISTS sms_inbox_to_status_next {{on_cluster}} SYNC;

DROP TABLE IF EXISTS sms_status_next {{on_cluster}} SYNC;

-- Sorted by the moment at which an SMS was first seen, as before: sorted by key alone, each part would overlap all others,
-- and a query for one day would read all days. An SMS that begins anew is first seen anew: it has a row at each of these
-- moments, and those of its former lives are superseded.
CREATE TABLE IF NOT EXISTS sms_status_next {{on_cluster}}
(
    sms_key                 String,
    message_id              String,
    sms_id                  Nullable(String),
    campaign_tracking_id    LowCardinality(Nullable(String)),
    campaign_name           LowCardinality(Nullable(String)),
    part                    Nullable(Int32),
    parts                   Nullable(Int32),
    label                   Nullable(String),
    recipient               Nullable(String),
    sender                  LowCardinality(Nullable(String)),
    country                 LowCardinality(Nullable(String)),
    operator                LowCardinality(Nullable(String)),
    groups                  Array(LowCardinality(String)),
    status                  LowCardinality(String),
    previous_status         LowCardinality(Nullable(String)),
    is_final                Bool,
    detailed_status         LowCardinality(Nullable(String)),
    status_description      LowCardinality(Nullable(String)),
    status_updated_at       DateTime64(3, 'UTC'),
    queued_at               Nullable(DateTime64(3, 'UTC')),
    sent_at                 Nullable(DateTime64(3, 'UTC')),
    final_at                Nullable(DateTime64(3, 'UTC')),
    latency_seconds         Nullable(Float64),
    price                   Nullable(Decimal(18, 8)),
    application_name        LowCardinality(Nullable(String)),
    direction               LowCardinality(Nullable(String)),
    originating_service     LowCardinality(Nullable(String)),
    message                 Nullable(String),
    revision                UInt64,
    conflicts               UInt32,
    first_received_at       DateTime64(3, 'UTC'),
    received_at             DateTime64(3, 'UTC'),
    `partition`             UInt32,
    `offset`                UInt64,
    `index`                 UInt32,
    generation              UInt64,
    message_status          LowCardinality(Nullable(String)),
    message_previous_status LowCardinality(Nullable(String)),
    message_is_final        Nullable(Bool),
    message_parts           Nullable(Int32),
    message_parts_seen      Nullable(Int32),
    message_latency_seconds Nullable(Float64),
    message_price           Nullable(Decimal(18, 8)),
    message_revision        Nullable(UInt64),
    is_superseded           Bool DEFAULT false COMMENT 'a former life: another row of the key is newer',
    version                 UInt128 MATERIALIZED bitOr(bitShiftLeft(toUInt128(generation), 64), revision),
    INDEX sms_key_bloom sms_key TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX message_id_bloom message_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX recipient_bloom recipient TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX campaign_bloom campaign_tracking_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = {{replicated}}ReplacingMergeTree(version)
PARTITION BY toYYYYMM(first_received_at)
ORDER BY (first_received_at, sms_key)
SETTINGS min_bytes_for_wide_part = 134217728
COMMENT 'The latest row of every life of every SMS part, once merged; read the view sms: a row per SMS part at any moment';

-- The moments at which an SMS was first seen: nearly always one. It is searched for the keys of each insert, so its pieces
-- are small: however many rows it has, an insert reads a piece per key at most.
CREATE TABLE IF NOT EXISTS sms_lives {{on_cluster}}
(
    key_hash          FixedString(16) COMMENT 'sipHash128(sms_key)',
    first_received_at DateTime64(3, 'UTC'),
    generation        UInt64,
    revision          UInt64,
    version           UInt128 MATERIALIZED bitOr(bitShiftLeft(toUInt128(generation), 64), revision)
)
ENGINE = {{replicated}}ReplacingMergeTree(version)
ORDER BY (key_hash, first_received_at)
SETTINGS index_granularity = 512, min_bytes_for_wide_part = 134217728
COMMENT 'When each SMS part was first seen: more than once when it was forgotten and began anew';

CREATE TABLE IF NOT EXISTS message_status {{on_cluster}}
(
    message_id           String,
    campaign_tracking_id LowCardinality(Nullable(String)),
    campaign_name        LowCardinality(Nullable(String)),
    recipient            Nullable(String),
    sender               LowCardinality(Nullable(String)),
    country              LowCardinality(Nullable(String)),
    operator             LowCardinality(Nullable(String)),
    status               LowCardinality(String) COMMENT 'empty while only records of 0.1.0 came, which do not tell it',
    previous_status      LowCardinality(Nullable(String)),
    is_final             Bool,
    parts                Int32,
    parts_seen           Int32,
    latency_seconds      Nullable(Float64),
    price                Nullable(Decimal(18, 8)),
    generation           UInt64,
    revision             UInt64,
    first_received_at    DateTime64(3, 'UTC') COMMENT 'of the SMS that changed last',
    received_at          DateTime64(3, 'UTC') COMMENT 'of the callback that made this revision',
    version              UInt128 MATERIALIZED bitOr(bitShiftLeft(toUInt128(generation), 64), revision)
)
ENGINE = {{replicated}}ReplacingMergeTree(version)
ORDER BY message_id
SETTINGS min_bytes_for_wide_part = 134217728
COMMENT 'One row per message after its latest change, once merged; read the view messages to be exact at any moment';

ALTER TABLE sms_status {{on_cluster}} ADD COLUMN IF NOT EXISTS is_superseded Bool DEFAULT false;

-- The changes of two generations may have the same revisions. A column enters the sort key only by the statement that
-- adds it, so this one has the generation again.
ALTER TABLE sms_status_history {{on_cluster}}
    ADD COLUMN IF NOT EXISTS life UInt64 COMMENT 'the generation, for the sort key',
    MODIFY ORDER BY (first_received_at, sms_key, revision, life);

CREATE OR REPLACE VIEW sms_history {{on_cluster}}
AS SELECT * EXCEPT (life) FROM sms_status_history FINAL
COMMENT 'A row per change of an SMS part';

ALTER TABLE sms_inbox_to_history {{on_cluster}} MODIFY QUERY SELECT *, generation AS life FROM sms_inbox;

CREATE MATERIALIZED VIEW IF NOT EXISTS sms_inbox_to_lives {{on_cluster}} TO sms_lives
AS SELECT sipHash128(sms_key) AS key_hash, first_received_at, generation, revision FROM sms_inbox
COMMENT 'Passes every row on to sms_lives';

CREATE MATERIALIZED VIEW IF NOT EXISTS sms_inbox_to_messages {{on_cluster}} TO message_status
AS SELECT
    message_id, campaign_tracking_id, campaign_name, recipient, sender, country, operator,
    ifNull(inbox.message_status, '') AS status,
    inbox.message_previous_status AS previous_status,
    ifNull(inbox.message_is_final, false) AS is_final,
    ifNull(inbox.message_parts, 0) AS parts,
    ifNull(inbox.message_parts_seen, 0) AS parts_seen,
    inbox.message_latency_seconds AS latency_seconds,
    inbox.message_price AS price,
    generation,
    ifNull(inbox.message_revision, 0) AS revision,
    first_received_at,
    received_at
FROM sms_inbox AS inbox
COMMENT 'Passes the state of the message in every row on to message_status';

CREATE MATERIALIZED VIEW IF NOT EXISTS sms_inbox_to_status_next {{on_cluster}} TO sms_status_next
AS SELECT * FROM sms_inbox
COMMENT 'Passes every row on to sms_status_next';

-- When rows are copied, no insert may be under way that began before these views were there. While there is no inbox an
-- insert fails, and its rows are inserted again.
DETACH TABLE IF EXISTS sms_inbox {{on_cluster}} SYNC;

ATTACH TABLE IF NOT EXISTS sms_inbox {{on_cluster}};

INSERT INTO sms_lives
SELECT sipHash128(sms_key), first_received_at, generation, revision FROM sms_status WHERE NOT is_superseded;

-- Records of 0.1.0 do not tell the state of their message: this is the last time that SQL puts it together.
INSERT INTO message_status
SELECT
    message_id, campaign_tracking_id, campaign_name, recipient, sender, country, operator, status, NULL, is_final,
    parts, parts_seen, latency_seconds, price, 0, 1, first_received_at, received_at
FROM messages;

INSERT INTO message_status
SELECT
    message_id, campaign_tracking_id, campaign_name, recipient, sender, country, operator, message_status,
    message_previous_status, message_is_final, message_parts, message_parts_seen, message_latency_seconds, message_price,
    generation, message_revision, first_received_at, received_at
FROM sms_status
WHERE message_revision > 0;

INSERT INTO sms_status_next
SELECT
    sms_key, message_id, sms_id, campaign_tracking_id, campaign_name, part, parts, label, recipient, sender, country,
    operator, groups, status, previous_status, is_final, detailed_status, status_description, status_updated_at,
    queued_at, sent_at, final_at, latency_seconds, price, application_name, direction, originating_service, message,
    revision, conflicts, first_received_at, received_at, `partition`, `offset`, `index`, generation, message_status,
    message_previous_status, message_is_final, message_parts, message_parts_seen, message_latency_seconds,
    message_price, message_revision, is_superseded
FROM sms_status;

-- By its comment a table is known as one of this schema, also after an interrupted run.
ALTER TABLE sms_status {{on_cluster}} MODIFY
COMMENT 'Changes places with sms_status_next, which has all its rows';

EXCHANGE TABLES sms_status AND sms_status_next {{on_cluster}};

CREATE OR REPLACE VIEW sms {{on_cluster}}
AS SELECT * EXCEPT (is_superseded) FROM sms_status FINAL WHERE NOT is_superseded
COMMENT 'A row per SMS part: its latest state';

-- Marks the rows of former lives: those with another beginning than the newest record of the key. The mark has the
-- generation and revision of that record, so an old record that is inserted again does not undo it. It is younger than
-- the row that it marks, so a time to live does not take it away first.
CREATE MATERIALIZED VIEW IF NOT EXISTS sms_inbox_to_superseded {{on_cluster}} TO sms_status
AS SELECT
    sms_key,
    arrayJoin(arrayFilter(beginning -> beginning != latest.3, arrayConcat(beginnings, beginnings_before))) AS first_received_at,
    latest.1 AS generation,
    latest.2 AS revision,
    now64(3) AS received_at,
    true AS is_superseded
FROM
(
    SELECT sms_key, beginnings, beginnings_before, if(newest_before > newest, newest_before, newest) AS latest
    FROM
    (
        SELECT
            sms_key,
            sipHash128(sms_key) AS key_hash,
            max((inbox.generation, inbox.revision, inbox.first_received_at)) AS newest,
            groupUniqArray(inbox.first_received_at) AS beginnings
        FROM sms_inbox AS inbox
        GROUP BY sms_key
    ) AS inserted
    LEFT JOIN
    (
        SELECT
            key_hash,
            max((lives.generation, lives.revision, lives.first_received_at)) AS newest_before,
            groupUniqArray(lives.first_received_at) AS beginnings_before
        FROM sms_lives AS lives
        WHERE key_hash IN (SELECT sipHash128(sms_key) FROM sms_inbox)
            AND (key_hash, first_received_at) NOT IN (SELECT sipHash128(sms_key), first_received_at FROM sms_inbox)
        GROUP BY key_hash
    ) AS known USING (key_hash)
    WHERE length(beginnings) + length(beginnings_before) > 1
)
COMMENT 'Marks the rows of former lives in sms_status, when one of its rows has begun anew';

DROP VIEW IF EXISTS sms_inbox_to_status_next {{on_cluster}} SYNC;

INSERT INTO sms_status (sms_key, first_received_at, generation, revision, received_at, is_superseded)
SELECT
    key, arrayJoin(arrayFilter(beginning -> beginning != latest.3, beginnings)), latest.1, latest.2, now64(3), true
FROM
(
    SELECT
        sms_key AS key,
        max((generation, revision, first_received_at)) AS latest,
        groupUniqArray(first_received_at) AS beginnings
    FROM sms_status
    WHERE NOT is_superseded AND sipHash128(sms_key) IN
    (
        SELECT key_hash FROM sms_lives GROUP BY key_hash HAVING uniqExact(first_received_at) > 1
        SETTINGS optimize_aggregation_in_order = 1
    )
    GROUP BY key
);

DROP TABLE IF EXISTS sms_status_next {{on_cluster}} SYNC;
