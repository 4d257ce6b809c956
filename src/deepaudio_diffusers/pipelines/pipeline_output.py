# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""What the pipelines return, and what passes between their steps."""

from dataclasses import dataclass

import numpy as np
import torch
from diffusers.utils import BaseOutput


@dataclass(frozen=True, eq=False)
class VideoFeatures:
    """What [`VideoToAudioPipeline`] sees of a clip: made by `encode_video` or `encode_image`, accepted by `__call__`.

    Features can be kept with `torch.save` and read with `torch.load`.

    Args:
        clip_features (`torch.Tensor` of shape `(batch_size, num_clip_tokens, 1024)` or `None`):
            L2-normalised CLIP features, 8 per second. `None`: the content of the picture is not known.
        sync_features (`torch.Tensor` of shape `(batch_size, num_sync_tokens, 768)` or `None`):
            Synchformer features, 8 for each segment of 16 frames at 25 per second. `None`: nothing to be in time with.
        audio_length_in_s (`float`):
            Length of the clip in seconds.
    """

    clip_features: torch.Tensor | None
    sync_features: torch.Tensor | None
    audio_length_in_s: float


# `torch.load` reads nothing but what is known to be harmless.
torch.serialization.add_safe_globals([VideoFeatures])


@dataclass
class VideoToAudioPipelineOutput(BaseOutput):
    """Output of [`VideoToAudioPipeline`].

    Args:
        audios (`np.ndarray` or `torch.Tensor` of shape `(batch_size, 1, num_samples)`):
            Waveforms in `[-1, 1]`, float32, exactly as long as the clip. With `output_type="latent"` the latents, of
            shape `(batch_size, num_latents, latent_channels)`, as the transformer made them.
        sampling_rate (`int`):
            Samples per second.
    """

    audios: np.ndarray | torch.Tensor
    sampling_rate: int
