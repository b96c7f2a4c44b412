#!/usr/bin/env bash
# End to end through the binary alone: quickstart, clients, HTTP, exit codes.
# Usage: bash testdata/e2e/run.sh BINARY. Ends with: N passed, N failed
set -uo pipefail
if [ $# -ne 1 ] || [ ! -x "$1" ]; then echo "usage: $0 BINARY" >&2; exit 2; fi
binary=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
passed=0 failed=0 server=

cleanup() {
  if [ -n "$server" ]; then kill -9 "$server" 2>/dev/null; wait "$server" 2>/dev/null; fi
  rm -rf "$work"
}
trap cleanup EXIT

pass() { passed=$((passed + 1)); }
fail() { failed=$((failed + 1)); printf 'FAIL %s\n' "$1"; shift; printf '     %s\n' "$@"; }

# equal NAME GOT WANT
equal() { if [ "$2" = "$3" ]; then pass; else fail "$1" "got:  $(head -c 600 <<<"$2")" "want: $(head -c 600 <<<"$3")"; fi; }

# contains NAME TEXT PART
contains() { case $2 in *"$3"*) pass ;; *) fail "$1" "got:      $(head -c 600 <<<"$2")" "which lacks: $3" ;; esac; }

# run COMMAND...: the exit code is in $code, the output in $out and $err.
run() { timeout 40 "$@" >"$work/out" 2>"$work/err" </dev/null; code=$?; out=$(cat "$work/out"); err=$(cat "$work/err"); }

# mistake NAME PART COMMAND...: the command must fail with exit code 1, say PART on
# standard error and nothing on standard output.
mistake() {
  local name=$1 part=$2
  shift 2
  run "$@"
  equal "$name: exit code" "$code" 1
  contains "$name: message" "$err" "$part"
  equal "$name: standard output" "$out" ""
}

# start_server DIR [FLAG...]: $http and $kafka are its addresses.
start_server() {
  local dir=$1
  shift
  mkfifo "$work/ready.$$"
  "$binary" server --data "$dir" --http 127.0.0.1:0 --kafka 127.0.0.1:0 "$@" >"$work/ready.$$" 2>"$work/server.log" &
  server=$!
  local line=
  read -r -t 20 line <"$work/ready.$$"
  rm -f "$work/ready.$$"
  http=$(sed -n 's/.*http=\([^ ]*\).*/\1/p' <<<"$line")
  kafka=$(sed -n 's/.*kafka=\([^ ]*\).*/\1/p' <<<"$line")
  if [ -z "$http" ]; then fail "server start" "$(tail -5 "$work/server.log")"; return 1; fi
}

stop_server() {
  kill -"$1" "$server"
  wait "$server" 2>/dev/null
  code=$?
  server=
}

# request METHOD PATH [BODY]: an HTTP/1.0 request over bash's own sockets; the
# answer is in $out.
request() {
  local body=${3-}
  exec 3<>"/dev/tcp/${http%:*}/${http##*:}" || { out=; return; }
  printf '%s %s HTTP/1.0\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s' "$1" "$2" "$http" "${#body}" "$body" >&3
  out=$(timeout 20 cat <&3)
  exec 3>&-
}

quickstart() {
  run "$binary" quickstart --data "$work/quick"
  equal "quickstart: exit code" "$code" 0
  # What the queries must show, computed here from the same data.
  local strong want
  strong=$(awk -F'"mag":' '{split($2, m, ","); if (m[1] != "null" && m[1] >= 4.5) n++} END {print n}' "$here/../quickstart/earthquakes.jsonl")
  run "$binary" sql --data "$work/quick" --output json -e "SELECT event_id FROM strong_quakes;"
  equal "quickstart: strong earthquakes" "$(grep -c EVENT_ID <<<"$out")" "$strong"
  # Records in order of time, so that the day's window of the last ones is open;
  # none of them is more than a day late.
  want=$(awk '
    match($0, /"region":"[^"]*"/) { region = substr($0, RSTART + 10, RLENGTH - 11) }
    match($0, /"time":[0-9]+/) { day = sprintf("%.0f", int(substr($0, RSTART + 7, RLENGTH - 7) / 86400000) * 86400000) }
    match($0, /"mag":[-0-9.]+/) { mag = substr($0, RSTART + 6, RLENGTH - 6) + 0
      if (region == "Alaska") { n[day]++; if (!(day in top) || mag > top[day]) top[day] = mag } }
    END { for (d in n) printf "{\"WINDOWSTART\":%s,\"QUAKES\":%d,\"STRONGEST\":%.1f}\n", d, n[d], top[d] }' "$here/../quickstart/earthquakes.jsonl" | sort)
  run "$binary" sql --data "$work/quick" --output json -e "SELECT WINDOWSTART, quakes, strongest FROM region_days WHERE region = 'Alaska';"
  equal "quickstart: Alaska by day" "$(sort <<<"$out")" "$want"
  # Joined with the table of regions, and counted by continent.
  want=$(awk '
    FNR == NR { match($0, /"region":"[^"]*"/); r = substr($0, RSTART + 10, RLENGTH - 11)
      if (match($0, /"continent":"[^"]*"/)) continent[r] = substr($0, RSTART + 13, RLENGTH - 14); next }
    match($0, /"region":"[^"]*"/) { r = substr($0, RSTART + 10, RLENGTH - 11)
      if (match($0, /"mag":[-0-9.]+/) && substr($0, RSTART + 6, RLENGTH - 6) + 0 >= 4.5 && r in continent) n[continent[r]]++ }
    END { for (c in n) printf "{\"CONTINENT\":\"%s\",\"STRONG\":%d}\n", c, n[c] }' "$here/../quickstart/regions.jsonl" "$here/../quickstart/earthquakes.jsonl" | sort)
  run "$binary" sql --data "$work/quick" --output json -e "SELECT continent, strong FROM continents;"
  equal "quickstart: continents" "$(sort <<<"$out")" "$want"
  run "$binary" quickstart --data "$work/quick"
  equal "quickstart again: exit code" "$code" 0
  equal "quickstart again: loads nothing" "$(grep -c 'records written' <<<"$err")" 0
}

topics() {
  seq 1 1000 | awk '{printf "{\"id\":\"k%d\",\"n\":%d,\"ts\":%d}\n", $1, $1, $1 * 1000}' >"$work/in.jsonl"
  run "$binary" topic create t --partitions 3 --bootstrap "$kafka"
  equal "topic create: exit code" "$code" 0
  run "$binary" topic list --bootstrap "$kafka"
  contains "topic list" "$out" "t"
  run "$binary" produce t --file "$work/in.jsonl" --key-field id --timestamp-field ts --bootstrap "$kafka"
  equal "produce: exit code" "$code" 0
  contains "produce: count" "$err" "1000 records"
  run "$binary" consume t --from-beginning --max 1000 --output json --bootstrap "$kafka"
  equal "consume: exit code" "$code" 0
  equal "round trip" "$(sed 's/.*"value":\(.*\),"headers".*/\1/' <<<"$out" | sort)" "$(sort "$work/in.jsonl")"
  equal "keys and timestamps" "$(sed 's/.*"timestamp":\([0-9]*\),"key":"\([^"]*\)".*/\2 \1/' <<<"$out" | sort)" "$(seq 1 1000 | awk '{print "k" $1, $1 * 1000}' | sort)"
  run "$binary" topic describe t --bootstrap "$kafka"
  equal "topic describe: offsets" "$(awk '$2 ~ /^[0-9]+$/ && NF == 3 {n += $3} END {print n}' <<<"$out")" 1000
  mistake "create a topic twice" "t" "$binary" topic create t --bootstrap "$kafka"
  mistake "consume a missing topic" "nope" "$binary" consume nope --bootstrap "$kafka"
  mistake "produce to a missing topic" "nope" "$binary" produce nope --file "$work/in.jsonl" --bootstrap "$kafka"
  mistake "delete a missing topic" "nope" "$binary" topic delete nope --bootstrap "$kafka"
  echo 'not json' >"$work/bad.jsonl"
  mistake "produce text" "line 1" "$binary" produce t --file "$work/bad.jsonl" --bootstrap "$kafka"
}

http() {
  request GET /info
  contains "GET /info" "$out" "200 OK"
  request GET /healthcheck
  contains "GET /healthcheck" "$out" '"isHealthy":true'
  request POST /ksql '{"ksql":"CREATE STREAM t (id STRING KEY, n INT) WITH (kafka_topic='"'t'"', value_format='"'JSON'"'); CREATE TABLE odd AS SELECT n % 2 AS r, COUNT(*) AS c, SUM(n) AS s FROM t GROUP BY n % 2 EMIT CHANGES;","streamsProperties":{"auto.offset.reset":"earliest"}}'
  contains "POST /ksql" "$out" "200 OK"
  request POST /query-stream '{"sql":"SELECT * FROM odd WHERE r = 1;","properties":{"millrace.pull.wait":"inputs"}}'
  contains "POST /query-stream" "$out" '[1,500,250000]'
  request POST /ksql '{"ksql":"SELECT nothing;"}'
  contains "a query on the wrong endpoint" "$out" " 400 "
  request POST /ksql '{"ksql":"CREATE STREAM x AS SELECT nope FROM t;"}'
  contains "an unknown column over HTTP" "$out" "NOPE"
  # What was answered survives kill -9.
  stop_server KILL
  start_server "$work/data" || return
  request POST /query-stream '{"sql":"SELECT * FROM odd;","properties":{"millrace.pull.wait":"inputs"}}'
  contains "after kill -9, odd" "$out" '[1,500,250000]'
  contains "after kill -9, even" "$out" '[0,500,250500]'
}

# What keeps a reader from its end must not look like the end.
ends() {
  awk 'BEGIN {for (i = 0; i < 60000; i++) printf "%06d%0394d\n", i, 0}' >"$work/lines"
  run "$binary" produce big --raw --file "$work/lines" --create --bootstrap "$kafka"
  equal "produce 24 MB: exit code" "$code" 0
  # The server is killed and comes back while a reader is half way.
  mkfifo "$work/records"
  "$binary" consume big --from-beginning --to-end --bootstrap "$kafka" >"$work/records" 2>"$work/err" &
  local reader=$! first= rest
  exec 4<"$work/records"
  read -r first <&4
  stop_server KILL
  start_server "$work/data" --kafka "$kafka" || return
  rest=$(wc -l <&4)
  exec 4<&-
  wait "$reader"
  equal "a server that comes back: exit code" "$?" 0
  equal "a server that comes back: records" "$((rest + 1))" 60000
  # A reader that is made to wait reaches the end too.
  head -3000 "$work/lines" >"$work/some"
  run "$binary" produce some --raw --file "$work/some" --create --bootstrap "$kafka"
  run "$binary" quota set consumer_byte_rate=150000 --for client-id=millrace-cli --bootstrap "$kafka"
  equal "quota set: exit code" "$code" 0
  run "$binary" consume some --from-beginning --to-end --bootstrap "$kafka"
  equal "throttled: exit code" "$code" 0
  equal "throttled: records" "$(wc -l <"$work/out")" 3000
  run "$binary" quota delete consumer_byte_rate --for client-id=millrace-cli --bootstrap "$kafka"
  run "$binary" topic delete big --bootstrap "$kafka"
}

# readme SECTION: the commands of a section of README's that ask a server, without
# comments.
readme() {
  awk -v section="## $1" '$0 == section {on = 1; next} /^## / {on = 0} on' "$here/../../README.md" |
    sed -n '/^```$/,/^```$/{/^```/d; p}' | sed 's/ \+#.*//' | grep -E 'millrace (topic|produce|consume|group|transaction|config|user|acl|quota) '
}

# Every command of README's that needs a server works as it stands there.
readme_commands() {
  local line n=0
  run "$binary" topic create orders --partitions 2 --bootstrap "$kafka"
  while read -r line; do
    n=$((n + 1))
    (cd "$work" && PATH=$work/bin:$PATH timeout 40 bash -c "${line//.\/millrace/millrace} --bootstrap $kafka") >"$work/out" 2>"$work/err" </dev/null
    equal "README: $line: $(cat "$work/err")" "$?" 0
  done < <(readme Administration)
  stop_server INT
  echo -n 'a long password' >"$work/admin.password"
  echo -n 'another password' >"$work/alice.password"
  mkfifo "$work/secure"
  (cd "$work" && exec "$binary" server --data "$work/data" --http 127.0.0.1:0 --listener SASL_PLAINTEXT://127.0.0.1:0 --bootstrap-user admin --bootstrap-password-file admin.password >"$work/secure" 2>"$work/server.log") &
  server=$!
  read -r -t 20 line <"$work/secure"
  kafka=$(sed -n 's/.*kafka=\([^ ]*\).*/\1/p' <<<"$line")
  while read -r line; do
    n=$((n + 1))
    (cd "$work" && PATH=$work/bin:$PATH MILLRACE_PASSWORD='a long password' timeout 40 bash -c "${line//127.0.0.1:9093/$kafka}") >"$work/out" 2>"$work/err" </dev/null
    equal "README: $line: $(cat "$work/err")" "$?" 0
  done < <(readme Security)
  equal "README: commands" "$((n >= 14))" 1
  stop_server INT
  start_server "$work/data"
}

# The engine over another server's broker, as over any Kafka cluster.
cluster() {
  local first=$server first_http=$http second line=
  mkfifo "$work/cluster"
  "$binary" server --bootstrap "$kafka" --service-id second --http 127.0.0.1:0 >"$work/cluster" 2>"$work/cluster.log" &
  second=$!
  read -r -t 20 line <"$work/cluster"
  http=$(sed -n 's/.*http=\([^ ]*\).*/\1/p' <<<"$line")
  contains "--bootstrap: says that it is experimental" "$(cat "$work/cluster.log")" experimental
  request POST /ksql '{"ksql":"CREATE STREAM t (id STRING KEY, n INT) WITH (kafka_topic='"'t'"', value_format='"'JSON'"'); CREATE TABLE thirds AS SELECT n % 3 AS r, COUNT(*) AS c FROM t GROUP BY n % 3 EMIT CHANGES;","streamsProperties":{"auto.offset.reset":"earliest"}}'
  contains "--bootstrap: statements" "$out" "200 OK"
  request POST /query-stream '{"sql":"SELECT * FROM thirds WHERE r = 1;","properties":{"millrace.pull.wait":"inputs"}}'
  contains "--bootstrap: aggregate" "$out" '[1,334]'
  run "$binary" consume THIRDS --from-beginning --max 1000 --output json --bootstrap "$kafka"
  equal "--bootstrap: every update once" "$(sed -n 's/.*"C":\([0-9]*\).*/\1/p' <<<"$out" | awk '{s += $1} END {print NR, s}')" "1000 $((334 * 335 / 2 + 2 * 333 * 334 / 2))"
  kill -INT "$second"
  wait "$second"
  equal "--bootstrap: stops in good order" "$?" 0
  server=$first http=$first_http
  mistake "--bootstrap with --data" "no meaning" "$binary" server --bootstrap "$kafka" --data "$work/m"
}

mistakes() {
  mistake "unknown command" "did you mean" "$binary" servr
  mistake "unknown flag" "did you mean --data" "$binary" sql --dat x
  mistake "missing script" "no such file" "$binary" sql --data "$work/m" -f "$work/missing.sql"
  mistake "missing input" "no such file" "$binary" produce t --file "$work/missing.jsonl" --bootstrap "$kafka"
  mistake "missing argument" "TOPIC" "$binary" consume
  mistake "no broker there" "no Kafka listener" "$binary" topic list --bootstrap 127.0.0.1:1
  mistake "HTTP port in use" "is in use" "$binary" server --data "$work/m" --http "$http" --kafka 127.0.0.1:0
  mistake "Kafka port in use" "is in use" "$binary" server --data "$work/m" --http 127.0.0.1:0 --kafka "$kafka"
  mistake "locked data directory" "in use" "$binary" sql --data "$work/data" -e "SHOW TOPICS;"
  mistake "syntax error" "error[syntax]" "$binary" sql --data "$work/m" -e "SELEC 1;"
  mistake "unknown source" "NOWHERE" "$binary" sql --data "$work/m" -e "SELECT * FROM nowhere;"
  run "$binary" --help
  equal "--help: exit code" "$code" 0
  run "$binary" --version
  equal "--version: exit code" "$code" 0
}

# What is done to the files of a server that is stopped: it is asked for damage, and
# the plain directory becomes an encrypted one, and loses a key again.
files() {
  mistake "log repair: no data directory" "is no data directory" "$binary" log repair "$work"
  run "$binary" log repair "$work/data"
  equal "log repair: exit code" "$code" 0
  contains "log repair: nothing to do" "$out" "nothing is damaged"
  head -c 32 /dev/urandom | base64 >"$work/key1"
  { head -c 32 /dev/urandom | base64; cat "$work/key1"; } >"$work/key2"
  head -1 "$work/key2" >"$work/key2.alone"
  mistake "log reencrypt: no key" "no encryption key" "$binary" log reencrypt "$work/data"
  for keys in key1 key2; do
    run "$binary" log reencrypt "$work/data" --encryption-key-file "$work/$keys"
    equal "log reencrypt with $keys: exit code" "$code" 0
    contains "log reencrypt with $keys: topics" "$out" "t-0: 1 segment"
  done
  run "$binary" log dump --records --encryption-key-file "$work/key2.alone" "$work/data"
  equal "log dump with the new key alone: exit code" "$code" 0
  equal "log dump with the new key alone: nothing is locked" "$(grep -c 'is not given' <<<"$out")" 0
  mistake "a start without a key" "give --encryption-key-file" "$binary" server --data "$work/data" --http 127.0.0.1:0 --kafka 127.0.0.1:0
  start_server "$work/data" --encryption-key-file "$work/key2.alone" || return
  contains "a start with the new key alone: says so" "$(cat "$work/server.log")" "not needed any more"
  run "$binary" consume t --from-beginning --to-end --bootstrap "$kafka"
  equal "a start with the new key alone: records" "$(wc -l <<<"$out")" 1000
  stop_server INT
  equal "a start with the new key alone: stops in good order" "$code" 0
}

mkdir "$work/bin" && ln -s "$binary" "$work/bin/millrace"
quickstart
if start_server "$work/data"; then
  topics
  http
  ends
  readme_commands
  cluster
  mistakes
  stop_server INT
  equal "server stops in good order" "$code" 0
  files
fi
printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
