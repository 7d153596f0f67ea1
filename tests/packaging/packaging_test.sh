# Each way to get the library builds a program, which says what the programs of this build say.
#   bash packaging_test.sh FUNCTION GENERATE TINY_MODEL ARGUMENT...   (see CMakeLists.txt for the variables)
set -e -u -o pipefail
unset EIGENLM_ISA
readonly case_name=$1 generate=$2 tiny=$3
shift 3
here=$(cd "$(dirname "$0")" && pwd)
prefix=$WORK/moved # where test_install leaves the installed package
folder=$WORK/${case_name#test_}

fail() {
    echo "FAILED: $*" >&2
    exit 1
}
expect_equal() { [ "$1" = "$2" ] || fail "${3:-values differ}: '$1' and '$2'"; }

# The answers of this build's own program: the text, and the ids one a line.
answer_text() { "$generate" -m "$tiny" --temp 0 -n 24 --no-display-prompt 2>/dev/null; }
answer_ids() {
    "$generate" -m "$tiny" --temp 0 -n 12 --ignore-eos --json | tr -d ' \n' | sed 's/.*"ids":\[\([^]]*\)\].*/\1\n/' | tr , '\n'
}

# expect_answer PROGRAM [MODEL]: a consumer runs, and says the same.
expect_answer() {
    local text
    text=$("$1" "${2:-$tiny}") || fail "$1: exit status $?"
    expect_equal "$text" "$(answer_text)" "$1"
}

# build_consumer ARGUMENT...: configures and builds the consumer project. No build type: -O0, the shortest to compile.
build_consumer() {
    "$CMAKE" -S "$here/consumer" -B "$folder" -G "$GENERATOR" -DCMAKE_CXX_COMPILER="$CXX" -DCMAKE_CXX_FLAGS="$CXXFLAGS" \
        -DEigen3_DIR="$Eigen3_DIR" -Dnlohmann_json_DIR="$nlohmann_json_DIR" "$@"
    "$CMAKE" --build "$folder"
}
# compile ARGUMENT...: as somebody without CMake.
compile() {
    # shellcheck disable=SC2086  # words
    "$CXX" $CXXFLAGS -std=c++20 -O0 "$here/consumer/consumer.cpp" "$here/consumer/second_unit.cpp" -o "$folder/consumer" "$@"
}

test_install() {
    rm -rf "$prefix"
    "$CMAKE" --install "$BUILD" --prefix "$folder" --config "$CONFIG"
    mv "$folder" "$prefix" # nothing in it may depend on where it was
    ! grep -rqF -e "$folder" -e "$SOURCE" "$prefix"/lib* "$prefix/share" "$prefix/include" || fail "a path of this machine is installed"
}

test_installed_programs() {
    cd /
    expect_equal "$("$prefix/bin/generate" -n 24 --temp 0 --no-display-prompt 2>/dev/null)" "$(answer_text)"
    expect_equal "$("$prefix/bin/tokenize" --decode "$("$prefix/bin/tokenize" -p "Once upon a time")")" "Once upon a time"
    # It is the installed model that they find: without it, they would fall back to the source tree's.
    cp -r "$prefix/." "$folder"
    echo "{" >"$folder/share/eigenlm/tiny/config.json"
    ! "$folder/bin/generate" -n 1 2>"$folder/error" || fail "not the installed model"
    grep -qF "$folder/share/eigenlm/tiny/config.json" "$folder/error" || fail "$(cat "$folder/error")"
}

test_find_package() {
    build_consumer -DWAY=find_package -DCMAKE_PREFIX_PATH="$prefix"
    grep -qF "eigenlm_DIR:PATH=$prefix/" "$folder/CMakeCache.txt" || fail "found elsewhere"
    expect_answer "$folder/consumer" "$prefix/share/eigenlm/tiny"
}

test_add_subdirectory() {
    build_consumer -DWAY=add_subdirectory -DEIGENLM_SOURCE="$SOURCE"
    expect_answer "$folder/consumer"
}

test_fetch_content() {
    build_consumer -DWAY=FetchContent -DEIGENLM_SOURCE="$SOURCE"
    expect_answer "$folder/consumer"
}

test_pkg_config() {
    export PKG_CONFIG_PATH=$prefix/share/pkgconfig${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}
    "$PKG_CONFIG" --exists --print-errors "eigenlm >= 0.1"
    # shellcheck disable=SC2046  # words
    compile $("$PKG_CONFIG" --cflags --libs eigenlm)
    expect_answer "$folder/consumer"
}

test_compiled_mode() {
    build_consumer -DWAY=find_package -DCMAKE_PREFIX_PATH="$prefix" -DCOMPILED=ON
    expect_answer "$folder/consumer"
}

test_compiled_mode_emits_the_kernels_once() {
    local built=$WORK/compiled_mode heavy='eigenlm::.*::detail::portable::matmul|vtable for eigenlm::.*::Transformer<'
    "$NM" -C --defined-only "$built/libconsumer_lm.a" >"$folder/library"
    for symbol in 'eigenlm::.*::detail::portable::matmul' 'vtable for eigenlm::.*::Transformer<'; do
        grep -qE "$symbol" "$folder/library" || fail "the library lacks $symbol"
    done
    local units
    units=$(find "$built" -name '*_unit.cpp.o' -o -name 'consumer.cpp.o')
    expect_equal "$(echo "$units" | wc -l)" 3 "units"
    for unit in $units; do
        ! "$NM" -C --defined-only "$unit" | grep -E "$heavy" || fail "$(basename "$unit") holds a copy"
    done
}

test_single_header() {
    local header=$folder/include/eigenlm/eigenlm.hpp
    "$PYTHON" "$SOURCE/tools/make_single_header.py" "$SOURCE" "$header"
    "$PYTHON" "$SOURCE/tools/make_single_header.py" "$SOURCE" "$folder/again.hpp"
    cmp "$header" "$folder/again.hpp"
    head -1 "$header" | grep -qE '^// eigenlm [0-9]+\.[0-9]+\.[0-9]+,' || fail "no version"
    grep -q "$(sed -n 's/^\(Copyright.*\)/\1/p' "$SOURCE/LICENSE")" "$header" || fail "no license"
    # shellcheck disable=SC2046  # words
    compile -I "$folder/include" $("$PKG_CONFIG" --cflags eigen3 nlohmann_json) -pthread
    expect_answer "$folder/consumer"
}

# refuses WORD HEADER_TEXT: no single header comes of a library whose second header has this text.
refuses() {
    mkdir -p "$folder/include/eigenlm/base"
    cp "$SOURCE/LICENSE" "$folder"
    cp "$SOURCE/include/eigenlm/base/abi.hpp" "$folder/include/eigenlm/base"
    printf '#pragma once\n#include "base/abi.hpp"\n#include "part.hpp"\n' >"$folder/include/eigenlm/eigenlm.hpp"
    printf '#pragma once\n%b' "$2" >"$folder/include/eigenlm/part.hpp"
    ! "$PYTHON" "$SOURCE/tools/make_single_header.py" "$folder" "$folder/out.hpp" 2>"$folder/error" || fail "accepted: $2"
    grep -qF -- "$1" "$folder/error" || fail "'$1' is missing in: $(cat "$folder/error")"
}

test_single_header_refuses() {
    refuses "within a namespace" 'namespace a {\n#include <vector>\n}\n'
    refuses "between EIGENLM_" 'EIGENLM_EXACT_BEGIN\n#include <vector>\nEIGENLM_EXACT_END\n'
    printf '#pragma once\n' >"$folder/include/eigenlm/other.hpp"
    refuses "within a namespace" 'namespace a { // }\n#include "other.hpp"\n}\n'
    refuses "no such file" '#include "missing.hpp"\n'
    refuses "do not end" 'namespace a {\n'
    refuses "do not end" '#if 1\n'
    refuses "names no file" '#include MACRO\n'
    # Braces that are no code do not count.
    printf '#pragma once\n// {\nconst char* brace = "{"; // a "\n#include <vector>\n' >"$folder/include/eigenlm/part.hpp"
    "$PYTHON" "$SOURCE/tools/make_single_header.py" "$folder" "$folder/out.hpp"
}

# test_same_ids PROGRAM...: programs of units with different flags give the ids of this build's own, with any kernels.
test_same_ids() {
    for program in "$@"; do
        for isa in "" eigen; do
            export EIGENLM_ISA=$isa
            local ids
            ids=$("$program" "$tiny") || fail "$program, EIGENLM_ISA=$isa: exit status $?"
            expect_equal "$ids" "$(answer_ids)" "$program, EIGENLM_ISA=$isa"
        done
    done
}

rm -rf "$folder"
[ "$case_name" = test_install ] || mkdir -p "$folder"
"$case_name" "$@"
