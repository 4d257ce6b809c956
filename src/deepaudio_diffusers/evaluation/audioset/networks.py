# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Cnn14, VGGish and PaSST as networks that judge sounds; see `evaluation.networks`."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError

from ...errors import CheckpointError
from ...processing.audio import resample
from ..networks import weights_hash
from .cnn14 import Cnn14
from .passt import SAMPLING_RATE as PASST_SAMPLING_RATE
from .passt import PaSST
from .published_weights import PUBLISHED_WEIGHTS
from .vggish import SAMPLING_RATE as VGGISH_SAMPLING_RATE
from .vggish import VGGish


# What is shorter is continued by silence, as audioldm_eval does it, whatever the sampling rate.
MIN_SAMPLES = 32_000


class AudioSetNetwork:
    """
    A network that was trained on AudioSet.

    Args:
        model (`torch.nn.Module`): The network.
        name (`str`): What it is called in reports.
    """

    model_class: Any
    # What its published weights are converted as.
    variant: str
    # What it does with sounds that are too short for it, for protocols.
    short_clips = f"continued by silence to {MIN_SAMPLES} samples"

    def __init__(self, model: torch.nn.Module, name: str) -> None:
        self.model = model.eval().requires_grad_(False)
        self.name = name
        self.revision = weights_hash(model)

    @classmethod
    def from_pretrained(cls, source: str | Path) -> "AudioSetNetwork":
        """Load it from a folder that [`convert_weights`] wrote. Published weights are called by their name in reports,
        others by that of their folder.

        Raises:
            CheckpointError: When the weights are not at hand, or not all of them.
        """
        try:
            model, info = cls.model_class.from_pretrained(source, output_loading_info=True)
        except (OSError, ValueError, RuntimeError, SafetensorError) as error:
            raise CheckpointError(
                f"{cls.model_class.__name__} cannot be loaded from {str(source)!r}: {str(error).splitlines()[0]} "
                f"{conversion_hint(cls.variant)}"
            ) from error
        if info["missing_keys"]:
            raise CheckpointError(
                f"{str(source)!r} lacks {len(info['missing_keys'])} weights of {cls.model_class.__name__}, so that it "
                f"would score by chance. {conversion_hint(cls.variant)}"
            )
        # What was never published has no such entry.
        return cls(model, getattr(model.config, "weights_name", None) or Path(source).name)

    def to(self, device: torch.device | str) -> "AudioSetNetwork":
        self.model.to(device)
        return self

    def _input(self, waveform: torch.Tensor, sampling_rate: int) -> torch.Tensor:
        """`(num_samples,)` -> `(1, num_samples)` at the rate of the network, long enough for it."""
        sound = resample(waveform, sampling_rate, self.sampling_rate)
        return F.pad(sound, (0, max(0, MIN_SAMPLES - len(sound))))[None]


class PannsTagger(AudioSetNetwork):
    """What it is that sounds: [`Cnn14`] of PANNs."""

    model_class, variant = Cnn14, "panns-16k"

    @property
    def sampling_rate(self) -> int:
        return self.model.config.sampling_rate

    @torch.no_grad()
    def hear(self, waveform: torch.Tensor, sampling_rate: int) -> dict[str, np.ndarray]:
        """`{"embedding": (embedding_size,), "logits": (num_labels,)}`."""
        output = self.model(self._input(waveform, sampling_rate))
        return {"embedding": output.embeddings[0].cpu().numpy(), "logits": output.logits[0].cpu().numpy()}


class PasstTagger(AudioSetNetwork):
    """What it is that sounds: [`PaSST`], which hears the first 10 s."""

    model_class, variant = PaSST, "passt"
    short_clips = "continued by silence to 10 s, and longer ones cut"
    sampling_rate = PASST_SAMPLING_RATE

    @torch.no_grad()
    def hear(self, waveform: torch.Tensor, sampling_rate: int) -> dict[str, np.ndarray]:
        """`{"embedding": (hidden_size,), "logits": (num_labels,)}`."""
        embeddings, logits = self.model.listen(self._input(waveform, sampling_rate))
        return {"embedding": embeddings[0].cpu().numpy(), "logits": logits[0].cpu().numpy()}


class VggishListener(AudioSetNetwork):
    """What it sounds like, piece by piece: [`VGGish`]."""

    model_class, variant = VGGish, "vggish"
    sampling_rate = VGGISH_SAMPLING_RATE

    @property
    def embedding_size(self) -> int:
        return self.model.config.embedding_size

    @torch.no_grad()
    def hear(self, waveform: torch.Tensor, sampling_rate: int) -> dict[str, np.ndarray]:
        """`{"embeddings": (num_pieces, embedding_size)}`."""
        return {"embeddings": self.model(self._input(waveform, sampling_rate))[0].cpu().numpy()}


def conversion_hint(variant: str) -> str:
    """How to come by the weights of a variant, as a sentence."""
    published = PUBLISHED_WEIGHTS[variant]
    return (
        f"Download {published.file_name} from {published.url}, and convert it once: "
        f"`deepaudio evaluate convert {variant} --source {published.file_name} --output {variant}`."
    )
