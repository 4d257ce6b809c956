# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""How often a gate reads the right task from instructions, with 95 % intervals.

Intervals are Wilson's (https://doi.org/10.1080/01621459.1927.10502953), which hold near 0 and 1, too.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase

from ..models.gating_network import MoFGatingNetwork
from ..tasks import TASKS
from . import Instruction


# Quantile of the normal distribution for 95 %.
_Z = 1.959964


@torch.no_grad()
def read_tasks(
    gate: MoFGatingNetwork, tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], batch_size: int = 64
) -> tuple[list[str], list[float]]:
    """What a gate reads from instructions.

    Args:
        gate (`MoFGatingNetwork`): In evaluation mode.
        tokenizer (`PreTrainedTokenizerBase`): Its tokenizer.
        texts (`Sequence[str]`): Instructions.
        batch_size (`int`, defaults to 64): How many are read together.

    Returns:
        `tuple[list[str], list[float]]`: The likeliest task of each, and its probability.
    """
    tasks, certainties = [""] * len(texts), [0.0] * len(texts)
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    for start in range(0, len(order), batch_size):
        indices = order[start : start + batch_size]
        tokens = tokenizer(
            [texts[i] for i in indices], padding=True, truncation=True, max_length=512, return_tensors="pt"
        ).to(gate.device)
        probabilities = gate(input_ids=tokens.input_ids, attention_mask=tokens.attention_mask).probabilities
        for i, row in zip(indices, probabilities.tolist(), strict=True):
            certainties[i] = max(row)
            tasks[i] = gate.config.id2label[row.index(certainties[i])]
    return tasks, certainties


def wilson_interval(num_right: int, num: int) -> tuple[float, float]:
    """The 95 % interval of a proportion of which `num_right` of `num` were seen."""
    share, square = num_right / num, _Z**2
    middle = (share + square / (2 * num)) / (1 + square / num)
    half = _Z / (1 + square / num) * math.sqrt(share * (1 - share) / num + square / (4 * num**2))
    return max(0.0, middle - half), min(1.0, middle + half)


def accuracy(instructions: Sequence[Instruction], tasks: Sequence[str]) -> dict[str, Any]:
    """How many of `tasks` are the labels of `instructions`: `num`, `num_right`, `accuracy` and `interval`."""
    num_right = sum(instruction.label == task for instruction, task in zip(instructions, tasks, strict=True))
    interval = [round(bound, 4) for bound in wilson_interval(num_right, len(instructions))]
    return {
        "num": len(instructions),
        "num_right": num_right,
        "accuracy": round(num_right / len(instructions), 4),
        "interval": interval,
    }


def accuracy_by(
    key: Callable[[Instruction], str], instructions: Sequence[Instruction], tasks: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """[`accuracy`] of each group of instructions for which `key` is the same."""
    groups: dict[str, list[tuple[Instruction, str]]] = {}
    for instruction, task in zip(instructions, tasks, strict=True):
        groups.setdefault(key(instruction), []).append((instruction, task))
    return {name: accuracy(*zip(*pairs, strict=True)) for name, pairs in sorted(groups.items())}


def confusion(instructions: Iterable[Instruction], tasks: Iterable[str]) -> list[list[int]]:
    """How often a task (row, in the order of `TASKS`) was read as which (column)."""
    matrix = [[0] * len(TASKS) for _ in TASKS]
    for instruction, task in zip(instructions, tasks, strict=True):
        matrix[TASKS.index(instruction.label)][TASKS.index(task)] += 1
    return matrix


def report(instructions: Sequence[Instruction], tasks: Sequence[str]) -> dict[str, Any]:
    """Accuracy overall, by kind of template, by language and task, and what was taken for what.

    Args:
        instructions (`Sequence[Instruction]`): All with a label.
        tasks (`Sequence[str]`): What was read from each.
    """
    kinds = sorted({kind_of(instruction) for instruction in instructions})
    return {
        "all": accuracy(instructions, tasks),
        "by_kind": accuracy_by(kind_of, instructions, tasks),
        "by_kind_language_and_task": accuracy_by(
            lambda each: f"{kind_of(each)}/{each.language}/{each.label}", instructions, tasks
        ),
        "confusion": {
            kind: confusion(
                *zip(*[(i, t) for i, t in zip(instructions, tasks, strict=True) if kind_of(i) == kind], strict=True)
            )
            for kind in kinds
        },
        "tasks": list(TASKS),
    }


def kind_of(instruction: Instruction) -> str:
    """How an instruction came about: `"written"`, `"composed"`, or the kind of an adversarial one."""
    source, _, rest = instruction.family.partition("/")
    return rest if source == "adversarial" else source
