# The command line as a user meets it: help, typos, signals, limits, output forms, secrets.
source "$(dirname "$0")/../harness/lib.sh"
cd "$work" || exit 1
says() { # NAME WANTED COMMAND...: exit 2 and the wanted words
  local name=$1 want=$2 output code=0; shift 2
  output=$("$@" 2>&1) || code=$?
  case $output in *"$want"*) [ $code = 2 ] && pass "$name" || fail "$name" "exit $code" ;; *) fail "$name" "no '$want' in: $output" ;; esac
}

for verb in init validate test config plan run promote status history runs verify offsets quarantine doctor dev completion version help; do
  check "$verb --help" "$WEIR" $verb --help
done
says "a misspelt verb" "did you mean \`weir run\`" "$WEIR" rnu
says "a misspelt option" "did you mean --select" "$WEIR" run --selcet x
says "no pipeline file" "weir init" "$WEIR" run
check "init --template" "$WEIR" init --template inventory .
says "init does not overwrite" "--yes" "$WEIR" init --template inventory .
says "init with a template that is not" "there is: inventory" "$WEIR" init --template nothing made
printf '{"a":1}\n   \n{"a":2}\n  ' >blank.ndjson; mkdir blank
check "init --from a sample with blank lines" "$WEIR" init --from blank.ndjson blank
echo nonsense >bad.ndjson
says "init --from what is no JSON names the file" "bad.ndjson: record 1" "$WEIR" init --from bad.ndjson made
[ ! -e made ] && pass "init that fails leaves no folder" || fail "init that fails leaves no folder"
check "validate the template" "$WEIR" validate
sed 's/partition_by/partiton_by/' weir.yaml >typo.yaml
says "a misspelt key" "partition_by" "$WEIR" validate -p typo.yaml
says "a selection of nothing" "chooses none" "$WEIR" run -s silver.x
says "an option that a verb does not have" "no option" "$WEIR" config -o json
says "SQL without quotes" "put it in quotes" "$WEIR" query select 1
says "SQL and a file of it" "not both" "$WEIR" query -f x.sql 'select 1'
says "a file of SQL that is not" "No such file" "$WEIR" query -f missing.sql
equal "a semicolon in quotes ends no statement" "$("$WEIR" query -o csv 'select $$a;b$$ as x; select 2 as y')" $'x\na;b\ny\n2'
says "a table that is not" "did you mean bronze.inventory" "$WEIR" verify bronze.inventori
check "completion bash" bash -c "source <($WEIR completion bash)"

# --- output forms over a small lake
mkdir in; "$WEIR_GEN" --count 2000 --bad 20 >in/a.ndjson
"$WEIR_GEN" --count 500 >sample.ndjson
mkdir p; check "init --from" "$WEIR" init --from sample.ndjson p
sed "s|files:.*|files: $work/in/*.ndjson|" p/weir.yaml >small.yaml
check "run" "$WEIR" run -p small.yaml
for form in json ndjson csv markdown table; do
  for verb in plan status runs "history sample" "verify" "offsets show sample" "quarantine list" "quarantine show sample"; do
    "$WEIR" $verb -p small.yaml -o $form >out.txt 2>err.txt || fail "$verb -o $form" "exit $?: $(cat err.txt)"
    [ $form != json ] || python3 -c 'import json,sys; json.load(open("out.txt"))' || fail "$verb -o json is JSON"
  done
  pass "all verbs with -o $form"
done
last=$("$WEIR" run -p small.yaml -o json | tail -n 1)
equal "run -o json: one object says everything" "$(python3 -c 'import json,sys; r=json.loads(sys.argv[1]); print(r["exit_code"], r["tables"][0]["idle"])' "$last")" "0 True"

# --- a full disk: a clear error, nothing lost, and on it goes
"$WEIR_GEN" --first 5000 --count 20000 >in/big.ndjson
code=0; error=$( (ulimit -f 200; "$WEIR" run -p small.yaml) 2>&1) || code=$?
equal "a full disk fails the run" "$code" 1
case $error in *"space"* | *"large"* | *"limit"*) pass "and says so" ;; *) fail "and says so" "$error" ;; esac
check "with room again the run lands it" "$WEIR" run -p small.yaml
check "verify --deep" "$WEIR" verify --deep -p small.yaml

# --- signals: within 5 s, the right code, the table whole
for i in 1 2 3 4; do "$WEIR_GEN" --first $((i * 1000000)) --count 150000 >in/sig$i.ndjson; done
for signal in INT:130 TERM:75; do
  "$WEIR" run -p small.yaml >/dev/null 2>&1 & process=$!
  sleep 0.25; kill -${signal%:*} $process; began=$SECONDS; code=0
  wait $process || code=$?
  equal "SIG${signal%:*} ends with ${signal#*:}" "$code" "${signal#*:}"
  [ $((SECONDS - began)) -le 5 ] && pass "SIG${signal%:*} within 5 s" || fail "SIG${signal%:*} within 5 s"
done
check "the run goes on after signals" "$WEIR" run -p small.yaml
check "verify after signals" "$WEIR" verify -p small.yaml

# --- a signal between two tables: what was not begun is not done, and the exit code says so
mkdir many; echo '{"id": 1}' >many/one.ndjson
{
  printf 'version: 1\nname: many\nlake: {warehouse: ./lake3}\nsources:\n  s: {files: many/*.ndjson, format: json}\ntables:\n'
  for i in $(seq 60); do echo "  bronze.t$i: {source: s, columns: {id: long}}"; done
} >many.yaml
"$WEIR" run -q -p many.yaml >many.out 2>&1 & process=$!
for i in $(seq 500); do [ -e lake3/bronze/t3 ] && break; sleep 0.02; done
kill -TERM $process; code=0; wait $process || code=$?
done_tables=$(grep -c landed many.out)
[ $code = 75 ] && [ "$done_tables" -lt 60 ] && pass "a signal between tables ends with 75" || fail "a signal between tables ends with 75" "exit $code, $done_tables tables"
check "and the next run does the rest" "$WEIR" run -q -p many.yaml
equal "every table has its row" "$("$WEIR" status -p many.yaml -o csv | grep -c '^bronze.t[0-9]*,1,')" 60
"$WEIR" runs -p many.yaml -o csv | grep -qE '[0-9]\.[0-9]{7}' && fail "runs prints seconds as they are written" || pass "runs prints seconds as they are written"

# --- secrets never show
printf 'hunter2secret' >secret.txt
cat >sec.yaml <<EOF
version: 1
name: secrets
lake: {warehouse: ./lake2}
sources:
  s:
    kafka:
      topics: [t]
      properties: {bootstrap.servers: "127.0.0.1:1", security.protocol: SASL_PLAINTEXT, sasl.mechanism: PLAIN, sasl.username: u, sasl.password: "file:$work/secret.txt"}
    format: json
tables:
  bronze.t: {source: s, columns: {id: long}}
EOF
"$WEIR" config -p sec.yaml >sec.out 2>&1; "$WEIR" validate -p sec.yaml >>sec.out 2>&1
timeout 60 "$WEIR" run -p sec.yaml >>sec.out 2>&1; equal "an unreachable broker: try again" "$?" 75
grep -q hunter2 sec.out && fail "a secret shows" || pass "no secret shows"
grep -rq hunter2 lake2 2>/dev/null && fail "a secret in the lake" || pass "no secret in the lake"
finish
