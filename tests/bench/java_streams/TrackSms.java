// The job of streams as a team fluent in Kafka Streams would write it: envelopes of callbacks become revisions of SMS,
// refusals and the progress of campaigns, exactly once. tests/bench/README.md lists what the worker does besides.

import static org.apache.kafka.streams.StreamsConfig.consumerPrefix;
import static org.apache.kafka.streams.StreamsConfig.producerPrefix;

import com.alibaba.fastjson2.*;
import com.alibaba.fastjson2.JSONWriter.Feature;
import com.alibaba.fastjson2.annotation.*;
import java.math.*;
import java.nio.charset.StandardCharsets;
import java.time.*;
import java.time.format.DateTimeFormatter;
import java.util.*;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.serialization.*;
import org.apache.kafka.streams.*;
import org.apache.kafka.streams.processor.*;
import org.apache.kafka.streams.processor.api.*;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.*;
import org.rocksdb.BlockBasedTableConfig;
import org.rocksdb.LRUCache;
import org.rocksdb.WriteBufferManager;

public final class TrackSms {
    private static final Duration PROGRESS = Duration.ofSeconds(1);  // as STREAMS_PROGRESS_MS
    private static final List<String> WORDS = List.of("Queued", "Sent", "Unsent", "Failed", "Undelivered", "Delivered");
    private static final Set<String> FINALS = Set.copyOf(WORDS.subList(2, WORDS.size()));
    private static final Map<String, String> SPELLED = new HashMap<>();

    static {
        WORDS.forEach(word -> SPELLED.putAll(Map.of(word, word, word.toLowerCase(Locale.ROOT), word)));
    }

    public static final class Envelope {
        @JSONField(name = "received_at")
        public String receivedAt;
        public List<Callback> callbacks;
    }

    public static final class Callback {
        public String messageId, smsId, campaignTrackingId, trackingId;
        public Integer part, parts;
        public String label, to, from, country, operator;
        public List<String> groups;
        public String campaignName;
        public Status status;
        public String message, applicationName;
        public BigDecimal latency, price;
        public String direction, originatingService;
    }

    public static final class Status {
        public String name, updatedDate;
        public Reason reason;
    }

    public static final class Reason {
        public String detailedStatus, description;
    }

    /** The value of a record of `sms.status`, which is the row of the SMS as well: so it is written as JSON once. */
    @JSONType(naming = PropertyNamingStrategy.SnakeCase, alphabetic = false, serializeFeatures = Feature.WriteNulls)
    public static final class Sms {
        public String smsKey, messageId, smsId, campaignTrackingId, campaignName;
        public Integer part, parts;
        public String label, recipient, sender, country, operator;
        public List<String> groups = List.of();
        public String status, previousStatus;
        @JSONField(name = "is_final")
        public boolean ended;
        public String detailedStatus, statusDescription, statusUpdatedAt, queuedAt, sentAt, finalAt;
        public BigDecimal latencySeconds;
        public String price, applicationName, direction, originatingService, message;
        public int revision = 1, conflicts;
        public String firstReceivedAt, receivedAt;
        public int partition;
        public long offset;
        public int index;
        public String source = "callback";

        /** A later status stands above an earlier one, a final one above all others. */
        boolean isAbove(Sms other) {
            int by = Integer.compare(rank(), other.rank());
            by = by != 0 ? by : statusUpdatedAt.compareTo(other.statusUpdatedAt);
            by = by != 0 ? by : Integer.compare(WORDS.indexOf(status), WORDS.indexOf(other.status));
            return (by != 0 ? by : status.compareTo(other.status)) > 0;
        }

        private int rank() {
            return ended ? 2 : status.equals("Queued") ? 0 : 1;
        }

        /** Take what is absent here from another state of the SMS; tell whether there was any. */
        boolean fill(Sms from) {
            boolean any = smsId == null && (smsId = from.smsId) != null;
            any |= campaignTrackingId == null && (campaignTrackingId = from.campaignTrackingId) != null;
            any |= campaignName == null && (campaignName = from.campaignName) != null;
            any |= part == null && (part = from.part) != null;
            any |= parts == null && (parts = from.parts) != null;
            any |= label == null && (label = from.label) != null;
            any |= recipient == null && (recipient = from.recipient) != null;
            any |= sender == null && (sender = from.sender) != null;
            any |= country == null && (country = from.country) != null;
            any |= operator == null && (operator = from.operator) != null;
            any |= groups.isEmpty() && !(groups = from.groups).isEmpty();
            any |= detailedStatus == null && (detailedStatus = from.detailedStatus) != null;
            any |= statusDescription == null && (statusDescription = from.statusDescription) != null;
            any |= latencySeconds == null && (latencySeconds = from.latencySeconds) != null;
            any |= price == null && (price = from.price) != null;
            any |= applicationName == null && (applicationName = from.applicationName) != null;
            any |= direction == null && (direction = from.direction) != null;
            any |= originatingService == null && (originatingService = from.originatingService) != null;
            any |= message == null && (message = from.message) != null;
            String queued = queuedAt, sent = sentAt;
            queuedAt = earlier(queued, from.queuedAt);
            sentAt = earlier(sent, from.sentAt);
            return any || !Objects.equals(queued, queuedAt) || !Objects.equals(sent, sentAt);
        }
    }

    private static String earlier(String one, String other) {
        return one == null || (other != null && other.compareTo(one) < 0) ? other : one;
    }

    /** The SMS of one campaign in one partition. */
    public static final class Counts {
        public String campaign, name, first, last;
        public int partition, conflicts;
        public Map<String, Integer> parts = new TreeMap<>();
        public BigDecimal price = BigDecimal.ZERO.setScale(8);
    }

    public static final class Campaign {
        public int revision;
        public Map<Integer, Counts> sources = new TreeMap<>();
    }

    @JSONType(naming = PropertyNamingStrategy.SnakeCase, alphabetic = false)
    public static final class Progress {
        public String campaignTrackingId, name, priceTotal, firstReceivedAt, lastReceivedAt;
        public int parts, conflicts, revision;
        public Map<String, Integer> partsByStatus = new TreeMap<>();
    }

    public record Rejection(String received_at, String stage, String reason, String detail, String body,
            int partition, long offset, int index) {}

    /** A value on its way, and the partition that it belongs to. */
    record Placed(int partition, byte[] json) {}

    @SuppressWarnings("serial")
    static final class RefusedException extends RuntimeException {
        RefusedException(String detail) {
            super(detail, null, false, false);
        }
    }

    /** The rows of a store that are few enough to be objects as well, and the keys changed since they were told. */
    static final class Held<V> {
        private final KeyValueStore<String, byte[]> store;
        private final Map<String, V> values = new HashMap<>();
        private Set<String> changed = new LinkedHashSet<>();

        Held(KeyValueStore<String, byte[]> store, Class<V> type) {
            this.store = store;
            try (KeyValueIterator<String, byte[]> rows = store.all()) {
                rows.forEachRemaining(row -> values.put(row.key, JSON.parseObject(row.value, type)));
            }
            changed.addAll(values.keySet());  // a crash may have come before they were told
        }

        void write(String key) {
            store.put(key, JSON.toJSONBytes(values.get(key)));
            changed.add(key);
        }

        Set<String> takeChanged() {
            Set<String> taken = changed;
            changed = new LinkedHashSet<>();
            return taken;
        }
    }

    /** Turns envelopes into revisions of SMS, refusals and the counts of a partition. */
    static final class TrackEnvelopes implements Processor<byte[], byte[], byte[], Placed> {
        private static final DateTimeFormatter TIME = DateTimeFormatter.ofPattern("uuuu-MM-dd'T'HH:mm:ss.SSS'Z'");
        private final Map<String, String> times = new HashMap<>();
        private final Set<String> touched = new LinkedHashSet<>();
        private ProcessorContext<byte[], Placed> context;
        private KeyValueStore<String, byte[]> rows;
        private Held<Counts> counts;
        private RecordMetadata place;
        private String received;
        private long now;

        @Override
        public void init(ProcessorContext<byte[], Placed> context) {
            this.context = context;
            touched.clear();  // a task begins again after a transaction that was aborted
            rows = context.getStateStore("sms");
            counts = new Held<>(context.getStateStore("counts"), Counts.class);
            context.schedule(PROGRESS, PunctuationType.WALL_CLOCK_TIME, at -> {
                now = at;
                for (String key : counts.takeChanged()) {
                    Counts told = counts.values.get(key);
                    forward("partials", key, told.partition, JSON.toJSONBytes(told));
                }
            });
        }

        @Override
        public void process(Record<byte[], byte[]> record) {
            now = record.timestamp();
            place = context.recordMetadata().orElseThrow();
            received = null;
            try {
                Envelope envelope = JSON.parseObject(record.value(), Envelope.class);
                if (envelope == null || envelope.callbacks == null) {
                    throw new RefusedException("envelope: expected callbacks");
                }
                received = time(envelope.receivedAt);
                for (int index = 0; index < envelope.callbacks.size(); index++) {
                    take(envelope.callbacks.get(index), index);
                }
            } catch (JSONException | RefusedException unread) {  // before the first callback was taken in
                takeOneByOne(record.value());
            }
            touched.forEach(counts::write);  // 20 campaigns share an envelope of 50
            touched.clear();
        }

        /** A callback of another form must not cost its neighbours. */
        private void takeOneByOne(byte[] value) {
            try {
                JSONObject envelope = JSON.parseObject(value);
                received = time(envelope.getString("received_at"));
                JSONArray callbacks = Objects.requireNonNull(envelope.getJSONArray("callbacks"));
                for (int index = 0; index < callbacks.size(); index++) {
                    try {
                        take(callbacks.getObject(index, Callback.class), index);
                    } catch (JSONException unread) {
                        refuse("it has not the form of a callback", callbacks.getString(index), index);
                    }
                }
            } catch (JSONException | NullPointerException | RefusedException unread) {
                refuse("envelope: it cannot be read", new String(value, StandardCharsets.UTF_8), 0);
            }
        }

        private void take(Callback told, int index) {
            if (told != null && told.messageId == null && told.trackingId != null) {
                return;  // a campaign's report
            }
            try {
                join(stateOf(told, index));
            } catch (RefusedException refused) {
                refuse(refused.getMessage(), JSON.toJSONString(told), index);
            }
        }

        private void join(Sms sms) {
            String key = sms.smsKey.toLowerCase(Locale.ROOT);
            byte[] written = rows.get(key);
            if (written != null) {
                Sms before = JSON.parseObject(written, Sms.class);
                String status = before.status, first = before.firstReceivedAt, smsKey = before.smsKey;
                int revision = before.revision + 1;
                count(before, -1);
                if (sms.isAbove(before)) {
                    sms.conflicts = before.conflicts + (before.ended && !status.equals(sms.status) ? 1 : 0);
                    sms.fill(before);
                } else if (before.fill(sms)) {
                    before.receivedAt = received;
                    before.partition = sms.partition;
                    before.offset = sms.offset;
                    before.index = sms.index;
                    sms = before;
                } else {
                    count(before, 1);
                    return;
                }
                sms.smsKey = smsKey;
                sms.previousStatus = status;
                sms.revision = revision;
                sms.firstReceivedAt = first;
            }
            count(sms, 1);
            byte[] json = JSON.toJSONBytes(sms);
            rows.put(key, json);
            forward("statuses", sms.smsKey, sms.partition, json);
        }

        private void count(Sms sms, int by) {
            if (sms.campaignTrackingId == null) {
                return;
            }
            String key = sms.campaignTrackingId.toLowerCase(Locale.ROOT);
            Counts of = counts.values.computeIfAbsent(key, absent -> new Counts());
            if (of.campaign == null) {
                of.campaign = sms.campaignTrackingId;
                of.partition = sms.partition;
                of.first = received;
            }
            of.last = received;
            of.name = sms.campaignName != null ? sms.campaignName : of.name;
            of.parts.merge(sms.status, by, (one, other) -> one + other == 0 ? null : one + other);
            of.conflicts += by * sms.conflicts;
            if (sms.price != null) {
                BigDecimal price = new BigDecimal(sms.price);
                of.price = by > 0 ? of.price.add(price) : of.price.subtract(price);
            }
            touched.add(key);
        }

        private Sms stateOf(Callback told, int index) {
            if (told == null || told.messageId == null || told.messageId.isEmpty()) {
                throw new RefusedException("messageId: expected text");
            }
            if (told.status == null || told.status.name == null || told.status.name.isBlank()) {
                throw new RefusedException("status.name: expected text");
            }
            Sms sms = new Sms();
            sms.smsKey = told.smsId != null ? told.smsId : told.messageId + "#" + (told.part == null ? 1 : told.part);
            sms.messageId = told.messageId;
            sms.smsId = told.smsId;
            sms.campaignTrackingId = told.campaignTrackingId;
            sms.campaignName = told.campaignName;
            sms.part = told.part;
            sms.parts = told.parts;
            sms.label = told.label;
            sms.recipient = told.to;
            sms.sender = told.from;
            sms.country = told.country;
            sms.operator = told.operator;
            sms.groups = told.groups != null ? told.groups : sms.groups;
            sms.latencySeconds = told.latency;
            sms.price = told.price == null ? null : told.price.setScale(8, RoundingMode.HALF_EVEN).toPlainString();
            sms.applicationName = told.applicationName;
            sms.direction = told.direction;
            sms.originatingService = told.originatingService;
            sms.message = told.message;
            String word = told.status.name.strip(), known = SPELLED.get(word);
            sms.status = known != null ? known : SPELLED.getOrDefault(word.toLowerCase(Locale.ROOT), word);
            sms.ended = FINALS.contains(sms.status);
            sms.statusUpdatedAt = time(told.status.updatedDate);
            sms.queuedAt = sms.status.equals("Queued") ? sms.statusUpdatedAt : null;
            sms.sentAt = sms.status.equals("Sent") ? sms.statusUpdatedAt : null;
            sms.finalAt = sms.ended ? sms.statusUpdatedAt : null;
            if (told.status.reason != null) {
                sms.detailedStatus = told.status.reason.detailedStatus;
                sms.statusDescription = told.status.reason.description;
            }
            sms.firstReceivedAt = sms.receivedAt = received;
            sms.partition = place.partition();
            sms.offset = place.offset();
            sms.index = index;
            return sms;
        }

        /** A moment as text whose order is that of time. Neighbours share theirs. */
        private String time(String text) {
            String known = times.get(text);
            if (known == null) {
                try {
                    OffsetDateTime moment = OffsetDateTime.parse(text == null ? "" : text);
                    known = TIME.format(moment.withOffsetSameInstant(ZoneOffset.UTC));
                } catch (DateTimeException unread) {
                    throw new RefusedException("expected a time with a zone");
                }
                if (times.size() >= 16_384) {
                    times.clear();
                }
                times.put(text, known);
            }
            return known;
        }

        private void refuse(String detail, String body, int index) {
            int partition = place.partition();
            Rejection told = new Rejection(
                received, "streams", "invalid-field", detail, body, partition, place.offset(), index);
            forward("rejections", null, partition, JSON.toJSONBytes(told));
        }

        private void forward(String sink, String key, int partition, byte[] json) {
            context.forward(new Record<>(bytes(key), new Placed(partition, json), now), sink);
        }
    }

    /** Puts the counts of all partitions together. */
    static final class TrackCampaigns implements Processor<String, byte[], byte[], byte[]> {
        private Held<Campaign> campaigns;

        @Override
        public void init(ProcessorContext<byte[], byte[]> context) {
            campaigns = new Held<>(context.getStateStore("campaigns"), Campaign.class);
            context.schedule(PROGRESS, PunctuationType.WALL_CLOCK_TIME, at -> campaigns.takeChanged().forEach(key -> {
                Progress told = progress(campaigns.values.get(key));
                context.forward(new Record<>(bytes(told.campaignTrackingId), JSON.toJSONBytes(told), at));
            }));
        }

        @Override
        public void process(Record<String, byte[]> record) {
            Counts counts = JSON.parseObject(record.value(), Counts.class);
            Campaign campaign = campaigns.values.computeIfAbsent(record.key(), absent -> new Campaign());
            campaign.revision++;
            campaign.sources.put(counts.partition, counts);
            campaigns.write(record.key());
        }

        private static Progress progress(Campaign campaign) {
            Progress told = new Progress();
            BigDecimal price = BigDecimal.ZERO.setScale(8);
            for (Counts counts : campaign.sources.values()) {
                told.campaignTrackingId = counts.campaign;
                told.name = counts.name;
                counts.parts.forEach((status, count) -> told.partsByStatus.merge(status, count, Integer::sum));
                told.parts += counts.parts.values().stream().mapToInt(Integer::intValue).sum();
                price = price.add(counts.price);
                told.conflicts += counts.conflicts;
                told.firstReceivedAt = earlier(told.firstReceivedAt, counts.first);
                String last = told.lastReceivedAt;
                told.lastReceivedAt = last == null || counts.last.compareTo(last) > 0 ? counts.last : last;
            }
            told.priceTotal = price.toPlainString();
            told.revision = campaign.revision;
            return told;
        }
    }

    /** All databases share a cache and a budget for unwritten rows, of the size that the worker's have. */
    public static final class SharedMemory implements RocksDBConfigSetter {
        private static final LRUCache CACHE = new LRUCache(64 << 20);
        private static final WriteBufferManager BUFFERS = new WriteBufferManager(64 << 20, CACHE);

        @Override
        public void setConfig(String store, org.rocksdb.Options options, Map<String, Object> settings) {
            BlockBasedTableConfig blocks = (BlockBasedTableConfig) options.tableFormatConfig();
            options.setTableFormatConfig(blocks.setBlockCache(CACHE));
            options.setWriteBufferManager(BUFFERS);
        }

        @Override
        public void close(String store, org.rocksdb.Options options) {}
    }

    private static byte[] bytes(String text) {
        return text == null ? null : text.getBytes(StandardCharsets.UTF_8);
    }

    private static Topology topology(String source, String prefix) {
        Serializer<byte[]> plain = Serdes.ByteArray().serializer();
        Deserializer<byte[]> asItIs = Serdes.ByteArray().deserializer();
        Serializer<Placed> placed = (topic, value) -> value.json();
        StreamPartitioner<byte[], Placed> asTold =
            (topic, key, value, count) -> Optional.of(Set.of(value.partition() % count));
        return new Topology()
            .addSource("envelopes", asItIs, asItIs, source)
            .addProcessor("track-envelopes", TrackEnvelopes::new, "envelopes")
            .addStateStore(store(Stores.persistentKeyValueStore("sms")).withCachingDisabled(), "track-envelopes")
            .addStateStore(store(Stores.inMemoryKeyValueStore("counts")).withCachingEnabled(), "track-envelopes")
            .addSink("statuses", prefix + "sms.status", plain, placed, asTold, "track-envelopes")
            .addSink("rejections", prefix + "callbacks.rejected", plain, placed, asTold, "track-envelopes")
            .addSink("partials", prefix + "campaign.partials", plain, placed, "track-envelopes")
            .addSource("counted", Serdes.String().deserializer(), asItIs, prefix + "campaign.partials")
            .addProcessor("track-campaigns", TrackCampaigns::new, "counted")
            .addStateStore(store(Stores.inMemoryKeyValueStore("campaigns")).withCachingEnabled(), "track-campaigns")
            .addSink("progress", prefix + "campaign.progress", plain, plain, "track-campaigns");
    }

    private static StoreBuilder<KeyValueStore<String, byte[]>> store(KeyValueBytesStoreSupplier kind) {
        return Stores.keyValueStoreBuilder(kind, Serdes.String(), Serdes.ByteArray());
    }

    private static Properties settings(String servers, String prefix, String folder) {
        Properties settings = new Properties();
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, prefix + "kafka-streams");
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, servers);
        settings.put(StreamsConfig.STATE_DIR_CONFIG, folder);
        settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 100);  // as STREAMS_FLUSH_MS
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
        settings.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
        settings.put(StreamsConfig.ROCKSDB_CONFIG_SETTER_CLASS_CONFIG, SharedMemory.class);
        settings.put(consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
        settings.put(consumerPrefix(ConsumerConfig.MAX_PARTITION_FETCH_BYTES_CONFIG), 4 << 20);
        settings.put(producerPrefix(ProducerConfig.TRANSACTION_TIMEOUT_CONFIG), 60_000);
        settings.put(producerPrefix(ProducerConfig.LINGER_MS_CONFIG), 100);
        settings.put(producerPrefix(ProducerConfig.BATCH_SIZE_CONFIG), 512 << 10);
        settings.put(producerPrefix(ProducerConfig.BUFFER_MEMORY_CONFIG), 64L << 20);
        return settings;
    }

    public static void main(String[] arguments) {
        String servers = arguments[0], source = arguments[1], prefix = arguments[2], folder = arguments[3];
        KafkaStreams streams = new KafkaStreams(topology(source, prefix), settings(servers, prefix, folder));
        Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
        streams.setStateListener((state, before) -> {
            if (state == KafkaStreams.State.ERROR) {
                Runtime.getRuntime().halt(1);  // a job without a thread would wait for ever
            }
        });
        streams.start();
    }
}
