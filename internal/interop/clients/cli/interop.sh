#!/usr/bin/env bash
# Drives Apache Kafka's command-line tools for the interop suite; the suite's
# doc.go has the command line and the exit codes. The first argument is the
# folder of the tools' jars.
set -Eeuo pipefail

jars=$1
scenario=$2
shift 2
declare -A arg=([protocol]=PLAINTEXT)
while [ $# -ge 2 ]; do
  arg[${1#--}]=$2
  shift 2
done
topic=${arg[topic]}
work=$(mktemp -d)
# What is left in the background ends with the program.
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$work"' EXIT

{
  echo "security.protocol=${arg[protocol]}"
  if [ -n "${arg[ca]:-}" ]; then printf 'ssl.truststore.type=PEM\nssl.truststore.location=%s\n' "${arg[ca]}"; fi
  if [ -n "${arg[mechanism]:-}" ]; then
    module=scram.ScramLoginModule
    [ "${arg[mechanism]}" != PLAIN ] || module=plain.PlainLoginModule
    secret=${arg[password]//\"/\\\\\"}
    printf 'sasl.mechanism=%s\nsasl.jaas.config=org.apache.kafka.common.security.%s required username="%s" password="%s";\n' \
      "${arg[mechanism]}" "$module" "${arg[user]}" "$secret"
  fi
} >"$work/client.properties"

fail() { echo "$*" >&2; exit 1; }
trap 'echo "line $LINENO: $BASH_COMMAND failed: $(cat "$work/said" 2>/dev/null)" >&2' ERR
tool() { java -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xmx256m -cp "$jars/*" "$@" 2>&1 | tee "$work/said"; }
# on runs a tool against the broker.
on() {
  local class=$1
  shift
  tool "$class" --bootstrap-server "${arg[bootstrap]}" --command-config "$work/client.properties" "$@"
}
expect() { grep -qE -- "$2" <<<"$3" || fail "$1: expected $2 in: $3"; }
expect_not() { ! grep -qE -- "$2" <<<"$3" || fail "$1: did not expect $2 in: $3"; }

topics() { on org.apache.kafka.tools.TopicCommand "$@"; }
configs() { on kafka.admin.ConfigCommand "$@"; }
groups() { on org.apache.kafka.tools.consumer.group.ConsumerGroupCommand "$@"; }
transactions() { on org.apache.kafka.tools.TransactionsCommand "$@"; }
offsets() { tool org.apache.kafka.tools.GetOffsetShell --bootstrap-server "${arg[bootstrap]}" "$@"; }
produce() { tool org.apache.kafka.tools.ConsoleProducer --bootstrap-server "${arg[bootstrap]}" --command-config "$work/client.properties" "$@"; }
consume() {
  tool org.apache.kafka.tools.consumer.ConsoleConsumer --bootstrap-server "${arg[bootstrap]}" --command-config "$work/client.properties" \
    --from-beginning --timeout-ms 20000 "$@"
}

# The tools' producer cannot name a partition: these keys hash to 0, 1 and 2 of
# three.
partition_keys=(k2 k3 k0)

codecs() {
  local acks=(0 1 all) filler codec p
  filler=$(printf 'x%.0s' $(seq 500))
  for codec in ${arg[codecs]//,/ }; do
    for p in 0 1 2; do
      for i in $(seq 20); do echo "${partition_keys[p]}:$filler$i"; done | produce --topic "$topic.$codec" --compression-codec "$codec" \
        --request-required-acks "${acks[p]}" --reader-property parse.key=true --reader-property key.separator=:
    done
    expect "records of $codec" 'Processed a total of 60 messages' "$(consume --topic "$topic.$codec" --max-messages 60)"
  done
}

# Only the verifiable producer gives a record a time, one record at a start.
seek_time() {
  local base=1700000000000 at said # 2023-11-14T22:13:20Z
  for at in 0 4000 5000 9000; do
    said=$(tool org.apache.kafka.tools.VerifiableProducer --bootstrap-server "${arg[bootstrap]}" --topic "$topic" --max-messages 1 --value-prefix "$at" \
      --message-create-time $((base + at)))
    expect "what was sent" '"acked":1' "$said"
  done
  expect "offset before the first" '^0$' "$(offset_at $((base - 1)))"
  expect "offset between two" '^2$' "$(offset_at $((base + 4500)))"
  expect "offset at one" '^2$' "$(offset_at $((base + 5000)))"
  expect "offset after the last" '^$' "$(offset_at $((base + 60000)))"
  said=$(groups --reset-offsets --to-datetime 2023-11-14T22:13:24.500 --execute --group "$topic" --topic "$topic")
  expect "the group's new offset" "$topic +$topic +0 +2 *\$" "$said"
  said=$(consume --topic "$topic" --group "$topic" --max-messages 2 --formatter-property print.timestamp=true --formatter-property print.offset=true)
  expect "the first record from then on" "CreateTime:$((base + 5000)).*Offset:2.*5000\\.0" "$said"
  expect_not "the one before" 'Offset:1' "$said"
}
# offset_at prints the offset of the first record at a time or after it.
offset_at() { offsets --topic "$topic" --time "$1" | sed -n "s/^$topic:0://p"; }

# A line is headers, a tab, key;value. It is text, so no header is other bytes.
values() {
  printf 'without binary-header\n'
  printf 'NIL\t%s\n' 'NIL;null key' ';empty key' 'tombstone;NIL' 'empty value;' >"$work/values"
  printf 'a:1,a:2,empty:,null:NIL\theaders;h\nNIL\tü€😀;ü€😀\n' >>"$work/values"
  produce --topic "$topic" --reader-property parse.headers=true --reader-property parse.key=true --reader-property 'key.separator=;' \
    --reader-property null.marker=NIL <"$work/values"
  local got
  got=$(consume --topic "$topic" --max-messages 6 --formatter-property print.key=true --formatter-property print.headers=true)
  expect values 'NO_HEADERS.null.null key' "$got"
  expect values 'NO_HEADERS.tombstone.null' "$got"
  expect values 'a:1,a:2,empty:,null:null.headers.h' "$got"
  expect values 'ü€😀.*ü€😀' "$got"
}

partitioner() {
  sed 's/$/\tv/' "${arg[keys]}" | produce --topic "$topic" --reader-property parse.key=true
}

compacted() {
  expect "records read" "Processed a total of ${arg[expect]} messages" "$(consume --topic "$topic" --max-messages "${arg[expect]}")"
}

idempotent() {
  for i in $(seq 100); do echo "v$i"; done | produce --topic "$topic" --command-property enable.idempotence=true
}

simple() {
  for i in $(seq 10); do echo "v$i"; done | produce --topic "$topic"
  expect "records read" 'Processed a total of 10 messages' "$(consume --topic "$topic" --max-messages 10)"
}

refused() { expect "a wrong password" 'Authentication failed|SaslAuthenticationException' "$(topics --list || true)"; }

large() {
  head -c 10000000 /dev/zero | tr '\0' x >"$work/large"
  produce --topic "$topic" --command-property max.request.size=12000000 --command-property buffer.memory=40000000 <"$work/large"
  consume --topic "$topic" --max-messages 1 >"$work/got"
  expect "bytes of the value" '^10000000$' "$(grep '^x' "$work/got" | tr -d '\n' | wc -c)"
}

declare -A member
# member NAME PROPERTY... starts a consumer of the group, whose records go to a file.
member() {
  local name=$1 more=()
  shift
  for property in "$@"; do more+=(--command-property "$property"); done
  java -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xmx256m -cp "$jars/*" org.apache.kafka.tools.consumer.ConsoleConsumer \
    --bootstrap-server "${arg[bootstrap]}" --command-config "$work/client.properties" --topic "$topic" --group "$topic" --from-beginning \
    "${more[@]}" >"$work/$name.records" 2>"$work/$name.errors" &
  member[$name]=$!
}
# leave NAME ends a consumer as its user does, who sees it leave the group.
leave() {
  kill "${member[$1]}"
  wait "${member[$1]}" || [ $? -eq 143 ] # SIGTERM
}
# The runner bounds how long anything is waited for.
await() { until "$@"; do sleep 0.2; done; }
have() { [ "$(cat "$work"/*.records | sort -u | wc -l)" -eq "$1" ]; }
# feed FROM TO produces records of those numbers.
feed() { for i in $(seq "$1" "$2"); do echo "k$i:v$i"; done | produce --topic "$topic" --reader-property parse.key=true --reader-property key.separator=:; }
# owned prints how many partitions each member has.
owned() { groups --describe --members --group "$topic" | awk -v group="$topic" '$1 == group { print $NF }' | sort | tr '\n' ' '; }
owns() { [ "$(owned)" = "$1" ]; }

group() {
  local how=()
  case ${arg[assignor]} in
    eager) how=(partition.assignment.strategy=org.apache.kafka.clients.consumer.RangeAssignor) ;;
    cooperative) how=(partition.assignment.strategy=org.apache.kafka.clients.consumer.CooperativeStickyAssignor) ;;
    *) how=(group.protocol=consumer) ;;
  esac
  feed 1 40
  member a "${how[@]}"
  await have 40
  member b "${how[@]}"
  await owns '2 2 '
  feed 41 80
  await have 80
  leave b
  await owns '4 '
  feed 81 100
  await have 100
  leave a
}

# static NAME prints the id of a static member and its partitions.
static() { groups --describe --group "$topic" | awk -v topic="$topic" -v name="$1-" '$2 == topic && index($7, name) == 1 { print $7, $3 }' | sort; }
changed() { [ "$(static one | cut -d' ' -f1 | sort -u)" != "$1" ] && owns '2 2 '; }
gone() { ! kill -0 "${member[$1]}" 2>/dev/null; }

group_static() {
  member one group.instance.id=one
  member two group.instance.id=two
  await owns '2 2 '
  local one two id
  one=$(static one)
  two=$(static two)
  id=$(cut -d' ' -f1 <<<"$one" | sort -u)
  leave one # for the group it is still there
  member one group.instance.id=one
  await changed "$id"
  expect "partitions of the member that came back" "^$(cut -d' ' -f2 <<<"$one" | tr '\n' ' ')$" "$(static one | cut -d' ' -f2 | tr '\n' ' ')"
  expect "those of the other" "^$(tr '\n' ' ' <<<"$two")$" "$(static two | tr '\n' ' ')"
  member thief group.instance.id=two
  await gone two # which is fenced: its log, which the tool has no place for, says so
  await owns '2 2 '
  leave thief
  leave one
}

admin_topics() {
  topics --create --topic "$topic" --partitions 2 --replication-factor 1 --config retention.ms=3600000 >/dev/null
  expect "creating it again" 'exists' "$(topics --create --topic "$topic" --partitions 2 || true)"
  local said
  said=$(topics --describe --topic "$topic")
  expect describe 'PartitionCount: 2.*ReplicationFactor: 1.*retention.ms=3600000' "$said"
  topics --alter --topic "$topic" --partitions 3
  expect partitions 'PartitionCount: 3' "$(topics --describe --topic "$topic")"
  expect "under-replicated" '^$' "$(topics --describe --under-replicated-partitions --topic "$topic")"
  configs --alter --entity-type topics --entity-name "$topic" --add-config max.message.bytes=2000000 --delete-config retention.ms >/dev/null
  said=$(configs --describe --entity-type topics --entity-name "$topic")
  expect configurations 'max.message.bytes=2000000' "$said"
  expect_not configurations 'retention.ms=' "$said"
  expect "all configurations" 'cleanup.policy=delete' "$(configs --describe --all --entity-type topics --entity-name "$topic")"
  for i in $(seq 9); do echo "k:v$i"; done | produce --topic "$topic" --reader-property parse.key=true --reader-property key.separator=:
  local where
  where=$(offsets --topic "$topic" | grep ':9$' | cut -d: -f2)
  [ -n "$where" ] || fail "no partition has 9 records"
  printf '{"partitions":[{"topic":"%s","partition":%s,"offset":4}],"version":1}' "$topic" "$where" >"$work/delete.json"
  expect "delete records" 'low_watermark: 4' "$(on org.apache.kafka.tools.DeleteRecordsCommand --offset-json-file "$work/delete.json")"
  expect "earliest offset" ":$where:4" "$(offsets --topic "$topic" --time earliest)"
  expect "broker configurations" 'Dynamic configs|=' "$(configs --describe --all --entity-type brokers --entity-name "$(broker)")"
  topics --delete --topic "$topic"
  expect_not list "^$topic\$" "$(topics --list)"
}

# broker prints the node's id.
broker() { on org.apache.kafka.tools.MetadataQuorumCommand describe --status | sed -n 's/^LeaderId: *//p'; }

admin_groups() {
  for i in $(seq 10); do echo "k$i:v$i"; done | produce --topic "$topic" --reader-property parse.key=true --reader-property key.separator=:
  consume --topic "$topic" --max-messages 10 --group "$topic" >/dev/null
  expect list "^$topic\$" "$(groups --list)"
  expect state 'Empty' "$(groups --describe --state --group "$topic")"
  expect lag "$topic +$topic +0 " "$(groups --describe --group "$topic")"
  groups --reset-offsets --to-earliest --execute --group "$topic" --topic "$topic" >/dev/null
  local said
  said=$(groups --describe --group "$topic")
  expect "offsets after the reset" "$topic +$topic +0 +0 " "$said"
  expect "all groups" "$topic" "$(groups --describe --all-groups --state)"
  expect "the groups tool" "$topic" "$(on org.apache.kafka.tools.GroupsCommand --list)"
  expect "delete offsets" 'Successful' "$(groups --delete-offsets --group "$topic" --topic "$topic")"
  expect delete 'was successful' "$(groups --delete --group "$topic")"
  expect_not list "^$topic\$" "$(groups --list)"
}

admin_cluster() {
  expect quorum 'LeaderId' "$(on org.apache.kafka.tools.MetadataQuorumCommand describe --status)"
  expect replication 'Leader' "$(on org.apache.kafka.tools.MetadataQuorumCommand describe --replication)"
  expect "log directories" '"logDirs"' "$(on org.apache.kafka.tools.LogDirsCommand --describe)"
  expect features 'transaction.version' "$(on org.apache.kafka.tools.FeatureCommand describe)"
  expect "cluster id" 'Cluster ID: ' "$(tool org.apache.kafka.tools.ClusterTool cluster-id --bootstrap-server "${arg[bootstrap]}" --config "$work/client.properties")"
  expect versions 'Produce\(0\)' "$(on org.apache.kafka.tools.BrokerApiVersionsCommand)"
  expect_not versions 'UNSUPPORTED.*Produce' "$(on org.apache.kafka.tools.BrokerApiVersionsCommand)"
}

admin_txns() {
  tool org.apache.kafka.tools.ProducerPerformance --bootstrap-server "${arg[bootstrap]}" --topic "$topic" --num-records 20 --record-size 20 --throughput 100 \
    --transactional-id "$topic" --transaction-duration-ms 100 >/dev/null
  expect list "$topic" "$(transactions list)"
  expect describe 'CompleteCommit' "$(transactions describe --transactional-id "$topic")"
  expect producers 'ProducerId' "$(transactions describe-producers --topic "$topic" --partition 0)"
  expect hanging 'ProducerId' "$(transactions find-hanging --broker-id "$(broker)")"
}

admin_acls() {
  on org.apache.kafka.tools.AclCommand --add --allow-principal User:alice --operation Read --topic "$topic" --resource-pattern-type prefixed >/dev/null
  expect list 'principal=User:alice' "$(on org.apache.kafka.tools.AclCommand --list --topic "$topic.x" --resource-pattern-type match)"
  on org.apache.kafka.tools.AclCommand --remove --force --allow-principal User:alice --operation Read --topic "$topic" --resource-pattern-type prefixed >/dev/null
  expect_not list 'principal=User:alice' "$(on org.apache.kafka.tools.AclCommand --list --topic "$topic" --resource-pattern-type prefixed)"
}

admin_scram() {
  configs --alter --entity-type users --entity-name "$topic" --add-config 'SCRAM-SHA-256=[iterations=8192,password=secret]' >/dev/null
  expect describe 'iterations=8192' "$(configs --describe --entity-type users --entity-name "$topic")"
  configs --alter --entity-type users --entity-name "$topic" --delete-config SCRAM-SHA-256 >/dev/null
  expect_not describe 'iterations' "$(configs --describe --entity-type users --entity-name "$topic")"
}

admin_quotas() {
  configs --alter --entity-type clients --entity-name "$topic" --add-config producer_byte_rate=1000000 >/dev/null
  expect describe 'producer_byte_rate=1000000' "$(configs --describe --entity-type clients --entity-name "$topic")"
  configs --alter --entity-type clients --entity-name "$topic" --delete-config producer_byte_rate >/dev/null
  expect_not describe 'producer_byte_rate' "$(configs --describe --entity-type clients --entity-name "$topic")"
}

answering() { [ "$(offsets --topic-partitions "$topic\\..*" --time latest | grep -c "^$topic")" -eq "$1" ]; }

# many has few topics, since every one is a process. Keys are spread by their hash,
# by which these reach every partition.
many() {
  local topics=5 partitions=1000 records=8000 t
  for t in $(seq "$topics"); do topics --create --topic "$topic.$t" --partitions "$partitions" >/dev/null; done
  await answering $((topics * partitions)) # which Kafka's reply does not wait for
  for t in $(seq "$topics"); do
    seq -f 'k%.0f:v' "$records" | produce --topic "$topic.$t" --reader-property parse.key=true --reader-property key.separator=:
  done
  expect "partitions" "^$((topics * partitions))\$" "$(topics --describe --topic "$topic\\..*" | grep -c 'Partition: ')"
  local every=$((topics * records))
  expect "partitions with records, and these" "^$((topics * partitions)) $every\$" \
    "$(offsets --topic-partitions "$topic\\..*" --time latest | awk -F: '$3 > 0 { n++; sum += $3 } END { print n, sum }')"
  consume --include "$topic\\..*" --max-messages "$every" >"$work/got"
  expect "records read" "Processed a total of $every messages" "$(tail -n 1 "$work/got")"
  topics --delete --topic "$topic\\..*"
  expect_not list "^$topic" "$(topics --list)"
}

function=${scenario//-/_}
declare -F "$function" >/dev/null || { echo "has no such scenario" >&2; exit 3; }
"$function"
