#!/usr/bin/env python3
"""Sets eigenlm beside the engines people would otherwise pick: equal shapes, precisions and threads, in turns.

    python3 -m venv VENV
    CMAKE_ARGS="-DGGML_NATIVE=ON -DCMAKE_CXX_FLAGS='-fno-tree-dse -fno-dse'" \\
        VENV/bin/pip install -r bench/compare_peers/requirements.txt
    cmake --workflow --preset release
    VENV/bin/python bench/compare_peers

(The flags: g++ 12 drops a store before the tile configuration of llama.cpp, which then dies on processors with AMX.)
Every engine runs in a process of its own, stopped while it is not its turn. Each round gives all of them the same new
random prompt and a few greedy ids to decode; the ratios are medians of the rounds' own.

Quantised types: eigenlm and llama.cpp read the very same GGUF file, which llama.cpp has made (q4_K is its Q4_K_M, and
so on: its usual mixtures), and keep an f16 cache. Of the others those that have weights of as many bits take part, in
their own formats: q8_0 stands for int8 weights of OpenVINO and CTranslate2, q4_0 for OpenVINO's int4; cache, inference
and dynamic quantisation are what they choose themselves. The lines behind the table tell.
"""

import argparse
import ctypes
import json
import os
import pathlib
import random
import select
import signal
import statistics
import subprocess
import sys

import engines
import models

DTYPES = ["f32", "bf16", "f16", *models.MIXTURES]
SUPPORTED = {  # on CPUs; by the others: all
    "ctranslate2": ["f32", "q8_0"], "openvino-genai": ["f32", "bf16", "q8_0", "q4_0"], "transformers": ["f32", "bf16"]
}  # fmt: skip
BUSY = [sys.executable, "-c", "while True: pass"]
ROOT = pathlib.Path(__file__).resolve().parents[2]


def die_with_parent():
    """In a child: a stopped process would otherwise outlive a killed one that had stopped it."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Worker:
    """An engine's process; runs only while it is asked."""

    def __init__(self, name, command, environment, patience):
        self.name, self.patience = name, patience
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
            start_new_session=True, preexec_fn=die_with_parent,
        )  # fmt: skip
        try:
            self.about = self.answer()["about"]
        except BaseException:
            self.close()
            raise
        self.process.send_signal(signal.SIGSTOP)

    def answer(self):
        if not select.select([self.process.stdout], [], [], self.patience)[0]:
            raise RuntimeError(f"{self.name} has not answered for {self.patience} s")
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} ended with status {self.process.wait()}")
        return json.loads(line)

    def ask(self, request):
        self.process.send_signal(signal.SIGCONT)
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        answer = self.answer()
        self.process.send_signal(signal.SIGSTOP)
        return answer

    def close(self):
        self.process.kill()
        self.process.wait()


def start(name, options, path, dtype):
    context = options.depth + max(options.prompt) + options.n_gen + 1
    environment = dict(os.environ, OMP_NUM_THREADS=str(options.threads), TOKENIZERS_PARALLELISM="false")
    if name == "eigenlm":
        model = [path / "model.gguf"] if dtype in models.MIXTURES else [path, "--dtype", dtype]
        command = [options.throughput, "--serve", "-m", *model, "-t", options.threads]
        command += ["-p", max(options.prompt), "-n", options.n_gen, "-d", options.depth, "--numerics", options.numerics]
    else:
        settings = json.dumps(
            {"path": str(path), "dtype": dtype, "threads": options.threads, "context": context}
        )
        command = [sys.executable, pathlib.Path(__file__).parent, "--worker", name, settings]
    return Worker(name, [str(part) for part in command], environment, options.patience)


def measure(workers, options, prompt, vocab):
    """The rates of all engines, round by round: {name: {"prefill": [tokens/s], "decode": [tokens/s]}}."""
    rates = {worker.name: {"prefill": [], "decode": [], "same_ids": []} for worker in workers}
    source = random.Random(prompt)
    for round_number in range(options.rounds + 1):
        ids = [source.randrange(1, vocab) for _ in range(options.depth + prompt)]
        request = {"behind": ids[: options.depth], "prompt": ids[options.depth :], "generate": options.n_gen}
        turns = source.sample(workers, len(workers))  # nobody always follows the same one
        answers = {worker.name: worker.ask(request) for worker in turns}
        if round_number == 0:  # warms up
            continue
        for name, answer in answers.items():
            rates[name]["prefill"].append(prompt / answer["prefill"])
            rates[name]["decode"].append(options.n_gen / answer["decode"])
            ours = answers["eigenlm"]["ids"]
            if len(answer["ids"]) != len(ours):
                raise RuntimeError(f"{name} has made {len(answer['ids'])} ids instead of {len(ours)}")
            same = next((i for i, (a, b) in enumerate(zip(ours, answer["ids"])) if a != b), len(ours))
            rates[name]["same_ids"].append(same)
    return rates


def table(rates, about, dtype, prompt, n_gen):
    ours = rates["eigenlm"]
    rows = []
    for name, own in rates.items():
        row = {"engine": name, "about": about[name], "dtype": dtype, "prompt": prompt, "generated": n_gen}
        for test in ("prefill", "decode"):
            ratios = [a / b for a, b in zip(ours[test], own[test])]
            row[test] = {
                "tokens_per_s": statistics.median(own[test]),
                "eigenlm_times_as_fast": statistics.median(ratios), "least": min(ratios), "most": max(ratios),
            }  # fmt: skip
        row["same_ids"] = statistics.median(own["same_ids"])
        rows.append(row)
    return rows


def print_rows(rows):
    for row in rows:
        cells = [row["engine"], row["dtype"]]
        for test, label in (("prefill", row["prompt"]), ("decode", row["generated"])):
            r = row[test]
            cells += [str(label), f"{r['tokens_per_s']:.1f}"]
            ratio = f"{r['eigenlm_times_as_fast']:.2f}x ({r['least']:.2f} .. {r['most']:.2f})"
            cells.append("" if row["engine"] == "eigenlm" else ratio)
        cells.append(f"{row['same_ids']:.0f} of {row['generated'] + 1}")
        print("| " + " | ".join(cells) + " |", flush=True)


def cpu_name():
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")


def positive(text):
    if int(text) <= 0:
        raise argparse.ArgumentTypeError("expected a positive number")
    return int(text)


def parse():
    parser = argparse.ArgumentParser(
        prog="compare_peers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    known = ["eigenlm", *engines.ENGINES]
    parser.add_argument("--shape", default="qwen2.5-0.5b", choices=models.SHAPES)
    parser.add_argument("--engines", nargs="+", default=known, choices=known, metavar="ENGINE", help=" ".join(known))
    parser.add_argument("--dtype", nargs="+", default=["f32", "bf16"], choices=DTYPES, metavar="TYPE",
                        help=" ".join(DTYPES))
    parser.add_argument("--numerics", default="same-bits", choices=["same-bits", "fastest"], help="eigenlm's")
    parser.add_argument("-t", "--threads", type=positive, default=os.cpu_count())
    parser.add_argument("-p", "--prompt", type=positive, nargs="+", default=[256], help="tokens of the prompts")
    parser.add_argument("-d", "--depth", type=int, default=0, help="tokens that are there before; not of all engines")
    parser.add_argument("--neighbours", type=int, default=0, help="processes that keep the processors busy meanwhile")
    parser.add_argument("-n", "--n-gen", type=positive, default=32, help="tokens to decode behind each")
    parser.add_argument("--patience", type=positive, default=900, help="seconds after which an engine has hung")
    parser.add_argument("-r", "--rounds", type=positive, default=9, help="rounds, after one that warms up")
    parser.add_argument("--models", default=ROOT / "build/peers", help="folder of the models, made where missing")
    parser.add_argument("--throughput", default=ROOT / "build/release/bench/throughput", help="eigenlm's program")
    parser.add_argument("-o", "--output", default="md", choices=["md", "json"])
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    return parser.parse_args()


def main():
    options = parse()
    if options.worker:
        name, settings = options.worker[0], json.loads(options.worker[1])
        settings["path"] = pathlib.Path(settings["path"])
        return engines.serve(name, **settings)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    names = ["eigenlm"] + [name for name in options.engines if name != "eigenlm"]
    names = [name for name in names if not (options.depth and name in engines.WHOLE_PROMPTS)]
    wanted = [(name, dtype) for dtype in options.dtype for name in names if dtype in SUPPORTED.get(name, DTYPES)]
    paths = models.make(options.models, options.shape, wanted)
    vocab = models.SHAPES[options.shape]["vocab_size"]
    all_rows = []
    if options.output == "md":
        print(f"{options.shape}, {options.threads} threads, {options.rounds} rounds, {cpu_name()}", end="")
        print(f", behind {options.depth} tokens" if options.depth else "", end="")
        print(f", {options.neighbours} busy neighbours\n" if options.neighbours else "\n")
        print("| engine | dtype | prompt | tokens/s | eigenlm ÷ it | decoded | tokens/s | eigenlm ÷ it | same ids |")
        print("|---|---|---|---|---|---|---|---|---|", flush=True)
    for dtype in options.dtype:
        workers = []
        neighbours = [subprocess.Popen(BUSY, preexec_fn=die_with_parent) for _ in range(options.neighbours)]
        try:
            for name in names:
                if (name, dtype) in paths:
                    workers.append(start(name, options, paths[name, dtype], dtype))
            about = {worker.name: worker.about for worker in workers}
            for prompt in options.prompt:
                rows = table(measure(workers, options, prompt, vocab), about, dtype, prompt, options.n_gen)
                all_rows += rows
                if options.output == "md":
                    print_rows(rows)
        finally:
            for worker in workers:
                worker.close()
            for neighbour in neighbours:
                neighbour.kill()
    if options.output == "json":
        print(json.dumps({"shape": options.shape, "threads": options.threads, "cpu": cpu_name(), "rows": all_rows}, indent=2))
    else:
        print()
        for line in sorted({f"- {row['engine']} ({row['dtype']}): {row['about']}" for row in all_rows}):
            print(line)


if __name__ == "__main__":
    main()
