# Kafka to two real S3 servers that differ, object-store catalog, judged; a third that ignores conditional writes is refused before anything is written.
source "$(dirname "$0")/../harness/lib.sh"
cd "$work" || exit 1
export AWS_ACCESS_KEY_ID=testkey AWS_SECRET_ACCESS_KEY=testsecret123
BROKERS=$(service start kafka | tail -n 1)
export BROKERS
service topic kafka create readings 4
"$WEIR_GEN" --kafka "$BROKERS" --topic readings --count 30000 --bad 10 --manifest m.csv --values v.ndjson
pipeline() { # FILE ENDPOINT
  cat >"$1" <<EOF
version: 1
name: s3
lake:
  tenant: acme
  region: us-east-1
  warehouse: s3://{tenant}-{region}-datalake/wh
  s3: {endpoint: "$2", path_style: true}
run: {window: {max_records: 12000}}
sources:
  readings: {kafka: {topics: [readings], properties: {bootstrap.servers: "\${BROKERS}"}}, format: json}
tables:
  bronze.readings:
    source: readings
    partition_by: ["bucket(3, device_id)"]
    columns:
      record_id: string required
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
      tags: map<string, string>
EOF
}
judges=$("$root/tools/env/setup" --where judges)/venv/bin/python
for server in s3proxy versitygw; do
  endpoint=$(service start $server | tail -n 1)
  service bucket $server acme-us-east-1-datalake
  pipeline $server.yaml "$endpoint"
  check "$server: doctor" "$WEIR" doctor -p $server.yaml
  check "$server: run" "$WEIR" run -p $server.yaml
  equal "$server: nothing to do" "$("$WEIR" run -p $server.yaml)" "bronze.readings: nothing to do"
  check "$server: verify --deep" "$WEIR" verify --deep -p $server.yaml
  judged judge s3://acme-us-east-1-datalake/wh/bronze/readings --s3 "$endpoint" --expect "m.csv,v.ndjson,readings" --quarantine s3://acme-us-east-1-datalake/wh/bronze/readings__quarantine ${WEIR_FULL:+--spark}
  # a reference table of files in another bucket, brought up to date when they change
  service bucket $server reference
  put() { $judges -c 'import sys, pyarrow.fs as fs
s3 = fs.S3FileSystem(access_key="testkey", secret_key="testsecret123", endpoint_override=sys.argv[1], region="us-east-1")
with s3.open_output_stream("reference/policy/" + sys.argv[2]) as out: out.write(sys.stdin.buffer.read())' "$endpoint" "$1"; }
  sed 's|^tables:|  policy: {files: "s3://reference/policy/*.csv", format: csv}\ntables:\n  bronze.policy: {source: policy, mode: full, columns: {id: string required, level: int}}|' $server.yaml >$server-policy.yaml
  printf 'id,level\na,1\nb,2\n' | put one.csv
  check "$server: files in a bucket with mode full" "$WEIR" run -s bronze.policy -p $server-policy.yaml
  equal "$server: nothing new" "$("$WEIR" run -s bronze.policy -p $server-policy.yaml)" "bronze.policy: nothing to do"
  printf 'id,level\nc,3\n' | put two.csv
  check "$server: a file more" "$WEIR" run -s bronze.policy -p $server-policy.yaml
  equal "$server: they are the whole truth" "$("$WEIR" query -o csv 'SELECT string_agg(id || level, $$,$$ ORDER BY id) AS all_of_them FROM bronze.policy' -p $server-policy.yaml | tail -n 1)" '"a1,b2,c3"'
  AWS_SECRET_ACCESS_KEY=wrong expect_exit 1 "$server: a wrong key is told" "$WEIR" run -p $server.yaml
  service stop $server
done
endpoint=$(service start s3proxy-old | tail -n 1)
service bucket s3proxy-old acme-us-east-1-datalake
pipeline old.yaml "$endpoint"
expect_exit 2 "s3proxy 2.7.0: a store that does not tell losers is refused" "$WEIR" run -p old.yaml
finish
