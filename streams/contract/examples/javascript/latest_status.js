// Prints the latest status of each SMS, and each newer one as it comes.
import { Kafka, logLevel } from "kafkajs";

const topic = (process.env.KAFKA_TOPIC_PREFIX ?? "routee.") + "sms.status";
const brokers = (process.env.KAFKA_BOOTSTRAP_SERVERS ?? "127.0.0.1:9092").split(",");

const isNewer = (record, known) => {
  const [one, other] = [record.generation ?? 0, known.generation ?? 0];
  return one === other ? record.revision > known.revision : one > other;
};

// A group of its own that keeps no offsets: each start reads the topic from its beginning, which has the latest record
// of every key.
const consumer = new Kafka({ brokers, logLevel: logLevel.ERROR }).consumer({ groupId: `example-${process.pid}` });
const newest = new Map();
await consumer.connect();
await consumer.subscribe({ topic, fromBeginning: true });
await consumer.run({
  autoCommit: false,
  eachMessage: async ({ message }) => {
    const record = JSON.parse(message.value);
    const known = newest.get(record.sms_key);
    if (known && !isNewer(record, known)) return;
    newest.set(record.sms_key, record);
    console.log(record.sms_key, record.status);
  },
});
