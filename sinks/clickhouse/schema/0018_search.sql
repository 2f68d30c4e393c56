-- For the search of the console, besides numbers: ids by their first eight characters, in any case, and labels. An id that
-- Routee gives an SMS is its key, but for the few SMS of which the first callback had none.
--
-- Merges write the indexes of new parts; those of the parts that are there are made behind the scenes. Until they are done,
-- a search reads these parts whole, as before.
ALTER TABLE sms_status {{on_cluster}}
    ADD INDEX IF NOT EXISTS sms_id_head_bloom lower(left(ifNull(sms_id, sms_key), 8)) TYPE bloom_filter(0.01) GRANULARITY 1;

ALTER TABLE sms_status {{on_cluster}}
    ADD INDEX IF NOT EXISTS label_bloom label TYPE bloom_filter(0.01) GRANULARITY 1;

ALTER TABLE sms_status {{on_cluster}} MATERIALIZE INDEX sms_id_head_bloom;

ALTER TABLE sms_status {{on_cluster}} MATERIALIZE INDEX label_bloom;
