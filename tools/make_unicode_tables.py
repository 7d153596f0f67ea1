#!/usr/bin/env python3
"""Writes include/eigenlm/tokenizer/unicode_data.hpp: the Unicode tables of the tokenizers.

    python tools/make_unicode_tables.py include/eigenlm/tokenizer/unicode_data.hpp

The data starts from Python's unicodedata, but what has to be right is the ids, so it is then brought to agree with the
PyPI package `tokenizers`, which must be installed. Its regular expressions (Oniguruma) know a newer Unicode than its
NFC does, and Python's lies between the two. The script measures both on every code point, and afterwards checks its
own NFC over the derived tables against the package's on random strings.
"""

import random
import sys
import unicodedata

import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers

CODE_POINTS = [c for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]
CLASSES = {"letter": r"\p{L}", "number": r"\p{N}", "space": r"\s"}  # their values are 1, 2, 3
WORD, DIGIT = 4, 8  # beside the class
NEEDS_NFC = 1 << 8  # beside the combining class in the low eight bits
VALUE_BITS = 11  # a table entry is (first code point << VALUE_BITS) | value: 21 + 11 bits

HANGUL_S, HANGUL_L, HANGUL_V, HANGUL_T = 0xAC00, 0x1100, 0x1161, 0x11A7
HANGUL_COUNTS = (19, 21, 28)

nfc = normalizers.NFC().normalize_str
nfd = normalizers.NFD().normalize_str


def members(pattern):
    """The code points that the class `pattern` matches in the regular expressions of `tokenizers`."""
    remover = pre_tokenizers.Split(Regex(pattern), "removed")
    matched = set()
    for begin in range(0, len(CODE_POINTS), 4096):
        block = CODE_POINTS[begin : begin + 4096]
        kept = {ord(ch) for piece, _ in remover.pre_tokenize_str("".join(map(chr, block))) for ch in piece}
        matched.update(c for c in block if c not in kept)
    return matched


def with_ends(token, write):
    """The code points c for which the added token's match in write(c), of five characters, ends at the fourth."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.add_tokens([token])
    found = set()
    for begin in range(0, len(CODE_POINTS), 4096):
        block = CODE_POINTS[begin : begin + 4096]
        ends = {end for _, end in tokenizer.encode("".join(write(chr(c)) for c in block)).offsets}
        found.update(c for i, c in enumerate(block) if 5 * i + 4 in ends)
    return found


def words():
    """The code points that stand for a part of a word beside an added token with single_word."""
    return set(CODE_POINTS) - with_ends(AddedToken("<x>", single_word=True), lambda ch: f"{ch}<x> ")


def digits():
    """The code points that the Digits pre-tokenizer takes for digits."""
    split = pre_tokenizers.Digits(individual_digits=True).pre_tokenize_str
    found = set()
    for begin in range(0, len(CODE_POINTS), 4096):
        text = "".join(f"--{chr(c)}" for c in CODE_POINTS[begin : begin + 4096])
        found.update(ord(piece) for piece, _ in split(text) if len(piece) == 1)
    return found - {ord("-")}


def stripped():
    """The code points that an added token with rstrip swallows."""
    return with_ends(AddedToken("<x>", rstrip=True), lambda ch: f"<x>{ch}!")


def combining_classes():
    """Code point -> combining class, for those that NFC in `tokenizers` knows, and how many it does not know."""
    classes, unknown = {}, 0
    for c in CODE_POINTS:
        ch = chr(c)
        if nfd(ch) != ch:
            continue
        # Class 1 and class 240: whatever the class of c, one of these two orders has to change.
        moves = nfd("a" + ch + "\u0334") != "a" + ch + "\u0334" or nfd("a\u0345" + ch) != "a\u0345" + ch
        expected = unicodedata.combining(ch)
        if moves and not expected:
            sys.exit(f"U+{c:04X} combines in tokenizers, but this Python's Unicode does not know it: use a newer Python")
        if moves:
            classes[c] = expected
        unknown += bool(expected) and not moves
    return classes, unknown


def decompositions():
    """Code point -> its canonical decomposition (one step, one or two code points), without Hangul."""
    found = {}
    for c in CODE_POINTS:
        field = unicodedata.decomposition(chr(c))
        if field and not field.startswith("<") and nfd(chr(c)) != chr(c):
            found[c] = [int(part, 16) for part in field.split()]
    for parts in found.values():
        assert len(parts) <= 2 and (len(parts) == 1 or parts[1] not in found)
    return found


def range_table(values):
    """Sorted entries (first << VALUE_BITS) | value, each holding up to the next entry's first."""
    entries, last = [0], 0
    for c in range(0x110000):
        value = values.get(c, 0)
        if value != last:
            entries.append(c << VALUE_BITS | value)
            last = value
    if last:
        entries.append(0x110000 << VALUE_BITS)
    return entries


class Nfc:
    """NFC over the derived tables, written as the header writes it, to check them."""

    def __init__(self, ccc, decomposition, composition):
        self.ccc, self.decomposition, self.composition = ccc, decomposition, composition

    def decompose(self, c):
        if 0 <= c - HANGUL_S < 19 * 21 * 28:
            s = c - HANGUL_S
            t = [HANGUL_T + s % 28] if s % 28 else []
            return [HANGUL_L + s // 588, HANGUL_V + s % 588 // 28] + t
        parts = self.decomposition.get(c)
        return [c] if parts is None else self.decompose(parts[0]) + parts[1:]

    def compose(self, a, b):
        if 0 <= a - HANGUL_L < 19 and 0 <= b - HANGUL_V < 21:
            return HANGUL_S + ((a - HANGUL_L) * 21 + b - HANGUL_V) * 28
        if 0 <= a - HANGUL_S < 11172 and (a - HANGUL_S) % 28 == 0 and 0 < b - HANGUL_T < 28:
            return a + b - HANGUL_T
        return self.composition.get((a, b))

    def __call__(self, text):
        chars = [d for ch in text for d in self.decompose(ord(ch))]
        begin = 0
        while begin < len(chars):
            end = begin + 1
            if self.ccc.get(chars[begin], 0):
                while end < len(chars) and self.ccc.get(chars[end], 0):
                    end += 1
                chars[begin:end] = sorted(chars[begin:end], key=lambda c: self.ccc[c])
            begin = end
        out, starter, blocked = [], None, 0
        for c in chars:
            k = self.ccc.get(c, 0)
            composed = None
            if starter is not None and (blocked < k or blocked == 0):
                composed = self.compose(out[starter], c)
            if composed is not None:
                out[starter] = composed
                continue
            if k == 0:
                starter, blocked = len(out), 0
            else:
                blocked = k
            out.append(c)
        return "".join(map(chr, out))


def self_check(mine, ccc, decomposition):
    rng = random.Random(1)
    marks, composed = sorted(ccc), sorted(decomposition)
    pools = [marks, composed, [0x1100, 0x1112, 0x1161, 0x1175, 0x11A7, 0x11A8, 0x11C2, 0xAC00, 0xAC01], range(97, 123)]
    strings = [chr(c) for c in CODE_POINTS]
    strings += ["a" + chr(c) + chr(m) for c in marks for m in rng.sample(marks, 40)]
    for _ in range(100_000):
        strings.append("".join(chr(rng.choice(rng.choice(pools))) for _ in range(rng.randint(1, 12))))
    wrong = [s for s in strings if mine(s) != nfc(s)]
    if wrong:
        sys.exit(f"NFC differs from tokenizers for {len(wrong)} strings, the first: {wrong[0]!a}")
    return len(strings)


def array(kind, name, rows, per_line):
    lines = [", ".join(rows[i : i + per_line]) for i in range(0, len(rows), per_line)]
    body = ",\n    ".join(lines)
    return f"inline constexpr {kind} {name}[] = {{\n    {body},\n}};\n"


def main():
    classes, newer = {}, []
    for value, (name, pattern) in enumerate(CLASSES.items(), 1):
        found = members(pattern)
        assert not found & classes.keys()
        classes.update(dict.fromkeys(found, value))
        if name != "space":
            mine = {c for c in CODE_POINTS if unicodedata.category(chr(c))[0] == pattern[3]}
            newer.append(f"{len(found ^ mine)} of {len(found)} {name}s")
        else:
            assert found == stripped(), "lstrip and rstrip know other white space than the regular expressions"
    for value, found in ((WORD, words()), (DIGIT, digits())):
        for c in found:
            classes[c] = classes.get(c, 0) | value
    ccc, unknown = combining_classes()
    decomposition = decompositions()
    composition = {tuple(p): c for c, p in decomposition.items() if len(p) == 2 and nfc("".join(map(chr, p))) == chr(c)}
    checked = self_check(Nfc(ccc, decomposition, composition), ccc, decomposition)

    properties = dict(ccc)
    seconds = {b for _, b in composition} | set(range(HANGUL_V, HANGUL_V + 21)) | set(range(HANGUL_T + 1, HANGUL_T + 28))
    for c in CODE_POINTS:
        if c in ccc or c in seconds or nfc(chr(c)) != chr(c):
            properties[c] = properties.get(c, 0) | NEEDS_NFC

    pairs = lambda rows: [f"{{0x{a:X}, 0x{b:X}, 0x{c:X}}}" for a, b, c in rows]
    decomposed = sorted((c, p[0], p[1] if len(p) == 2 else 0) for c, p in decomposition.items())
    composed = sorted((a, b, c) for (a, b), c in composition.items())
    text = f"""#pragma once
// Generated by tools/make_unicode_tables.py: do not edit.
//
// Python's unicodedata {unicodedata.unidata_version}, brought to agree with PyPI tokenizers {tokenizers.__version__}, whose ids are the reference:
//   - its regular expressions class differently from unicodedata: {", ".join(newer)};
//   - its NFC takes {unknown} combining marks of unicodedata for plain characters.
// Checked against its NFC on {checked} strings.
#include <cstdint>

#include "../base/abi.hpp"

// clang-format off
namespace eigenlm::inline EIGENLM_ABI::unicode::data {{

// Beside the class of a code point: it may stand in a word (\\w), and is a digit for the Digits pre-tokenizer.
inline constexpr std::uint32_t word = {WORD}, digit = {DIGIT};

// (first code point << {VALUE_BITS}) | word | digit | class, valid up to the next entry; classes: 0 other, 1 letter (L),
// 2 number (N), 3 White_Space.
{array("std::uint32_t", "properties", [f"0x{e:X}" for e in range_table(classes)], 10)}
// (first code point << {VALUE_BITS}) | canonical combining class | 0x{NEEDS_NFC:X} unless NFC always leaves the code point alone.
{array("std::uint32_t", "normalization", [f"0x{e:X}" for e in range_table(properties)], 10)}
// A code point and the two (or one: then 0 follows) that it is canonically equivalent to. Sorted by the first member.
struct Decomposition {{ std::uint32_t composed, first, second; }};
{array("Decomposition", "decompositions", pairs(decomposed), 4)}
// Two code points and the one that NFC puts in their place. Sorted by the first two members.
struct Composition {{ std::uint32_t first, second, composed; }};
{array("Composition", "compositions", pairs(composed), 4)}
}}  // namespace eigenlm::inline EIGENLM_ABI::unicode::data
"""
    with open(sys.argv[1], "w", encoding="utf-8", newline="\n") as file:
        file.write(text)
    print("\n".join(newer), f"{unknown} marks unknown to its NFC", f"{checked} strings checked", sep="\n")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main()
