#!/usr/bin/env python3
"""Writes a corpus of many strings, and checksums of the ids that the PyPI package `tokenizers` gives them.

    python tools/make_tokenizer_corpus.py tests/data/tokenizers [FOLDER...]

Into the first folder goes corpus.jsonl, one JSON string a line, the same for every run. For each of its subfolders that
has a tokenizer.json, and for each FOLDER, NAME.sums holds a line for every 20 strings: FNV-1a of the ids of each, without
special tokens around them, as 32-bit little-endian numbers with -1 behind the last (NAME is the folder's own). FOLDERs are
tokenizers that are too large to be kept here: their test runs where they are.
"""

import json
import pathlib
import random
import sys
import unicodedata

from tokenizers import Tokenizer

SEED = 20261127
NUM_STRINGS = 20_000
STRINGS_A_LINE = 20

LANGUAGES = [
    "The quick brown fox didn't jump; it's THEY'LL who'd've jumped, wasn't it?",
    "Über den Wolken muß die Freiheit wohl grenzenlos sein, groß & schön.",
    "L'été dernier, j'étais à l'île de Ré où le cœur s'apaise — n'est-ce pas ?",
    "El niño comió piña mañana; ¿qué pasó? ¡Nada! Año tras año.",
    "Съешь же ещё этих мягких французских булок, да выпей чаю.",
    "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία, φίλε μου.",
    "敏捷的棕色狐狸跳过了懒狗。今天天气很好，我们去公园吧！",
    "いろはにほへと ちりぬるを。カタカナもテストします、ﾊﾝｶｸも。",
    "다람쥐 헌 쳇바퀴에 타고파. 안녕하세요, 세계!",
    "صِف خَلقَ خَودِ كَمِثلِ الشَمسِ إِذ بَزَغَت، ١٢٣٤.",
    "दुनिया में सबसे अच्छा क़िताब ज़रूर पढ़ें। १२३४५",
    "เป็นมนุษย์สุดประเสริฐเลิศคุณค่า กว่าบรรดาฝูงสัตว์เดรัจฉาน",
    "Chữ Quốc ngữ được viết bằng bảng chữ cái Latinh có dấu.",
    "כל זה נראה לי טוב מאוד, שלום עולם.",
]
CODE = [
    "for (int i = 0; i < n; ++i) { sum += x[i] * w[i]; }\n",
    "def f(x: int) -> str:\n    return f\"{x!r}\"\n\n\n",
    "\tif (a&&b||!c) return (a->b)[0];\r\n\t}\r\n",
    "SELECT * FROM t WHERE id IN (1,2,3) -- done\n",
    "<div class=\"a\">&nbsp;</div>\n    <!-- x -->\n",
    "{\"id\": 151643, \"content\": \"<|endoftext|>\", \"x\": [1e-5, -0.25]}",
    "https://example.com/a_b?c=d&e=%20#frag user@mail.org C:\\dir\\file.txt",
    "0x1F600 1_000_000 3.14159265358979 1,234,567.89 ++i; --j; a<<=2; x**y",
]
EMOJI = ["👍🏽", "👨‍👩‍👧‍👦", "🏳️‍🌈", "🦙", "❤️", "🇩🇪🇫🇷", "1️⃣", "☕", "🤷🏿‍♀️", "🧑‍🚀"]
SPACES = [9, 10, 11, 12, 13, 0x1C, 0x1F, 0x20, 0x85, 0xA0, 0x1680, 0x180E, *range(0x2000, 0x2010), 0x2028, 0x2029, 0x202F,
          0x205F, 0x2060, 0x3000, 0xFEFF]
MARKS = [c for c in range(0x110000) if unicodedata.combining(chr(c))]
UNASSIGNED = [c for c in range(0x110000) if unicodedata.category(chr(c)) == "Cn"]
NUMBERS = [c for c in range(0x110000) if unicodedata.category(chr(c))[0] == "N"]
SPECIAL = ["<s>", "</s>", "<unk>", "<|im_start|>", "<|im_end|>", "<|begin_of_text|>", "<|eot_id|>", "<|endoftext|>", "<0x0A>",
           "[INST]", "▁", "▁▁the", "<left>", "<right>", "<both>", "word"]


def any_char(rng):
    while 0xD800 <= (c := rng.choice([rng.randrange(0x250), rng.randrange(0x3000), rng.randrange(0x110000)])) <= 0xDFFF:
        pass
    return chr(c)


def words(rng):
    text = rng.choice(LANGUAGES)
    begin = rng.randrange(len(text))
    return text[begin : begin + rng.randint(1, 24)]


KINDS = [
    words,
    words,
    lambda rng: rng.choice(CODE)[rng.randrange(10) :][: rng.randint(2, 30)],
    lambda rng: any_char(rng) * rng.choice([1, 1, 1, 2]),
    lambda rng: chr(rng.choice(SPACES)) * rng.randint(1, 3),
    lambda rng: rng.choice("aeinou \u0915\u1100\uac00") + "".join(chr(rng.choice(MARKS)) for _ in range(rng.randint(1, 3))),
    lambda rng: chr(rng.choice(UNASSIGNED)),
    lambda rng: chr(rng.choice(NUMBERS)) + str(rng.randrange(10 ** rng.randint(1, 25))),
    lambda rng: rng.choice(EMOJI),
    lambda rng: rng.choice(["\r\n", "\n", "\r", "\n\r", "\r\n\r\n", " \n", "\n ", "\t\n"]),
    lambda rng: rng.choice([" ", "  ", "    ", "\t"]),
    lambda rng: rng.choice(["'s", "'T", "'Ll", "'ſ", "’re", "'ve", "''", "\"", "...", "!!!\n", " ?!", "#$%", "——", "。"]),
    lambda rng: rng.choice(SPECIAL),
]


def strings():
    rng = random.Random(SEED)
    for _ in range(NUM_STRINGS):
        kinds = rng.sample(KINDS, rng.randint(1, 3))
        yield "".join(rng.choice(kinds)(rng) for _ in range(rng.choice([1, 1, 2, 2, 3, 4, 6])))


def fnv1a(numbers, state):
    for number in numbers:
        for byte in number.to_bytes(4, "little", signed=True):
            state = (state ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return state


def checksums(folder, texts):
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    ids = [e.ids for e in tokenizer.encode_batch(texts, add_special_tokens=False)]
    for begin in range(0, len(ids), STRINGS_A_LINE):
        state = 0xCBF29CE484222325
        for one in ids[begin : begin + STRINGS_A_LINE]:
            state = fnv1a([*one, -1], state)
        yield f"{state:016x}\n"


def main():
    home = pathlib.Path(sys.argv[1])
    texts = list(strings())
    lines = (json.dumps(text, ensure_ascii=False, separators=(",", ":")) + "\n" for text in texts)
    (home / "corpus.jsonl").write_text("".join(lines), encoding="utf-8", newline="\n")
    own = sorted(path.parent for path in home.glob("*/tokenizer.json"))
    for folder in [*own, *map(pathlib.Path, sys.argv[2:])]:
        (home / f"{folder.name}.sums").write_text("".join(checksums(folder, texts)), encoding="ascii")
        print(folder.name)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main()
