"""Counts final SMS by status, each once: also when records come again, or late."""

import json
import os
from collections import Counter

from kafka import KafkaConsumer, TopicPartition

topic = os.environ.get("KAFKA_TOPIC_PREFIX", "routee.") + "sms.status"
servers = os.environ.get("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:9092")


def version(record):
    return record.get("generation") or 0, record["revision"]


# Without a group: each start reads the topic from its beginning, which has the latest record of every key.
consumer = KafkaConsumer(bootstrap_servers=servers)
consumer.assign([TopicPartition(topic, partition) for partition in consumer.partitions_for_topic(topic)])
consumer.seek_to_beginning()
newest, finals = {}, Counter()
for message in consumer:
    record = json.loads(message.value)
    key = record["sms_key"]
    known = newest.get(key)
    if known is None or version(record) > version(known):
        newest[key] = record
        if known and known["is_final"]:  # another final status came later, and replaces it
            finals[known["status"]] -= 1
        if record["is_final"]:
            finals[record["status"]] += 1
            print(json.dumps(finals), flush=True)
