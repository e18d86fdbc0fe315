#!/usr/bin/env bash
# Built for arm64 and run under an emulator: every unit test (by the plain runner, tests/harness/plain), and the program
# itself over files, judged as ever. In the long form only: emulation takes minutes.
set -uo pipefail
if [ -z "${WEIR_FULL:-}" ]; then echo "skip aarch64: in the long form"; exit 0; fi

root=$(cd "${BASH_SOURCE[0]%/*}/../.." && pwd)
setup=$root/tools/env/setup build=${BUILD:?tools/test sets it}-aarch64 bad=0
say() { if [ "$1" = 0 ]; then echo "ok $2"; else echo "FAIL $2: ${3:-exit $1}"; bad=1; fi; }

"$setup" aarch64 || { echo "FAIL aarch64: what it needs could not be installed"; exit 1; }
other=$("$setup" --where aarch64)
[ -e "$build/build.ninja" ] || meson setup "$build" "$root" --cross-file "$other/cross.ini" -Dbuildtype=release >"$build.log" 2>&1 ||
  { tail -n 30 "$build.log"; echo "FAIL aarch64: meson setup"; rm -rf "$build"; exit 1; }
ninja -C "$build" >"$build.log" 2>&1 || { grep -E -A6 'error|FAILED' "$build.log" | head -n 40; echo "FAIL aarch64: it does not build"; exit 1; }
echo "ok aarch64: it builds"

WEIR_TEST_SLOWER=10 meson test -C "$build" --suite unit --timeout-multiplier 10 --num-processes 2 --print-errorlogs >"$build.tests.log" 2>&1
code=$?
[ $code = 0 ] || grep -vE '^ *[0-9]+/[0-9]+ .* OK ' "$build.tests.log" | head -n 100
say $code "aarch64: unit tests under the emulator: $(sed -n 's/^Ok: *//p' "$build.tests.log") programs"

# the program over files: the script that is run for this machine too
wrapper=$build/weir-emulated
printf '#!/bin/sh\nexec qemu-aarch64 -L "%s/root" "%s/tools/weir/weir" "$@"\n' "$other" "$build" >"$wrapper"
chmod +x "$wrapper"
WEIR=$wrapper bash "$root/tests/e2e/10_files.sh" >"$build.files.log" 2>&1
code=$?
[ $code = 0 ] || grep -v '^ok' "$build.files.log" | head -n 20
say $code "aarch64: files into a lake, $(grep -c '^ok' "$build.files.log") checks"
exit $bad
