#!/usr/bin/env python3
"""Writes numbers, the blocks that PyPI's gguf makes of them, and how far off ggml's blocks are:

    tools/make_quantise_goldens.py tests/data/quantise

numbers.bin holds the float32 of several rows. NAME.bin holds the blocks that gguf.quants makes of all of them, for the
types that it can make. rows.json says which row begins where and, for the types that need a search, what ggml's own
quantiser (llama-cpp-python's library, no importance matrix) leaves: the mean of (x - y)^2, and that of x^2 (x - y)^2.
The row "special" is there for the blocks: ties, constant blocks, zeros, scales that are subnormal halves or halves' limits.
"""

import ctypes
import importlib.metadata
import json
import pathlib
import sys

import llama_cpp
import numpy
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType
from gguf.quants import dequantize, quantize
from safetensors import safe_open

PINNED_VERSIONS = {"gguf": "0.19.0", "llama-cpp-python": "0.3.36"}
SEED = 20261128
COUNT = 1024
EXACT = ["Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1"]
SEARCHED = ["Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS"]


def ggml():
    library = ctypes.CDLL(str(next((pathlib.Path(llama_cpp.__file__).parent / "lib").glob("libggml-base.so"))))
    library.ggml_quantize_chunk.restype = ctypes.c_size_t
    library.ggml_quantize_chunk.argtypes = [
        ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p]
    return library


def ggml_blocks(library, name, row):
    kind = GGMLQuantizationType[name]
    elements, size = GGML_QUANT_SIZES[kind]
    blocks = numpy.zeros(len(row) // elements * size, numpy.uint8)
    library.ggml_quantize_init(int(kind))
    written = library.ggml_quantize_chunk(int(kind), row.ctypes.data, blocks.ctypes.data, 0, 1, len(row), None)
    assert written == blocks.size
    return blocks


def special_row(rng):
    blocks = [numpy.zeros(32), numpy.full(32, 0.25), numpy.full(32, -3.0), numpy.full(32, 1e-5), numpy.full(32, -0.0)]
    blocks.append(numpy.arange(32) - 16.0)
    blocks.append(numpy.append(rng.integers(-127, 127, 31) + 0.5, 127))  # ties, all of them exact
    blocks.append(numpy.append(rng.integers(-8, 8, 31) + 0.5, -8))
    blocks.append(numpy.append(rng.integers(-16, 16, 31) + 0.5, -16))
    blocks.append(numpy.append(rng.integers(0, 15, 30) + 0.5, [0, 15]))
    blocks.append(numpy.append(rng.integers(0, 31, 30) + 0.5, [0, 31]))
    blocks.append(numpy.eye(32)[5] * -7.5)  # one number
    blocks.append(numpy.where(numpy.arange(32) % 2, 1.0, -1.0))  # two that are the largest
    for exponent in [-30, -24, -20, -14, -9, -6, -5, -3, -2, 1, 3, 4]:
        blocks.append(rng.normal(size=32) * 10.0**exponent)
    blocks.append(rng.uniform(-65500, 65500, 32))
    while len(blocks) < COUNT // 32:
        blocks.append(rng.choice([0.0, 0.5, -0.5, 1.0, -1.0, 2.0], 32) * 2.0 ** rng.integers(-12, 12))
    return numpy.concatenate(blocks)


def tiny_model(rng):
    path = pathlib.Path(__file__).parent.parent / "examples" / "tiny" / "model.safetensors"
    with safe_open(path, "pt") as file:
        names = [n for n in sorted(file.keys()) if "proj.weight" in n]
        chosen = rng.choice(names, COUNT // 256, replace=False)
        flat = [file.get_tensor(str(n)).float().numpy().reshape(-1) for n in chosen]
    return numpy.concatenate([f[at * 256 : at * 256 + 256] for f in flat for at in [rng.integers(len(f) // 256)]])


def rows():
    rng = numpy.random.default_rng(SEED)
    spread = rng.normal(size=COUNT)
    return {
        "normal": 0.02 * rng.normal(size=COUNT),
        "uniform": rng.uniform(-0.1, 0.1, COUNT),
        "student": 0.02 * rng.standard_t(3, COUNT),
        "outliers": 0.02 * numpy.where(rng.uniform(size=COUNT) < 0.01, 20 * spread, spread),
        "shifted": 0.02 * rng.normal(size=COUNT) + 0.01,
        "tiny": tiny_model(rng),
        "special": special_row(rng),
    }


def main(folder):
    for package, version in PINNED_VERSIONS.items():
        found = importlib.metadata.version(package)
        if found != version:
            sys.exit(f"{package} {version} is pinned, found {found}")
    folder.mkdir(parents=True, exist_ok=True)
    made = {name: row.astype("<f4") for name, row in rows().items()}
    numbers = numpy.concatenate(list(made.values()))
    (folder / "numbers.bin").write_bytes(numbers.tobytes())
    for name in EXACT:
        (folder / f"{name}.bin").write_bytes(quantize(numbers, GGMLQuantizationType[name]).tobytes())
    library, entries = ggml(), []
    for i, (kind, row) in enumerate(made.items()):
        entry = {"row": kind, "first": i * COUNT, "count": COUNT, "errors": {}}
        for name in SEARCHED if kind != "special" else []:
            y = dequantize(ggml_blocks(library, name, row), GGMLQuantizationType[name])
            x, error = row.astype(float), row.astype(float) - y.astype(float)
            entry["errors"][name] = [float(numpy.mean(error**2)), float(numpy.mean(x**2 * error**2))]
        entries.append(entry)
    (folder / "rows.json").write_text(json.dumps(entries, indent=1) + "\n")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(pathlib.Path(sys.argv[1]))
