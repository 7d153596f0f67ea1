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
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
    MistralConfig,
    Qwen2Config,
    Qwen3Config,
)

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
NLL_WINDOW = {"short": (32, 16), "long": (1024, 512)}
OUTLIER_RANGES = {"max_abs_hidden": (3e3, 1e4), "median_abs_hidden": (0, 10), "max_abs_k": (400, 600)}
QK_NORMS = ("q_norm", "k_norm")
CONFIG_CLASSES = {"qwen2": Qwen2Config, "qwen3": Qwen3Config, "llama": LlamaConfig, "mistral": MistralConfig}

EXIT_OK, EXIT_FAILED = 0, 1

Mutation = Callable[[torch.nn.Module], contextlib.AbstractContextManager]


@dataclasses.dataclass(frozen=True)
class Outliers:
    """Values far from all others, of the size and at the places where trained Qwen2 models have them.

    A few channels of the residual stream grow to thousands, through the embedding and every
    down_proj. The norms give those channels a small gain and the others a large one, so that the
    others still count. A few channels of each key head have a bias of hundreds; queries are small there.
    `embeddings` and `key_biases` are sizes, the other numbers factors on the values drawn.
    """

    channels: tuple[int, ...]
    embeddings: tuple[float, ...]
    down: float
    gain: float
    other_gain: float
    key_channels: tuple[int, ...]
    key_biases: tuple[float, ...]
    query: float

    def apply(self, name: str, values: np.ndarray, head_dim: int) -> np.ndarray:
        """The random values of one parameter with its outliers."""
        values, channels, key_channels = values.copy(), list(self.channels), list(self.key_channels)
        if "norm" in name:
            factors = np.full(values.shape, self.other_gain)
            factors[channels] = self.gain
            values *= factors
        elif "embed_tokens" in name:
            values[:, channels] = self.embeddings * (1 + 0.25 * values[:, channels] / values.std())
        elif "down_proj.weight" in name:
            values[channels] *= self.down
        elif "q_proj" in name:
            values.reshape(-1, head_dim, *values.shape[1:])[:, key_channels] *= self.query
        elif "k_proj.bias" in name:
            heads = values.reshape(-1, head_dim)
            heads[:, key_channels] = np.copysign(self.key_biases, heads[:, key_channels])
        return values


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
    prompt_count: int = PROMPT_COUNT
    long_prompt: int = 0
    long_rows: tuple[int, ...] = ()
    old_style: bool = False
    old_style_values: dict = dataclasses.field(default_factory=dict)
    layer0_parts: bool = False
    optional: bool = False
    outliers: Outliers | None = None
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
    Checkpoint(
        name="qwen3",
        family="qwen3",
        seed=143,
        config=dict(
            hidden_size=40,
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=24,
            intermediate_size=60,
            vocab_size=173,
            num_hidden_layers=3,
            max_position_embeddings=512,
            tie_word_embeddings=True,
            rms_norm_eps=1e-6,
            rope_parameters=rope(1000000.0),
        ),
        stored=torch.bfloat16,
        embedding_std=0.5,
        layer0_parts=True,
        note="Qwen3: QK norm, head_dim 24 where hidden/heads is 10, tied, BF16",
    ),
    Checkpoint(
        name="qwen3-window",
        family="qwen3",
        seed=37,
        config=dict(
            hidden_size=36,
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=16,
            intermediate_size=54,
            vocab_size=149,
            num_hidden_layers=4,
            max_position_embeddings=512,
            tie_word_embeddings=False,
            rms_norm_eps=1e-6,
            use_sliding_window=True,
            sliding_window=24,
            layer_types=["sliding_attention", "full_attention"] * 2,
            rope_parameters=rope(1000000.0),
        ),
        note="Qwen3 whose layer_types alternate between a window of 24 and full attention, untied, F32",
    ),
    Checkpoint(
        name="qwen2-window",
        family="qwen2",
        seed=31,
        config=dict(
            hidden_size=48,
            num_attention_heads=4,
            num_key_value_heads=2,
            intermediate_size=70,
            vocab_size=163,
            num_hidden_layers=3,
            max_position_embeddings=512,
            tie_word_embeddings=True,
            rms_norm_eps=1e-6,
            use_sliding_window=True,
            sliding_window=20,
            max_window_layers=1,
            rope_parameters=rope(1000000.0),
        ),
        stored=torch.float16,
        old_style=True,
        note="Qwen2, window of 20 from layer 1 on by max_window_layers, no layer_types, tied, F16",
    ),
    Checkpoint(
        name="mistral",
        family="mistral",
        seed=4,
        config=dict(
            hidden_size=40,
            num_attention_heads=6,
            num_key_value_heads=2,
            head_dim=16,
            intermediate_size=64,
            vocab_size=157,
            num_hidden_layers=3,
            max_position_embeddings=512,
            tie_word_embeddings=False,
            rms_norm_eps=1e-5,
            sliding_window=20,
            rope_parameters=rope(10000.0),
        ),
        stored=torch.bfloat16,
        prompt_count=100,
        old_style=True,
        note="Mistral, window of 20 in every layer, text past two blocks of 64, untied, BF16, old-style config.json",
    ),
    Checkpoint(
        name="mistral-full",
        family="mistral",
        seed=2,
        config=dict(
            hidden_size=32,
            num_attention_heads=4,
            num_key_value_heads=2,
            intermediate_size=56,
            vocab_size=139,
            num_hidden_layers=2,
            max_position_embeddings=512,
            tie_word_embeddings=False,
            rms_norm_eps=1e-5,
            sliding_window=None,
            rope_parameters=rope(1000000.0),
        ),
        note="Mistral without a window, untied, F32",
    ),
    Checkpoint(
        name="llama-linear",
        family="llama",
        seed=4,
        config=dict(
            hidden_size=40,
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=32,
            intermediate_size=64,
            vocab_size=167,
            num_hidden_layers=2,
            max_position_embeddings=512,
            tie_word_embeddings=False,
            rms_norm_eps=1e-5,
            rope_parameters=rope(10000.0, rope_type="linear", factor=4.0),
        ),
        stored=torch.float16,
        old_style=True,
        old_style_values={"rope_scaling": {"type": "linear", "factor": 4.0}},
        note="Llama, linear rope scaling, untied, F16, old-style config.json with the type under 'type'",
    ),
    Checkpoint(
        name="qwen2-yarn",
        family="qwen2",
        seed=5,
        config=dict(
            hidden_size=64,
            num_attention_heads=2,
            num_key_value_heads=1,
            intermediate_size=72,
            vocab_size=151,
            num_hidden_layers=2,
            max_position_embeddings=128,
            tie_word_embeddings=False,
            rms_norm_eps=1e-6,
            rope_parameters=rope(1000000.0, rope_type="yarn", factor=4.0, original_max_position_embeddings=32),
        ),
        note="Qwen2, yarn with its defaults run past the original length, untied, F32",
    ),
    Checkpoint(
        name="llama-yarn",
        family="llama",
        seed=30,
        config=dict(
            hidden_size=40,
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=64,
            intermediate_size=60,
            vocab_size=137,
            num_hidden_layers=2,
            max_position_embeddings=256,
            tie_word_embeddings=True,
            rms_norm_eps=1e-5,
            rope_parameters=rope(
                10000.0,
                rope_type="yarn",
                factor=4.0,
                original_max_position_embeddings=64,
                attention_factor=1.3,
                beta_fast=8.0,
                beta_slow=0.5,
                truncate=False,
            ),
        ),
        stored=torch.bfloat16,
        old_style=True,
        note="Llama, yarn with every parameter given, tied, BF16, old-style config.json",
    ),
    Checkpoint(
        name="llama-dynamic",
        family="llama",
        seed=14,
        config=dict(
            hidden_size=36,
            num_attention_heads=6,
            num_key_value_heads=2,
            head_dim=16,
            intermediate_size=60,
            vocab_size=143,
            num_hidden_layers=2,
            max_position_embeddings=512,
            tie_word_embeddings=True,
            rms_norm_eps=1e-5,
            rope_parameters=rope(10000.0, rope_type="dynamic", factor=2.0),
        ),
        note="Llama, dynamic rope scaling, not in force because the text fits the trained length, tied, F32",
    ),
    Checkpoint(
        name="qwen2-outliers",
        family="qwen2",
        seed=129,
        config=dict(
            hidden_size=64,
            num_attention_heads=4,
            num_key_value_heads=2,
            intermediate_size=96,
            vocab_size=149,
            num_hidden_layers=3,
            max_position_embeddings=512,
            tie_word_embeddings=False,
            rms_norm_eps=1e-6,
            rope_parameters=rope(1000000.0),
        ),
        stored=torch.bfloat16,
        embedding_std=4.0,
        outliers=Outliers(
            channels=(5, 23, 50),
            embeddings=(900.0, -2000.0, 400.0),
            down=30.0,
            gain=0.05,
            other_gain=30.0,
            key_channels=(3, 7, 14),
            key_biases=(120.0, 480.0, 260.0),
            query=0.3,
        ),
        note="Qwen2 with outliers as in trained models: residual channels in the thousands, key biases in the hundreds",
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
    return CONFIG_CLASSES[spec.family](bos_token_id=1, eos_token_id=2, **spec.config)


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
            values = random_tensor(spec, name, tuple(parameter.shape), rng)
            if spec.outliers:
                values = spec.outliers.apply(name, values, head_dim_of(config))
            parameter.copy_(torch.from_numpy(values.astype(np.float32)).to(spec.stored).to(torch.float32))
    return model.eval()


def random_prompt(spec: Checkpoint, seed: int) -> list[int]:
    """A prompt of ids other than bos and eos, drawn apart from the weights."""
    rng = np.random.default_rng([seed, 1])
    return rng.integers(3, spec.config["vocab_size"], spec.prompt_count).tolist()


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


def nll_of(model: torch.nn.Module, ids: list[int]) -> torch.Tensor:
    """Negative log likelihood of each id after the first, from the ids before it.

    The logits are the oracle's float32 ones; log_softmax is taken in float64 to add no error of its own.
    """
    logits = logits_of(model, ids)[:-1].double()
    return torch.nn.functional.cross_entropy(logits, torch.tensor(ids[1:]), reduction="none").float()


def windowed_nll_of(model: torch.nn.Module, ids: list[int], context: int, stride: int) -> torch.Tensor:
    """The recipe of transformers' perplexity page: overlapping windows, each id counted in the first that has it."""
    parts, counted = [], 1
    for begin in range(0, len(ids), stride):
        end = min(begin + context, len(ids))
        parts.append(nll_of(model, ids[begin:end])[counted - begin - 1 :])
        counted = end
        if end == len(ids):
            break
    return torch.cat(parts)


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
            for name in QK_NORMS:
                if hasattr(layer.self_attn, name):
                    yield f"layer.0.{name}", getattr(layer.self_attn, name)

    def keep(self, name: str) -> Callable:
        """A forward hook that stores the module's output under `name`, heads next to each other."""

        def hook(_module, _inputs, output) -> None:
            tensor = output[0] if isinstance(output, tuple) else output
            self.values[name] = tensor[0].flatten(1).clone()

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


class MagnitudeRecorder(Recorder):
    """Keeps what outliers are measured by: the residual stream and the keys of every layer."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__(model, layer0_parts=False)

    def watched(self) -> Iterator[tuple[str, torch.nn.Module]]:
        """As above; keys before rope, biases included."""
        yield "hidden.embed", self.model.model.embed_tokens
        for index, layer in enumerate(self.model.model.layers):
            yield f"hidden.{index}", layer
            yield f"k.{index}", layer.self_attn.k_proj

    def magnitudes(self, ids: list[int]) -> dict[str, float]:
        """Largest and median absolute value of each kind over the text."""
        _, values = self.run(ids)
        found = {}
        for kind in ("hidden", "k"):
            sizes = torch.cat([value.abs().flatten() for name, value in values.items() if name.startswith(kind + ".")])
            found |= {f"max_abs_{kind}": float(sizes.max()), f"median_abs_{kind}": float(sizes.median())}
        return found


def modeling_of(model: torch.nn.Module):
    """The transformers source module (modeling_llama, modeling_qwen2 ...) of a model."""
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


def head_dim_of(config) -> int:
    """Qwen2 configs have no head_dim, those of Llama may leave it out."""
    return getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads


def rope_periods(theta: float, head_dim: int, dtype: torch.dtype) -> torch.Tensor:
    """Positions per radian of each pair of dimensions."""
    return theta ** (torch.arange(0, head_dim, 2).to(dtype) / head_dim)


def rope_bands(config, dtype: torch.dtype, **changes) -> dict[str, torch.Tensor]:
    """Inverse frequencies before and after scaling, and for llama3 which of them lie in which band.

    With dtype float32 the arithmetic is the one of transformers, bit for bit (`check_rope`). `changes`
    replace rope parameters; with None as the value a parameter counts as absent.
    """
    parameters = {name: value for name, value in (config.rope_parameters | changes).items() if value is not None}
    head_dim = head_dim_of(config)
    periods = rope_periods(parameters["rope_theta"], head_dim, dtype)
    plain = 1.0 / periods
    rope_type = parameters["rope_type"]
    if rope_type == "llama3":
        return {"plain": plain, **llama3_bands(parameters, plain)}
    if rope_type == "yarn":
        return {"plain": plain, **yarn_bands(parameters, periods, head_dim)}
    if rope_type == "linear":
        return {"plain": plain, "scaled": plain / parameters["factor"]}
    require(rope_type in ("default", "dynamic"), "rope type " + rope_type)
    return {"plain": plain, "scaled": plain}


def llama3_bands(parameters: dict, plain: torch.Tensor) -> dict[str, torch.Tensor]:
    """Llama 3.1: slow frequencies are divided, fast ones kept, those between interpolated."""
    original = parameters["original_max_position_embeddings"]
    low, high = parameters["low_freq_factor"], parameters["high_freq_factor"]
    wavelength = 2 * math.pi / plain
    is_low, is_high = wavelength > original / low, wavelength < original / high
    divided = plain / parameters["factor"]
    smooth = (original / wavelength - low) / (high - low)
    middle = (1 - smooth) * plain / parameters["factor"] + smooth * plain
    scaled = torch.where(is_high, plain, torch.where(is_low, divided, middle))
    return {
        "scaled": scaled,
        "divided": divided,
        "low": is_low,
        "high": is_high,
        "middle": ~is_low & ~is_high,
    }


def yarn_bands(parameters: dict, periods: torch.Tensor, head_dim: int) -> dict[str, torch.Tensor]:
    """YaRN: a ramp over the dimensions from kept to divided frequencies."""

    def dimension(rotations: float) -> float:
        turns = parameters["original_max_position_embeddings"] / (rotations * 2 * math.pi)
        return head_dim * math.log(turns) / (2 * math.log(parameters["rope_theta"]))

    low, high = dimension(parameters.get("beta_fast", 32)), dimension(parameters.get("beta_slow", 1))
    if parameters.get("truncate", True):
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, head_dim - 1)
    require(low < high, "yarn's ramp has no length")
    kept = 1 - ((torch.arange(len(periods)).to(periods.dtype) - low) / (high - low)).clamp(0, 1)
    divided = 1.0 / (parameters["factor"] * periods)
    return {"scaled": divided * (1 - kept) + 1.0 / periods * kept, "divided": divided}


def default_attention_factor(config) -> float:
    """What yarn multiplies sine and cosine by, unless the config says otherwise."""
    return 0.1 * math.log(config.rope_parameters["factor"]) + 1.0


def attention_factor(config) -> float:
    """The factor on sine and cosine; only yarn has one."""
    parameters = config.rope_parameters
    if parameters["rope_type"] != "yarn":
        return 1.0
    require("mscale" not in parameters, "yarn with mscale")
    return parameters.get("attention_factor") or default_attention_factor(config)


def layer_windows(config) -> list[int | None]:
    """How many keys, its own included, a query sees in each layer; None is all before it."""
    if config.model_type == "mistral":
        return [config.sliding_window] * config.num_hidden_layers
    kinds = getattr(config, "layer_types", None) or ["full_attention"] * config.num_hidden_layers
    return [config.sliding_window if kind == "sliding_attention" else None for kind in kinds]


def unseen_keys(count: int, window: int | None) -> torch.Tensor:
    """[query, key], true where the key is in the query's future or has left its window."""
    positions = torch.arange(count)
    age = positions[:, None] - positions[None, :]
    return (age < 0) | (age >= (window or count))


def rotate(x: torch.Tensor, angles: torch.Tensor) -> torch.Tensor:
    """Rotary embedding of [rows, heads, head_dim]: dimension i is paired with i + head_dim/2."""
    half = x.shape[-1] // 2
    cos, sin = angles.cos()[:, None, :], angles.sin()[:, None, :]
    first, second = x[..., :half], x[..., half:]
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)


def rms_norm(x: torch.Tensor, gain: torch.Tensor, epsilon: float) -> torch.Tensor:
    """RMSNorm over the last dimension."""
    return x / (x.square().mean(-1, keepdim=True) + epsilon).sqrt() * gain


@torch.inference_mode()
def reference_logits(model: torch.nn.Module, ids: list[int], angle_dtype: torch.dtype) -> torch.Tensor:
    """The forward pass written out in float64, with none of transformers' code.

    `angle_dtype` is the precision of position * inverse frequency: float32 as in transformers, or
    float64 to see what that one rounding costs at late positions.
    """
    config = model.config
    is_dynamic = config.rope_parameters["rope_type"] == "dynamic"
    require(not is_dynamic or len(ids) <= config.max_position_embeddings, "dynamic rope beyond the trained length")
    weights = {name: value.double() for name, value in model.state_dict().items()}
    positions = torch.arange(len(ids)).to(angle_dtype)
    angles = (positions[:, None] * rope_bands(config, angle_dtype)["scaled"]).double()

    def linear(name: str, x: torch.Tensor) -> torch.Tensor:
        bias = weights.get(name + ".bias")
        product = x @ weights[name + ".weight"].T
        return product if bias is None else product + bias

    def norm(name: str, x: torch.Tensor) -> torch.Tensor:
        return rms_norm(x, weights[name + ".weight"], config.rms_norm_eps)

    def queries_or_keys(name: str, which: str, heads: int, x: torch.Tensor) -> torch.Tensor:
        x = linear(f"{name}.{which}_proj", x).unflatten(-1, (heads, -1))
        normed = norm(f"{name}.{which}_norm", x) if f"{name}.{which}_norm.weight" in weights else x
        return rotate(normed, angles) * attention_factor(config)

    def attention(name: str, x: torch.Tensor, window: int | None) -> torch.Tensor:
        heads, kv_heads = config.num_attention_heads, config.num_key_value_heads
        q, k = queries_or_keys(name, "q", heads, x), queries_or_keys(name, "k", kv_heads, x)
        v = linear(name + ".v_proj", x).unflatten(-1, (kv_heads, -1))
        unseen = unseen_keys(len(ids), window)
        outputs = []
        for head in range(heads):
            kv_head = head // (heads // kv_heads)
            scores = q[:, head] @ k[:, kv_head].T / math.sqrt(q.shape[-1])
            outputs.append(scores.masked_fill_(unseen, -math.inf).softmax(-1) @ v[:, kv_head])
        return linear(name + ".o_proj", torch.cat(outputs, dim=-1))

    x = weights["model.embed_tokens.weight"][torch.tensor(ids)]
    for index, window in enumerate(layer_windows(config)):
        layer = f"model.layers.{index}"
        x = x + attention(layer + ".self_attn", norm(layer + ".input_layernorm", x), window)
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


def with_windows(change: Callable[[int | None], int | None]) -> Mutation:
    """Other windows: `change` gets each layer's own one, None being a layer without."""

    @contextlib.contextmanager
    def mutate(model: torch.nn.Module) -> Iterator[None]:
        eager = modeling_of(model).eager_attention_forward

        def windowed(module, query, key, value, _mask, **kwargs):
            unseen = unseen_keys(query.shape[2], change(kwargs.get("sliding_window")))
            mask = torch.zeros_like(unseen, dtype=query.dtype).masked_fill(unseen, torch.finfo(query.dtype).min)
            return eager(module, query, key, value, mask, **kwargs)

        with patched(modeling_of(model), "eager_attention_forward", windowed):
            yield

    return mutate


@contextlib.contextmanager
def without_qk_norm(model: torch.nn.Module) -> Iterator[None]:
    """Queries and keys as the projections give them."""
    with contextlib.ExitStack() as stack:
        for layer in model.model.layers:
            for name in QK_NORMS:
                stack.enter_context(patched(layer.self_attn, name, torch.nn.Identity()))
        yield


def with_attention_factor(factor: float) -> Mutation:
    """Another factor on rope's sine and cosine."""
    return lambda model: patched(model.model.rotary_emb, "attention_scaling", factor)


def rope_mutations(model: torch.nn.Module) -> Iterator[tuple[str, Mutation]]:
    """Wrong rotary embeddings, among them what can go wrong with each kind of scaling."""
    config = model.config
    bands = rope_bands(config, torch.float32)
    plain = bands["plain"]
    yield "rope off", with_frequencies(torch.zeros_like(plain))
    yield "rope interleaved", with_interleaved_rope
    if config.rope_parameters["rope_theta"] != 10000.0:
        exponents = torch.arange(len(plain)) / len(plain)
        yield "rope theta 10000", with_frequencies(10000.0**-exponents)
    rope_type = config.rope_parameters["rope_type"]
    if rope_type == "llama3":
        yield from llama3_mutations(bands)
    if rope_type in ("linear", "yarn"):
        yield "rope scaling dropped", with_frequencies(plain)
    if rope_type == "yarn":
        yield from yarn_mutations(config, bands)
    if rope_type == "dynamic":
        yield from dynamic_mutations(config, plain)


def llama3_mutations(bands: dict[str, torch.Tensor]) -> Iterator[tuple[str, Mutation]]:
    """Llama 3.1 scaling wrong, also band by band."""
    plain, scaled = bands["plain"], bands["scaled"]
    yield "llama3 off", with_frequencies(plain)
    yield "llama3 low band unscaled", with_frequencies(torch.where(bands["low"], plain, scaled))
    yield "llama3 middle band unscaled", with_frequencies(torch.where(bands["middle"], plain, scaled))
    yield "llama3 middle band divided", with_frequencies(torch.where(bands["middle"], bands["divided"], scaled))
    yield "llama3 high band divided", with_frequencies(torch.where(bands["high"], bands["divided"], scaled))


def yarn_mutations(config, bands: dict[str, torch.Tensor]) -> Iterator[tuple[str, Mutation]]:
    """YaRN without its ramp, without its attention factor, with a default instead of what the config says."""
    yield "yarn ramp left out", with_frequencies(bands["divided"])
    yield "attention factor dropped", with_attention_factor(1.0)
    changes = {"original_max_position_embeddings": config.max_position_embeddings}
    changes |= {name: None for name in ("beta_fast", "beta_slow", "truncate") if name in config.rope_parameters}
    for name, value in changes.items():
        yield f"yarn {name} ignored", with_frequencies(rope_bands(config, torch.float32, **{name: value})["scaled"])
    if "attention_factor" in config.rope_parameters:
        yield "yarn attention_factor ignored", with_attention_factor(default_attention_factor(config))


def dynamic_mutations(config, plain: torch.Tensor) -> Iterator[tuple[str, Mutation]]:
    """Dynamic scaling in force although the text is no longer than the trained length."""
    factor, head_dim = config.rope_parameters["factor"], head_dim_of(config)
    theta = config.rope_parameters["rope_theta"] * (factor * 2 - (factor - 1)) ** (head_dim / (head_dim - 2))
    yield "dynamic scaling of twice the length", with_frequencies(1.0 / rope_periods(theta, head_dim, torch.float32))
    yield "dynamic scaling taken for linear", with_frequencies(plain / factor)


def window_mutations(spec: Checkpoint, config) -> Iterator[tuple[str, Mutation]]:
    """A window where the config has none in force; wrong windows where it has."""
    own = layer_windows(config)
    window = next(filter(None, own), None)
    other = spec.old_style_values.get("sliding_window") or spec.long_prompt // 2
    if window:
        yield "window ignored", with_windows(lambda _own: None)
        yield "window one longer", with_windows(lambda own: own and own + 1)
        yield "window one shorter", with_windows(lambda own: own and own - 1)
        if None in own:
            yield "window in every layer", with_windows(lambda _own: window)
            yield "window in the other layers", with_windows(lambda own: None if own else window)
    elif other:
        yield f"window {other}", with_windows(lambda _own: other)


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
    if hasattr(model.model.layers[0].self_attn, QK_NORMS[0]):
        yield "qk norm skipped", without_qk_norm
    yield from window_mutations(spec, config)


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
    """The float32 frequencies and the factor written out here are those of transformers, bit for bit."""
    ours = rope_bands(model.config, torch.float32)["scaled"]
    require(torch.equal(ours, model.model.rotary_emb.inv_freq), "inverse frequencies differ")
    factor = model.model.rotary_emb.attention_scaling
    require(factor == attention_factor(model.config), f"rope scales attention by {factor}")


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


def check_outliers(model: torch.nn.Module, text: list[int]) -> None:
    """Outliers are as large as in trained models, and not by a chance of the weights much larger."""
    found = MagnitudeRecorder(model).magnitudes(text)
    for name, (low, high) in OUTLIER_RANGES.items():
        require(low <= found[name] <= high, f"{name} {found[name]:.3g}")


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
    if spec.outliers:
        check_outliers(model, text)
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
        "nll": "entry i is -ln p(id i+1 | ids 0..i); nll_windowed: windows of nll_context every nll_stride ids",
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
    tensors |= nll_tensors(model, prompt + greedy_ids)
    if not greedy:
        del tensors["greedy_ids"]
    metadata = common_metadata(model) | (greedy_metadata(greedy) if greedy else {})
    return Golden(tensors, metadata)


def nll_tensors(model: torch.nn.Module, text: list[int]) -> dict[str, np.ndarray]:
    """Likelihoods over the whole text at once, and in windows as a perplexity is measured."""
    context, stride = NLL_WINDOW["long" if len(text) > NLL_WINDOW["long"][0] else "short"]
    return {
        "nll": nll_of(model, text).numpy(),
        "nll_windowed": windowed_nll_of(model, text, context, stride).numpy(),
        "nll_context": as_int32([context]),
        "nll_stride": as_int32([stride]),
    }


def row_distances(actual: np.ndarray, expected: np.ndarray) -> dict[str, float]:
    """How far rows of logits are apart: max|difference| / max|expected| by row, and the root mean squares' ratio."""
    rows = np.abs(actual - expected).max(axis=1) / np.abs(expected).max(axis=1)
    rms = np.sqrt(np.square(actual - expected).mean() / np.square(expected).mean())
    return {"worst row": float(rows.max()), "median row": float(np.median(rows)), "rms": float(rms)}


def add_stored_dtype(golden: Golden, folder: Path) -> None:
    """What transformers computes in the type a 16-bit checkpoint is stored in: a measure of that rounding."""
    dtype = AutoConfig.from_pretrained(folder, local_files_only=True).dtype
    if dtype == torch.float32:
        return
    text = [id for name in ("prompt_ids", "greedy_ids") for id in golden.tensors.get(name, as_int32([])).tolist()]
    logits = logits_of(load_model(folder, dtype), text)[golden.tensors["row_positions"].tolist()]
    require(bool(logits.isfinite().all()), f"{folder.name}: logits in {dtype} are not finite")
    golden.tensors["logits_stored_dtype"] = logits.float().numpy()
    distances = row_distances(golden.tensors["logits_stored_dtype"], golden.tensors["logits"])
    golden.metadata["logits_stored_dtype"] = f"computed in {str(dtype).removeprefix('torch.')}, one thread"
    golden.metadata["stored_dtype_distance"] = ", ".join(f"{name} {value:.2g}" for name, value in distances.items())


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


def load_model(folder: Path, dtype: torch.dtype = torch.float32) -> torch.nn.Module:
    """Any stored type, computed in float32 (or `dtype`) with eager attention."""
    model = AutoModelForCausalLM.from_pretrained(
        folder, dtype=dtype, attn_implementation="eager", local_files_only=True
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
        **(outlier_metadata(spec.outliers, candidate) if spec.outliers else {}),
    }


def outlier_metadata(outliers: Outliers, candidate: Candidate) -> dict[str, str]:
    """The outliers as they were asked for and as they came out."""
    magnitudes = MagnitudeRecorder(candidate.model).magnitudes(candidate.text)
    return {
        "outliers": json.dumps(dataclasses.asdict(outliers)),
        "magnitudes": "hidden is the embedding and every layer's output, k every layer's keys with bias before rope",
        **{name: f"{value:.4g}" for name, value in magnitudes.items()},
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
    add_stored_dtype(golden, folder)
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


def allowed_difference(tensors: dict[str, np.ndarray], name: str, tolerance: float) -> float:
    """How far another processor may be off; in 16 bits it may round elsewhere, but not more than this one."""
    if tensors[name].dtype != np.float32:
        return 0.0
    if name == "logits_stored_dtype":
        return float(np.abs(tensors[name] - tensors["logits"]).max())
    return tolerance * float(np.abs(tensors[name]).max())


def compare_golden(written: Path, fresh: Path, tolerance: float = MAX_FLOAT32_NOISE) -> None:
    """Golden tensors of another processor may differ in the last bits, their shapes and ids not."""
    left, right = safetensors.numpy.load_file(written), safetensors.numpy.load_file(fresh)
    require(left.keys() == right.keys(), f"{written}: other tensors")
    for name, value in left.items():
        require(value.shape == right[name].shape and value.dtype == right[name].dtype, f"{written}: {name}")
        difference = float(np.abs(value - right[name]).max())
        require(difference <= allowed_difference(left, name, tolerance), f"{written}: {name} differs by {difference}")


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
    add_stored_dtype(golden, folder)
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
