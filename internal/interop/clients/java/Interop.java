import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.*;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.function.BooleanSupplier;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.*;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.*;

/** Drives Kafka's Java client for the interop suite; the suite's doc.go has the command line and the exit codes. */
public final class Interop {
    private static final int CANNOT = 3;
    private static final int RECORDS = 20;
    private static final int LARGE = 10_000_000;
    private static final int LARGE_LIMIT = 12_000_000;
    private static final long TIME_BASE = 1_700_000_000_000L;
    private static final int PARTITIONS = 4;
    private static final Duration SHORT = Duration.ofMillis(200);

    private final Map<String, String> args;
    private final String topic;

    private Interop(Map<String, String> args) {
        this.args = args;
        this.topic = args.get("topic");
    }

    private interface Scenario { void run() throws Exception; }

    public static void main(String[] argv) throws Exception {
        Map<String, String> args = new HashMap<>();
        for (int i = 1; i + 1 < argv.length; i += 2) {
            args.put(argv[i].substring(2), argv[i + 1]);
        }
        Interop p = new Interop(args);
        Admins a = new Admins(p, args.get("topic"));
        Map<String, Scenario> all = new HashMap<>();
        all.put("codecs", p::codecs);
        all.put("partitioner", p::partitioner);
        all.put("values", p::values);
        all.put("seek-time", p::seekTime);
        all.put("large", p::large);
        all.put("compacted", p::compacted);
        all.put("idempotent", p::idempotent);
        all.put("group", p::group);
        all.put("group-static", p::groupStatic);
        all.put("txn", p::txn);
        all.put("txn-offsets", p::txnOffsets);
        all.put("txn-fence", p::txnFence);
        all.put("simple", p::simple);
        all.put("refused", p::refused);
        all.put("admin-topics", a::topics);
        all.put("admin-groups", a::groups);
        all.put("admin-cluster", a::cluster);
        all.put("admin-txns", a::transactions);
        all.put("admin-acls", a::acls);
        all.put("admin-scram", a::scram);
        all.put("admin-quotas", a::quotas);
        all.put("many", a::many);
        Scenario s = all.get(argv[0]);
        if (s == null) {
            System.err.println("has no scenario " + argv[0]);
            System.exit(CANNOT);
        }
        try {
            s.run();
        } catch (Throwable e) {
            StringBuilder b = new StringBuilder();
            for (Throwable t = e; t != null; t = t.getCause()) {
                b.append(b.length() > 0 ? ", because of " : "").append(t);
            }
            System.err.println(b);
            System.exit(1);
        }
        System.exit(0);
    }

    static void check(String what, Object got, Object want) {
        if (!Objects.equals(got, want)) {
            throw new AssertionError(what + ": " + got + ", expected " + want);
        }
    }

    /** Configuration of a client; more is key, value, key, value. */
    Map<String, Object> config(Object... more) {
        Map<String, Object> c = new HashMap<>();
        c.put("bootstrap.servers", args.get("bootstrap"));
        c.put("security.protocol", args.getOrDefault("protocol", "PLAINTEXT"));
        if (args.containsKey("ca")) {
            c.put("ssl.truststore.type", "PEM");
            c.put("ssl.truststore.location", args.get("ca"));
        }
        String mechanism = args.get("mechanism");
        if (mechanism != null) {
            String module = mechanism.equals("PLAIN") ? "plain.PlainLoginModule" : "scram.ScramLoginModule";
            String quoted = args.get("password").replace("\\", "\\\\").replace("\"", "\\\"");
            c.put("sasl.mechanism", mechanism);
            c.put("sasl.jaas.config", "org.apache.kafka.common.security." + module + " required username=\"" + args.get("user")
                + "\" password=\"" + quoted + "\";");
        }
        for (int i = 0; i < more.length; i += 2) {
            c.put((String) more[i], more[i + 1]);
        }
        return c;
    }

    KafkaProducer<byte[], byte[]> producer(Object... more) {
        return new KafkaProducer<>(config(more), new ByteArraySerializer(), new ByteArraySerializer());
    }

    KafkaConsumer<byte[], byte[]> consumer(Object... more) {
        Map<String, Object> c = config("auto.offset.reset", "earliest", "enable.auto.commit", "false");
        c.putAll(config(more));
        return new KafkaConsumer<>(c, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    static byte[] bytes(String s) { return s == null ? null : s.getBytes(StandardCharsets.UTF_8); }

    static String text(byte[] b) { return b == null ? null : new String(b, StandardCharsets.UTF_8); }

    ProducerRecord<byte[], byte[]> record(String topic, int partition, String prefix, int i) {
        return new ProducerRecord<>(topic, partition, bytes("k" + i), bytes(prefix + i));
    }

    void produce(List<ProducerRecord<byte[], byte[]>> records, Object... more) throws Exception {
        try (KafkaProducer<byte[], byte[]> p = producer(more)) {
            List<Future<RecordMetadata>> sent = new ArrayList<>();
            for (ProducerRecord<byte[], byte[]> r : records) {
                sent.add(p.send(r));
            }
            p.flush();
            for (Future<RecordMetadata> f : sent) {
                f.get();
            }
        }
    }

    List<ConsumerRecord<byte[], byte[]>> read(int n, String from, int partitions, Object... more) {
        List<ConsumerRecord<byte[], byte[]>> got = new ArrayList<>();
        try (KafkaConsumer<byte[], byte[]> c = consumer(more)) {
            List<TopicPartition> all = new ArrayList<>();
            for (int i = 0; i < partitions; i++) {
                all.add(new TopicPartition(from, i));
            }
            c.assign(all);
            c.seekToBeginning(all);
            while (got.size() < n) {
                c.poll(SHORT).forEach(got::add);
            }
        }
        return got;
    }

    // Records

    private void codecs() throws Exception {
        String[] acks = {"0", "1", "all"};
        for (String codec : args.get("codecs").split(",")) {
            String to = topic + "." + codec;
            for (int partition = 0; partition < acks.length; partition++) {
                List<ProducerRecord<byte[], byte[]>> records = new ArrayList<>();
                for (int i = 0; i < RECORDS; i++) {
                    records.add(record(to, partition, "x".repeat(500), i));
                }
                produce(records, "compression.type", codec, "acks", acks[partition], "enable.idempotence", partition == 2, "linger.ms", 50);
            }
            read(3 * RECORDS, to, 3);
        }
    }

    private void partitioner() throws Exception {
        List<ProducerRecord<byte[], byte[]>> records = new ArrayList<>();
        for (String k : Files.readAllLines(Path.of(args.get("keys")))) {
            records.add(new ProducerRecord<>(topic, bytes(k), bytes("v")));
        }
        produce(records);
    }

    private void values() throws Exception {
        List<ProducerRecord<byte[], byte[]>> records = new ArrayList<>();
        String[][] kv = {{null, "null key"}, {"", "empty key"}, {"tombstone", null}, {"empty value", ""}, {"headers", "h"}, {"ü€😀", "ü€😀"}};
        for (String[] r : kv) {
            records.add(new ProducerRecord<>(topic, 0, bytes(r[0]), bytes(r[1])));
        }
        records.get(4).headers().add("a", bytes("1")).add("a", bytes("2")).add("empty", new byte[0]).add("null", null).add("bin", new byte[] {0, (byte) 255});
        produce(records);
        int i = 0;
        for (ConsumerRecord<byte[], byte[]> r : read(kv.length, topic, 1)) {
            check("key", text(r.key()), kv[i][0]);
            check("value", text(r.value()), kv[i][1]);
            check("headers", r.headers(), records.get(i++).headers());
        }
    }

    private void seekTime() throws Exception {
        List<ProducerRecord<byte[], byte[]>> records = new ArrayList<>();
        for (int i = 0; i < 10; i++) {
            records.add(new ProducerRecord<>(topic, 0, TIME_BASE + i * 1000, bytes("k"), bytes("v" + i)));
        }
        produce(records);
        TopicPartition tp = new TopicPartition(topic, 0);
        try (KafkaConsumer<byte[], byte[]> c = consumer()) {
            long[][] want = {{-1, 0}, {4500, 5}, {5000, 5}};
            for (long[] w : want) {
                check("offset at " + w[0], c.offsetsForTimes(Map.of(tp, TIME_BASE + w[0])).get(tp).offset(), w[1]);
            }
            check("offset after the last", c.offsetsForTimes(Map.of(tp, TIME_BASE + 60_000)).get(tp), null);
            c.assign(List.of(tp));
            c.seek(tp, 5);
            ConsumerRecords<byte[], byte[]> got = ConsumerRecords.empty();
            while (got.isEmpty()) {
                got = c.poll(SHORT);
            }
            check("the record there", text(got.iterator().next().value()), "v5");
        }
    }

    private void large() throws Exception {
        byte[] value = bytes("0123456789".repeat(LARGE / 10));
        produce(List.of(new ProducerRecord<>(topic, 0, null, value)), "max.request.size", LARGE_LIMIT);
        check("the value is the same", Arrays.equals(read(1, topic, 1).get(0).value(), value), true);
    }

    private void compacted() {
        int n = 0;
        TopicPartition tp = new TopicPartition(topic, 0);
        try (KafkaConsumer<byte[], byte[]> c = consumer()) {
            c.assign(List.of(tp));
            while (c.position(tp) < Long.parseLong(args.get("until"))) {
                n += c.poll(SHORT).count();
            }
        }
        check("records", n, Integer.parseInt(args.get("expect")));
    }

    private void idempotent() throws Exception {
        try (KafkaProducer<byte[], byte[]> p = producer("enable.idempotence", true)) {
            List<Future<RecordMetadata>> sent = new ArrayList<>();
            for (int i = 0; i < 100; i++) {
                sent.add(p.send(record(topic, 0, "v", i)));
                if (i % 10 == 9) {
                    p.flush();
                }
            }
            for (Future<RecordMetadata> f : sent) {
                f.get();
            }
        }
    }

    private void simple() throws Exception {
        List<ProducerRecord<byte[], byte[]>> records = new ArrayList<>();
        for (int i = 0; i < 10; i++) {
            records.add(record(topic, 0, "v", i));
        }
        produce(records);
        read(10, topic, 1);
    }

    private void refused() throws Exception {
        try (Admin a = Admin.create(config())) {
            a.describeCluster().nodes().get();
            throw new AssertionError("a wrong password was accepted");
        } catch (ExecutionException e) {
            check("a wrong password gives", e.getCause().getClass(), SaslAuthenticationException.class);
        }
    }

    // Groups

    KafkaConsumer<byte[], byte[]> member(Object... more) {
        List<Object> all = new ArrayList<>(List.of("group.id", topic));
        String assignor = args.getOrDefault("assignor", "eager");
        if (assignor.equals("consumer")) {
            all.addAll(List.of("group.protocol", "consumer"));
        } else {
            String name = assignor.equals("cooperative") ? "CooperativeStickyAssignor" : "RangeAssignor";
            all.addAll(List.of("group.protocol", "classic", "partition.assignment.strategy", "org.apache.kafka.clients.consumer." + name,
                "session.timeout.ms", 10000, "heartbeat.interval.ms", 500));
        }
        all.addAll(List.of(more));
        KafkaConsumer<byte[], byte[]> c = consumer(all.toArray());
        c.subscribe(List.of(topic));
        return c;
    }

    @SafeVarargs
    final void until(BooleanSupplier done, Set<String> seen, KafkaConsumer<byte[], byte[]>... members) {
        while (!done.getAsBoolean()) {
            for (KafkaConsumer<byte[], byte[]> c : members) {
                ConsumerRecords<byte[], byte[]> got = c.poll(SHORT);
                got.forEach(r -> seen.add(text(r.value())));
                try {
                    if (!got.isEmpty()) {
                        c.commitSync();
                    }
                } catch (RebalanceInProgressException | CommitFailedException e) {
                    // The records come again after the rebalance.
                }
            }
        }
    }

    void feed(int first, int n) throws Exception {
        List<ProducerRecord<byte[], byte[]>> records = new ArrayList<>();
        for (int i = 0; i < n; i++) {
            records.add(record(topic, i % PARTITIONS, "v", first + i));
        }
        produce(records);
    }

    private void group() throws Exception {
        Set<String> seen = new HashSet<>();
        feed(0, 40);
        KafkaConsumer<byte[], byte[]> a = member();
        until(() -> a.assignment().size() == PARTITIONS && seen.size() == 40, seen, a);
        KafkaConsumer<byte[], byte[]> b = member();
        until(() -> a.assignment().size() == 2 && b.assignment().size() == 2, seen, a, b);
        feed(40, 40);
        until(() -> seen.size() == 80, seen, a, b);
        b.close();
        until(() -> a.assignment().size() == PARTITIONS, seen, a);
        feed(80, 20);
        until(() -> seen.size() == 100, seen, a);
        a.close();
    }

    private void groupStatic() {
        Set<String> seen = new HashSet<>();
        KafkaConsumer<byte[], byte[]> a = member("group.instance.id", "one"), b = member("group.instance.id", "two");
        until(() -> a.assignment().size() == 2 && b.assignment().size() == 2, seen, a, b);
        Set<TopicPartition> had = a.assignment(), other = b.assignment();
        int generation = b.groupMetadata().generationId();
        a.close();
        KafkaConsumer<byte[], byte[]> again = member("group.instance.id", "one");
        until(() -> again.assignment().size() == 2, seen, again, b);
        check("partitions of the member that came back", again.assignment(), had);
        check("partitions of the other", b.assignment(), other);
        check("generation", b.groupMetadata().generationId(), generation);
        KafkaConsumer<byte[], byte[]> thief = member("group.instance.id", "two");
        try {
            until(() -> false, seen, thief, b);
        } catch (FencedInstanceIdException e) {
            return; // the first of two with one name is told
        }
    }

    // Transactions

    void transact(KafkaProducer<byte[], byte[]> p, String prefix, boolean commit) throws Exception {
        p.beginTransaction();
        for (int i = 0; i < 5; i++) {
            p.send(record(topic, 0, prefix, i)).get();
        }
        if (commit) {
            p.commitTransaction();
        } else {
            p.abortTransaction();
        }
    }

    KafkaProducer<byte[], byte[]> transactional() {
        KafkaProducer<byte[], byte[]> p = producer("transactional.id", topic);
        p.initTransactions();
        return p;
    }

    private void txn() throws Exception {
        try (KafkaProducer<byte[], byte[]> p = transactional()) {
            transact(p, "c", true);
            transact(p, "a", false);
            transact(p, "d", true);
        }
        check("committed", read(10, topic, 1, "isolation.level", "read_committed").size(), 10);
        check("all", read(15, topic, 1).size(), 15);
    }

    private void txnOffsets() throws Exception {
        String in = topic + ".in", out = topic + ".out";
        TopicPartition tp = new TopicPartition(in, 0);
        List<ProducerRecord<byte[], byte[]>> records = new ArrayList<>();
        for (int i = 0; i < 10; i++) {
            records.add(record(in, 0, "v", i));
        }
        produce(records);
        for (boolean commit : new boolean[] {false, true}) {
            try (KafkaConsumer<byte[], byte[]> c = consumer("group.id", topic); KafkaProducer<byte[], byte[]> p = transactional()) {
                c.subscribe(List.of(in));
                p.beginTransaction();
                for (int n = 0; n < 10;) {
                    for (ConsumerRecord<byte[], byte[]> r : c.poll(SHORT)) {
                        p.send(new ProducerRecord<>(out, r.value()));
                        n++;
                    }
                }
                p.sendOffsetsToTransaction(Map.of(tp, new OffsetAndMetadata(c.position(tp))), c.groupMetadata());
                if (commit) {
                    p.commitTransaction();
                } else {
                    p.abortTransaction();
                }
                OffsetAndMetadata at = c.committed(Set.of(tp)).get(tp);
                check("committed offset", at == null ? null : at.offset(), commit ? 10L : null);
            }
        }
        check("results", read(10, out, 1, "isolation.level", "read_committed").size(), 10);
    }

    private void txnFence() throws Exception {
        KafkaProducer<byte[], byte[]> zombie = transactional();
        zombie.beginTransaction();
        zombie.send(record(topic, 0, "zombie", 0)).get();
        try (KafkaProducer<byte[], byte[]> p = transactional()) {
            transact(p, "new", true);
        }
        try {
            zombie.send(record(topic, 0, "zombie", 1));
            zombie.commitTransaction();
            throw new AssertionError("the zombie committed");
        } catch (ProducerFencedException | InvalidProducerEpochException e) {
            zombie.close(Duration.ZERO);
        }
        List<String> got = read(5, topic, 1, "isolation.level", "read_committed").stream().map(r -> text(r.value())).collect(Collectors.toList());
        check("committed", got, List.of("new0", "new1", "new2", "new3", "new4"));
    }
}
