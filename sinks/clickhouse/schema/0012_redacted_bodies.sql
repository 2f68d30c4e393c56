-- A rejection says whether numbers or texts were taken out of its body. Rows written before have false.
ALTER TABLE rejected_callbacks {{on_cluster}} ADD COLUMN IF NOT EXISTS redacted Bool;

-- A view keeps the columns that it was created with.
CREATE OR REPLACE VIEW rejections {{on_cluster}}
AS SELECT * FROM rejected_callbacks FINAL
COMMENT 'A row per refused callback';
