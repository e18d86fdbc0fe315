# Files into a local lake: plain, .gz, .zst, .lz4; each once; bad records; new files later; foreign readers agree, Spark too.
source "$(dirname "$0")/../harness/lib.sh"
cd "$work" || exit 1
mkdir in
"$WEIR_GEN" --count 20000 --bad 10 --late 10 >in/a.ndjson
"$WEIR_GEN" --first 20000 --count 5000 | gzip >in/b.ndjson.gz
"$WEIR_GEN" --first 25000 --count 5000 >c.ndjson; zstd -q c.ndjson -o in/c.ndjson.zst
"$WEIR_GEN" --first 30000 --count 5000 >d.ndjson; lz4 -q d.ndjson in/d.ndjson.lz4
"$WEIR_GEN" --count 3000 >sample.ndjson
"$WEIR" init --from sample.ndjson p >/dev/null
sed -e "s|files:.*|files: $work/in/*.ndjson*|" -e 's/bronze.sample/bronze.inventory/' p/weir.yaml >weir.yaml
printf '    partition_by: [days(collected_at), site]\n' >>weir.yaml
check "validate" "$WEIR" validate
check "run" "$WEIR" run
equal "nothing to do" "$("$WEIR" run)" "bronze.inventory: nothing to do"
rows() { "$WEIR" status -o json | python3 -c 'import json,sys; r=json.load(sys.stdin)[0]; print(r["rows"]+r["refused"])'; }
equal "every record of every form" "$(rows)" 35000
"$WEIR_GEN" --first 35000 --count 1000 >in/e.ndjson
check "a new file later" "$WEIR" run
equal "is landed once" "$(rows)" 36000
refused() { "$WEIR" status -o json | python3 -c 'import json,sys; print(json.load(sys.stdin)[0]["refused"])'; }
was=$(refused)
(printf '\xef\xbb\xbf'; "$WEIR_GEN" --first 36000 --count 500 | sed 's/$/\r/') >in/windows.ndjson
check "a file with a byte order mark and CRLF" "$WEIR" run
equal "is landed whole" "$(rows) $(refused)" "36500 $was"
head -c 1000 in/b.ndjson.gz >in/f.ndjson.gz
expect_exit 1 "a cut .gz is told" "$WEIR" run
equal "and nothing of it landed" "$(rows)" 36500
rm in/f.ndjson.gz
echo '{}' >>in/e.ndjson
expect_exit 4 "a file that changed after it was landed" "$WEIR" run
check "verify --deep" "$WEIR" verify --deep
mv lake/catalog.db kept.db
expect_exit 4 "a catalog that was lost: what is there is not landed again beside it" "$WEIR" run
mv kept.db lake/catalog.db
judged judge bronze.inventory --catalog lake/catalog.db ${WEIR_FULL:+--spark}
finish
