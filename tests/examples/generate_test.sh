# generate from end to end: what is on stdout, what on stderr, and the exit status.
. "$(dirname "$0")/common.sh"

# greedy ARGUMENT...: a run that does not depend on the seed, with its result as JSON.
greedy() {
    run --temp 0 --ignore-eos --json "$@"
    expect_status 0
}

test_story_on_stdout_and_figures_on_stderr() {
    run -n 12
    expect_status 0
    [ "$(head -c 16 "$folder/out")" = "Once upon a time" ] || fail "the prompt comes first"
    [ "$(wc -c <"$folder/out")" -gt 25 ] || fail "the answer is missing"
    [ -z "$(tail -c 1 "$folder/out")" ] || fail "the last line has no end"
    for word in load prefill decode tokens/s stop: bf16 threads 'seed 0' peak; do
        expect_in "$word" "$folder/err"
        ! grep -qF -- "tokens/s" "$folder/out" || fail "figures on stdout"
    done
}

test_prompt_can_be_left_out() {
    run -n 12 -p "One day"
    local with
    with=$(out)
    run -n 12 -p "One day" --no-display-prompt
    expect_status 0
    expect_equal "One day$(out)" "$with"
}

test_json_is_one_object_with_every_field() {
    run -n 9 --ignore-eos --json
    expect_status 0
    expect_empty "$folder/err"
    expect_equal "$(json --keys | tr '\n' ' ')" "prompt_ids ids text stop timing isa dtype peak_rss_bytes "
    expect_equal "$(json /dtype /stop | tr '\n' ' ')" "bf16 length "
    case $(json /isa) in portable | avx2 | avx512 | amx) ;; *) fail "the best level of ours is $(json /isa)" ;; esac
    expect_equal "$(json --size /ids)" 9
    [ "$(json --size /prompt_ids)" -gt 1 ] || fail "prompt_ids"
    [ "$(json /peak_rss_bytes)" -gt 1000000 ] || fail "peak_rss_bytes"
    for figure in load_s prefill_tokens_per_s decode_tokens_per_s; do
        case $(json "/timing/$figure") in 0 | 0.0 | -* | null) fail "timing/$figure" ;; esac
    done
    local text
    text=$(json /text)
    run -n 9 --ignore-eos --no-display-prompt
    expect_equal "$(out)" "$text" "the same text without --json"
}

test_without_a_cache_the_ids_are_the_same() {
    for options in "--temp 0" "--temp 1.2 --seed 5"; do
        run -n 20 --json --ignore-eos $options
        local ids
        ids=$(json /ids /text)
        run -n 20 --json --ignore-eos --no-cache $options
        expect_equal "$(json /ids /text)" "$ids" "$options"
    done
}

test_threads_change_nothing() {
    greedy -n 20 -t 1
    local ids
    ids=$(json /ids)
    for threads in 2 3; do
        greedy -n 20 -t $threads
        expect_equal "$(json /ids)" "$ids" "$threads threads"
    done
}

test_one_seed_one_text() {
    local texts=
    for seed in 1 2 3 4; do
        run -n 20 --temp 1 -s $seed --json
        local ids
        ids=$(json /ids)
        run -n 20 --temp 1 --seed $seed --json
        expect_equal "$(json /ids)" "$ids" "seed $seed"
        texts+="$ids"$'\n'
    done
    [ "$(printf %s "$texts" | sort -u | wc -l)" -gt 2 ] || fail "the seed changes nothing: $texts"
}

test_a_random_seed_is_told_and_gives_the_text_again() {
    run -n 20 --temp 1 -s -1
    expect_status 0
    local text seed
    text=$(out)
    seed=$(sed -n 's/.*seed \([0-9]*\).*/\1/p' "$folder/err")
    [ -n "$seed" ] || fail "no seed is told"
    run -n 20 --temp 1 -s "$seed"
    expect_equal "$(out)" "$text" "seed $seed"
}

test_stop_texts_end_the_answer() {
    greedy -n 40
    local text stop
    text=$(json /text)
    stop=${text:30:3}
    greedy -n 40 --stop "$stop"
    expect_equal "$(json /stop)" stop
    expect_equal "$(json /text; echo .)" "${text%%"$stop"*}"$'\n.'
    greedy -n 40 --stop "never said" --stop "$stop"
    expect_equal "$(json /stop)" stop
    greedy -n 40 --stop "never said"
    expect_equal "$(json /stop /text)" "length"$'\n'"$text"
}

test_an_end_of_sequence_token_ends_the_answer_unless_ignored() {
    greedy -n 10
    local ids
    ids=$(json /ids)
    cp -r "$tiny" "$folder/model"
    echo "{\"eos_token_id\": $(json /ids/4)}" >"$folder/model/generation_config.json"
    run -m "$folder/model" -n 10 --json
    expect_status 0
    expect_equal "$(json /stop)" eos
    case $ids in "$(json /ids | sed 's/]$//'),"*) ;; *) fail "the ids up to the end of sequence" ;; esac
    run -m "$folder/model" -n 10 --json --ignore-eos
    expect_equal "$(json /stop /ids)" "length"$'\n'"$ids"
}

test_no_tokens_is_just_the_prompt() {
    run -n 0 -p "Just this"
    expect_status 0
    expect_equal "$(out)" "Just this"
    run -n 0 --json
    expect_equal "$(json /ids /text /stop)" "[]"$'\n\n'"length"
}

test_until_the_context_is_full() {
    greedy -n -1 -c 12
    expect_equal "$(json /stop)" length
    expect_equal $(($(json --size /ids) + $(json --size /prompt_ids))) 13 "the last token needs no position"
}

test_prompt_from_a_file_or_stdin() {
    printf 'There was a cat.\nIt' >"$folder/prompt"
    greedy -n 8 -p $'There was a cat.\nIt'
    local expected
    expected=$(json /prompt_ids /ids)
    greedy -n 8 -f "$folder/prompt"
    expect_equal "$(json /prompt_ids /ids)" "$expected" "-f FILE"
    "$program" --temp 0 --ignore-eos --json -n 8 -f - <"$folder/prompt" >"$folder/out" 2>"$folder/err" || fail "-f -"
    expect_equal "$(json /prompt_ids /ids)" "$expected" "-f -"
}

test_an_empty_prompt_starts_a_text() {
    greedy -n 5 -p ""
    expect_equal "$(json --size /prompt_ids)" 1
    expect_equal "$(json --size /ids)" 5
}

test_any_bytes_are_a_prompt() {
    for prompt in $'\xff\xfe' "héllo 日本 🦆" "<|endoftext|>" $'\n\n' "-1"; do
        run -n 3 --json --ignore-eos -p "$prompt"
        expect_status 0
        expect_equal "$(json --size /ids)" 3
    done
}

test_bad_usage_is_status_2() {
    refused 2 --bogus --bogus
    refused 2 extra extra
    refused 2 --predict -n x
    refused 2 --predict -n -2
    refused 2 --predict -n
    refused 2 --temp --temp hot
    refused 2 --threads -t 5000
    refused 2 --threads -t -1
    refused 2 --ctx-size -c -1
    refused 2 --seed -s -2
    refused 2 --dtype --dtype q17
    refused 2 --cache-type --cache-type q17
    refused 2 --stop --stop
    refused 2 --file -p a -f b
}

test_a_gguf_file_is_a_model() {
    run -m "$(dirname "$0")/../data/gguf/story.gguf" -p "Once upon a time" -n 8 --temp 0 --json
    expect_status 0
    expect_equal "$(json /dtype)" q8_0 # most of its weights
    local ids
    ids=$(json /ids)
    run -m "$(dirname "$0")/../data/gguf/story.gguf" -p "Once upon a time" -n 8 --json # a GGUF file says nothing of sampling
    expect_equal "$(json /ids)" "$ids"
}

test_bad_input_is_status_1() {
    mkdir "$folder/empty"
    echo GGUF >"$folder/model.gguf"
    refused 1 "$folder/nowhere" -m "$folder/nowhere"
    refused 1 "config.json" -m "$folder/empty"
    refused 1 "model.gguf: version: truncated" -m "$folder/model.gguf"
    refused 1 "$folder/nowhere" -f "$folder/nowhere"
    refused 1 "$folder/empty" -f "$folder/empty"
    refused 1 "the context 2" -c 2
    cp -r "$tiny" "$folder/model"
    head -c 1000 "$tiny/model.safetensors" >"$folder/model/model.safetensors"
    refused 1 "model.safetensors" -m "$folder/model"
    echo "{" >"$folder/model/config.json"
    refused 1 "config.json" -m "$folder/model"
}

test_sampling_options_out_of_range_are_refused() {
    for option in "--temp -1" "--top-p 0" "--top-p 2" "--min-p -1" "--repeat-penalty 0" "--temp nan" "--top-k -1"; do
        run $option
        expect_status 2
        expect_empty "$folder/out"
        expect_one_line "${option%% *}"
    done
    run --stop ""
    expect_status 2
    expect_one_line "stop"
}

test_help_is_status_0() {
    for option in -h --help; do
        run $option
        expect_status 0
        expect_empty "$folder/err"
        for word in --model --prompt --predict --threads --seed --temp --top-k --top-p --min-p --stop --json --no-cache; do
            expect_in "$word" "$folder/out"
        done
    done
}

test_levels_are_chosen_by_the_environment() {
    export EIGENLM_ISA=
    greedy -n 5
    local best text
    best=$(json /isa)
    text=$(json /text)
    for isa in eigen portable avx2 avx512 amx; do
        export EIGENLM_ISA=$isa
        greedy -n 5
        expect_equal "$(json /isa)" "$isa"
        [ "$isa" = eigen ] || expect_equal "$(json /text)" "$text"
        [ "$isa" != "$best" ] || break # a machine does not run the levels above its best
    done
    export EIGENLM_ISA=nonsense
    refused 1 EIGENLM_ISA -n 1
    expect_in nonsense "$folder/err"
    export EIGENLM_ISA=
    greedy -n 1
}

test_a_closed_stdout_ends_the_program() {
    "$program" -n 600 --ignore-eos 2>"$folder/err" | head -c 1 >"$folder/out"
    status=${PIPESTATUS[0]} # 141: ended by SIGPIPE; 0: all of it was in the pipe before head closed it
    case $status in 0 | 1 | 141) ;; *) fail "expected an end" ;; esac
    expect_equal "$(out)" O
}

test_a_full_disk_is_an_error() {
    [ -w /dev/full ] || return 0
    for options in "-n 3" "-n 3 --json"; do
        "$program" $options >/dev/full 2>"$folder/err" </dev/null
        status=$?
        expect_status 1
        expect_in "stdout" "$folder/err"
    done
}

test_runs_from_any_folder() {
    greedy -n 5
    local ids
    ids=$(json /ids)
    cd / || fail "cd /"
    greedy -n 5
    expect_equal "$(json /ids)" "$ids"
    cd "$folder" || fail "cd"
    ln -s "$program" "$folder/link"
    "$folder/link" --temp 0 --ignore-eos --json -n 5 >"$folder/out" 2>"$folder/err" || fail "through a link"
    expect_equal "$(json /ids)" "$ids"
    cp -r "$tiny" "$folder/my model"
    greedy -n 5 -m "my model"
    expect_equal "$(json /ids)" "$ids"
}

run_case
