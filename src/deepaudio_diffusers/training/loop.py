# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""The loop that every training script runs: steps, checkpoints, validation, logs.

Randomness is seeded anew before each batch from the seed, the number of the batch and the rank of the process. So
nothing but weights, optimizer and step has to be kept, and a training that was killed gives the same weights as one
that was not.
"""

import argparse
import json
import math
import os
import shutil
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs, ProjectConfiguration
from diffusers.training_utils import EMAModel
from huggingface_hub.utils import tqdm
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.data import DataLoader, Dataset

from ..errors import CheckpointError, GenerationError, InputError
from .batches import StepBatches


# Loss of a batch, and figures to be logged beside it.
LossFunction = Callable[[dict[str, nn.Module], Any], tuple[torch.Tensor, dict[str, float | torch.Tensor]]]
# Networks with the weights that will be saved, the number of the step, and a folder for sounds and pictures.
Validation = Callable[[dict[str, nn.Module], int, Path], dict[str, float]]

LOG_FILE = "train_log.jsonl"
CHECKPOINT_PREFIX = "checkpoint-"
PARTIAL_SUFFIX = ".partial"
STATE_FILE = "training_state.pt"


def learning_rate_at(step: int, args: argparse.Namespace) -> float:
    """The learning rate of step `step`, counted from 0; see [`add_training_arguments`] for the schedules."""
    if step < args.lr_warmup_steps:
        return args.learning_rate * (step + 1) / args.lr_warmup_steps
    if args.lr_scheduler == "constant":
        return args.learning_rate
    if args.lr_scheduler == "multistep":
        return args.learning_rate * 0.1 ** sum(step >= decay_step for decay_step in args.lr_decay_steps)
    progress = min(1.0, (step - args.lr_warmup_steps) / max(1, args.max_train_steps - 1 - args.lr_warmup_steps))
    remaining = 1 - progress if args.lr_scheduler == "linear" else (1 + math.cos(math.pi * progress)) / 2
    return args.final_learning_rate + (args.learning_rate - args.final_learning_rate) * remaining


def make_accelerator(args: argparse.Namespace, find_unused_parameters: bool = False) -> Accelerator:
    """The accelerator of a training script, from its arguments; makes `--output_dir`."""
    args.output_dir.mkdir(parents=True, exist_ok=True)
    accelerator = Accelerator(
        gradient_accumulation_steps=args.gradient_accumulation_steps,
        mixed_precision=args.mixed_precision,
        log_with=args.report_to,
        project_config=ProjectConfiguration(args.output_dir, logging_dir=args.output_dir / "logs"),
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=find_unused_parameters)],
    )
    if args.report_to is not None:
        config = {
            name: value if isinstance(value, int | float | str) else str(value) for name, value in vars(args).items()
        }
        accelerator.init_trackers(args.output_dir.name, config)
    return accelerator


def attention_for_short_sequences(device: torch.device) -> AbstractContextManager:
    """Within it, attention over up to a few hundred tokens trains fast on a CPU too.

    There the backward pass of PyTorch's fused attention takes, in bfloat16, several times as long as plain matrix
    products. From some 300 tokens on the products take longer, for their memory.

    Args:
        device (`torch.device`): Where the networks are trained; elsewhere than on a CPU nothing is changed.
    """
    return sdpa_kernel(SDPBackend.MATH) if device.type == "cpu" else nullcontext()


class _Loss(nn.Module):
    """The loss as a module, so that gradients are shared between processes and arithmetic takes mixed precision."""

    def __init__(self, networks: dict[str, nn.Module], loss: LossFunction) -> None:
        super().__init__()
        self.networks = nn.ModuleDict(networks)
        self.loss = loss

    def forward(self, batch: Any) -> tuple[torch.Tensor, dict[str, Any]]:
        return self.loss(dict(self.networks.items()), batch)


class TrainingLoop:
    """
    Trains networks with AdamW until `--max_train_steps`.

    Args:
        args (`argparse.Namespace`): With the arguments of [`add_training_arguments`].
        accelerator (`Accelerator`): From [`make_accelerator`].
        networks (`dict[str, nn.Module]`): What is trained: all parameters that require a gradient.
        loss (`LossFunction`): Called with the networks and a batch, on their device.
        dataset (`Dataset`): Items by index.
        lengths (`list[int]`): Length of each item, for batches of similar length.
        collate (`Callable`): Makes a batch of a list of items: a tensor, or tensors in a dictionary or list.
        validate (`Validation`, *optional*): Called before the first step, every `--validation_steps` and after the
            last one, on the main process, in evaluation mode and without gradients.
        max_batch_length, bucket_batches: See [`StepBatches`].

    Raises:
        InputError: There is nothing to train, or too little data for a batch.
        CheckpointError: `--resume_from_checkpoint` is not a checkpoint of this training.
    """

    def __init__(
        self,
        args: argparse.Namespace,
        accelerator: Accelerator,
        networks: dict[str, nn.Module],
        loss: LossFunction,
        dataset: Dataset,
        lengths: list[int],
        collate: Callable[[list[Any]], Any],
        validate: Validation | None = None,
        max_batch_length: int | None = None,
        bucket_batches: int = 8,
    ) -> None:
        self.args = args
        self.accelerator = accelerator
        self.networks = networks
        self.validate = validate
        self.step = 0
        if args.gradient_checkpointing:
            _enable_gradient_checkpointing(networks)
        parameters = [p for network in networks.values() for p in network.parameters() if p.requires_grad]
        if not parameters:
            raise InputError("No parameter requires a gradient; there is nothing to train.")
        optimizer = torch.optim.AdamW(
            parameters,
            lr=args.learning_rate,
            betas=(args.adam_beta1, args.adam_beta2),
            weight_decay=args.adam_weight_decay,
            fused=True,
        )
        loss_module = _Loss(networks, loss).to(accelerator.device)
        self.loss, self.optimizer = accelerator.prepare(loss_module, optimizer)
        self.parameters = parameters
        # With `use_ema_warmup`, the average forgets the first weights quickly.
        self.ema = (
            EMAModel(parameters, decay=args.ema_decay, use_ema_warmup=True, power=0.75) if args.ema_decay > 0 else None
        )
        if args.resume_from_checkpoint is not None:
            self._resume(args.resume_from_checkpoint)
        batches = StepBatches(
            lengths,
            args.train_batch_size,
            args.seed,
            first_batch=self.step * args.gradient_accumulation_steps,
            rank=accelerator.process_index,
            num_processes=accelerator.num_processes,
            max_batch_length=max_batch_length,
            bucket_batches=bucket_batches,
        )
        self.loader = DataLoader(
            dataset, batch_sampler=batches, collate_fn=collate, num_workers=args.dataloader_num_workers
        )

    def run(self) -> None:
        """Train to the last step. Afterwards the networks hold the weights that are to be saved."""
        args, accelerator = self.args, self.accelerator
        bar = tqdm(total=args.max_train_steps, initial=self.step, disable=not accelerator.is_main_process)
        batches = iter(self.loader)
        if self.step == 0:
            self._validate()
        while self.step < args.max_train_steps:
            started, started_cpu = time.perf_counter(), time.process_time()
            for group in self.optimizer.param_groups:
                group["lr"] = learning_rate_at(self.step, args)
            figures = self._train_step(batches)
            self.step += 1
            figures |= {
                "learning_rate": self.optimizer.param_groups[0]["lr"],
                "seconds": time.perf_counter() - started,
                "cpu_seconds": time.process_time() - started_cpu,
            }
            self._log(figures)
            bar.update()
            bar.set_postfix(loss=f"{figures['loss']:.4f}")
            is_last = self.step == args.max_train_steps
            if self.step % args.checkpointing_steps == 0 or is_last:
                self._save_checkpoint()
            if self.step % args.validation_steps == 0 or is_last:
                self._validate()
        bar.close()
        if self.ema is not None:
            self.ema.copy_to(self.parameters)
        accelerator.wait_for_everyone()
        accelerator.end_training()

    def _train_step(self, batches: Any) -> dict[str, float]:
        args, accelerator = self.args, self.accelerator
        self.loss.train()
        totals: dict[str, float] = {}
        for micro_step in range(args.gradient_accumulation_steps):
            batch = _to_device(next(batches), accelerator.device)
            seed_of_batch = (self.step * args.gradient_accumulation_steps + micro_step) * accelerator.num_processes
            torch.manual_seed(hash((args.seed, seed_of_batch + accelerator.process_index)) % 2**63)
            with accelerator.accumulate(self.loss):
                loss, figures = self.loss(batch)
                accelerator.backward(loss)
                if accelerator.sync_gradients:
                    gradient_norm = accelerator.clip_grad_norm_(self.parameters, args.max_grad_norm)
                self.optimizer.step()
                self.optimizer.zero_grad()
            for name, value in {"loss": loss, **figures}.items():
                value = value.detach().item() if isinstance(value, torch.Tensor) else value
                totals[name] = totals.get(name, 0.0) + value / args.gradient_accumulation_steps
        if accelerator.num_processes > 1:
            names = sorted(totals)
            values = torch.tensor([totals[name] for name in names], device=accelerator.device)
            totals = dict(zip(names, accelerator.reduce(values, "mean").tolist(), strict=True))
        if not math.isfinite(totals["loss"]):
            raise GenerationError(
                f"The loss of step {self.step} is {totals['loss']}; lower `--learning_rate`, or check the data. The "
                "newest checkpoint is unharmed."
            )
        if self.ema is not None:
            self.ema.step(self.parameters)
        return totals | {"gradient_norm": float(gradient_norm)}

    @torch.no_grad()
    def _validate(self) -> None:
        if self.validate is None or not self.accelerator.is_main_process:
            self.accelerator.wait_for_everyone()
            return
        folder = self.args.output_dir / "validation" / f"step-{self.step:06d}"
        folder.mkdir(parents=True, exist_ok=True)
        if self.ema is not None:
            self.ema.store(self.parameters)
            self.ema.copy_to(self.parameters)
        for network in self.networks.values():
            network.eval()
        torch.manual_seed(self.args.seed)
        figures = self.validate(self.networks, self.step, folder)
        if self.ema is not None:
            self.ema.restore(self.parameters)
        self._log({f"validation/{name}": value for name, value in figures.items()})
        self.accelerator.print(f"step {self.step}: " + ", ".join(f"{k} {v:.4f}" for k, v in figures.items()))
        self.accelerator.wait_for_everyone()

    def _log(self, figures: dict[str, float]) -> None:
        if self.accelerator.is_main_process:
            with open(self.args.output_dir / LOG_FILE, "a", encoding="utf-8") as file:
                file.write(json.dumps({"step": self.step} | figures) + "\n")
        self.accelerator.log(figures, step=self.step)

    def _save_checkpoint(self) -> None:
        self.accelerator.wait_for_everyone()
        if not self.accelerator.is_main_process:
            return
        folder = self.args.output_dir / f"{CHECKPOINT_PREFIX}{self.step}"
        # Written under another name first: a checkpoint that has its name is whole.
        partial = folder.with_name(folder.name + PARTIAL_SUFFIX)
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        state = {
            "step": self.step,
            "networks": {name: network.state_dict() for name, network in self.networks.items()},
            "optimizer": self.optimizer.state_dict(),
            "ema": None if self.ema is None else self.ema.state_dict(),
        }
        torch.save(state, partial / STATE_FILE)
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(partial, folder)
        for old in _checkpoints(self.args.output_dir)[: -self.args.checkpoints_total_limit]:
            shutil.rmtree(old)

    def _resume(self, checkpoint: str) -> None:
        if checkpoint == "latest":
            found = _checkpoints(self.args.output_dir)
            if not found:
                self.accelerator.print(f"No checkpoint in {self.args.output_dir}; starting from the beginning.")
                return
            folder = found[-1]
        else:
            folder = Path(checkpoint)
        path = folder / STATE_FILE
        if not path.is_file():
            raise CheckpointError(
                f"`--resume_from_checkpoint` is {checkpoint!r}, but there is no {path}; pass a folder "
                f"{CHECKPOINT_PREFIX}N of a training, or 'latest'."
            )
        state = torch.load(path, map_location="cpu", weights_only=True)
        if state["networks"].keys() != self.networks.keys() or (state["ema"] is None) != (self.ema is None):
            raise CheckpointError(
                f"{folder} belongs to another training: it has {', '.join(state['networks'])}"
                f"{'' if state['ema'] is None else ' with a moving average'}; pass one of this script and arguments."
            )
        for name, network in self.networks.items():
            network.load_state_dict(state["networks"][name])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.ema is not None:
            self.ema.load_state_dict(state["ema"])
            self.ema.to(self.accelerator.device)
        self.step = state["step"]
        _drop_log_after(self.args.output_dir / LOG_FILE, self.step)
        self.accelerator.print(f"Going on from {folder.name}.")


def _enable_gradient_checkpointing(networks: dict[str, nn.Module]) -> None:
    """For all networks that can: diffusers and transformers have different names for it."""
    able = [network for network in networks.values() if getattr(network, "_supports_gradient_checkpointing", False)]
    for network in able:
        network.enable_gradient_checkpointing()
    able_of_transformers = [
        network for network in networks.values() if getattr(network, "supports_gradient_checkpointing", False)
    ]
    for network in able_of_transformers:
        network.gradient_checkpointing_enable()
    if not able and not able_of_transformers:
        raise InputError(
            f"`--gradient_checkpointing` was given, but {', '.join(networks)} cannot do it; leave it out and lower "
            "`--train_batch_size` to save memory."
        )


def _checkpoints(folder: Path) -> list[Path]:
    """Whole checkpoints in a folder, oldest first."""
    numbered = [
        (int(path.name.removeprefix(CHECKPOINT_PREFIX)), path)
        for path in folder.glob(f"{CHECKPOINT_PREFIX}*")
        if path.name.removeprefix(CHECKPOINT_PREFIX).isdigit()
    ]
    return [path for _, path in sorted(numbered)]


def _drop_log_after(path: Path, step: int) -> None:
    """Take out of the log what will be done again."""
    if path.is_file():
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if json.loads(line)["step"] <= step]
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _to_device(batch: Any, device: torch.device) -> Any:
    if isinstance(batch, torch.Tensor):
        return batch.to(device)
    if isinstance(batch, dict):
        return {name: _to_device(value, device) for name, value in batch.items()}
    if isinstance(batch, list | tuple):
        return [_to_device(value, device) for value in batch]
    return batch
