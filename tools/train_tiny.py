#!/usr/bin/env python3
"""Train the embedded tiny story model and write it as a Hugging Face folder.

Offline tool: the library never needs it. It writes its own training text with
write_stories.py, trains a byte-level BPE tokenizer with the Qwen2 pipeline,
trains a small Qwen2ForCausalLM with float32 weights on the CPU, rounds them to
bfloat16 and saves everything into one folder.

A run can be stopped at any time: the same command goes on from the last
checkpoint in the scratch folder.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import tempfile
import time
from pathlib import Path

import numpy
import safetensors
import tokenizers
import torch
import transformers
from safetensors.torch import save_file
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

from write_stories import END_OF_STORY, write_stories

SPECIAL_TOKENS = (END_OF_STORY, "<|im_start|>", "<|im_end|>")
SPLIT_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
IGNORED = -100
EMBEDDING_SPREAD = 0.12
Rows = tuple[torch.Tensor, torch.Tensor]  # inputs and targets
HELD_OUT_STORIES = 400
GENERATION = {"do_sample": True, "temperature": 0.8, "top_k": 40, "top_p": 0.9}
PROMPTS = ("Once upon a time", "One morning", "There was once a little fox", "")


# --------------------------------------------------------------------------
# Tokenizer
# --------------------------------------------------------------------------


def train_tokenizer(stories: list[str], vocab_size: int) -> Tokenizer:
    """Byte-level BPE with the normalizer, splits and decoder of Qwen2.

    The special tokens are added after the training, so that they get the last
    ids, as in the Qwen2 family.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT_PATTERN), behavior="isolated", invert=False),
            pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=True, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel(add_prefix_space=True, trim_offsets=True, use_regex=True)
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - len(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(stories, trainer)
    tokenizer.add_special_tokens(
        [AddedToken(text, normalized=False, special=True) for text in SPECIAL_TOKENS]
    )
    if tokenizer.get_vocab_size() != vocab_size:
        raise SystemExit(f"the stories give only {tokenizer.get_vocab_size()} of {vocab_size} tokens")
    return tokenizer


# --------------------------------------------------------------------------
# Training rows
# --------------------------------------------------------------------------


def pack(stories: list[list[int]], length: int, end: int, rng: numpy.random.Generator) -> list[list[int]]:
    """Put whole stories into rows, so that no story is cut and every row starts with one.

    Half of the rows begin with the end mark and half begin directly with the
    first word, because a prompt may come with or without a mark before it.
    The few stories that are too long for a row are left out.
    """
    open_rows: list[list[int]] = []
    full_rows: list[list[int]] = []
    for story in stories:
        piece = story + [end]
        fitting = [row for row in open_rows if len(row) + len(piece) <= length]
        if fitting:
            max(fitting, key=len).extend(piece)
        elif len(piece) < length:
            open_rows.append(([end] if rng.random() < 0.5 else []) + piece)
        if len(open_rows) > 64:
            fullest = max(range(len(open_rows)), key=lambda index: len(open_rows[index]))
            full_rows.append(open_rows.pop(fullest))
    return full_rows + open_rows


def to_tensors(rows: list[list[int]], length: int) -> Rows:
    """Inputs and next-token targets; targets after the end of a row are ignored."""
    inputs = torch.zeros(len(rows), length, dtype=torch.long)
    targets = torch.full((len(rows), length), IGNORED, dtype=torch.long)
    for index, row in enumerate(rows):
        inputs[index, : len(row)] = torch.tensor(row)
        targets[index, : len(row) - 1] = torch.tensor(row[1:])
    return inputs, targets


def make_rows(tokenizer: Tokenizer, stories: list[str], length: int, seed: int) -> Rows:
    """Encode, pack and turn stories into tensors."""
    encoded = [encoding.ids for encoding in tokenizer.encode_batch(stories)]
    end = tokenizer.token_to_id(END_OF_STORY)
    rows = pack(encoded, length, end, numpy.random.default_rng(seed))
    return to_tensors(rows, length)


# --------------------------------------------------------------------------
# Model
# --------------------------------------------------------------------------


def model_config(arguments: argparse.Namespace, end: int) -> Qwen2Config:
    """The shape of the model; rotary base and the like are Qwen2's usual fields."""
    return Qwen2Config(
        vocab_size=arguments.vocab_size,
        hidden_size=arguments.hidden,
        intermediate_size=arguments.intermediate,
        num_hidden_layers=arguments.layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=2048,
        rope_theta=10000.0,
        rms_norm_eps=1e-6,
        tie_word_embeddings=True,
        initializer_range=0.03,
        bos_token_id=end,
        eos_token_id=end,
    )


@torch.no_grad()
def prepare_copying(model: Qwen2ForCausalLM) -> None:
    """Start weights from which the model soon learns to repeat a name it has read.

    Wide embeddings keep the names apart: with the usual small ones the steps of
    AdamW are as large as the differences between names, and no name is ever
    repeated. In all layers but the first, the value and output matrices of
    attention start as a projection, so that a token that is looked at becomes
    more likely, and attention only has to learn where to look.
    """
    torch.nn.init.normal_(model.model.embed_tokens.weight, std=EMBEDDING_SPREAD)
    for layer in model.model.layers[1:]:
        attention = layer.self_attn
        size = attention.head_dim
        values = attention.v_proj.weight
        torch.nn.init.orthogonal_(values, gain=0.7)
        for head in range(model.config.num_attention_heads):
            group = head // attention.num_key_value_groups
            rows = slice(group * size, (group + 1) * size)
            attention.o_proj.weight[:, head * size : (head + 1) * size] = values[rows].T / 2


def make_optimizer(model: torch.nn.Module, rate: float) -> torch.optim.AdamW:
    """AdamW with weight decay for the matrices of the layers only."""
    decayed = {id(value) for value in model.model.layers.parameters() if value.dim() >= 2}
    matrices = [value for value in model.parameters() if id(value) in decayed]
    others = [value for value in model.parameters() if id(value) not in decayed]
    groups = [{"params": matrices, "weight_decay": 0.05}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.95), fused=True)


def learning_rate(step: int, steps: int, peak: float, warm_up: int) -> float:
    """Linear warm-up, then a cosine down to two percent of the peak."""
    if step < warm_up:
        return peak * (step + 1) / warm_up
    progress = (step - warm_up) / max(1, steps - warm_up)
    return peak * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * progress)))


def mean_loss(model, inputs: torch.Tensor, targets: torch.Tensor, mixed: bool = False) -> torch.Tensor:
    """Cross entropy per token of a batch, in float32 or with bfloat16 products."""
    with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
        logits = model(input_ids=inputs, use_cache=False).logits
    return torch.nn.functional.cross_entropy(
        logits.float().flatten(0, 1), targets.flatten(), ignore_index=IGNORED
    )


@torch.no_grad()
def held_out_loss(model, inputs: torch.Tensor, targets: torch.Tensor, batch: int) -> float:
    """Loss on stories the model was not trained on."""
    losses, counts = [], []
    for start in range(0, len(inputs), batch):
        part = slice(start, start + batch)
        losses.append(mean_loss(model, inputs[part], targets[part]).item())
        counts.append((targets[part] != IGNORED).sum().item())
    return float(numpy.average(losses, weights=counts))


def batch_rows(count: int, batch: int, step: int, seed: int) -> torch.Tensor:
    """Row numbers of one step. They depend on the step alone, so a resumed run sees the same ones."""
    per_epoch = count // batch
    epoch, index = divmod(step, per_epoch)
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed + epoch))
    return order[index * batch : (index + 1) * batch]


def run_settings(arguments: argparse.Namespace) -> dict:
    """What two runs must share for one to go on from a checkpoint of the other."""
    free = ("out", "scratch", "threads", "report", "mixed", "samples")
    return {name: value for name, value in vars(arguments).items() if name not in free}


def save_checkpoint(path: Path, model, optimizer, progress: dict, arguments: argparse.Namespace) -> None:
    """Write to a second file first: a run may be stopped in the middle of it."""
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
    state |= {"progress": progress, "settings": run_settings(arguments)}
    torch.save(state, path.with_suffix(".new"))
    path.with_suffix(".new").replace(path)


def load_checkpoint(path: Path, model, optimizer, arguments: argparse.Namespace) -> dict:
    """Progress of an earlier run with the same settings, or a fresh start."""
    if not path.exists():
        return {"step": 0, "seconds": 0.0, "tokens": 0}
    state = torch.load(path, weights_only=True)
    if state["settings"] != run_settings(arguments):
        raise SystemExit(f"{path} is of a run with other settings: remove it or choose another --scratch")
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    print(f"resumed at step {state['progress']['step']}", flush=True)
    return state["progress"]


def step_rows(short: Rows, long: Rows, step: int, arguments: argparse.Namespace) -> Rows:
    """The rows of one step: first single stories, in the last part two stories per row.

    A name is easy to find again when no other story is in sight, so the model
    learns to keep names much sooner from single stories. The longer rows then
    teach it to forget the old story after the end mark.
    """
    long_start = round(arguments.steps * (1 - arguments.long_part))
    if step < long_start:
        (inputs, targets), batch = short, arguments.batch
    else:
        (inputs, targets), batch, step = long, arguments.batch // 2, step - long_start
    chosen = batch_rows(len(inputs), batch, step, arguments.seed)
    return inputs[chosen], targets[chosen]


def train_step(model, optimizer, rows: Rows, rate: float, mixed: bool) -> float:
    """One step of the optimizer; returns the loss before it."""
    for group in optimizer.param_groups:
        group["lr"] = rate
    loss = mean_loss(model, *rows, mixed)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return loss.item()


def train(
    model, short: Rows, long: Rows, held_out: Rows, arguments: argparse.Namespace, checkpoint: Path
) -> dict:
    """Train to the last step; seconds and tokens include the parts before a resume."""
    optimizer = make_optimizer(model, arguments.rate)
    progress = load_checkpoint(checkpoint, model, optimizer, arguments)
    losses: list[float] = []
    last_time = last_save = time.monotonic()
    while progress["step"] < arguments.steps:
        rows = step_rows(short, long, progress["step"], arguments)
        rate = learning_rate(progress["step"], arguments.steps, arguments.rate, arguments.warm_up)
        losses.append(train_step(model, optimizer, rows, rate, arguments.mixed))
        now = time.monotonic()
        progress["step"] += 1
        progress["tokens"] += int((rows[1] != IGNORED).sum())
        progress["seconds"] += now - last_time
        last_time = now
        last = progress["step"] == arguments.steps
        if len(losses) == arguments.report or last:
            speed = progress["tokens"] / progress["seconds"]
            print(
                f"step {progress['step']}/{arguments.steps}  loss {numpy.mean(losses):.4f}  rate {rate:.2e}  "
                f"{speed:.0f} tokens/s  {progress['seconds']:.0f} s",
                flush=True,
            )
            losses.clear()
        if progress["step"] % (10 * arguments.report) == 0:
            loss = held_out_loss(model, *held_out, arguments.batch)
            print(f"step {progress['step']}  held-out loss {loss:.4f}", flush=True)
        if now - last_save > 60 or last:
            last_save = now
            save_checkpoint(checkpoint, model, optimizer, progress, arguments)
    return progress


def round_to_bfloat16(model) -> None:
    """Keep float32 tensors, but with the values the saved file will hold."""
    with torch.no_grad():
        for value in model.parameters():
            value.copy_(value.bfloat16().float())


# --------------------------------------------------------------------------
# Saving
# --------------------------------------------------------------------------


def write_json(path: Path, content: dict) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def config_fields(config: Qwen2Config) -> dict:
    """config.json with the field names of released Qwen2 models.

    Written by hand, because newer versions of transformers rename fields
    (rope_theta, torch_dtype) that every other loader still looks for.
    """
    return {
        "architectures": ["Qwen2ForCausalLM"],
        "attention_dropout": 0.0,
        "bos_token_id": config.bos_token_id,
        "eos_token_id": config.eos_token_id,
        "hidden_act": "silu",
        "hidden_size": config.hidden_size,
        "initializer_range": config.initializer_range,
        "intermediate_size": config.intermediate_size,
        "max_position_embeddings": config.max_position_embeddings,
        "model_type": "qwen2",
        "num_attention_heads": config.num_attention_heads,
        "num_hidden_layers": config.num_hidden_layers,
        "num_key_value_heads": config.num_key_value_heads,
        "rms_norm_eps": config.rms_norm_eps,
        "rope_theta": 10000.0,
        "tie_word_embeddings": True,
        "torch_dtype": "bfloat16",
        "use_cache": True,
        "use_sliding_window": False,
        "vocab_size": config.vocab_size,
    }


def save_model(model, tokenizer: Tokenizer, folder: Path) -> None:
    """Write the files of the Hugging Face folder, the tied head only once."""
    folder.mkdir(parents=True, exist_ok=True)
    end = tokenizer.token_to_id(END_OF_STORY)
    write_json(folder / "config.json", config_fields(model.config))
    write_json(
        folder / "generation_config.json",
        {"bos_token_id": end, "eos_token_id": end, "pad_token_id": end, **GENERATION},
    )
    write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "eos_token": END_OF_STORY,
            "pad_token": END_OF_STORY,
            "bos_token": None,
            "add_bos_token": False,
            "clean_up_tokenization_spaces": False,
            "model_max_length": 2048,
        },
    )
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    weights = {
        name: value.detach().bfloat16().contiguous()
        for name, value in model.state_dict().items()
        if name != "lm_head.weight"
    }
    file = folder / "model.safetensors"
    save_file(weights, file, metadata={"format": "pt"})
    file.chmod(0o644)  # save_file leaves it readable for its owner only


README = """# Tiny story model

A Qwen2-architecture language model with {parameters:,} parameters that tells
short children's stories in English. It is small enough to be kept in the
repository and built into a program; it knows nothing else.

- Shape: {layers} layers, hidden size {hidden}, feed-forward size {intermediate}, 4 attention
  heads, 2 key/value heads, tied embeddings, {vocab_size} tokens, up to 2048 positions
  (trained on rows of {length} and twice that).
- Training text: {stories:,} stories written by `tools/write_stories.py` from a
  grammar and word lists of our own. No third-party text was used.
- A story ends with `<|endoftext|>`. Start with a few words such as
  `Once upon a time`, or with `<|endoftext|>` alone.
- It is made for one story of about 250 tokens. It can go on with a second one,
  but after about {twice} tokens, the longest rows it was trained on, the text
  falls apart.
- It does not know that it is talked to. `chat_template.jinja` makes a story of a
  conversation: what you say begins a new paragraph, or goes on with a sentence
  that is not finished, and the model goes on from there.
- Licence: MIT, like the rest of the repository.

## How it was made

```
pip install -r tools/requirements.txt
python tools/train_tiny.py {command}
```

| | |
|---|---|
| Seed | {seed} (stories, weights, order of the rows) |
| Steps | {steps:,} of {batch} rows, AdamW, peak learning rate {rate}, cosine, {warm_up} warm-up steps |
| Tokens seen | {tokens_seen:.1f} million |
| Precision | float32 weights and optimizer, matrix products in {products} |
| Training time | {minutes:.0f} minutes with {threads} CPU thread(s) |
| Held-out loss | {loss:.4f} per token in float32, {rounded_loss:.4f} with the saved bfloat16 weights |
| Versions | Python {python}, torch {torch}, transformers {transformers}, tokenizers {tokenizers}, numpy {numpy}, safetensors {safetensors} |
"""


def write_readme(folder: Path, arguments: argparse.Namespace, facts: dict) -> None:
    command = (
        f"--stories {arguments.stories} --steps {arguments.steps} --batch {arguments.batch} "
        f"--length {arguments.length} --rate {arguments.rate} --seed {arguments.seed} --threads {arguments.threads}"
        + (" --mixed" if arguments.mixed else "")
    )
    versions = {
        module.__name__: module.__version__.split("+")[0]
        for module in (torch, transformers, tokenizers, numpy, safetensors)
    }
    text = README.format(
        **vars(arguments), **facts, **versions, command=command, python=platform.python_version()
    )
    (folder / "README.md").write_text(text, encoding="utf-8")


def print_samples(folder: Path, seeds: range) -> None:
    """Tell stories with the saved folder, as a user of it would."""
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    model = Qwen2ForCausalLM.from_pretrained(folder, dtype=torch.float32)
    for prompt in PROMPTS:
        ids = tokenizer(prompt)["input_ids"] or [model.config.eos_token_id]
        for seed in seeds:
            torch.manual_seed(seed)
            output = model.generate(
                torch.tensor([ids]),
                attention_mask=torch.ones(1, len(ids), dtype=torch.long),
                max_new_tokens=400,
            )[0]
            ended = output[-1].item() == model.config.eos_token_id
            print(f"--- {prompt!r}, seed {seed}, {len(output)} tokens, {'ended' if ended else 'NOT ended'}")
            print(tokenizer.decode(output, skip_special_tokens=True), flush=True)


# --------------------------------------------------------------------------
# Command line
# --------------------------------------------------------------------------


def parse_arguments() -> argparse.Namespace:
    root = Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=root / "examples" / "tiny", help="folder of the model")
    parser.add_argument(
        "--scratch",
        type=Path,
        default=Path(tempfile.gettempdir()) / "train_tiny",
        help="folder of the checkpoints, outside the repository",
    )
    parser.add_argument("--stories", type=int, default=60000)
    parser.add_argument("--steps", type=int, default=4200)
    parser.add_argument("--batch", type=int, default=16, help="rows per step")
    parser.add_argument("--length", type=int, default=264, help="tokens per row, just enough for one story")
    parser.add_argument(
        "--long-part",
        type=float,
        default=0.2,
        help="last part of the steps, which uses rows of twice the length",
    )
    parser.add_argument("--rate", type=float, default=2e-3, help="peak learning rate")
    parser.add_argument("--warm-up", type=int, default=150, help="steps of rising learning rate")
    parser.add_argument("--vocab-size", type=int, default=1536)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--intermediate", type=int, default=512)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--report", type=int, default=50, help="steps between two lines of progress")
    parser.add_argument(
        "--mixed",
        action="store_true",
        help="bfloat16 products with float32 weights: faster on CPUs that have them",
    )
    parser.add_argument("--samples", type=int, default=2, help="stories to print per prompt at the end")
    return parser.parse_args()


def make_texts(arguments: argparse.Namespace) -> tuple[list[str], list[str]]:
    """Training stories and held-out stories, which come from another seed."""
    stories = list(write_stories(arguments.stories, arguments.seed))
    known = set(stories)
    held_out = write_stories(HELD_OUT_STORIES, arguments.seed + 1_000_003)
    return stories, [story for story in held_out if story not in known]


def main() -> None:
    arguments = parse_arguments()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    arguments.scratch.mkdir(parents=True, exist_ok=True)

    stories, held_out_stories = make_texts(arguments)
    tokenizer = train_tokenizer(stories[:20000], arguments.vocab_size)
    short = make_rows(tokenizer, stories, arguments.length, arguments.seed)
    long = make_rows(tokenizer, stories, 2 * arguments.length, arguments.seed)
    held_out = make_rows(tokenizer, held_out_stories, arguments.length, arguments.seed)
    for name, (inputs, targets) in (("short", short), ("long", long)):
        filled = (targets != IGNORED).float().mean().item()
        print(f"{len(inputs)} {name} rows of {inputs.shape[1]} tokens, {filled:.0%} filled", flush=True)

    model = Qwen2ForCausalLM(model_config(arguments, tokenizer.token_to_id(END_OF_STORY)))
    prepare_copying(model)
    print(f"{model.num_parameters()} parameters", flush=True)
    progress = train(model, short, long, held_out, arguments, arguments.scratch / "checkpoint.pt")

    loss = held_out_loss(model, *held_out, arguments.batch)
    round_to_bfloat16(model)
    rounded_loss = held_out_loss(model, *held_out, arguments.batch)
    print(f"held-out loss {loss:.4f}, with bfloat16 weights {rounded_loss:.4f}", flush=True)

    save_model(model, tokenizer, arguments.out)
    write_readme(
        arguments.out,
        arguments,
        {
            "parameters": model.num_parameters(),
            "loss": loss,
            "rounded_loss": rounded_loss,
            "minutes": progress["seconds"] / 60,
            "tokens_seen": progress["tokens"] / 1e6,
            "products": "bfloat16" if arguments.mixed else "float32",
            "twice": 2 * arguments.length,
        },
    )
    print_samples(arguments.out, range(1, arguments.samples + 1))


if __name__ == "__main__":
    main()
