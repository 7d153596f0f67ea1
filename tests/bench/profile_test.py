#!/usr/bin/env python3
"""profile_test.py THROUGHPUT: what --profile and --trace tell adds up to what is known of the model."""

import json
import subprocess
import sys
import tempfile

LAYERS, HIDDEN, INTERMEDIATE, HEADS, KV_HEADS, HEAD_DIM, VOCAB = 3, 64, 96, 4, 2, 16, 304
TOKENS, DEPTH, STEPS, ROUNDS = 20, 70, 4, 2
MATRICES = {
    "qkv_proj": LAYERS * HIDDEN * (HEADS + 2 * KV_HEADS) * HEAD_DIM,
    "o_proj": LAYERS * HIDDEN * HEADS * HEAD_DIM,
    "gate_up_proj": LAYERS * HIDDEN * 2 * INTERMEDIATE,
    "down_proj": LAYERS * HIDDEN * INTERMEDIATE,
    "lm_head": HIDDEN * VOCAB,
}
OTHERS = {"embed_tokens", "input_layernorm", "rope", "attention", "pack", "post_attention_layernorm", "norm"}


def near(found, expected):
    assert abs(found - expected) <= 1e-6 * abs(expected), f"expected {expected}, found {found}"


with tempfile.NamedTemporaryFile() as trace_file:
    shape = "x".join(map(str, (LAYERS, HIDDEN, INTERMEDIATE, HEADS, KV_HEADS, HEAD_DIM, VOCAB)))
    command = [sys.argv[1], "--shape", shape, "--dtype", "f32", "-t", "2", "-p", str(TOKENS), "-n", str(STEPS)]
    command += ["-d", str(DEPTH), "-r", str(ROUNDS), "--dram-mib", "8", "-o", "json", "--profile"]
    report = json.loads(subprocess.run(command + ["--trace", trace_file.name], stdout=subprocess.PIPE, check=True).stdout)
    trace = json.load(trace_file)["traceEvents"]

for row, rate, amount in (
    (report["rows"][0], "gflops", {name: 2 * TOKENS * size for name, size in MATRICES.items()}),
    (report["rows"][1], "gb_s", {name: 4 * size for name, size in MATRICES.items()}),
):
    parts = {part["part"]: part for part in row["profile"]}
    assert set(parts) == set(MATRICES) | OTHERS | {"(between)"}, set(parts)
    near(sum(part["time_share"] for part in parts.values()), 1)
    assert all(part["seconds"] > 0 for part in parts.values()), parts
    if row["test"] == f"pp{TOKENS}":
        amount["lm_head"] /= TOKENS  # the last row's logits only
        keys = sum(DEPTH + i + 1 for i in range(TOKENS))
        amount["attention"] = 4 * LAYERS * HEADS * HEAD_DIM * keys
    else:
        keys = sum(DEPTH + i + 1 for i in range(STEPS)) / STEPS
        amount["attention"] = 4 * 2 * LAYERS * KV_HEADS * HEAD_DIM * keys
    for name, expected in amount.items():
        near(parts[name][rate] * 1e9 * parts[name]["seconds"], expected)

names = [event["args"]["name"] for event in trace if event["ph"] == "M"]
assert names == [f"f32 pp{TOKENS} behind {DEPTH}", f"f32 tg{STEPS} behind {DEPTH}"], names
for test, passes in ((1, 1), (2, STEPS)):
    events = [event for event in trace if event["ph"] == "X" and event["pid"] == test]
    assert len(events) == passes * (LAYERS * 9 + 3), len(events)
    for event, following in zip(events, events[1:]):  # one after the other
        assert event["ts"] + event["dur"] <= following["ts"] + 1e-3, (event, following)
    assert {event["args"]["layer"] for event in events if event["name"] == "attention"} == set(range(LAYERS))
