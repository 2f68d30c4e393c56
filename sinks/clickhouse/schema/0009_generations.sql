-- Each record of an SMS has the state of its message after the change. Of two records of a key the one with the higher
-- (generation, revision) is newer; rows written before have generation 0, which is below all others.
ALTER TABLE sms_status {{on_cluster}} ADD COLUMN IF NOT EXISTS generation UInt64;
ALTER TABLE sms_status {{on_cluster}} ADD COLUMN IF NOT EXISTS message_status LowCardinality(Nullable(String));
ALTER TABLE sms_status {{on_cluster}} ADD COLUMN IF NOT EXISTS message_previous_status LowCardinality(Nullable(String));
ALTER TABLE sms_status {{on_cluster}} ADD COLUMN IF NOT EXISTS message_is_final Nullable(Bool);
ALTER TABLE sms_status {{on_cluster}} ADD COLUMN IF NOT EXISTS message_parts Nullable(Int32);
ALTER TABLE sms_status {{on_cluster}} ADD COLUMN IF NOT EXISTS message_parts_seen Nullable(Int32);
ALTER TABLE sms_status {{on_cluster}} ADD COLUMN IF NOT EXISTS message_latency_seconds Nullable(Float64);
ALTER TABLE sms_status {{on_cluster}} ADD COLUMN IF NOT EXISTS message_price Nullable(Decimal(18, 8));
ALTER TABLE sms_status {{on_cluster}} ADD COLUMN IF NOT EXISTS message_revision Nullable(UInt64);

ALTER TABLE sms_status_history {{on_cluster}} ADD COLUMN IF NOT EXISTS generation UInt64;
ALTER TABLE sms_status_history {{on_cluster}} ADD COLUMN IF NOT EXISTS message_status LowCardinality(Nullable(String));
ALTER TABLE sms_status_history {{on_cluster}} ADD COLUMN IF NOT EXISTS message_previous_status LowCardinality(Nullable(String));
ALTER TABLE sms_status_history {{on_cluster}} ADD COLUMN IF NOT EXISTS message_is_final Nullable(Bool);
ALTER TABLE sms_status_history {{on_cluster}} ADD COLUMN IF NOT EXISTS message_parts Nullable(Int32);
ALTER TABLE sms_status_history {{on_cluster}} ADD COLUMN IF NOT EXISTS message_parts_seen Nullable(Int32);
ALTER TABLE sms_status_history {{on_cluster}} ADD COLUMN IF NOT EXISTS message_latency_seconds Nullable(Float64);
ALTER TABLE sms_status_history {{on_cluster}} ADD COLUMN IF NOT EXISTS message_price Nullable(Decimal(18, 8));
ALTER TABLE sms_status_history {{on_cluster}} ADD COLUMN IF NOT EXISTS message_revision Nullable(UInt64);

ALTER TABLE sms_inbox {{on_cluster}} ADD COLUMN IF NOT EXISTS generation UInt64;
ALTER TABLE sms_inbox {{on_cluster}} ADD COLUMN IF NOT EXISTS message_status Nullable(String);
ALTER TABLE sms_inbox {{on_cluster}} ADD COLUMN IF NOT EXISTS message_previous_status Nullable(String);
ALTER TABLE sms_inbox {{on_cluster}} ADD COLUMN IF NOT EXISTS message_is_final Nullable(Bool);
ALTER TABLE sms_inbox {{on_cluster}} ADD COLUMN IF NOT EXISTS message_parts Nullable(Int32);
ALTER TABLE sms_inbox {{on_cluster}} ADD COLUMN IF NOT EXISTS message_parts_seen Nullable(Int32);
ALTER TABLE sms_inbox {{on_cluster}} ADD COLUMN IF NOT EXISTS message_latency_seconds Nullable(Float64);
ALTER TABLE sms_inbox {{on_cluster}} ADD COLUMN IF NOT EXISTS message_price Nullable(Decimal(18, 8));
ALTER TABLE sms_inbox {{on_cluster}} ADD COLUMN IF NOT EXISTS message_revision Nullable(UInt64);

ALTER TABLE campaign_progress {{on_cluster}} ADD COLUMN IF NOT EXISTS generation UInt64;
ALTER TABLE campaign_progress_history {{on_cluster}} ADD COLUMN IF NOT EXISTS generation UInt64;
ALTER TABLE campaign_inbox {{on_cluster}} ADD COLUMN IF NOT EXISTS generation UInt64;

-- A view keeps the columns that it was created with.
CREATE OR REPLACE VIEW sms {{on_cluster}}
AS SELECT * FROM sms_status FINAL
COMMENT 'A row per SMS part: its latest state';

CREATE OR REPLACE VIEW sms_history {{on_cluster}}
AS SELECT * FROM sms_status_history FINAL
COMMENT 'A row per change of an SMS part';

CREATE OR REPLACE VIEW campaigns {{on_cluster}}
AS SELECT * FROM campaign_progress FINAL
COMMENT 'A row per campaign: its latest progress';

CREATE OR REPLACE VIEW campaign_history {{on_cluster}}
AS SELECT * FROM campaign_progress_history FINAL
COMMENT 'A row per progress record of a campaign';
