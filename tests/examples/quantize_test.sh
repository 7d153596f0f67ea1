# quantize from end to end: files, figures, exit status, and nothing left behind.
. "$(dirname "$0")/common.sh"

data=$(dirname "$0")/../data
mkdir "$folder/to"
x=$folder/to/x.gguf

nothing_left() { [ -z "$(ls -A "$folder/to")" ] || fail "something is left: $(ls -A "$folder/to")"; }

# ids_of MODEL ARGUMENT...: greedy ids.
ids_of() {
    local model=$1
    shift
    "$generate" -m "$model" --temp 0 --ignore-eos --json -n 24 "$@" 2>"$folder/err" | "$json_field" /ids ||
        fail "generate -m $model"
}

test_a_folder_becomes_a_file_with_its_ids() {
    for type in f32 f16 bf16; do
        run "$tiny" "$x" --type $type
        expect_status 0
        expect_empty "$folder/err"
        expect_equal "$(ids_of "$x" --dtype $type)" "$(ids_of "$tiny" --dtype $type)" $type
    done
    run "$tiny" "$x" --type bf16
    expect_equal "$(ids_of "$x")" "$(ids_of "$tiny")"
    expect_equal "$(ls -A "$folder/to")" x.gguf
}

test_every_type_gives_a_model_that_runs() {
    local type
    for type in q8_0 q4_0 q4_1 q5_0 q5_1 q2_K q3_K q4_K q5_K q6_K iq4_nl iq4_xs; do
        run "$tiny" "$x" --type $type
        expect_status 0
        expect_equal "$(ids_of "$x" | tr -cd , | wc -c)" 23 $type
    done
}

test_figures_are_the_last_lines() {
    run "$tiny" "$x" --type q8_0
    expect_status 0
    for word in "Q8_0      29 tensors" "8.50 bits per weight" "F32       21 tensors" "all       50 tensors" " s, peak "; do
        expect_in "$word" "$folder/out"
    done
    ! grep -q "requantised\|tokenizer" "$folder/out" || fail "nothing was requantised, and there is a tokenizer"
    run "$x" "$folder/to/y.gguf" --type q4_0
    expect_status 0
    expect_in requantised "$folder/out"
    run "$data/goldens/qwen3" "$x" --type f16
    expect_in "without a tokenizer" "$folder/out"
}

test_json_is_one_object_with_every_field() {
    run "$tiny" "$x" --type Q5_1 --json
    expect_status 0
    expect_equal "$(json --keys | tr '\n' ' ')" \
        "out types tensors weights bytes bits_per_weight file_bytes requantised has_tokenizer seconds peak_rss_bytes "
    expect_equal "$(json /file_bytes)" "$(wc -c <"$x")"
    expect_equal "$(json /tensors /types/Q5_1/tensors /types/F32/bits_per_weight /has_tokenizer | tr '\n' ' ')" \
        "50 28 32.0 true "
    expect_equal "$(json /out)" "$x"
}

test_the_type_is_taken_in_any_case_and_place() {
    run "$tiny" "$x" --type q4_k
    expect_status 0
    cp "$x" "$folder/expected"
    for arguments in "--type Q4_K" "q4_K" "Q4_k -t 2" "-t 1 --type q4_K"; do
        run "$tiny" "$x" $arguments
        expect_status 0
        cmp -s "$x" "$folder/expected" || fail "another file: $arguments"
    done
    run --type q4_k "$tiny" "$x"
    expect_status 0
    cmp -s "$x" "$folder/expected" || fail "another file: type first"
}

test_a_gguf_file_becomes_another() {
    run "$data/gguf/story.gguf" "$x" --type f32
    expect_status 0
    expect_equal "$(ids_of "$x")" "$(ids_of "$data/gguf/story.gguf" --dtype f32)"
    for n in 1 2 3; do
        run "$data/gguf/long-0000$n-of-00003.gguf" "$folder/to/$n.gguf" bf16
        expect_status 0
        cmp -s "$folder/to/$n.gguf" "$folder/to/1.gguf" || fail "file $n of 3"
    done
}

test_bad_usage_is_status_2() {
    refused 2 IN
    refused 2 OUT "$tiny"
    refused 2 --type "$tiny" "$x"
    refused 2 --type "$tiny" "$x" --type q17
    refused 2 --type "$tiny" "$x" i32
    refused 2 --type "$tiny" "$x" q4_0 --type q8_0
    refused 2 extra "$tiny" "$x" q4_0 extra
    refused 2 --threads "$tiny" "$x" q4_0 -t 5000
    nothing_left
}

test_bad_input_is_status_1() {
    refused 1 "$folder/nowhere" "$folder/nowhere" "$x" f32
    refused 1 "no such folder" "$tiny" "$folder/nowhere/x.gguf" f32
    refused 1 "found a folder" "$tiny" "$folder/to" f32
    refused 1 "own" "$tiny" "$tiny" f32
    refused 1 "attention_factor" "$data/goldens/llama-yarn" "$x" f32
    cp "$data/gguf/qwen3.gguf" "$folder/in.gguf"
    refused 1 "own" "$folder/in.gguf" "$folder/in.gguf" f32
    cmp -s "$data/gguf/qwen3.gguf" "$folder/in.gguf" || fail "the input is another one"
    head -c 100000 "$data/gguf/qwen3.gguf" >"$folder/in.gguf"
    refused 1 "in.gguf" "$folder/in.gguf" "$x" f32
    cp -r "$tiny" "$folder/model"
    head -c 1000 "$tiny/model.safetensors" >"$folder/model/model.safetensors"
    refused 1 "model.safetensors" "$folder/model" "$x" f32
    nothing_left
}

test_a_full_disk_leaves_nothing() {
    for blocks in 1 500; do
        (
            ulimit -f $blocks
            refused 1 "cannot write" "$tiny" "$x" f32
        ) || exit 1
        nothing_left
    done
    [ -w /dev/full ] || return 0
    "$program" "$tiny" "$x" f32 >/dev/full 2>"$folder/err"
    status=$?
    expect_status 1
    expect_one_line stdout
}

# A disk of 64 KB, which only a namespace of its own knows of.
on_a_small_disk() {
    mount -t tmpfs -o size=64k tmpfs "$folder/to" || fail "no small disk"
    refused 1 "No space left on device" "$tiny" "$x" q4_0
    nothing_left
    echo old >"$x"
    refused 1 "No space left on device" "$tiny" "$x" q4_0
    expect_equal "$(ls -A "$folder/to"): $(cat "$x")" "x.gguf: old"
    umount "$folder/to"
}

test_a_small_disk_leaves_nothing() {
    unshare -Urm mount -t tmpfs tmpfs "$folder/to" 2>"$folder/why" || skip "no disk of one's own: $(cat "$folder/why")"
    unshare -Urm "$BASH" "$0" on_a_small_disk "$program" "$tiny" "$json_field"
}

# A model of zeros that takes a while: one layer, an embedding of 1 GB that takes no room on the disk.
large_model() {
    local header='{"__metadata__":{"format":"pt"}' at=0 layer=model.layers.0 name shape bytes
    mkdir "$folder/large"
    cat >"$folder/large/config.json" <<'JSON'
{"model_type": "llama", "vocab_size": 2000000, "hidden_size": 256, "intermediate_size": 256, "num_hidden_layers": 1,
 "num_attention_heads": 4, "max_position_embeddings": 64, "tie_word_embeddings": true}
JSON
    while read -r name shape bytes; do
        header+=",\"$name\":{\"dtype\":\"BF16\",\"shape\":[$shape],\"data_offsets\":[$at,$((at + bytes))]}"
        at=$((at + bytes))
    done <<TENSORS
model.embed_tokens.weight 2000000,256 1024000000
model.norm.weight 256 512
$layer.input_layernorm.weight 256 512
$layer.post_attention_layernorm.weight 256 512
$layer.self_attn.q_proj.weight 256,256 131072
$layer.self_attn.k_proj.weight 256,256 131072
$layer.self_attn.v_proj.weight 256,256 131072
$layer.self_attn.o_proj.weight 256,256 131072
$layer.mlp.gate_proj.weight 256,256 131072
$layer.mlp.up_proj.weight 256,256 131072
$layer.mlp.down_proj.weight 256,256 131072
TENSORS
    header+='}'
    printf "$(printf '\\x%02x' $((${#header} % 256)) $((${#header} / 256)))\0\0\0\0\0\0%s" "$header" \
        >"$folder/large/model.safetensors"
    truncate -s $((8 + ${#header} + at)) "$folder/large/model.safetensors"
}

test_an_interrupt_leaves_nothing() {
    large_model
    local signal pid i
    for signal in INT TERM HUP; do
        "$program" "$folder/large" "$x" q3_K -t 1 >"$folder/out" 2>"$folder/err" </dev/null &
        pid=$!
        for ((i = 0; i < 1000; ++i)); do
            [ -n "$(ls -A "$folder/to")" ] && break
            sleep 0.01
        done
        [ -n "$(ls -A "$folder/to")" ] || fail "nothing is written"
        kill -$signal $pid
        wait $pid
        status=$?
        expect_status 1
        expect_one_line "stop requested"
        expect_empty "$folder/out"
        nothing_left
    done
}

test_help_is_status_0() {
    run --help
    expect_status 0
    expect_empty "$folder/err"
    for word in IN OUT --type --threads --json Q4_K IQ4_XS; do expect_in "$word" "$folder/out"; done
}

run_case
