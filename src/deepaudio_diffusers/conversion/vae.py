# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""MMAudio's mel VAE: original state dict -> [`MMAudioMelVAE`].

Original code: hkchengrex/MMAudio (MIT, with helpers of NVIDIA's EDM2 under CC BY-NC-SA 4.0, of which nothing is used
here but the published formula, https://arxiv.org/abs/2312.02696, equations 47 and 66). The original stores weights as
they are trained and normalises them before use; diffusers stores them normalised.
"""

import math
from functools import partial
from typing import Any

import torch

from ..errors import CheckpointError
from ..models.autoencoder_mmaudio import MMAudioMelVAE
from .state_dict import build_model, count_layers, shape_of


# Mel front ends of the published networks by number of mel bins.
_FRONT_ENDS = {
    80: {"sample_rate": 16000, "n_fft": 1024, "hop_length": 256, "mel_log_base": 10},
    128: {"sample_rate": 44100, "n_fft": 2048, "hop_length": 512},
}
# Keeps the division by the norm finite; it is part of what the weights were trained with.
_EPS = 1e-4


def _normalise(weight: torch.Tensor) -> torch.Tensor:
    """The magnitude-preserving weight that is applied: each output channel of unit norm but for `_EPS`, in float32."""
    weight = weight.float()
    fan_in = weight[0].numel()
    rms = torch.linalg.vector_norm(weight, dim=(1, 2), keepdim=True) / math.sqrt(fan_in)
    return weight / (_EPS + rms) / math.sqrt(fan_in)


def map_mmaudio_vae_state_dict(original_state_dict: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Normalise and rename the tensors of an original state dict, without looking at whether it is complete.

    Args:
        original_state_dict (`dict[str, torch.Tensor]`): State dict of the original `VAE` as published, that is, before
            its `remove_weight_norm`.

    Returns:
        `dict[str, torch.Tensor]`: State dict for [`MMAudioMelVAE`] in float32, but for the mel front end,
        which that model computes.
    """
    return {
        f"vae.{key}": _normalise(tensor) if key.endswith(".weight") and tensor.ndim == 3 else tensor.float()
        for key, tensor in original_state_dict.items()
    }


def infer_mmaudio_vae_config(original_state_dict: dict[str, torch.Tensor]) -> dict[str, Any]:
    """Read the configuration of [`MMAudioMelVAE`] off the shapes of an original state dict.

    Args:
        original_state_dict (`dict[str, torch.Tensor]`): State dict of the original `VAE`; meta tensors do.

    Returns:
        `dict[str, Any]`: Arguments of [`MMAudioMelVAE`]. The mel front end (`sample_rate`, `n_fft`, `hop_length`,
        `mel_log_base`) is among them when the number of mel bins is a published one (80 at 16 kHz, 128 at 44.1 kHz).

    Raises:
        CheckpointError: When the state dict is not that of MMAudio's VAE, or has no encoder.
    """
    shape = partial(shape_of, original_state_dict, num_axes=3, network="MMAudio's VAE")
    mel_bins, hidden_channels, _ = shape("decoder.conv_out.weight")
    if not any(key.startswith("encoder.") for key in original_state_dict):
        raise CheckpointError(
            "The checkpoint of MMAudio's VAE has a decoder but no encoder; MMAudioMelVAE has both. Use the published "
            "file, or save the original network without deleting its encoder."
        )
    num_levels = count_layers(original_state_dict, "decoder.up.")
    num_blocks = count_layers(original_state_dict, "decoder.up.0.block.")
    return {
        "mel_bins": mel_bins,
        "latent_channels": shape("decoder.conv_in.weight")[1],
        "hidden_channels": hidden_channels,
        "channel_multipliers": [
            shape(f"decoder.up.{level}.block.0.conv1.weight")[0] // hidden_channels for level in range(num_levels)
        ],
        # The decoder has one block more at each level than the encoder.
        "layers_per_block": num_blocks - 1,
        # MMAudio normalises latents by statistics for each channel, which its velocity network holds.
        "scaling_factor": 1.0,
        **_FRONT_ENDS.get(mel_bins, {}),
    }


def convert_mmaudio_vae(original_state_dict: dict[str, torch.Tensor], **config: Any) -> MMAudioMelVAE:
    """Build [`MMAudioMelVAE`] from an original state dict.

    Args:
        original_state_dict (`dict[str, torch.Tensor]`): State dict of the original `VAE` as published, that is, before
            its `remove_weight_norm`, with encoder and decoder.
        **config: Arguments of [`MMAudioMelVAE`] that override what the shapes tell.

    Returns:
        [`MMAudioMelVAE`] in evaluation mode and in float32.

    Raises:
        CheckpointError: When the encoder or a key is missing, a key is unknown, or has another shape.
    """
    config = infer_mmaudio_vae_config(original_state_dict) | config
    return build_model(
        lambda: MMAudioMelVAE.from_config(config),
        map_mmaudio_vae_state_dict(original_state_dict),
        computed=("mel_converter.",),
    )
