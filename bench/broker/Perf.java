import java.time.Duration;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Loads a broker with Apache Kafka's own Java client in its default configuration.
 * Usage: Perf produce|fetch ADDRESS TOPIC RECORDS RECORD_BYTES PRODUCERS
 * Prints the seconds that the work took, without the start of the JVM.
 */
public class Perf {
    public static void main(String[] args) throws Exception {
        String address = args[1], topic = args[2];
        int records = Integer.parseInt(args[3]), size = Integer.parseInt(args[4]), producers = Integer.parseInt(args[5]);
        double seconds = args[0].equals("produce") ? produce(address, topic, records, size, producers) : fetch(address, topic, records);
        System.out.println(seconds);
    }

    static double produce(String address, String topic, int records, int size, int producers) throws Exception {
        Properties p = new Properties();
        p.put("bootstrap.servers", address);
        p.put("key.serializer", ByteArraySerializer.class);
        p.put("value.serializer", ByteArraySerializer.class);
        p.put("acks", "all");
        CountDownLatch ready = new CountDownLatch(producers), go = new CountDownLatch(1), done = new CountDownLatch(producers);
        AtomicReference<Throwable> failure = new AtomicReference<>();
        for (int n = 0; n < producers; n++) {
            int seed = n;
            new Thread(() -> {
                try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(p)) {
                    producer.partitionsFor(topic);
                    ready.countDown();
                    go.await();
                    byte[] value = new byte[size];
                    for (int i = 0; i < size; i++) value[i] = (byte) ('a' + (i * 7 + seed) % 26);
                    for (int i = 0; i < records / producers; i++) {
                        producer.send(new ProducerRecord<>(topic, value.clone()), (m, e) -> { if (e != null) failure.compareAndSet(null, e); });
                    }
                    producer.flush();
                } catch (Throwable e) {
                    failure.compareAndSet(null, e);
                    ready.countDown();
                } finally {
                    done.countDown();
                }
            }).start();
        }
        ready.await();
        long began = System.nanoTime();
        go.countDown();
        done.await();
        if (failure.get() != null) throw new Exception(failure.get());
        return (System.nanoTime() - began) / 1e9;
    }

    static double fetch(String address, String topic, int records) {
        Properties p = new Properties();
        p.put("bootstrap.servers", address);
        p.put("key.deserializer", ByteArrayDeserializer.class);
        p.put("value.deserializer", ByteArrayDeserializer.class);
        try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(p)) {
            List<TopicPartition> all = consumer.partitionsFor(topic).stream().map(i -> new TopicPartition(topic, i.partition())).toList();
            consumer.assign(all);
            consumer.seekToBeginning(all);
            long began = System.nanoTime();
            for (int n = 0; n < records; ) {
                ConsumerRecords<byte[], byte[]> got = consumer.poll(Duration.ofSeconds(10));
                n += got.count();
            }
            return (System.nanoTime() - began) / 1e9;
        }
    }
}
