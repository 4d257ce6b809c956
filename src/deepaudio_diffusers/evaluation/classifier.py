# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""What it is that sounds: a small convolutional network over mel spectrograms, which finds all sounds of a clip.

It is trained on true sounds and on copies of them that went through the vocoder or the codec, half of the time each: a
network that has heard none takes what a vocoder leaves behind for another sound.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from diffusers.utils import BaseOutput
from torch import nn

from ..errors import InputError
from ..processing.audio import check_waveform, log_mel_spectrogram


SAMPLING_RATE = 16_000
N_FFT, HOP_LENGTH, NUM_MELS = 1024, 256, 80
# Mean and standard deviation of natural log mels, roughly; only for the scale of the first layer.
MEL_MEAN, MEL_STD = -6.0, 2.4
# In training: nepers that a clip is made louder or softer by, and the noise of a mel, as standard deviations.
GAIN_STD, NOISE_STD = 0.3, 0.1


@dataclass
class SoundClassifierOutput(BaseOutput):
    """
    Output of [`SoundClassifier`].

    Args:
        logits (`torch.Tensor` of shape `(batch_size, num_labels)`): For each sound whether it is there.
        embeddings (`torch.Tensor` of shape `(batch_size, 32)`): What the logits are read off.
    """

    logits: torch.Tensor
    embeddings: torch.Tensor


class SoundClassifier(ModelMixin, ConfigMixin):
    """
    Finds the sounds of a clip.

    Args:
        labels (`list[str]`): The sounds that it knows.
        channels (`tuple[int, ...]`): Channels of the convolutions, each of which halves the resolution.
        embedding_size (`int`): Size of the embeddings.
    """

    @register_to_config
    def __init__(
        self, labels: list[str], channels: tuple[int, ...] = (16, 32, 48, 64), embedding_size: int = 32
    ) -> None:
        super().__init__()
        layers, previous = [], 1
        for width in channels:
            layers += [nn.Conv2d(previous, width, 3, 2, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
            previous = width
        self.convolutions = nn.Sequential(*layers)
        self.embed = nn.Linear(2 * previous, embedding_size)
        self.classify = nn.Linear(embedding_size, len(labels))

    def forward(self, mel: torch.Tensor) -> SoundClassifierOutput:
        """Natural log mels `(batch_size, num_frames, 80)` -> [`SoundClassifierOutput`]."""
        maps = self.convolutions(((mel - MEL_MEAN) / MEL_STD)[:, None])
        # What is there all the time, and what is there at any time.
        embeddings = self.embed(torch.cat([maps.mean((2, 3)), maps.amax((2, 3))], dim=1))
        return SoundClassifierOutput(self.classify(F.relu(embeddings)), embeddings)

    @torch.no_grad()
    def listen(self, waveform: torch.Tensor, sampling_rate: int) -> tuple[np.ndarray, np.ndarray]:
        """The probability of each label, `(num_labels,)`, and the embedding, `(embedding_size,)`, of a sound.

        Args:
            waveform (`torch.Tensor` of shape `(num_samples,)`): Floats in [-1, 1].
            sampling_rate (`int`): 16000, as the classifier was trained.

        Raises:
            InputError: When the rate is another, or the waveform has another shape or is not finite.
        """
        output = self(sound_mel(waveform, sampling_rate)[None])
        return output.logits[0].sigmoid().numpy(), output.embeddings[0].numpy()


def sound_mel(waveform: torch.Tensor, sampling_rate: int) -> torch.Tensor:
    """The natural log mel spectrogram that the classifier hears, `(num_frames, 80)`.

    Raises:
        InputError: See [`SoundClassifier.listen`].
    """
    check_waveform("waveform", waveform, "(num_samples,)", 1)
    if sampling_rate != SAMPLING_RATE:
        raise InputError(f"`sampling_rate` is {sampling_rate}; the classifier hears {SAMPLING_RATE}: resample first.")
    return log_mel_spectrogram(
        waveform[None],
        sampling_rate=SAMPLING_RATE,
        n_fft=N_FFT,
        hop_length=HOP_LENGTH,
        num_mels=NUM_MELS,
        mel_type="bigvgan",
    )[0]


def train_sound_classifier(
    mels: torch.Tensor,
    copies: Sequence[torch.Tensor],
    targets: torch.Tensor,
    labels: Sequence[str],
    *,
    num_steps: int = 1500,
    batch_size: int = 32,
    learning_rate: float = 2e-3,
    seed: int = 0,
) -> SoundClassifier:
    """Train a classifier.

    Args:
        mels (`torch.Tensor` of shape `(num_clips, num_frames, 80)`): Mels of true sounds, from [`sound_mel`]; in half
            precision, if memory matters.
        copies (sequence of `torch.Tensor` of that shape): Mels of copies of all of them, one for each way of copying.
        targets (`torch.Tensor` of shape `(num_clips, num_labels)`): 1 where a label sounds in a clip, else 0.
        labels (sequence of `str`): Names of the labels.
        num_steps, batch_size, learning_rate, seed: Of the training, by AdamW with a rate that falls to zero.

    Returns:
        [`SoundClassifier`], in evaluation mode.

    Raises:
        InputError: When shapes do not fit.
    """
    if any(copy.shape != mels.shape for copy in copies) or targets.shape != (len(mels), len(labels)):
        raise InputError(
            f"`mels` {tuple(mels.shape)}, `copies` {[tuple(copy.shape) for copy in copies]} and `targets` "
            f"{tuple(targets.shape)} for {len(labels)} labels do not fit each other."
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        classifier = SoundClassifier(list(labels)).train()
        optimizer = torch.optim.AdamW(classifier.parameters(), learning_rate, weight_decay=0.01)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, total_steps=num_steps)
        for _ in range(num_steps):
            chosen = torch.randint(len(mels), (batch_size,))
            is_copy = torch.rand(batch_size) < 0.5
            which = torch.randint(max(1, len(copies)), (batch_size,))
            batch = torch.stack(
                [
                    copies[which[i]][clip] if copies and is_copy[i] else mels[clip]
                    for i, clip in enumerate(chosen.tolist())
                ]
            ).float()
            batch += GAIN_STD * torch.randn(batch_size, 1, 1) + NOISE_STD * torch.randn_like(batch)
            batch = batch.roll(int(torch.randint(batch.shape[1], ())), dims=1)
            loss = F.binary_cross_entropy_with_logits(classifier(batch).logits, targets[chosen].float())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return classifier.eval().requires_grad_(False)
