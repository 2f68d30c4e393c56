-- ClickHouse 26.9 compresses a part of more than 100 MB by ZSTD, unless a column has a codec. Views read these columns of every
-- cell, FINAL those of the order and the version, and ZSTD was a quarter of the work, less where FINAL merges. So they are
-- LZ4 in parts of every size. T64 goes before it for the counts: they are small, and it keeps the bits that differ. The other
-- columns stay as they are. A part that is there gets this with its next merge.
ALTER TABLE delivery_windows {{on_cluster}}
    MODIFY COLUMN cell CODEC(LZ4),
    MODIFY COLUMN window_start CODEC(LZ4),
    MODIFY COLUMN country CODEC(LZ4),
    MODIFY COLUMN operator CODEC(LZ4),
    MODIFY COLUMN sender CODEC(LZ4),
    MODIFY COLUMN application_name CODEC(LZ4),
    MODIFY COLUMN label CODEC(LZ4),
    MODIFY COLUMN price_total CODEC(LZ4),
    MODIFY COLUMN price_delivered CODEC(LZ4),
    MODIFY COLUMN price_undelivered CODEC(LZ4),
    MODIFY COLUMN version CODEC(LZ4),
    MODIFY COLUMN messages CODEC(T64, LZ4),
    MODIFY COLUMN parts CODEC(T64, LZ4),
    MODIFY COLUMN conflicts CODEC(T64, LZ4),
    MODIFY COLUMN unpriced CODEC(T64, LZ4),
    MODIFY COLUMN messages_final CODEC(T64, LZ4),
    MODIFY COLUMN messages_delivered CODEC(T64, LZ4),
    MODIFY COLUMN delivered CODEC(T64, LZ4),
    MODIFY COLUMN undelivered CODEC(T64, LZ4),
    MODIFY COLUMN failed CODEC(T64, LZ4),
    MODIFY COLUMN unsent CODEC(T64, LZ4),
    MODIFY COLUMN latency_1 CODEC(T64, LZ4),
    MODIFY COLUMN latency_2 CODEC(T64, LZ4),
    MODIFY COLUMN latency_5 CODEC(T64, LZ4),
    MODIFY COLUMN latency_10 CODEC(T64, LZ4),
    MODIFY COLUMN latency_20 CODEC(T64, LZ4),
    MODIFY COLUMN latency_30 CODEC(T64, LZ4),
    MODIFY COLUMN latency_60 CODEC(T64, LZ4),
    MODIFY COLUMN latency_120 CODEC(T64, LZ4),
    MODIFY COLUMN latency_300 CODEC(T64, LZ4),
    MODIFY COLUMN latency_600 CODEC(T64, LZ4),
    MODIFY COLUMN latency_900 CODEC(T64, LZ4),
    MODIFY COLUMN latency_1800 CODEC(T64, LZ4),
    MODIFY COLUMN latency_3600 CODEC(T64, LZ4),
    MODIFY COLUMN latency_14400 CODEC(T64, LZ4),
    MODIFY COLUMN latency_43200 CODEC(T64, LZ4),
    MODIFY COLUMN latency_86400 CODEC(T64, LZ4),
    MODIFY COLUMN latency_more CODEC(T64, LZ4);

-- Cells change for days. A part with late changes reaches back over another one, and FINAL merges all rows of both there: a
-- view takes more than twice as long. Merges by size alone may leave the parts of a month that way for ever; by this setting
-- parts that are a day old are merged with their neighbours of any size.
ALTER TABLE delivery_windows {{on_cluster}} MODIFY SETTING min_age_to_force_merge_seconds = 86400;
