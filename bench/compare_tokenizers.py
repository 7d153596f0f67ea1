#!/usr/bin/env python3
"""Compares this library's tokenizers with the PyPI package `tokenizers`, in turns on one thread each.

    python bench/compare_tokenizers.py [--program build/release/bench/tokenizer_bench] [--rounds 5] MODEL...

MODELs are folders with a tokenizer.json. The text is ten megabytes of made-up words of fourteen alphabets, as frequent as
words are (Zipf's law), sentences, code, numbers and emoji, the same for every run. Both sides must give as many ids.
Prints a table of medians of the rounds' ratios.
"""

import argparse
import itertools
import json
import os
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"
import tokenizers  # noqa: E402

home = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(home / "tools"))
from make_tokenizer_corpus import CODE, EMOJI, LANGUAGES  # noqa: E402

BYTES = 10_000_000
ALPHABETS = """etaoinshrdlucmfwypvbgk eetaoinshrdluäöüß aeiounsrtéèçà aeosrnñióá оеаинтсрвлкмдпу αοιετσνηυρπκ
的一是不了在人有我他这中大来上国 のにはをたがでてとしれさ 이다에의는로하고을가 اليمنوتربةعد कारेनसीतमपहयल านรกเมอยลท aănhitcgđêô יולאהמרבתש""".split()


def mixed_text():
    rng = random.Random(5)
    length = lambda: min(12, 1 + int(rng.expovariate(0.25)))
    words = ["".join(rng.choice(a) for _ in range(length())) for a in ALPHABETS for _ in range(8000)]
    rng.shuffle(words)
    weights = list(itertools.accumulate(1 / (rank + 1) for rank in range(len(words))))
    parts, size = [], 0
    while size < BYTES:
        kind = rng.random()
        if kind < 0.55:
            part = " ".join(rng.choices(words, cum_weights=weights, k=rng.randint(5, 25)))
            part += rng.choice([". ", ", ", "\n", "! ", "? ", "\r\n\r\n"])
        elif kind < 0.75:
            part = rng.choice(LANGUAGES) + "\n"
        elif kind < 0.92:
            part = rng.choice(CODE)
        elif kind < 0.96:
            part = " ".join(str(rng.randrange(10 ** rng.randint(1, 9))) for _ in range(5)) + "\n"
        else:
            part = rng.choice(EMOJI) + " "
        parts.append(part)
        size += len(part.encode())
    return "".join(parts)


def theirs(model, text):
    begin = time.perf_counter()
    tokenizer = tokenizers.Tokenizer.from_file(str(pathlib.Path(model) / "tokenizer.json"))
    loaded = time.perf_counter()
    ids = len(tokenizer.encode(text).ids)
    encoded = time.perf_counter()
    return {"load_s": loaded - begin, "encode_mb_per_s": len(text.encode()) / 1e6 / (encoded - loaded), "ids": ids}


def ours(program, model, file):
    command = [program, "-m", model, "-f", file, "-r", "1", "--json"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="MODEL")
    parser.add_argument("--program", default=str(home / "build/release/bench/tokenizer_bench"))
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    text = mixed_text()
    print("| tokenizer | load, ours | theirs | ratio | encode, ours | theirs | ratio |\n|---|---|---|---|---|---|---|")
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", newline="", suffix=".txt") as file:
        file.write(text)
        file.flush()
        for model in arguments.models:
            rounds = [(ours(arguments.program, model, file.name), theirs(model, text)) for _ in range(arguments.rounds)]
            if any(a["ids"] != b["ids"] for a, b in rounds):
                sys.exit(f"{model}: {rounds[0][0]['ids']} ids, expected {rounds[0][1]['ids']}")
            median = lambda value: statistics.median(value(a, b) for a, b in rounds)
            print(
                f"| {pathlib.Path(model).name} | {1e3 * median(lambda a, b: a['load_s']):.0f} ms"
                f" | {1e3 * median(lambda a, b: b['load_s']):.0f} ms | {median(lambda a, b: b['load_s'] / a['load_s']):.1f}x"
                f" | {median(lambda a, b: a['encode_mb_per_s']):.1f} MB/s"
                f" | {median(lambda a, b: b['encode_mb_per_s']):.2f} MB/s"
                f" | {median(lambda a, b: a['encode_mb_per_s'] / b['encode_mb_per_s']):.1f}x |",
                flush=True,
            )
    print(f"\ntokenizers {tokenizers.__version__}; medians of {arguments.rounds} rounds, one thread")


if __name__ == "__main__":
    main()
