#!/usr/bin/env python3
"""Writes tests/data/tokenizers: small tokenizers, and what the PyPI package `tokenizers` makes of many strings.

    python tools/make_tokenizer_goldens.py tests/data/tokenizers

They have the pipelines of Qwen2, Llama 3, GPT-2, SmolLM, Llama 2 and Mistral (and one with Metaspace everywhere), and
vocabularies trained on text from this script.
Every line of a goldens.jsonl is {"text", "ids"} with the post-processor's special tokens, and "decoded" where decoding
without special tokens gives something other than "text". Every line of a decoded.jsonl is [ids, text, text without special
tokens] for random ids whose text has no U+FFFD. nfc.jsonl holds pairs of a string and its NFC.
"""

import json
import pathlib
import random
import sys
import unicodedata

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

SEED = 20240607
NUM_STRINGS = 1000
PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}DIGITS| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)

WORDS = """
the of and to in is you that it he was for on are as with his they at be this have from or one had by word but not what
all were we when your can said there use an each which she do how their if will up other about out many then them these
der die und das ist nicht ein eine für über schön größer Straße Mädchen le la les été être où garçon naïve cœur
el niño mañana corazón qué você não coração привет мир как дела хорошо спасибо здравствуйте γειά σου κόσμε
नमस्ते दुनिया สวัสดี ชาวโลก שלום עולם مرحبا بالعالم 你好 世界 我们 今天 天气 很好 こんにちは 世界 カタカナ ひらがな 안녕하세요 세계 감사합니다
Hello World I'm don't they've we'll she'd you're It's THEY'RE tokenization transformer attention embedding
""".split()
CODE = [
    "for (int i = 0; i < n; ++i) {\n    sum += x[i] * w[i];\n}\n",
    "def forward(self, hidden_states):\n    return self.norm(hidden_states)\n\n",
    "#include <vector>\r\nstd::vector<float> logits(vocab_size);\r\n",
    "\t\tif not x:\n\t\t\traise ValueError(f\"bad {x!r}\")\n",
    "{\"id\": 151643, \"content\": \"<|endoftext|>\"}\n",
]
EMOJI = ["👍🏽", "👨‍👩‍👧‍👦", "🏳️‍🌈", "🦙", "❤️", "🇩🇪", "1️⃣", "☕"]
# In the vocabulary, but no merges lead there: only a tokenizer with ignore_merges uses them.
UNREACHABLE = ["Ġunreachable", "zyxwvut", "qqqq"]

SPACES = [9, 10, 11, 12, 13, 0x20, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000]
CONTRACTIONS = [f"'{a}" for a in "s S ſ t T m M d D re RE rE ve Ve vE ll LL lL x l r v".split()] + ["’s", "''s"]
FRAGMENTS = (
    WORDS + CODE + EMOJI + CONTRACTIONS + ["\r\n", "\n", "\r", "\n\r\n", "  ", "    ", " ", "\t", " \n ", "\n "]
    + ["1234567890", "3.14159", "²³", "Ⅷ", "٣٤٥", "१२३", "half½", "e\u0301", "é", "n\u0303 né tok", "Å", "각", "각", "\u0301x"]
    + ["\u200b", "\u200d", "\ufeff", "\x00", "\x7f", "...", "?!", "$$$", " =>", "//", "<|", "|>", "zyxwvut", " unreachable", "qqqq"]
)
MARKS = [c for c in range(0x110000) if unicodedata.combining(chr(c))]
NUMBERS = [c for c in range(0x20000) if unicodedata.category(chr(c))[0] == "N"]
DECOMPOSABLE = [c for c in range(0x110000) if unicodedata.decomposition(chr(c))]


def training_text(rng):
    for _ in range(400):
        parts = rng.choices(WORDS, k=12) + [rng.choice(EMOJI), str(rng.randrange(10**6)), rng.choice(CODE)]
        yield " ".join(parts)


def train(rng, digits, normalizer, vocab_size):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizer
    split = pre_tokenizers.Split(Regex(PATTERN.replace("DIGITS", digits)), "isolated", invert=False)
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, byte_level])
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=vocab_size, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(training_text(rng), trainer)
    tree = json.loads(tokenizer.to_str())
    vocab = tree["model"]["vocab"]
    vocab.update({token: len(vocab) + i for i, token in enumerate(UNREACHABLE)})
    return tree


def tiny_qwen2(rng):
    tokenizer = Tokenizer.from_str(json.dumps(train(rng, "", normalizers.NFC(), 700)))
    tokenizer.add_special_tokens(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    tokenizer.add_tokens([AddedToken("<tool_call>", normalized=False), AddedToken("<tool", normalized=False)])
    tokenizer.add_tokens([AddedToken("ne\u0301 tok", normalized=True), AddedToken("\u0301x ", normalized=False)])
    return json.loads(tokenizer.to_str())


def tiny_llama3(rng):
    tree = train(rng, "{1,3}", None, 900)
    tree["model"]["ignore_merges"] = True
    tokenizer = Tokenizer.from_str(json.dumps(tree))
    specials = ["begin_of_text", "end_of_text", *(f"reserved_special_token_{i}" for i in range(12)), "eot_id"]
    tokenizer.add_special_tokens([f"<|{name}|>" for name in specials])
    tokenizer.add_tokens([AddedToken("<|eot_id|><|", normalized=True)])
    bos = "<|begin_of_text|>"
    template = processors.TemplateProcessing(bos + " $A", f"{bos} $A {bos} $B", [(bos, tokenizer.token_to_id(bos))])
    tokenizer.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), template])
    tree = json.loads(tokenizer.to_str())
    tree["model"]["merges"] = [" ".join(pair) for pair in tree["model"]["merges"]]  # as older files have them
    return tree


def tiny_gpt2(rng):
    """ByteLevel alone: a prefix space and its own pattern."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)
    train_bytes(tokenizer, rng, 600)
    tokenizer.add_special_tokens(["<|endoftext|>"])
    tokenizer.add_tokens([AddedToken("<left>", lstrip=True, normalized=False), AddedToken("<right>", rstrip=True)])
    tokenizer.add_tokens([AddedToken("word", single_word=True), AddedToken("\u3000", rstrip=True, lstrip=True)])
    return json.loads(tokenizer.to_str())


def tiny_smollm(rng):
    """Digits, then ByteLevel with its pattern."""
    tokenizer = Tokenizer(models.BPE())
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), byte_level])
    tokenizer.decoder = decoders.ByteLevel()
    train_bytes(tokenizer, rng, 600)
    tokenizer = Tokenizer.from_str(json.dumps(with_merges(tokenizer, [("1", "2"), ("3", "4")])))  # never reached
    tokenizer.add_special_tokens(["<|im_start|>", "<|im_end|>"])
    tokenizer.add_tokens([AddedToken("<both>", lstrip=True, rstrip=True, single_word=True)])
    return json.loads(tokenizer.to_str())


def with_merges(tokenizer, merges):
    tree = json.loads(tokenizer.to_str())
    for left, right in merges:
        tree["model"]["vocab"][left + right] = len(tree["model"]["vocab"])
        tree["model"]["merges"].append([left, right])
    return tree


def train_bytes(tokenizer, rng, vocab_size):
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=vocab_size, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(training_text(rng), trainer)


def characters(rng, vocab_size):
    """A vocabulary as SentencePiece makes it: single bytes by name, few characters, runs of spaces."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=True)
    first = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    trainer = trainers.BpeTrainer(vocab_size=vocab_size, special_tokens=first, show_progress=False)
    # Latin, Greek and Cyrillic; what else the goldens have falls back to bytes.
    known = ("".join(ch for ch in text if ord(ch) < 0x500) for text in training_text(rng))
    tokenizer.train_from_iterator(known, trainer)
    tree = with_merges(tokenizer, [("▁", "▁"), ("▁▁", "▁▁"), ("1", "2"), ("5", "e")])
    tree["added_tokens"] = []
    tokenizer = Tokenizer.from_str(json.dumps(tree))
    tokenizer.add_special_tokens(first[:3])
    return tokenizer


def around(tokenizer, template):
    specials = [(token, tokenizer.token_to_id(token)) for token in ["<s>", "</s>"]]
    tokenizer.post_processor = processors.TemplateProcessing(template, f"{template} {template.replace('$A', '$B')}", specials)
    return json.loads(tokenizer.to_str())


SENTENCEPIECE_DECODERS = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]


def tiny_llama2(rng):
    """No pre-tokenizer: the whole text is one piece."""
    tokenizer = characters(rng, 900)
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.pre_tokenizer = None
    tokenizer.decoder = decoders.Sequence(SENTENCEPIECE_DECODERS)
    tokenizer.add_tokens([AddedToken("<new>", normalized=True), AddedToken("<left>", lstrip=True, normalized=False)])
    tokenizer.add_tokens([AddedToken("x y", normalized=True), AddedToken("<right>", rstrip=True, normalized=False)])
    return around(tokenizer, "<s> $A")


def tiny_mistral(rng):
    """Metaspace that leaves the text whole, and one in front of its beginning only."""
    tokenizer = characters(rng, 900)
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    tokenizer.decoder = decoders.Sequence(SENTENCEPIECE_DECODERS)
    tokenizer.add_special_tokens(["[INST]", "[/INST]"])
    return around(tokenizer, "<s> $A </s>")


def tiny_metaspace(rng):
    """Metaspace that cuts, in front of everything, and its own decoder."""
    tokenizer = characters(rng, 900)
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=True)
    tokenizer.decoder = decoders.Sequence([decoders.Metaspace(prepend_scheme="always"), decoders.ByteFallback()])
    tokenizer.add_tokens([AddedToken("ne\u0301 tok", normalized=True)])
    return json.loads(tokenizer.to_str())


def tiny_digits(rng):
    """Digits in runs, then Metaspace in front of the beginning only."""
    tokenizer = characters(rng, 700)
    metaspace = pre_tokenizers.Metaspace(prepend_scheme="first", split=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=False), metaspace])
    tokenizer.decoder = decoders.Sequence(SENTENCEPIECE_DECODERS)
    return json.loads(tokenizer.to_str())


FAMILIES = [
    tiny_qwen2, tiny_llama3, tiny_gpt2, tiny_smollm, tiny_llama2, tiny_mistral, tiny_metaspace, tiny_digits
]


def random_char(rng):
    ranges = [(0x20, 0x7F), (0x80, 0x800), (0x800, 0xD800), (0xE000, 0x10000), (0x10000, 0x110000), (0xAC00, 0xD7A4)]
    pools = [SPACES, MARKS, NUMBERS, DECOMPOSABLE]
    pick = rng.randrange(len(ranges) + len(pools))
    return chr(rng.choice(pools[pick]) if pick < len(pools) else rng.randrange(*ranges[pick - len(pools)]))


def random_string(rng, added):
    kind, length = rng.randrange(8), rng.choice([1, 2, 3, 4, 6, 9, 14])
    parts = []
    for _ in range(length):
        if kind == 0 or kind == 1 and rng.random() < 0.5:
            parts.append(random_char(rng))
        elif kind == 2:
            parts.append(chr(rng.choice(SPACES)) * rng.randint(1, 3))
        elif kind == 3:
            parts.append(rng.choice(["\r", "\n", "\r\n", " ", "\t", "a", "."]))
        elif kind == 4 and rng.random() < 0.5:
            token = rng.choice(added)
            parts.append(token if rng.random() < 0.7 else token[: rng.randrange(len(token))])
        elif kind == 5 and rng.random() < 0.5:
            parts.append(str(rng.randrange(10 ** rng.randint(1, 20))))
        elif kind == 6 and rng.random() < 0.6:
            parts.append(rng.choice(["I", "you", "é", "1", " ", ""]) + rng.choice(CONTRACTIONS))
        else:
            parts.append(rng.choice(FRAGMENTS))
            parts.append(rng.choice(["", " "]))
    return "".join(parts)


def write_tokenizer(folder, tree, rng):
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(tree, ensure_ascii=False, separators=(",", ":"))
    (folder / "tokenizer.json").write_text(text + "\n", encoding="utf-8")
    tokenizer = Tokenizer.from_str(text)
    added = [token["content"] for token in tree["added_tokens"]]
    strings = ["", *added, *(random_string(rng, added) for _ in range(NUM_STRINGS))]
    with open(folder / "goldens.jsonl", "w", encoding="utf-8", newline="\n") as file:
        for string in strings:
            ids = tokenizer.encode(string).ids
            line = {"text": string, "ids": ids}
            if (decoded := tokenizer.decode(ids)) != string:
                line["decoded"] = decoded
            file.write(json.dumps(line, separators=(",", ":")) + "\n")
    write_decoded(folder / "decoded.jsonl", tokenizer, rng)


def write_decoded(path, tokenizer, rng):
    lines, size = [], tokenizer.get_vocab_size()
    while len(lines) < 300:
        # Half of them from the first ids, where vocabularies have their special tokens and single bytes.
        bound = rng.choice([size, size, 260, 10])
        ids = [rng.randrange(bound) for _ in range(rng.randint(1, 8))]
        texts = [tokenizer.decode(ids, skip_special_tokens=skip) for skip in (False, True)]
        if not any("\ufffd" in text for text in texts):
            lines.append(json.dumps([ids, *texts], separators=(",", ":")) + "\n")
    path.write_text("".join(lines), encoding="utf-8", newline="\n")


def write_nfc(path, rng):
    """NFC as `tokenizers` has it; unicodedata agrees except for marks that the package's older Unicode lacks."""
    nfc = normalizers.NFC().normalize_str
    differing, lines = 0, []
    pools = [MARKS, MARKS, DECOMPOSABLE, range(97, 123), range(0x1100, 0x1200), range(0xAC00, 0xD7A4)]
    for _ in range(700):
        text = "".join(chr(rng.choice(rng.choice(pools))) for _ in range(rng.randint(1, 8)))
        differing += nfc(text) != unicodedata.normalize("NFC", text)
        lines.append(json.dumps([text, nfc(text)], separators=(",", ":")) + "\n")
    path.write_text("".join(lines), encoding="utf-8", newline="\n")
    print(f"{path.name}: {len(lines)} pairs, unicodedata {unicodedata.unidata_version} differs for {differing}")


def main():
    folder = pathlib.Path(sys.argv[1])
    for make in FAMILIES:
        rng = random.Random(f"{SEED} {make.__name__}")
        write_tokenizer(folder / make.__name__, make(rng), rng)
    write_nfc(folder / "nfc.jsonl", random.Random(SEED))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main()
