// Prints the latest status of each SMS, and each newer one as it comes.
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.time.Duration;
import java.util.*;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;

class LatestStatus {
    static final Comparator<JsonNode> VERSION = Comparator
        .comparingLong((JsonNode record) -> record.path("generation").asLong(0))
        .thenComparingLong(record -> record.get("revision").asLong());

    public static void main(String[] arguments) throws Exception {
        var topic = System.getenv().getOrDefault("KAFKA_TOPIC_PREFIX", "routee.") + "sms.status";
        var servers = System.getenv().getOrDefault("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:9092");
        var text = new StringDeserializer();
        // Without a group: each start reads the topic from its beginning, which has the latest record of every key.
        var consumer = new KafkaConsumer<>(Map.<String, Object>of("bootstrap.servers", servers), text, text);
        consumer.assign(consumer.partitionsFor(topic).stream().map(one -> new TopicPartition(topic, one.partition())).toList());
        consumer.seekToBeginning(consumer.assignment());
        var newest = new HashMap<String, JsonNode>();
        while (true)
            for (var message : consumer.poll(Duration.ofSeconds(1))) {
                var record = new ObjectMapper().readTree(message.value());
                var known = newest.get(record.get("sms_key").asText());
                if (known != null && VERSION.compare(record, known) <= 0) continue;
                newest.put(record.get("sms_key").asText(), record);
                System.out.println(record.get("sms_key").asText() + " " + record.get("status").asText());
            }
    }
}
