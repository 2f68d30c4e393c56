"""Prints the latest status of each SMS, and each newer one as it comes."""

import json
import os

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition

topic = os.environ.get("KAFKA_TOPIC_PREFIX", "routee.") + "sms.status"
servers = os.environ.get("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:9092")


def version(record):
    return record.get("generation") or 0, record["revision"]


# Without a group: each start reads the topic from its beginning, which has the latest record of every key.
consumer = Consumer({"bootstrap.servers": servers, "group.id": "none"})
partitions = consumer.list_topics(topic).topics[topic].partitions
consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in partitions])
newest = {}
while True:
    message = consumer.poll(1)
    if message is None:
        continue
    if message.error():
        raise KafkaException(message.error())
    record = json.loads(message.value())
    key = record["sms_key"]
    if key not in newest or version(record) > newest[key]:
        newest[key] = version(record)
        print(key, record["status"], flush=True)
