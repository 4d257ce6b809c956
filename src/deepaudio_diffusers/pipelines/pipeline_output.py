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


@dataclass(frozen=True, eq=False)
class VoicePrompt:
    """A voice as [`TextToSpeechPipeline`] hears it: made by `encode_voice`, accepted by `__call__`.

    Prompts can be kept with `torch.save` and read with `torch.load`.

    Args:
        mel (`torch.Tensor` of shape `(num_frames, mel_channels)`):
            Log mel spectrogram of the reference speech, float32.
        text (`str`):
            What is said in it, completed as the network expects it.
        energy (`torch.Tensor` of shape `(num_frames,)`):
            Energy contour of the reference speech, for networks that are conditioned on it.
        audio_length_in_s (`float`):
            Length of the reference speech.
        gain (`float`):
            What the reference speech was multiplied by to be loud enough; generated speech is divided by it.
    """

    mel: torch.Tensor
    text: str
    energy: torch.Tensor
    audio_length_in_s: float
    gain: float


torch.serialization.add_safe_globals([VoicePrompt])


@dataclass
class TextToSpeechPipelineOutput(BaseOutput):
    """Output of [`TextToSpeechPipeline`].

    Args:
        audios (`np.ndarray` or `torch.Tensor` of shape `(batch_size, 1, num_samples)`):
            Waveforms, float32. Shorter items of a batch end with zeros. With `output_type="latent"` the generated log
            mel spectrograms, of shape `(batch_size, num_frames, mel_channels)`.
        sampling_rate (`int`):
            Samples per second.
        lengths (`list[int]`):
            How many samples (frames, with `output_type="latent"`) of each item are its own.
    """

    audios: np.ndarray | torch.Tensor
    sampling_rate: int
    lengths: list[int]


@dataclass
class DeepAudioPipelineOutput(BaseOutput):
    """Output of [`DeepAudioPipeline`].

    Args:
        audios (`np.ndarray` or `torch.Tensor` of shape `(batch_size, 1, num_samples)`):
            What was asked for: the ambience, the speech, or their mix. Float32, and as long as the clip.
        sampling_rate (`int`):
            Samples per second of `audios`, `ambience` and `speech`.
        lengths (`list[int]`):
            How many samples of each item are its own; plain speech differs in length and is followed by zeros.
        task (`str`):
            What was done: `"video_to_audio"`, `"video_to_speech"`, `"text_to_speech"` or `"soundtrack"`.
        task_probabilities (`list[dict[str, float]]` or `None`):
            What the gate made of each instruction; `None` when the task was given.
        energy (`torch.Tensor` of shape `(batch_size, num_frames)` or `None`):
            The energy contour of the whole clip, one value for each 256 / 24000 s: what timed the speech.
        ambience (of the type and shape of `audios`, or `None`):
            The ambience alone, as it is in the mix.
        speech (of the type and shape of `audios`, or `None`):
            The speech alone, as it is in the mix.
    """

    audios: np.ndarray | torch.Tensor
    sampling_rate: int
    lengths: list[int]
    task: str
    task_probabilities: list[dict[str, float]] | None
    energy: torch.Tensor | None
    ambience: np.ndarray | torch.Tensor | None
    speech: np.ndarray | torch.Tensor | None
