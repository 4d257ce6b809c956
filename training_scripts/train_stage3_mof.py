# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Trains the gating network of DeepAudio-V1, which reads from an instruction what to make (stage 3 of 4).

    accelerate launch training_scripts/train_stage3_mof.py --text_encoder google/flan-t5-base --output_dir my-gate

begins from the encoder of FLAN-T5 and learns from the instructions that deepaudio_diffusers brings along. Batches of
32, 5000 steps and a learning rate from 1e-4 to 1e-6 are those of the paper (https://arxiv.org/abs/2503.22265).

    python training_scripts/train_stage3_mof.py --preset tiny --mixed_precision bf16 --output_dir my-gate

trains a small gate from nothing, on a CPU and without a download: the one in `checkpoints/deepaudio-tiny`.

The gate is written to `my-gate/gate`, its tokenizer to `my-gate/gate_tokenizer`, and how well it reads the validation
instructions to `my-gate/report.json`. `python benchmarks/gate_report.py my-gate` measures it on the test instructions.
"""

import argparse
import csv
import itertools
import json
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from accelerate.utils import set_seed
from huggingface_hub.utils import tqdm
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from torch import nn
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast, T5Config

from deepaudio_diffusers.errors import InputError
from deepaudio_diffusers.instructions import Instruction, load_instructions
from deepaudio_diffusers.instructions.evaluate import read_tasks, report
from deepaudio_diffusers.instructions.generate import Span, training_instructions_with_spans
from deepaudio_diffusers.models.gating_network import MoFGatingConfig, MoFGatingNetwork
from deepaudio_diffusers.tasks import TASKS
from deepaudio_diffusers.training.arguments import add_training_arguments, parse_with_preset
from deepaudio_diffusers.training.data import DataReport, write_data_report
from deepaudio_diffusers.training.hub import save_and_push
from deepaudio_diffusers.training.loop import TrainingLoop, make_accelerator


# What `--preset tiny` builds: under 8 MB in half precision.
TINY_TEXT_CONFIG = {
    "d_model": 192,
    "d_kv": 32,
    "d_ff": 384,
    "num_layers": 4,
    "num_heads": 6,
    "feed_forward_proj": "gated-silu",
    # Tokens are left out of the training instructions instead, which costs no time: dropout would take half of it.
    "dropout_rate": 0.0,
}
TINY_VOCAB_SIZE = 8192
# T5 begins with embeddings of standard deviation 1, which steps of a training this short hardly move.
TINY_EMBEDDING_SCALE = 0.1
# From which its tokenizer is learnt; more change nothing.
NUM_TOKENIZER_INSTRUCTIONS = 20_000
TOKENIZED_TOGETHER = 4096
# Arguments that it changes. Weights that begin at random need larger steps than trained ones, and more of them.
TINY_DEFAULTS = {
    "text_encoder": None,
    "train_batch_size": 128,
    "max_train_steps": 18_000,
    "lr_scheduler": "cosine",
    "learning_rate": 8e-4,
    "lr_warmup_steps": 300,
    "ema_decay": 0.999,
    "mlp_hidden_size": 128,
    "label_smoothing": 0.02,
    "span_loss_weight": 1.0,
    # No more: an instruction that has lost its "not" has another meaning.
    "token_dropout": 0.05,
    "num_train_instructions": 800_000,
    "validation_steps": 1000,
    "checkpointing_steps": 500,
}
# Longer instructions are cut.
MAX_TOKENS = 512
# Batches that are sorted by length together. Most instructions are short and a few very long: sorted with few others,
# those would fill every batch that they are in with padding.
BUCKET_BATCHES = 32
# What a token can be: in no phrase, or in one that means a task, which is asked for or only mentioned.
NUM_SPAN_CLASSES = 1 + 2 * len(TASKS)
UNKNOWN = -100


def parse_args(input_args: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    group = parser.add_argument_group("the gate")
    group.add_argument(
        "--preset",
        choices=("tiny", "full"),
        default="full",
        help="'tiny' builds a gate of about three million weights and its tokenizer from the training data alone, and "
        f"changes the defaults of {', '.join(f'--{name}' for name in TINY_DEFAULTS)}.",
    )
    group.add_argument(
        "--text_encoder",
        default="google/flan-t5-base",
        help="Folder or name on the Hub of a T5, whose encoder gets a new MLP (default: %(default)s).",
    )
    group.add_argument(
        "--pretrained", type=Path, help="An `--output_dir` of this script: train its gate further instead."
    )
    group.add_argument("--mlp_hidden_size", type=int, default=256, help="Width of the MLP (default: %(default)s).")
    group.add_argument("--mlp_dropout", type=float, default=0.1, help="Dropout before each layer of the MLP.")
    group.add_argument("--freeze_text_encoder", action="store_true", help="Train the MLP alone.")

    group = parser.add_argument_group("data")
    group.add_argument(
        "--data",
        type=Path,
        help="Your own instructions, .jsonl or .csv, with the columns `text` and `label`, one of "
        f"{', '.join(TASKS)}, and maybe `language`. By default they are made from the package's templates.",
    )
    group.add_argument(
        "--validation_data", type=Path, help="The same, for validation. By default the package's validation split."
    )
    group.add_argument(
        "--on_bad_data",
        choices=("skip", "error"),
        default="error",
        help="What to do about rows that cannot be used (default: %(default)s).",
    )
    group.add_argument(
        "--num_train_instructions",
        type=int,
        help="How many are made from the templates; by default as many as all steps use, none of them twice.",
    )
    group.add_argument(
        "--typo_probability", type=float, default=0.1, help="Part of the training instructions that get typing errors."
    )
    group.add_argument(
        "--token_dropout",
        type=float,
        default=0.0,
        help="Part of the tokens of half of the training instructions that are left out or exchanged for any other.",
    )
    group.add_argument("--label_smoothing", type=float, default=0.0, help="Of the cross-entropy.")
    group.add_argument(
        "--span_loss_weight",
        type=float,
        default=0.0,
        help="Weight of a second loss, for instructions that are made from templates: each token has to tell which "
        "task its phrase means, and whether that is asked for or only mentioned (default: %(default)s).",
    )
    add_training_arguments(
        parser,
        train_batch_size=32,
        max_train_steps=5000,
        learning_rate=1e-4,
        lr_scheduler="linear",
        lr_warmup_steps=1000,
        final_learning_rate=1e-6,
        adam_weight_decay=0.0,
        ema_decay=0.0,
    )
    return parse_with_preset(parser, input_args, TINY_DEFAULTS)


def read_instructions(path: Path, data_report: DataReport) -> list[Instruction]:
    """
    Instructions from a .jsonl or .csv file.

    Raises:
        InputError: If there is no such file, it is of another kind, or no row of it can be used.
    """
    if path.suffix not in (".jsonl", ".csv") or not path.is_file():
        raise InputError(f"{path} is no .jsonl or .csv file with instructions; pass one that is there.")
    with path.open(encoding="utf-8-sig", newline="") as file:
        is_csv = path.suffix == ".csv"
        rows = list(csv.DictReader(file)) if is_csv else [json.loads(line) for line in file if line.strip()]
    instructions = []
    for number, row in enumerate(rows, start=1):
        text, label = row.get("text"), row.get("label")
        if not isinstance(text, str) or label not in TASKS:
            reason = "no text in the column `text`" if not isinstance(text, str) else f"`label` is none of {TASKS}"
            data_report.leave_out(f"{path.name}, row {number}", reason, row)
            continue
        instructions.append(Instruction(text, label, row.get("language") or "unknown", "given"))
    if not instructions:
        raise InputError(f"{path.name} has no rows that can be used.")
    data_report.used += len(instructions)
    return instructions


def add_typos(text: str, generator: random.Random) -> str:
    """`text` with a typing error in about every twentieth character, one at least."""
    characters = list(text)
    for _ in range(1 + len(characters) // 20):
        if len(characters) < 2:
            break
        i = generator.randrange(len(characters) - 1)
        match generator.randrange(3):
            case 0:
                del characters[i]
            case 1:
                characters[i], characters[i + 1] = characters[i + 1], characters[i]
            case 2:
                characters.insert(i, characters[i])
    return "".join(characters)


def train_tokenizer(texts: Sequence[str]) -> PreTrainedTokenizerFast:
    """
    A byte-level BPE tokenizer learnt from `texts`, with T5's special tokens.

    Case and the width of characters make no difference to it. A Chinese character is never joined to another one, so
    that a word is the same tokens wherever it stands. No character is unknown: a rare one is spelt in bytes.
    """
    special_tokens = ["<pad>", "</s>", "<unk>"]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(r"[\u3400-\u9fff]"), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=TINY_VOCAB_SIZE,
            special_tokens=special_tokens,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", special_tokens.index("</s>"))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        model_max_length=MAX_TOKENS,
    )


def build_gate(args: argparse.Namespace, texts: Sequence[str]) -> tuple[MoFGatingNetwork, PreTrainedTokenizerBase]:
    """The gate to begin with, in float32, and its tokenizer."""
    if args.pretrained is not None:
        gate = MoFGatingNetwork.from_pretrained(args.pretrained / "gate", dtype=torch.float32)
        return gate, AutoTokenizer.from_pretrained(args.pretrained / "gate_tokenizer")
    if args.preset == "tiny":
        tokenizer = train_tokenizer(texts)
        text_config = T5Config(vocab_size=len(tokenizer), **TINY_TEXT_CONFIG)
        gate = MoFGatingNetwork(MoFGatingConfig(text_config, args.mlp_hidden_size, args.mlp_dropout))
        with torch.no_grad():
            gate.get_input_embeddings().weight.mul_(TINY_EMBEDDING_SCALE)
        return gate, tokenizer
    gate = MoFGatingNetwork.from_t5_encoder(
        args.text_encoder, args.mlp_hidden_size, args.mlp_dropout, dtype=torch.float32
    )
    return gate, AutoTokenizer.from_pretrained(args.text_encoder)


def disturb_tokens(
    tokens: list[tuple[int, int]], vocab_size: int, probability: float, generator: random.Random
) -> list[tuple[int, int]]:
    """`tokens`, ids with classes, each but the last, the end, left out or exchanged with `probability`.

    So no one word decides.
    """
    result = []
    for token in tokens[:-1]:
        if generator.random() >= probability:
            result.append(token)
        elif generator.random() < 0.5:
            result.append((generator.randrange(vocab_size), token[1]))
    return [*result, tokens[-1]]


def span_class(span: Span) -> int:
    """The class of the tokens in `span`; 0 is that of those in none."""
    return 1 + 2 * TASKS.index(span.task) + span.is_wanted


def label_tokens(offsets: Sequence[tuple[int, int]], spans: Sequence[Span]) -> list[int]:
    """The class of each token by the characters that it stands for."""
    return [
        next((span_class(span) for span in spans if span.start < end and start < span.end), 0)
        for start, end in offsets
    ]


def prepare_items(
    instructions: Iterable[tuple[Instruction, Sequence[Span]]],
    tokenizer: PreTrainedTokenizerBase,
    args: argparse.Namespace,
) -> list[dict[str, Any]]:
    """The tokens of each instruction, some of them with typing errors, their classes, and the number of its task."""
    generator = random.Random(args.seed)
    instructions, items = iter(instructions), []
    # Not all at once: as Python objects a million instructions take 20 GB, as arrays 1 GB.
    while chunk := list(itertools.islice(instructions, TOKENIZED_TOGETHER)):
        texts = [
            add_typos(each.text, generator) if generator.random() < args.typo_probability else each.text
            for each, _ in chunk
        ]
        tokens = tokenizer(texts, truncation=True, max_length=MAX_TOKENS, return_offsets_mapping=True)
        for (each, spans), text, ids, offsets in zip(
            chunk, texts, tokens.input_ids, tokens.offset_mapping, strict=True
        ):
            # Typing errors move the phrases, and written instructions have none that are known.
            is_known = bool(spans) and text == each.text
            classes = label_tokens(offsets, spans) if is_known else [UNKNOWN] * len(ids)
            pairs = list(zip(ids, classes, strict=True))
            if args.token_dropout > 0 and generator.random() < 0.5:
                pairs = disturb_tokens(pairs, len(tokenizer), args.token_dropout, generator)
            items.append({"tokens": np.array(pairs, dtype=np.int32).T, "label": TASKS.index(each.label)})
    return items


def make_collate(pad_token_id: int) -> Any:
    def collate(items: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        lengths = [item["tokens"].shape[1] for item in items]
        shape = (len(items), max(lengths))
        batch = {
            "input_ids": torch.full(shape, pad_token_id),
            "attention_mask": torch.zeros(shape, dtype=torch.long),
            "span_classes": torch.full(shape, UNKNOWN),
            "labels": torch.tensor([item["label"] for item in items]),
        }
        for row, (item, length) in enumerate(zip(items, lengths, strict=True)):
            ids, classes = torch.from_numpy(item["tokens"])
            batch["input_ids"][row, :length] = ids
            batch["span_classes"][row, :length] = classes
            batch["attention_mask"][row, :length] = 1
        return batch

    return collate


def build_model_card(args: argparse.Namespace, figures: dict[str, Any]) -> str:
    """The README.md of a trained gate."""
    if args.pretrained is not None:
        origin = f"Training began from the gate `{args.pretrained.name}`, whose terms it keeps."
    elif args.preset == "tiny":
        origin = "All weights and the tokenizer come from the training data alone."
    else:
        origin = f"The text encoder began as that of `{args.text_encoder}`, whose terms it keeps."
    source = "the instructions of deepaudio_diffusers" if args.data is None else f"`{args.data.name}`"
    overall = figures["all"]
    return f"""---
library_name: transformers
pipeline_tag: text-classification
tags: [deepaudio-diffusers, deepaudio-v1, gating-network]
---

# Gating network for DeepAudio-V1

Reads from an instruction which of {", ".join(f"`{task}`" for task in TASKS)} it asks for
([arXiv 2503.22265](https://arxiv.org/abs/2503.22265)). {origin}

```python
from deepaudio_diffusers.models.gating_network import MoFGatingNetwork
from transformers import AutoTokenizer

gate = MoFGatingNetwork.from_pretrained(folder, subfolder="gate")
tokenizer = AutoTokenizer.from_pretrained(folder, subfolder="gate_tokenizer")
tokens = tokenizer("Dub the actor and add some rain", return_tensors="pt")
print(gate(tokens.input_ids, tokens.attention_mask).probabilities)
```

## Training

`training_scripts/train_stage3_mof.py`: {source}, {args.max_train_steps} steps of {args.train_batch_size} instructions
on each process, learning rate {args.learning_rate:g} ({args.lr_scheduler}), seed {args.seed}. It reads
{overall["num_right"]} of {overall["num"]} validation instructions right; `report.json` has more figures.

## Limits

It answers every text with one of its tasks, also one that asks for none of them: look at the probabilities, and let
people name the task themselves. It knows the languages of its training data only.
"""


def main(args: argparse.Namespace) -> None:
    accelerator = make_accelerator(args)
    set_seed(args.seed)

    # Instructions.
    reports = {"train": DataReport(args.on_bad_data)}
    if args.data is not None:
        instructions = iter([(each, []) for each in read_instructions(args.data, reports["train"])])
    else:
        items_per_step = args.train_batch_size * args.gradient_accumulation_steps * accelerator.num_processes
        num = args.num_train_instructions or args.max_train_steps * items_per_step
        made = training_instructions_with_spans(num, args.seed)
        instructions = iter(tqdm(made, "Instructions", num, disable=not accelerator.is_main_process))
        reports["train"].used += num
    if args.validation_data is not None:
        reports["validation"] = DataReport(args.on_bad_data)
        validation_instructions = read_instructions(args.validation_data, reports["validation"])
    else:
        validation_instructions = load_instructions("validation")
    write_data_report(args, accelerator, **reports)

    # Gate.
    first = list(itertools.islice(instructions, NUM_TOKENIZER_INSTRUCTIONS))
    gate, tokenizer = build_gate(args, [instruction.text for instruction, _ in first])
    gate.text_encoder.requires_grad_(not args.freeze_text_encoder)
    items = prepare_items(itertools.chain(first, instructions), tokenizer, args)
    accelerator.print(dict(Counter(TASKS[item["label"]] for item in items)))
    networks: dict[str, nn.Module] = {"gate": gate}
    if args.span_loss_weight > 0:
        # Needed for training alone.
        networks["span_head"] = nn.Linear(gate.config.text_config.d_model, NUM_SPAN_CLASSES)

    def loss(networks: dict[str, nn.Module], batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, dict[str, Any]]:
        gate, mask, labels = networks["gate"], batch["attention_mask"], batch["labels"]
        hidden_states = gate.text_encoder(input_ids=batch["input_ids"], attention_mask=mask).last_hidden_state
        logits = gate.classify(hidden_states, mask).float()
        value = F.cross_entropy(logits, labels, label_smoothing=args.label_smoothing)
        figures = {"accuracy": (logits.argmax(-1) == labels).float().mean(), "task_loss": value}
        if "span_head" in networks:
            classes = batch["span_classes"].flatten()
            span_logits = networks["span_head"](hidden_states).float().flatten(0, 1)
            # A mean of which nothing is left where a batch has no token whose phrase is known.
            span_loss = F.cross_entropy(span_logits, classes, ignore_index=UNKNOWN, reduction="sum")
            figures["span_loss"] = span_loss / (classes != UNKNOWN).sum().clamp(min=1)
            value = value + args.span_loss_weight * figures["span_loss"]
        return value, figures

    def validate(networks: dict[str, nn.Module], step: int, folder: Path) -> dict[str, float]:
        tasks, _ = read_tasks(networks["gate"], tokenizer, [each.text for each in validation_instructions])
        figures = report(validation_instructions, tasks)
        (folder / "report.json").write_text(json.dumps(figures, indent=1), encoding="utf-8")
        by_kind = {f"accuracy_{kind}": value["accuracy"] for kind, value in figures["by_kind"].items()}
        return {"accuracy": figures["all"]["accuracy"], **by_kind}

    loop = TrainingLoop(
        args,
        accelerator,
        networks,
        loss,
        items,
        [item["tokens"].shape[1] for item in items],
        make_collate(tokenizer.pad_token_id),
        validate,
        bucket_batches=BUCKET_BATCHES,
    )
    loop.run()

    if accelerator.is_main_process:
        gate.eval().save_pretrained(args.output_dir / "gate")
        tokenizer.save_pretrained(args.output_dir / "gate_tokenizer")
        tasks, _ = read_tasks(gate, tokenizer, [each.text for each in validation_instructions])
        figures = report(validation_instructions, tasks)
        (args.output_dir / "report.json").write_text(json.dumps(figures, indent=1), encoding="utf-8")
        save_and_push(args, accelerator, args.output_dir, build_model_card(args, figures))


if __name__ == "__main__":
    main(parse_args())
