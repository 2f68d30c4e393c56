-- The state at a past moment, as the callbacks that were received by then tell it. A redriven callback counts as received
-- when it was posted. A change stands on all before it, so it is told from the moment at which all of them had been
-- received. The history keeps its days: an SMS whose last change by then is older has no row.
CREATE OR REPLACE VIEW sms_as_of {{on_cluster}}
AS SELECT * EXCEPT (life, reached)
FROM
(
    SELECT *, max(received_at) OVER (PARTITION BY sms_key ORDER BY generation, revision) AS reached
    FROM sms_status_history FINAL
)
WHERE reached <= {at:DateTime64(3, 'UTC')}
ORDER BY generation DESC, revision DESC
LIMIT 1 BY sms_key
COMMENT 'A row per SMS part: its state at the moment that the parameter `at` names, as far as the history goes back';

CREATE OR REPLACE VIEW campaigns_as_of {{on_cluster}}
AS SELECT * FROM campaign_progress_history FINAL
WHERE last_received_at <= {at:DateTime64(3, 'UTC')}
ORDER BY generation DESC, revision DESC
LIMIT 1 BY campaign_tracking_id
COMMENT 'A row per campaign: its progress at the moment that the parameter `at` names, as far as the history goes back';
