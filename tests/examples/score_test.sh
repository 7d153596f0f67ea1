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

# kl_of NAME: a figure of the divergence, from --json.
kl_of() { json "/kl/$1"; }
expect_true() { awk "BEGIN { exit !($1) }" || fail "expected $1"; }

test_kl_base_of_the_same_type_is_exactly_zero() {
    text
    for arguments in "--dtype f32 --kl-base f32" "--dtype bf16 --kl-base $tiny"; do
        run -f "$folder/text.txt" --json $arguments
        expect_status 0
        for name in mean stderr median p90 p99 max; do expect_equal "$(kl_of $name)" 0.0 "$name"; done
        expect_equal "$(kl_of top1_agreement)" 100.0
        expect_equal "$(kl_of base_perplexity)" "$(json /perplexity)"
        expect_equal "$(json /base_nll)" "$(json /nll)"
    done
}

test_kl_base_of_another_type_is_small_and_above_zero() {
    text
    run -f "$folder/text.txt" --json --dtype f32
    local nll
    nll=$(json /nll)
    run -f "$folder/text.txt" --json --dtype bf16 --kl-base f32
    expect_status 0
    expect_empty "$folder/err"
    expect_equal "$(json /base_nll)" "$nll" "the base's scores are what the base alone has"
    expect_equal "$(kl_of base)" f32
    expect_true "0 < $(kl_of mean) && $(kl_of mean) < 1e-3 && 0 < $(kl_of stderr)"
    expect_true "0 <= $(kl_of median) && $(kl_of median) <= $(kl_of p90)"
    expect_true "$(kl_of p90) <= $(kl_of p99) && $(kl_of p99) <= $(kl_of max)"
    run -f "$folder/text.txt" --json --dtype bf16
    nll=$(json /nll)
    run -f "$folder/text.txt" --json --dtype bf16 --kl-base f32
    expect_equal "$(json /nll)" "$nll" "the model's scores are what they are without a base"
}

test_kl_base_may_be_another_checkpoint() {
    text
    local story=${0%/*}/../data/gguf/story.gguf
    run -f "$folder/text.txt" --json --kl-base "$story"
    expect_status 0
    expect_equal "$(kl_of base)" "$story"
    expect_true "$(kl_of mean) > 1"
    local there
    there=$(kl_of mean)
    run -f "$folder/text.txt" --json -m "$story" --kl-base "$tiny"
    expect_status 0
    expect_true "$(kl_of mean) > 1 && $(kl_of mean) != $there"
}

test_kl_base_adds_to_the_json() {
    text
    run -f "$folder/text.txt" --json --kl-base f32 -c 8 --stride 3
    expect_status 0
    expect_equal "$(json --keys | tr '\n' ' ')" "tokens mean_nll perplexity nll kl kl_per_token same_top base_nll "
    json /kl >"$folder/kl" && expect_equal "$("$json_field" --keys <"$folder/kl" | tr '\n' ' ')" \
        "mean stderr median p90 p99 max top1_agreement base base_perplexity "
    for name in nll kl_per_token same_top base_nll; do
        expect_equal "$(($(json /tokens) - 1))" "$(json --size "/$name")" "$name"
    done
}

test_kl_base_prints_a_table() {
    text
    run -f "$folder/text.txt" --kl-base f32
    expect_status 0
    expect_empty "$folder/err"
    expect_equal "$(sed -E 's/[0-9]+(\.[0-9]+)?(e-[0-9]+)?/N/g; s/  +/ /g' "$folder/out")" "\
perplexity N (mean negative log likelihood N over N tokens)
base fN: perplexity N
KL divergence from the base, in nats per token:
 mean N ± N
 median N
 N % N
 N % N
 maximum N
same most likely token: N %"
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
    refused 2 "--kl-base" -f x --kl-base
}

test_bad_input_is_status_1() {
    text
    refused 1 "nowhere" -f "$folder/nowhere"
    refused 1 "nowhere" -f "$folder/text.txt" -m "$folder/nowhere"
    printf 'a' >"$folder/short.txt"
    refused 1 "at least 2 tokens" -f "$folder/short.txt"
    refused 1 "stride" -f "$folder/text.txt" -c 8 --stride 8
    refused 1 "context" -f "$folder/text.txt" -c 100000
    refused 1 "expected a type of weights (f32, bf16" -f "$folder/text.txt" --kl-base "$folder/nowhere"
    refused 1 "--kl-base" -f "$folder/text.txt" --kl-base ""
    refused 1 "config.json" -f "$folder/text.txt" --kl-base "$folder"
}

run_case
