-- Every callback that was refused, once per position.
--
-- The position is where the callback lies in the raw topic; one that never got there (stage ingest) is known by where
-- its rejection lies in the rejected topic. A replay of the raw topic writes the same rejection again, to another
-- offset of the rejected topic: it replaces the first.
CREATE TABLE IF NOT EXISTS rejected_callbacks {{on_cluster}}
(
    received_at      DateTime64(3, 'UTC'),
    stage            LowCardinality(String),
    reason           LowCardinality(String),
    detail           String,
    body             Nullable(String) CODEC(ZSTD),
    body_base64      Nullable(String) CODEC(ZSTD),
    `partition`      Nullable(UInt32),
    `offset`         Nullable(UInt64),
    `index`          Nullable(UInt32),
    topic_partition  UInt32 COMMENT 'where the rejection lies in the rejected topic',
    topic_offset     UInt64,
    is_in_raw        Bool   MATERIALIZED isNotNull(`offset`),
    origin_partition UInt32 MATERIALIZED if(isNull(`offset`), topic_partition, ifNull(`partition`, 0)),
    origin_offset    UInt64 MATERIALIZED ifNull(`offset`, topic_offset),
    origin_index     Int64  MATERIALIZED ifNull(toInt64(`index`), -1),
    CONSTRAINT is_rejection CHECK stage != '' AND reason != ''
)
ENGINE = {{replicated}}ReplacingMergeTree
ORDER BY (is_in_raw, origin_partition, origin_offset, origin_index)
COMMENT 'Every refused callback, once merged; read the view rejections to be exact at any moment';
