# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""The arguments that every training script has, each script with defaults of its own."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def read_preset(input_args: Sequence[str] | None) -> str:
    """`--preset`, which decides about defaults of other arguments and therefore has to be known first."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--preset", default="full")
    return parser.parse_known_args(input_args)[0].preset


def parse_with_preset(
    parser: argparse.ArgumentParser, input_args: Sequence[str] | None, tiny_defaults: dict[str, Any]
) -> argparse.Namespace:
    """Parse arguments, where `--preset tiny` has other defaults than the parser; its help shows those.

    Args:
        parser (`argparse.ArgumentParser`): With the argument `--preset`.
        input_args (`Sequence[str]`, *optional*): The arguments; those of the command line by default.
        tiny_defaults (`dict[str, Any]`): Defaults of arguments under `--preset tiny`.
    """
    if read_preset(input_args) == "tiny":
        parser.set_defaults(**tiny_defaults)
    return parser.parse_args(input_args)


def add_data_arguments(parser: argparse.ArgumentParser, *, data: str, cache_dir: str) -> argparse._ArgumentGroup:
    """Add where data come from and where what is computed of them is kept.

    Args:
        parser (`argparse.ArgumentParser`): Gets a group of arguments, which is returned for further ones.
        data (`str`): Help for `--data`.
        cache_dir (`str`): Help for `--cache_dir`.
    """
    group = parser.add_argument_group("data")
    group.add_argument("--data", nargs="+", required=True, metavar="SOURCE", help=data)
    group.add_argument(
        "--validation_data", nargs="+", metavar="SOURCE", help="The same, for validation; none without it."
    )
    group.add_argument(
        "--on_bad_data",
        choices=("skip", "error"),
        default="skip",
        help="Leave out and count what cannot be used, or end (default: %(default)s).",
    )
    group.add_argument("--cache_dir", type=Path, help=cache_dir)
    return group


def add_training_arguments(
    parser: argparse.ArgumentParser,
    *,
    train_batch_size: int,
    max_train_steps: int,
    learning_rate: float,
    lr_scheduler: str,
    lr_warmup_steps: int,
    lr_decay_steps: tuple[int, ...] = (),
    final_learning_rate: float = 0.0,
    adam_betas: tuple[float, float] = (0.9, 0.999),
    adam_weight_decay: float = 0.01,
    max_grad_norm: float = 1.0,
    ema_decay: float = 0.9999,
) -> None:
    """Add the arguments of [`TrainingLoop`] to a parser.

    Args:
        parser (`argparse.ArgumentParser`): Gets one group of arguments.
        train_batch_size, max_train_steps, learning_rate, lr_scheduler, lr_warmup_steps, lr_decay_steps,
            final_learning_rate, adam_betas, adam_weight_decay, max_grad_norm, ema_decay:
            Defaults of the arguments of these names: those that the paper of the stage reports.
    """
    group = parser.add_argument_group("training")
    group.add_argument("--output_dir", type=Path, required=True, help="Folder for weights, checkpoints and logs.")
    group.add_argument("--seed", type=int, default=0, help="Seed of weights, order of the data, noise and dropout.")
    group.add_argument(
        "--train_batch_size",
        type=int,
        default=train_batch_size,
        help="Items of a step on one process (default: %(default)s).",
    )
    group.add_argument(
        "--gradient_accumulation_steps",
        type=int,
        default=1,
        help="Batches whose gradients are added up before the weights change.",
    )
    group.add_argument("--max_train_steps", type=int, default=max_train_steps, help="Steps (default: %(default)s).")
    group.add_argument(
        "--learning_rate", type=float, default=learning_rate, help="Highest rate (default: %(default)s)."
    )
    group.add_argument(
        "--lr_scheduler",
        choices=("constant", "linear", "cosine", "multistep"),
        default=lr_scheduler,
        help="How the rate goes on after the warm-up: 'linear' and 'cosine' reach `--final_learning_rate` at the last "
        "step, 'multistep' takes a tenth of it at each of `--lr_decay_steps` (default: %(default)s).",
    )
    group.add_argument(
        "--lr_warmup_steps",
        type=int,
        default=lr_warmup_steps,
        help="Steps in which the rate rises to its highest value (default: %(default)s).",
    )
    group.add_argument(
        "--lr_decay_steps", type=int, nargs="*", default=list(lr_decay_steps), help="Steps for 'multistep'."
    )
    group.add_argument("--final_learning_rate", type=float, default=final_learning_rate, help="Rate at the last step.")
    group.add_argument("--adam_beta1", type=float, default=adam_betas[0])
    group.add_argument("--adam_beta2", type=float, default=adam_betas[1])
    group.add_argument("--adam_weight_decay", type=float, default=adam_weight_decay)
    group.add_argument(
        "--max_grad_norm",
        type=float,
        default=max_grad_norm,
        help="Gradients longer than this are shortened to it (default: %(default)s).",
    )
    group.add_argument(
        "--mixed_precision",
        choices=("no", "fp16", "bf16"),
        help="Precision of the arithmetic; by default that of `accelerate launch`, or 'no' without it.",
    )
    group.add_argument(
        "--gradient_checkpointing",
        action="store_true",
        help="Compute activations again in the backward pass: less memory, more time.",
    )
    group.add_argument(
        "--ema_decay",
        type=float,
        default=ema_decay,
        help="Decay of the moving average of the weights, which is what is saved; 0 saves the weights themselves.",
    )
    group.add_argument(
        "--checkpointing_steps", type=int, default=500, help="Steps between checkpoints (default: %(default)s)."
    )
    group.add_argument("--checkpoints_total_limit", type=int, default=2, help="Checkpoints that are kept.")
    group.add_argument(
        "--resume_from_checkpoint",
        metavar="FOLDER",
        help="Go on from a checkpoint; 'latest' is the newest one in `--output_dir`, and a fresh start without one.",
    )
    group.add_argument(
        "--validation_steps", type=int, default=500, help="Steps between validations (default: %(default)s)."
    )
    group.add_argument(
        "--report_to",
        choices=("tensorboard", "wandb", "comet_ml", "mlflow"),
        help="A tracker to report to besides `train_log.jsonl`; its package has to be installed.",
    )
    group.add_argument(
        "--dataloader_num_workers", type=int, default=0, help="Processes that read data beside the training."
    )
    group.add_argument("--push_to_hub", action="store_true", help="Upload the result with its model card.")
    group.add_argument("--hub_model_id", help="Repository to upload to; the name of `--output_dir` by default.")
    group.add_argument("--hub_token", help="Token to upload with; that of `hf auth login` by default.")
