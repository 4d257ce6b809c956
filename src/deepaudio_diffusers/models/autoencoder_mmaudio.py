# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""The mel VAE of MMAudio: diffusers' [`~diffusers.MMAudioVAE`] at both sampling rates.

Two things are added to diffusers' class, whose architecture and weights stay as they are: the logarithm of the 16 kHz
model, and convolutions that do not copy all their weights at each call. Cheng et al. (arXiv 2412.15322); original
code: hkchengrex/MMAudio (MIT).
"""

import math

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import register_to_config
from diffusers.models.autoencoders.autoencoder_mmaudio import MMAudioMPConv1d, MMAudioVAE
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from diffusers.models.modeling_outputs import AutoencoderKLOutput
from diffusers.utils.accelerate_utils import apply_forward_hook


class MMAudioMelConv1d(MMAudioMPConv1d):
    """Applies a gain to the output, and leaves the weights as they are where there is none.

    diffusers multiplies all weights by the gain, which is one in all layers but two: up to a third of the time of a
    short clip on a CPU.
    """

    def forward(self, x: torch.Tensor, gain: float | torch.Tensor = 1.0) -> torch.Tensor:
        x = F.conv1d(x, self.weight.to(x.dtype), padding=self.padding)
        return x * gain if isinstance(gain, torch.Tensor) else x


class MMAudioMelVAE(MMAudioVAE):
    r"""
    [`~diffusers.MMAudioVAE`] for the 44.1 kHz and the 16 kHz models of MMAudio.

    Args:
        mel_bins, latent_channels, hidden_channels, channel_multipliers, layers_per_block, sample_rate, n_fft,
            hop_length (*optional*): As in [`~diffusers.MMAudioVAE`]; the defaults are the 44.1 kHz model.
        scaling_factor (`float`, defaults to `1.0`): Not used by MMAudio, whose transformer knows the statistics of its
            latents.
        mel_log_base (`float`, defaults to `e`): Base of the logarithm that mel spectrograms are in; 10 at 16 kHz.
    """

    @register_to_config
    def __init__(
        self,
        mel_bins: int = 128,
        latent_channels: int = 40,
        hidden_channels: int = 512,
        channel_multipliers: tuple[int, ...] = (1, 2, 4),
        layers_per_block: int = 2,
        sample_rate: int = 44_100,
        n_fft: int = 2048,
        hop_length: int = 512,
        scaling_factor: float = 1.0,
        mel_log_base: float = math.e,
    ) -> None:
        super().__init__(
            mel_bins,
            latent_channels,
            hidden_channels,
            channel_multipliers,
            layers_per_block,
            sample_rate,
            n_fft,
            hop_length,
            scaling_factor,
        )
        for module in list(self.modules()):
            for name, child in module.named_children():
                if isinstance(child, MMAudioMPConv1d):
                    setattr(
                        module, name, MMAudioMelConv1d(child.in_channels, child.out_channels, child.kernel_size[0])
                    )

    @apply_forward_hook
    def encode(self, audio: torch.Tensor, return_dict: bool = True) -> AutoencoderKLOutput | tuple:
        r"""
        Encode a waveform into its latent distribution.

        Args:
            audio (`torch.Tensor` of shape `(batch_size, num_samples)`): Mono waveform in `[-1, 1]` at `sample_rate`.
            return_dict (`bool`, defaults to `True`):
                Whether to return an [`~diffusers.models.modeling_outputs.AutoencoderKLOutput`] instead of a tuple.

        Returns:
            The distribution of latents of shape `(batch_size, latent_channels, num_latents)`.
        """
        mel = self.mel_converter(audio) / math.log(self.config.mel_log_base)
        posterior = DiagonalGaussianDistribution(self.vae.encode(mel.to(self.dtype)))
        return AutoencoderKLOutput(latent_dist=posterior) if return_dict else (posterior,)
