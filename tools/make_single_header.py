#!/usr/bin/env python3
"""Writes the whole library into one header: make_single_header.py PROJECT OUTPUT

PROJECT is the folder with LICENSE and include/eigenlm/eigenlm.hpp. Each header with `#pragma once` comes once, each
fragment (*-inl.hpp) wherever it is included; system includes stay where they are. Fails where the result would not mean
the same: when a #include would stand within a namespace or between EIGENLM_..._BEGIN and EIGENLM_..._END.
The same input gives the same bytes.
"""
import pathlib
import re
import sys

INCLUDE = re.compile(r'\s*#\s*include\s*([<"])([^>"]+)[>"]')
DIRECTIVE = re.compile(r"\s*#\s*(\w+)")
CONDITION_DEPTH = {"if": 1, "ifdef": 1, "ifndef": 1, "endif": -1}
# What does not count as code: comments, strings (raw ones too), character literals, directives with their continuations.
# A digit separator is no quote.
NOT_CODE = re.compile(
    r'R"(?P<end>[^(\s]*)\(.*?\)(?P=end)"'
    r"|//[^\n]*|/\*.*?\*/"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])*'"
    r"|^[ \t]*#(?:\\\n|[^\n])*", re.DOTALL | re.MULTILINE)
REGION = re.compile(r"\bEIGENLM_\w+_(BEGIN|END)\b|[{}]")


class Error(Exception):
    pass


def code_only(text):
    """The text with everything that is not code blanked, line for line; and the lines that begin within a comment or string."""
    inside = set()
    for match in NOT_CODE.finditer(text):
        if "\n" in match.group() and not DIRECTIVE.match(match.group()):
            first = text.count("\n", 0, match.start()) + 2
            inside.update(range(first, first + match.group().count("\n")))
    return NOT_CODE.sub(lambda match: re.sub(r"[^\n]", " ", match.group()), text), inside


class SingleHeader:
    def __init__(self, root):
        self.root = root  # the folder that <eigenlm/...> is relative to
        self.out = []
        self.complete = set()  # headers that every program has seen from here on
        self.guarded = set()   # headers seen so far only under a condition
        self.conditions = 0    # how many #if are open
        self.braces = 0
        self.regions = 0

    def name(self, path):
        return path.relative_to(self.root).as_posix()

    def resolve(self, quote, target, path, where):
        beside, below_root = (path.parent / target).resolve(), (self.root / target).resolve()
        if quote == '"':
            found = next((p for p in (beside, below_root) if p.is_file()), None)
            if not found:
                raise Error(f'{where}: no such file: "{target}"')
            return found
        return below_root if below_root.is_file() else None  # None: a system header

    def refuse_inside(self, where, what):
        if self.regions:
            raise Error(f"{where}: {what} between EIGENLM_..._BEGIN and EIGENLM_..._END")
        if self.braces:
            raise Error(f"{where}: {what} within a namespace")

    def include(self, path, where):
        """A header where it is included: once when it says so, under a guard of its own when only some programs see it."""
        text = path.read_text(encoding="utf-8").rstrip("\n")
        once = "#pragma once" in text
        if not once:
            return self.expand(path, text)
        if path in self.complete:
            return
        self.refuse_inside(where, f"a first #include of {self.name(path)}")
        guard = "EIGENLM_SINGLE_" + re.sub(r"\W", "_", self.name(path)).upper()
        needs_guard = self.conditions > 0 or path in self.guarded
        if self.conditions == 0:
            self.complete.add(path)
        else:
            self.guarded.add(path)
        if needs_guard:
            self.out += [f"#ifndef {guard}", f"#define {guard}"]
            self.conditions += 1
        self.expand(path, text)
        if needs_guard:
            self.out.append("#endif")
            self.conditions -= 1

    def expand(self, path, text):
        before = (self.conditions, self.braces, self.regions)
        self.out.append(f"// ---- {self.name(path)}")
        code, inside = code_only(text)
        for number, (line, line_code) in enumerate(zip(text.split("\n"), code.split("\n")), 1):
            self.line(path, line, line_code, f"{self.name(path)}:{number}", number in inside)
        if (self.conditions, self.braces, self.regions) != before:
            raise Error(f"{self.name(path)}: #if, braces or regions do not end where they began")

    def line(self, path, line, code, where, inside):
        directive = None if inside else DIRECTIVE.match(line)
        include = None if inside else INCLUDE.match(line)
        if include:
            target = self.resolve(*include.groups(), path, where)
            if target:
                return self.include(target, where)
            self.refuse_inside(where, f"#include <{include.group(2)}>")
        elif directive and directive.group(1) == "include":
            raise Error(f"{where}: a #include that names no file")
        elif directive and line.split() == ["#pragma", "once"]:
            return
        elif directive:
            self.conditions += CONDITION_DEPTH.get(directive.group(1), 0)
        for mark in REGION.finditer(code):
            if mark.group() in "{}":
                self.braces += 1 if mark.group() == "{" else -1
            else:
                self.regions += 1 if mark.group(1) == "BEGIN" else -1
        self.out.append(line)


def version(root):
    text = (root / "eigenlm/base/abi.hpp").read_text(encoding="utf-8")
    return ".".join(re.search(rf"#define EIGENLM_VERSION_{part} (\d+)", text).group(1) for part in ("MAJOR", "MINOR", "PATCH"))


def single_header(project):
    root = (project / "include").resolve()
    header = SingleHeader(root)
    header.include(root / "eigenlm/eigenlm.hpp", "eigenlm.hpp")
    license_text = (project / "LICENSE").read_text(encoding="utf-8")
    top = [f"eigenlm {version(root)}, the whole library in one header. Made by tools/make_single_header.py: do not edit.", ""]
    top = [f"// {line}".rstrip() for line in top + license_text.splitlines()]
    return "\n".join(top + ["#pragma once"] + header.out) + "\n"


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: make_single_header.py PROJECT OUTPUT")
    output = pathlib.Path(sys.argv[2])
    try:
        text = single_header(pathlib.Path(sys.argv[1]))
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(text, encoding="utf-8")
    except (Error, OSError) as error:
        sys.exit(f"make_single_header.py: {error}")


if __name__ == "__main__":
    main()
