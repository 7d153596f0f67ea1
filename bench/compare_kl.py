#!/usr/bin/env python3
"""What quantised weights cost, here and in llama.cpp: KL(f32 || quantised) on the same ids, windows and files.

    cmake --workflow --preset release
    VENV/bin/python bench/compare_kl.py                        # the tiny trained model
    VENV/bin/python bench/compare_kl.py --model qwen2.5-0.5b   # random weights in that shape

VENV is that of compare_peers. llama.cpp's own quantiser makes the files of an f32 GGUF, so that both engines read the
same weights; with --quantize, `quantize IN OUT.gguf --type T` makes some more ("T, ours"). Each engine's base is its
own run of the f32 file. llama.cpp computes with a cache in --cache-type and without flash attention; eigenlm as it
wants for the file. Rows that are no multiple of 256 (most of the tiny model's) get a type of blocks of 32 where a K
type was asked for. Random weights show an engine's arithmetic, but say nothing about how much a type costs a trained
model.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "bench/compare_peers"), str(ROOT / "tools")]
ROWS = 64  # of logits at a time
TYPES = ["f16", "bf16", "q8_0", "q6_K", "q5_K_M", "q4_K_M", "q4_0", "q3_K_M", "q2_K", "iq4_nl", "iq4_xs"]


# The files


def write_tiny(path):
    """examples/tiny in f32, with its tokenizer."""
    import make_gguf_goldens as goldens
    import safetensors.torch

    folder = ROOT / "examples/tiny"
    config = json.loads((folder / "config.json").read_text())
    writer = goldens.GGUFWriter(path, goldens.ARCHITECTURES[config["model_type"]])
    goldens.write_config(writer, config)
    goldens.write_tokenizer(writer, folder)
    for name, tensor in safetensors.torch.load_file(folder / "model.safetensors").items():
        writer.add_tensor(goldens.gguf_name(name), tensor.float().numpy())
    goldens.close(writer)


def f32_file(options):
    if options.model != "tiny":
        import models

        wanted = ("llama.cpp", "f32")
        return models.make(options.models, options.model, [wanted])[wanted] / "model.gguf"
    path = pathlib.Path(options.models) / "tiny/f32.gguf"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_tiny(path.with_suffix(".part"))
        path.with_suffix(".part").rename(path)
    return path


def quantise(api, source, type, options):
    """By llama.cpp's quantiser; made where it is missing."""
    path = source.with_name(f"{type}{'-pure' if options.pure else ''}.gguf")
    if not path.exists():
        params = api.llama_model_quantize_default_params()
        params.ftype = getattr(api, "LLAMA_FTYPE_MOSTLY_" + type.upper())
        params.nthread, params.pure = options.threads, options.pure
        part = path.with_suffix(".part")
        if api.llama_model_quantize(str(source).encode(), str(part).encode(), params) != 0:
            raise RuntimeError(f"llama.cpp could not make {path}")
        part.rename(path)
    return path


def quantise_with(program, source, type):
    path = source.with_name(f"{type}-ours.gguf")
    if not path.exists():
        subprocess.run([program, source, path, "--type", type], check=True, stdout=sys.stderr)
    return path


def tensor_types(path):
    """What is in a file, matrices only: "Q4_0 168, Q8_0 1"."""
    import collections

    import gguf

    types = collections.Counter(t.tensor_type.name for t in gguf.GGUFReader(path).tensors if len(t.shape) > 1)
    return ", ".join(f"{name} {count}" for name, count in types.most_common())


# The text


def text_file(options, folder):
    if options.file:
        return options.file
    path = folder / "text.txt"
    program = ROOT / "tools/write_stories.py"
    subprocess.run([sys.executable, program, "--count", "30", "--seed", "20261128", "--out", path], check=True)
    return path


def ids_of(options, source, text):
    """As `score` has them."""
    found = subprocess.run([options.tokenize, "-m", source, "-f", text], check=True, stdout=subprocess.PIPE)
    return json.loads(found.stdout)


def shortened(options, source, text):
    """The beginning of a text that has about so many tokens, as a file."""
    whole = pathlib.Path(text).read_text()
    keep = int(len(whole) * options.tokens / len(ids_of(options, source, text)))
    path = source.parent / "beginning.txt"
    path.write_text(whole[:keep])
    return path


# The engines


class LlamaCpp:
    """Logits of one file."""

    def __init__(self, api, path, options):
        import gguf

        self.api = api
        params = api.llama_model_default_params()
        params.n_gpu_layers = 0
        self.model = api.llama_model_load_from_file(str(path).encode(), params)
        if not self.model:
            raise RuntimeError(f"llama.cpp could not load {path}")
        params = api.llama_context_default_params()
        params.n_ctx = params.n_batch = options.context
        params.n_ubatch = min(512, options.context)
        params.type_k = params.type_v = int(gguf.GGMLQuantizationType[options.cache_type.upper()])
        params.flash_attn_type = api.LLAMA_FLASH_ATTN_TYPE_DISABLED
        params.n_threads = params.n_threads_batch = options.threads
        self.context = api.llama_init_from_model(self.model, params)
        self.batch = api.llama_batch_init(options.context, 0, 1)
        self.vocab = api.llama_vocab_n_tokens(api.llama_model_get_vocab(self.model))

    def close(self):
        self.api.llama_batch_free(self.batch)
        self.api.llama_free(self.context)
        self.api.llama_model_free(self.model)

    def rows(self, ids, position, first):
        """Takes in ids from `position` on; the logits behind those from the index `first` on, [n, vocab]."""
        import numpy

        batch = self.batch
        batch.n_tokens = len(ids)
        for i, id in enumerate(ids):
            batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.seq_id[i][0] = id, position + i, 1, 0
            batch.logits[i] = i >= first
        if self.api.llama_decode(self.context, batch) != 0:
            raise RuntimeError("llama_decode failed")
        wanted = len(ids) - first
        if not wanted:
            return None
        logits = self.api.llama_get_logits(self.context)
        return numpy.ctypeslib.as_array(logits, (wanted * self.vocab,)).reshape(wanted, self.vocab).astype("float64")

    def logits(self, ids, context, stride):
        """Those that predict ids[1:], in parts: windows as `score` has them."""
        scored = 1
        for begin in range(0, len(ids), stride):
            end = min(begin + context, len(ids))
            self.api.llama_memory_clear(self.api.llama_get_memory(self.context), True)
            if scored - 1 > begin:
                self.rows(ids[begin : scored - 1], 0, scored - 1 - begin)
            for at in range(scored - 1, end - 1, ROWS):
                stop = min(at + ROWS, end - 1)
                yield self.rows(ids[at:stop], at - begin, 0)
            scored = end
            if end == len(ids):
                return


def log_softmax(logits):
    import numpy

    logits = logits - logits.max(axis=1, keepdims=True)
    return logits - numpy.log(numpy.exp(logits).sum(axis=1, keepdims=True))


def llama_cpp_kl(api, base, model, ids, options):
    import numpy

    kl, same, nll, at = [], [], [], 1
    engines = [LlamaCpp(api, path, options) for path in (base, model)]
    for rows in zip(*(engine.logits(ids, options.context, options.stride) for engine in engines), strict=True):
        p, q = map(log_softmax, rows)
        kl.extend((numpy.exp(p) * (p - q)).sum(axis=1))
        same.extend(p.argmax(axis=1) == q.argmax(axis=1))
        nll.extend(-q[range(len(q)), ids[at : at + len(q)]])
        at += len(q)
    for engine in engines:
        engine.close()
    assert at == len(ids)
    error = numpy.std(kl, ddof=1) / len(kl) ** 0.5
    return {"mean": float(numpy.mean(kl)), "stderr": float(error), "top1_agreement": 100 * float(numpy.mean(same)),
            "perplexity": float(numpy.exp(numpy.mean(nll)))}  # fmt: skip


def our_kl(base, model, text, count, options):
    command = [options.score, "-m", model, "--kl-base", base, "-f", text, "--json", "-c", options.context]
    command += ["--stride", options.stride, "-t", options.threads]
    found = subprocess.run([str(part) for part in command], check=True, stdout=subprocess.PIPE)
    result = json.loads(found.stdout)
    assert result["tokens"] == count, "the two engines have read different texts"
    return dict(result["kl"], perplexity=result["perplexity"])


# The table


def row(api, base, model, name, ids, text, options):
    ours = our_kl(base, model, text, len(ids), options)
    theirs = llama_cpp_kl(api, base, model, ids, options)
    ratio = ours["mean"] / theirs["mean"] if theirs["mean"] else float("nan")
    cells = [name] + [f"{r['mean']:.3g} ± {r['stderr']:.1g}" for r in (ours, theirs)] + [f"{ratio:.3f}"]
    cells += [f"{r['top1_agreement']:.2f} %" for r in (ours, theirs)]
    cells += [f"{r['perplexity']:.4f}" for r in (ours, theirs)]
    print("| " + " | ".join(cells + [tensor_types(model)]) + " |", flush=True)


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="tiny", help="tiny, or a shape of compare_peers/models.py: qwen2.5-0.5b ...")
    parser.add_argument("--types", nargs="+", default=TYPES, metavar="TYPE", help=" ".join(TYPES))
    parser.add_argument("--pure", action="store_true", help="all matrices in that one type")
    parser.add_argument("-f", "--file", type=pathlib.Path, help="the text (default: stories of tools/write_stories.py)")
    parser.add_argument("-n", "--tokens", type=int, default=2048, help="about how many of the text")
    parser.add_argument("-c", "--context", type=int, default=512)
    parser.add_argument("--stride", type=int, default=256)
    parser.add_argument("-t", "--threads", type=int, default=os.cpu_count())
    parser.add_argument("--cache-type", default="f32", choices=["f32", "f16", "bf16"], help="llama.cpp's")
    parser.add_argument("--models", default=ROOT / "build/peers", help="folder of the models, made where missing")
    for program in ("score", "tokenize"):
        parser.add_argument(f"--{program}", default=ROOT / "build/release/examples" / program, help="eigenlm's program")
    parser.add_argument("--quantize", help="eigenlm's program, for files of its own beside llama.cpp's")
    parser.add_argument("--our-types", nargs="+", default=["q8_0", "q4_0"], metavar="TYPE", help="those of --quantize")
    return parser.parse_args()


def main():
    options = parse()
    import llama_cpp as api

    quiet = api.llama_log_callback(lambda level, text, data: None)
    api.llama_log_set(quiet, None)
    api.llama_backend_init()
    base = f32_file(options)
    text = shortened(options, base, text_file(options, base.parent))
    ids = ids_of(options, base, text)
    windows = f"windows of {options.context} every {options.stride}"
    print(f"{options.model}, {len(ids)} tokens, {windows}, KL in nats per token\n")
    columns = ["type", "eigenlm's KL", "llama.cpp's KL", "ratio", "same top-1: eigenlm", "llama.cpp"]
    columns += ["perplexity: eigenlm", "llama.cpp", "matrices"]
    print("| " + " | ".join(columns) + " |\n" + "|---" * len(columns) + "|", flush=True)
    for type in options.types:
        row(api, base, quantise(api, base, type, options), type, ids, text, options)
    for type in options.our_types if options.quantize else []:
        row(api, base, quantise_with(options.quantize, base, type), f"{type}, ours", ids, text, options)


if __name__ == "__main__":
    main()
