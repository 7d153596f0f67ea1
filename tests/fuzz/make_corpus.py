#!/usr/bin/env python3
"""Writes what the fuzz targets begin with, from the goldens: tests/fuzz/make_corpus.py [CORPUS]

Inputs that fuzzing found are added to the same folders by hand, under names that say what they are.
"""
import json
import pathlib
import sys

here = pathlib.Path(__file__).parent
goldens = here.parent / "data" / "goldens"
corpus = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else here / "corpus"


def write(target, name, *parts):
    """One input: a file's text, or the texts of two with a line of dashes between them."""
    folder = corpus / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(b"\n---\n".join(parts))


def configs():
    for config in sorted(goldens.glob("*/config.json")):
        generation = config.with_name("generation_config.json")
        write("config", config.parent.name, config.read_bytes(), generation.read_bytes())
    tiny = here.parent.parent / "examples" / "tiny"
    write("config", "tiny", (tiny / "config.json").read_bytes(), (tiny / "generation_config.json").read_bytes())
    alone = (tiny / "config.json").read_bytes()
    write("config", "alone", alone)
    for name, fields in {  # once refused under another name, or not at all
        "bos": {"bos_token_id": -2},
        "rope-type": {"rope_scaling": {"type": "su"}},
        "yarn-ratio": {"rope_scaling": {"type": "yarn", "factor": None, "original_max_position_embeddings": 1 << 24}},
        "heads": {"head_dim": 1024},
    }.items():
        write("config", name, json.dumps(json.loads(alone) | fields).encode())
    write("config", "null", alone, b"null")


def headers():
    """A golden's first tensors, cut down to six numbers each: their names and types are what matters."""
    for name in ("qwen2-untied", "llama31-scaled", "llama-gqa"):
        file = (goldens / name / "model.safetensors").read_bytes()
        size = int.from_bytes(file[:8], "little")
        tensors = json.loads(file[8 : 8 + size])
        header, data = {"__metadata__": {"format": "pt"}}, b""
        for key in list(tensors)[:4] + ["model.norm.weight", "model.layers.0.self_attn.q_proj.bias"]:
            if key == "__metadata__" or key in header or key not in tensors:
                continue
            dtype, begin = tensors[key]["dtype"], len(data)
            data += file[8 + size :][: 6 * (4 if dtype == "F32" else 2)]
            header[key] = {"dtype": dtype, "shape": [2, 3], "data_offsets": [begin, len(data)]}
        text = json.dumps(header).encode()
        write("safetensors", name, text, data)
        write("safetensors", name + "-whole", len(text).to_bytes(8, "little") + text + data)
    write("safetensors", "every-dtype", *every_dtype())
    write("safetensors", "no-tensors", b"{}", b"")


def every_dtype():
    sizes = {"F64": 8, "F32": 4, "F16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "BOOL": 1, "F8_E4M3": 1}
    header, end = {"none": {"dtype": "BF16", "shape": [1, 0, 1], "data_offsets": [0, 0]}}, 0
    for name, (dtype, size) in zip("dabefcghi", sizes.items()):
        header[name] = {"dtype": dtype, "shape": [1], "data_offsets": [end, end + size]}
        end += size
    return json.dumps(header).encode(), bytes(end)


def indices():
    one, two, cut_off, folder = (f"{n}.safetensors" for n in range(1, 5))
    good = {"a": one, "b": one, "c": two}
    for name, content in {
        "good": {"metadata": {"total_size": 36}, "weight_map": good},
        "absent": {"weight_map": {"a": "5.safetensors"}},
        "cut-off": {"weight_map": dict(good, d=cut_off)},
        "folder": {"weight_map": dict(good, d=folder)},
        "elsewhere": {"weight_map": {"a": "../" + one}},
        "empty": {"weight_map": {}},
        "wrong-shard": {"weight_map": dict(good, a=two)},
    }.items():
        write("index", name, json.dumps(content).encode())


configs()
headers()
indices()
