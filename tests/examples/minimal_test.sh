# minimal, the example of the README: a folder and a prompt in, text out.
. "$(dirname "$0")/common.sh"

test_streams_the_text_that_generate_gives() {
    run "$tiny" "One day"
    expect_status 0
    expect_empty "$folder/err"
    local text
    text=$(out)
    [ -n "$text" ] || fail "no text"
    "$generate" -m "$tiny" -p "One day" -n 64 --no-display-prompt >"$folder/out" 2>"$folder/err" || fail "generate"
    expect_equal "$(out)" "$text"
}

test_has_a_prompt_and_a_model_by_default() {
    cd "$tiny/../.." || fail "cd"
    run
    expect_status 0
    local text
    text=$(out)
    [ -n "$text" ] || fail "no text"
    run "$tiny" "Once upon a time"
    expect_equal "$(out)" "$text"
}

test_says_in_one_line_what_is_wrong() {
    run "$folder/nowhere"
    expect_status 1
    expect_empty "$folder/out"
    expect_equal "$(err)" "$folder/nowhere: no such folder"
    EIGENLM_ISA=nonsense "$program" "$tiny" >"$folder/out" 2>"$folder/err"
    status=$?
    expect_status 1
    expect_in EIGENLM_ISA "$folder/err"
}

run_case
