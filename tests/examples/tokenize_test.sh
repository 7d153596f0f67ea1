# tokenize from end to end.
. "$(dirname "$0")/common.sh"

# With a beginning-of-sequence token.
llama3=$(dirname "$0")/../data/tokenizers/tiny_llama3

# ids_of ARGUMENT...: what a run that must succeed prints.
ids_of() {
    run "$@"
    expect_status 0
    expect_empty "$folder/err"
    [ -s "$folder/out" ] || fail "no ids"
    out
}

test_text_to_ids_and_back() {
    for text in "Once upon a time" "héllo 日本 🦆" " two  spaces " "<|endoftext|>"; do
        local ids
        ids=$(ids_of -p "$text") || exit 1
        case $ids in "["[0-9]*"]") ;; *) fail "no JSON array: $ids" ;; esac
        run --decode "$ids"
        expect_status 0
        expect_equal "$(out)" "$text"
    done
}

test_a_gguf_file_is_a_tokenizer() {
    local gguf ids
    gguf=$(dirname "$0")/../data/gguf/story.gguf
    ids=$(ids_of -p "Once upon a time, 12 é<|endoftext|>") || exit 1
    expect_equal "$(ids_of -m "$gguf" -p "Once upon a time, 12 é<|endoftext|>")" "$ids"
    run -m "$gguf" --decode "$ids"
    expect_equal "$(out)" "Once upon a time, 12 é<|endoftext|>"
}

test_ids_are_taken_in_any_notation() {
    local ids plain
    ids=$(ids_of -p "Once upon a time") || exit 1
    plain=$(echo "$ids" | tr -d '[]')
    for notation in "$ids" "$plain" "${plain//,/ }" "${plain//,/, }" " $plain "; do
        run --decode "$notation"
        expect_equal "$(out)" "Once upon a time" "$notation"
    done
    run --decode ""
    expect_status 0
    expect_equal "$(out)" ""
}

test_json_holds_ids_and_tokens() {
    run -p "Once upon a time" --json
    expect_status 0
    expect_equal "$(json --keys | tr '\n' ' ')" "ids tokens count "
    expect_equal "$(json --size /ids)" "$(json /count)"
    expect_equal "$(json --size /tokens)" "$(json /count)"
    expect_equal "$(json /tokens/0)" "Once"
    run --decode "$(json /ids)" --json
    expect_equal "$(json /text)" "Once upon a time"
}

test_broken_utf8_is_still_json() {
    run -p $'\xff\xc3' --json
    expect_status 0
    expect_equal "$(json /count)" 2
    run --decode "$(json /ids)"
    expect_equal "$(out)" $'\xff\xc3'
}

test_text_from_a_file_or_stdin() {
    printf 'Once upon a time' >"$folder/text"
    local expected
    expected=$(ids_of -p "Once upon a time") || exit 1
    expect_equal "$(ids_of -f "$folder/text")" "$expected"
    expect_equal "$("$program" -f - <"$folder/text")" "$expected"
}

test_lines_give_one_array_each() {
    printf '"Once upon a time"\n""\n"a\\nb \\u00e9"\n"no end"' >"$folder/lines"
    local found
    found=$(ids_of --lines "$folder/lines") || exit 1
    local expected
    expected=$(ids_of -p "Once upon a time" && echo "[]" && ids_of -p $'a\nb é' && ids_of -p "no end") || exit 1
    expect_equal "$found" "$expected"
}

test_a_line_that_is_no_string_is_named() {
    for line in 7 '{}' 'text' '"open' ''; do
        printf '"good"\n%s\n' "$line" >"$folder/lines"
        run --lines "$folder/lines"
        expect_status 1
        expect_one_line "$folder/lines:2"
    done
}

test_special_tokens_are_an_option() {
    local with without
    with=$(ids_of -m "$llama3" -p "Hello") || exit 1
    without=$(ids_of -m "$llama3" -p "Hello" --no-special) || exit 1
    case $with in *",${without#[}") ;; *) fail "expected $without behind a token: $with" ;; esac
    expect_equal "$(ids_of -m "$llama3" --decode "$with" --no-special)" "Hello"
    case $(ids_of -m "$llama3" --decode "$with") in ?*Hello) ;; *) fail "the special token is shown" ;; esac
}

test_the_model_is_a_folder_or_a_file() {
    mkdir "$folder/only"
    cp "$tiny/tokenizer.json" "$folder/only"
    local expected
    expected=$(ids_of -p "One day") || exit 1
    for model in "$tiny" "$folder/only" "$folder/only/tokenizer.json"; do
        expect_equal "$(ids_of -m "$model" -p "One day")" "$expected" "$model"
    done
    cd / || fail "cd /"
    expect_equal "$(ids_of -p "One day")" "$expected" "from another folder"
}

test_bad_usage_is_status_2() {
    refused 2 "--prompt, --file, --lines and --decode"
    refused 2 "--bogus" --bogus
    refused 2 "--prompt" -p
    refused 2 "--file" -p a -f b
    refused 2 "--decode" -p a --decode 1
    refused 2 "--decode" --decode "1,x"
    refused 2 "--decode" --decode "1.5"
    refused 2 "--decode" --decode "99999999999"
}

test_bad_input_is_status_1() {
    mkdir "$folder/empty"
    echo "{" >"$folder/broken.json"
    refused 1 "not in the vocabulary" --decode 123456789
    refused 1 "not in the vocabulary" --decode -1
    refused 1 "$folder/nowhere" -m "$folder/nowhere" -p a
    refused 1 "tokenizer.json" -m "$folder/empty" -p a
    refused 1 "broken.json" -m "$folder/broken.json" -p a
    refused 1 "$folder/nowhere" -f "$folder/nowhere"
    refused 1 "$folder/nowhere" --lines "$folder/nowhere"
}

test_help_is_status_0() {
    run --help
    expect_status 0
    expect_empty "$folder/err"
    for word in --model --prompt --file --lines --decode --no-special --json; do expect_in "$word" "$folder/out"; done
}

test_a_full_disk_is_an_error() {
    [ -w /dev/full ] || return 0
    for options in "-p a" "--decode 1" "-p a --json"; do
        "$program" $options >/dev/full 2>"$folder/err"
        status=$?
        expect_status 1
        expect_one_line stdout
    done
}

run_case
