# Sourced by shell tests: a private work folder, servers that end with the script, checks that are counted.
#   source "$(dirname "$0")/../harness/lib.sh"
#   address=$(service start kafka)
#   check "one snapshot a window" test "$(snapshots)" = 3
#   finish
# Prints `ok NAME` or `FAIL NAME: detail` a check, which tools/test adds up. WEIR is the program under test,
# WEIR_GEN the generator; both come from the build folder BUILD.

set -uo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/weir-test.XXXXXX")
export WEIR_SERVICES=$work/services WEIR_SERVICES_OWNER=$$
BUILD=${BUILD:-$("$root/tools/env/setup" --where build)}
WEIR=${WEIR:-$BUILD/tools/weir/weir}
WEIR_GEN=${WEIR_GEN:-$BUILD/tools/gen/weir-gen}
passes=0 failures=0

service() { "$root/tests/harness/service" "$@"; }
judge() { "$root/tests/interop/judge" "$@"; }

leave() {
  local code=$?
  service stop --all >/dev/null 2>&1
  if [ -n "${WEIR_KEEP:-}" ]; then echo "# kept $work"; else rm -rf "$work"; fi
  exit $code
}
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

pass() { echo "ok $1"; passes=$((passes + 1)); }
fail() { echo "FAIL $1${2:+: $2}"; failures=$((failures + 1)); }

# check NAME COMMAND...: passes when the command does; its output is shown when it does not.
check() {
  local name=$1 output code=0; shift
  output=$("$@" 2>&1) || code=$?
  if [ $code = 0 ]; then pass "$name"; else fail "$name" "exit $code from: $*"; printf '%s\n' "$output" | tail -n 20 | sed 's/^/#   /'; fi
}

# expect_exit CODE NAME COMMAND...: passes when the command ends with exactly that code.
expect_exit() {
  local want=$1 name=$2 output code=0; shift 2
  output=$("$@" 2>&1) || code=$?
  if [ $code = "$want" ]; then pass "$name"; else fail "$name" "exit $code, wanted $want, from: $*"; printf '%s\n' "$output" | tail -n 20 | sed 's/^/#   /'; fi
}

# equal NAME GOT WANTED
equal() { if [ "$2" = "$3" ]; then pass "$1"; else fail "$1" "got '$2', wanted '$3'"; fi; }

# judged COMMAND...: a judge's own ok/FAIL lines, taken over as they are.
judged() {
  local output; output=$("$@" 2>&1); local code=$?
  printf '%s\n' "$output"
  local good bad; good=$(grep -c '^ok ' <<<"$output"); bad=$(grep -c '^FAIL ' <<<"$output")
  passes=$((passes + good)) failures=$((failures + bad))
  if [ $code != 0 ] && [ "$bad" = 0 ]; then fail "judge ran" "exit $code from: $*"; fi
}

finish() { exit $((failures > 0)); }
