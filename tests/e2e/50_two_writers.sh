# Two and more writers at once on one table, killed at random: every record once.
source "$(dirname "$0")/../harness/lib.sh"
cd "$work" || exit 1
export WEIR_TEST_LEASE_MS=1   # leases out of the way: the commit alone must decide
BROKERS=$(service start kafka | tail -n 1)
export BROKERS
service topic kafka create race 4
RANDOM=${WEIR_SEED:-1}
cat >weir.yaml <<EOF
version: 1
name: race
lake: {warehouse: ./lake}
run: {window: {max_records: 3000}}
sources:
  race: {kafka: {topics: [race], properties: {bootstrap.servers: "\${BROKERS}"}}, format: json}
tables:
  bronze.race: {source: race, columns: {record_id: string required, device_id: string required, collected_at: timestamptz required}}
EOF
rounds=4; [ -z "${WEIR_FULL:-}" ] || rounds=60
total=0
for round in $(seq $rounds); do
  "$WEIR_GEN" --kafka "$BROKERS" --topic race --first $total --count 10000 --bad 5 >/dev/null
  total=$((total + 10000))
  for writer in 1 2 3; do
    timeout --signal=KILL 0.$((RANDOM % 9))$((RANDOM % 9 + 1)) "$WEIR" run -p weir.yaml >>writers.log 2>&1 &
  done
  wait
done 2>/dev/null
"$WEIR" run -p weir.yaml >>writers.log 2>&1 & one=$!
"$WEIR" run -p weir.yaml >>writers.log 2>&1 & two=$!
wait $one; codes=$?
wait $two; codes="$codes $?"
case "$codes" in "0 0" | "0 75" | "75 0") pass "two whole runs at once end well" ;; *) fail "two whole runs at once end well" "exit codes $codes: $(tail -n 3 writers.log)" ;; esac
check "a last run" "$WEIR" run -p weir.yaml
check "verify --deep" "$WEIR" verify --deep -p weir.yaml
sum=$("$WEIR" status -p weir.yaml -o json | python3 -c 'import json,sys; r=json.load(sys.stdin)[0]; print(r["rows"]+r["refused"])')
equal "every record in the table or its quarantine" "$sum" $total
judged judge bronze.race --catalog lake/catalog.db
finish
