# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Scores by Cnn14, PaSST and VGGish, as av-benchmark has them (hkchengrex/av-benchmark, MIT; with it MMAudio and those
who compare themselves with it are measured, and it follows haoheliu/audioldm_eval, MIT)."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from ...processing.audio import resample
from ...processing.knowledge import align_energy
from ..distributions import frechet_distance
from ..embeddings import EmbeddingCache
from ..items import LoadedItem
from ..scorers import Figure, Record, Scorer, SoundScorer, network_protocol
from .networks import AudioSetNetwork, PannsTagger, PasstTagger, VggishListener


class AudioSetScorer(SoundScorer):
    """FD, KD, KL and IS by PANNs or PaSST.

    Args:
        tagger (`PannsTagger` or `PasstTagger`): Gives embeddings and logits.
        cache (`EmbeddingCache`): Keeps them.
        length_in_s (`float`, *optional*): Of what is heard of references and results; by default all.
    """

    def __init__(
        self, tagger: PannsTagger | PasstTagger, cache: EmbeddingCache, length_in_s: float | None = None
    ) -> None:
        name, label = ("panns", "PANNs") if isinstance(tagger, PannsTagger) else ("passt", "PaSST")
        super().__init__(tagger, cache, name=name, label=label)
        self.sampling_rate = tagger.sampling_rate
        self.length_in_s = length_in_s

    def waveforms(self, clip: LoadedItem) -> tuple[torch.Tensor, torch.Tensor]:
        return _centred_pair(clip, self.sampling_rate, self.length_in_s)

    @property
    def protocol(self) -> dict[str, Any]:
        return super().protocol | _length_protocol(self.tagger, self.length_in_s)


class FrechetAudioScorer(Scorer):
    """Fréchet audio distance (Kilgour et al., arXiv 1812.08466): of what VGGish makes of all pieces of all clips.

    Args:
        network (`VggishListener`): Hears the pieces.
        cache (`EmbeddingCache`): Keeps what it heard.
        length_in_s (`float`, *optional*): See [`AudioSetScorer`].
    """

    name = "vggish"
    needs = ("reference",)

    def __init__(self, network: VggishListener, cache: EmbeddingCache, length_in_s: float | None = None) -> None:
        self.network, self.cache, self.length_in_s = network, cache, length_in_s
        distance = _of_pieces(network.embedding_size)
        columns = ("num_pieces", "pieces", "reference_pieces")
        self.figures = (Figure("fad", "FAD (VGGish)", columns, distance, lower_is_better=True, is_of_sets=True),)

    def score(self, clip: LoadedItem) -> Record:
        rate = self.network.sampling_rate
        reference, result = (
            self.cache.hear(self.network, waveform, rate)["embeddings"]
            for waveform in _centred_pair(clip, rate, self.length_in_s)
        )
        return {"num_pieces": len(result), "pieces": result, "reference_pieces": reference}

    def worst(self, clip: LoadedItem) -> Record:
        return self.score(clip)

    @property
    def protocol(self) -> dict[str, Any]:
        return (
            network_protocol(self.network)
            | {
                "sampling rate": self.network.sampling_rate,
                "lengths": "the result cut, or continued by silence, to the length of the reference",
                "FAD": "of the pieces of 0.96 s of all clips; no principal components, no last activation",
                "failed clips": "silence as long as the reference",
            }
            | _length_protocol(self.network, self.length_in_s)
        )


def _length_protocol(network: AudioSetNetwork, length_in_s: float | None) -> dict[str, Any]:
    return {
        "length in s": "all" if length_in_s is None else length_in_s,
        "offset": "the mean of each sound is taken off",
        "short clips": network.short_clips,
    }


def _centred_pair(
    clip: LoadedItem, sampling_rate: int, length_in_s: float | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Reference and result without their offsets, the result as long as the reference."""
    reference = resample(_centred(clip.reference), clip.reference_sampling_rate, sampling_rate)
    if length_in_s is not None:
        reference = reference[: int(length_in_s * sampling_rate)]
    result = resample(_centred(clip.waveform), clip.sampling_rate, sampling_rate)
    return reference, align_energy(result, len(reference))


def _centred(waveform: torch.Tensor) -> torch.Tensor:
    return (waveform.double() - waveform.double().mean()).float()


def _of_pieces(embedding_size: int) -> Callable[[np.ndarray], float]:
    """Fréchet distance of rows that have the number of pieces of a clip, the pieces, and those of its reference."""

    def statistic(rows: np.ndarray) -> float:
        pieces = rows[:, 1:].reshape(len(rows), 2, -1, embedding_size)
        is_piece = np.arange(pieces.shape[2]) < rows[:, :1]
        return frechet_distance(pieces[:, 0][is_piece], pieces[:, 1][is_piece])

    return statistic
