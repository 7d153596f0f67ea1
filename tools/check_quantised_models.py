#!/usr/bin/env python3
"""What others make of the files that quantize writes:

    tools/check_quantised_models.py build/release/examples tests/data examples/tiny

- PyPI's gguf reads each of them, of all golden folders in all types; its floats are those of the folder for F32, F16 and BF16,
  and for the quantised types those that quantize itself gives when it writes the file again as F32.
- llama.cpp (llama-cpp-python) gives the prompt ids of generate, and behind them makes its greedy choices, for the tiny model
  and for random models of the other families with the small tokenizers. In F32 all of them; in Q8_0, where it rounds
  activations, too, most of the close ones of a random model; and all again with the same weights written as F32.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import gguf
import llama_cpp
import numpy
import safetensors.torch
import torch
from transformers import LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM, Qwen3Config, Qwen3ForCausalLM

from make_gguf_goldens import gguf_name, heads_in_pairs, in_pairs

TYPES = "f32 f16 bf16 q8_0 q4_0 q4_1 q5_0 q5_1 q2_K q3_K q4_K q5_K q6_K iq4_nl iq4_xs".split()
NUMPY = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}
PROMPT = "Once upon a time there was 12 dogs"
COUNT = 32


def quantize(programs, source, target, kind):
    result = subprocess.run([programs / "quantize", source, target, kind], capture_output=True, text=True)
    if result.returncode != 0:
        raise RuntimeError(result.stderr.strip())


def floats(path):
    """Name -> float32, of all tensors of a file."""
    tensors = {}
    for tensor in gguf.GGUFReader(path).tensors:
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(numpy.float32)
        tensors[tensor.name] = values.reshape([int(n) for n in reversed(tensor.shape)])
    return tensors


def expected_floats(folder, kind):
    config, tensors = json.loads((folder / "config.json").read_text()), {}
    arch = {"mistral": "llama"}.get(config["model_type"], config["model_type"])
    for name, tensor in safetensors.torch.load_file(folder / "model.safetensors").items():
        if name == "lm_head.weight" and config.get("tie_word_embeddings"):
            continue
        values = tensor.float()
        if tensor.ndim > 1:
            values = values.to(NUMPY[kind]).float()
        values = values.numpy()
        if heads := heads_in_pairs(name, arch, config):
            values = in_pairs(values, heads)
        tensors[gguf_name(name)] = values
    return tensors


def same_floats(a, b):
    return a.keys() == b.keys() and all(numpy.array_equal(a[name].view(numpy.uint32), b[name].view(numpy.uint32)) for name in a)


def check_reader(programs, folder, scratch):
    for kind in TYPES:
        target, again = scratch / "x.gguf", scratch / "y.gguf"
        quantize(programs, folder, target, kind)
        found = floats(target)
        if kind in NUMPY:
            found.pop("rope_freqs.weight", None)
            expected = expected_floats(folder, kind)
        else:
            quantize(programs, target, again, "f32")
            expected = floats(again)
        assert same_floats(found, expected), (folder, kind)


def random_model(scratch, name, tokenizer, config, kind):
    """A folder with random weights whose greedy choices are clear, and a tokenizer."""
    torch.manual_seed(1)
    model = kind(config).eval()
    for key, tensor in model.state_dict().items():
        std = 0.6 if key.endswith("norm.weight") else 1.0 if "embed" in key else 1.5 / tensor.shape[-1] ** 0.5
        tensor.copy_(torch.randn(tensor.shape) * std + key.endswith("norm.weight"))
    folder = scratch / name
    model.save_pretrained(folder)
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    return folder


def small_tokenizer(data, name, added):
    tokenizer = json.loads((data / "tokenizers" / name / "tokenizer.json").read_text())
    tokenizer["added_tokens"] = tokenizer["added_tokens"][:added]
    if name == "tiny_llama2":  # merges as transformers' converter lists them: all that there are
        vocab = tokenizer["model"]["vocab"]
        tokenizer["model"]["merges"] = [
            f"{text[:cut]} {text[cut:]}" for text in sorted(vocab, key=vocab.get)
            for cut in range(len(text) - 1, 0, -1) if text[:cut] in vocab and text[cut:] in vocab]
    return tokenizer


def random_models(data, scratch):
    sizes = dict(vocab_size=1024, hidden_size=256, intermediate_size=512, num_hidden_layers=3, num_attention_heads=4,
                 num_key_value_heads=2, max_position_embeddings=256, bos_token_id=None, eos_token_id=2, pad_token_id=None)
    yield random_model(scratch, "llama", small_tokenizer(data, "tiny_llama3", 15),
                       LlamaConfig(**sizes, tie_word_embeddings=False), LlamaForCausalLM)
    yield random_model(scratch, "llama31", small_tokenizer(data, "tiny_smollm", 2), LlamaConfig(
        **sizes, tie_word_embeddings=True, rope_parameters={
            "rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 64}), LlamaForCausalLM)
    yield random_model(scratch, "qwen3", small_tokenizer(data, "tiny_qwen2", 5),
                       Qwen3Config(**sizes, head_dim=32, tie_word_embeddings=False), Qwen3ForCausalLM)
    yield random_model(scratch, "mistral", small_tokenizer(data, "tiny_llama2", 3),
                       MistralConfig(**sizes, sliding_window=None, tie_word_embeddings=False), MistralForCausalLM)


def our_ids(programs, model):
    result = subprocess.run([programs / "generate", "-m", model, "-p", PROMPT, "-n", str(COUNT), "--temp", "0", "--ignore-eos",
                             "--dtype", "f32", "--json"], capture_output=True, text=True, check=True)
    result = json.loads(result.stdout)
    return result["prompt_ids"], result["ids"]


def their_choices(model, ids):
    """Prompt ids, and what llama.cpp would choose before each of `ids`, those before it given."""
    llama = llama_cpp.Llama(str(model), n_ctx=128, n_threads=2, verbose=False, logits_all=True, type_k=0, type_v=0)
    prompt = llama.tokenize(PROMPT.encode(), special=True)
    llama.eval([*prompt, *ids[:-1]])
    return prompt, [int(row.argmax()) for row in llama.scores[len(prompt) - 1 : len(prompt) + len(ids) - 1]]


def check_ids(programs, folder, scratch):
    target, again = scratch / "x.gguf", scratch / "y.gguf"
    quantize(programs, folder, target, "f32")
    compare_ids(programs, target, f"{folder.name} F32", COUNT)
    quantize(programs, folder, target, "q8_0")
    compare_ids(programs, target, f"{folder.name} Q8_0", COUNT // 2)
    quantize(programs, target, again, "f32")
    compare_ids(programs, again, f"{folder.name} Q8_0 as F32", COUNT)


def compare_ids(programs, model, name, least):
    prompt, ids = our_ids(programs, model)
    their_prompt, choices = their_choices(model, ids)
    assert prompt == their_prompt, (name, prompt, their_prompt)
    equal = sum(a == b for a, b in zip(ids, choices))
    print(f"{name:20} {len(prompt)} prompt ids are equal, and {equal} of {COUNT} greedy ones", flush=True)
    assert equal >= least


def main(programs, data, tiny):
    with tempfile.TemporaryDirectory() as scratch:
        scratch, files = pathlib.Path(scratch), 0
        for folder in [tiny, *sorted((data / "goldens").iterdir())]:
            if not (folder / "config.json").exists():
                continue
            try:
                check_reader(programs, folder, scratch)
                files += len(TYPES)
            except RuntimeError as refusal:
                print(refusal)
        print(f"gguf reads {files} files, with the same floats")
        for folder in [tiny, *random_models(data, scratch)]:
            check_ids(programs, folder, scratch)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*map(pathlib.Path, sys.argv[1:]))
