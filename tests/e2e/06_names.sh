#!/usr/bin/env bash
# Names that are not static share one space over all libraries: of two that are alike the linker takes the first it meets, and says nothing.
set -uo pipefail
libraries=$(find "${BUILD:?tools/test sets it}" -path '*/tests/*' -prune -o -name 'libweir_*.a' -print)
names=$(echo "$libraries" | xargs nm -A -g --defined-only 2>/dev/null | awk '$2 ~ /^[TDBR]$/ { print $3, $1 }')
twice=$(echo "$names" | cut -d' ' -f1 | sort | uniq -d)
count=$(echo "$names" | wc -l)
[ "$count" -gt 500 ] || { echo "FAIL names of the libraries: only $count are found"; exit 1; }
if [ -z "$twice" ]; then echo "ok each of $count names is defined once"; else echo "FAIL names defined twice:" $(echo "$names" | grep -wF "$twice" | head -n 20); exit 1; fi
