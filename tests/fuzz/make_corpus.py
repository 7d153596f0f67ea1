#!/usr/bin/env python3
"""Writes what the fuzz targets begin with, from the goldens: tests/fuzz/make_corpus.py [CORPUS]

Inputs that fuzzing found are added to the same folders by hand, under names that say what they are.
"""
import json
import pathlib
import struct
import sys
from random import Random

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


BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}


def tokenizer(vocab, merges, normalizer, pre_tokenizer, decoder, **model):
    """A tokenizer.json with few tokens beside the 256 bytes, and a few added ones."""
    size = len(vocab)
    added = [
        {"id": size + i, "content": content, "single_word": i == 1, "lstrip": i == 2, "rstrip": i == 2, "normalized": i == 3,
         "special": i == 0}
        for i, content in enumerate(["<s>", "word", "<b>", "n\u00e9"])
    ]
    bos = {"SpecialToken": {"id": "<s>", "type_id": 0}}
    template = {"type": "TemplateProcessing", "single": [bos, {"Sequence": {"id": "A", "type_id": 0}}], "pair": [],
                "special_tokens": {"<s>": {"id": "<s>", "ids": [size], "tokens": ["<s>"]}}}
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": normalizer,
            "pre_tokenizer": pre_tokenizer, "post_processor": template, "decoder": decoder,
            "model": {"type": "BPE", **model, "vocab": vocab, "merges": merges}}


def tokenizers():
    printable = [b for b in range(256) if 0x21 <= b <= 0x7E or 0xA1 <= b <= 0xAC or b >= 0xAE]
    others = [b for b in range(256) if b not in printable]
    alphabet = {b: chr(b) for b in printable} | {b: chr(256 + i) for i, b in enumerate(others)}
    bytes_ = {alphabet[b]: b for b in range(256)} | {"ab": 256, "abc": 257, "\u0120a": 258}
    merges = [["a", "b"], ["ab", "c"], ["\u0120", "a"]]
    regex = json.loads((here.parent / "data/tokenizers/tiny_llama3/tokenizer.json").read_text())["pre_tokenizer"]
    text = "a<s>b abc  word n\u00e9 ab\r\n 123 \u4e16 <b>  c".encode()
    for name, normalizer, pre_tokenizer, options in [
        ("llama3", None, regex, {"ignore_merges": True}),
        ("qwen2", {"type": "NFC"}, regex, {}),
        ("gpt2", None, BYTE_LEVEL | {"add_prefix_space": True, "use_regex": True}, {"unk_token": "a"}),
        ("digits", None, {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, BYTE_LEVEL]}, {}),
    ]:
        tree = tokenizer(bytes_, merges, normalizer, pre_tokenizer, {"type": "ByteLevel"}, **options)
        write("tokenizer", name, json.dumps(tree).encode(), text)
    names = {f"<0x{b:02X}>": b for b in range(256)}
    characters = names | {c: 256 + i for i, c in enumerate(["a", "b", "c", "\u2581", "ab", "abc", "\u2581a", "\u2581\u2581"])}
    merges = ["a b", "ab c", "\u2581 a", "\u2581 \u2581"]
    replace = lambda a, b: {"type": "Replace", "pattern": {"String": a}, "content": b}
    sequence = [replace("\u2581", " "), {"type": "ByteFallback"}, {"type": "Fuse"},
                {"type": "Strip", "content": " ", "start": 1, "stop": 0}]
    llama2 = {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "\u2581"}, replace(" ", "\u2581")]}
    metaspace = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "first", "split": True}
    for name, normalizer, pre_tokenizer, decoder in [
        ("llama2", llama2, None, {"type": "Sequence", "decoders": sequence}),
        ("mistral", None, metaspace, metaspace),
    ]:
        tree = tokenizer(characters, merges, normalizer, pre_tokenizer, decoder, byte_fallback=True, fuse_unk=True)
        write("tokenizer", name, json.dumps(tree).encode(), text)


def templates():
    """Our chat templates, and small ones with everything that the language has."""
    for path in sorted((goldens.parent / "chat_templates").glob("*.jinja")):
        write("template", path.stem, path.read_bytes())
    lines = (goldens.parent / "templates" / "language.jsonl").read_text().splitlines()[1:]
    sources = [json.loads(line)["template"] for line in lines if '"error"' not in line]
    for i in range(0, 1100, 55):  # the first ones go through the language in its order
        write("template", f"language-{i:04}", "\n".join(sources[i : i + 55]).encode())


class Gguf:
    """A GGUF file in the making: pairs and tensors in the order of the calls."""

    def __init__(self, arch="llama"):
        self.pairs, self.tensors, self.data = [], [], b""
        self.set("general.architecture", 8, arch)

    @staticmethod
    def text(value):
        value = value.encode() if isinstance(value, str) else value
        return struct.pack("<Q", len(value)) + value

    def value(self, kind, value):
        if kind == 8:
            return self.text(value)
        return struct.pack("<" + "BbHhIif?__Qqd"[kind], value)

    def set(self, key, kind, value):
        self.pairs.append(self.text(key) + struct.pack("<I", kind) + self.value(kind, value))

    def set_all(self, key, kind, values):
        head = struct.pack("<IIQ", 9, kind, len(values))
        self.pairs.append(self.text(key) + head + b"".join(self.value(kind, v) for v in values))

    def tensor(self, name, sizes, kind, data):
        head = struct.pack(f"<I{len(sizes)}QIQ", len(sizes), *sizes, kind, len(self.data))
        self.tensors.append(self.text(name) + head)
        self.data += data + bytes(-len(data) % 32)

    def bytes(self):
        head = b"GGUF" + struct.pack("<IQQ", 3, len(self.tensors), len(self.pairs))
        head += b"".join(self.pairs + self.tensors)
        return head + bytes(-len(head) % 32) + self.data


# Block types by number: elements, bytes, and where halfs stand among them (a scale; a least value).
BLOCKS = {1: (1, 2, [0]), 2: (32, 18, [0]), 3: (32, 20, [0, 2]), 6: (32, 22, [0]), 7: (32, 24, [0, 2]),
          8: (32, 34, [0]), 10: (256, 84, [80, 82]), 11: (256, 110, [108]), 12: (256, 144, [0, 2]), 13: (256, 176, [0, 2]),
          14: (256, 210, [208]), 20: (32, 18, [0]), 23: (256, 136, [0])}


def random_rows(kind, elements, rows, seed):
    """Rows of a type: any bits are codes; halfs are such that the numbers are neither all 0 nor infinite."""
    random = Random(seed)
    if kind == 30:
        return b"".join(random.choice([b"\x00\x3d", b"\x40\xbd", b"\x80\x3c"]) for _ in range(elements * rows))
    size, bytes_, halfs = BLOCKS[kind]
    blocks = []
    for _ in range(elements // size * rows):
        block = bytearray(random.getrandbits(8) for _ in range(bytes_))
        for at in halfs:
            block[at : at + 2] = struct.pack("<e", random.choice([0.25, -0.5, 1]) / 64)
        blocks.append(bytes(block))
    return b"".join(blocks)


def small_model(arch, kind, **kinds):
    """One layer whose rows are one block of `kind`: of 32 numbers, all matrices; of 256, where few rows make a matrix
    small, all but the two that have as many rows, in f16. `kinds` names other types, by tensor."""
    file = Gguf(arch)
    hidden = BLOCKS[kind][0]
    inner, head = (32, 16) if hidden == 32 else (4, 2)
    for key, value in {"context_length": 64, "embedding_length": hidden, "feed_forward_length": inner, "block_count": 1,
                       "attention.head_count": 2, "attention.head_count_kv": 1, "attention.key_length": head,
                       "attention.value_length": head, "rope.dimension_count": head}.items():
        file.set(f"{arch}.{key}", 4, value)
    file.set(f"{arch}.attention.layer_norm_rms_epsilon", 6, 1e-5)
    file.set(f"{arch}.rope.freq_base", 6, 1e4)

    def matrix(name, inputs, rows):
        own = kinds.get(name, kind if inputs % hidden == 0 else 1)
        data = random_rows(own, inputs, rows, len(file.tensors))
        file.tensor(("" if name == "token_embd" else "blk.0.") + name + ".weight", [inputs, rows], own, data)

    def vector(name, size):
        file.tensor(name, [size], 0, struct.pack(f"<{size}f", *[1.0] * size))

    matrix("token_embd", hidden, 3)
    vector("output_norm.weight", hidden)
    for name, rows in {"attn_q": 2 * head, "attn_k": head, "attn_v": head, "ffn_gate": inner, "ffn_up": inner}.items():
        matrix(name, hidden, rows)
    matrix("attn_output", 2 * head, hidden)
    matrix("ffn_down", inner, hidden)
    for name in ("attn_norm", "ffn_norm"):
        vector(f"blk.0.{name}.weight", hidden)
    if arch == "qwen2":
        for name, size in {"attn_q": 2 * head, "attn_k": head, "attn_v": head}.items():
            vector(f"blk.0.{name}.bias", size)
    if arch == "qwen3":
        for name in ("attn_q_norm", "attn_k_norm"):
            vector(f"blk.0.{name}.weight", head)
    return file


def small_models():
    """Models that can be computed with: one of every quantised type, and one of many types."""
    write("gguf", "llama-q4_0", small_model("llama", 2).bytes())
    file = small_model("llama", 8)
    file.tensor("rope_freqs.weight", [8], 0, struct.pack("<8f", 1, 1, 1, 1.5, 3, 8, 8, 8))
    write("gguf", "llama-factors", file.bytes())
    file = small_model("qwen3", 20)
    file.set("qwen3.rope.scaling.type", 8, "yarn")
    file.set("qwen3.rope.scaling.factor", 6, 4)
    file.set("qwen3.attention.sliding_window", 4, 16)
    file.set_all("qwen3.attention.sliding_window_pattern", 7, [True])
    write("gguf", "qwen3-yarn", file.bytes())
    for name, kind in {"qwen2-q4_1": 3, "qwen3-q5_0": 6, "qwen2-q5_1": 7, "llama-q2_k": 10, "llama-q3_k": 11,
                       "qwen2-q4_k": 12, "llama-q5_k": 13, "qwen3-q6_k": 14, "llama-iq4_xs": 23}.items():
        write("gguf", name, small_model(name.split("-")[0], kind).bytes())
    file = small_model("llama", 2, attn_k=8, attn_v=6, ffn_gate=30, ffn_up=30, ffn_down=3, attn_output=6)
    file.tensor("output.weight", [32, 3], 7, random_rows(7, 32, 3, 1))
    write("gguf", "llama-mixed", file.bytes())


def ggufs():
    small_models()
    file = Gguf()
    file.set("general.alignment", 4, 64)
    values = [(0, 1), (1, -1), (2, 1), (3, -1), (4, 1), (5, -1), (6, 0.5), (7, True), (10, 1), (11, -1), (12, 0.5)]
    for kind, value in values:
        file.set(f"a{kind}", kind, value)
        file.set_all(f"b{kind}", kind, [value] * 2)
    write("gguf", "all-types", file.bytes())
    for kind, elements, block in [
        (10, 256, 84), (11, 256, 110), (12, 256, 144), (13, 256, 176), (14, 256, 210), (23, 256, 136), (6, 32, 22),
        (7, 32, 24), (3, 32, 20), (16, 256, 66), (1, 1, 2), (30, 1, 2), (26, 1, 4),
    ]:
        file.tensor(f"t{kind}", [elements, 1], kind, bytes(range(block)))
    file.tensor("scalar", [], 0, bytes(4))
    write("gguf", "all-blocks", file.bytes())
    file = Gguf()
    file.set("tokenizer.ggml.model", 8, "llama")
    names = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)]
    words = ["\u2581", "a", "b", "ab", "aba", "abab", "\u2581a", "\u2581ab", "c", "abc"]
    file.set_all("tokenizer.ggml.tokens", 8, names + words + ["word"])
    file.set_all("tokenizer.ggml.scores", 6, [0.0] * 259 + [-1, -2, -3, -4, -4, -5, -5, -6, -7, -8, 0])
    file.set_all("tokenizer.ggml.token_type", 5, [2, 3, 3] + [6] * 256 + [1] * 10 + [4])
    file.set("tokenizer.ggml.bos_token_id", 4, 1)
    file.set("tokenizer.ggml.eos_token_id", 4, 2)
    write("gguf", "sentence-piece", file.bytes())
    printable = [b for b in range(256) if 0x21 <= b <= 0x7E or 0xA1 <= b <= 0xAC or b >= 0xAE]
    others = [b for b in range(256) if b not in printable]
    alphabet = {b: chr(b) for b in printable} | {b: chr(256 + i) for i, b in enumerate(others)}
    file = Gguf("qwen2")
    file.set("tokenizer.ggml.model", 8, "gpt2")
    file.set("tokenizer.ggml.pre", 8, "llama-bpe")
    file.set_all("tokenizer.ggml.tokens", 8, [alphabet[b] for b in range(256)] + ["ab", "abc", "<s>", "[PAD259]"])
    file.set_all("tokenizer.ggml.token_type", 5, [1] * 258 + [3, 5])
    file.set_all("tokenizer.ggml.merges", 8, ["a b", "ab c"])
    file.set("tokenizer.ggml.bos_token_id", 4, 258)
    write("gguf", "byte-level", file.bytes())


configs()
ggufs()
headers()
indices()
tokenizers()
templates()
