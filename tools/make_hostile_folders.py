#!/usr/bin/env python3
"""Writes model folders that are broken in one place each, from a good one:

    tools/make_hostile_folders.py MODEL OUT [--tokenizer TOKENIZER_JSON]

MODEL is a small Qwen2 folder with one model.safetensors, such as tests/data/goldens/qwen2-untied; where it has no
tokenizer.json, the option names one. Each case becomes OUT/NAME/model, and OUT/NAME/expected.json says how a load of it
must end:

    kind           "ok", or the error's: "format", "io", "unsupported", "resource"
    words          what the one-line message must contain: the file, and the field or tensor in it
    memory         bytes by which the process may grow beyond what tests/hostile/run.py allows for the files
    address_space  bytes that the process may have at most
    unless_root    true: root can read what others cannot, so that there is nothing to see

OUT/manifest.json lists them all. The same MODEL always gives the same folders.
"""
import argparse
import copy
import dataclasses
import json
import math
import os
import pathlib
import re
import shutil

CONFIG, GENERATION, TOKENIZER = "config.json", "generation_config.json", "tokenizer.json"
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
SHARDS = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
MIB = 1 << 20


# ---- What may stand in a folder instead of a good file: bytes, NOTHING, or one of these.

NOTHING = None


def make(path, content):
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not NOTHING:
        content.make(path)


class Directory:
    def make(self, path):
        path.mkdir()


class Fifo:
    def make(self, path):
        os.mkfifo(path)


@dataclasses.dataclass
class Link:
    target: str

    def make(self, path):
        path.symlink_to(self.target)


@dataclasses.dataclass
class Unreadable:
    content: bytes

    def make(self, path):
        path.write_bytes(self.content)
        path.chmod(0)


@dataclasses.dataclass
class Sparse:
    """A file that claims to be large and holds only its beginning."""

    content: bytes
    size: int

    def make(self, path):
        path.write_bytes(self.content)
        os.truncate(path, self.size)


@dataclasses.dataclass
class Case:
    name: str
    kind: str
    words: list
    files: dict  # file name -> what stands there; the others are the good folder's
    extra: dict = dataclasses.field(default_factory=dict)  # more of expected.json
    folder: object = None  # what stands there instead of the whole folder

    def expected(self):
        return {"kind": self.kind, "words": self.words} | self.extra


cases = []


def case(name, kind, words, files=None, folder=None, **extra):
    name = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    assert all(c.name != name for c in cases), name
    cases.append(Case(name, kind, [words] if isinstance(words, str) else words, files or {}, extra, folder))


def to_json(value):
    """As bytes; a Token is written as it stands."""
    text = json.dumps(value, default=lambda token: f"<<{token.text}>>")
    return re.sub(r'"<<(.*?)>>"', lambda m: json.loads(f'"{m[1]}"'), text).encode()


@dataclasses.dataclass
class Token:
    """Text in the place of a JSON value that Python would not write."""

    text: str


MISSING = object()


def changed(content, fields):
    """A copy with other fields; "a.b" is the field b of a."""
    result = copy.deepcopy(content)
    for key, value in fields.items():
        *path, last = key.split(".")
        at = result
        for part in path:
            at = at.setdefault(part, {})
        if value is MISSING:
            at.pop(last, None)
        else:
            at[last] = copy.deepcopy(value)
    return result


def nested(depth, opening="[", closing="]"):
    return opening * depth + "1" + closing * depth


# ---- safetensors


@dataclasses.dataclass
class Safetensors:
    header: dict
    data: bytes

    @staticmethod
    def read(path):
        file = path.read_bytes()
        size = int.from_bytes(file[:8], "little")
        return Safetensors(json.loads(file[8 : 8 + size]), file[8 + size :])

    def bytes(self):
        return with_length(to_json(self.header)) + self.data

    def subset(self, names):
        part = Safetensors({}, b"")
        for name in names:
            begin, end = self.header[name]["data_offsets"]
            part.header[name] = dict(self.header[name], data_offsets=[len(part.data), len(part.data) + end - begin])
            part.data += self.data[begin:end]
        return part


def with_length(header, length=None):
    return (len(header) if length is None else length).to_bytes(8, "little") + header


def tensor_cases(good):
    """One field of one tensor's entry."""
    name = "model.norm.weight"
    entry = good.header[name]
    [hidden], (begin, end) = entry["shape"], entry["data_offsets"]
    assert entry["dtype"] in ("BF16", "F16"), "two bytes per number"

    def broken(title, kind, words, **fields):
        words = [words] if isinstance(words, str) else words
        header = good.header | {name: changed(entry, fields)}
        case("tensor " + title, kind, [f"{WEIGHTS}: {name}"] + words, {WEIGHTS: Safetensors(header, good.data).bytes()})

    for title, value in {"missing": MISSING, "null": None, "a number": 16, "a list": ["BF16"], "an object": {}}.items():
        broken("dtype is " + title, "format", "dtype", dtype=value)
    for title, value in {"unknown": "F31", "lowercase": "bf16", "empty": "", "padded": "BF16 ",
                         "of 100 kB": "F" * 100000}.items():
        broken("dtype is " + title, "format", [".dtype", "unknown"], dtype=value)
    for dtype in ("I16", "U16"):
        broken("dtype is " + dtype, "unsupported", [dtype, "not supported"], dtype=dtype)
    for dtype in ("F8_E4M3", "BOOL", "U8"):
        broken("dtype is " + dtype, "unsupported", [dtype, "not supported"], dtype=dtype, shape=[2 * hidden])
    broken("dtype is too large", "format", [".data_offsets", f"expected {4 * hidden} bytes"], dtype="F32")

    shapes = {
        "missing": MISSING, "null": None, "a number": hidden, "text": str(hidden), "an object": {"0": hidden},
        "negative": [-hidden], "negative twice": [-hidden, -1], "a float": [hidden + 0.5],
        "a whole float": [Token(f"{hidden}.0")],
        "of text": [str(hidden)], "of null": [None], "of true": [True], "of lists": [[hidden]],
        "2 to the 63": [1 << 63], "2 to the 64": [1 << 64], "1e308": [1e308],
        "overflowing": [1 << 32, 1 << 32], "overflowing to the right size": [(1 << 63) + hidden, 2],
        "overflowing three times": [1 << 60, 1 << 60, 1 << 60], "overflowing before a zero": [1 << 63, 1 << 63, 0],
    }
    for title, value in shapes.items():
        broken("shape is " + title, "format", ".shape", shape=value)
    broken("shape is empty", "format", [".data_offsets", "expected 2 bytes"], shape=[])
    broken("shape is zero", "format", [".data_offsets", "expected 0 bytes"], shape=[0])
    broken("shape is larger", "format", [".data_offsets", "[512, 4096]"], shape=[512, 4096])
    broken("shape is of another rank", "format", f"expected shape [{hidden}], found [1, {hidden}]", shape=[1, hidden])
    broken("shape is of 100000 dimensions", "format", "expected shape", shape=[hidden] + [1] * 100000)

    offsets = {
        "missing": MISSING, "null": None, "a number": begin, "text": f"{begin},{end}",
        "an object": {"begin": begin, "end": end},
        "empty": [], "one": [begin], "three": [begin, end, end], "negative": [-2, end],
        "floats": [begin + 0.5, end + 0.5],
        "text in a list": [str(begin), str(end)], "null in a list": [None, None], "NaN": [Token("NaN"), end],
        "reversed": [end, begin], "beyond the end": [len(good.data), len(good.data) + end - begin],
        "too long": [begin, end + 2], "too short": [begin, end - 2], "huge": [begin, 1 << 62],
        "2 to the 64": [begin, 1 << 64], "2 to the 64 less the size": [(1 << 64) - (end - begin), (1 << 64) - 1],
        "1e308": [begin, 1e308], "100000": list(range(100000)),
    }
    for title, value in offsets.items():
        broken("offsets are " + title, "format", "data_offsets", data_offsets=value)

    def with_entries(title, words, entries, data=good.data, kind="format"):
        case("tensor " + title, kind, [WEIGHTS] + words, {WEIGHTS: Safetensors(good.header | entries, data).bytes()})

    before = {"before": dict(entry, data_offsets=[begin - 2, end - 2])}
    with_entries("overlaps another", ["data_offsets", "begin at byte"], before)
    with_entries("shares its bytes", ["data_offsets", "begin at byte"], {"copy": entry})
    last = {"last": {"dtype": "U8", "shape": [1], "data_offsets": [len(good.data) + 1, len(good.data) + 2]}}
    with_entries("leaves a hole before it", [": last.data_offsets", "begin at byte"], last, good.data + b"\0\0")
    for title, value in {"a number": 1, "null": None, "a list": [entry], "text": "BF16", "true": True}.items():
        with_entries("is " + title, [f": {name}", "JSON object"], {name: value})
    broken_text = to_json(good.header).replace(b'"dtype"', b'"dtype": "F32", "dtype"', 1)
    case("tensor with a field twice", "format", [WEIGHTS, "duplicate key", "dtype"],
         {WEIGHTS: with_length(broken_text) + good.data})
    twice = to_json(good.header)[:-1] + f', "{name}": '.encode() + to_json(entry) + b"}"
    case("tensor twice", "format", [WEIGHTS, "duplicate key", name], {WEIGHTS: with_length(twice) + good.data})
    gate = "model.layers.0.mlp.gate_proj.weight"
    transposed = dict(good.header[gate], shape=good.header[gate]["shape"][::-1])
    with_entries("is transposed", [f": {gate}", "expected shape"], {gate: transposed})
    for key in good.header:
        if key != "__metadata__" and ".layers.1." not in key:
            renamed = {("another" if other == key else other): value for other, value in good.header.items()}
            case(f"tensor {key} is missing", "format", [f"{WEIGHTS}: {key}", "tensor is missing"],
                 {WEIGHTS: Safetensors(renamed, good.data).bytes()})


def header_cases(good):
    header, data = to_json(good.header), good.data

    def file(title, words, content, kind="format", **extra):
        case(title, kind, [WEIGHTS] + words, {WEIGHTS: content}, **extra)

    file("weights are empty", ["at least 8 bytes", "found 0"], b"")
    file("weights are 7 bytes", ["at least 8 bytes", "found 7"], bytes(7))
    file("weights are 8 zeros", ["not valid JSON"], bytes(8))
    file("weights are a length alone", ["truncated", "header"], with_length(header)[:8])
    file("weights are cut off in the header", ["truncated", "header"], with_length(header)[:100])
    file("weights are a header alone", ["data_offsets", "0 data bytes"], with_length(header))
    file("weights lack a byte", ["data_offsets", "truncated?"], (with_length(header) + data)[:-1])
    file("weights lack their second half", ["data_offsets", "truncated?"], with_length(header) + data[: len(data) // 2])
    file("weights with a byte more", ["fill the file's"], with_length(header) + data + b"\0")
    file("weights with a megabyte more", ["fill the file's"], with_length(header) + data + bytes(MIB))
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 1\n"
    file("weights are a git-lfs pointer", ["header"], pointer)
    file("weights are pickled", ["header"], b"PK\x03\x04" + bytes(range(256)) * 64)
    file("weights are gguf", ["header"], b"GGUF" + bytes(range(256)) * 64)
    file("weights are html", ["header"], b"<!DOCTYPE html><html><body>404</body></html>")
    for title, length in {
        "one more than the file": len(header) + len(data) + 1, "2 to the 62": 1 << 62, "2 to the 63": 1 << 63,
        "2 to the 64 less 1": (1 << 64) - 1, "2 to the 64 less 8": (1 << 64) - 8,
    }.items():
        file("header length is " + title, ["truncated", "header", str(length)], with_length(header, length) + data)
    for title, length in {"zero": 0, "one": 1, "one less": len(header) - 1, "into the data": len(header) + 100}.items():
        file("header length is " + title, ["not valid JSON"], with_length(header, length) + data)
    file("header length is above the limit", ["header of at most 100000000 bytes"],
         Sparse(with_length(b"{", 100000001), 1 << 30))
    file("header is large and empty", ["not valid JSON"], Sparse(with_length(b"{", 64 * MIB), 1 << 40),
         memory=2 * 64 * MIB)

    for title, text in {
        "no json": b"hello", "cut off": header[:-10], "followed by junk": header + b"x",
        "with a comma at its end": header[:-1] + b",}",
        "with a byte zero": header[:-1] + b"\0}", "with a byte zero behind it": header + b"\0",
        "not utf-8": header.replace(b"model", b"\xff\xfe", 1),
        "utf-16": header.decode().encode("utf-16"), "with nan": b'{"a": NaN}',
        "of single quotes": header.replace(b'"', b"'"),
        "with a comment": b"// tensors\n" + header, "with a lone surrogate": b'{"\\ud800": 1}',
    }.items():
        file("header is " + title, ["not valid JSON"], with_length(text) + data)
    for title, text in {"a list": b"[]", "a number": b"1", "text": b'"a"', "null": b"null", "true": b"true"}.items():
        file("header is " + title, ["JSON object"], with_length(text) + data)
    file("header is empty", ["fill the file's"], with_length(b"{}") + data)
    file("header is empty without data", [": model.embed_tokens.weight", "tensor is missing"], with_length(b"{}"))
    for title, text in {
        "100000 lists": nested(100000), "100000 open lists": "[" * 100000,
        "100000 objects": nested(100000, '{"a":', "}"),
        "lists in a tensor": '{"a": ' + nested(65) + "}",
    }.items():
        file("header nests " + title, ["nested deeper"], with_length(text.encode()) + data)
    file("header with too many values", ["more than 1048576 JSON values"],
         with_length(b'{"a": [' + b"[]," * MIB + b"1]}") + data)
    file("header with a long name", ["dtype"], with_length(b'{"' + b"x" * MIB + b'": {"dtype": 1}}') + data)
    file("header with line breaks in a name", ["JSON object"], with_length(b'{"a\\nb\\tc": 1}') + data)
    file("header with an open text of 4 MiB", ["not valid JSON"], with_length(b'{"a": "' + b"x" * (4 * MIB)) + data)

    size = 1 << 40
    file("weights of a terabyte that is not there", ["fill the file's"], Sparse(with_length(header) + data, size))
    case("header with a field that nobody knows", "ok", [],
         {WEIGHTS: with_length(header.replace(b'"dtype"', b'"comment": [1, {}], "dtype"', 1)) + data})
    case("header with odd metadata", "ok", [],
         {WEIGHTS: Safetensors(good.header | {"__metadata__": [1, None]}, data).bytes()})
    other = {"other": {"dtype": "I64", "shape": [1], "data_offsets": [len(data), len(data) + 8]}}
    case("header with a tensor that nobody asks for", "ok", [],
         {WEIGHTS: Safetensors(good.header | other, data + bytes(8)).bytes()})


def made_cases(config):
    """Models with all their tensors where they should be, but not on the disk."""

    def made(title, kind, words, vocab, h, d, **extra):
        sizes = {"vocab_size": vocab, "hidden_size": h, "head_dim": d, "intermediate_size": 2, "num_hidden_layers": 1,
                 "num_attention_heads": 1, "num_key_value_heads": 1, "layer_types": None, "tie_word_embeddings": True,
                 "max_position_embeddings": 1 << 24}
        shapes = {"model.embed_tokens.weight": [vocab, h], "model.norm.weight": [h]}
        layer = {"input_layernorm.weight": [h], "post_attention_layernorm.weight": [h], "mlp.gate_proj.weight": [2, h],
                 "mlp.up_proj.weight": [2, h], "mlp.down_proj.weight": [h, 2], "self_attn.o_proj.weight": [h, d]}
        for p in "qkv":
            layer |= {f"self_attn.{p}_proj.weight": [d, h], f"self_attn.{p}_proj.bias": [d]}
        header, end = {}, 0
        for name, shape in (shapes | {"model.layers.0." + name: shape for name, shape in layer.items()}).items():
            begin, end = end, end + 2 * math.prod(shape)
            header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [begin, end]}
        text = with_length(to_json(header))
        case("made " + title, kind, words, {CONFIG: to_json(config | sizes), WEIGHTS: Sparse(text, len(text) + end)},
             **extra)

    made("of two terabytes", "resource", [f"{WEIGHTS}: model.embed_tokens.weight", "memory"], 1 << 24, 1 << 16, 2)
    rotations = 32768 * 512 * 4  # positions x head_dim x float: no model's table of rotations is larger
    made("with the largest heads", "ok", [], 8, 8, 512, memory=rotations)


# ---- Shards and their index


def index_cases(good):
    names = [name for name in good.header if name != "__metadata__"]
    half = len(names) // 2
    parts = [names[:half], names[half:]]
    shards = {file: good.subset(part).bytes() for file, part in zip(SHARDS, parts)}
    weight_map = {name: file for file, part in zip(SHARDS, parts) for name in part}
    index = {"metadata": {"total_size": len(good.data)}, "weight_map": weight_map}
    first, last = parts[0][0], parts[1][-1]

    def sharded(title, kind, words, index=index, files={}):
        index = to_json(index) if isinstance(index, dict) else index
        case("index " + title, kind, words, {WEIGHTS: None, INDEX: index} | shards | files)

    def with_shard(title, kind, words, shard):
        files = {WEIGHTS: None, INDEX: to_json(index)} | shards | {SHARDS[1]: shard}
        case("shard " + title, kind, [SHARDS[1]] + words, files)

    sharded("is good", "ok", [])
    sharded("beside files that it does not name", "ok", [], files={"model-00003-of-00002.safetensors": b"broken"})
    sharded("without metadata", "ok", [], index={"weight_map": weight_map})
    sharded("with a field that nobody knows", "ok", [], index=dict(index, extra=[1, {"a": None}]))
    case("index is broken beside whole weights", "ok", [], {INDEX: b"{"})
    for title, value in {"missing": MISSING, "null": None}.items():
        sharded("weight_map is " + title, "format", [f"{INDEX}: weight_map", "missing"],
                index=changed(index, {"weight_map": value}))
    for title, value in {"a list": names, "text": "a", "a number": 1, "true": True}.items():
        sharded("weight_map is " + title, "format", [f"{INDEX}: weight_map", "JSON object"],
                index=changed(index, {"weight_map": value}))
    sharded("weight_map is empty", "format", [f"{INDEX}: ", "tensor is missing"], index={"weight_map": {}})
    for title, value in {
        "null": None, "a number": 1, "a list": [SHARDS[0]], "an object": {}, "empty": "", "a dot": ".",
        "two dots": "..",
        "above the folder": "../" + SHARDS[0], "absolute": "/etc/passwd", "in a folder": "a/" + SHARDS[0],
        "with a byte zero": SHARDS[0] + "\0", "a folder's": SHARDS[0] + "/",
    }.items():
        sharded("file name is " + title, "format", [INDEX, f"weight_map.{first}"],
                index={"weight_map": weight_map | {first: value}})
    sharded("file name is too long", "io", ["x" * 100, "cannot open"],
            index={"weight_map": weight_map | {first: "x" * 5000}})
    sharded("file name is another's", "io", ["other.safetensors", "cannot open"],
            index={"weight_map": weight_map | {first: "other.safetensors"}})
    sharded("file name is the index", "format", [INDEX, "header"], index={"weight_map": weight_map | {first: INDEX}})
    sharded("file name is the config", "format", [CONFIG, "header"], index={"weight_map": weight_map | {first: CONFIG}})
    sharded("names a tensor that is nowhere", "format", [f"{SHARDS[1]}: nowhere", INDEX],
            index={"weight_map": weight_map | {"nowhere": SHARDS[1]}})
    sharded("names the wrong shard", "format", [f"{SHARDS[0]}: {last}", "tensor is missing"],
            index={"weight_map": weight_map | {last: SHARDS[0]}})
    sharded("lacks a tensor", "format", [f"{INDEX}: {last}", "tensor is missing"],
            index={"weight_map": {name: file for name, file in weight_map.items() if name != last}})
    sharded("names a tensor twice", "format", [INDEX, "weight_map", "duplicate key", last],
            index=to_json(index)[:-2] + f', "{last}": "{SHARDS[1]}"}}}}'.encode())
    sharded("names 2000 files that are not there", "io", ["0.safetensors", "cannot open"],
            index={"weight_map": {f"t{n}": f"{n}.safetensors" for n in range(2000)}})
    json_cases(INDEX, to_json(index), {WEIGHTS: None} | shards)
    file_cases(INDEX, to_json(index), {WEIGHTS: None} | shards)

    with_shard("is missing", "io", ["cannot open", "No such file"], None)
    with_shard("is empty", "format", ["at least 8 bytes"], b"")
    with_shard("is cut off", "format", ["data_offsets", "truncated?"], shards[SHARDS[1]][:-1])
    with_shard("is the other one", "format", [f": {parts[1][0]}", "tensor is missing"], shards[SHARDS[0]])
    with_shard("has a broken entry", "format", [".dtype", "BF17"], shards[SHARDS[1]].replace(b'"BF16"', b'"BF17"'))
    part = good.subset(parts[1])
    other_shapes = {name: dict(entry, shape=entry["shape"] + [1]) for name, entry in part.header.items()}
    with_shard("has other shapes", "format", ["expected shape"], Safetensors(other_shapes, part.data).bytes())
    file_cases(SHARDS[1], shards[SHARDS[1]], {WEIGHTS: None, INDEX: to_json(index)} | shards)


# ---- JSON and files, whatever they mean


def json_cases(name, good, files, takes_more=True, is_optional=False):
    """One file's grammar. `takes_more`: it may have fields that nobody knows."""

    def broken(title, words, content, kind="format", **extra):
        case(f"{name} {title}", kind, [name] + words, files | {name: content}, **extra)

    assert good.rstrip().endswith(b"}")
    body = good.rstrip()[:-1]
    for title, content in {
        "is empty": b"", "is white space": b" \n\t", "is a brace": b"{", "is cut off": good[: len(good) * 2 // 3],
        "is no json": b"model: llama",
        "with a comma at its end": body + b",}", "with a comment": b"// comment\n" + good,
        "of single quotes": good.replace(b'"', b"'"),
        "followed by junk": good + b"x", "followed by another": good + good, "with a byte zero behind it": good + b"\0",
        "with a byte zero": b"\0" + good, "is not utf-8": body + b', "a": "\xff\xfe"}',
        "is utf-16": good.decode().encode("utf-16"),
        "with a lone surrogate": body + b', "a": "\\ud800"}',
        "with an open text of 4 MiB": body + b', "a": "' + b"x" * (4 * MIB),
    }.items():
        broken(title, ["not valid JSON"], content)
    for title, content in {"nan": "NaN", "infinity": "Infinity", "minus infinity": "-Infinity", "1e999": "1e999",
                           "hex": "0x10"}.items():
        broken("with " + title, [f"{name}: odd: not valid JSON"], body + f', "odd": {content}}}'.encode())
    broken("with nan inside", [f"{name}: odd.inside: not valid JSON"],
           body + b', "odd": {"a": {"b": 1}, "inside": NaN}}')
    for title, content in {"a list": b"[]", "a number": b"1", "text": b'"a"', "null": b"null", "true": b"true"}.items():
        broken("is " + title, ["expected a JSON object"], content)
    broken("with a key twice", [f"{name}: odd", "duplicate key"], body + b', "odd": 1, "odd": 2}')
    broken("with a key twice inside", [f"{name}: odd.a", "duplicate key"], body + b', "odd": {"a": 1, "a": 1}}')
    broken("with a key twice by escapes", [f"{name}: odd", "duplicate key"], body + b', "odd": 1, "\\u006fdd": 2}')
    for title, content in {
        "100000 lists": nested(100000), "100000 open lists": "[" * 100000,
        "100000 objects": nested(100000, '{"a":', "}"), "64 lists": nested(64),
    }.items():
        broken("nests " + title, [f"{name}: odd", "nested deeper"], body + f', "odd": {content}}}'.encode())
    broken("with too many values", [f"{name}: odd", "more than 1048576 JSON values"],
           body + b', "odd": [' + b"{}," * MIB + b"1]}")
    broken("of a terabyte that is not there", ["at most 268435456 bytes"], Sparse(good, 1 << 40))
    broken("of 64 MiB that are not there", ["not valid JSON"], Sparse(good, 64 * MIB), memory=2 * 64 * MIB)
    if takes_more:
        case(f"{name} with a byte order mark", "ok", [], files | {name: b"\xef\xbb\xbf" + good})
        case(f"{name} with a field that nobody knows", "ok", [], files | {name: body + b', "odd": [1, {"a": null}]}'})
        case(f"{name} with many values that nobody knows", "ok", [],
             files | {name: body + b', "odd": [' + b"[]," * 100000 + b"1]}"})
    if is_optional:
        case(f"{name} is missing", "ok", [], files | {name: None})
        case(f"{name} says nothing", "ok", [], files | {name: b"{}"})


def file_cases(name, good, files):
    """What is no regular file that can be read."""

    def broken(title, words, content, **extra):
        case(f"{name} {title}", "io", [name] + words, files | {name: content}, **extra)

    broken("is a folder", ["regular file"], Directory())
    broken("is a fifo", ["regular file"], Fifo())
    broken("is a device", ["regular file"], Link("/dev/zero"))
    broken("is a link to nothing", ["cannot open"], Link("nowhere"))
    broken("is a link to itself", ["cannot open"], Link(name))
    broken("is a link to a folder", ["regular file"], Link("."))
    broken("is unreadable", ["cannot open", "Permission denied"], Unreadable(good), unless_root=True)


# ---- config.json and generation_config.json

HUGE = {"1e308": 1e308, "2 to the 63": 1 << 63, "2 to the 64": 1 << 64, "400 digits": Token("1" + "0" * 400)}
WRONG_NUMBERS = {"text": "8", "a list": [8], "true": True, "NaN": Token("NaN"), "Infinity": Token("Infinity"),
                 "minus Infinity": Token("-Infinity"), "negative": -8} | HUGE
NO_WHOLE_NUMBERS = WRONG_NUMBERS | {"a fraction": 1.5, "a whole float": Token("8.0")}


def config_cases(good):
    def broken(title, kind, words, fields):
        case(f"config {title}", kind, words, {CONFIG: to_json(changed(good, fields))})

    def field(name, values, kind="format", others={}):
        for title, value in values.items():
            broken(f"{name} is {title}", kind, f"{CONFIG}: {name}", others | {name: value})

    unset = {"missing": MISSING, "null": None}
    for name in ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"):
        field(name, unset | NO_WHOLE_NUMBERS | {"zero": 0})
    for name in ("num_key_value_heads", "head_dim", "max_position_embeddings"):
        field(name, NO_WHOLE_NUMBERS | {"zero": 0})
    field("rms_norm_eps", WRONG_NUMBERS | {"2": 2})
    field("model_type", unset | {"a number": 2, "a list": ["qwen2"], "NaN": Token("NaN")})
    field("model_type", {"unknown": "mamba", "empty": "", "uppercase": "Qwen2", "of 100 kB": "q" * 100000},
          kind="unsupported")
    for name in ("tie_word_embeddings", "use_sliding_window"):
        field(name, {"a number": 1, "text": "false", "a list": [], "NaN": Token("NaN")})
    field("hidden_act", {"gelu": "gelu", "empty": ""}, kind="unsupported")
    field("hidden_act", {"a number": 1})
    field("mlp_bias", {"true": True}, kind="unsupported")
    field("mlp_bias", {"a number": 1})
    field("attention_bias", {"text": "true"})
    field("quantization_config", {"an object": {"bits": 4}, "text": "int4"}, kind="unsupported")
    field("partial_rotary_factor", {"a half": 0.5, "zero": 0}, kind="unsupported")
    field("partial_rotary_factor", {"two": 2, "text": "1", "NaN": Token("NaN")})
    vocab = good["vocab_size"]
    field("eos_token_id", {"too large": vocab, "2 to the 32": 1 << 32, "2 to the 63": 1 << 63, "2 to the 64": 1 << 64,
                           "text": "2", "a fraction": 1.5,
                           "true": True, "an object": {}, "a list with text": [1, "2"], "a list with a list": [[1]],
                           "a list with null": [None],
                           "a list with one too large": [1, vocab], "NaN": Token("NaN")})
    field("bos_token_id", {"too large": vocab, "minus 2": -2, "2 to the 63": 1 << 63, "text": "2", "a fraction": 1.5,
                           "a list": [1]})

    heads = good["num_attention_heads"]
    field("num_key_value_heads", {"no divisor": 3, "more than the heads": 2 * heads})
    field("head_dim", {"odd": 7, "one": 1, "2000": 2000})
    field("hidden_size", {"no multiple of the heads": heads * 8 + 1}, others={"head_dim": None})
    one_head = {"num_attention_heads": 1, "num_key_value_heads": 1, "head_dim": None}
    broken("heads are more than hidden_size", "format", f"{CONFIG}: hidden_size",
           one_head | {"hidden_size": 8, "num_attention_heads": 16})
    broken("hidden_size over the heads is odd", "format", f"{CONFIG}: head_dim", one_head | {"hidden_size": 7})
    broken("hidden_size over the heads is too large", "format", f"{CONFIG}: head_dim",
           one_head | {"hidden_size": 1 << 16})

    layers = good["num_hidden_layers"]
    for title, count in {"one more": layers + 1, "4096": 4096}.items():
        broken(f"num_hidden_layers is {title}", "format", [f"{WEIGHTS}: model.layers.{layers}.", "missing"],
               {"num_hidden_layers": count, "layer_types": None})
    field("num_hidden_layers", {"4097": 4097}, others={"layer_types": None})
    broken("num_hidden_layers is one less", "ok", [], {"num_hidden_layers": layers - 1, "layer_types": None})
    for name, value in {"vocab_size": vocab + 1, "hidden_size": 2 * good["hidden_size"],
                        "intermediate_size": 2}.items():
        broken(f"{name} is not the weights'", "format", [f"{WEIGHTS}: model.", "expected shape", str(value)],
               {name: value})
    broken("num_key_value_heads is not the weights'", "format", [f"{WEIGHTS}: ", "k_proj", "expected shape"],
           {"num_key_value_heads": 2})
    broken("head_dim is not the weights'", "format", [f"{WEIGHTS}: ", "q_proj", "expected shape"], {"head_dim": 2})
    broken("model_type is not the weights'", "format", [f"{WEIGHTS}: ", "q_norm", "missing"],
           {"model_type": "qwen3", "head_dim": good["hidden_size"] // heads})
    broken("max_position_embeddings is the most", "ok", [], {"max_position_embeddings": 1 << 24})

    field("layer_types", {"too short": ["full_attention"], "too long": ["full_attention"] * (layers + 1), "empty": [],
                          "text": "full_attention",
                          "an object": {}, "a number": 1, "sliding without a window": ["sliding_attention"] * layers})
    field("layer_types", {"unknown": ["linear_attention"] * layers, "numbers": [1] * layers, "lists": [[]] * layers,
                          "null in a list": [None] * layers,
                          "of 100 kB": ["x" * 100000] * layers}, kind="unsupported")
    window = {"use_sliding_window": True, "layer_types": None, "sliding_window": 8}
    field("sliding_window", NO_WHOLE_NUMBERS | {"zero": 0}, others=window)
    field("max_window_layers", NO_WHOLE_NUMBERS, others=window)
    llama = {"model_type": "llama", "layer_types": None}
    field("attention_bias", {"true for llama": True}, kind="unsupported", others=llama)
    field("sliding_window", {"set for llama": 8}, kind="unsupported", others=llama)
    field("use_sliding_window", {"true for llama": True}, kind="unsupported", others=llama)
    field("layer_types", {"sliding for llama": ["sliding_attention"] * layers}, kind="unsupported", others=llama)
    field("layer_types", {"mixed for mistral": ["sliding_attention"] + ["full_attention"] * (layers - 1)},
          kind="unsupported",
          others={"model_type": "mistral", "sliding_window": 8})
    rope_cases(broken, field)


def rope_cases(broken, field):
    neither = {"rope_parameters": None, "rope_scaling": None}
    for where in neither:
        other = {name: MISSING for name in neither}
        field(where, {"text": "linear", "a list": [], "a number": 2, "true": True}, others=other)
        field(f"{where}.rope_theta", WRONG_NUMBERS | {"zero": 0, "a half": 0.5}, others=other)
        field(f"{where}.rope_type", {"a number": 1, "a list": ["linear"]}, others=other)
        field(f"{where}.rope_type", {"longrope": "longrope", "empty": "", "uppercase": "YARN"}, kind="unsupported",
              others=other)
        field(f"{where}.type", {"a number": 1}, others=other)
        field(f"{where}.type", {"su": "su", "mrope": "mrope"}, kind="unsupported", others=other)
        field(f"{where}.partial_rotary_factor", {"a half": 0.5}, kind="unsupported", others=other)
        field(f"{where}.full_attention", {"an object": {"rope_type": "default"}}, kind="unsupported", others=other)
    field("rope_theta", WRONG_NUMBERS | {"zero": 0, "a half": 0.5}, others=neither)
    field("original_max_position_embeddings", NO_WHOLE_NUMBERS, others=neither)

    wrong_factors = WRONG_NUMBERS | {"missing": MISSING, "zero": 0, "2e6": 2e6}
    complete = {"linear": {"factor": 2}, "dynamic": {"factor": 2}, "yarn": {"factor": 2,
                                                                            "original_max_position_embeddings": 256},
                "llama3": {"factor": 8, "low_freq_factor": 1, "high_freq_factor": 4,
                           "original_max_position_embeddings": 256}}
    for kind, parameters in complete.items():
        rope = neither | {"rope_scaling": parameters | {"rope_type": kind}}

        def rope_field(name, values):
            for title, value in values.items():
                field = f"rope_scaling.{name}"
                broken(f"{kind} {name} is {title}", "format", f"{CONFIG}: {field}", rope | {field: value})

        broken(f"{kind} is good", "ok", [], rope)
        rope_field("factor", wrong_factors | ({} if kind == "yarn" else {"null": None, "a half": 0.5}))
        if kind in ("yarn", "llama3"):
            rope_field("original_max_position_embeddings", NO_WHOLE_NUMBERS | {"zero": 0, "2 to the 25": 1 << 25})
        if kind == "llama3":
            for name in ("low_freq_factor", "high_freq_factor"):
                rope_field(name, wrong_factors | {"null": None})
            rope_field("high_freq_factor", {"the low one": 1, "below the low one": 0.5})
        if kind == "yarn":
            for name in ("beta_fast", "beta_slow", "attention_factor", "mscale", "mscale_all_dim"):
                rope_field(name, WRONG_NUMBERS)
            rope_field("truncate", {"a number": 1, "text": "false"})
            rope_field("rope_theta", {"one": 1})
            name = "rope_scaling.original_max_position_embeddings"
            broken("yarn has no factor and a tiny ratio", "format", f"{CONFIG}: {name}",
                   rope | {"max_position_embeddings": 256, "rope_scaling.factor": None, name: 1 << 24})


def generation_cases(good, vocab):
    def field(name, values, kind="format"):
        for title, value in values.items():
            content = good | {"do_sample": True, name: value}
            case(f"generation {name} is {title}", kind, f"{GENERATION}: {name}", {GENERATION: to_json(content)})

    field("temperature", WRONG_NUMBERS)
    field("top_p", WRONG_NUMBERS | {"zero": 0, "above one": 1.01})
    field("min_p", WRONG_NUMBERS | {"above one": 1.01})
    field("repetition_penalty", WRONG_NUMBERS | {"zero": 0})
    field("top_k", NO_WHOLE_NUMBERS)
    field("num_beams", NO_WHOLE_NUMBERS | {"zero": 0})
    field("num_beams", {"four": 4}, kind="unsupported")
    field("no_repeat_ngram_size", {"minus one": -1, "text": "3"})
    field("no_repeat_ngram_size", {"three": 3}, kind="unsupported")
    field("do_sample", {"a number": 1, "text": "yes", "NaN": Token("NaN")})
    field("eos_token_id", {"too large": vocab, "text": "2", "a fraction": 1.5, "an object": {},
                           "a list with text": [1, "2"], "2 to the 64": 1 << 64})
    field("bos_token_id", {"too large": vocab, "minus 2": -2, "text": "2", "a list": [1], "1e308": 1e308})


# ---- tokenizer.json


def tokenizer_cases(good):
    def broken(title, kind, words, fields):
        words = [words] if isinstance(words, str) else words
        case(f"tokenizer {title}", kind, [TOKENIZER] + words, {TOKENIZER: to_json(changed(good, fields))})

    vocab, merges = good["model"]["vocab"], good["model"]["merges"]
    size, some = len(vocab), next(token for token in vocab if len(token) > 3)

    def with_vocab(title, words, content):
        broken("vocab " + title, "format", ["model.vocab"] + words, {"model.vocab": content})

    def renamed(old, new):
        return {new if token == old else token: id for token, id in vocab.items()}

    for name in ("model", "decoder", "pre_tokenizer"):
        for title, value in {"missing": MISSING, "null": None}.items():
            # Without a pre-tokenizer it is a model of characters, which this one is not.
            word = "model.byte_fallback" if name == "pre_tokenizer" else name
            broken(f"{name} is {title}", "unsupported", word, {name: value})
    for name in ("model", "decoder", "pre_tokenizer", "normalizer", "post_processor"):
        for title, value in {"a list": [], "text": "BPE", "a number": 1}.items():
            broken(f"{name} is {title}", "format", [name, "JSON object"], {name: value})
        broken(f"{name} is of another type", "unsupported", [f"{name}.type", "Odd"], {name: {"type": "Odd"}})
        broken(f"{name} has no type", "format", f"{name}.type", {name: {}})
        broken(f"{name} has a number for a type", "format", f"{name}.type", {name: {"type": 1}})
    for title, words, fields in [
        ("has an unknown field", ["unknown field", "odd"], {"odd": 1}),
        ("is of version 2", ["version", "2.0"], {"version": "2.0"}),
        ("truncates", ["truncation"], {"truncation": {"max_length": 8}}),
        ("pads", ["padding"], {"padding": {}}),
        ("model drops out", ["model.dropout"], {"model.dropout": 0.1}),
        ("model falls back to bytes", ["model.byte_fallback"], {"model.byte_fallback": True}),
        ("model has an unknown field", ["model", "unknown field"], {"model.odd": 1}),
        ("vocab lacks a byte", ["model"], {"model.merges": [], "model.vocab": renamed("!", "odd")}),
        ("pattern is another", ["pattern.Regex"], {"pre_tokenizer.pretokenizers": [
            {"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated", "invert": False},
            good["pre_tokenizer"]["pretokenizers"][1]]}),
    ]:
        broken(title, "unsupported", words, fields)

    for title, value in {"missing": MISSING, "null": None, "a list": [], "text": "a", "a number": 1}.items():
        broken(f"vocab is {title}", "format", "model.vocab", {"model.vocab": value})
    for title, value in {"missing": MISSING, "null": None, "an object": {}, "text": "a", "a number": 1}.items():
        broken(f"merges is {title}", "format", "model.merges", {"model.merges": value})
    broken("vocab is empty", "format", "model", {"model.vocab": {}})
    for title, value in {"negative": -1, "a fraction": 1.5, "text": "1", "null": None, "true": True, "a list": [1],
                         "an object": {}, "1e308": 1e308,
                         "2 to the 32": 1 << 32, "2 to the 64": 1 << 64, "16 million": (1 << 24) - 1}.items():
        with_vocab(f"id is {title}", [], vocab | {some: value})
    with_vocab("id is NaN", ["not valid JSON"], vocab | {some: Token("NaN")})
    with_vocab("id is another's", ["the id 1"], vocab | {some: 1})
    with_vocab("has an empty token", ["empty"], renamed(some, ""))
    with_vocab("has a token outside of the alphabet", ["alphabet"], renamed(some, "日本"))
    twice = to_json(good).replace(b'"vocab": {', f'"vocab": {{{json.dumps(some)}: {size}, '.encode(), 1)
    case("tokenizer vocab has a token twice", "format", [TOKENIZER, "model.vocab"], {TOKENIZER: twice})

    for title, value in {"a number": 1, "null": None, "an object": {}, "of one part": "ab", "of three parts": "a b c",
                         "empty": "", "a space": " ",
                         "a list of one": ["a"], "a list of three": ["a", "b", "c"], "a list of numbers": [1, 2],
                         "a list of lists": [["a"], ["b"]],
                         "of an unknown token": "a zzzzzz", "outside of the alphabet": "日 本",
                         "without a token for it": "Z Z",
                         "one that was there": merges[0]}.items():
        broken(f"merge is {title}", "format", f"model.merges[{len(merges)}]", {"model.merges": merges + [value]})

    token = good["added_tokens"][0]
    for title, value in {"text": "a", "a number": 1, "an object": {}}.items():
        broken(f"added_tokens is {title}", "format", "added_tokens", {"added_tokens": value})
    for title, value in {"a number": 1, "null": None, "text": "a"}.items():
        broken(f"added token is {title}", "format", "added_tokens[0]", {"added_tokens": [value]})
    broken("added token is there twice", "format", "added_tokens[1]", {"added_tokens": [token, token]})

    def added(name, values, kind="format"):
        for title, value in values.items():
            fields = {"added_tokens": [changed(token, {name: value})]}
            broken(f"added token {name} is {title}", kind, f"added_tokens[0].{name}", fields)

    for name in ("id", "content", "special", "normalized", "lstrip"):
        added(name, {"missing": MISSING, "a list": []})
    added("id", {"negative": -1, "another": 7, "text": "1", "huge": 1 << 40, "1e308": 1e308})
    added("content", {"empty": "", "a number": 1})
    json_cases(TOKENIZER, to_json(good), {}, takes_more=False)


# ---- The folder itself


def folder_cases(good):
    for name in (CONFIG, GENERATION, TOKENIZER, WEIGHTS):
        file_cases(name, good[name], {})
    for name in (CONFIG, TOKENIZER, WEIGHTS):
        case(f"{name} is missing", "io", [name, "No such file"], {name: None})
    case("weights are pickled alone", "unsupported", ["pytorch_model.bin", "model.safetensors"],
         {WEIGHTS: None, "pytorch_model.bin": b"PK"})
    nothing = {name: None for name in good}
    case("folder is empty", "io", [CONFIG, "No such file"], nothing)
    case("folder is a link to nothing", "io", ["/model", "no such folder"], folder=Link("nowhere"))
    case("folder is a file", "io", ["/model", "found a file"], folder=b"text")
    case("folder is a fifo", "io", ["/model", "found a file"], folder=Fifo())
    case("folder is a link to itself", "io", ["/model", "no such folder"], folder=Link("model"))
    case("folder is good", "ok", [])
    case("folder is a link to a good one", "ok", [], folder=Link("../folder-is-good/model"))
    case("folder with a long config in little memory", "resource", ["/model", "memory"],
         {CONFIG: good[CONFIG].rstrip()[:-1] + b', "odd": "' + b"x" * (32 * MIB) + b'"}'}, address_space=64 * MIB)


def write(out, good):
    originals = out / "originals"  # the folders' good files are links to these
    originals.mkdir()
    for name, content in good.items():
        (originals / name).write_bytes(content)
    for c in cases:
        folder = out / c.name
        folder.mkdir()
        (folder / "expected.json").write_text(json.dumps(c.expected()) + "\n")
        model = folder / "model"
        if c.folder is not None:
            make(model, c.folder)
            continue
        model.mkdir()
        for name in good.keys() - c.files.keys():
            os.link(originals / name, model / name)
        for name, content in c.files.items():
            make(model / name, content)
    manifest = [{"name": c.name} | c.expected() for c in cases]
    (out / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path, help="a good Qwen2 folder")
    parser.add_argument("out", type=pathlib.Path, help="where the folders go; what is there is removed")
    parser.add_argument("--tokenizer", type=pathlib.Path, help="a tokenizer.json, where the model has none")
    arguments = parser.parse_args()
    good = {name: (arguments.model / name).read_bytes() for name in (CONFIG, GENERATION, WEIGHTS)}
    good[TOKENIZER] = (arguments.tokenizer or arguments.model / TOKENIZER).read_bytes()
    weights = Safetensors.read(arguments.model / WEIGHTS)
    config, generation, tokenizer = (json.loads(good[name]) for name in (CONFIG, GENERATION, TOKENIZER))
    assert config["model_type"] == "qwen2", "expected a Qwen2 model"
    tensor_cases(weights)
    header_cases(weights)
    made_cases(config)
    index_cases(weights)
    json_cases(CONFIG, good[CONFIG], {})
    config_cases(config)
    json_cases(GENERATION, good[GENERATION], {}, is_optional=True)
    generation_cases(generation, config["vocab_size"])
    tokenizer_cases(tokenizer)
    folder_cases(good)
    shutil.rmtree(arguments.out, ignore_errors=True)
    arguments.out.mkdir(parents=True)
    write(arguments.out, good)
    print(f"{len(cases)} folders in {arguments.out}")


if __name__ == "__main__":
    main()
