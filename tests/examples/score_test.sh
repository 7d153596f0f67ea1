# score from end to end.
. "$(dirname "$0")/common.sh"

story="Once upon a time, in a cozy house by the road lived a young badger named Penny."
text() { printf '%s' "$story" >"$folder/text.txt"; }

test_prints_the_perplexity() {
    text
    run -f "$folder/text.txt"
    expect_status 0
    expect_empty "$folder/err"
    grep -qE '^perplexity [0-9]+\.[0-9]+ \(mean negative log likelihood [0-9.]+ over [0-9]+ tokens\)$' "$folder/out" || fail "the line"
}

test_json_is_one_object_with_every_field() {
    text
    run -f "$folder/text.txt" --json
    expect_status 0
    expect_equal "$(json --keys | tr '\n' ' ')" "tokens mean_nll perplexity nll "
    expect_equal "$(($(json /tokens) - 1))" "$(json --size /nll)" "one figure for each token but the first"
}

test_a_story_is_likelier_than_the_same_words_shuffled() {
    text
    run -f "$folder/text.txt" --json
    local story_nll
    story_nll=$(json /mean_nll)
    printf 'time a upon badger in Once the young a lived, road by a house cozy. Penny named' >"$folder/text.txt"
    run -f "$folder/text.txt" --json
    awk -v a="$story_nll" -v b="$(json /mean_nll)" 'BEGIN { exit !(a + 1 < b) }' || fail "$story_nll is not well below"
}

test_windows_overlap() {
    text
    run -f "$folder/text.txt" --json
    local whole
    whole=$(json --size /nll)
    run -f "$folder/text.txt" --json -c 8 --stride 3
    expect_status 0
    expect_equal "$(json --size /nll)" "$whole"
}

test_dtypes_are_near_each_other() {
    text
    run -f "$folder/text.txt" --json --dtype f32
    local f32
    f32=$(json /mean_nll)
    for dtype in bf16 f16; do
        run -f "$folder/text.txt" --json --dtype "$dtype"
        awk -v a="$f32" -v b="$(json /mean_nll)" 'BEGIN { d = a - b; exit !(d < 0.01 && d > -0.01) }' || fail "$dtype"
    done
}

test_text_comes_from_stdin_too() {
    text
    run -f "$folder/text.txt"
    local from_file
    from_file=$(out)
    "$program" -f - <"$folder/text.txt" >"$folder/out" 2>"$folder/err" || fail "-f -"
    expect_equal "$(out)" "$from_file"
}

test_bad_usage_is_status_2() {
    refused 2 "--file"
    refused 2 "--dtype" -f x --dtype q9
    refused 2 "--stride" -f x --stride -1
    refused 2 "--nonsense" -f x --nonsense
}

test_bad_input_is_status_1() {
    text
    refused 1 "nowhere" -f "$folder/nowhere"
    refused 1 "nowhere" -f "$folder/text.txt" -m "$folder/nowhere"
    printf 'a' >"$folder/short.txt"
    refused 1 "at least 2 tokens" -f "$folder/short.txt"
    refused 1 "stride" -f "$folder/text.txt" -c 8 --stride 8
    refused 1 "context" -f "$folder/text.txt" -c 100000
}

run_case
