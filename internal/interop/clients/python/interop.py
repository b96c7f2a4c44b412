"""Drives confluent-kafka-python for the interop suite.

The suite's doc.go has the command line and the exit codes.
"""
import argparse
import sys
import time

import confluent_kafka as ck
from confluent_kafka import (
    Consumer, ConsumerGroupTopicPartitions, KafkaError, KafkaException, OFFSET_BEGINNING, Producer, TopicPartition,
)
from confluent_kafka import admin as ka

CANNOT = 3
TIMEOUT = 60.0
RECORDS = 20
LARGE = 10_000_000
LARGE_LIMIT = 12_000_000
TIME_BASE = 1_700_000_000_000
PARTITIONS = 4


def check(what, got, want):
    if got != want:
        raise AssertionError(f"{what}: {got!r}, expected {want!r}")


class Program:
    def __init__(self, args):
        self.args = args
        self.topic = args.topic

    def config(self, **more):
        a = self.args
        c = {"bootstrap.servers": a.bootstrap, "security.protocol": a.protocol}
        if a.ca:
            c["ssl.ca.location"] = a.ca
        if a.mechanism:
            c.update({"sasl.mechanism": a.mechanism, "sasl.username": a.user, "sasl.password": a.password})
        c.update({k.replace("_", "."): v for k, v in more.items()})
        return c

    def produce(self, records, **more):
        """Sends dicts of arguments of Producer.produce and waits for all of them."""
        failed = []
        p = Producer(self.config(**more))
        for r in records:
            p.produce(on_delivery=lambda err, _: failed.append(err) if err else None, **r)
            p.poll(0)
        check("left in the queue", p.flush(TIMEOUT), 0)
        if failed:
            raise KafkaException(failed[0])

    def record(self, prefix, i, partition=0, topic=None):
        return {"topic": topic or self.topic, "partition": partition, "key": f"k{i}", "value": f"{prefix}{i}"}

    def read(self, n, topic=None, partitions=1, **more):
        """Returns the first n records of a topic."""
        c = Consumer(self.config(group_id="reader-" + self.topic, enable_auto_commit=False, **more))
        c.assign([TopicPartition(topic or self.topic, p, OFFSET_BEGINNING) for p in range(partitions)])
        got = []
        while len(got) < n:
            m = c.poll(1.0)
            if m is None:
                continue
            if m.error():
                raise KafkaException(m.error())
            got.append(m)
        c.close()
        return got

    # Records

    def codecs(self):
        for codec in self.args.codecs.split(","):
            topic = f"{self.topic}.{codec}"
            for partition, acks in enumerate(["0", "1", "all"]):
                self.produce([self.record("x" * 500, i, partition, topic) for i in range(RECORDS)],
                             compression_type=codec, acks=acks, linger_ms=50)
            self.read(3 * RECORDS, topic, 3)

    def partitioner(self):
        with open(self.args.keys, encoding="utf-8") as f:
            keys = f.read().strip().split("\n")
        self.produce([{"topic": self.topic, "key": k, "value": "v"} for k in keys], partitioner="murmur2_random")

    def values(self):
        headers = [("a", b"1"), ("a", b"2"), ("empty", b""), ("null", None), ("bin", b"\x00\xff")]
        want = [(None, b"null key", None), (b"", b"empty key", None), (b"tombstone", None, None),
                (b"empty value", b"", None), (b"headers", b"h", headers), ("ü€😀".encode(), "ü€😀".encode(), None)]
        self.produce([dict(topic=self.topic, key=k, value=v, partition=0, **({"headers": h} if h else {})) for k, v, h in want])
        check("records", [(m.key(), m.value(), m.headers()) for m in self.read(len(want))], want)

    def seek_time(self):
        self.produce([dict(self.record("v", i), timestamp=TIME_BASE + i * 1000) for i in range(10)])
        c = Consumer(self.config(group_id=self.topic))
        for at, offset in [(-1, 0), (4500, 5), (5000, 5), (60_000, -1)]:
            found = c.offsets_for_times([TopicPartition(self.topic, 0, TIME_BASE + at)], TIMEOUT)
            check(f"offset at {at}", found[0].offset, offset)
        c.close()

    def large(self):
        value = b"0123456789" * (LARGE // 10)
        self.produce([{"topic": self.topic, "value": value}], message_max_bytes=LARGE_LIMIT)
        check("the value is the same", self.read(1)[0].value() == value, True)

    def compacted(self):
        c = Consumer(self.config(group_id=self.topic, enable_partition_eof=True))
        c.assign([TopicPartition(self.topic, 0, OFFSET_BEGINNING)])
        n = 0
        while True:
            m = c.poll(1.0)
            if m is None:
                continue
            if m.error():
                check("error", m.error().code(), KafkaError._PARTITION_EOF)
                check("records", n, self.args.expect)
                check("position at the end", m.offset(), self.args.until)
                return
            n += 1

    def idempotent(self):
        self.produce([self.record("v", i) for i in range(100)], enable_idempotence=True, batch_num_messages=10)

    def simple(self):
        self.produce([self.record("v", i) for i in range(10)])
        self.read(10)

    def refused(self):
        errors = []
        p = Producer(dict(self.config(), error_cb=errors.append))
        while not any(e.code() == KafkaError._AUTHENTICATION for e in errors):
            p.poll(0.5)

    # Groups

    def member(self, **more):
        a = self.args.assignor
        if a == "consumer":
            more["group_protocol"] = "consumer"
        else:
            more.update(partition_assignment_strategy="cooperative-sticky" if a == "cooperative" else "range",
                        session_timeout_ms=10000, heartbeat_interval_ms=500)
        c = Consumer(self.config(group_id=self.topic, auto_offset_reset="earliest", enable_auto_commit=False, **more))
        c.subscribe([self.topic])
        return c

    def until(self, done, seen, *members):
        while not done():
            for c in members:
                m = c.poll(0.1)
                if m is None:
                    continue
                if m.error():
                    raise KafkaException(m.error())
                seen.add(m.value())
                try:
                    c.commit(m, asynchronous=False)
                except KafkaException as e:  # the group rebalances: the record is read again
                    if e.args[0].code() not in (KafkaError.REBALANCE_IN_PROGRESS, KafkaError.ILLEGAL_GENERATION,
                                                KafkaError.STALE_MEMBER_EPOCH):
                        raise

    def feed(self, first, n):
        self.produce([self.record("v", first + i, i % PARTITIONS) for i in range(n)])

    def group(self):
        seen = set()
        self.feed(0, 40)
        a = self.member()
        self.until(lambda: len(a.assignment()) == PARTITIONS and len(seen) == 40, seen, a)
        b = self.member()
        self.until(lambda: len(a.assignment()) == 2 and len(b.assignment()) == 2, seen, a, b)
        self.feed(40, 40)
        self.until(lambda: len(seen) == 80, seen, a, b)
        b.close()
        self.until(lambda: len(a.assignment()) == PARTITIONS, seen, a)
        self.feed(80, 20)
        self.until(lambda: len(seen) == 100, seen, a)
        a.close()

    def group_static(self):
        seen = set()
        a, b = self.member(group_instance_id="one"), self.member(group_instance_id="two")
        self.until(lambda: len(a.assignment()) == 2 and len(b.assignment()) == 2, seen, a, b)
        had, other = sorted(p.partition for p in a.assignment()), sorted(p.partition for p in b.assignment())
        a.close()
        again = self.member(group_instance_id="one")
        self.until(lambda: len(again.assignment()) == 2, seen, again, b)
        check("partitions of the member that came back", sorted(p.partition for p in again.assignment()), had)
        check("partitions of the other", sorted(p.partition for p in b.assignment()), other)
        thief = self.member(group_instance_id="two")
        while True:
            thief.poll(0.1)
            m = b.poll(0.1)
            if m is not None and m.error():
                check("the first of two with one name is told", m.error().name(), "_FATAL")
                check("why", "fenced" in str(m.error()).lower(), True)
                return

    # Transactions

    def transact(self, p, prefix, commit):
        p.begin_transaction()
        for i in range(5):
            p.produce(**self.record(prefix, i))
        p.flush(TIMEOUT)
        p.commit_transaction(TIMEOUT) if commit else p.abort_transaction(TIMEOUT)

    def producer(self):
        p = Producer(self.config(transactional_id=self.topic))
        p.init_transactions(TIMEOUT)
        return p

    def txn(self):
        p = self.producer()
        self.transact(p, "c", True)
        self.transact(p, "a", False)
        self.transact(p, "d", True)
        check("committed", len(self.read(10, isolation_level="read_committed")), 10)
        check("all", len(self.read(15, isolation_level="read_uncommitted")), 15)

    def txn_offsets(self):
        source, sink = self.topic + ".in", self.topic + ".out"
        self.produce([self.record("v", i, topic=source) for i in range(10)])
        for commit in (False, True):
            c = Consumer(self.config(group_id=self.topic, auto_offset_reset="earliest", enable_auto_commit=False))
            c.subscribe([source])
            p = self.producer()
            p.begin_transaction()
            n = 0
            while n < 10:
                m = c.poll(1.0)
                if m is not None and not m.error():
                    p.produce(sink, value=b"out-" + m.value())
                    n += 1
            p.send_offsets_to_transaction(c.position(c.assignment()), c.consumer_group_metadata(), TIMEOUT)
            p.commit_transaction(TIMEOUT) if commit else p.abort_transaction(TIMEOUT)
            want = 10 if commit else -1001  # no offset
            check("committed offset", c.committed([TopicPartition(source, 0)], TIMEOUT)[0].offset, want)
            c.close()
        check("results", len(self.read(10, sink, isolation_level="read_committed")), 10)

    def txn_fence(self):
        zombie = self.producer()
        zombie.begin_transaction()
        zombie.produce(**self.record("zombie", 0))
        zombie.flush(TIMEOUT)
        p = self.producer()
        self.transact(p, "new", True)
        try:
            zombie.produce(**self.record("zombie", 1))
            zombie.commit_transaction(TIMEOUT)
            raise AssertionError("the zombie committed")
        except KafkaException as e:
            check("the zombie is told", e.args[0].name(), "_FENCED")
        check("committed", [m.value() for m in self.read(5, isolation_level="read_committed")], [b"new%d" % i for i in range(5)])

    # Administration

    def admin(self):
        return ka.AdminClient(self.config())

    @staticmethod
    def wait(futures):
        """Waits for every future of a dict and returns the results."""
        return {k: f.result(TIMEOUT) for k, f in futures.items()}

    def admin_topics(self):
        a = self.admin()
        new = [ka.NewTopic(self.topic, 2, 1, config={"retention.ms": "3600000"})]
        self.wait(a.create_topics(new))
        try:
            self.wait(a.create_topics(new))
            raise AssertionError("created twice")
        except KafkaException as e:
            check("creating it again", e.args[0].name(), "TOPIC_ALREADY_EXISTS")
        resource = ka.ConfigResource(ka.RESOURCE_TOPIC, self.topic, incremental_configs=[
            ka.ConfigEntry("cleanup.policy", "compact", incremental_operation=ka.AlterConfigOpType.SET),
            ka.ConfigEntry("retention.ms", None, incremental_operation=ka.AlterConfigOpType.DELETE)])
        self.wait(a.incremental_alter_configs([resource]))
        configs = next(iter(self.wait(a.describe_configs([ka.ConfigResource(ka.RESOURCE_TOPIC, self.topic)])).values()))
        check("cleanup.policy", configs["cleanup.policy"].value, "compact")
        check("is a default", configs["retention.ms"].is_default, True)
        self.wait(a.incremental_alter_configs([ka.ConfigResource(ka.RESOURCE_TOPIC, self.topic, incremental_configs=[
            ka.ConfigEntry("cleanup.policy", "delete", incremental_operation=ka.AlterConfigOpType.SET)])]))
        self.wait(a.create_partitions([ka.NewPartitions(self.topic, 3)]))
        self.produce([self.record("v", i, i % 3) for i in range(9)])
        self.wait(a.delete_records([TopicPartition(self.topic, 2, 2)]))
        found = self.wait(a.list_offsets({TopicPartition(self.topic, 2): ka.OffsetSpec.earliest()}))
        check("log start offset", next(iter(found.values())).offset, 2)
        described = self.wait(a.describe_topics(ck.TopicCollection([self.topic])))[self.topic]
        check("partitions", len(described.partitions), 3)
        self.wait(a.delete_topics([self.topic]))
        check("is there after delete", self.topic in a.list_topics(timeout=TIMEOUT).topics, False)

    def admin_groups(self):
        a = self.admin()
        self.produce([self.record("v", 0), self.record("v", 1, 1)])
        c, seen = self.member(), set()
        self.until(lambda: len(seen) == 2, seen, c)
        g = self.wait(a.describe_consumer_groups([self.topic]))[self.topic]
        check("state", g.state.name, "STABLE")
        check("members", len(g.members), 1)
        try:
            self.wait(a.delete_consumer_groups([self.topic]))
            raise AssertionError("deleted with members")
        except KafkaException as e:
            check("deleting a group with members", e.args[0].name(), "NON_EMPTY_GROUP")
        c.close()
        listed = a.list_consumer_groups().result(TIMEOUT)
        check("states", [x.state.name for x in listed.valid if x.group_id == self.topic], ["EMPTY"])
        self.wait(a.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(self.topic, [TopicPartition(self.topic, 0, 0)])]))
        got = self.wait(a.list_consumer_group_offsets([ConsumerGroupTopicPartitions(self.topic)]))[self.topic]
        check("offsets", {p.partition: p.offset for p in got.topic_partitions}, {0: 0, 1: 1})
        self.wait(a.delete_consumer_groups([self.topic]))

    def admin_cluster(self):
        a = self.admin()
        c = a.describe_cluster(include_authorized_operations=True).result(TIMEOUT)
        check("nodes", len(c.nodes), 1)
        check("has an id", bool(c.cluster_id), True)
        check("has operations", bool(c.authorized_operations), True)

    def admin_acls(self):
        a = self.admin()
        b = ka.AclBinding(ka.ResourceType.TOPIC, self.topic, ka.ResourcePatternType.PREFIXED, "User:alice", "*",
                          ka.AclOperation.READ, ka.AclPermissionType.ALLOW)
        self.wait(a.create_acls([b]))
        f = ka.AclBindingFilter(ka.ResourceType.TOPIC, self.topic, ka.ResourcePatternType.PREFIXED, None, None,
                                ka.AclOperation.ANY, ka.AclPermissionType.ANY)
        check("described", a.describe_acls(f).result(TIMEOUT), [b])
        check("deleted", list(self.wait(a.delete_acls([f])).values()), [[b]])

    def admin_scram(self):
        a = self.admin()
        self.wait(a.alter_user_scram_credentials([ka.UserScramCredentialUpsertion(
            self.topic, ka.ScramCredentialInfo(ka.ScramMechanism.SCRAM_SHA_256, 8192), b"secret")]))
        got = self.wait(a.describe_user_scram_credentials([self.topic]))[self.topic]
        check("credentials", [(i.mechanism, i.iterations) for i in got.scram_credential_infos], [(ka.ScramMechanism.SCRAM_SHA_256, 8192)])
        self.wait(a.alter_user_scram_credentials([ka.UserScramCredentialDeletion(self.topic, ka.ScramMechanism.SCRAM_SHA_256)]))

    def many(self):
        a = self.admin()
        names = [f"{self.topic}.{i}" for i in range(50)]
        self.wait(a.create_topics([ka.NewTopic(n, 100, 1) for n in names], operation_timeout=TIMEOUT, request_timeout=TIMEOUT))
        md = a.list_topics(timeout=TIMEOUT)
        check("partitions", sum(len(md.topics[n].partitions) for n in names), 5000)
        self.produce([self.record("v", i, i, n) for n in names for i in range(100)])
        found = self.wait(a.list_offsets({TopicPartition(n, p): ka.OffsetSpec.latest() for n in names for p in range(100)}))
        check("records", sum(f.offset for f in found.values()), 5000)
        self.wait(a.delete_topics(names, operation_timeout=TIMEOUT, request_timeout=TIMEOUT))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("scenario")
    for name in ("bootstrap", "topic", "protocol", "mechanism", "user", "password", "ca", "codecs", "keys", "assignor"):
        p.add_argument("--" + name)
    p.add_argument("--expect", type=int)
    p.add_argument("--until", type=int)
    args = p.parse_args()
    scenario = getattr(Program(args), args.scenario.replace("-", "_"), None)
    if scenario is None:
        print("has no such scenario", file=sys.stderr)
        sys.exit(CANNOT)
    scenario()


main()
