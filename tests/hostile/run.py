#!/usr/bin/env python3
"""Loads every folder that tools/make_hostile_folders.py made, or every file of tools/make_hostile_ggufs.py, each in a
process of its own, and compares with its expected.json: tests/hostile/run.py LOAD_FOLDER FOLDERS

Promised are the kind, a message of one line that begins with the path, an ordinary end of the process, at most 2 s of
the processor, and a peak memory that grows by no more than

    8 MiB + 2 x the weights' bytes + 40 x the JSON's bytes     (40: JSON of nothing but "{},", as a tree)
    8 MiB + 20 x a GGUF file's bytes                           (20: keys of a few bytes, as a map)

where bytes count that the disk really holds, so that a file that merely claims to be large may not cost anything.
"""
import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys

MIB = 1 << 20


def held(path):
    """A regular file's bytes that are on the disk."""
    info = path.stat()
    return min(info.st_size, 512 * info.st_blocks)


def json_bytes(path):
    """All of a .json, the header of a .safetensors; 0 where its length is a lie."""
    if path.suffix == ".json":
        return held(path)
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
    return length if length <= held(path) else 0


def memory_bound(model):
    if model.suffix == ".gguf":
        return 8 * MIB + 20 * held(model)
    files = [path for path in model.iterdir() if path.is_file() and os.access(path, os.R_OK)] if model.is_dir() else []
    files = [path for path in files if not path.is_symlink() and held(path) > 0]
    return 8 * MIB + sum(2 * held(path) + 38 * json_bytes(path) for path in files)


def faults(program, folder):
    """What is wrong with a load of folder/model, as lines; None where that cannot be seen: by root, with sanitizers."""
    expected = json.loads((folder / "expected.json").read_text())
    if expected.get("unless_root") and os.geteuid() == 0:
        return None
    model = folder / "model.gguf" if (folder / "model.gguf").exists() else folder / "model"
    command = [program, model] + [str(expected[key]) for key in ("address_space",) if key in expected]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=120)
    except subprocess.TimeoutExpired:
        return ["it does not end"]
    if done.returncode != 0 or done.stderr:
        return [f"exit status {done.returncode}: {done.stderr.decode(errors='replace')}"]
    line, *more = done.stdout.decode(errors="replace").split("\n")
    kind, grown, seconds, message = line.split("\t", 3)
    if kind == "skipped":
        return None
    bound = memory_bound(model) + expected.get("memory", 0)
    checks = {
        "expected one line": more == [""],
        "expected a short message": len(message) < 1100,
        "expected a message that begins with the path": message.startswith(str(model)) or kind == "ok",
        f"expected {expected['kind']}, found {kind}": kind == expected["kind"],
        f"expected at most {bound / MIB:.1f} MiB more memory, found {int(grown) / MIB:.1f}": int(grown) <= bound,
        f"expected at most 2 s, found {seconds}": float(seconds) <= 2,
    } | {f"expected the word {word!r}": word in message for word in expected["words"]}
    found = [fault for fault, good in checks.items() if not good]
    return found and [*found, f"the message: {message}"]


def main():
    program, folders = sys.argv[1], pathlib.Path(sys.argv[2]).resolve()
    names = [case["name"] for case in json.loads((folders / "manifest.json").read_text())]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = dict(zip(names, pool.map(lambda name: faults(program, folders / name), names)))
    for name, found in results.items():
        for fault in found or ():
            print(f"{name}: {fault}")
    failed, skipped = sum(map(bool, results.values())), sum(found is None for found in results.values())
    print(f"{len(names)} folders: {failed} failed, {skipped} skipped")
    sys.exit(failed > 0 or len(names) == 0)


main()
