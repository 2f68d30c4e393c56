// Prints each newer state of one campaign; its id is the argument.
import { Kafka, logLevel } from "kafkajs";

const topic = (process.env.KAFKA_TOPIC_PREFIX ?? "routee.") + "campaign.progress";
const brokers = (process.env.KAFKA_BOOTSTRAP_SERVERS ?? "127.0.0.1:9092").split(",");

const isNewer = (record, known) => {
  const [one, other] = [record.generation ?? 0, known.generation ?? 0];
  return one === other ? record.revision > known.revision : one > other;
};

// A group of its own that keeps no offsets: each start reads the topic from its beginning, which has the latest record
// of every key.
const consumer = new Kafka({ brokers, logLevel: logLevel.ERROR }).consumer({ groupId: `example-${process.pid}` });
const campaign = process.argv[2];
let newest = { generation: 0, revision: 0 };
await consumer.connect();
await consumer.subscribe({ topic, fromBeginning: true });
await consumer.run({
  autoCommit: false,
  eachMessage: async ({ message }) => {
    const record = JSON.parse(message.value);
    if (record.campaign_tracking_id !== campaign || !isNewer(record, newest)) return;
    newest = record;
    console.log(record.revision, record.progress, JSON.stringify(record.messages_by_status));
  },
});
