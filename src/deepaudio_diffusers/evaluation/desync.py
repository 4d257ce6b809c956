# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""DeSync: by how much sound and picture are apart, as Synchformer hears and sees it.

Iashin et al., "Synchformer" (ICASSP 2024, arXiv 2401.16423). The protocol is that of hkchengrex/av-benchmark (MIT),
with which MMAudio is scored: of the first 8 s of a clip, the first and the last 4.8 s are compared, and of each the
offset that the network finds most likely counts with its size. Clips of less than 8 s cannot be scored so; the
original leaves them out, or takes another clip instead.
"""

from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError

from ..errors import CheckpointError, InputError
from ..media import MediaSource
from ..models.synchformer import Synchformer
from ..processing.audio import SYNC_SAMPLING_RATE, resample, synchformer_mel
from ..processing.video import normalize_sync_frames, read_video_streams
from .networks import weights_hash


CLIP_LENGTH_IN_S = 8.0
WINDOW_LENGTH_IN_S = 4.8
# Segments of pictures that are encoded at once; the published network takes a gigabyte for these.
SEGMENTS_AT_ONCE = 8


class SynchronyNetwork:
    """
    Finds out by how much sound and picture are apart: [`Synchformer`].

    Args:
        model (`Synchformer`): The network.
        name (`str`): What it is called in reports.
    """

    def __init__(self, model: Synchformer, name: str) -> None:
        self.model = model.eval().requires_grad_(False)
        self.name = name
        self.revision = weights_hash(model)

    @classmethod
    def from_pretrained(cls, source: str) -> "SynchronyNetwork":
        """Load it from a folder that `save_pretrained` wrote, or from the file of the published weights.

        Raises:
            CheckpointError: When the weights are not at hand, or not those of a whole Synchformer.
        """
        path, missing = Path(source), []
        try:
            if path.is_file():
                model = Synchformer.from_single_file(str(path)).float()
            else:
                model, info = Synchformer.from_pretrained(source, dtype=torch.float32, output_loading_info=True)
                missing = sorted(info["missing_keys"])
        except (OSError, ValueError, RuntimeError, SafetensorError) as error:
            raise CheckpointError(
                f"Synchformer for DeSync cannot be loaded from {source!r}: {str(error).splitlines()[0]} Pass a folder "
                "that `Synchformer.save_pretrained` wrote, or the published `synchformer_state_dict.pth`; "
                "`hf download hkchengrex/MMAudio ext_weights/synchformer_state_dict.pth` fetches it."
            ) from error
        # diffusers only warns of weights that it had to draw at random.
        if missing:
            raise CheckpointError(
                f"{source!r} lacks {len(missing)} weights of Synchformer, such as {missing[0]!r}, so it would score "
                "by chance. Pass the whole network, not its visual branch."
            )
        return cls(model, path.stem if path.exists() else source)

    def to(self, device: torch.device | str) -> "SynchronyNetwork":
        self.model.to(device)
        return self

    @property
    def largest_offset_in_s(self) -> float:
        """The largest offset that it knows, in seconds."""
        return self.model.config.max_offset_in_s

    @torch.no_grad()
    def hear(self, waveform: torch.Tensor, sampling_rate: int) -> dict[str, np.ndarray]:
        """`{"features": (num_segments, num_steps, hidden_size)}` of the first 8 s of a sound.

        Raises:
            InputError: When it is shorter.
        """
        if len(waveform) < CLIP_LENGTH_IN_S * sampling_rate:
            raise InputError(
                f"DeSync compares the first {CLIP_LENGTH_IN_S:g} s of sound and picture, but the sound lasts "
                f"{len(waveform) / sampling_rate:.2f} s; make it that long, or leave this score out."
            )
        samples = round(CLIP_LENGTH_IN_S * SYNC_SAMPLING_RATE)
        speech = resample(waveform, sampling_rate, SYNC_SAMPLING_RATE)[:samples].to(self.model.device)
        config = self.model.config
        mel = synchformer_mel(speech, num_mels=config.num_mel_bins, num_frames=config.num_mel_frames)
        return {"features": self.model.encode_audio(mel[None])[0].cpu().numpy()}

    @torch.no_grad()
    def see(self, video: MediaSource) -> dict[str, np.ndarray]:
        """`{"features": (num_segments, num_steps, hidden_size)}` of the first 8 s of a video file.

        Raises:
            InputError: When it is shorter.
            MediaError: When it cannot be read.
        """
        try:
            # The other stream, of frames for CLIP, is not needed.
            streams = read_video_streams(
                video,
                audio_length_in_s=CLIP_LENGTH_IN_S,
                clip_frame_size=1,
                sync_frame_size=self.model.config.image_size,
            )
        except InputError as error:
            raise InputError(
                f"DeSync compares the first {CLIP_LENGTH_IN_S:g} s of sound and picture; leave this score out for "
                f"shorter clips. {error}"
            ) from error
        features = [
            self.model.encode_video(normalize_sync_frames(streams.sync_frames[segments].to(self.model.device))[None])[
                0
            ]
            for segments in streams.sync_segments.split(SEGMENTS_AT_ONCE)
        ]
        return {"features": torch.cat(features).cpu().numpy()}

    @torch.no_grad()
    def offsets(self, seen: np.ndarray, heard: np.ndarray) -> list[float]:
        """By how much the sound is late in the first and in the last window, in seconds; below 0 when it is early.

        Args:
            seen (`np.ndarray`): Features from `see`.
            heard (`np.ndarray`): Features from `hear`.
        """
        length = self.model.config.num_segments
        video, audio = (
            torch.from_numpy(np.stack([features[:length], features[-length:]])).to(self.model.device)
            for features in (seen, heard)
        )
        chosen = self.model.compare(video, audio).argmax(-1).cpu()
        # In the network the sound is early by an offset above 0. Added to 0, so that none is -0.
        return (0.0 - self.model.offsets_in_s[chosen]).tolist()
