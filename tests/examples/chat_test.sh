# chat from end to end: a conversation in a pipe, on a terminal, and templates alone.
. "$(dirname "$0")/common.sh"

# talk INPUT ARGUMENT...: a conversation whose lines are INPUT's.
talk() {
    local input=$1
    shift
    printf %s "$input" | "$program" "$@" >"$folder/out" 2>"$folder/err"
    status=$?
}
# told INPUT ARGUMENT...: the same, most likely tokens and no figures; it must succeed.
told() {
    talk "$1" --temp 0 -n 12 "${@:2}"
    expect_status 0
    expect_empty "$folder/err"
}
# message NUMBER: role and content of a message in $folder/saved.
message() { "$json_field" "/messages/$1/role" "/messages/$1/content" <"$folder/saved" || fail "no message $1"; }
messages() { "$json_field" --size /messages <"$folder/saved"; }

# expect_rendered EXPECTED ARGUMENT...: stdout to the byte.
expect_rendered() {
    local expected=$1
    shift
    run --render "$@"
    expect_status 0
    expect_empty "$folder/err"
    printf %s "$expected" | cmp - "$folder/out" >&2 || fail "expected to the byte: $expected"
}

test_renders_a_file_to_the_byte() {
    echo '{"messages": [{"role": "user", "content": "Hi\n"}, {"role": "assistant", "content": "héllo 🦆"}],
           "bos_token": "<s>", "add_generation_prompt": true}' >"$folder/in.json"
    printf %s '{{ bos_token }}{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}' >"$folder/t.jinja"
    printf '%s\n\n' '{% if add_generation_prompt %}<assistant>{% endif %} ' >>"$folder/t.jinja"
    local expected=$'<s><user>Hi\n<assistant>héllo 🦆<assistant> \n'
    expect_rendered "$expected" "$folder/in.json" --template "$folder/t.jinja"
    "$program" --render - --template "$folder/t.jinja" <"$folder/in.json" >"$folder/stdin" || fail "--render -"
    cmp "$folder/out" "$folder/stdin" || fail "stdin is a file like others"
}

test_renders_tools_in_the_order_of_the_file() {
    echo '{"tools": [{"z": 1, "a": {"y": [true, null, 2.5], "b": "é"}}]}' >"$folder/in.json"
    echo '{{ tools | tojson }}' >"$folder/t.jinja"
    expect_rendered '[{"z": 1, "a": {"y": [true, null, 2.5], "b": "é"}}]' "$folder/in.json" --template "$folder/t.jinja"
}

test_renders_with_a_folder_that_has_no_weights() {
    mkdir "$folder/jinja" "$folder/config"
    echo '{"messages": [{"role": "user", "content": "Hi"}]}' >"$folder/in.json"
    printf '{{ messages[0].content }}!' >"$folder/jinja/chat_template.jinja"
    expect_rendered 'Hi!' "$folder/in.json" -m "$folder/jinja"
    echo '{"bos_token": "<s>", "chat_template": "{{ bos_token }}{{ messages[0].content }}?"}' \
        >"$folder/config/tokenizer_config.json"
    expect_rendered '<s>Hi?' "$folder/in.json" -m "$folder/config"
    echo '{{ bos_token }}{{ messages[0].content }}#' >"$folder/t.jinja"
    expect_rendered '<s>Hi#' "$folder/in.json" -m "$folder/config" --template "$folder/t.jinja"
    expect_rendered 'Hi#' "$folder/in.json" --template "$folder/t.jinja"
}

test_the_tiny_models_template_makes_one_story() {
    local messages='{"role": "user", "content": "One day,"}, {"role": "assistant", "content": " it rained. A dog"}'
    messages+=', {"role": "user", "content": "barked"}, {"role": "assistant", "content": " \"Come!\""}'
    echo "{\"messages\": [$messages, {\"role\": \"user\", \"content\": \"Then\"}]}" >"$folder/in.json"
    expect_rendered $'One day, it rained. A dog barked "Come!"\n\nThen' "$folder/in.json"
}

test_what_a_template_refuses_is_status_1() {
    echo '{"messages": []}' >"$folder/in.json"
    printf '%s' 'text {{ raise_exception("roles must alternate") }}' >"$folder/raises.jinja"
    printf '%s' 'text {% for m in %}' >"$folder/broken.jinja"
    refused 1 "roles must alternate" --render "$folder/in.json" --template "$folder/raises.jinja"
    refused 1 "broken.jinja" --render "$folder/in.json" --template "$folder/broken.jinja"
    refused 1 "$folder/nowhere" --render "$folder/in.json" --template "$folder/nowhere"
    refused 1 "$folder/nowhere" --render "$folder/in.json" -m "$folder/nowhere"
    refused 1 "$folder/nowhere" --render "$folder/nowhere"
    for text in '' '[]' '"text"' '{' '{} {}' '{"a": '; do
        printf %s "$text" >"$folder/in.json"
        refused 1 "$folder/in.json" --render "$folder/in.json"
    done
    printf '{"a": %s}' "$(printf '[%.0s' {1..100000})" >"$folder/in.json"
    refused 1 "deeper" --render "$folder/in.json"
}

test_a_model_without_a_template_names_the_way_out() {
    cp -r "$tiny" "$folder/model"
    rm "$folder/model/chat_template.jinja"
    refused 1 "--template" -m "$folder/model"
    expect_in "no chat template" "$folder/err"
    echo '{"messages": []}' >"$folder/in.json"
    refused 1 "--template" -m "$folder/model" --render "$folder/in.json"
    local expected
    told "Once upon a time"
    expected=$(out)
    told "Once upon a time" -m "$folder/model" --template "$tiny/chat_template.jinja"
    expect_equal "$(out)" "$expected"
}

test_bad_usage_is_status_2() {
    refused 2 --bogus --bogus
    refused 2 extra extra
    refused 2 --predict -n x
    refused 2 --temp --temp hot
    refused 2 --cache-type --cache-type q17
    refused 2 --stop --stop
    refused 2 --render --render
    refused 2 --system --render x --system y
}

test_help_is_status_0() {
    run --help
    expect_status 0
    expect_empty "$folder/err"
    for word in --model --system --template --predict --threads --ctx-size --seed --dtype --cache-type --temp --top-k \
        --top-p --min-p --repeat-penalty --stop --render --verbose; do
        expect_in "$word" "$folder/out"
    done
}

test_answers_as_generate_does() {
    "$generate" -m "$tiny" -p "Once upon a time" -n 12 --temp 0 --no-display-prompt \
        >"$folder/expected" 2>"$folder/err" || fail generate
    told "Once upon a time"
    cmp "$folder/out" "$folder/expected" || fail "one line, one answer"
    told $'Once upon a time\n'
    cmp "$folder/out" "$folder/expected" || fail "the end of the line makes no difference"
    told $'\n\nOnce upon a time\n\n'
    cmp "$folder/out" "$folder/expected" || fail "empty lines are nothing"
    told ''
    expect_empty "$folder/out"
}

test_a_conversation_is_saved_and_gone_on_with() {
    told $'Once upon a time\nThen\n/save '"$folder/both"$'\n'
    local answers
    answers=$(out)
    told $'Once upon a time\n/save '"$folder/saved"$'\n'
    local first
    first=$(out)
    expect_equal "$(messages)" 2
    expect_equal "$(message 0)" $'user\nOnce upon a time'
    expect_equal "$(message 1)" "assistant"$'\n'"$first"
    told "/load $folder/saved"$'\nThen\n/save '"$folder/again"$'\n'
    expect_equal "$first"$'\n'"$(out)" "$answers"
    cmp "$folder/both" "$folder/again" || fail "the same conversation"
    run --render "$folder/again"
    expect_status 0
    expect_equal "$(head -c 16 "$folder/out")" "Once upon a time"
    expect_in Then "$folder/out"
    expect_equal "$(ls "$folder" | tr '\n' ' ')" "again both err out saved " "nothing is left behind"
}

test_variables_of_a_loaded_file_are_kept() {
    echo '{"z": 1, "tools": [{"b": 1, "a": 2}], "messages": [{"role": "user", "content": "x", "name": "n"}],
           "add_generation_prompt": false}' >"$folder/loaded"
    told "/load $folder/loaded"$'\n'"/save $folder/saved"
    expect_equal "$("$json_field" --keys <"$folder/saved" | tr '\n' ' ')" "z tools messages "
    expect_equal "$("$json_field" /tools /messages/0/name <"$folder/saved")" '[{"b":1,"a":2}]'$'\nn'
}

test_reset_forgets_all_but_the_system_message() {
    told $'Once upon a time\nThen\n/reset\nOnce upon a time\n/save '"$folder/saved" --system "A story."
    expect_equal "$(messages)" 3
    expect_equal "$(message 0)" $'system\nA story.'
    local again
    again=$(message 2)
    told $'Once upon a time\n/save '"$folder/saved" --system "A story."
    expect_equal "$(message 2)" "$again"
}

test_system_messages_are_set_replaced_and_removed() {
    told $'/system One.\nHello\n/system  Two words.\n/save '"$folder/saved"
    expect_equal "$(messages)" 3
    expect_equal "$(message 0)" $'system\nTwo words.'
    told $'/system\n/save '"$folder/saved" --system One.
    expect_equal "$(messages)" 0
}

test_quit_leaves_at_once() {
    told $'/quit\nOnce upon a time\n'
    expect_empty "$folder/out"
}

test_a_backslash_goes_on_with_the_next_line() {
    told $'Once upon\\\na time\\\n\n/save '"$folder/saved"
    expect_equal "$(message 0)" $'user\nOnce upon\na time'
    told $'the end\\'
    told $' /quit is said\n/save '"$folder/saved"
    expect_equal "$(message 0)" $'user\n /quit is said'
}

test_help_lists_the_commands() {
    talk /help
    expect_status 0
    for word in /reset /system /save /load /help /quit; do expect_in "$word" "$folder/err"; done
}

test_errors_end_a_conversation_in_a_pipe() {
    for line in /nonsense "/quit now" /save /load "/save $folder" "/save $folder/no/file" "/save /dev/null" \
        "/load $folder/nowhere" "/load $folder"; do
        talk "$line"$'\nOnce upon a time\n'
        expect_status 1
        expect_empty "$folder/out"
        expect_one_line "${line#* }"
    done
    talk /nonsense
    for word in /reset /system /save /load /help /quit; do expect_in "$word" "$folder/err"; done
    for text in '[]' '{}' '{"messages": {}}' '{"messages": ["x"]}' '{"messages": [{"content": "x"}]}' '{'; do
        echo "$text" >"$folder/in.json"
        talk "/load $folder/in.json"
        expect_status 1
        expect_one_line "$folder/in.json"
    done
}

test_a_full_context_says_how_much_room_there_is() {
    talk $'Once upon a time\nThen\n' --temp 0 -c 10
    expect_status 1
    [ -s "$folder/out" ] || fail "the first answer is good"
    expect_one_line "room for 10"
    talk $'Once upon a time\n/reset\nThen\n' --temp 0 -c 10
    expect_status 0
    expect_equal "$(wc -l <"$folder/out")" 2
}

test_figures_tell_what_was_in_the_cache() {
    talk $'Once upon a time\nThen\n' --temp 0 -n 12 --verbose
    expect_status 0
    expect_equal "$(wc -l <"$folder/err")" 2
    expect_equal "$(grep -c 'tokens/s' "$folder/err")" 2
    expect_in "4 new tokens, 0 from the cache" "$folder/err"
    expect_in "15 from the cache" "$folder/err"
    expect_in "stop: length" "$folder/err"
}

test_stop_texts_end_an_answer() {
    told "Once upon a time"
    local text stop
    text=$(out)
    stop=${text:8:3}
    told "Once upon a time" --stop "$stop"
    expect_equal "$(out)" "${text%%"$stop"*}"
}

test_any_bytes_are_a_line() {
    for line in $'\xff\xfe' "héllo 日本 🦆" "<|endoftext|>" "$(printf 'word %.0s' {1..500})"; do
        talk "$line"$'\n/save '"$folder/saved"$'\n' -n 3
        expect_status 0
        expect_equal "$(messages)" 2
    done
}

test_a_full_disk_is_an_error() {
    [ -w /dev/full ] || return 0
    echo '{"messages": []}' >"$folder/in.json"
    echo '{{ 1 }}' >"$folder/t.jinja"
    "$program" --render "$folder/in.json" --template "$folder/t.jinja" >/dev/full 2>"$folder/err"
    status=$?
    expect_status 1
    expect_one_line stdout
    echo "Once" | "$program" -n 3 >/dev/full 2>"$folder/err"
    status=$?
    expect_status 1
    expect_one_line stdout
}

# On a terminal: script(1) has one. $folder/keys are typed, $folder/screen is seen.
start_terminal() {
    mkfifo "$folder/keys"
    script -qefc "$(printf '%q ' "$program" "$@")" "$folder/screen" <"$folder/keys" >/dev/null 2>&1 &
    terminal=$!
    exec 3>"$folder/keys"
}
expect_on_screen() {
    local tries
    for tries in {1..300}; do
        ! grep -qF -- "$1" "$folder/screen" 2>/dev/null || return 0
        sleep 0.1
    done
    cp "$folder/screen" "$folder/out"
    fail "'$1' is not on the screen"
}
expect_left() {
    exec 3>&-
    wait "$terminal"
    status=$?
    expect_status 0
}

# Whether there are terminals to be had: not in every container.
has_terminals() {
    command -v script >/dev/null && timeout 10 script -qec true /dev/null </dev/null >/dev/null 2>&1
}

test_a_terminal_has_a_prompt_and_figures() {
    has_terminals || return 0
    start_terminal -n 12
    expect_on_screen "> "
    printf 'Once upon a time\n' >&3
    expect_on_screen "from the cache"
    printf '/nonsense\n' >&3
    expect_on_screen "expected one of /reset"
    printf '/quit\n' >&3
    expect_left
}

test_ctrl_c_stops_an_answer_and_not_the_program() {
    has_terminals || return 0
    cp -r "$tiny" "$folder/model"
    sed -i 's/"max_position_embeddings": [0-9]*/"max_position_embeddings": 32768/' "$folder/model/config.json"
    echo '{"eos_token_id": []}' >"$folder/model/generation_config.json"
    start_terminal -m "$folder/model" -t 1
    expect_on_screen "> "
    printf '\003' >&3
    expect_on_screen "Ctrl-D or /quit leaves"
    printf 'Once upon a time\n' >&3
    expect_on_screen "a"
    sleep 0.3
    printf '\003' >&3
    expect_on_screen "stop: cancelled"
    printf '/save %s\n' "$folder/saved" >&3
    expect_on_screen "saved 2 messages"
    printf '\004' >&3
    expect_left
    expect_equal "$(message 0)" $'user\nOnce upon a time'
    [ "$(message 1 | wc -c)" -gt 30 ] || fail "what was said stays"
}

run_case
