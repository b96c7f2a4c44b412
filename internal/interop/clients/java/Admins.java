import static java.util.stream.Collectors.toList;

import java.util.*;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.*;
import org.apache.kafka.common.acl.*;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.*;
import org.apache.kafka.common.quota.*;
import org.apache.kafka.common.resource.*;

/** Administration with Kafka's AdminClient. */
final class Admins {
    private final Interop program;
    private final String topic;

    Admins(Interop program, String topic) {
        this.program = program;
        this.topic = topic;
    }

    private interface Call { void run() throws Exception; }

    private static void fails(String what, Class<?> with, Call call) throws Exception {
        try {
            call.run();
        } catch (ExecutionException e) {
            Interop.check(what, e.getCause().getClass(), with);
            return;
        }
        throw new AssertionError(what + ": nothing failed");
    }

    private Admin admin() { return Admin.create(program.config()); }

    void topics() throws Exception {
        try (Admin a = admin()) {
            NewTopic t = new NewTopic(topic, Optional.of(2), Optional.empty()).configs(Map.of("retention.ms", "3600000"));
            CreateTopicsResult created = a.createTopics(List.of(t));
            Interop.check("partitions", created.numPartitions(topic).get(), 2);
            Interop.check("configuration in the answer", created.config(topic).get().get("retention.ms").value(), "3600000");
            fails("creating it again", TopicExistsException.class, () -> a.createTopics(List.of(t)).all().get());
            fails("a bad configuration", InvalidConfigurationException.class,
                () -> a.createTopics(List.of(new NewTopic(topic + ".bad", 1, (short) 1).configs(Map.of("retention.ms", "soon")))).all().get());
            ConfigResource r = new ConfigResource(ConfigResource.Type.TOPIC, topic);
            a.incrementalAlterConfigs(Map.of(r, List.of(
                new AlterConfigOp(new ConfigEntry("cleanup.policy", "compact"), AlterConfigOp.OpType.APPEND),
                new AlterConfigOp(new ConfigEntry("retention.ms", null), AlterConfigOp.OpType.DELETE)))).all().get();
            Config c = a.describeConfigs(List.of(r), new DescribeConfigsOptions().includeSynonyms(true).includeDocumentation(true)).all().get().get(r);
            Interop.check("cleanup.policy", c.get("cleanup.policy").value(), "delete,compact");
            Interop.check("source", c.get("cleanup.policy").source(), ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG);
            Interop.check("source of what was deleted", c.get("retention.ms").isDefault(), true);
            a.createPartitions(Map.of(topic, NewPartitions.increaseTo(3))).all().get();
            fails("fewer partitions", InvalidPartitionsException.class, () -> a.createPartitions(Map.of(topic, NewPartitions.increaseTo(1))).all().get());
            List<ProducerRecord<byte[], byte[]>> records = new ArrayList<>();
            for (int i = 0; i < 9; i++) {
                records.add(program.record(topic, i % 3, "v", i));
            }
            a.incrementalAlterConfigs(Map.of(r, List.of(new AlterConfigOp(new ConfigEntry("cleanup.policy", "delete"), AlterConfigOp.OpType.SET)))).all().get();
            program.produce(records);
            TopicPartition tp = new TopicPartition(topic, 2);
            Interop.check("low watermark", a.deleteRecords(Map.of(tp, RecordsToDelete.beforeOffset(2))).lowWatermarks().get(tp).get().lowWatermark(), 2L);
            Interop.check("log start offset", a.listOffsets(Map.of(tp, OffsetSpec.earliest())).partitionResult(tp).get().offset(), 2L);
            Interop.check("offset of the greatest time", a.listOffsets(Map.of(tp, OffsetSpec.maxTimestamp())).partitionResult(tp).get().offset(), 2L);
            TopicDescription d = a.describeTopics(List.of(topic)).allTopicNames().get().get(topic);
            Interop.check("partitions", d.partitions().size(), 3);
            Interop.check("is in the list", a.listTopics().names().get().contains(topic), true);
            Interop.check("reassignments", a.listPartitionReassignments().reassignments().get().size(), 0);
            a.deleteTopics(TopicCollection.ofTopicIds(List.of(d.topicId()))).all().get();
            fails("a deleted topic", UnknownTopicOrPartitionException.class, () -> a.describeTopics(List.of(topic)).allTopicNames().get());
        }
    }

    void groups() throws Exception {
        try (Admin a = admin()) {
            program.produce(List.of(program.record(topic, 0, "v", 0), program.record(topic, 1, "v", 1)));
            Set<String> seen = new HashSet<>();
            KafkaConsumer<byte[], byte[]> c = program.member();
            program.until(() -> seen.size() == 2, seen, c);
            ConsumerGroupDescription g = a.describeConsumerGroups(List.of(topic)).all().get().get(topic);
            Interop.check("state", g.groupState(), GroupState.STABLE);
            Interop.check("partitions of the member", g.members().iterator().next().assignment().topicPartitions().size(), 2);
            fails("deleting a group with members", GroupNotEmptyException.class, () -> a.deleteConsumerGroups(List.of(topic)).all().get());
            c.close();
            TopicPartition zero = new TopicPartition(topic, 0), oneTp = new TopicPartition(topic, 1);
            Interop.check("is in the list", a.listGroups().all().get().stream().filter(x -> x.groupId().equals(topic)).map(GroupListing::groupState).collect(toList()),
                List.of(Optional.of(GroupState.EMPTY)));
            a.alterConsumerGroupOffsets(topic, Map.of(zero, new OffsetAndMetadata(0, "moved"))).all().get();
            Map<TopicPartition, OffsetAndMetadata> at = a.listConsumerGroupOffsets(topic).partitionsToOffsetAndMetadata().get();
            Interop.check("offset", at.get(zero).offset(), 0L);
            Interop.check("metadata", at.get(zero).metadata(), "moved");
            Interop.check("other offset", at.get(oneTp).offset(), 1L);
            a.deleteConsumerGroupOffsets(topic, Set.of(oneTp)).all().get();
            Interop.check("deleted", a.listConsumerGroupOffsets(topic).partitionsToOffsetAndMetadata().get().get(oneTp), null);
            a.deleteConsumerGroups(List.of(topic)).all().get();
            fails("a deleted group", GroupIdNotFoundException.class, () -> a.describeConsumerGroups(List.of(topic)).all().get());
        }
    }

    void cluster() throws Exception {
        try (Admin a = admin()) {
            DescribeClusterResult c = a.describeCluster();
            Interop.check("nodes", c.nodes().get().size(), 1);
            Interop.check("has an id", c.clusterId().get() != null, true);
            int node = c.nodes().get().iterator().next().id();
            LogDirDescription dir = a.describeLogDirs(List.of(node)).allDescriptions().get().get(node).values().iterator().next();
            Interop.check("error of the log directory", dir.error(), null);
            QuorumInfo q = a.describeMetadataQuorum().quorumInfo().get();
            Interop.check("leader of the quorum", q.leaderId(), node);
            FeatureMetadata f = a.describeFeatures().featureMetadata().get();
            Interop.check("has transaction.version", f.finalizedFeatures().containsKey("transaction.version"), true);
            ConfigResource r = new ConfigResource(ConfigResource.Type.BROKER, Integer.toString(node));
            Interop.check("broker configurations", a.describeConfigs(List.of(r)).all().get().get(r).entries().isEmpty(), false);
            a.listConfigResources().all().get();
            a.listClientMetricsResources().all().get();
        }
    }

    void transactions() throws Exception {
        try (Admin a = admin(); KafkaProducer<byte[], byte[]> p = program.transactional()) {
            p.beginTransaction();
            p.send(program.record(topic, 0, "open", 0)).get();
            TopicPartition tp = new TopicPartition(topic, 0);
            DescribeProducersResult.PartitionProducerState s = a.describeProducers(List.of(tp)).partitionResult(tp).get();
            Interop.check("active producers", s.activeProducers().size(), 1);
            ProducerState producer = s.activeProducers().get(0);
            Interop.check("start of its transaction", producer.currentTransactionStartOffset(), OptionalLong.of(0));
            Interop.check("in the list", a.listTransactions().all().get().stream().filter(x -> x.transactionalId().equals(topic))
                .map(TransactionListing::state).collect(toList()), List.of(TransactionState.ONGOING));
            TransactionDescription d = a.describeTransactions(List.of(topic)).all().get().get(topic);
            Interop.check("partitions", d.topicPartitions(), Set.of(tp));
            a.fenceProducers(List.of(topic)).all().get();
            Interop.check("open transactions after the fence", a.describeProducers(List.of(tp)).partitionResult(tp).get().activeProducers().stream()
                .filter(x -> x.currentTransactionStartOffset().isPresent()).count(), 0L);
            p.close(java.time.Duration.ZERO);
        }
    }

    void acls() throws Exception {
        try (Admin a = admin()) {
            AclBinding b = new AclBinding(new ResourcePattern(ResourceType.TOPIC, topic, PatternType.PREFIXED),
                new AccessControlEntry("User:alice", "*", AclOperation.READ, AclPermissionType.ALLOW));
            a.createAcls(List.of(b)).all().get();
            AclBindingFilter f = new AclBindingFilter(new ResourcePatternFilter(ResourceType.TOPIC, topic + ".x", PatternType.MATCH), AccessControlEntryFilter.ANY);
            Interop.check("described", new ArrayList<>(a.describeAcls(f).values().get()), List.of(b));
            Interop.check("deleted", new ArrayList<>(a.deleteAcls(List.of(b.toFilter())).all().get()), List.of(b));
            Interop.check("left", a.describeAcls(f).values().get().size(), 0);
        }
    }

    void scram() throws Exception {
        try (Admin a = admin()) {
            a.alterUserScramCredentials(List.of(new UserScramCredentialUpsertion(topic, new ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256, 8192), "secret"))).all().get();
            UserScramCredentialsDescription d = a.describeUserScramCredentials(List.of(topic)).description(topic).get();
            Interop.check("credentials", d.credentialInfos(), List.of(new ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256, 8192)));
            a.alterUserScramCredentials(List.of(new UserScramCredentialDeletion(topic, ScramMechanism.SCRAM_SHA_256))).all().get();
            fails("a deleted user", ResourceNotFoundException.class, () -> a.describeUserScramCredentials(List.of(topic)).description(topic).get());
        }
    }

    void quotas() throws Exception {
        try (Admin a = admin()) {
            ClientQuotaEntity e = new ClientQuotaEntity(Map.of(ClientQuotaEntity.CLIENT_ID, topic));
            a.alterClientQuotas(List.of(new ClientQuotaAlteration(e, List.of(new ClientQuotaAlteration.Op("producer_byte_rate", 1e6))))).all().get();
            ClientQuotaFilter f = ClientQuotaFilter.containsOnly(List.of(ClientQuotaFilterComponent.ofEntity(ClientQuotaEntity.CLIENT_ID, topic)));
            Interop.check("described", a.describeClientQuotas(f).entities().get(), Map.of(e, Map.of("producer_byte_rate", 1e6)));
            a.alterClientQuotas(List.of(new ClientQuotaAlteration(e, List.of(new ClientQuotaAlteration.Op("producer_byte_rate", null))))).all().get();
            Interop.check("left", a.describeClientQuotas(f).entities().get().size(), 0);
        }
    }

    void many() throws Exception {
        try (Admin a = admin()) {
            List<String> names = new ArrayList<>();
            List<ProducerRecord<byte[], byte[]>> records = new ArrayList<>();
            Map<TopicPartition, OffsetSpec> ends = new HashMap<>();
            for (int t = 0; t < 50; t++) {
                names.add(topic + "." + t);
                for (int i = 0; i < 100; i++) {
                    records.add(program.record(topic + "." + t, i, "v", i));
                    ends.put(new TopicPartition(topic + "." + t, i), OffsetSpec.latest());
                }
            }
            a.createTopics(names.stream().map(n -> new NewTopic(n, 100, (short) 1)).collect(toList())).all().get();
            Interop.check("partitions", a.describeTopics(names).allTopicNames().get().values().stream().mapToInt(d -> d.partitions().size()).sum(), 5000);
            program.produce(records);
            Interop.check("records", a.listOffsets(ends).all().get().values().stream().mapToLong(ListOffsetsResult.ListOffsetsResultInfo::offset).sum(), 5000L);
            a.deleteTopics(names).all().get();
        }
    }
}
