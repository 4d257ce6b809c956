# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""The trainers of the original MMAudio (https://github.com/hkchengrex/MMAudio, MIT) and F5-TTS
(https://github.com/SWivid/F5-TTS, MIT) behind the interface that `training_step.py` times.

Networks, losses, optimizers and moving averages are the originals', unchanged. MMAudio's trainer runs on CUDA alone,
in several processes, and imports what it logs and evaluates with: here `Tensor.cuda` leaves a tensor where it is, one
process needs no gradients of others, and those imports are stand-ins that nothing is asked of. Neither side compiles.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import torch
from torch import nn


# What the two trainers import for logs, evaluation and samples, which no step of a training calls.
MMAUDIO_STAND_INS = (
    *("av_bench", "av_bench.evaluate", "av_bench.extract"),
    *("mmaudio.model.utils.features_utils", "mmaudio.utils.logger", "mmaudio.utils.video_joiner"),
)
F5TTS_STAND_INS = ("wandb",)
# Of MMAudio's configuration. It keeps two averages.
MMAUDIO_SETTINGS = SimpleNamespace(learning_rate=1e-4, weight_decay=1e-6)
MMAUDIO_SIGMA_RELS = (0.05, 0.1)
NEVER = 2**62


@contextmanager
def importable(folder: Path, file: str, stand_ins: tuple[str, ...]) -> Iterator[None]:
    """Make the packages of a checkout importable, with stand-ins for modules that are not needed."""
    if not (folder / file).is_file():
        raise SystemExit(f"`--reference` {folder.name}: no {file} there; pass a checkout of the original.")
    sys.path.insert(0, str(folder.resolve()))
    sys.modules |= {name: mock.MagicMock(__spec__=ModuleSpec(name, None)) for name in stand_ins}
    yield
    # Others, such as accelerate, look for some of them too.
    for name in stand_ins:
        del sys.modules[name]


class _OneProcess(nn.Module):
    """Stands where MMAudio's trainer has DistributedDataParallel."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        return self.module(*inputs)


class OriginalMMAudioTraining:
    """
    `Runner.train_pass` of MMAudio.

    Args:
        checkout (`Path`): Checkout of the original repository.
        config (`dict[str, int]`): Arguments of [`MMAudioTransformer1DModel`].
        lengths (`dict[str, int]`): Numbers of latents, CLIP frames, Synchformer and text tokens.
        averages (`bool`): Whether moving averages of the weights are kept.
        seed (`int`): Of weights and noise.
    """

    def __init__(
        self, checkout: Path, config: dict[str, int], lengths: dict[str, int], averages: bool, seed: int
    ) -> None:
        with importable(checkout, "mmaudio/runner.py", MMAUDIO_STAND_INS):
            from mmaudio import runner
            from mmaudio.model.networks import MMAudio

        torch.manual_seed(seed)
        network = MMAudio(
            latent_dim=config["latent_channels"],
            clip_dim=config["clip_dim"],
            sync_dim=config["sync_dim"],
            text_dim=config["text_dim"],
            hidden_dim=config["hidden_size"],
            depth=config["num_layers"] + config["num_single_layers"],
            fused_depth=config["num_single_layers"],
            num_heads=config["num_attention_heads"],
            latent_seq_len=lengths["latents"],
            clip_seq_len=lengths["clip"],
            sync_seq_len=lengths["sync"],
            text_seq_len=lengths["text"],
            latent_mean=torch.zeros(config["latent_channels"]),
            latent_std=torch.ones(config["latent_channels"]),
            empty_string_feat=torch.zeros(lengths["text"], config["text_dim"]),
        )
        self.num_parameters = sum(p.numel() for p in network.parameters() if p.requires_grad)
        ema = None
        if averages:
            ema = runner.PostHocEMA(
                network,
                sigma_rels=MMAUDIO_SIGMA_RELS,
                update_every=1,
                checkpoint_every_num_steps=NEVER,
                step_size_correction=True,
            )
        # Its constructor wants CUDA, process groups and the weights of all other networks.
        self.runner = runner.Runner.__new__(runner.Runner)
        settings = MMAUDIO_SETTINGS
        vars(self.runner).update(
            for_training=True,
            use_amp=False,
            enable_grad_scaler=False,
            network=_OneProcess(network),
            fm=runner.FlowMatching(0.0, inference_mode="euler", num_steps=25),
            ema=ema,
            ema_start=0,
            rng=torch.Generator().manual_seed(seed),
            log_normal_sampling_mean=0.0,
            log_normal_sampling_scale=1.0,
            null_condition_probability=0.1,
            clip_grad_norm=1.0,
            log=mock.MagicMock(),
            train_integrator=mock.MagicMock(),
            log_text_interval=NEVER,
            log_extra_interval=NEVER,
            save_weights_interval=NEVER,
            save_checkpoint_interval=NEVER,
            save_copy_iterations=(),
        )
        self.runner.optimizer = torch.optim.AdamW(
            runner.get_parameter_groups(self.runner.network, settings),
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
            betas=[0.9, 0.95],
            eps=1e-8,
            fused=True,
        )
        self.runner.scheduler = torch.optim.lr_scheduler.LambdaLR(self.runner.optimizer, lambda step: 1.0)

    def step(self, batch: dict[str, torch.Tensor]) -> float:
        """One step of the optimizer; returns the loss."""
        data = {
            # Of what is dropped, its trainer overwrites the features themselves.
            **{name: batch[name].clone() for name in ("clip_features", "sync_features", "text_features")},
            "a_mean": batch["latent_mean"],
            "a_std": batch["latent_std"],
            "video_exist": batch["has_video"],
            "text_exist": torch.ones_like(batch["has_video"]),
        }
        with mock.patch.object(torch.Tensor, "cuda", lambda tensor, **options: tensor):
            self.runner.train_pass(data, it=1)
        loss = self.runner.train_integrator.add_dict.call_args[0][0]["loss"].item()
        # It would keep the graph of each step.
        self.runner.train_integrator.reset_mock()
        return loss


class OriginalF5TTSTraining:
    """
    `Trainer` of F5-TTS with what its loop does for a batch.

    Args:
        checkout (`Path`): Checkout of the original repository.
        config (`dict[str, int]`): Arguments of [`F5TTSTransformer1DModel`].
        averages (`bool`): Whether moving averages of the weights are kept.
        seed (`int`): Of weights and noise.
    """

    def __init__(self, checkout: Path, config: dict[str, int], averages: bool, seed: int) -> None:
        with importable(checkout / "src", "f5_tts/model/trainer.py", F5TTS_STAND_INS):
            from f5_tts.model import CFM, DiT, Trainer

        torch.manual_seed(seed)
        network = DiT(
            dim=config["hidden_size"],
            depth=config["num_layers"],
            heads=config["num_attention_heads"],
            ff_mult=2,
            text_dim=config["text_dim"],
            conv_layers=config["num_text_layers"],
            text_num_embeds=config["vocab_size"],
            mel_dim=config["mel_channels"],
        )
        self.num_parameters = sum(p.numel() for p in network.parameters() if p.requires_grad)
        # The average takes every step in, as ours does: by default every tenth one after the first hundred.
        ema = {"update_every": 1, "update_after_step": 0}
        self.trainer = Trainer(CFM(network), epochs=1, learning_rate=7.5e-5, logger=None, ema_kwargs=ema)
        if not averages:
            self.trainer.ema_model = None

    def step(self, batch: dict[str, torch.Tensor]) -> float:
        """One step of the optimizer; returns the loss."""
        trainer, model, accelerator = self.trainer, self.trainer.model, self.trainer.accelerator
        model.train()
        with accelerator.accumulate(model):
            loss, _, _ = model(batch["mel"], text=batch["text_ids"], lens=batch["lengths"])
            accelerator.backward(loss)
            accelerator.clip_grad_norm_(model.parameters(), trainer.max_grad_norm)
            trainer.optimizer.step()
            trainer.optimizer.zero_grad()
        if trainer.ema_model is not None:
            trainer.ema_model.update()
        return loss.item()
