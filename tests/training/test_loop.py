# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""The loop of the training scripts, on a network of two layers."""

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from accelerate.state import AcceleratorState, PartialState
from torch import nn

from deepaudio_diffusers import CheckpointError, GenerationError
from deepaudio_diffusers.training.arguments import add_training_arguments
from deepaudio_diffusers.training.loop import TrainingLoop, learning_rate_at, make_accelerator


NUM_ITEMS = 64


def parse(folder: Path, *arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_training_arguments(
        parser,
        train_batch_size=8,
        max_train_steps=12,
        learning_rate=0.01,
        lr_scheduler="cosine",
        lr_warmup_steps=3,
        ema_decay=0.9,
    )
    return parser.parse_args(["--output_dir", str(folder), "--checkpointing_steps", "4", *arguments])


class Items(torch.utils.data.Dataset):
    def __init__(self):
        self.inputs = torch.randn(NUM_ITEMS, 4, generator=torch.Generator().manual_seed(0))

    def __len__(self):
        return NUM_ITEMS

    def __getitem__(self, index):
        return self.inputs[index], self.inputs[index].sum()[None]


def loss(networks, batch):
    inputs, targets = batch
    # Noise and dropout, so that the result depends on the random generator.
    error = networks["network"](inputs + 0.1 * torch.randn_like(inputs)) - targets
    return error.square().mean(), {"largest": error.abs().max()}


def loss_without_noise(networks, batch):
    inputs, targets = batch
    return (networks["network"](inputs) - targets).square().mean(), {}


def train(args, validate=None, loss=loss, dropout=0.1) -> nn.Module:
    PartialState._reset_state()
    AcceleratorState._reset_state(True)
    torch.manual_seed(args.seed)
    network = nn.Sequential(nn.Linear(4, 16), nn.Dropout(dropout), nn.GELU(), nn.Linear(16, 1))
    TrainingLoop(
        args,
        make_accelerator(args),
        {"network": network},
        loss,
        Items(),
        [1] * NUM_ITEMS,
        torch.utils.data.default_collate,
        validate,
    ).run()
    return network


def weights(network: nn.Module) -> list[torch.Tensor]:
    return [parameter.detach().clone() for parameter in network.parameters()]


def same(first: nn.Module, second: nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(weights(first), weights(second), strict=True))


def log_of(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "train_log.jsonl").read_text().splitlines()]


def test_it_learns(tmp_path):
    train(parse(tmp_path, "--max_train_steps", "150"))
    losses = [entry["loss"] for entry in log_of(tmp_path)]
    assert sum(losses[-10:]) < 0.5 * sum(losses[:10])


@pytest.mark.parametrize("accumulation", ["1", "2"])
def test_killed_and_resumed_is_as_if_nothing_had_happened(tmp_path, accumulation):
    arguments = ("--gradient_accumulation_steps", accumulation)
    undisturbed = train(parse(tmp_path / "whole", *arguments))
    train(parse(tmp_path / "killed", *arguments))
    # Killed between the checkpoints of steps 8 and 12: what was done after step 8 is lost.
    shutil.rmtree(tmp_path / "killed" / "checkpoint-12")
    resumed = train(parse(tmp_path / "killed", "--resume_from_checkpoint", "latest", *arguments))
    assert same(undisturbed, resumed)
    steps = [entry["step"] for entry in log_of(tmp_path / "killed")]
    assert steps == list(range(1, 13))


def test_a_checkpoint_that_was_not_finished_is_not_used(tmp_path):
    undisturbed = train(parse(tmp_path / "whole"))
    train(parse(tmp_path / "killed"))
    (tmp_path / "killed" / "checkpoint-12").rename(tmp_path / "killed" / "checkpoint-12.partial")
    (tmp_path / "killed" / "checkpoint-12.partial" / "training_state.pt").write_bytes(b"half a file")
    assert same(undisturbed, train(parse(tmp_path / "killed", "--resume_from_checkpoint", "latest")))


def test_old_checkpoints_are_dropped(tmp_path):
    train(parse(tmp_path, "--checkpoints_total_limit", "2"))
    assert sorted(path.name for path in tmp_path.glob("checkpoint-*")) == ["checkpoint-12", "checkpoint-8"]


def test_a_foreign_checkpoint_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="there is no"):
        train(parse(tmp_path, "--resume_from_checkpoint", str(tmp_path / "checkpoint-7")))
    train(parse(tmp_path / "plain", "--ema_decay", "0"))
    checkpoint = tmp_path / "plain" / "checkpoint-8"
    with pytest.raises(CheckpointError, match="another training"):
        train(parse(tmp_path / "averaged", "--resume_from_checkpoint", str(checkpoint)))


def test_the_moving_average_is_what_is_validated_and_saved(tmp_path):
    seen = {}

    def validate(networks, step, folder):
        seen[step] = weights(networks["network"])
        assert folder.is_dir() and not networks["network"].training
        return {"figure": 1.0}

    network = train(parse(tmp_path, "--validation_steps", "6"), validate)
    assert sorted(seen) == [0, 6, 12]
    assert all(torch.equal(a, b) for a, b in zip(seen[12], weights(network), strict=True))
    plain = train(parse(tmp_path / "plain", "--ema_decay", "0"))
    assert not same(network, plain)
    assert [entry["step"] for entry in log_of(tmp_path) if "validation/figure" in entry] == [0, 6, 12]


def test_validation_changes_nothing(tmp_path):
    def validate(networks, step, folder):
        torch.randn(5)
        return {}

    args = ("--validation_steps", "1")
    assert same(train(parse(tmp_path / "a")), train(parse(tmp_path / "b", *args), validate))


def test_nan_ends_the_training(tmp_path):
    def broken(networks, batch):
        value, figures = loss(networks, batch)
        return value * float("nan"), figures

    with pytest.raises(GenerationError, match="learning_rate"):
        train(parse(tmp_path), loss=broken)


def test_learning_rates(tmp_path):
    args = parse(tmp_path, "--max_train_steps", "103", "--final_learning_rate", "0.001")
    assert [learning_rate_at(step, args) for step in range(3)] == pytest.approx([0.01 / 3, 0.02 / 3, 0.01])
    assert learning_rate_at(102, args) == pytest.approx(0.001)
    args.lr_scheduler = "linear"
    assert learning_rate_at(3 + 99 // 2, args) == pytest.approx(0.0055, rel=0.02)
    args.lr_scheduler = "multistep"
    args.lr_decay_steps = [50, 80]
    assert [learning_rate_at(step, args) for step in (49, 50, 80)] == pytest.approx([0.01, 0.001, 0.0001])


def test_two_processes_learn_as_one(tmp_path):
    alone = log_of_script(tmp_path / "one", 1, "--train_batch_size", "16")
    together = log_of_script(tmp_path / "two", 2, "--train_batch_size", "8")
    # The same items in every step, and no noise, which each process draws for itself: equal up to rounding.
    assert together == pytest.approx(alone, rel=1e-4)


def log_of_script(folder: Path, num_processes: int, *arguments: str) -> list[float]:
    # Of its launchers, `accelerate launch --cpu` starts a single process however many are asked for.
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={num_processes}"]
    command = [*launch, __file__, "--output_dir", str(folder), "--max_train_steps", "40", *arguments]
    environment = os.environ | {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    subprocess.run(command, check=True, capture_output=True, cwd=Path(__file__).parents[2], env=environment)
    return [entry["loss"] for entry in log_of(folder)]


if __name__ == "__main__":
    output_dir = Path(sys.argv[sys.argv.index("--output_dir") + 1])
    train(parse(output_dir, *sys.argv[1:]), loss=loss_without_noise, dropout=0.0)
