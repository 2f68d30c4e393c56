-- A campaign counts its reports that are neither older nor newer than another one. Rows written before have null.
ALTER TABLE campaign_progress {{on_cluster}} ADD COLUMN IF NOT EXISTS unordered_reports Nullable(UInt64);

ALTER TABLE campaign_progress_history {{on_cluster}} ADD COLUMN IF NOT EXISTS unordered_reports Nullable(UInt64);

ALTER TABLE campaign_inbox {{on_cluster}} ADD COLUMN IF NOT EXISTS unordered_reports Nullable(UInt64);

-- A view keeps the columns that it was created with.
CREATE OR REPLACE VIEW campaigns {{on_cluster}}
AS SELECT * FROM campaign_progress FINAL
COMMENT 'A row per campaign: its latest progress';

CREATE OR REPLACE VIEW campaign_history {{on_cluster}}
AS SELECT * FROM campaign_progress_history FINAL
COMMENT 'A row per progress record of a campaign';

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
    last_received_at,
    messages_by_status,
    parts_by_status,
    stale_reports,
    unordered_reports
FROM campaigns
COMMENT 'Own counts against the reports of Routee, a row per campaign. drift is in reconciliation_unit: messages or parts, null while the reports do not tell it';
