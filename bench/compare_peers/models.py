"""One model of made-up weights in every engine's format: a Hugging Face folder, and what the engines make of it."""

import json
import pathlib
import subprocess
import sys

SHAPES = {
    "qwen2.5-0.5b": dict(
        model_type="qwen2", num_hidden_layers=24, hidden_size=896, intermediate_size=4864, num_attention_heads=14,
        num_key_value_heads=2, vocab_size=151936, tie_word_embeddings=True, rope_theta=1e6,
    ),
    "llama-3.2-1b": dict(
        model_type="llama", num_hidden_layers=16, hidden_size=2048, intermediate_size=8192, num_attention_heads=32,
        num_key_value_heads=8, vocab_size=128256, tie_word_embeddings=True, rope_theta=5e5,
    ),
    "small": dict(  # to try this program out
        model_type="qwen2", num_hidden_layers=2, hidden_size=256, intermediate_size=512, num_attention_heads=4,
        num_key_value_heads=2, vocab_size=4096, tie_word_embeddings=True, rope_theta=1e6,
    ),
}  # fmt: skip
# The quantised types: which of llama.cpp's mixtures of types a file is that has most of its weights in one.
MIXTURES = {
    "q8_0": "Q8_0", "q4_0": "Q4_0", "q4_1": "Q4_1", "q5_0": "Q5_0", "q5_1": "Q5_1", "q2_K": "Q2_K", "q3_K": "Q3_K_M",
    "q4_K": "Q4_K_M", "q5_K": "Q5_K_M", "q6_K": "Q6_K", "iq4_nl": "IQ4_NL", "iq4_xs": "IQ4_XS",
}  # fmt: skip


def byte_characters():
    """The characters that stand for the bytes 0..255 in a byte-level vocabulary."""
    plain = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = iter(range(256, 512))
    return [chr(b) if b in plain else chr(next(others)) for b in range(256)]


def vocabulary(size):
    """A byte-level BPE vocabulary of `size` tokens: the bytes, then every token with every byte behind it, in order."""
    tokens = byte_characters()
    merges = []
    for i in range(256, size):
        left, right = tokens[(i - 256) // 256], tokens[(i - 256) % 256]
        tokens.append(left + right)
        merges.append((left, right))
    return tokens, merges


def write_tokenizer(folder, size):
    tokens, merges = vocabulary(size)
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    tokenizer = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": 0, "content": tokens[0], "single_word": False, "lstrip": False, "rstrip": False,
             "normalized": False, "special": True}
        ],
        "normalizer": None,
        "pre_tokenizer": byte_level,
        "post_processor": None,
        "decoder": byte_level,
        "model": {
            "type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
            "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
            "vocab": {token: i for i, token in enumerate(tokens)}, "merges": merges,
        },
    }  # fmt: skip
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": tokens[0], "pad_token": tokens[0]}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))


def write_hugging_face(folder, shape):
    import torch
    import transformers

    torch.manual_seed(1)
    settings = dict(SHAPES[shape], max_position_embeddings=32768, bos_token_id=0, eos_token_id=0, pad_token_id=0)
    config = transformers.AutoConfig.for_model(settings.pop("model_type"), **settings)
    transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32).save_pretrained(folder)
    write_tokenizer(folder, config.vocab_size)


def write_gguf(folder, source, dtype):
    """model.gguf with all matrices in `dtype` (f32, bf16, f16) and norms and biases in f32."""
    import gguf
    import numpy
    from safetensors import safe_open

    config = json.loads((source / "config.json").read_text())
    arch = config["model_type"]
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH[arch.upper()], config["num_hidden_layers"])
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    folder.mkdir(parents=True, exist_ok=True)
    out = gguf.GGUFWriter(folder / "model.gguf", arch)
    out.add_context_length(config["max_position_embeddings"])
    out.add_embedding_length(config["hidden_size"])
    out.add_block_count(config["num_hidden_layers"])
    out.add_feed_forward_length(config["intermediate_size"])
    out.add_head_count(heads)
    out.add_head_count_kv(kv_heads)
    out.add_rope_dimension_count(config["hidden_size"] // heads)
    out.add_rope_freq_base(rope_theta(config))
    out.add_layer_norm_rms_eps(config["rms_norm_eps"])
    out.add_vocab_size(config["vocab_size"])
    tokens, merges = vocabulary(config["vocab_size"])
    out.add_tokenizer_model("gpt2")
    out.add_tokenizer_pre("qwen2")
    out.add_token_list(tokens)
    out.add_token_types([gguf.TokenType.NORMAL] * len(tokens))
    out.add_token_merges([" ".join(pair) for pair in merges])
    out.add_eos_token_id(0)
    with safe_open(source / "model.safetensors", "numpy") as tensors:
        for name in tensors.keys():
            value = tensors.get_tensor(name)
            if arch == "llama" and ("q_proj" in name or "k_proj" in name):  # its pairs are neighbours there
                n = heads if "q_proj" in name else kv_heads
                value = value.reshape(n, 2, -1, value.shape[1]).swapaxes(1, 2).reshape(value.shape)
            new_name = names.get_name(name, try_suffixes=(".weight", ".bias"))
            if dtype != "f32" and value.ndim == 2:
                type = gguf.GGMLQuantizationType[dtype.upper()]
                packed = gguf.quants.quantize(numpy.ascontiguousarray(value), type)
                out.add_tensor(new_name, packed, raw_dtype=type)
            else:
                out.add_tensor(new_name, numpy.ascontiguousarray(value))
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


def rope_theta(config):
    return config.get("rope_theta") or config["rope_parameters"]["rope_theta"]


def quantise_gguf(folder, source, dtype):
    """model.gguf as llama.cpp makes it of one in f32."""
    import llama_cpp

    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype = getattr(llama_cpp, f"LLAMA_FTYPE_MOSTLY_{MIXTURES[dtype]}")
    files = [str(path / "model.gguf").encode() for path in (source, folder)]
    if llama_cpp.llama_model_quantize(*files, params) != 0:
        raise RuntimeError(f"llama.cpp cannot make {dtype} of {source}")


def run(*command):
    subprocess.run([str(part) for part in command], check=True, stdout=sys.stderr)


def write_openvino(folder, source, weights):
    run(
        pathlib.Path(sys.executable).with_name("optimum-cli"), "export", "openvino", "-m", source,
        "--task", "text-generation-with-past", "--weight-format", weights, folder,
    )  # fmt: skip


def write_ctranslate2(folder, source):
    converter = pathlib.Path(sys.executable).with_name("ct2-transformers-converter")
    run(converter, "--model", source, "--output_dir", folder, "--quantization", "float32", "--force")


def folders(engine, dtype):
    """The folder that an engine reads, and before it those that it is made of."""
    if engine == "openvino-genai":
        return ["hugging_face", {"q8_0": "openvino_int8", "q4_0": "openvino_int4"}.get(dtype, "openvino")]
    if engine == "ctranslate2":
        return ["hugging_face", "ctranslate2"]
    if dtype in MIXTURES:
        return ["hugging_face", "gguf_f32", f"gguf_{dtype}"]
    return ["hugging_face", f"gguf_{dtype}"] if engine == "llama.cpp" else ["hugging_face"]


def write(root, name):
    path, source = root / name, root / "hugging_face"
    kind, _, dtype = name.partition("_")
    path.mkdir(parents=True, exist_ok=True)
    if name == "hugging_face":
        write_hugging_face(path, root.name)
    elif kind == "openvino":
        write_openvino(path, source, dtype or "fp32")
    elif kind == "ctranslate2":
        write_ctranslate2(path, source)
    elif dtype in MIXTURES:
        quantise_gguf(path, root / "gguf_f32", dtype)
    else:
        write_gguf(path, source, dtype)
    (path / "complete").touch()


def make(folder, shape, wanted):
    """Writes what is missing in `folder` of what these pairs of engine and type need; returns the path of each."""
    root = pathlib.Path(folder) / shape
    for engine, dtype in wanted:
        for name in folders(engine, dtype):
            if not (root / name / "complete").exists():
                print(f"writing {root / name}", file=sys.stderr)
                write(root, name)
    return {(engine, dtype): root / folders(engine, dtype)[-1] for engine, dtype in wanted}
