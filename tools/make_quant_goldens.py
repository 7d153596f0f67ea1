#!/usr/bin/env python3
"""Writes random quantised blocks, and the floats that PyPI's gguf makes of them:

    tools/make_quant_goldens.py tests/data/quants

NAME.bin holds a number of blocks one behind the other, and behind them the float32 of all their elements, both
little-endian. Among the blocks' scales are zeros, the smallest and the largest subnormal half, the largest half and
infinity; there are blocks of nothing but zeros and of nothing but ones, and every byte occurs in the codes.
"""

import importlib.metadata
import pathlib
import sys

import numpy
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType
from gguf.quants import dequantize

PINNED_VERSION = "0.19.0"
SEED = 20261127
# Where the halves of a block lie.
SCALES = {
    "Q8_0": [0], "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q2_K": [80, 82], "Q3_K": [108],
    "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208], "IQ4_NL": [0], "IQ4_XS": [0],
}
EXTREMES = [0.0, -0.0, 2.0**-24, -(2.0**-24), 1023 * 2.0**-24, 65504.0, -65504.0, float("inf"), 1.0, 1 / 3]


def blocks_of(name, rng):
    elements, size = GGML_QUANT_SIZES[GGMLQuantizationType[name]]
    count = 48 if elements == 32 else 12
    blocks = rng.integers(0, 256, (count, size), dtype=numpy.uint8)
    blocks.reshape(-1)[size : size + 256] = rng.permutation(256)  # from the second block on: every byte
    for i, block in enumerate(blocks):
        for offset in SCALES[name]:
            value = rng.choice(EXTREMES) if i % 3 == 2 else rng.normal() * 10.0 ** rng.integers(-5, 3)
            block[offset : offset + 2] = numpy.frombuffer(numpy.float16(value).tobytes(), numpy.uint8)
    blocks[-2], blocks[-1] = 0, 255
    for offset in SCALES[name]:  # 255s would be NaNs
        blocks[-1, offset : offset + 2] = numpy.frombuffer(numpy.float16(-1.5).tobytes(), numpy.uint8)
    return blocks


def main(folder):
    found = importlib.metadata.version("gguf")
    if found != PINNED_VERSION:
        sys.exit(f"gguf {PINNED_VERSION} is pinned, found {found}")
    folder.mkdir(parents=True, exist_ok=True)
    numpy.seterr(all="ignore")
    for name in SCALES:
        blocks = blocks_of(name, numpy.random.default_rng(SEED))
        values = dequantize(blocks, GGMLQuantizationType[name])
        assert values.dtype == numpy.float32
        (folder / f"{name}.bin").write_bytes(blocks.tobytes() + values.astype("<f4").tobytes())
        print(f"{name}: {len(blocks)} blocks, {numpy.isfinite(values).mean():.0%} finite")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(pathlib.Path(sys.argv[1]))
