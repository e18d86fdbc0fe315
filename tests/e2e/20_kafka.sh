# Kafka into a local lake: transactions, tombstones, bad records, partitions added later, two tables from one topic, shards, the mirror.
source "$(dirname "$0")/../harness/lib.sh"
cd "$work" || exit 1
BROKERS=$(service start kafka | tail -n 1)
export BROKERS
COLUMNS_YAML='      record_id: string required
      tenant_id: string required
      device_id: string required
      hostname: string
      site: string
      os: struct<name:string, version:string, build:int>
      cpu: struct<model:string, cores:int, usage_pct:double>
      memory: struct<total_mb:long, used_mb:long>
      disks: list<struct<mount:string, total_gb:double, free_gb:double, encrypted:boolean>>
      software: list<struct<name:string, version:string>>
      agent_version: string
      last_boot: timestamptz
      collected_at: timestamptz required
      tags: map<string, string>'
pipeline() { # FILE TOPIC EXTRA_OF_SOURCE EXTRA_OF_TABLE
  cat >"$1" <<EOF
version: 1
name: $2
lake: {warehouse: ./lake}
run: {window: {max_records: 20000}}
sources:
  $2:
    kafka:
      topics: [$2]
      properties: {bootstrap.servers: "\${BROKERS}"}
$3
    format: json
tables:
  bronze.$2:
    source: $2
$4
    columns:
$COLUMNS_YAML
EOF
}

# --- plain: bad and late records, two windows and more, judged value by value
service topic kafka create plain 4
"$WEIR_GEN" --kafka "$BROKERS" --topic plain --count 50000 --bad 10 --late 10 --duplicates 5 --manifest p.csv --values p.ndjson
pipeline plain.yaml plain "" "    partition_by: [days(collected_at)]"
check "plain: validate" "$WEIR" validate -p plain.yaml
check "plain: run" "$WEIR" run -p plain.yaml
equal "plain: nothing to do" "$("$WEIR" run -p plain.yaml)" "bronze.plain: nothing to do"
check "plain: verify --deep" "$WEIR" verify --deep -p plain.yaml
judged judge bronze.plain --catalog lake/catalog.db --expect "p.csv,p.ndjson,plain" ${WEIR_FULL:+--spark}
next=$("$WEIR" offsets show plain -p plain.yaml -o json | python3 -c 'import json,sys; print(sum(r["next"] for r in json.load(sys.stdin)))')
equal "plain: offsets in the table" "$next" 50000
mirrored=$(service topic kafka committed plain weir-plain-plain | python3 -c 'import re,sys; print(sum(int(n) for n in re.findall(r"(\d+)\s*$", sys.stdin.read(), re.M)))')
equal "plain: mirrored offsets" "$mirrored" 50000

# --- partitions added later
service topic kafka add plain 6
"$WEIR_GEN" --kafka "$BROKERS" --topic plain --first 50000 --count 5000 --manifest p2.csv --values p2.ndjson
check "added partitions: run" "$WEIR" run -p plain.yaml
judged judge bronze.plain --catalog lake/catalog.db --expect "p.csv,p.ndjson,plain" --expect "p2.csv,p2.ndjson,plain" ${WEIR_FULL:+--spark}

# --- transactions, some aborted; markers take up offsets
service topic kafka create tx 4
"$WEIR_GEN" --kafka "$BROKERS" --topic tx --count 20000 --bad 5 --transactional t1 --abort-every 4 --manifest t.csv --values t.ndjson
sleep 1
pipeline tx.yaml tx "      transactional: true" ""
check "transactions: run" "$WEIR" run -p tx.yaml
check "transactions: verify --deep" "$WEIR" verify --deep -p tx.yaml
judged judge bronze.tx --catalog lake/catalog.db --expect "t.csv,t.ndjson,tx" ${WEIR_FULL:+--spark}

# --- tombstones skipped and counted
service topic kafka create dead 2 cleanup.policy=compact
"$WEIR_GEN" --kafka "$BROKERS" --topic dead --count 5000 --tombstones 50 --manifest d.csv --values d.ndjson
pipeline dead.yaml dead "" "    tombstones: skip"
check "tombstones: run" "$WEIR" run -p dead.yaml
check "tombstones: verify" "$WEIR" verify -p dead.yaml
judged judge bronze.dead --catalog lake/catalog.db --expect "d.csv,d.ndjson,dead" ${WEIR_FULL:+--spark}

# --- two tables from one topic, each record to the one whose `where` holds
cat >two.yaml <<EOF
version: 1
name: two
lake: {warehouse: ./lake}
sources:
  plain: {kafka: {topics: [plain], properties: {bootstrap.servers: "\${BROKERS}"}}, format: json}
tables:
  bronze.left: {source: plain, where: "cpu.usage_pct < 50", columns: {record_id: string required, cpu: "struct<usage_pct:double>"}}
  bronze.right: {source: plain, where: "not (cpu.usage_pct < 50)", columns: {record_id: string required, cpu: "struct<usage_pct:double>"}}
EOF
check "two tables: run" "$WEIR" run -p two.yaml
check "two tables: verify" "$WEIR" verify --deep -p two.yaml
sum=$("$WEIR" status -p two.yaml -o json | python3 -c 'import json,sys; r=json.load(sys.stdin); print(r[0]["refused"]==r[1]["refused"], r[0]["rows"]+r[1]["rows"]+r[0]["refused"])')
equal "two tables: every record in one of them or refused by both" "$sum" "True 55000"

# --- shards side by side on one table
sed 's/name: plain/name: sharded/; s/bronze.plain/bronze.sharded/' plain.yaml >sharded.yaml
"$WEIR" run -p sharded.yaml --shard 0/2 >s0.log 2>&1 & first=$!
"$WEIR" run -p sharded.yaml --shard 1/2 >s1.log 2>&1; second=$?
wait $first
equal "shards: both ended well" "$? $second" "0 0"
check "shards: verify --deep" "$WEIR" verify --deep -p sharded.yaml
judged judge bronze.sharded --catalog lake/catalog.db --expect "p.csv,p.ndjson,plain" --expect "p2.csv,p2.ndjson,plain" ${WEIR_FULL:+--spark}

# --- the same from a `start: latest` table: nothing, then what comes
pipeline late.yaml plain "      start: latest" ""
sed -i 's/bronze.plain/bronze.late/' late.yaml
check "latest: first run" "$WEIR" run -p late.yaml
equal "latest: nothing old" "$("$WEIR" status -p late.yaml -o json | python3 -c 'import json,sys; print(json.load(sys.stdin)[0]["rows"])')" 0
"$WEIR_GEN" --kafka "$BROKERS" --topic plain --first 55000 --count 1000 >/dev/null
check "latest: second run" "$WEIR" run -p late.yaml
equal "latest: what came since" "$("$WEIR" status -p late.yaml -o json | python3 -c 'import json,sys; print(json.load(sys.stdin)[0]["rows"])')" 1000
finish
