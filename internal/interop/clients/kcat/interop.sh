#!/usr/bin/env bash
# Drives kcat for the interop suite; the suite's doc.go has the command line and
# the exit codes.
set -euo pipefail

scenario=$1
shift
declare -A arg=([protocol]=PLAINTEXT)
while [ $# -ge 2 ]; do
  arg[${1#--}]=$2
  shift 2
done
topic=${arg[topic]}
options=(-b "${arg[bootstrap]}" -X "security.protocol=${arg[protocol]}")
[ -z "${arg[ca]:-}" ] || options+=(-X "ssl.ca.location=${arg[ca]}")
[ -z "${arg[mechanism]:-}" ] || options+=(-X "sasl.mechanism=${arg[mechanism]}" -X "sasl.username=${arg[user]}" -X "sasl.password=${arg[password]}")

fail() { echo "$*" >&2; exit 1; }
produce() { kcat "${options[@]}" -P "$@"; }
# consume reads a topic to its end.
consume() { kcat "${options[@]}" -C -o beginning -e -q "$@"; }
expect() { [ "$2" = "$3" ] || fail "$1: $2, expected $3"; }
numbered() { for i in $(seq 0 $(($2 - 1))); do echo "k$i:$1$i"; done; }

codecs() {
  local value partition acks codec
  value=$(printf 'x%.0s' $(seq 500))
  for codec in ${arg[codecs]//,/ }; do
    partition=0
    for acks in 0 1 all; do
      numbered "$value" 20 | produce -t "$topic.$codec" -p $partition -K: -z "$codec" -X "acks=$acks" -X linger.ms=50
      partition=$((partition + 1))
    done
    expect "records of $codec" "$(consume -t "$topic.$codec" | wc -l)" 60
  done
}

partitioner() { sed 's/$/\tv/' "${arg[keys]}" | produce -t "$topic" -K '\t' -X partitioner=murmur2_random; }

# kcat has no way to write an empty key beside a null one, nor a null header; an
# argument cannot hold the zero byte of the binary one.
values() {
  printf 'without empty-key\nwithout null-header\nwithout binary-header\nwithout empty-value\n'
  printf 'null key\n' | produce -t "$topic" -p 0
  printf 'tombstone:\n' | produce -t "$topic" -p 0 -K: -Z
  printf 'headers:h\n' | produce -t "$topic" -p 0 -K: -H a=1 -H a=2 -H empty=
  printf 'ü€😀:ü€😀\n' | produce -t "$topic" -p 0 -K:
  expect records "$(consume -t "$topic" -f '%K/%S/%h ' | tr '\n' ' ')" '-1/8/ 9/-1/ 7/1/a=1,a=2,empty= 9/9/ '
}

seek_time() {
  local i
  # kcat cannot set timestamps: the records' own, a moment apart, serve.
  for i in 0 1 2; do echo "v$i" | produce -t "$topic" -p 0; sleep 0.1; done
  local times
  mapfile -t times < <(consume -t "$topic" -f '%T\n')
  expect "offset at the second's time" "$(kcat "${options[@]}" -Q -t "$topic:0:${times[1]}")" "$topic [0] offset 1"
  expect "records from then on" "$(kcat "${options[@]}" -C -q -e -t "$topic" -o "s@${times[1]}" | tr '\n' ' ')" 'v1 v2 '
}

large() {
  local file
  file=$(mktemp)
  head -c 10000000 /dev/zero | tr '\0' 'z' >"$file"
  produce -t "$topic" -p 0 -X message.max.bytes=12000000 "$file"
  expect bytes "$(consume -t "$topic" -f '%S')" 10000000
  rm "$file"
}

compacted() { expect records "$(consume -t "$topic" -f '%o\n' | wc -l)" "${arg[expect]}"; }

idempotent() { numbered v 100 | produce -t "$topic" -p 0 -K: -X enable.idempotence=true -X batch.num.messages=10; }

simple() {
  numbered v 10 | produce -t "$topic" -p 0 -K:
  expect records "$(consume -t "$topic" | wc -l)" 10
}

refused() {
  local said
  said=$(kcat "${options[@]}" -L -m 5 2>&1) && fail "a wrong password was accepted"
  grep -qi 'authentication' <<<"$said" || fail "said only: $said"
}

# member starts a balanced consumer in the background that writes values to a
# file and what it was assigned to another; its process ID is in REPLY.
member() {
  local strategy=range
  [ "${arg[assignor]:-}" != cooperative ] || strategy=cooperative-sticky
  kcat "${options[@]}" -X auto.offset.reset=earliest -X session.timeout.ms=10000 -X heartbeat.interval.ms=500 -X auto.commit.interval.ms=200 \
    -X "partition.assignment.strategy=$strategy" "${@:2}" -u -f '%s\n' -G "$topic" "$topic" >"$work/$1.values" 2>"$work/$1.log" &
  REPLY=$!
  children+=("$REPLY")
}

# until waits for a command; the suite ends the program when it never succeeds.
until_true() { until "$@"; do sleep 0.1; done; }
seen() { [ "$(cat "$work"/*.values | sort -u | wc -l)" -ge "$1" ]; }
assigned() { grep -q 'rebalanced.*assig.*\[[0-9]' "$work/$1.log"; }
feed() { for p in 0 1 2 3; do for i in $(seq 10); do echo "$1-$p-$i"; done | produce -t "$topic" -p $p; done; }

group() {
  feed one
  member a
  until_true seen 40
  until_true assigned a
  member b
  local b=$REPLY
  until_true assigned b
  feed two
  until_true seen 80
  [ -s "$work/b.values" ] || fail "the second member got nothing"
  kill -TERM "$b"
  wait "$b" || true
  feed three
  until_true seen 120
  kill -TERM "${children[0]}"
  wait "${children[0]}" || true
}

group_static() {
  feed one
  member a -X group.instance.id=one
  until_true seen 40
  kill -TERM "$REPLY"
  wait "$REPLY" || true
  member again -X group.instance.id=one
  feed two
  until_true seen 80
}

# transact sends five records in a transaction, which ends with the input.
transact() { for i in 0 1 2 3 4; do echo "$1$i"; done | produce -t "$topic" -p 0 -X "transactional.id=$topic"; }
stored() { [ "$(consume -t "$topic" -X isolation.level=read_uncommitted -f '%s\n' | grep -c "^$1")" -ge "$2" ]; }
committed() { consume -t "$topic" -X isolation.level=read_committed -f '%s ' "$@"; }
# begin NAME opens a transaction with five records: files, behind which kcat waits
# for somebody to open the other end of a pipe. Of standard input it keeps back
# what fits its buffer, and a signal there ends it at once, without an abort. Its
# process ID is in REPLY.
begin() {
  for i in 0 1 2 3 4; do printf '%s' "$1$i" >"$work/$1$i"; done
  mkfifo "$work/$1.pipe"
  kcat "${options[@]}" -P -t "$topic" -p 0 -X "transactional.id=$topic" "$work/$1"[0-4] "$work/$1.pipe" 2>"$work/$1.log" &
  REPLY=$!
  children+=("$REPLY")
  until_true stored "$1" 5
}
gone() { ! kill -0 "$1" 2>/dev/null; }
# pass NAME PROCESS opens the pipe, for as long as kcat may come to it, and fails as
# kcat does.
pass() {
  until gone "$2"; do
    exec 3<>"$work/$1.pipe"
    exec 3>&-
    sleep 0.1
  done
  wait "$2"
}

txn() {
  transact c
  begin a
  kill -TERM "$REPLY" # which aborts
  pass a "$REPLY" || true
  grep -q 'Aborting transaction' "$work/a.log" || fail "the transaction was not aborted: $(cat "$work/a.log")"
  transact d
  expect committed "$(committed)" 'c0 c1 c2 c3 c4 d0 d1 d2 d3 d4 '
  expect stored "$(consume -t "$topic" -X isolation.level=read_uncommitted | wc -l)" 15
}

txn_fence() {
  begin zombie
  local zombie=$REPLY
  transact new
  pass zombie "$zombie" && fail "the zombie committed" # which is what kcat does at the end
  grep -qi 'fenced' "$work/zombie.log" || fail "the zombie was not told that it is fenced: $(cat "$work/zombie.log")"
  expect committed "$(committed)" 'new0 new1 new2 new3 new4 '
}

work=$(mktemp -d)
children=()
finish() {
  for child in "${children[@]}"; do kill -KILL "$child" 2>/dev/null || true; done
  rm -rf "$work"
}
trap finish EXIT

function=${scenario//-/_}
declare -F "$function" >/dev/null || { echo "has no such scenario" >&2; exit 3; }
"$function"
