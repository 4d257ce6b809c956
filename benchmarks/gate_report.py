# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""How well a gate reads the test and the adversarial instructions, with 95 % intervals.

    python benchmarks/gate_report.py checkpoints/deepaudio-tiny --output benchmarks/results/gate_tiny.json

The folder has `gate` and `gate_tokenizer`, as `training_scripts/train_stage3_mof.py` writes them. Prints tables in
Markdown. Nothing may be chosen by these figures: that is what the validation split is for.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer

from deepaudio_diffusers.instructions import load_instructions
from deepaudio_diffusers.instructions.evaluate import accuracy, accuracy_by, kind_of, read_tasks, report
from deepaudio_diffusers.models.gating_network import MoFGatingNetwork
from deepaudio_diffusers.tasks import TASKS


# Below this probability of the likeliest task, somebody should be asked what they mean.
UNSURE = 0.7


def measure(folder: Path) -> dict[str, Any]:
    """The figures of the gate in `folder`."""
    gate = MoFGatingNetwork.from_pretrained(folder / "gate", dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder / "gate_tokenizer")
    test = load_instructions("test")
    tasks, certainties = read_tasks(gate, tokenizer, [each.text for each in test])
    figures = {"test": report(test, tasks)}
    wrong = [certainty for each, task, certainty in zip(test, tasks, certainties, strict=True) if each.label != task]
    figures["test"]["wrong_and_sure"] = sum(certainty >= UNSURE for certainty in wrong)

    adversarial = load_instructions("adversarial")
    tasks, certainties = read_tasks(gate, tokenizer, [each.text for each in adversarial])
    labelled = [(each, task) for each, task in zip(adversarial, tasks, strict=True) if each.label is not None]
    none_of_them = [c for each, c in zip(adversarial, certainties, strict=True) if each.label is None]
    figures["adversarial"] = {
        "all": accuracy(*zip(*labelled, strict=True)),
        "by_kind": accuracy_by(kind_of, *zip(*labelled, strict=True)),
        "asks_for_no_task": {
            "num": len(none_of_them),
            "num_unsure": sum(certainty < UNSURE for certainty in none_of_them),
        },
    }
    figures["num_weights"] = sum(parameter.numel() for parameter in gate.parameters())
    return figures


def to_markdown(figures: dict[str, Any]) -> str:
    """Tables of the figures of [`measure`]."""

    def row(name: str, value: dict[str, Any]) -> str:
        low, high = value["interval"]
        return f"| {name} | {value['num_right']} / {value['num']} | {value['accuracy']:.2%} | {low:.1%} - {high:.1%} |"

    head = ["| {} | right | accuracy | 95 % interval |", "|---|---|---|---|"]
    test, adversarial = figures["test"], figures["adversarial"]
    lines = [head[0].format("test instructions"), head[1], row("all", test["all"])]
    lines += [row(name, value) for name, value in test["by_kind"].items()]
    lines += [row(name, value) for name, value in test["by_kind_language_and_task"].items()]
    for kind, matrix in test["confusion"].items():
        lines += ["", f"| {kind}: asked for | " + " | ".join(f"read as {task}" for task in TASKS) + " |"]
        lines += ["|---|" + "---|" * len(TASKS)]
        lines += [
            f"| {task} | " + " | ".join(map(str, counts)) + " |" for task, counts in zip(TASKS, matrix, strict=True)
        ]
    lines += ["", head[0].format("adversarial instructions"), head[1], row("all", adversarial["all"])]
    lines += [row(name, value) for name, value in adversarial["by_kind"].items()]
    none = adversarial["asks_for_no_task"]
    lines += [
        "",
        f"Of {test['all']['num'] - test['all']['num_right']} test instructions that were read wrongly, "
        f"{test['wrong_and_sure']} had a probability of {UNSURE} or more. Of {none['num']} instructions that ask for "
        f"no task at all, {none['num_unsure']} stayed below it.",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="With `gate` and `gate_tokenizer`.")
    parser.add_argument("--output", type=Path, help="File for the figures as JSON.")
    args = parser.parse_args()
    figures = measure(args.folder)
    print(to_markdown(figures))
    if args.output is not None:
        args.output.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
