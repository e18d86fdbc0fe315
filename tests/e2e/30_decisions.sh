# What stops a run for a person to decide (exit 4), and the way on: gone offsets, a topic made anew, another cluster, unexplained gaps.
source "$(dirname "$0")/../harness/lib.sh"
cd "$work" || exit 1
BROKERS=$(service start kafka | tail -n 1)
export BROKERS
pipeline() { # FILE TOPIC EXTRA
  cat >"$1" <<EOF
version: 1
name: decide
lake: {warehouse: ./lake}
sources:
  $2:
    kafka: {topics: [$2], properties: {bootstrap.servers: "\${BROKERS}"}$3}
    format: json
tables:
  bronze.$2: {source: $2, columns: {record_id: string required}}
EOF
}
rows() { "$WEIR" status -p "$1" -o json | python3 -c 'import json,sys; print(json.load(sys.stdin)[0]["rows"])'; }
error_of() { "$@" 2>&1 >/dev/null; }

# --- log start beyond the stored offset
service topic kafka create gone 2
pipeline gone.yaml gone ""
"$WEIR_GEN" --kafka "$BROKERS" --topic gone --count 2000 >/dev/null
check "gone: first run" "$WEIR" run -p gone.yaml
"$WEIR_GEN" --kafka "$BROKERS" --topic gone --first 2000 --count 2000 >/dev/null
service topic kafka truncate gone 0=-1
expect_exit 4 "gone: offsets lost before they were read stop the run" "$WEIR" run -p gone.yaml
equal "gone: nothing of that window landed" "$(rows gone.yaml)" 2000
case $(error_of "$WEIR" run -p gone.yaml) in *"accept-gap"*) pass "gone: the error says the way on" ;; *) fail "gone: the error says the way on" ;; esac
expect_exit 2 "gone: accept-gap wants a reason" "$WEIR" offsets accept-gap gone -p gone.yaml --yes
check "gone: accept-gap" "$WEIR" offsets accept-gap gone -p gone.yaml --yes --reason "retention was too short"
check "gone: the run goes on" "$WEIR" run -p gone.yaml
holes=$("$WEIR" offsets show gone -p gone.yaml -o json | python3 -c 'import json,sys; print(sum(b-a for r in json.load(sys.stdin) for a,b in (r["holes"] or [])))')
equal "gone: rows and hole add up" "$(($(rows gone.yaml) + holes))" 4000
check "gone: verify" "$WEIR" verify -p gone.yaml

# --- a topic made anew, with more records than the stored offset
service topic kafka create anew 1
pipeline anew.yaml anew ""
"$WEIR_GEN" --kafka "$BROKERS" --topic anew --count 1000 >/dev/null
check "anew: first run" "$WEIR" run -p anew.yaml
service topic kafka delete anew
sleep 1
service topic kafka create anew 1
"$WEIR_GEN" --kafka "$BROKERS" --topic anew --seed 7 --count 3000 >/dev/null
expect_exit 4 "anew: another topic under the same name stops the run" "$WEIR" run -p anew.yaml
equal "anew: nothing of it landed" "$(rows anew.yaml)" 1000
check "anew: rebind" "$WEIR" offsets rebind anew -p anew.yaml --yes --reason "made anew on purpose"
check "anew: the run goes on" "$WEIR" run -p anew.yaml
equal "anew: all of the new one, from its start" "$(rows anew.yaml)" 4000
check "anew: verify" "$WEIR" verify --deep -p anew.yaml
equal "anew: and only once" "$("$WEIR" run -p anew.yaml)" "bronze.anew: nothing to do"

# --- another cluster
OTHER=$(service start kafka --name other | tail -n 1)
service topic other create gone 2
BROKERS=$OTHER "$WEIR_GEN" --kafka "$OTHER" --topic gone --count 10 >/dev/null
BROKERS=$OTHER expect_exit 4 "cluster: the same topic in another cluster stops the run" "$WEIR" run -p gone.yaml
service stop other

# --- markers without `transactional: true`: committed transactions only, so nothing explains them
service topic kafka create marks 1
pipeline marks.yaml marks ""
"$WEIR_GEN" --kafka "$BROKERS" --topic marks --count 3000 --transactional m1 >/dev/null
sleep 1
expect_exit 4 "markers: unexplained offsets refuse the window" "$WEIR" run -p marks.yaml
pipeline marks.yaml marks ", transactional: true"
check "markers: transactional: true takes it" "$WEIR" run -p marks.yaml
equal "markers: every record" "$(rows marks.yaml)" 3000

# --- the broker goes away
service stop kafka
expect_exit 75 "away: try again" "$WEIR" run -p gone.yaml
finish
