# verify can fail: every kind of damage to a lake is named as a problem.
source "$(dirname "$0")/../harness/lib.sh"
cd "$work" || exit 1
mkdir in
"$WEIR_GEN" --count 500 >sample.ndjson
"$WEIR" init --from sample.ndjson . >/dev/null
sed -i "s|files:.*|files: $work/in/*.ndjson|" weir.yaml
for i in 1 2 3; do
  "$WEIR_GEN" --first $((i * 1000)) --count 1000 --bad 20 >in/$i.ndjson
  check "window $i" "$WEIR" run
done
check "whole" "$WEIR" verify --deep
damaged() { # NAME WANTED FLAG: breaks the lake by the function `break_it`, wants WANTED among the problems
  local output code=0
  cp -a lake kept; break_it
  output=$("$WEIR" verify ${3:-} 2>&1) || code=$?
  case $output in *"problem:"*"$2"*) [ $code = 1 ] && pass "$1" || fail "$1" "exit $code" ;; *) fail "$1" "exit $code: $output" ;; esac
  rm -rf lake; mv kept lake
}
first() { find lake -path "$1" | sort | head -n 1; }
last_receipt() { grep -l '"kind": "window"' lake/_weir/receipts/*/*.json | xargs ls -t | head -n 1; }
break_it() { rm "$(first '*/data/*.parquet')"; }; damaged "a data file gone" "is gone"
break_it() { truncate -s -1 "$(first '*/data/*.parquet')"; }; damaged "a data file cut" "bytes"
break_it() { printf X | dd of="$(first '*/data/*.parquet')" bs=1 seek=2000 conv=notrunc status=none; }; damaged "a byte of a data file changed" "digest" --deep
break_it() { rm "$(last_receipt)"; }; damaged "a receipt gone" "is gone"
break_it() { sed -i 's/"landed": /"landed": 1/' "$(last_receipt)"; }; damaged "the last receipt altered" "digest"
break_it() { sed -i 's/"run": "./"run": "_/' "$(grep -l '"kind": "window"' lake/_weir/receipts/*/*.json | xargs ls -tr | head -n 1)"; }; damaged "an older receipt altered" "digest"
break_it() { rm "$(first '*/letters/*.parquet')"; }; damaged "a file of refused rows gone" "is gone"
break_it() { rm lake/_weir/letters/*/list-*.json; }; damaged "the list of refused rows gone" ""
break_it() { rm lake/bronze/*__quarantine/metadata/*.avro; }; damaged "the quarantine table's lists gone" "__quarantine"
check "whole again" "$WEIR" verify --deep
mkdir models
echo "SELECT device_id, tenant_id, record_id, collected_at FROM bronze.sample" >models/device.sql
echo "  silver.device: {sql: models/device.sql, mode: merge, unique_key: [device_id], order_by: [collected_at desc, record_id desc]}" >>weir.yaml
check "a model" "$WEIR" run
"$WEIR_GEN" --first 4000 --count 1000 >in/4.ndjson
check "its second promotion" "$WEIR" run
check "models are verified too" "$WEIR" verify --deep
promoted() { grep -l '"kind": "promote"' lake/_weir/receipts/*/*.json | xargs ls -t | head -n 1; }
break_it() { rm $(find lake -path '*/silver/*/data/*.parquet'); }; damaged "a model's files gone" "is gone"
break_it() { sed -i 's/\("from": [0-9]\{6\}\)[0-9]*/\1/' "$(promoted)"; }; damaged "a promotion that began elsewhere" "do not begin where"
break_it() { sed -i 's/"row_hash": "./&_/' "$(promoted)"; }; damaged "a promotion's receipt altered" "digest"
finish
