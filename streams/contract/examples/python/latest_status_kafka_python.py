"""Prints the latest status of each SMS, and each newer one as it comes."""

import json
import os

from kafka import KafkaConsumer, TopicPartition

topic = os.environ.get("KAFKA_TOPIC_PREFIX", "routee.") + "sms.status"
servers = os.environ.get("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:9092")


def version(record):
    return record.get("generation") or 0, record["revision"]


# Without a group: each start reads the topic from its beginning, which has the latest record of every key.
consumer = KafkaConsumer(bootstrap_servers=servers)
consumer.assign([TopicPartition(topic, partition) for partition in consumer.partitions_for_topic(topic)])
consumer.seek_to_beginning()
newest = {}
for message in consumer:
    record = json.loads(message.value)
    key = record["sms_key"]
    if key not in newest or version(record) > newest[key]:
        newest[key] = version(record)
        print(key, record["status"], flush=True)
