# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""From clips to figures. A scorer measures each clip by itself, and its figures sum up what was measured.

Clips whose result failed are scored too, as the worst there is, and never left out. A scorer says so in its protocol,
with everything else that a figure depends on.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from ..errors import InputError
from ..processing.audio import energy_contour, resample
from ..processing.knowledge import align_energy
from .contours import correlation, loudness_contour
from .desync import CLIP_LENGTH_IN_S, WINDOW_LENGTH_IN_S, SynchronyNetwork
from .distributions import frechet_distance, inception_score, kernel_distance, kl_divergence
from .durations import duration_error
from .embeddings import EmbeddingCache
from .items import LoadedItem
from .motion import LARGEST_OFFSET_IN_S, av_align, measure_motion, motion_offset
from .networks import Network, Recognizer
from .onsets import THRESHOLD, detect_onsets, f1_score, match_onsets
from .spectral import MCD_SAMPLING_RATE, mel_cepstral_distortion, warped_distortions
from .words import corpus_error_rate, error_counts, mean_error_rate, normalize_transcript


Record = dict[str, Any]
SAMPLING_RATE = 16_000
ONSET_TOLERANCE_IN_S = 0.05
# A resample of a distance of sets costs as much as the distance itself.
SET_RESAMPLES = 100


@dataclass(frozen=True)
class Figure:
    """
    A number that sums up clips.

    Args:
        name (`str`): Such as `"wer"`.
        title (`str`): Such as `"WER"`.
        columns (`tuple[str, ...]`): What it needs of the record of each clip: numbers or vectors.
        statistic (`Callable`): From an array with a row for each clip to a number; the mean by default.
        lower_is_better (`bool`): Which way it should go.
        unit (`str`): Such as `"dB"`.
        is_of_sets (`bool`): Whether it compares sets. Drawing clips with replacement makes sets less varied, so the
            interval is moved to lie around the value, and fewer draws are made.
    """

    name: str
    title: str
    columns: tuple[str, ...]
    statistic: Callable[[np.ndarray], float] = np.mean
    lower_is_better: bool = False
    unit: str = ""
    is_of_sets: bool = False


class Scorer(ABC):
    """Measures clips. `needs` are the fields of an item that it needs, `figures` what it gives."""

    name: str
    needs: tuple[str, ...] = ()
    figures: tuple[Figure, ...] = ()

    @abstractmethod
    def score(self, clip: LoadedItem) -> Record:
        """What is measured of a clip; `failure`, if it is there, says why its result counts as failed after all."""

    @abstractmethod
    def worst(self, clip: LoadedItem) -> Record:
        """What a clip counts as whose result failed."""

    @property
    def protocol(self) -> dict[str, Any]:
        """What the figures depend on."""
        return {}


def network_protocol(network: Network) -> dict[str, str]:
    """Who scored."""
    return {"network": network.name, "revision": network.revision}


class WordScorer(Scorer):
    """Word and character error rates.

    Args:
        recognizer (`Recognizer`): Hears the results.
        cache (`EmbeddingCache`): Keeps what it heard.
    """

    name = "words"
    needs = ("transcript",)
    figures = (
        Figure("wer", "WER", ("word_errors", "words"), corpus_error_rate, lower_is_better=True),
        Figure("wer_mean", "WER, mean of clips", ("word_errors", "words"), mean_error_rate, lower_is_better=True),
        Figure("cer", "CER", ("character_errors", "characters"), corpus_error_rate, lower_is_better=True),
    )

    def __init__(self, recognizer: Recognizer, cache: EmbeddingCache) -> None:
        self.recognizer, self.cache = recognizer, cache

    def score(self, clip: LoadedItem) -> Record:
        heard = self.cache.transcribe(self.recognizer, clip.waveform, clip.sampling_rate)
        return {"heard": normalize_transcript(heard)} | error_counts(clip.item.transcript, heard)

    def worst(self, clip: LoadedItem) -> Record:
        return {"heard": ""} | error_counts(clip.item.transcript, "")

    @property
    def protocol(self) -> dict[str, Any]:
        return network_protocol(self.recognizer) | {
            "texts": "no punctuation, lower case, single spaces",
            "failed clips": "nothing is heard",
        }


class DistortionScorer(Scorer):
    """Mel-cepstral distortion, of equally long clips frame by frame and by dynamic time warping."""

    name = "distortion"
    needs = ("reference",)
    figures = (
        Figure("mcd", "MCD", ("mcd",), lower_is_better=True, unit="dB"),
        Figure("mcd_dtw", "MCD-DTW", ("mcd_dtw",), lower_is_better=True, unit="dB"),
        Figure("mcd_dtw_sl", "MCD-DTW-SL", ("mcd_dtw_sl",), lower_is_better=True, unit="dB"),
    )

    def score(self, clip: LoadedItem) -> Record:
        reference = resample(clip.reference, clip.reference_sampling_rate, MCD_SAMPLING_RATE)
        result = resample(clip.waveform, clip.sampling_rate, MCD_SAMPLING_RATE)
        plain = mel_cepstral_distortion(reference, result, MCD_SAMPLING_RATE, "plain")
        warped, warped_sl = warped_distortions(reference, result, MCD_SAMPLING_RATE)
        return {"mcd": plain, "mcd_dtw": warped, "mcd_dtw_sl": warped_sl}

    def worst(self, clip: LoadedItem) -> Record:
        return self.score(clip)

    @property
    def protocol(self) -> dict[str, Any]:
        return {
            "sampling rate": MCD_SAMPLING_RATE,
            "cepstra": "as pymcd 0.2.1: WORLD, 5 ms, order 13, warping 0.65; fastdtw, radius 1",
            "failed clips": "silence as long as the reference",
        }


class DurationScorer(Scorer):
    """How far the length of a result is from that of the reference."""

    name = "duration"
    needs = ("reference",)
    figures = (Figure("duration_error", "duration error", ("duration_error",), lower_is_better=True),)

    def score(self, clip: LoadedItem) -> Record:
        return {"duration_error": duration_error(clip.length_in_s, clip.reference_length_in_s)}

    def worst(self, clip: LoadedItem) -> Record:
        return {"duration_error": duration_error(0.0, clip.reference_length_in_s)}

    @property
    def protocol(self) -> dict[str, Any]:
        return {"error": "share of the length of the reference", "failed clips": "no length: an error of 1"}


class ContourScorer(Scorer):
    """Whether a result is loud when the reference is: correlation of energy contours and of levels."""

    name = "contours"
    needs = ("reference",)
    figures = (
        Figure("contour_r", "contour r", ("contour_r",)),
        Figure("level_r", "level r (dB)", ("level_r",)),
    )

    def score(self, clip: LoadedItem) -> Record:
        reference, result = _aligned(clip)
        contours = [
            energy_contour(each[None], SAMPLING_RATE, mel_sampling_rate=SAMPLING_RATE).double().numpy()
            for each in (reference, result)
        ]
        levels = [loudness_contour(each, SAMPLING_RATE) for each in (reference, result)]
        return {"contour_r": correlation(*contours), "level_r": correlation(*levels)}

    def worst(self, clip: LoadedItem) -> Record:
        return {"contour_r": 0.0, "level_r": 0.0}

    @property
    def protocol(self) -> dict[str, Any]:
        return {
            "sampling rate": SAMPLING_RATE,
            "lengths": "the result cut, or continued by silence, to the length of the reference",
            "failed clips": 0,
        }


class OnsetScorer(Scorer):
    """Whether things begin to sound when they do in the reference."""

    name = "onsets"
    needs = ("reference",)
    figures = (Figure("onset_f1", "onset F1", ("onsets_matched", "onsets_detected", "onsets_known"), f1_score),)

    def score(self, clip: LoadedItem) -> Record:
        known, detected = (detect_onsets(each, SAMPLING_RATE) for each in _aligned(clip))
        counts = match_onsets(detected, known, ONSET_TOLERANCE_IN_S)
        return _onset_record(counts.matched, counts.detected, counts.known)

    def worst(self, clip: LoadedItem) -> Record:
        known = detect_onsets(_aligned(clip)[0], SAMPLING_RATE)
        # Something is counted against it even where nothing should begin.
        return _onset_record(0, 1, len(known))

    @property
    def protocol(self) -> dict[str, Any]:
        return {
            "onsets": f"spectral flux, threshold {THRESHOLD}, of the result and of the reference",
            "tolerance in s": ONSET_TOLERANCE_IN_S,
            "failed clips": "none found and one too many",
        }


def _onset_record(matched: int, detected: int, known: int) -> Record:
    return {"onsets_matched": matched, "onsets_detected": detected, "onsets_known": known}


class SimilarityScorer(Scorer):
    """Cosine of embeddings of the result and of a recording: of speakers (SPK-SIM, SIM-O) or emotions (EMO-SIM).

    Args:
        name (`str`): Of the figure.
        title (`str`): Of the figure.
        network (`Network`): Hears both.
        cache (`EmbeddingCache`): Keeps what it heard.
        to (`str`): The field of the recording: `"reference"`, as for SPK-SIM, or `"voice"`, as for SIM-O.
    """

    def __init__(self, name: str, title: str, network: Network, cache: EmbeddingCache, to: str = "reference") -> None:
        self.name = name
        self.needs = (to,)
        self.figures = (Figure(name, title, (name,)),)
        self.network, self.cache, self.to = network, cache, to

    def score(self, clip: LoadedItem) -> Record:
        result = self.cache.hear(self.network, clip.waveform, clip.sampling_rate)["embedding"]
        recording = self.cache.hear(self.network, *clip.recording(self.to))["embedding"]
        return {self.name: cosine(result, recording)}

    def worst(self, clip: LoadedItem) -> Record:
        return {self.name: 0.0}

    @property
    def protocol(self) -> dict[str, Any]:
        return network_protocol(self.network) | {"compared with": self.to, "failed clips": 0}


class SoundScorer(Scorer):
    """What a tagger makes of results and references: Fréchet and kernel distance, KL divergence, inception score.

    Args:
        tagger (`Network`): Gives embeddings and logits.
        cache (`EmbeddingCache`): Keeps them.
        name (`str`, defaults to `"sounds"`): Of the scorer.
        label (`str`, *optional*): Of the tagger, for titles of figures; their names then end with that of the scorer,
            so that those of several taggers do not mix.
    """

    needs = ("reference",)
    sampling_rate = SAMPLING_RATE

    def __init__(self, tagger: Network, cache: EmbeddingCache, name: str = "sounds", label: str | None = None) -> None:
        self.tagger, self.cache, self.name = tagger, cache, name
        self._ending = "" if label is None else f"_{name}"
        self.figures = tuple(self._figures("" if label is None else f" ({label})"))

    def _figures(self, label: str) -> Iterator[Figure]:
        def named(name: str, title: str, columns: tuple[str, ...], *statistic: Any, **facts: Any) -> Figure:
            columns = tuple(column + self._ending for column in columns)
            return Figure(name + self._ending, title + label, columns, *statistic, **facts)

        pair, closer = ("embedding", "reference_embedding"), {"lower_is_better": True}
        yield named("fd", "FD", pair, _of_halves(frechet_distance), is_of_sets=True, **closer)
        yield named("kd", "KD", pair, _of_halves(_kernel_distance_of_all), is_of_sets=True, **closer)
        yield named("kl", "KL", ("kl",), unit="nats", **closer)
        yield named("is", "IS", ("logits",), inception_score, is_of_sets=True)

    def waveforms(self, clip: LoadedItem) -> tuple[torch.Tensor, torch.Tensor]:
        """Reference and result at the sampling rate of the scorer, as the tagger hears them."""
        return _aligned(clip)

    def score(self, clip: LoadedItem) -> Record:
        reference, result = (
            self.cache.hear(self.tagger, waveform, self.sampling_rate) for waveform in self.waveforms(clip)
        )
        record = {
            "kl": kl_divergence(reference["logits"][None], result["logits"][None]),
            "embedding": result["embedding"],
            "logits": result["logits"],
            "reference_embedding": reference["embedding"],
        }
        return {name + self._ending: value for name, value in record.items()}

    def worst(self, clip: LoadedItem) -> Record:
        return self.score(clip)

    @property
    def protocol(self) -> dict[str, Any]:
        return network_protocol(self.tagger) | {
            "sampling rate": self.sampling_rate,
            "lengths": "the result cut, or continued by silence, to the length of the reference",
            "FD, KD": "of embeddings; KD of all clips at once",
            "KL": "KL(reference || result) of softmax",
            "IS": "mean of 10 splits, permuted with seed 2020",
            "failed clips": "silence as long as the reference",
        }


class PromptScorer(Scorer):
    """Whether a result is what the prompt says: cosine of the embeddings of CLAP.

    Args:
        clap (`Network`): Hears sounds and reads texts.
        cache (`EmbeddingCache`): Keeps what it made of them.
    """

    name = "clap"
    needs = ("prompt",)
    figures = (Figure("clap", "CLAP score", ("clap",)),)

    def __init__(self, clap: Network, cache: EmbeddingCache) -> None:
        self.clap, self.cache = clap, cache

    def score(self, clip: LoadedItem) -> Record:
        heard = self.cache.hear(self.clap, clip.waveform, clip.sampling_rate)["embedding"]
        return {"clap": cosine(heard, self.cache.read(self.clap, clip.item.prompt)["embedding"])}

    def worst(self, clip: LoadedItem) -> Record:
        return {"clap": 0.0}

    @property
    def protocol(self) -> dict[str, Any]:
        return network_protocol(self.clap) | {"failed clips": 0}


class PictureScorer(Scorer):
    """Whether a result sounds like what is seen: cosine of embeddings of sound and picture in one space, as in the
    CLIP score and the ImageBind score of papers.

    Args:
        name (`str`): Of the figure.
        title (`str`): Of the figure.
        network: Has `hear` and `see`; `see` takes the video file and returns `{"embedding": ...}`.
        cache (`EmbeddingCache`): Keeps what it made of sounds.
    """

    needs = ("video",)

    def __init__(self, name: str, title: str, network: Any, cache: EmbeddingCache) -> None:
        self.name = name
        self.figures = (Figure(name, title, (name,)),)
        self.network, self.cache = network, cache

    def score(self, clip: LoadedItem) -> Record:
        heard = self.cache.hear(self.network, clip.waveform, clip.sampling_rate)["embedding"]
        return {self.name: cosine(heard, self.cache.see(self.network, clip.item.video)["embedding"])}

    def worst(self, clip: LoadedItem) -> Record:
        return {self.name: 0.0}

    @property
    def protocol(self) -> dict[str, Any]:
        return network_protocol(self.network) | {"failed clips": 0}


class MotionScorer(Scorer):
    """Whether things sound when they move: AV-align, and the offset between sound and motion, without a network."""

    name = "motion"
    needs = ("video",)
    figures = (
        Figure("av_align", "AV-align", ("av_align",)),
        Figure("desync_motion", "DeSync by motion", ("desync_motion",), lower_is_better=True, unit="s"),
    )

    def score(self, clip: LoadedItem) -> Record:
        motion = measure_motion(clip.item.video)
        sound = resample(clip.waveform, clip.sampling_rate, SAMPLING_RATE)
        return {
            "av_align": av_align(detect_onsets(sound, SAMPLING_RATE), motion),
            "desync_motion": abs(motion_offset(sound, SAMPLING_RATE, motion)),
        }

    def worst(self, clip: LoadedItem) -> Record:
        return {"av_align": 0.0, "desync_motion": LARGEST_OFFSET_IN_S}

    @property
    def protocol(self) -> dict[str, Any]:
        return {
            "motion": "mean optical flow (Farnebäck), every frame, larger side at most 320 pixels",
            "onsets": f"spectral flux, threshold {THRESHOLD}",
            "AV-align": "onsets within one frame of a peak of the flow",
            "DeSync by motion": "best correlation of onset strength and change of flow within 2 s, in steps of 0.2 s",
            "failed clips": f"0 for AV-align, {LARGEST_OFFSET_IN_S} s for DeSync",
        }


class DesyncScorer(Scorer):
    """By how much sound and picture are apart as Synchformer hears and sees it: DeSync.

    Args:
        network (`SynchronyNetwork`): Compares them.
        cache (`EmbeddingCache`): Keeps what it made of sounds and videos.
    """

    name = "desync"
    needs = ("video",)
    figures = (Figure("desync", "DeSync", ("desync",), lower_is_better=True, unit="s"),)

    def __init__(self, network: SynchronyNetwork, cache: EmbeddingCache) -> None:
        self.network, self.cache = network, cache

    def score(self, clip: LoadedItem) -> Record:
        if clip.length_in_s < CLIP_LENGTH_IN_S:
            reason = f"too short for DeSync: {clip.length_in_s:.2f} s of {CLIP_LENGTH_IN_S:g} s"
            return self.worst(clip) | {"failure": reason}
        heard = self.cache.hear(self.network, clip.waveform, clip.sampling_rate)["features"]
        seen = self.cache.see(self.network, clip.item.video)["features"]
        offsets = self.network.offsets(seen, heard)
        return {"desync": float(np.abs(offsets).mean()), "desync_offsets": offsets}

    def worst(self, clip: LoadedItem) -> Record:
        return {"desync": self.network.largest_offset_in_s}

    @property
    def protocol(self) -> dict[str, Any]:
        return network_protocol(self.network) | {
            "windows": f"the first and the last {WINDOW_LENGTH_IN_S} s of the first {CLIP_LENGTH_IN_S:g} s",
            "offset": "the most likely one; mean of sizes over both windows of all clips",
            "failed clips": f"{self.network.largest_offset_in_s:g} s; so do sounds below {CLIP_LENGTH_IN_S:g} s",
        }


def cosine(first: np.ndarray, second: np.ndarray) -> float:
    """Cosine of the angle between two vectors; 0 where one of them has no direction.

    Raises:
        InputError: When they have different sizes.
    """
    if first.shape != second.shape:
        raise InputError(f"Embeddings of shapes {first.shape} and {second.shape} are not of one space.")
    first, second = (torch.from_numpy(each).double() for each in (first, second))
    return F.cosine_similarity(first, second, dim=0).item()


def _aligned(clip: LoadedItem) -> tuple[torch.Tensor, torch.Tensor]:
    """Reference and result at 16 kHz, the result cut or continued by silence to the length of the reference."""
    reference = resample(clip.reference, clip.reference_sampling_rate, SAMPLING_RATE)
    return reference, align_energy(resample(clip.waveform, clip.sampling_rate, SAMPLING_RATE), len(reference))


def _of_halves(distance: Callable[[np.ndarray, np.ndarray], float]) -> Callable[[np.ndarray], float]:
    """A distance of two sets as a statistic of one array that has them side by side."""

    def statistic(rows: np.ndarray) -> float:
        half = rows.shape[1] // 2
        return distance(rows[:, :half], rows[:, half:])

    return statistic


def _kernel_distance_of_all(first: np.ndarray, second: np.ndarray) -> float:
    return kernel_distance(first, second, num_subsets=1, subset_size=len(first))
