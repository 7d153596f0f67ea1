#!/usr/bin/env python3
"""Writes GGUF files that are broken in one place each, from a good one:

    tools/make_hostile_ggufs.py tests/data/gguf/story.gguf OUT

The good file is a small Qwen2 with a tokenizer. Each case becomes OUT/NAME/model.gguf, and OUT/NAME/expected.json says
how a load of it must end; see tools/make_hostile_folders.py, which does the same for model folders. OUT/manifest.json
lists them all. The same file always gives the same files.
"""
import argparse
import copy
import dataclasses
import json
import os
import pathlib
import re
import shutil
import struct

HUGE, NEGATIVE = (1 << 64) - 1, (1 << 64) - 5
U8, I8, U16, I16, U32, I32, F32, BOOL, STRING, ARRAY, U64, I64, F64 = range(13)
PACKED = {U8: "B", I8: "b", U16: "H", I16: "h", U32: "I", I32: "i", F32: "f", BOOL: "B", U64: "Q", I64: "q", F64: "d"}
MIB = 1 << 20


# ---- GGUF files, as bytes and as what they hold


def text(value, length=None):
    value = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(value) if length is None else length) + value


@dataclasses.dataclass
class Value:
    """A value of a type, or an array of them. `raw`, where it is given, stands in the place of its bytes."""

    kind: int
    value: object = None
    is_array: bool = False
    raw: bytes = None
    count: int = None  # what an array says that it has

    def one(self, value):
        return text(value) if self.kind == STRING else struct.pack("<" + PACKED[self.kind], value)

    def bytes(self):
        if self.raw is not None:
            return self.raw
        if not self.is_array:
            return struct.pack("<I", self.kind) + self.one(self.value)
        count = len(self.value) if self.count is None else self.count
        return struct.pack("<IIQ", ARRAY, self.kind, count) + b"".join(map(self.one, self.value))


@dataclasses.dataclass
class Tensor:
    name: object
    sizes: list  # the fastest first
    kind: int
    offset: int
    dimensions: int = None  # what it says how many sizes there are

    def bytes(self):
        count = len(self.sizes) if self.dimensions is None else self.dimensions
        sizes = b"".join(struct.pack("<Q", size) for size in self.sizes)
        return text(self.name) + struct.pack("<I", count) + sizes + struct.pack("<IQ", self.kind, self.offset)


@dataclasses.dataclass
class Gguf:
    pairs: list  # of a key and a Value
    tensors: list
    data: bytes
    magic: bytes = b"GGUF"
    version: int = 3
    tensor_count: int = None
    pair_count: int = None

    def bytes(self):
        tensors = len(self.tensors) if self.tensor_count is None else self.tensor_count
        pairs = len(self.pairs) if self.pair_count is None else self.pair_count
        head = self.magic + struct.pack("<IQQ", self.version, tensors, pairs)
        head += b"".join(text(key) + value.bytes() for key, value in self.pairs)
        head += b"".join(tensor.bytes() for tensor in self.tensors)
        return head + bytes(-len(head) % 32) + self.data

    def get(self, key):
        return dict(self.pairs)[key].value

    def with_pair(self, key, value):
        """A copy with another value of the key, with a new one, or without it (None)."""
        result = copy.copy(self)
        result.pairs = [(k, value if k == key else v) for k, v in self.pairs]
        if key not in dict(self.pairs):
            result.pairs.append((key, value))
        result.pairs = [(k, v) for k, v in result.pairs if v is not None]
        return result

    def with_tensor(self, which, **fields):
        result = copy.copy(self)
        result.tensors = [dataclasses.replace(t, **fields) if t.name == which else t for t in self.tensors]
        return result


class Reader:
    def __init__(self, content):
        self.content, self.at = content, 0

    def take(self, format):
        values = struct.unpack_from("<" + format, self.content, self.at)
        self.at += struct.calcsize("<" + format)
        return values[0]

    def text(self):
        length = self.take("Q")
        self.at += length
        return self.content[self.at - length : self.at].decode()

    def value(self):
        kind = self.take("I")
        one = lambda kind: self.text() if kind == STRING else self.take(PACKED[kind])
        if kind != ARRAY:
            return Value(kind, one(kind))
        element, count = self.take("I"), self.take("Q")
        return Value(element, [one(element) for _ in range(count)], True)

    def tensor(self):
        name, dimensions = self.text(), self.take("I")
        return Tensor(name, [self.take("Q") for _ in range(dimensions)], self.take("I"), self.take("Q"))

    def gguf(self):
        self.at = 8
        tensors, pairs = self.take("Q"), self.take("Q")
        pairs = [(self.text(), self.value()) for _ in range(pairs)]
        tensors = [self.tensor() for _ in range(tensors)]
        return Gguf(pairs, tensors, self.content[self.at + -self.at % 32 :])


# ---- The cases


@dataclasses.dataclass
class Case:
    name: str
    content: bytes
    expected: dict
    size: int = None  # that the file claims to have


cases = []


def case(name, kind, words, content, size=None, **extra):
    name = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    assert all(c.name != name for c in cases), name
    words = [words] if isinstance(words, str) else words
    content = content.bytes() if isinstance(content, Gguf) else content
    cases.append(Case(name, content, {"kind": kind, "words": ["model.gguf", *words]} | extra, size))


def container_cases(good):
    whole = good.bytes()
    case("good", "ok", [], whole)
    cases[-1].expected["words"] = []
    case("empty", "format", "truncated", b"")
    case("37 bytes", "format", "tensor_count", whole[:37])
    case("37 bytes of zeros", "unsupported", "version", b"GGUF" + bytes(33))
    case("magic", "format", "GGUF", b"GGJT" + whole[4:])
    for version in (0, 1, 4, 0x03000000, HUGE >> 32):
        case(f"version {version}", "unsupported", "version", dataclasses.replace(good, version=version))
    for title, count in {"huge": HUGE, "2 to the 60": 1 << 60, "one too many": len(good.pairs) + 1}.items():
        case(f"key count {title}", "format", [], dataclasses.replace(good, pair_count=count))
    case("key count one too few", "format", [], dataclasses.replace(good, pair_count=len(good.pairs) - 1))
    case("key count 0", "format", [], dataclasses.replace(good, pair_count=0))
    for title, count in {"huge": HUGE, "2 to the 60": 1 << 60}.items():
        case(f"tensor count {title}", "format", "tensor_count", dataclasses.replace(good, tensor_count=count))
    case("tensor count one too many", "format", [], dataclasses.replace(good, tensor_count=len(good.tensors) + 1))
    case("no tensors", "format", "token_embd.weight", dataclasses.replace(good, tensors=[], data=b""))
    for share in range(1, 20):
        case(f"truncated at {share} of 20", "format", [], whole[: len(whole) * share // 20])
    case("truncated by a byte", "format", "truncated", whole[:-1])
    metadata = len(whole) - len(good.data)
    for cut in range(metadata - 600, metadata, 37):
        case(f"truncated at byte {cut}", "format", [], whole[:cut])
    case("an array larger than metadata", "format", "large", good.with_pair("large", Value(
        U8, raw=struct.pack("<IIQ", ARRAY, U8, 1 << 35))), size=1 << 40)
    case("strings without an end", "format", "large", good.with_pair("large", Value(
        U8, raw=struct.pack("<IIQ", ARRAY, STRING, 1 << 20))), size=1 << 40)


def value_cases(good):
    def with_raw(*parts):
        return good.with_pair("some.key", Value(U8, raw=b"".join(parts)))

    number = lambda n: struct.pack("<I", n)
    long = lambda n: struct.pack("<Q", n)
    for kind in (13, 99, HUGE >> 32):
        case(f"value type {kind}", "format", "some.key", with_raw(number(kind), long(0)))
        case(f"element type {kind}", "format", "some.key", with_raw(number(ARRAY), number(kind), long(1), long(0)))
    for title, length in {"huge": HUGE, "negative": NEGATIVE, "2 to the 63": 1 << 63, "4 GiB": 1 << 32}.items():
        case(f"string length {title}", "format", "some.key", with_raw(number(STRING), long(length), b"text"))
        case(f"key length {title}", "format", ".key", dataclasses.replace(good, pairs=[], pair_count=1, tensors=[],
             data=long(length) + b"text" * 10))
        case(f"element length {title}", "format", "some.key",
             with_raw(number(ARRAY), number(STRING), long(2), text("a"), long(length)))
        for name, kind in {"bytes": U8, "longs": U64, "strings": STRING, "floats": F32}.items():
            case(f"count of {name} {title}", "format", "some.key", with_raw(number(ARRAY), number(kind), long(length)))
    case("array of arrays", "unsupported", ["some.key", "array of arrays"],
         with_raw(number(ARRAY), number(ARRAY), long(1), number(ARRAY), number(U8), long(0)))
    case("array of arrays without an end", "unsupported", "some.key",
         with_raw((number(ARRAY) + number(ARRAY) + long(1)) * 500))
    case("truth of 2", "format", "some.key", with_raw(number(BOOL), b"\2"))
    case("truth of 255 in an array", "format", "some.key", with_raw(number(ARRAY), number(BOOL), long(2), b"\1\xff"))
    case("the same key twice", "format", ["general.architecture", "again"],
         dataclasses.replace(good, pairs=good.pairs + good.pairs[:1]))
    case("an empty key", "format", ".key", dataclasses.replace(good, pairs=good.pairs + [("", Value(U32, 1))]))
    case("a key of 70000 bytes", "format", ".key",
         dataclasses.replace(good, pairs=good.pairs + [("k" * 70000, Value(U32, 1))]))
    many = [(f"key.{i}", Value(U8, 1)) for i in range(20000)]
    case("20000 keys", "ok", [], dataclasses.replace(good, pairs=good.pairs + many))
    cases[-1].expected["words"] = []
    for value in (0, 3, 48, (1 << 31) + 1, 1 << 31, 1 << 17):
        wrong = good.with_pair("general.alignment", Value(U32, value))
        case(f"alignment {value}", "format", "general.alignment", wrong)
    case("alignment negative", "format", "general.alignment", good.with_pair("general.alignment", Value(I32, -32)))
    case("alignment text", "format", "general.alignment", good.with_pair("general.alignment", Value(STRING, "32")))
    case("alignment 4096 for offsets of 32", "format", [], good.with_pair("general.alignment", Value(U32, 4096)))


def tensor_cases(good):
    name = "blk.0.attn_q.weight"
    entry = next(t for t in good.tensors if t.name == name)
    embedding = next(t for t in good.tensors if t.name == "token_embd.weight")

    def broken(title, outcome, words, **fields):
        words = [words] if isinstance(words, str) else words
        case("tensor " + title, outcome, [name, *words], good.with_tensor(name, **fields))

    broken("zero dimension", "format", "0", sizes=[32, 0])
    broken("zero rows of nothing", "format", "0", sizes=[0, 0])
    broken("product overflows", "format", "overflows", sizes=[1 << 33, 1 << 33])
    broken("product overflows to the right size", "format", "overflows", sizes=[(1 << 63) + 32, 2])
    broken("three overflow", "format", "overflows", sizes=[1 << 22, 1 << 22, 1 << 22])
    broken("bytes overflow", "format", [], sizes=[1 << 63])
    broken("size negative", "format", [], sizes=[NEGATIVE - 27, 1])
    broken("too large", "format", "data bytes", sizes=[32, 1 << 40])
    broken("5 dimensions", "format", "5", sizes=[32, 1, 1, 1, 1])
    broken("4 billion dimensions", "format", "4294967295", dimensions=(1 << 32) - 1)
    broken("one dimension", "format", "expected shape", sizes=[32 * 32])
    broken("transposed", "format", "expected shape", sizes=[64, 16])
    broken("without dimensions", "format", "multiple of 32", sizes=[])
    broken("part of a block", "format", "multiple of 32", sizes=[16, 64])
    for kind in (4, 5, 31, 36, 99, (1 << 32) - 1):
        broken(f"type {kind}", "unsupported", "type", kind=kind)
    for kind, size in {9: 32, 24: 32, 25: 32, 26: 32, 27: 32, 28: 32}.items():
        words = [] if kind != 26 else "I32"
        last = good.with_tensor(name, kind=kind, offset=(len(good.data) + 31) // 32 * 32)
        last.data = good.data + bytes(-len(good.data) % 32) + bytes(32 * 32 * 8)
        case(f"tensor type {kind} that is known", "unsupported", [name, *([words] if words else [])], last)
    broken("offset past the end", "format", "data bytes", offset=(len(good.data) + 31) // 32 * 32 + 32)
    broken("offset huge", "format", "data bytes", offset=HUGE - 31)
    broken("offset unaligned", "format", "multiple of 32", offset=entry.offset + 4)
    broken("offset of another", "format", embedding.name, offset=embedding.offset)
    broken("offset within another", "format", [], offset=embedding.offset + 32)
    case("tensor name twice", "format", [name, "again"], dataclasses.replace(good, tensors=good.tensors + [entry]))
    broken_name = lambda new: good.with_tensor(name, name=new)
    case("tensor name missing", "unsupported", "blk.0.attn_x.weight", broken_name("blk.0.attn_x.weight"))
    case("tensor of a layer that is not", "unsupported", "blk.1.attn_q.weight", broken_name("blk.1.attn_q.weight"))
    case("tensor of a layer without end", "unsupported", [], broken_name("blk." + "9" * 40 + ".attn_q.weight"))
    case("tensor name empty", "format", ".name", broken_name(""))
    case("tensor name of 5000 bytes", "format", ".name", broken_name("n" * 5000))
    case("tensor name of control characters", "unsupported", [], broken_name("\n\0\x1b[31m"))
    for t in good.tensors:
        without = dataclasses.replace(good, tensors=[other for other in good.tensors if other.name != t.name])
        case(f"without {t.name}", "format", [t.name, "missing"], without)
    factors = Tensor("rope_freqs.weight", [8], 0, len(good.data) + -len(good.data) % 32)

    def with_factors(tensor, first):
        data = good.data + bytes(-len(good.data) % 32) + struct.pack("<8f", first, *[1.0] * 7)
        return dataclasses.replace(good, tensors=good.tensors + [tensor], data=data)

    for value in (float("nan"), 0.0, -1.0, float("inf")):
        case(f"rope factor of {value}", "format", "rope_freqs.weight", with_factors(factors, value))
    few = dataclasses.replace(factors, sizes=[4])
    case("rope factors too few", "format", "rope_freqs.weight", with_factors(few, 1.0))


def config_cases(good):
    def broken(title, kind, words, name, value):
        case(title, kind, words, good.with_pair("qwen2." + name, value))

    case("architecture unknown", "unsupported", "general.architecture",
         good.with_pair("general.architecture", Value(STRING, "gemma")))
    case("architecture missing", "format", "general.architecture", good.with_pair("general.architecture", None))
    case("type of an adapter", "unsupported", "general.type", good.with_pair("general.type", Value(STRING, "adapter")))
    required = ["context_length", "embedding_length", "block_count", "feed_forward_length", "attention.head_count"]
    optional = ["attention.head_count_kv", "attention.key_length", "attention.value_length", "vocab_size"]
    for name in required + optional:
        key = "qwen2." + name
        if name in required:
            case(f"{name} missing", "format", key, good.with_pair(key, None))
        for title, value in {"0": Value(U32, 0), "huge": Value(U64, HUGE), "negative": Value(I64, -1),
                             "a text": Value(STRING, "2"), "a float": Value(F32, 2.0), "true": Value(BOOL, 1)}.items():
            broken(f"{name} is {title}", "format", key, name, value)
        broken(f"{name} is an array", "unsupported", key, name, Value(U32, [1, 1], True))
    for name, value in {"context_length": 1 << 25, "embedding_length": 1 << 21, "block_count": 1 << 13,
                        "vocab_size": 1 << 25, "feed_forward_length": 1 << 23, "attention.head_count": 1 << 15}.items():
        broken(f"{name} above the limit", "format", "qwen2." + name, name, Value(U32, value))
    for name, value in {"block_count": 4096, "embedding_length": 1 << 20, "feed_forward_length": 1 << 22,
                        "vocab_size": 1 << 24}.items():
        broken(f"{name} at the limit", "format", [], name, Value(U32, value))
    broken("heads that do not divide", "format", "embedding_length", "attention.head_count", Value(U32, 3))
    broken("key heads that do not divide", "format", "head_count_kv", "attention.head_count_kv", Value(U32, 5))
    broken("heads of 1", "format", "head", "attention.head_count", Value(U32, 32))
    broken("heads of 1024", "format", "key_length", "attention.key_length", Value(U32, 1024))
    broken("values of another length", "unsupported", "value_length", "attention.value_length", Value(U32, 8))
    broken("partial rotation", "unsupported", "dimension_count", "rope.dimension_count", Value(U32, 8))
    for name in ("attention.layer_norm_rms_epsilon", "rope.freq_base"):
        key = "qwen2." + name
        for title, value in {"nan": float("nan"), "infinite": float("inf"), "negative": -1.0}.items():
            case(f"{name} is {title}", "format", key, good.with_pair(key, Value(F32, value)))
        case(f"{name} is whole", "format", key, good.with_pair(key, Value(U32, 1)))
    scaling = lambda kind, factor: good.with_pair("qwen2.rope.scaling.type", Value(STRING, kind)).with_pair(
        "qwen2.rope.scaling.factor", factor)
    for kind in ("linear", "yarn"):
        for title, value in {"missing": None, "0": Value(F32, 0.0), "nan": Value(F32, float("nan")),
                             "huge": Value(F32, 1e30), "a text": Value(STRING, "4")}.items():
            case(f"{kind} factor {title}", "format", "rope.scaling.factor", scaling(kind, value))
    case("longrope", "unsupported", "rope.scaling.type", scaling("longrope", Value(F32, 2.0)))
    case("yarn attention factor", "unsupported", "rope.scaling.attn_factor",
         scaling("yarn", Value(F32, 2.0)).with_pair("qwen2.rope.scaling.attn_factor", Value(F32, 1.5)))
    broken("a window without a pattern", "unsupported", "sliding_window", "attention.sliding_window", Value(U32, 8))
    windows = good.with_pair("qwen2.attention.sliding_window", Value(U32, 8))
    pattern = "qwen2.attention.sliding_window_pattern"
    case("a pattern of another length", "format", pattern, windows.with_pair(pattern, Value(BOOL, [1, 0], True)))
    broken("experts", "unsupported", "expert_count", "expert_count", Value(U32, 8))
    broken("an unknown key", "unsupported", "qwen2.logit_scale", "logit_scale", Value(F32, 2.0))
    broken("both directions", "unsupported", "attention.causal", "attention.causal", Value(BOOL, 0))
    for count, number, kind in ((3, 0, "format"), (3, 3, "format"), (1 << 15, 0, "format")):
        split = good.with_pair("split.count", Value(U16, count)).with_pair("split.no", Value(U16, number))
        case(f"split {number} of {count}", kind, "split.", split)


def tokenizer_cases(good):
    prefix = "tokenizer.ggml."
    tokens, types, merges = (good.get(prefix + name) for name in ("tokens", "token_type", "merges"))

    def broken(title, kind, words, name, value):
        case("tokenizer " + title, kind, words, good.with_pair(prefix + name, value))

    for name in ("model", "tokens", "token_type", "merges"):
        broken(f"{name} missing", "format", prefix + name, name, None)
        broken(f"{name} is a number", "format", prefix + name, name, Value(U32, 7))
        broken(f"{name} is an array of bytes", "format", prefix + name, name, Value(U8, [1, 2], True))
    broken("pre missing", "unsupported", prefix + "pre", "pre", None)
    for pre in ("default", "", "x" * 100000, "falcon"):
        broken(f"pre {pre[:9]}", "unsupported", prefix + "pre", "pre", Value(STRING, pre))
    broken("model unknown", "unsupported", prefix + "model", "model", Value(STRING, "bert"))
    broken("model needs scores", "format", prefix + "scores", "model", Value(STRING, "llama"))
    cases[-1].expected["words"] = ["model.gguf"]
    broken("types too few", "format", prefix + "token_type", "token_type", Value(I32, types[:-1], True))
    broken("types too many", "format", prefix + "token_type", "token_type", Value(I32, types + [1], True))
    for value in (9, -1):
        wrong = Value(I32, types[:3] + [value] + types[4:], True)
        broken(f"type of {value}", "format", prefix + "token_type[3]", "token_type", wrong)
    broken("no tokens", "format", prefix, "tokens", Value(STRING, [], True))
    twice, strange = tokens[:5] + tokens[4:5] + tokens[6:], tokens[:300] + [" a"] + tokens[301:]
    broken("two tokens the same", "format", prefix + "tokens", "tokens", Value(STRING, twice, True))
    broken("token empty", "format", [], "tokens", Value(STRING, [""] + tokens[1:], True))
    broken("token not in the alphabet", "format", prefix + "tokens[300]", "tokens", Value(STRING, strange, True))
    broken("merge of one", "format", prefix + "merges[0]", "merges", Value(STRING, ["ab"] + merges[1:], True))
    strange = ["qqqq zzzz"] + merges[1:]
    broken("merge of a stranger", "format", prefix + "merges[0]", "merges", Value(STRING, strange, True))
    broken("merge twice", "format", prefix + "merges[1]", "merges", Value(STRING, merges[:1] * 2, True))
    broken("merge empty", "format", prefix + "merges[0]", "merges", Value(STRING, [""] + merges[1:], True))
    for name in ("bos_token_id", "eos_token_id", "eot_token_id", "eom_token_id"):
        for title, value in {"out of range": Value(U32, 1 << 20), "negative": Value(I32, -1), "huge": Value(U64, HUGE),
                             "a text": Value(STRING, "1")}.items():
            broken(f"{name} {title}", "format", prefix + name, name, value)
    broken("add_bos_token is a number", "format", prefix + "add_bos_token", "add_bos_token", Value(U32, 1))
    charsmap = "precompiled_charsmap"
    broken("charsmap", "unsupported", prefix + charsmap, charsmap, Value(U8, [0] * 64, True))
    names = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)]
    runs = ["a" * n for n in range(1, 513)]
    count = len(names) + len(runs)
    piece = good
    for name, value in {
        "model": Value(STRING, "llama"), "tokens": Value(STRING, names + runs, True), "pre": None, "merges": None,
        "token_type": Value(I32, [2, 3, 3] + [6] * 256 + [1] * len(runs), True), "bos_token_id": Value(U32, 1),
        "eos_token_id": Value(U32, 2), "scores": Value(F32, [float(-n) for n in range(count)], True),
    }.items():
        piece = piece.with_pair(prefix + name, value)
    # Every run can be cut everywhere: 131,000 merges.
    case("tokenizer of runs", "ok", [], piece, memory=16 * MIB)
    cases[-1].expected["words"] = []
    long = piece.with_pair(prefix + "tokens", Value(STRING, names + runs[:-1] + ["a" * 60000], True))
    case("tokenizer of a long token", "format", prefix + "tokens[770]", long)
    nan = piece.with_pair(prefix + "scores", Value(F32, [float("nan")] * count, True))
    case("tokenizer scores of nan", "format", prefix + "scores[0]", nan)


def write(out):
    for c in cases:
        folder = out / c.name
        folder.mkdir()
        (folder / "model.gguf").write_bytes(c.content)
        if c.size:
            os.truncate(folder / "model.gguf", c.size)
        (folder / "expected.json").write_text(json.dumps(c.expected, indent=1) + "\n")
    manifest = [{"name": c.name} | c.expected for c in cases]
    (out / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path, help="a good file")
    parser.add_argument("out", type=pathlib.Path, help="where the files go; what is there is removed")
    arguments = parser.parse_args()
    good = Reader(arguments.model.read_bytes()).gguf()
    for make_cases in (container_cases, value_cases, tensor_cases, config_cases, tokenizer_cases):
        make_cases(good)
    shutil.rmtree(arguments.out, ignore_errors=True)
    arguments.out.mkdir(parents=True)
    write(arguments.out)
    print(f"{len(cases)} files in {arguments.out}")


if __name__ == "__main__":
    main()
