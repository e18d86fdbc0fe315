# A Spark compaction in between (sqlite catalog): Weir steps over the foreign snapshot and goes on; every row the same before and after.
source "$(dirname "$0")/../harness/lib.sh"
cd "$work" || exit 1
mkdir in
"$WEIR_GEN" --count 500 >sample.ndjson
"$WEIR" init --from sample.ndjson . >/dev/null
sed -i -e "s|files:.*|files: $work/in/*.ndjson|" -e 's/bronze.sample/bronze.inventory/' weir.yaml
for i in 1 2 3; do
  "$WEIR_GEN" --first $((i * 2000)) --count 2000 --bad 5 >in/$i.ndjson
  check "window $i" "$WEIR" run
done
"$root/tools/env/setup" spark >/dev/null || { echo "skip spark is not to be had"; exit 0; }
spark_compact() { "$("$root/tools/env/setup" --where spark)/venv/bin/python" "$root/tests/interop/spark_compact.py" lake/catalog.db "$PWD/lake" bronze.inventory; }
files() { "$WEIR" status -o json | python3 -c 'import json,sys; print(json.load(sys.stdin)[0]["files"])'; }
equal "three small files" "$(files)" 3
check "Spark compacts" spark_compact
[ "$(files)" -lt 3 ] && pass "fewer files" || fail "fewer files" "$(files)"
check "verify --deep: the same rows, by their hash, in Spark's files" "$WEIR" verify --deep
"$WEIR_GEN" --first 8000 --count 2000 >in/4.ndjson
check "Weir goes on" "$WEIR" run
equal "nothing was landed again" "$("$WEIR" run)" "bronze.inventory: nothing to do"
sum=$("$WEIR" status -o json | python3 -c 'import json,sys; r=json.load(sys.stdin)[0]; print(r["rows"]+r["refused"])')
equal "every record" "$sum" 8000
check "verify --deep" "$WEIR" verify --deep
judged judge bronze.inventory --catalog lake/catalog.db --spark
finish
