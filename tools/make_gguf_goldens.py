#!/usr/bin/env python3
"""Writes GGUF files with PyPI's gguf, from golden checkpoints and from random weights:

    tools/make_gguf_goldens.py tests/data/goldens examples/tiny tests/data/gguf

NAME.gguf holds the numbers of goldens/NAME as llama.cpp's convert_hf_to_gguf.py would write them: matrices in the
folder's own type, vectors in F32, rows of q and k in pairs for llama, rope_freqs.weight for llama3's scaling. `long` is
written in three files. Two more are random models, with all that a test needs to know in NAME.json: FNV-1a of every tensor's
dequantised float32 bytes by Hugging Face's names, and greedy ids by transformers in float32 with these weights.

    quantised   a Llama of two layers whose matrices have all the quantised types
    story       a Qwen2 in Q8_0 with the tiny story model's tokenizer
"""

import importlib.metadata
import json
import math
import pathlib
import sys

import gguf
import numpy
import safetensors.torch
import torch
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, GGUFWriter, RopeScalingType, TokenType
from gguf.quants import dequantize, quantize
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

PINNED_VERSION = "0.19.0"
SEED = 20261127
GREEDY_COUNT = 24
ARCHITECTURES = {"llama": "llama", "mistral": "llama", "qwen2": "qwen2", "qwen3": "qwen3"}
STORED = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}

NAMES = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight",
         "lm_head.weight": "output.weight"}
LAYER_NAMES = {
    "input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm", "post_attention_layernorm": "ffn_norm", "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
}


def gguf_name(name):
    if name in NAMES:
        return NAMES[name]
    _, _, layer, rest = name.split(".", 3)
    stem, kind = rest.rsplit(".", 1)
    return f"blk.{layer}.{LAYER_NAMES[stem]}.{kind}"


def in_pairs(rows, heads):
    """Row i of a head's first half and row i of its second half side by side, as llama.cpp rotates them."""
    return rows.reshape(heads, 2, len(rows) // heads // 2, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


def heads_in_pairs(name, arch, config):
    """How many heads' rows the converter reorders; 0 where it does not."""
    if arch != "llama":
        return 0
    return {"self_attn.q_proj.weight": config["num_attention_heads"],
            "self_attn.k_proj.weight": config["num_key_value_heads"]}.get(name.split(".", 3)[-1], 0)


def head_dim(config):
    return config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]


def rope(config):
    return config.get("rope_scaling") or config.get("rope_parameters") or {}


def rope_theta(config):
    return config.get("rope_theta") or rope(config)["rope_theta"]


def llama3_factors(config):
    """As the converter: what each frequency is divided by, in torch's float32."""
    scaling, dim = rope(config), head_dim(config)
    frequencies = 1.0 / (rope_theta(config) ** (torch.arange(0, dim, 2, dtype=torch.float32) / dim))
    factor, low, high = scaling["factor"], scaling["low_freq_factor"], scaling["high_freq_factor"]
    original = scaling["original_max_position_embeddings"]
    factors = []
    for frequency in frequencies:
        wavelength = 2 * math.pi / frequency
        if wavelength < original / high:
            factors.append(1)
        elif wavelength > original / low:
            factors.append(factor)
        else:
            smooth = (original / wavelength - low) / (high - low)
            factors.append(1 / ((1 - smooth) / factor + smooth))
    return torch.tensor(factors, dtype=torch.float32).numpy()


def write_config(writer, config):
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_rope_freq_base(rope_theta(config))
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    if "head_dim" in config:
        writer.add_key_length(config["head_dim"])
        writer.add_value_length(config["head_dim"])
    if writer.arch == "llama":
        writer.add_vocab_size(config["vocab_size"])
        writer.add_rope_dimension_count(head_dim(config))
    if config["model_type"] == "mistral" and config.get("sliding_window"):
        writer.add_sliding_window(config["sliding_window"])
    kind = rope(config).get("rope_type") or rope(config).get("type", "default")
    if kind == "llama3":
        writer.add_tensor("rope_freqs.weight", llama3_factors(config))
    elif kind in ("linear", "yarn"):
        writer.add_rope_scaling_type(RopeScalingType(kind))
        writer.add_rope_scaling_factor(rope(config)["factor"])
        if kind == "yarn":
            writer.add_rope_scaling_orig_ctx_len(rope(config)["original_max_position_embeddings"])


def write_tokenizer(writer, folder):
    """As the converter for Qwen2: tokens by id, holes filled, added tokens by whether they are special."""
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    config = json.loads((folder / "config.json").read_text())
    tokens = [f"[PAD{i}]" for i in range(config["vocab_size"])]
    types = [TokenType.UNUSED] * len(tokens)
    for text, id in tokenizer["model"]["vocab"].items():
        tokens[id], types[id] = text, TokenType.NORMAL
    for added in tokenizer["added_tokens"]:
        tokens[added["id"]] = added["content"]
        types[added["id"]] = TokenType.CONTROL if added["special"] else TokenType.USER_DEFINED
    merges = [m if isinstance(m, str) else " ".join(m) for m in tokenizer["model"]["merges"]]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges(merges)
    writer.add_eos_token_id(config["eos_token_id"])
    writer.add_bos_token_id(config["bos_token_id"])
    writer.add_add_bos_token(False)
    writer.add_chat_template("{% for message in messages %}{{ message.content }}{% endfor %}")


def close(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def convert(folder, out, split=0):
    """One golden checkpoint."""
    config = json.loads((folder / "config.json").read_text())
    writer = GGUFWriter(out, ARCHITECTURES[config["model_type"]], split_max_tensors=split)
    write_config(writer, config)
    writer.add_tokenizer_model("none")
    writer.add_eos_token_id(config["eos_token_id"])
    for name, tensor in safetensors.torch.load_file(folder / "model.safetensors").items():
        values = tensor.float().numpy()
        if heads := heads_in_pairs(name, writer.arch, config):
            values = in_pairs(values, heads)
        kind = GGMLQuantizationType["F32" if values.ndim == 1 else STORED[tensor.dtype]]
        writer.add_tensor(gguf_name(name), quantize(values, kind), raw_dtype=kind)
    close(writer)


def random_blocks(kind, shape, std, rng):
    """Blocks of a type that gguf cannot make of floats: random codes, and scales that give about this deviation."""
    elements, size = GGML_QUANT_SIZES[GGMLQuantizationType[kind]]
    blocks = rng.integers(0, 256, (shape[0] * shape[1] // elements, size), dtype=numpy.uint8)
    offsets, unit = {"Q2_K": ([80, 82], 10), "Q3_K": ([108], 45), "Q4_K": ([0, 2], 260), "Q5_K": ([0, 2], 520),
                     "Q6_K": ([208], 1300), "IQ4_NL": ([0], 70), "IQ4_XS": ([0], 1300)}[kind]
    for block in blocks:
        for offset in offsets:
            scale = numpy.float16(std / unit * rng.uniform(0.7, 1.3))
            block[offset : offset + 2] = numpy.frombuffer(scale.tobytes(), numpy.uint8)
    return blocks.reshape(shape[0], -1)


def fnv1a(values):
    state = 0xCBF29CE484222325
    for byte in numpy.ascontiguousarray(values, "<f4").tobytes():
        state = (state ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return f"{state:016x}"


def write_random(out, model, config, kind_of, tokenizer=None):
    """A random model, its matrices in the types that kind_of(name) gives, and NAME.json beside it."""
    rng, raw = numpy.random.default_rng(SEED), config.to_dict()
    raw["rope_parameters"] = {"rope_theta": 10000.0}
    writer = GGUFWriter(out, raw["model_type"])
    write_config(writer, raw)
    if tokenizer:
        write_tokenizer(writer, tokenizer)
    else:
        writer.add_tokenizer_model("none")
    state, sums = model.state_dict(), {}
    for name, tensor in state.items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        std = 0.6 if name.endswith("norm.weight") else 1.0 if "embed" in name else 1.5 / math.sqrt(tensor.shape[-1])
        values = (rng.normal(size=tuple(tensor.shape)) * std + (name.endswith("norm.weight"))).astype(numpy.float32)
        kind = "F32" if values.ndim == 1 else kind_of(name)
        dtype = GGMLQuantizationType[kind]
        try:
            stored = quantize(values, dtype)
        except NotImplementedError:
            stored = random_blocks(kind, values.shape, std, rng)
        values = dequantize(stored, dtype)
        if heads := heads_in_pairs(name, writer.arch, raw):
            # Rows are quantised one by one, so that they may change places as they are.
            stored = in_pairs(stored, heads)
        writer.add_tensor(gguf_name(name), stored, raw_dtype=dtype)
        state[name] = torch.from_numpy(values.copy())
        sums[name] = fnv1a(values)
    close(writer)
    if config.tie_word_embeddings:
        state["lm_head.weight"] = state["model.embed_tokens.weight"]
    model.load_state_dict(state)
    prompt = [int(i) for i in rng.integers(0, config.vocab_size, 12)]
    golden = {"prompt_ids": prompt, "greedy_ids": greedy(model, prompt), "sums": sums}
    out.with_suffix(".json").write_text(json.dumps(golden) + "\n")


def greedy(model, prompt):
    """Greedy ids, of a text whose choices are clear: logits of the first and the second best differ."""
    ids = list(prompt)
    with torch.no_grad():
        for _ in range(GREEDY_COUNT):
            best = model(torch.tensor([ids])).logits[0, -1].topk(2)
            assert best.values[0] - best.values[1] > 1e-3 * best.values.abs().max(), "a close choice: take another seed"
            ids.append(int(best.indices[0]))
    return ids[len(prompt) :]


def quantised(out):
    kinds = {
        "0.self_attn.q_proj": "Q4_K", "0.self_attn.k_proj": "Q5_K", "0.self_attn.v_proj": "Q6_K",
        "0.self_attn.o_proj": "Q5_0", "0.mlp.gate_proj": "Q3_K", "0.mlp.up_proj": "Q2_K", "0.mlp.down_proj": "Q8_0",
        "1.self_attn.q_proj": "Q4_0", "1.self_attn.k_proj": "Q4_1", "1.self_attn.v_proj": "IQ4_NL",
        "1.self_attn.o_proj": "Q5_1", "1.mlp.gate_proj": "IQ4_XS", "1.mlp.up_proj": "F16", "1.mlp.down_proj": "BF16",
    }
    config = LlamaConfig(
        vocab_size=64, hidden_size=256, intermediate_size=32, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=8, max_position_embeddings=128, tie_word_embeddings=True, rms_norm_eps=1e-5,
        bos_token_id=None, eos_token_id=None)
    write_random(out, LlamaForCausalLM(config).eval(), config,
                 lambda name: next((kind for key, kind in kinds.items() if f"layers.{key}." in name), "Q6_K"))


def story(out, tiny):
    config = Qwen2Config(vocab_size=json.loads((tiny / "config.json").read_text())["vocab_size"], hidden_size=32,
                         intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=1,
                         max_position_embeddings=128, tie_word_embeddings=True, rms_norm_eps=1e-6)
    write_random(out, Qwen2ForCausalLM(config).eval(), config, lambda name: "Q8_0", tiny)


def main(goldens, tiny, out):
    found = importlib.metadata.version("gguf")
    if found != PINNED_VERSION:
        sys.exit(f"gguf {PINNED_VERSION} is pinned, found {found}")
    torch.set_num_threads(1)
    out.mkdir(parents=True, exist_ok=True)
    for name in ("llama31-scaled", "qwen2-untied", "qwen3", "mistral"):
        convert(goldens / name, out / f"{name}.gguf")
    convert(goldens / "long", out / "long.gguf", split=9)
    quantised(out / "quantised.gguf")
    story(out / "story.gguf", tiny)
    print(sum(path.stat().st_size for path in out.iterdir()), "bytes")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*map(pathlib.Path, sys.argv[1:]))
