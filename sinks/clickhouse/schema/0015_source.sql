-- How the status of a row came: in a callback, or because we asked Routee for it. Rows of earlier versions: callbacks.
ALTER TABLE sms_status {{on_cluster}} ADD COLUMN IF NOT EXISTS source LowCardinality(String) DEFAULT 'callback';

ALTER TABLE sms_status_history {{on_cluster}} ADD COLUMN IF NOT EXISTS source LowCardinality(String) DEFAULT 'callback';

ALTER TABLE sms_inbox {{on_cluster}} ADD COLUMN IF NOT EXISTS source LowCardinality(String) DEFAULT 'callback';

-- A view keeps the columns that it was created with.
CREATE OR REPLACE VIEW sms {{on_cluster}}
AS SELECT * EXCEPT (is_superseded) FROM sms_status FINAL WHERE NOT is_superseded
COMMENT 'A row per SMS part: its latest state';

CREATE OR REPLACE VIEW sms_history {{on_cluster}}
AS SELECT * EXCEPT (life) FROM sms_status_history FINAL
COMMENT 'A row per change of an SMS part';
