#!/usr/bin/env python3
"""Writes how far golden checkpoints are from each other, by transformers' logits and numpy in float64:

    tools/make_divergence_goldens.py tests/data/goldens tests/data/divergence.json

A case is a model, a base and a text of the base's golden. `rounded` models are the base with its matrices rounded to
bfloat16, which is float32's upper half, to the nearest, ties to even. A context of 0 is one window.
"""

import importlib.metadata
import json
import pathlib
import sys

import numpy
import safetensors.torch
import torch
from transformers import AutoModelForCausalLM

# name: base, model (None: the base, rounded), context, stride
CASES = {
    "rounded": ("qwen2-odd", None, 0, 0),
    "rounded_windows": ("qwen2-odd", None, 32, 16),
    "another_model": ("qwen3-window", "qwen2-outliers", 0, 0),
    "another_model_windows": ("qwen2-yarn", "llama31-scaled", 24, 7),
}


def load(folder):
    return AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", local_files_only=True
    ).eval()


def rounded(model):
    for value in model.parameters():
        if value.ndim == 2:
            value.data = value.data.to(torch.bfloat16).float()
    return model


def text_of(folder):
    tensors = safetensors.torch.load_file(folder / "golden.safetensors")
    return tensors["prompt_ids"].tolist() + tensors["greedy_ids"].tolist()


@torch.inference_mode()
def log_probabilities(model, ids, context, stride):
    """[ids - 1, vocab]: each id in the first window that has it."""
    parts, counted, context = [], 1, context or len(ids)
    for begin in range(0, len(ids), stride or len(ids)):
        end = min(begin + context, len(ids))
        logits = model(input_ids=torch.tensor([ids[begin:end]]), use_cache=False).logits[0].numpy()
        parts.append(logits[counted - 1 - begin : -1].astype(numpy.float64))
        counted = end
        if end == len(ids):
            break
    logits = numpy.concatenate(parts)
    logits -= logits.max(axis=1, keepdims=True)
    return logits - numpy.log(numpy.exp(logits).sum(axis=1, keepdims=True))


def case(goldens, base, model, context, stride):
    ids = text_of(goldens / base)
    p = log_probabilities(load(goldens / base), ids, context, stride)
    q = log_probabilities(load(goldens / model) if model else rounded(load(goldens / base)), ids, context, stride)
    kl = (numpy.exp(p) * (p - q)).sum(axis=1)
    same = p.argmax(axis=1) == q.argmax(axis=1)
    wanted = numpy.arange(len(kl)), ids[1:]
    top_two = numpy.sort(p, axis=1)[:, -2:], numpy.sort(q, axis=1)[:, -2:]
    assert all((two[:, 1] - two[:, 0]).min() > 1e-4 for two in top_two), "two tokens are about equally likely"
    return {
        "base": base, "model": model or "rounded", "context": context, "stride": stride, "ids": ids,
        "mean": kl.mean(), "stderr": kl.std(ddof=1) / len(kl) ** 0.5, "max": kl.max(),
        "median": numpy.quantile(kl, 0.5), "p90": numpy.quantile(kl, 0.9), "p99": numpy.quantile(kl, 0.99),
        "top1_agreement": 100 * same.mean(),
        "perplexity": float(numpy.exp(-q[wanted].mean())), "base_perplexity": float(numpy.exp(-p[wanted].mean())),
        "kl": kl.tolist(), "same_top": same.astype(int).tolist(),
    }  # fmt: skip


def main(goldens, out):
    torch.set_num_threads(1)
    versions = {name: importlib.metadata.version(name) for name in ("numpy", "torch", "transformers")}
    cases = {name: case(goldens, *settings) for name, settings in CASES.items()}
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(value)}" for name, value in cases.items())
    out.write_text(f'{{"made_with": {json.dumps(versions)},\n"cases": {{\n{lines}\n}}}}\n')
    for name, value in cases.items():
        print(f"{name}: KL {value['mean']:.3g}, agreement {value['top1_agreement']:.1f} %")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*map(pathlib.Path, sys.argv[1:]))
