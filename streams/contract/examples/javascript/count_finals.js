// Counts final SMS by status, each once: also when records come again, or late.
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
const [newest, finals] = [new Map(), {}];
await consumer.connect();
await consumer.subscribe({ topic, fromBeginning: true });
await consumer.run({
  autoCommit: false,
  eachMessage: async ({ message }) => {
    const record = JSON.parse(message.value);
    const known = newest.get(record.sms_key);
    if (known && !isNewer(record, known)) return;
    newest.set(record.sms_key, record);
    if (known?.is_final) finals[known.status] -= 1; // another final status came later, and replaces it
    if (!record.is_final) return;
    finals[record.status] = (finals[record.status] ?? 0) + 1;
    console.log(JSON.stringify(finals));
  },
});
