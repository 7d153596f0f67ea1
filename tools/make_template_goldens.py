#!/usr/bin/env python3
"""Writes tests/data/templates: what transformers' own renderer makes of many templates and conversations.

    python tools/make_template_goldens.py tests/data/templates [FOLDER_OF_REAL_TEMPLATES]

language.jsonl: a line with variables, then {"template", "output"} or {"template", "error": true} each: the small
templates of template_cases.py, and random ones.
conversations.jsonl: {"variables"} each, the conversations of conversation_cases.py.
ours.jsonl: for each template of tests/data/chat_templates {"template": name, "outputs": [...]}, one for each
conversation, null where the template raises.
real.jsonl, if the folder is given: the same for its files, which are not part of this project.
"""

import datetime
import json
import pathlib
import re
import sys

from transformers.utils import chat_template_utils

import conversation_cases
import template_cases

NOW = 1721995200  # a Friday of July 2024, 12:00 in London less an hour


class FixedClock(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(NOW)


def render(source, variables):
    """The text, or None where something raises."""
    try:
        template = chat_template_utils._compile_jinja_template.__wrapped__(source)
        return template.render(**variables)
    except Exception:  # jinja2's, Python's, a SyntaxError of the compiled code: all are errors of the template
        return None


def write_lines(path, lines):
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        for line in lines:
            file.write(json.dumps(line, ensure_ascii=True, separators=(",", ":")) + "\n")


def language():
    yield {"variables": template_cases.VARIABLES}
    for source in template_cases.all_templates():
        text = render(source, template_cases.VARIABLES)
        if text is not None and (re.search(r"object .. 0[xX][0-9a-fA-F]+", text) or any("\ud800" <= c < "\ue000" for c in text)):
            continue  # an address, which says nothing, or what UTF-8 cannot say
        yield {"template": source, "error": True} if text is None else {"template": source, "output": text}


def chats(folder):
    """render_jinja_template, as apply_chat_template calls it."""
    for path in sorted(pathlib.Path(folder).glob("*.jinja")):
        source, outputs = path.read_text(encoding="utf-8"), []
        for variables in conversation_cases.all_conversations():
            others = {k: v for k, v in variables.items() if k != "messages"}
            try:
                rendered, _ = chat_template_utils.render_jinja_template([variables["messages"]], chat_template=source, **others)
                outputs.append(rendered[0])
            except Exception:
                outputs.append(None)
        yield {"template": path.name, "outputs": outputs}


def main():
    out = pathlib.Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    chat_template_utils.datetime = FixedClock
    write_lines(out / "language.jsonl", language())
    write_lines(out / "conversations.jsonl", ({"variables": v} for v in conversation_cases.all_conversations()))
    write_lines(out / "ours.jsonl", chats(out.parent / "chat_templates"))
    if len(sys.argv) > 2:
        write_lines(out / "real.jsonl", chats(sys.argv[2]))


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    main()
