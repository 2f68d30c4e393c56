"""Prints each newer state of one campaign; its id is the argument."""

import json
import os
import sys

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition

topic = os.environ.get("KAFKA_TOPIC_PREFIX", "routee.") + "campaign.progress"
servers = os.environ.get("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:9092")


def version(record):
    return record.get("generation") or 0, record["revision"]


# Without a group: each start reads the topic from its beginning, which has the latest record of every key.
consumer = Consumer({"bootstrap.servers": servers, "group.id": "none"})
partitions = consumer.list_topics(topic).topics[topic].partitions
consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in partitions])
campaign, newest = sys.argv[1], (0, 0)
while True:
    message = consumer.poll(1)
    if message is None:
        continue
    if message.error():
        raise KafkaException(message.error())
    record = json.loads(message.value())
    if record["campaign_tracking_id"] == campaign and version(record) > newest:
        newest = version(record)
        print(newest, record["progress"], json.dumps(record["messages_by_status"]), flush=True)
