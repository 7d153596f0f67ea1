#!/usr/bin/env bash
# Builds the fuzz targets and runs each on its corpus, one after the other: tests/fuzz/run.sh SECONDS [TARGET...]
# New inputs stay in build/fuzz/found/TARGET. One that breaks something stays in build/fuzz/broken, and the exit status
# is not 0.
set -euo pipefail
seconds=${1:?usage: tests/fuzz/run.sh SECONDS [TARGET...]}
shift
cd "$(dirname "$0")/../.."
[ $# -gt 0 ] || set -- $(basename -s _fuzzer.cpp -a tests/fuzz/*_fuzzer.cpp)
cmake --preset asan-ubsan
cmake --build --preset asan-ubsan --target fuzz_targets

# The targets write every input into a folder: in memory, where there is such a place.
memory=/dev/shm
[ -w "$memory" ] || memory=${TMPDIR:-/tmp}
TMPDIR=$(mktemp -d "$memory/eigenlm-fuzz-XXXXXX")
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT

mkdir -p build/fuzz/broken
for target in "$@"; do
    echo "== $target"
    mkdir -p "build/fuzz/found/$target"
    dictionary=tests/fuzz/$target.dict
    [ -f "$dictionary" ] || dictionary=tests/fuzz/json.dict
    "build/asan-ubsan/tests/fuzz/fuzz_${target}" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=16384 \
        -dict="$dictionary" -artifact_prefix="build/fuzz/broken/$target-" -print_final_stats=1 \
        "build/fuzz/found/$target" "tests/fuzz/corpus/$target"
done
