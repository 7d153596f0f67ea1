# What the test scripts share. Each script defines functions test_*, and is run once for each of them:
#   bash generate_test.sh FUNCTION PROGRAM TINY_MODEL JSON_FIELD [GENERATE]
set -u -o pipefail
readonly case_name=$1 program=$2 tiny=$3 json_field=$4 generate=${5:-}
unset EIGENLM_ISA
folder=$(mktemp -d "${TMPDIR:-/tmp}/eigenlm-examples-XXXXXX") || exit 1
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' TERM

fail() {
    echo "FAILED: $*" >&2
    echo "status $status; stdout:" >&2
    head -c 2000 "$folder/out" >&2
    echo "stderr:" >&2
    head -c 2000 "$folder/err" >&2
    kill $$ # the script itself, also from within $(...)
    exit 1
}

# skip WHY: what the test needs is not there.
skip() {
    echo "SKIPPED: $*" >&2
    exit 77
}

# run ARGUMENT...: runs the program; leaves its output in $folder/out and $folder/err and its exit status in $status.
status=none
run() {
    "$program" "$@" >"$folder/out" 2>"$folder/err" </dev/null
    status=$?
}
out() { cat "$folder/out"; }
err() { cat "$folder/err"; }
json() { "$json_field" "$@" <"$folder/out" || fail "no such JSON: $*"; }

expect_status() { [ "$status" = "$1" ] || fail "expected exit status $1"; }
expect_equal() { [ "$1" = "$2" ] || fail "${3:-values differ}: '$1' and '$2'"; }
expect_in() { grep -qF -- "$1" "$2" || fail "'$1' is missing in $(basename "$2")"; }
expect_empty() { [ ! -s "$1" ] || fail "expected nothing on $(basename "$1")"; }

# refused STATUS WORD ARGUMENT...: exit status, one line on stderr that holds WORD, nothing on stdout.
refused() {
    local expected=$1 word=$2
    shift 2
    run "$@"
    expect_status "$expected"
    expect_empty "$folder/out"
    expect_one_line "$word"
}
expect_one_line() {
    [ "$(wc -l <"$folder/err")" = 1 ] || fail "expected one line on stderr"
    expect_in "$1" "$folder/err"
    expect_in "$(basename "$program"): " "$folder/err"
}

run_case() {
    "$case_name" || fail "$case_name"
    exit 0
}
