# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""A small convolutional encoder of when things happen in a video, for the place of Synchformer.

Synchformer is a transformer that learns from hundreds of hours of video. Where there are a few hours and a CPU, a
network that looks for moving edges from the start learns more: convolutions over three frames at a time, which keep
where in the picture something is, then convolutions over time.

Shapes below: B segments, T frames of a segment (16), C channels.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from diffusers.utils import BaseOutput
from torch import nn

from ..errors import InputError


# Frames that the first convolution sees at once: the one before, the frame itself and the one after.
STACKED_FRAMES = 3
# Side of the grid of places that is left of a picture.
GRID_SIZE = 4
NORM_GROUPS = 8


@dataclass
class ConvVideoEncoderOutput(BaseOutput):
    """
    Output of [`ConvVideoEncoder`].

    Args:
        features (`torch.Tensor` of shape `(batch_size, num_frames // 2, hidden_size)`):
            One vector for each of the central frames of each segment.
    """

    features: torch.Tensor


class ConvTemporalBlock(nn.Module):
    """Dilated convolution over time on (B, T, C), normalised first and added to its input."""

    def __init__(self, dim: int, kernel_size: int, dilation: int):
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.conv = nn.Conv1d(dim, dim, kernel_size, padding=dilation * (kernel_size // 2), dilation=dilation)
        self.linear = nn.Linear(dim, dim)

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        update = self.conv(self.norm(hidden_states).transpose(1, 2)).transpose(1, 2)
        return hidden_states + self.linear(F.gelu(update))


class ConvVideoEncoder(ModelMixin, ConfigMixin):
    r"""
    Turns 16-frame segments of video at 25 fps into one feature vector for each of their eight central frames.

    Segments that begin eight frames after one another, as the pipelines take them, so give one vector a frame.

    Args:
        hidden_size (`int`, defaults to 128): Size of the features.
        frame_channels (`tuple[int, int, int]`, defaults to `(32, 64, 128)`): Channels of the convolutions over a
            picture, which leave a third, a sixth and a twelfth of its height and width.
        temporal_size (`int`, defaults to 192): Channels of the convolutions over time.
        temporal_dilations (`tuple[int, ...]`, defaults to `(1, 2, 1, 3)`): Their dilations.
        image_size (`int`, defaults to 48): Height and width of the frames in pixels.
        num_frames (`int`, defaults to 16): Number of frames of a segment.

    Raises:
        InputError: When `image_size` is not what the convolutions reduce to their grid of places.
    """

    @register_to_config
    def __init__(
        self,
        hidden_size: int = 128,
        frame_channels: tuple[int, int, int] = (32, 64, 128),
        temporal_size: int = 192,
        temporal_dilations: tuple[int, ...] = (1, 2, 1, 3),
        image_size: int = 48,
        num_frames: int = 16,
    ):
        super().__init__()
        if image_size != 12 * GRID_SIZE:
            raise InputError(
                f"`image_size` is {image_size}; the convolutions make {GRID_SIZE} x {GRID_SIZE} places of "
                f"{12 * GRID_SIZE} pixels a side."
            )
        first, second, third = frame_channels
        self.conv_1 = nn.Conv2d(3 * STACKED_FRAMES, first, 5, stride=3, padding=1)
        self.conv_2 = nn.Conv2d(first, second, 3, stride=2, padding=1)
        self.norm_2 = nn.GroupNorm(NORM_GROUPS, second)
        self.conv_3 = nn.Conv2d(second, third, 3, stride=2, padding=1)
        self.norm_3 = nn.GroupNorm(NORM_GROUPS, third)
        # Not an average over places: where something is decides what it sounds like.
        self.linear = nn.Linear(third * GRID_SIZE**2, temporal_size)
        self.norm = nn.LayerNorm(temporal_size)
        self.temporal_blocks = nn.ModuleList(
            [ConvTemporalBlock(temporal_size, 5, dilation) for dilation in temporal_dilations]
        )
        self.norm_out = nn.LayerNorm(temporal_size)
        self.proj_out = nn.Linear(temporal_size, hidden_size)

    def forward(
        self, pixel_values: torch.Tensor, return_dict: bool = True
    ) -> ConvVideoEncoderOutput | tuple[torch.Tensor]:
        r"""
        Args:
            pixel_values (`torch.Tensor` of shape `(batch_size, num_frames, 3, image_size, image_size)`):
                Segments of consecutive frames at 25 fps, scaled to `[-1, 1]`.
            return_dict (`bool`, defaults to `True`):
                Whether to return a [`ConvVideoEncoderOutput`] instead of a plain tuple.

        Returns:
            [`ConvVideoEncoderOutput`] or `tuple`: features of shape `(batch_size, num_frames // 2, hidden_size)`.

        Raises:
            InputError: If `pixel_values` does not have the shape above.
        """
        config = self.config
        segment_shape = (config.num_frames, 3, config.image_size, config.image_size)
        if pixel_values.ndim != 5 or pixel_values.shape[1:] != segment_shape:
            raise InputError(
                f"`pixel_values` has shape {tuple(pixel_values.shape)}; expected (batch_size, "
                f"{', '.join(map(str, segment_shape))}), one segment of frames an item."
            )
        # (B, T, 3, height, width) -> (B * T, 9, height, width); the first and the last frame are their own neighbours.
        padded = torch.cat([pixel_values[:, :1], pixel_values, pixel_values[:, -1:]], dim=1)
        stacked = torch.cat([padded[:, :-2], padded[:, 1:-1], padded[:, 2:]], dim=2).flatten(0, 1)
        hidden_states = F.gelu(self.conv_1(stacked.contiguous(memory_format=torch.channels_last)))
        hidden_states = F.gelu(self.norm_2(self.conv_2(hidden_states)))
        hidden_states = F.gelu(self.norm_3(self.conv_3(hidden_states)))
        hidden_states = self.norm(self.linear(hidden_states.flatten(1))).unflatten(0, (-1, config.num_frames))
        for block in self.temporal_blocks:
            hidden_states = block(hidden_states)
        margin = config.num_frames // 4
        features = self.proj_out(self.norm_out(hidden_states[:, margin : config.num_frames - margin]))

        if not return_dict:
            return (features,)
        return ConvVideoEncoderOutput(features=features)
