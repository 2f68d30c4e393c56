"""Prints each newer state of one campaign; its id is the argument."""

import json
import os
import sys

from kafka import KafkaConsumer, TopicPartition

topic = os.environ.get("KAFKA_TOPIC_PREFIX", "routee.") + "campaign.progress"
servers = os.environ.get("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:9092")


def version(record):
    return record.get("generation") or 0, record["revision"]


# Without a group: each start reads the topic from its beginning, which has the latest record of every key.
consumer = KafkaConsumer(bootstrap_servers=servers)
consumer.assign([TopicPartition(topic, partition) for partition in consumer.partitions_for_topic(topic)])
consumer.seek_to_beginning()
campaign, newest = sys.argv[1], (0, 0)
for message in consumer:
    record = json.loads(message.value)
    if record["campaign_tracking_id"] == campaign and version(record) > newest:
        newest = version(record)
        print(newest, record["progress"], json.dumps(record["messages_by_status"]), flush=True)
