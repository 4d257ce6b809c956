# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""What networks make of sounds and texts, kept in files by content: asking the same again costs nothing."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from .files import write_whole
from .networks import Network


Arrays = dict[str, np.ndarray]


class EmbeddingCache:
    """
    A folder with a file for each network and content.

    Files are named by a hash of what was given to the network, so it does not matter where a sound lies and what it is
    called. Several processes may share a folder.

    Args:
        folder (`Path` or `None`): Where to keep them; `None` keeps nothing.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        # How often a network had to be asked; the rest came from files.
        self.num_computed = 0

    def hear(self, network: Network, waveform: torch.Tensor, sampling_rate: int) -> Arrays:
        """What a network makes of a waveform of shape `(num_samples,)`."""
        content = f"{sampling_rate} ".encode() + waveform.float().cpu().contiguous().numpy().tobytes()
        return self._get(network, content, lambda: network.hear(waveform, sampling_rate))

    def read(self, network: Network, text: str) -> Arrays:
        """What a network makes of a text."""
        return self._get(network, b"text " + text.encode(), lambda: network.read(text))

    def see(self, network: Network, video: Path | bytes) -> Arrays:
        """What a network makes of a video file."""
        content = video if isinstance(video, bytes) else video.read_bytes()
        return self._get(network, b"video " + content, lambda: network.see(video))

    def transcribe(self, network: Network, waveform: torch.Tensor, sampling_rate: int) -> str:
        """What a recogniser hears in a waveform of shape `(num_samples,)`."""
        content = f"{sampling_rate} ".encode() + waveform.float().cpu().contiguous().numpy().tobytes()

        def listen() -> Arrays:
            return {"text": np.frombuffer(network.transcribe(waveform, sampling_rate).encode() + b"\n", np.uint8)}

        return self._get(network, content, listen)["text"].tobytes().decode().removesuffix("\n")

    def _get(self, network: Network, content: bytes, compute: Callable[[], Arrays]) -> Arrays:
        if self.folder is None:
            self.num_computed += 1
            return compute()
        who = hashlib.sha256(f"{network.name} {network.revision}".encode()).hexdigest()[:16]
        path = self.folder / who / f"{hashlib.sha256(content).hexdigest()}.safetensors"
        if path.exists():
            try:
                return load_file(path)
            except SafetensorError:
                # Written on a full disk, say; it is made anew.
                path.unlink(missing_ok=True)
        arrays = compute()
        self.num_computed += 1
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, save({name: np.ascontiguousarray(array) for name, array in arrays.items()}))
        return arrays
