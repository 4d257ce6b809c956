# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""BigVGAN, the vocoder that turns mel spectrograms into waveforms (https://arxiv.org/abs/2206.04658).

Transposed convolutions raise the rate step by step; after each, residual blocks with periodic activations shape the
waveform. The activations run at twice the rate of their signal, so that the overtones which they create do not alias.
Original repositories: https://github.com/NVIDIA/BigVGAN (MIT licence), with the anti-aliased activations of
https://github.com/junjun3518/alias-free-torch (Apache 2.0 licence). MMAudio (https://github.com/hkchengrex/MMAudio)
uses the first version at 16 kHz and the second at 44.1 kHz; they differ in the last layer alone.

Shapes below: B batch, C channels, T samples at the rate of the layer.
"""

import math

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.autoencoders.vae import DecoderOutput
from diffusers.models.modeling_utils import ModelMixin
from torch import nn

from ..errors import InputError


# The published low-pass filter of the activations: a Kaiser-windowed sinc that cuts at a quarter of the (doubled)
# sampling rate, with a transition band of 0.6 of that rate.
FILTER_TAPS = 12
FILTER_CUTOFF = 0.25
FILTER_TRANSITION_WIDTH = 0.6


def lowpass_filter() -> torch.Tensor:
    """The low-pass filter of the anti-aliased activations: `FILTER_TAPS` float32 values that sum to one."""
    # Kaiser's estimates: the attenuation in dB that this many taps reach, and the window shape for it (above 50 dB).
    attenuation = 2.285 * (FILTER_TAPS // 2 - 1) * 2 * math.pi * FILTER_TRANSITION_WIDTH + 7.95
    # Explicit dtypes: models are built under the default dtype of the weights that are loaded.
    window = torch.kaiser_window(FILTER_TAPS, periodic=False, beta=0.1102 * (attenuation - 8.7), dtype=torch.float32)
    times = torch.arange(FILTER_TAPS, dtype=torch.float32) - (FILTER_TAPS - 1) / 2
    taps = window * torch.sinc(2 * FILTER_CUTOFF * times)
    return taps / taps.sum()


class BigVGANActivation(nn.Module):
    """
    Anti-aliased Snake-beta activation, `x + sin(exp(alpha) * x)^2 / exp(beta)`, `alpha` and `beta` for each channel.

    The signal is upsampled twofold, activated and downsampled again; beyond its ends its outermost values go on.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.alpha = nn.Parameter(torch.zeros(channels))
        self.beta = nn.Parameter(torch.zeros(channels))
        self.register_buffer("filter", lowpass_filter(), persistent=False)

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        channels = hidden_states.shape[1]
        # The filter is float32 also where the weights were loaded in another dtype.
        taps = self.filter.to(hidden_states.dtype).expand(channels, 1, -1)
        alpha = self.alpha.exp()[:, None]
        magnitude = 1 / (self.beta.exp() + 1e-9)[:, None]

        # Concatenation continues the signal four times faster on a CPU than padding in replicate mode.
        left, right = hidden_states[..., :1], hidden_states[..., -1:]
        hidden_states = torch.cat([left.expand(-1, -1, 3), hidden_states, right.expand(-1, -1, 3)], dim=-1)
        # (B, C, 3 + T + 3) -> (B, C, 5 + 2 T + 6): the signal and what the downsampling filter sees beyond its ends,
        # where the outermost value goes on. Putting it there before the activation saves a copy of the signal.
        hidden_states = F.conv_transpose1d(
            hidden_states, 2 * taps, stride=2, padding=6, output_padding=1, groups=channels
        )
        hidden_states[..., :5] = hidden_states[..., 5:6]
        hidden_states[..., -6:] = hidden_states[..., -7:-6]

        squared_sine = (hidden_states * alpha).sin_().square_()
        hidden_states = torch.addcmul(hidden_states, squared_sine, magnitude)
        return F.conv1d(hidden_states, taps, stride=2, groups=channels)


class BigVGANResidualBlock(nn.Module):
    """Pairs of a dilated and a plain convolution, each after an activation; each pair is added to its input."""

    def __init__(self, channels: int, kernel_size: int, dilations: tuple[int, ...]):
        super().__init__()
        self.convs1 = nn.ModuleList(
            [
                nn.Conv1d(channels, channels, kernel_size, dilation=d, padding=d * (kernel_size - 1) // 2)
                for d in dilations
            ]
        )
        self.convs2 = nn.ModuleList(
            [nn.Conv1d(channels, channels, kernel_size, padding=(kernel_size - 1) // 2) for _ in dilations]
        )
        self.activations1 = nn.ModuleList([BigVGANActivation(channels) for _ in dilations])
        self.activations2 = nn.ModuleList([BigVGANActivation(channels) for _ in dilations])

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        for activation1, conv1, activation2, conv2 in zip(
            self.activations1, self.convs1, self.activations2, self.convs2, strict=True
        ):
            hidden_states = hidden_states + conv2(activation2(conv1(activation1(hidden_states))))
        return hidden_states


class BigVGANStage(nn.Module):
    """An upsampling, and the mean of the residual blocks that run in parallel after it."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        rate: int,
        kernel_size: int,
        resblock_kernel_sizes: tuple[int, ...],
        resblock_dilation_sizes: tuple[tuple[int, ...], ...],
    ):
        super().__init__()
        self.upsampler = nn.ConvTranspose1d(
            in_channels, out_channels, kernel_size, stride=rate, padding=(kernel_size - rate) // 2
        )
        self.resblocks = nn.ModuleList(
            [
                BigVGANResidualBlock(out_channels, size, dilations)
                for size, dilations in zip(resblock_kernel_sizes, resblock_dilation_sizes, strict=True)
            ]
        )

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        hidden_states = self.upsampler(hidden_states)
        return sum(resblock(hidden_states) for resblock in self.resblocks) / len(self.resblocks)


class BigVGANVocoder(ModelMixin, ConfigMixin):
    r"""
    Turns mel spectrograms into waveforms.

    The defaults are the published 16 kHz network (112 M parameters); its mel spectrograms are base-10 logarithms.
    Weight normalisation is a matter of training: the weights are stored as they are applied.

    Args:
        num_mels (`int`, defaults to 80): Mel bins of the input.
        upsample_initial_channel (`int`, defaults to 1536): Width of the first layer; each upsampling halves it.
        upsample_rates (`tuple[int, ...]`, defaults to `(4, 4, 2, 2, 2, 2)`):
            Factor of each upsampling. Their product is the hop length of the mel spectrogram in samples.
        upsample_kernel_sizes (`tuple[int, ...]`, defaults to `(8, 8, 4, 4, 4, 4)`): Kernel size of each upsampling.
        resblock_kernel_sizes (`tuple[int, ...]`, defaults to `(3, 7, 11)`):
            Kernel size of each of the residual blocks that run in parallel after an upsampling.
        resblock_dilation_sizes (`tuple[tuple[int, ...], ...]`, defaults to `((1, 3, 5), (1, 3, 5), (1, 3, 5))`):
            Dilations of the convolutions of each of these residual blocks.
        use_tanh_at_final (`bool`, defaults to `True`):
            Whether the waveform is kept in `[-1, 1]` by tanh, as in the first version, or clamped, as in the second.
        use_bias_at_final (`bool`, defaults to `True`):
            Whether the last convolution has a bias, as in the first version.

    Raises:
        InputError: When lists that belong together differ in length.
    """

    _no_split_modules = ["BigVGANResidualBlock"]

    @register_to_config
    def __init__(
        self,
        num_mels: int = 80,
        upsample_initial_channel: int = 1536,
        upsample_rates: tuple[int, ...] = (4, 4, 2, 2, 2, 2),
        upsample_kernel_sizes: tuple[int, ...] = (8, 8, 4, 4, 4, 4),
        resblock_kernel_sizes: tuple[int, ...] = (3, 7, 11),
        resblock_dilation_sizes: tuple[tuple[int, ...], ...] = ((1, 3, 5), (1, 3, 5), (1, 3, 5)),
        use_tanh_at_final: bool = True,
        use_bias_at_final: bool = True,
    ):
        super().__init__()
        for name, values, partner, partner_values in (
            ("upsample_kernel_sizes", upsample_kernel_sizes, "upsample_rates", upsample_rates),
            ("resblock_dilation_sizes", resblock_dilation_sizes, "resblock_kernel_sizes", resblock_kernel_sizes),
        ):
            if len(values) != len(partner_values):
                raise InputError(
                    f"`{name}` has {len(values)} entries; pass {len(partner_values)}, one for each of `{partner}`."
                )

        self.conv_pre = nn.Conv1d(num_mels, upsample_initial_channel, 7, padding=3)
        widths = [upsample_initial_channel // 2**i for i in range(len(upsample_rates) + 1)]
        self.stages = nn.ModuleList(
            [
                BigVGANStage(*layer, resblock_kernel_sizes, resblock_dilation_sizes)
                for layer in zip(widths[:-1], widths[1:], upsample_rates, upsample_kernel_sizes, strict=True)
            ]
        )
        self.activation_post = BigVGANActivation(widths[-1])
        self.conv_post = nn.Conv1d(widths[-1], 1, 7, padding=3, bias=use_bias_at_final)

    def forward(self, mel: torch.Tensor, return_dict: bool = True) -> DecoderOutput | tuple[torch.Tensor]:
        r"""
        Args:
            mel (`torch.Tensor` of shape `(batch_size, num_mels, num_frames)`):
                Log mel spectrogram, in the logarithm that the weights were trained with.
            return_dict (`bool`, defaults to `True`):
                Whether to return a [`~diffusers.models.autoencoders.vae.DecoderOutput`] instead of a plain tuple.

        Returns:
            [`~diffusers.models.autoencoders.vae.DecoderOutput`] or `tuple`: the waveform in `[-1, 1]`, of shape
            `(batch_size, 1, num_frames * prod(upsample_rates))`.

        Raises:
            InputError: If `mel` does not have the shape above.
        """
        if mel.ndim != 3 or mel.shape[1] != self.config.num_mels or mel.shape[2] == 0:
            raise InputError(
                f"`mel` has shape {tuple(mel.shape)}; expected (batch_size, {self.config.num_mels}, num_frames) with "
                "at least one frame."
            )

        hidden_states = self.conv_pre(mel)
        for stage in self.stages:
            hidden_states = stage(hidden_states)
        waveform = self.conv_post(self.activation_post(hidden_states))
        waveform = waveform.tanh() if self.config.use_tanh_at_final else waveform.clamp(-1, 1)

        if not return_dict:
            return (waveform,)
        return DecoderOutput(sample=waveform)
