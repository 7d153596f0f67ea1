#!/usr/bin/env python3
"""Write the golden checkpoints: tiny random models plus what transformers computes with them.

The C++ forward pass is tested against these files, so they must come from outside eigenlm: the
checkpoints are written by transformers' save_pretrained and the expected values are computed by
transformers in float32 with eager attention. A random model can hide a bug (a bias near zero, a
greedy path that repeats one id), so every checkpoint has to pass constraints before it is written:
see `check_weights`, `check_greedy` and `check_mutations`.

    make_goldens.py --goldens tests/data/goldens            write all checkpoints
    make_goldens.py --goldens tests/data/goldens --check    recompute and compare, write nothing
    make_goldens.py --search [--only NAME]                  redo the search for the weight seeds
    make_goldens.py --model FOLDER --out FILE.safetensors   golden file for an existing model

Needs Python 3.11 and the packages of PINNED_VERSIONS.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import hashlib
import importlib.metadata
import json
import math
import struct
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import safetensors.numpy
import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, Qwen2Config

PINNED_VERSIONS = {
    "torch": "2.15.0",
    "transformers": "5.23.0",
    "tokenizers": "0.23.3",
    "safetensors": "0.8.0",
    "numpy": "2.4.6",
}

GREEDY_COUNT = 64
PROMPT_COUNT = 20
HIDDEN_ROW_COUNT = 24
MIN_STD = 0.2
MIN_DISTINCT_IDS = 40
MIN_RELATIVE_GAP = 1e-3
MIN_MUTATION_EFFECT = 1e-2
MAX_FLOAT32_NOISE = 1e-5
SEARCH_LIMIT = 2000

EXIT_OK, EXIT_FAILED = 0, 1

Mutation = Callable[[torch.nn.Module], contextlib.AbstractContextManager]


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """One golden checkpoint: its architecture, storage type, and the weight seed a search found."""

    name: str
    family: str
    seed: int
    config: dict
    stored: torch.dtype = torch.float32
    matrix_std: float = 0.25
    embedding_std: float = 1.0
    bias_std: float = 0.5
    long_prompt: int = 0
    long_rows: tuple[int, ...] = ()
    old_style: bool = False
    old_style_values: dict = dataclasses.field(default_factory=dict)
    layer0_parts: bool = False
    optional: bool = False
    note: str = ""


def rope(theta: float, **scaling) -> dict:
    """The rope_parameters value of a transformers 5 config."""
    return {"rope_type": "default", "rope_theta": theta, **scaling}


CHECKPOINTS = (
    Checkpoint(
        name="qwen2-odd",
        family="qwen2",
        seed=3,
        config=dict(
            hidden_size=72,
            num_attention_heads=6,
            num_key_value_heads=3,
            intermediate_size=90,
            vocab_size=211,
            num_hidden_layers=3,
            max_position_embeddings=512,
            tie_word_embeddings=True,
            rms_norm_eps=1e-6,
            rope_parameters=rope(1000000.0),
        ),
        old_style=True,
        old_style_values={"sliding_window": 16, "max_window_layers": 1},
        note="Qwen2, tied, F32, old-style config.json; sliding_window 16 is present but switched off",
    ),
    Checkpoint(
        name="qwen2-untied",
        family="qwen2",
        seed=0,
        config=dict(
            hidden_size=56,
            num_attention_heads=4,
            num_key_value_heads=1,
            intermediate_size=84,
            vocab_size=307,
            num_hidden_layers=2,
            max_position_embeddings=512,
            tie_word_embeddings=False,
            rms_norm_eps=1e-6,
            rope_parameters=rope(1000000.0),
        ),
        stored=torch.bfloat16,
        note="Qwen2 with one key/value head, untied, BF16",
    ),
    Checkpoint(
        name="llama-gqa",
        family="llama",
        seed=20,
        config=dict(
            hidden_size=27,
            num_attention_heads=9,
            num_key_value_heads=3,
            head_dim=20,
            intermediate_size=100,
            vocab_size=193,
            num_hidden_layers=3,
            max_position_embeddings=512,
            tie_word_embeddings=False,
            rms_norm_eps=0.05,
            rope_parameters=rope(10000.0),
        ),
        embedding_std=0.5,
        layer0_parts=True,
        note="Llama, head_dim 20 where hidden/heads is 3, large rms_norm_eps, untied, F32",
    ),
    Checkpoint(
        name="llama31-scaled",
        family="llama",
        seed=192,
        config=dict(
            hidden_size=36,
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=128,
            intermediate_size=80,
            vocab_size=151,
            num_hidden_layers=2,
            max_position_embeddings=256,
            tie_word_embeddings=True,
            rms_norm_eps=1e-5,
            rope_parameters=rope(
                500000.0,
                rope_type="llama3",
                factor=8.0,
                low_freq_factor=1.0,
                high_freq_factor=4.0,
                original_max_position_embeddings=32,
            ),
        ),
        stored=torch.float16,
        old_style=True,
        note="Llama 3.1 rope scaling run past the original length, tied, F16, old-style config.json",
    ),
    Checkpoint(
        name="llama-bias",
        family="llama",
        seed=112,
        config=dict(
            hidden_size=42,
            num_attention_heads=7,
            num_key_value_heads=7,
            intermediate_size=50,
            vocab_size=127,
            num_hidden_layers=2,
            max_position_embeddings=512,
            tie_word_embeddings=False,
            attention_bias=True,
            mlp_bias=True,
            rms_norm_eps=1e-5,
            rope_parameters=rope(10000.0),
        ),
        optional=True,
        note="Llama with attention_bias and mlp_bias, multi-head attention, untied, F32",
    ),
    Checkpoint(
        name="long",
        family="llama",
        seed=0,
        config=dict(
            hidden_size=32,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=16,
            intermediate_size=48,
            vocab_size=101,
            num_hidden_layers=2,
            max_position_embeddings=4096,
            tie_word_embeddings=False,
            rms_norm_eps=1e-5,
            rope_parameters=rope(10000.0),
        ),
        long_prompt=4096,
        long_rows=(0, 1, 63, 64, 1023, 2047, 2048, 4000, 4095),
        note="Llama at positions up to 4095, F32, no generation",
    ),
)


class GoldenError(Exception):
    """A constraint on the goldens does not hold."""


def require(condition: bool, message: str) -> None:
    """Like assert, but not switched off by python -O."""
    if not condition:
        raise GoldenError(message)


# ---------------------------------------------------------------------------------------------
# Building a random checkpoint


def make_config(spec: Checkpoint) -> transformers.PreTrainedConfig:
    """The transformers config; bos and eos are named so that a loader has them to read."""
    config_class = {"qwen2": Qwen2Config, "llama": LlamaConfig}[spec.family]
    return config_class(bos_token_id=1, eos_token_id=2, **spec.config)


def random_tensor(spec: Checkpoint, name: str, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Random values by kind of parameter: far from the zeros and ones that would hide a missing term."""
    if "norm" in name:
        return rng.uniform(0.5, 1.5, shape)
    if name.endswith(".bias"):
        return spec.bias_std * rng.standard_normal(shape)
    if "embed_tokens" in name:
        return spec.embedding_std * rng.standard_normal(shape)
    return spec.matrix_std * rng.standard_normal(shape)


def random_model(spec: Checkpoint, seed: int) -> torch.nn.Module:
    """A float32 model whose weights are already rounded to the storage type.

    numpy draws the values because its generator gives the same ones on every processor.
    """
    config = make_config(spec)
    config._attn_implementation = "eager"
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32, attn_implementation="eager")
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            values = torch.from_numpy(random_tensor(spec, name, tuple(parameter.shape), rng).astype(np.float32))
            parameter.copy_(values.to(spec.stored).to(torch.float32))
    return model.eval()


def random_prompt(spec: Checkpoint, seed: int) -> list[int]:
    """A prompt of ids other than bos and eos, drawn apart from the weights."""
    rng = np.random.default_rng([seed, 1])
    return rng.integers(3, spec.config["vocab_size"], PROMPT_COUNT).tolist()


LONG_FORMULA = "x[0] = 1; x[i+1] = (1103515245 * x[i] + 12345) mod 2^31; id[i] = (x[i+1] >> 16) mod vocab_size"


def long_prompt(count: int, vocab_size: int) -> list[int]:
    """The prompt of the `long` checkpoint: LONG_FORMULA, so that a test can also write it down."""
    ids, state = [], 1
    for _ in range(count):
        state = (1103515245 * state + 12345) % 2**31
        ids.append((state >> 16) % vocab_size)
    return ids


# ---------------------------------------------------------------------------------------------
# Running the oracle


@torch.inference_mode()
def logits_of(model: torch.nn.Module, ids: list[int], mask: torch.Tensor | None = None) -> torch.Tensor:
    """All logit rows of one forward pass over `ids` without a cache."""
    return model(input_ids=torch.tensor([ids]), attention_mask=mask, use_cache=False).logits[0]


@dataclasses.dataclass(frozen=True)
class Greedy:
    """A greedy continuation and how safely each of its ids was chosen."""

    ids: list[int]
    gaps: list[float]
    relative_gaps: list[float]


def generate_greedy(model: torch.nn.Module, prompt: list[int], count: int = GREEDY_COUNT) -> Greedy:
    """Argmax over a full recomputation per step, so no cache of transformers can be at fault.

    eos has no effect: the loop always makes `count` ids.
    """
    text, gaps, relative_gaps = list(prompt), [], []
    for _ in range(count):
        row = logits_of(model, text)[-1]
        top = torch.topk(row, 2).values
        gaps.append(float(top[0] - top[1]))
        relative_gaps.append(gaps[-1] / float(row.abs().max()))
        text.append(int(torch.argmax(row)))
    return Greedy(text[len(prompt) :], gaps, relative_gaps)


class Recorder:
    """Keeps the outputs of chosen modules during one forward pass, as [rows, width] arrays."""

    def __init__(self, model: torch.nn.Module, layer0_parts: bool) -> None:
        self.model = model
        self.layer0_parts = layer0_parts
        self.values: dict[str, torch.Tensor] = {}

    def watched(self) -> Iterator[tuple[str, torch.nn.Module]]:
        """Golden tensor name and the module whose output it is."""
        base = self.model.model
        yield "embed", base.embed_tokens
        for index, layer in enumerate(base.layers):
            yield f"layer.{index}", layer
        yield "final_norm", base.norm
        if self.layer0_parts:
            layer = base.layers[0]
            yield "layer.0.attn_norm", layer.input_layernorm
            yield "layer.0.q", layer.self_attn.q_proj
            yield "layer.0.k", layer.self_attn.k_proj
            yield "layer.0.v", layer.self_attn.v_proj
            yield "layer.0.attn_out", layer.self_attn.o_proj
            yield "layer.0.mlp_norm", layer.post_attention_layernorm
            yield "layer.0.mlp_out", layer.mlp

    def keep(self, name: str) -> Callable:
        """A forward hook that stores the module's output under `name`."""

        def hook(_module, _inputs, output) -> None:
            tensor = output[0] if isinstance(output, tuple) else output
            self.values[name] = tensor[0].clone()

        return hook

    def keep_rope(self, apply_rope: Callable) -> Callable:
        """apply_rotary_pos_emb that stores what it returns for layer 0 (its first call)."""

        def wrapped(*args, **kwargs):
            rotated = apply_rope(*args, **kwargs)
            for name, value in zip(("layer.0.q_rope", "layer.0.k_rope"), rotated, strict=True):
                if self.layer0_parts and name not in self.values:
                    self.values[name] = value[0].transpose(0, 1).flatten(1).clone()
            return rotated

        return wrapped

    def run(self, ids: list[int]) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Logits of all rows and the recorded values."""
        module = modeling_of(self.model)
        hooks = [part.register_forward_hook(self.keep(name)) for name, part in self.watched()]
        with patched(module, "apply_rotary_pos_emb", self.keep_rope(module.apply_rotary_pos_emb)):
            logits = logits_of(self.model, ids)
        for hook in hooks:
            hook.remove()
        return logits, self.values


def modeling_of(model: torch.nn.Module):
    """The transformers source module (modeling_llama or modeling_qwen2) of a model."""
    return sys.modules[type(model).__module__]


@contextlib.contextmanager
def patched(owner, attribute: str, value) -> Iterator[None]:
    """Set an attribute for the length of a with block."""
    original = getattr(owner, attribute)
    setattr(owner, attribute, value)
    try:
        yield
    finally:
        setattr(owner, attribute, original)


# ---------------------------------------------------------------------------------------------
# A second implementation, in float64, to measure the oracle's own rounding


def rope_bands(config, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """Inverse frequencies before and after llama3 scaling, and which of them lie in which band.

    With dtype float32 the arithmetic is the one of transformers, bit for bit (`check_rope`).
    """
    parameters = config.rope_parameters
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    plain = 1.0 / parameters["rope_theta"] ** (torch.arange(0, head_dim, 2).to(dtype) / head_dim)
    if parameters["rope_type"] == "default":
        return {"plain": plain, "scaled": plain}
    require(parameters["rope_type"] == "llama3", "rope type " + parameters["rope_type"])
    original = parameters["original_max_position_embeddings"]
    low, high = parameters["low_freq_factor"], parameters["high_freq_factor"]
    wavelength = 2 * math.pi / plain
    is_low, is_high = wavelength > original / low, wavelength < original / high
    divided = plain / parameters["factor"]
    smooth = (original / wavelength - low) / (high - low)
    middle = (1 - smooth) * plain / parameters["factor"] + smooth * plain
    scaled = torch.where(is_high, plain, torch.where(is_low, divided, middle))
    return {
        "plain": plain,
        "scaled": scaled,
        "divided": divided,
        "low": is_low,
        "high": is_high,
        "middle": ~is_low & ~is_high,
    }


def rotate(x: torch.Tensor, angles: torch.Tensor) -> torch.Tensor:
    """Rotary embedding of [rows, heads, head_dim]: dimension i is paired with i + head_dim/2."""
    half = x.shape[-1] // 2
    cos, sin = angles.cos()[:, None, :], angles.sin()[:, None, :]
    first, second = x[..., :half], x[..., half:]
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)


@torch.inference_mode()
def reference_logits(model: torch.nn.Module, ids: list[int], angle_dtype: torch.dtype) -> torch.Tensor:
    """The forward pass written out in float64, with none of transformers' code.

    `angle_dtype` is the precision of position * inverse frequency: float32 as in transformers, or
    float64 to see what that one rounding costs at late positions.
    """
    config = model.config
    weights = {name: value.double() for name, value in model.state_dict().items()}
    positions = torch.arange(len(ids)).to(angle_dtype)
    angles = (positions[:, None] * rope_bands(config, angle_dtype)["scaled"]).double()

    def linear(name: str, x: torch.Tensor) -> torch.Tensor:
        bias = weights.get(name + ".bias")
        product = x @ weights[name + ".weight"].T
        return product if bias is None else product + bias

    def norm(name: str, x: torch.Tensor) -> torch.Tensor:
        return x / (x.square().mean(-1, keepdim=True) + config.rms_norm_eps).sqrt() * weights[name + ".weight"]

    def attention(name: str, x: torch.Tensor) -> torch.Tensor:
        heads, kv_heads = config.num_attention_heads, config.num_key_value_heads
        q = rotate(linear(name + ".q_proj", x).unflatten(-1, (heads, -1)), angles)
        k = rotate(linear(name + ".k_proj", x).unflatten(-1, (kv_heads, -1)), angles)
        v = linear(name + ".v_proj", x).unflatten(-1, (kv_heads, -1))
        future = torch.ones(len(ids), len(ids), dtype=torch.bool).triu(1)
        outputs = []
        for head in range(heads):
            kv_head = head // (heads // kv_heads)
            scores = q[:, head] @ k[:, kv_head].T / math.sqrt(q.shape[-1])
            outputs.append(scores.masked_fill_(future, -math.inf).softmax(-1) @ v[:, kv_head])
        return linear(name + ".o_proj", torch.cat(outputs, dim=-1))

    x = weights["model.embed_tokens.weight"][torch.tensor(ids)]
    for index in range(config.num_hidden_layers):
        layer = f"model.layers.{index}"
        x = x + attention(layer + ".self_attn", norm(layer + ".input_layernorm", x))
        h = norm(layer + ".post_attention_layernorm", x)
        gate = torch.nn.functional.silu(linear(layer + ".mlp.gate_proj", h))
        x = x + linear(layer + ".mlp.down_proj", gate * linear(layer + ".mlp.up_proj", h))
    return linear("lm_head", norm("model.norm", x))


def relative_difference(actual: torch.Tensor, expected: torch.Tensor) -> float:
    """max|difference| / max|expected|: the measure of every tolerance in this file."""
    return float((actual - expected).abs().max() / expected.abs().max())


def float32_noise(model: torch.nn.Module, ids: list[int], logits: torch.Tensor, rows: list[int]) -> dict[str, float]:
    """How far the oracle's float32 logits are from float64, with both precisions of the rope angle."""
    return {
        "noise_float64": relative_difference(logits, reference_logits(model, ids, torch.float32)[rows]),
        "noise_float64_exact_rope": relative_difference(logits, reference_logits(model, ids, torch.float64)[rows]),
    }


# ---------------------------------------------------------------------------------------------
# Mutations: bugs a test must notice


@contextlib.contextmanager
def with_values(tensor: torch.Tensor, values: torch.Tensor) -> Iterator[None]:
    """Give a parameter or buffer other values for the length of a with block."""
    original = tensor.detach().clone()
    with torch.no_grad():
        tensor.copy_(values)
    try:
        yield
    finally:
        with torch.no_grad():
            tensor.copy_(original)


def with_frequencies(values: torch.Tensor) -> Mutation:
    """Replace the inverse frequencies of rope; zeros mean no rotation at all."""
    return lambda model: with_values(model.model.rotary_emb.inv_freq, values)


def with_parameter(name: str, fill: float) -> Mutation:
    """Set one parameter to a constant."""
    return lambda model: with_values(model.get_parameter(name), torch.full_like(model.get_parameter(name), fill))


def with_modulo_kv_heads(model: torch.nn.Module) -> contextlib.AbstractContextManager:
    """Query head h reads key/value head h % kv_heads instead of h // group."""
    return patched(modeling_of(model), "repeat_kv", lambda x, group: x.repeat(1, group, 1, 1))


def with_interleaved_rope(model: torch.nn.Module) -> contextlib.AbstractContextManager:
    """Rope on neighbouring pairs (2i, 2i+1), the convention of other model families."""

    def turn(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
        even, odd = x[..., 0::2], x[..., 1::2]
        return torch.stack((even * cos - odd * sin, odd * cos + even * sin), dim=-1).flatten(-2)

    def apply(q, k, cos, sin, **_kwargs):
        half = cos.shape[-1] // 2
        cos, sin = cos[:, None, :, :half], sin[:, None, :, :half]
        return turn(q, cos, sin), turn(k, cos, sin)

    return patched(modeling_of(model), "apply_rotary_pos_emb", apply)


@contextlib.contextmanager
def with_attention_scale(model: torch.nn.Module, scale: float) -> Iterator[None]:
    """Another factor on the attention scores."""
    with contextlib.ExitStack() as stack:
        for layer in model.model.layers:
            stack.enter_context(patched(layer.self_attn, "scaling", scale))
        yield


@contextlib.contextmanager
def with_epsilon(model: torch.nn.Module, epsilon: float) -> Iterator[None]:
    """Another epsilon in every RMSNorm."""
    with contextlib.ExitStack() as stack:
        for module in model.modules():
            if hasattr(module, "variance_epsilon"):
                stack.enter_context(patched(module, "variance_epsilon", epsilon))
        yield


@contextlib.contextmanager
def with_gate_and_up_swapped(model: torch.nn.Module) -> Iterator[None]:
    """silu on the wrong half of the MLP."""
    with contextlib.ExitStack() as stack:
        for layer in model.model.layers:
            gate, up = layer.mlp.gate_proj, layer.mlp.up_proj
            stack.enter_context(patched(layer.mlp, "gate_proj", up))
            stack.enter_context(patched(layer.mlp, "up_proj", gate))
        yield


@contextlib.contextmanager
def with_window(model: torch.nn.Module, width: int) -> Iterator[None]:
    """Attention that forgets keys more than `width` positions back (or wrongly applies a window)."""
    eager = modeling_of(model).eager_attention_forward

    def windowed(module, query, key, value, attention_mask, **kwargs):
        rows = torch.arange(query.shape[2])
        too_old = rows[:, None] - rows[None, :] >= width
        mask = attention_mask.masked_fill(too_old, torch.finfo(query.dtype).min)
        return eager(module, query, key, value, mask, **kwargs)

    with patched(modeling_of(model), "eager_attention_forward", windowed):
        yield


def rope_mutations(model: torch.nn.Module) -> Iterator[tuple[str, Mutation]]:
    """Wrong rotary embeddings, for llama3 scaling also band by band."""
    bands = rope_bands(model.config, torch.float32)
    plain, scaled = bands["plain"], bands["scaled"]
    yield "rope off", with_frequencies(torch.zeros_like(plain))
    yield "rope interleaved", with_interleaved_rope
    if model.config.rope_parameters["rope_theta"] != 10000.0:
        exponents = torch.arange(len(plain)) / len(plain)
        yield "rope theta 10000", with_frequencies(10000.0**-exponents)
    if "low" in bands:
        yield "llama3 off", with_frequencies(plain)
        yield "llama3 low band unscaled", with_frequencies(torch.where(bands["low"], plain, scaled))
        yield "llama3 middle band unscaled", with_frequencies(torch.where(bands["middle"], plain, scaled))
        yield "llama3 middle band divided", with_frequencies(torch.where(bands["middle"], bands["divided"], scaled))
        yield "llama3 high band divided", with_frequencies(torch.where(bands["high"], bands["divided"], scaled))


def parameter_mutations(model: torch.nn.Module) -> Iterator[tuple[str, Mutation]]:
    """Every bias missing and every norm gain ignored, one tensor at a time."""
    for name, _ in model.named_parameters():
        if name.endswith(".bias"):
            yield f"zero {name}", with_parameter(name, 0.0)
        elif "norm" in name:
            yield f"ones {name}", with_parameter(name, 1.0)


def mutations(spec: Checkpoint, model: torch.nn.Module) -> Iterator[tuple[str, Mutation]]:
    """Every bug that this checkpoint is able to show."""
    config = model.config
    yield from rope_mutations(model)
    yield from parameter_mutations(model)
    group = config.num_attention_heads // config.num_key_value_heads
    if group > 1 and config.num_key_value_heads > 1:
        yield "kv head h % kv_heads", with_modulo_kv_heads
    natural_dim = config.hidden_size / config.num_attention_heads
    if model.model.layers[0].self_attn.head_dim != natural_dim:
        yield "scale by hidden/heads", lambda m: with_attention_scale(m, natural_dim**-0.5)
    if config.rms_norm_eps > 1e-4:
        yield "epsilon 1e-6", lambda m: with_epsilon(m, 1e-6)
    if not config.tie_word_embeddings:
        yield "head tied", lambda m: with_values(m.lm_head.weight, m.model.embed_tokens.weight)
    yield "gate and up swapped", with_gate_and_up_swapped
    window = spec.old_style_values.get("sliding_window") or spec.long_prompt // 2
    if window:
        yield f"window {window}", lambda m: with_window(m, window)


def mutation_effects(
    spec: Checkpoint, model: torch.nn.Module, ids: list[int], rows: list[int], logits: torch.Tensor
) -> dict[str, float]:
    """Relative change of the stored logits under each mutation."""
    effects = {}
    for name, mutate in mutations(spec, model):
        with mutate(model):
            effects[name] = relative_difference(logits_of(model, ids)[rows], logits)
    require(torch.equal(logits_of(model, ids)[rows], logits), "a mutation was not undone")
    return effects


# ---------------------------------------------------------------------------------------------
# Constraints


def check_weights(model: torch.nn.Module) -> None:
    """No matrix, bias or gain may be so close to nothing that leaving it out stays unseen."""
    for name, parameter in model.state_dict().items():
        if "norm" in name:
            require(float((parameter - 1).square().mean()) >= 0.2**2, f"{name} is close to ones")
        else:
            require(float(parameter.std()) >= MIN_STD, f"{name}: std {float(parameter.std()):.3f}")


def check_rope(model: torch.nn.Module) -> None:
    """The float32 frequencies written out here are those of transformers, bit for bit."""
    ours = rope_bands(model.config, torch.float32)["scaled"]
    require(torch.equal(ours, model.model.rotary_emb.inv_freq), "inverse frequencies differ")
    require(model.model.rotary_emb.attention_scaling == 1.0, "rope scales attention")


def check_greedy(greedy: Greedy, eos: int) -> None:
    """The path must move around, have clear winners, and not depend on how eos is handled."""
    distinct, gap = len(set(greedy.ids)), min(greedy.relative_gaps)
    require(distinct >= MIN_DISTINCT_IDS, f"only {distinct} distinct greedy ids")
    require(gap >= MIN_RELATIVE_GAP, f"top1-top2 gap {gap:.1e}")
    require(eos not in greedy.ids, "eos is on the greedy path")


def check_mutations(effects: dict[str, float]) -> None:
    """Each mutation must be visible at a tolerance a hundred times coarser than a test's 1e-4."""
    name = min(effects, key=effects.get)
    require(effects[name] > MIN_MUTATION_EFFECT, f"mutation '{name}' changes only {effects[name]:.1e}")


def check_noise(spec: Checkpoint, noise: dict[str, float]) -> None:
    """The oracle itself must be far more exact than the tolerance it is the measure of."""
    require(noise["noise_float64"] <= MAX_FLOAT32_NOISE, f"{spec.name}: float32 noise {noise['noise_float64']:.1e}")


# ---------------------------------------------------------------------------------------------
# Making one golden


@dataclasses.dataclass
class Golden:
    """Everything that goes into a golden.safetensors."""

    tensors: dict[str, np.ndarray]
    metadata: dict[str, str]


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A seed's model with its text, stored rows and the measures the constraints judge."""

    model: torch.nn.Module
    prompt: list[int]
    greedy: Greedy | None
    rows: list[int]
    logits: torch.Tensor
    noise: dict[str, float]
    effects: dict[str, float]

    @property
    def text(self) -> list[int]:
        """The prompt with its continuation."""
        return self.prompt + (self.greedy.ids if self.greedy else [])


def try_seed(spec: Checkpoint, seed: int) -> Candidate:
    """Build the model of a seed and check every constraint; raises GoldenError if one fails."""
    model = random_model(spec, seed)
    check_weights(model)
    check_rope(model)
    greedy = None
    if spec.long_prompt:
        prompt = long_prompt(spec.long_prompt, spec.config["vocab_size"])
        text, rows = prompt, list(spec.long_rows)
    else:
        prompt = random_prompt(spec, seed)
        greedy = generate_greedy(model, prompt)
        check_greedy(greedy, model.config.eos_token_id)
        text = prompt + greedy.ids
        rows = list(range(len(text)))
    logits = logits_of(model, text)[rows]
    if greedy:
        check_argmax(logits, prompt, greedy)
    noise = float32_noise(model, text, logits, rows)
    check_noise(spec, noise)
    effects = mutation_effects(spec, model, text, rows, logits)
    check_mutations(effects)
    return Candidate(model, prompt, greedy, rows, logits, noise, effects)


def check_argmax(logits: torch.Tensor, prompt: list[int], greedy: Greedy) -> None:
    """One pass over the whole text must choose the same ids as the step-by-step generation."""
    first = len(prompt) - 1
    chosen = logits[first : first + len(greedy.ids)].argmax(-1).tolist()
    require(chosen == greedy.ids, "a single pass chooses other ids than generation")


def search_seed(spec: Checkpoint) -> tuple[int, Candidate]:
    """The smallest seed that passes; this is how the seeds in CHECKPOINTS were found."""
    for seed in range(SEARCH_LIMIT):
        try:
            return seed, try_seed(spec, seed)
        except GoldenError as error:
            print(f"  {spec.name} seed {seed}: {error}", file=sys.stderr)
    raise GoldenError(f"{spec.name}: no seed below {SEARCH_LIMIT} passes")


def spread_rows(count: int, prompt_count: int, wanted: int) -> list[int]:
    """About `wanted` rows over the text: first, last, both sides of the end of the prompt, the rest evenly."""
    if count <= wanted:
        return list(range(count))
    fixed = {0, prompt_count - 1, prompt_count, count - 1} & set(range(count))
    even = np.linspace(0, count - 1, wanted - len(fixed) + 2).round().astype(int).tolist()
    return sorted(fixed | set(even))


def as_int32(values: list[int]) -> np.ndarray:
    """Ids and positions are I32 in the golden files."""
    return np.asarray(values, dtype=np.int32)


def versions() -> dict[str, str]:
    """Installed versions of the packages that determine the goldens, without build tags like +cpu."""
    return {name: importlib.metadata.version(name).split("+")[0] for name in PINNED_VERSIONS}


def common_metadata(model: torch.nn.Module) -> dict[str, str]:
    """What the values were computed with."""
    return {
        **{f"version.{name}": version for name, version in versions().items()},
        "attention_implementation": model.config._attn_implementation,
        "compute_dtype": "float32",
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "model_class": type(model).__name__,
        "text": "prompt_ids followed by greedy_ids; row i is position i of that text",
        "layers": "layer.N is the output of decoder layer N, before the final norm; final_norm is after it",
    }


def greedy_metadata(greedy: Greedy) -> dict[str, str]:
    """How safely the greedy ids can be compared."""
    return {
        "generation": "argmax over a full recomputation without cache per id; eos does not stop it",
        "distinct_greedy_ids": str(len(set(greedy.ids))),
        "min_gap": f"{min(greedy.gaps):.6g}",
        "min_relative_gap": f"{min(greedy.relative_gaps):.6g}",
        "min_gap_step": str(int(np.argmin(greedy.relative_gaps))),
    }


def record(
    model: torch.nn.Module,
    prompt: list[int],
    greedy: Greedy | None,
    rows: list[int],
    hidden_rows: list[int],
    layer0_parts: bool = False,
) -> Golden:
    """Run the text once and keep the chosen rows of logits and hidden states."""
    greedy_ids = greedy.ids if greedy else []
    logits, hidden = Recorder(model, layer0_parts).run(prompt + greedy_ids)
    tensors = {
        "prompt_ids": as_int32(prompt),
        "greedy_ids": as_int32(greedy_ids),
        "row_positions": as_int32(rows),
        "hidden_positions": as_int32(hidden_rows),
        "logits": logits[rows].numpy(),
    }
    tensors |= {name: np.ascontiguousarray(value[hidden_rows].numpy()) for name, value in hidden.items()}
    if not greedy:
        del tensors["greedy_ids"]
    metadata = common_metadata(model) | (greedy_metadata(greedy) if greedy else {})
    return Golden(tensors, metadata)


def golden_bytes(golden: Golden) -> bytes:
    """safetensors bytes with a sorted header: the library writes the metadata in a random order."""
    data = safetensors.numpy.save(golden.tensors, metadata=golden.metadata)
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data[8 + length :]


def old_style_config(config: dict, extra: dict) -> dict:
    """A transformers 5 config.json as transformers 4 wrote it, with the same meaning.

    Published checkpoints have this form: torch_dtype, rope_theta and rope_scaling at the top level,
    no layer_types, and for Qwen2 a sliding_window that use_sliding_window switches off.
    """
    config = dict(config)
    rope_parameters = dict(config.pop("rope_parameters"))
    config["rope_theta"] = rope_parameters.pop("rope_theta")
    config["rope_scaling"] = None if rope_parameters["rope_type"] == "default" else rope_parameters
    config["torch_dtype"] = config.pop("dtype")
    config.pop("layer_types", None)
    return dict(sorted((config | extra).items()))


def rewrite_config(spec: Checkpoint, folder: Path) -> None:
    """Replace config.json by its old-style form."""
    path = folder / "config.json"
    config = old_style_config(json.loads(path.read_text()), spec.old_style_values)
    path.write_text(json.dumps(config, indent=2) + "\n")


def load_model(folder: Path) -> torch.nn.Module:
    """Any stored type, computed in float32 with eager attention."""
    model = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", local_files_only=True
    )
    require(model.config._attn_implementation == "eager", "attention is not eager")
    return model.eval()


def save_checkpoint(spec: Checkpoint, candidate: Candidate, folder: Path) -> None:
    """save_pretrained in the storage type, then check that loading it gives the very same logits.

    save_pretrained makes the weights readable by their owner only; the other files are not.
    """
    stored = random_model(spec, spec.seed).to(spec.stored)
    stored.save_pretrained(folder)
    (folder / "model.safetensors").chmod(0o644)
    check_loads(candidate, folder)
    if spec.old_style:
        rewrite_config(spec, folder)
        check_loads(candidate, folder)


def check_loads(candidate: Candidate, folder: Path) -> None:
    """The folder as it is now gives the logits of the model in memory, bit for bit."""
    loaded = logits_of(load_model(folder), candidate.text)[candidate.rows]
    require(torch.equal(loaded, candidate.logits), f"{folder.name}: the saved folder computes something else")


def checkpoint_metadata(spec: Checkpoint, candidate: Candidate) -> dict[str, str]:
    """What is particular to this checkpoint, for whoever looks into the file."""
    weakest = min(candidate.effects, key=candidate.effects.get)
    return {
        "name": spec.name,
        "notes": spec.note,
        "weight_seed": str(spec.seed),
        "stored_dtype": str(spec.stored).removeprefix("torch."),
        "optional": "true" if spec.optional else "false",
        "config_style": "transformers 4" if spec.old_style else "transformers 5",
        "weakest_mutation": f"{weakest}: {candidate.effects[weakest]:.3g}",
        **{name: f"{value:.3g}" for name, value in candidate.noise.items()},
        **({"prompt_formula": LONG_FORMULA} if spec.long_prompt else {}),
    }


def write_checkpoint(spec: Checkpoint, folder: Path) -> Candidate:
    """Write one checkpoint folder after all its constraints have been checked."""
    candidate = try_seed(spec, spec.seed)
    folder.mkdir(parents=True, exist_ok=True)
    save_checkpoint(spec, candidate, folder)
    count = len(candidate.text)
    hidden_rows = candidate.rows if spec.long_prompt else spread_rows(count, len(candidate.prompt), HIDDEN_ROW_COUNT)
    golden = record(
        load_model(folder), candidate.prompt, candidate.greedy, candidate.rows, hidden_rows, spec.layer0_parts
    )
    require(np.array_equal(golden.tensors["logits"], candidate.logits.numpy()), "recording changed the logits")
    golden.metadata |= checkpoint_metadata(spec, candidate)
    (folder / "golden.safetensors").write_bytes(golden_bytes(golden))
    return candidate


# ---------------------------------------------------------------------------------------------
# Commands


def report(spec: Checkpoint, candidate: Candidate, size: int) -> None:
    """One block per checkpoint: size, greedy path, noise, sensitivity."""
    greedy = candidate.greedy
    path = f"{len(set(greedy.ids))} distinct, gap {min(greedy.relative_gaps):.1e}" if greedy else "no generation"
    noise = ", ".join(f"{name} {value:.1e}" for name, value in candidate.noise.items())
    print(f"{spec.name}: seed {spec.seed}, {size / 1000:.0f} kB, {path}, {noise}")
    for name, effect in sorted(candidate.effects.items(), key=lambda item: item[1]):
        print(f"    {effect:8.2e}  {name}")


def folder_size(folder: Path) -> int:
    """Bytes of all files of a checkpoint."""
    return sum(path.stat().st_size for path in folder.iterdir())


def compare_golden(written: Path, fresh: Path, tolerance: float = 1e-5) -> None:
    """Golden tensors of another processor may differ in the last bits, their shapes and ids not."""
    left, right = safetensors.numpy.load_file(written), safetensors.numpy.load_file(fresh)
    require(left.keys() == right.keys(), f"{written}: other tensors")
    for name, value in left.items():
        require(value.shape == right[name].shape and value.dtype == right[name].dtype, f"{written}: {name}")
        limit = tolerance * np.abs(value).max() if value.dtype == np.float32 else 0
        require(bool(np.all(np.abs(value - right[name]) <= limit)), f"{written}: {name} differs")


def compare_folder(written: Path, fresh: Path) -> None:
    """Everything but the golden values must be equal byte for byte."""
    for path in sorted(fresh.iterdir()):
        other = written / path.name
        require(other.is_file(), f"{other} is missing")
        if path.name == "golden.safetensors":
            compare_golden(other, path)
        else:
            require(path.read_bytes() == other.read_bytes(), f"{other} differs")


def run_goldens(specs: list[Checkpoint], root: Path, check: bool) -> None:
    """Write the checkpoints below `root`, or compare what is there with a fresh copy."""
    for spec in specs:
        if check:
            with tempfile.TemporaryDirectory() as scratch:
                fresh = Path(scratch) / spec.name
                write_checkpoint(spec, fresh)
                compare_folder(root / spec.name, fresh)
            print(f"{spec.name}: as written")
        else:
            candidate = write_checkpoint(spec, root / spec.name)
            report(spec, candidate, folder_size(root / spec.name))


def run_search(specs: list[Checkpoint]) -> bool:
    """Redo the search; true if it finds the seeds of the table."""
    as_in_table = True
    for spec in specs:
        seed, _ = search_seed(spec)
        print(f"{spec.name}: seed {seed}" + ("" if seed == spec.seed else f" (the table has {spec.seed})"))
        as_in_table &= seed == spec.seed
    return as_in_table


def encode_prompt(folder: Path, prompt: str) -> list[int]:
    """Ids from the folder's own tokenizer, special tokens included as it wants them."""
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    return tokenizer(prompt)["input_ids"]


def run_model(folder: Path, out: Path, prompt: str, row_count: int) -> None:
    """Golden file of an existing (trained) model; small gaps are reported, not refused.

    The weights' hash ties the golden to the folder, so that a retrained model cannot go unnoticed.
    """
    require((folder / "config.json").is_file(), f"{folder} is not a model folder")
    model = load_model(folder)
    check_rope(model)
    ids = encode_prompt(folder, prompt)
    greedy = generate_greedy(model, ids)
    text = ids + greedy.ids
    rows = spread_rows(len(text), len(ids), row_count)
    golden = record(model, ids, greedy, rows, rows)
    check_argmax(logits_of(model, text), ids, greedy)
    noise = float32_noise(model, text, torch.from_numpy(golden.tensors["logits"]), rows)
    weights = sorted(folder.glob("model*.safetensors"))
    golden.metadata |= {
        "prompt": prompt,
        "weights_sha256": hashlib.sha256(b"".join(path.read_bytes() for path in weights)).hexdigest(),
        **{name: f"{value:.3g}" for name, value in noise.items()},
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(golden_bytes(golden))
    report_model(folder, greedy, noise, model.config.eos_token_id, out.stat().st_size)


def report_model(folder: Path, greedy: Greedy, noise: dict[str, float], eos, size: int) -> None:
    """What to know before comparing greedy ids of a trained model."""
    ends = set(eos) if isinstance(eos, list) else {eos}
    stops = [step for step, token in enumerate(greedy.ids) if token in ends]
    print(f"{folder.name}: {size / 1000:.0f} kB, {len(set(greedy.ids))} distinct greedy ids")
    print(f"    eos at steps {stops}" if stops else "    eos is not on the greedy path")
    print("    " + ", ".join(f"{name} {value:.1e}" for name, value in noise.items()))
    for step in sorted(np.argsort(greedy.relative_gaps)[:5].tolist()):
        warning = "  SMALL" if greedy.relative_gaps[step] < MIN_RELATIVE_GAP else ""
        print(f"    step {step}: gap {greedy.gaps[step]:.3g}, relative {greedy.relative_gaps[step]:.1e}{warning}")


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    """Three modes, told apart by which of --goldens, --search and --model is given."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    mode = parser.add_mutually_exclusive_group(required=True)
    mode.add_argument("--goldens", type=Path, metavar="DIR", help="write the golden checkpoints below DIR")
    mode.add_argument("--search", action="store_true", help="search the weight seeds again")
    mode.add_argument("--model", type=Path, metavar="FOLDER", help="make a golden file for this model folder")
    parser.add_argument("--check", action="store_true", help="with --goldens: compare instead of write")
    parser.add_argument("--only", action="append", metavar="NAME", choices=[spec.name for spec in CHECKPOINTS])
    parser.add_argument("--out", type=Path, metavar="FILE", help="with --model: the file to write")
    parser.add_argument("--prompt", default="Once upon a time", help="with --model: the text to continue")
    parser.add_argument("--rows", type=int, default=16, help="with --model: how many rows to store")
    parser.add_argument("--any-version", action="store_true", help="run with other versions than the pinned ones")
    options = parser.parse_args(arguments)
    if options.model and not options.out:
        parser.error("--model needs --out")
    return options


def check_versions(any_version: bool) -> None:
    """Other versions may compute other values: refuse them unless told otherwise."""
    different = {name: found for name, found in versions().items() if found != PINNED_VERSIONS[name]}
    require(any_version or not different, f"pinned {PINNED_VERSIONS}, found {different}; --any-version overrides")


def make_deterministic() -> None:
    """One thread and deterministic kernels, so that sums are always added in the same order."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()


def main(arguments: list[str]) -> int:
    """Run the chosen mode; a broken constraint is exit status 1."""
    options = parse_arguments(arguments)
    specs = [spec for spec in CHECKPOINTS if not options.only or spec.name in options.only]
    try:
        check_versions(options.any_version)
        make_deterministic()
        if options.search:
            return EXIT_OK if run_search(specs) else EXIT_FAILED
        if options.model:
            run_model(options.model, options.out, options.prompt, options.rows)
        else:
            run_goldens(specs, options.goldens, options.check)
    except GoldenError as error:
        print(f"make_goldens: {error}", file=sys.stderr)
        return EXIT_FAILED
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
