# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Training of the two networks between sound and latents: the mel VAE and the vocoder.

The VAE learns to give back mel spectrograms through a normal posterior (Kingma and Welling, arXiv 1312.6114), with the
magnitude-preserving layers of MMAudio (Cheng et al., arXiv 2412.15322). The vocoder is Vocos (Siuzdak, arXiv
2306.00814) and learns by its mel loss and a loss of spectra at several resolutions (Yamamoto et al., arXiv
1910.11480).
Both papers train against discriminators besides, which are not here.

Shapes below: B batch, C mel bins, T mel frames.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from diffusers.models.autoencoders.autoencoder_mmaudio import MMAudioMPConv1d
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from torch import nn
from torch.utils.data import Dataset

from ..errors import MediaError
from ..models.autoencoder_mmaudio import MMAudioMelVAE
from ..models.vocoder_vocos import VocosVocoder
from ..processing.audio import log_mel_spectrogram, read_waveform, resample
from .data import DataReport, Sample
from .part_cache import CacheItem, PartCache, build_cache, fingerprint_of_sources


# Full scale of the 16-bit samples that waveforms are kept in.
FULL_SCALE = 32768

# Weights of the VAE's losses beside the mean absolute error; all of normalised mels and of each latent value.
SQUARED_ERROR_WEIGHT = 0.5
KL_WEIGHT = 2e-3

# Natural logarithms. The vocoder will hear spectrograms that networks made, which are never quite right.
MEL_NOISE = 0.046
# Half of the sounds become softer, by up to so many decibels.
MAX_ATTENUATION_IN_DB = 10.0
# Mels count in decimal logarithms here, in which the weight of the loss was found.
MEL_LOSS_WEIGHT = 4.0
STFT_LENGTHS = (1024, 512, 128)
# Added before roots and logarithms of spectra, whose gradients would be infinite at zero.
POWER_EPSILON = 1e-7
MAGNITUDE_EPSILON = 1e-3
NORM_EPSILON = 1e-2


def cache_waveforms(
    folder: Path, sources: Sequence[str], sampling_rate: int, min_samples: int, report: DataReport
) -> PartCache:
    """Read the sounds of data sets into a cache, as mono `"waveform"` of 16-bit samples at `sampling_rate`.

    Args:
        folder (`Path`): Folder of the cache.
        sources (`Sequence[str]`): See [`read_samples`].
        sampling_rate (`int`): Samples per second.
        min_samples (`int`): What is shorter is left out.
        report (`DataReport`): Told of what is left out: samples without sound, silent, too short or damaged ones.
    """

    def make_item(sample: Sample, item_report: DataReport) -> CacheItem | None:
        waveform = read_mono(sample, sampling_rate, item_report)
        if waveform is None:
            return None
        if len(waveform) < min_samples:
            item_report.leave_out(sample.key, f"shorter than {min_samples} samples at {sampling_rate} Hz")
            return None
        integers = (waveform.clamp(-1, 1) * FULL_SCALE).round().clamp(max=FULL_SCALE - 1).to(torch.int16)
        return CacheItem({"waveform": integers.numpy()}, {"key": sample.key})

    fingerprint = ["waveform", sampling_rate, min_samples, fingerprint_of_sources(sources)]
    return build_cache(folder, fingerprint, sources, make_item, report)


def read_mono(sample: Sample, sampling_rate: int, report: DataReport) -> torch.Tensor | None:
    """The sound of a sample, `(num_samples,)` at `sampling_rate`; `None`, and a note in the report, without any."""
    if sample.audio is None:
        report.leave_out(sample.key, "it has no sound")
        return None
    try:
        waveform, rate = read_waveform(sample.audio)
    except MediaError as error:
        report.leave_out(sample.key, "its sound cannot be read", error)
        return None
    waveform = resample(waveform.mean(dim=0), rate, sampling_rate)
    if not waveform.any():
        report.leave_out(sample.key, "its sound is digital silence")
        return None
    return waveform


class WaveformCrops(Dataset):
    """
    All parts of `num_samples` samples of the waveforms of a cache that begin at a multiple of `step` samples.

    Every part is an item of its own, so the sampler alone decides what is seen when. An item is int16 of shape
    `(num_samples,)`.
    """

    def __init__(self, cache: PartCache, num_samples: int, step: int) -> None:
        self.cache = cache
        self.num_samples = num_samples
        self.step = step
        counts = (cache.lengths("waveform") - num_samples) // step + 1
        # Number of the first item of each waveform, and of all items.
        self._first_items = np.concatenate([[0], np.cumsum(counts)])

    def __len__(self) -> int:
        return int(self._first_items[-1])

    def __getitem__(self, index: int) -> torch.Tensor:
        clip = int(np.searchsorted(self._first_items, index, side="right")) - 1
        start = (index - int(self._first_items[clip])) * self.step
        return torch.from_numpy(self.cache.array("waveform", clip)[start : start + self.num_samples].copy())


def evenly_spaced(total: int, count: int) -> list[int]:
    """At most `count` of `total` indices, from the first on, as far apart as possible."""
    count = min(total, count)
    return [index * total // count for index in range(count)]


def waveform_of(samples: torch.Tensor) -> torch.Tensor:
    """Floats in [-1, 1] of 16-bit samples."""
    return samples.float() / FULL_SCALE


@torch.no_grad()
def initialize_vae(vae: MMAudioMelVAE) -> None:
    """Random weights for which each layer keeps a unit variance: normal, over the root of the fan-in."""
    for module in vae.modules():
        if isinstance(module, MMAudioMPConv1d):
            nn.init.normal_(module.weight, std=1 / math.sqrt(module.weight[0].numel()))


def vae_mel(vae: MMAudioMelVAE, waveform: torch.Tensor) -> torch.Tensor:
    """The mel spectrogram (B, C, T) that the VAE encodes, in its logarithm and always in float32."""
    with torch.autocast(waveform.device.type, enabled=False):
        return vae.mel_converter(waveform) / math.log(vae.config.mel_log_base)


@torch.no_grad()
def set_mel_statistics(vae: MMAudioMelVAE, waveforms: Sequence[torch.Tensor]) -> None:
    """Let the VAE normalise each mel bin by its mean and standard deviation over `waveforms`, (num_samples,) each."""
    mels = torch.cat([vae_mel(vae, waveform[None]) for waveform in waveforms], dim=-1).double()
    vae.vae.data_mean.copy_(mels.mean(dim=-1, keepdim=True))
    vae.vae.data_std.copy_(mels.std(dim=-1, keepdim=True).clamp(min=1e-3))


def vae_loss(networks: dict[str, nn.Module], samples: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Loss of reconstructing 16-bit samples (B, num_samples) through the posterior, and its parts."""
    vae = networks["vae"]
    mel = vae_mel(vae, waveform_of(samples))
    normalized = (mel - vae.vae.data_mean) / vae.vae.data_std
    posterior = DiagonalGaussianDistribution(vae.vae.encoder(normalized).float())
    reconstruction = vae.vae.decoder(posterior.sample()).float()
    absolute = F.l1_loss(reconstruction, normalized)
    squared = F.mse_loss(reconstruction, normalized)
    # A mean over batch, channels and frames; `posterior.kl()` is a sum.
    kl = 0.5 * (posterior.mean.square() + posterior.var - 1 - posterior.logvar).mean()
    loss = absolute + SQUARED_ERROR_WEIGHT * squared + KL_WEIGHT * kl
    return loss, {"absolute_error": absolute.detach(), "squared_error": squared.detach(), "kl": kl.detach()}


def vocoder_mel(vocoder: VocosVocoder, waveform: torch.Tensor) -> torch.Tensor:
    """The natural log mel spectrogram (B, C, T) of which the vocoder makes a waveform as long as this one."""
    config = vocoder.config
    mel = log_mel_spectrogram(
        waveform,
        sampling_rate=config.sampling_rate,
        n_fft=config.n_fft,
        hop_length=config.hop_length,
        num_mels=config.num_mels,
        # The frames lie where the paddings expect them.
        mel_type="vocos" if config.padding == "center" else "bigvgan",
    )
    return mel.transpose(1, 2)


def soften_half(waveform: torch.Tensor) -> torch.Tensor:
    """Waveforms (B, num_samples) of which about half are softer than they were, each by another gain."""
    attenuation = MAX_ATTENUATION_IN_DB * torch.rand(len(waveform), 1, device=waveform.device)
    is_softer = torch.rand_like(attenuation) < 0.5
    return torch.where(is_softer, waveform * 10 ** (-attenuation / 20), waveform)


def vocoder_loss(
    networks: dict[str, nn.Module], samples: torch.Tensor
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Loss of making waveforms of the mel spectrograms of 16-bit samples (B, num_samples), and its parts."""
    vocoder = networks["vocoder"]
    waveform = soften_half(waveform_of(samples))
    mel = vocoder_mel(vocoder, waveform)
    prediction = vocoder(mel + MEL_NOISE * torch.randn_like(mel)).sample[:, 0]
    figures = vocoder_errors(vocoder, prediction, waveform, mel)
    loss = MEL_LOSS_WEIGHT * figures["mel_l1_log10"] + figures["stft_loss"]
    return loss, {name: figure.detach() for name, figure in figures.items()}


def vocoder_errors(
    vocoder: VocosVocoder, prediction: torch.Tensor, waveform: torch.Tensor, mel: torch.Tensor
) -> dict[str, torch.Tensor]:
    """How far a waveform (B, num_samples) is off, by its mel spectrogram and by spectra of three lengths."""
    waveform = waveform[:, : prediction.shape[1]]
    mel_error = F.l1_loss(vocoder_mel(vocoder, prediction), mel) / math.log(10)
    return {"mel_l1_log10": mel_error, "stft_loss": multi_resolution_stft_loss(prediction, waveform)}


def multi_resolution_stft_loss(prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Spectral convergence and log magnitude distance of waveforms (B, num_samples), averaged over resolutions."""
    with torch.autocast(target.device.type, enabled=False):
        losses = [_stft_loss(prediction, target, length) for length in STFT_LENGTHS]
    return torch.stack(losses).mean()


def _stft_loss(prediction: torch.Tensor, target: torch.Tensor, n_fft: int) -> torch.Tensor:
    window = torch.hann_window(n_fft, device=target.device)

    def magnitude(waveform: torch.Tensor) -> torch.Tensor:
        spectrum = torch.stft(waveform, n_fft, n_fft // 4, window=window, return_complex=True)
        return (torch.view_as_real(spectrum).square().sum(-1) + POWER_EPSILON).sqrt()

    predicted, true = magnitude(prediction), magnitude(target)
    convergence = (predicted - true).norm(dim=(1, 2)) / (true.norm(dim=(1, 2)) + NORM_EPSILON)
    distance = F.l1_loss((predicted + MAGNITUDE_EPSILON).log(), (true + MAGNITUDE_EPSILON).log())
    return convergence.mean() + distance


def validate_vae(
    vae: MMAudioMelVAE, waveforms: Sequence[torch.Tensor]
) -> tuple[dict[str, float], list[dict[str, Any]]]:
    """How well the means of posteriors give back waveforms of shape (num_samples,) each.

    Returns:
        `tuple[dict, list]`: Figures; for each waveform, its spectrogram and the reconstructed one, (T, C) each.
    """
    pictures, errors, latents, kls = [], [], [], []
    for waveform in waveforms:
        mel = vae_mel(vae, waveform[None])
        # An even number of frames, which the VAE gives back.
        mel = mel[..., : mel.shape[-1] // 2 * 2]
        posterior = DiagonalGaussianDistribution(vae.vae.encode(mel))
        reconstruction = vae.vae.decode(posterior.mode())
        errors.append(F.l1_loss(reconstruction, mel) * math.log(vae.config.mel_log_base) / math.log(10))
        latents.append(posterior.mean[0])
        kls.append(0.5 * (posterior.mean.square() + posterior.var - 1 - posterior.logvar).mean())
        pictures.append({"true": mel[0].T, "reconstructed": reconstruction[0].T})
    figures = {
        "mel_l1_log10": torch.stack(errors).mean(),
        "kl": torch.stack(kls).mean(),
        "latent_std": torch.cat(latents, dim=-1).std(dim=-1).mean(),
    }
    return {name: float(value) for name, value in figures.items()}, pictures


def validate_vocoder(
    vocoder: VocosVocoder, waveforms: Sequence[torch.Tensor]
) -> tuple[dict[str, float], list[torch.Tensor], list[dict[str, Any]]]:
    """How well the vocoder gives back waveforms of shape (num_samples,) each from their mel spectrograms.

    Returns:
        `tuple[dict, list, list]`: Figures; for each waveform, what the vocoder made of it, (num_samples,), and both
        spectrograms, (T, C) each.
    """
    errors, predictions, pictures = [], [], []
    for waveform in waveforms:
        mel = vocoder_mel(vocoder, waveform[None])
        prediction = vocoder(mel).sample[:, 0]
        errors.append(vocoder_errors(vocoder, prediction, waveform[None], mel))
        predictions.append(prediction[0])
        pictures.append({"true": mel[0].T, "from the vocoder": vocoder_mel(vocoder, prediction)[0].T})
    figures = {name: float(torch.stack([error[name] for error in errors]).mean()) for name in errors[0]}
    return figures, predictions, pictures
