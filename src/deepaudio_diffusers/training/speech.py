# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""What the training of speech needs (stages 2 and 4): mel spectrograms, energy contours, and texts laid along them.

How the text is laid along the frames is a choice of the training (`text_placement`):

* `"filler"`: one token a frame from the first frame on, then filler, as in F5-TTS; the network learns when each is
  spoken.
* `"average"`: the tokens spread evenly over the frames (`text_average_upsampling` of the network).
* `"timings"`: each frame has the phone that is spoken in it.

Shape letters: B batch, T mel frames, C mel channels.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset
from transformers import PreTrainedTokenizerBase

from ..errors import InputError, MediaError
from ..processing.audio import MEL_FLOOR, energy_contour, log_mel_spectrogram, read_waveform, resample
from ..processing.phone_timing import PAUSE
from ..processing.speech_text import complete_reference_text, join_reference
from ..processing.tokenization_phones import PhoneTokenizer
from .data import DataReport, Sample
from .part_cache import CacheItem, PartCache, build_cache, fingerprint_of_sources


TEXT_PLACEMENTS = ("filler", "average", "timings")
# The logarithmic mel spectrogram of digital silence.
SILENT_LOG_MEL = float(np.log(MEL_FLOOR))
# What is kept of the pauses around a voice prompt.
PROMPT_PAUSE_IN_S = 0.04
# The stem of speech where a clip has other sound as well.
SPEECH_STEMS = ("speech.wav", "speech.flac")

# The energy contour, one value for each mel frame, of what a network thinks a clip sounds like.
ContourPredictor = Callable[[Sample], torch.Tensor]


def mel_settings(config: Any) -> dict[str, Any]:
    """The arguments of [`log_mel_spectrogram`] for a network, by its configuration."""
    return {
        "sampling_rate": config.sampling_rate,
        "n_fft": config.n_fft,
        "hop_length": config.hop_length,
        "num_mels": config.mel_channels,
        "mel_type": config.mel_type,
    }


def build_speech_cache(
    folder: Path,
    sources: Sequence[str | Path],
    mel: dict[str, Any],
    min_length_in_s: float,
    max_length_in_s: float,
    report: DataReport,
    predict_contour: ContourPredictor | None = None,
    predictor: tuple[str, list[Any]] | None = None,
) -> PartCache:
    """Mel spectrograms, energy contours and texts of data sets, computed once and kept in a folder.

    Args:
        folder (`Path`): Where the cache is or will be.
        sources (`Sequence[str | Path]`): Data sets; see [`read_samples`].
        mel (`dict[str, Any]`): Arguments of [`log_mel_spectrogram`]; see [`mel_settings`].
        min_length_in_s, max_length_in_s (`float`): Shorter and longer sounds are left out.
        report ([`DataReport`]): Told of what is used and left out.
        predict_contour ([`ContourPredictor`], *optional*): Makes a second contour, from the picture. Samples without a
            picture are then left out.
        predictor (`tuple[str, list]`, *optional*): The folder of that network and its settings, which tell it from
            others.

    Returns:
        [`PartCache`]: With the arrays `"mel"` of shape `(num_frames, num_mels)`, `"energy"` and, with a predictor,
        `"predicted_energy"` of shape `(num_frames,)`, all in half precision.

    Raises:
        InputError: The folder holds a cache of other data or settings, or there is no speech in the data.
    """
    fingerprint = [
        fingerprint_of_sources(sources),
        mel,
        [min_length_in_s, max_length_in_s],
        None if predictor is None else [fingerprint_of_sources(predictor[:1]), predictor[1]],
    ]

    def make_item(sample: Sample, part_report: DataReport) -> CacheItem | None:
        waveform = _read_speech(sample, mel["sampling_rate"], part_report)
        if waveform is None:
            return None
        length_in_s = len(waveform) / mel["sampling_rate"]
        if length_in_s < min_length_in_s or len(waveform) <= mel["n_fft"]:
            return part_report.leave_out(sample.key, "it is too short", f"{length_in_s:.2f} s")
        if length_in_s > max_length_in_s:
            return part_report.leave_out(sample.key, "it is too long", f"{length_in_s:.2f} s")
        if predict_contour is not None and sample.video is None:
            return part_report.leave_out(sample.key, "it has no picture")
        frames = log_mel_spectrogram(waveform[None], **mel)[0]
        rates = {"mel_sampling_rate": mel["sampling_rate"], "hop_length": mel["hop_length"]}
        arrays = {"mel": frames, "energy": energy_contour(waveform[None], mel["sampling_rate"], **rates)}
        if predict_contour is not None:
            arrays["predicted_energy"] = predict_contour(sample)
        # Some mel spectrograms have one frame more than the sound has hops.
        arrays = {name: _fit_length(array, len(frames)).to(torch.float16).numpy() for name, array in arrays.items()}
        facts = {name: sample.metadata.get(name) for name in ("transcript", "speaker", "phones")}
        return CacheItem(arrays, {"key": sample.key, "num_frames": len(frames), **facts})

    return build_cache(folder, fingerprint, sources, make_item, report)


def _read_speech(sample: Sample, sampling_rate: int, report: DataReport) -> torch.Tensor | None:
    """The speech of a sample, `(num_samples,)`; `None` if it has none that can be used."""
    transcript = sample.metadata.get("transcript")
    if not isinstance(transcript, str) or not transcript.strip():
        return report.leave_out(sample.key, "it has no transcript")
    file = next((sample.files[name] for name in SPEECH_STEMS if name in sample.files), sample.audio)
    if file is None:
        return report.leave_out(sample.key, "it has no sound")
    try:
        waveform, rate = read_waveform(file)
    except MediaError as error:
        return report.leave_out(sample.key, "its sound cannot be read", error)
    if not waveform.any():
        return report.leave_out(sample.key, "it is silent")
    return resample(waveform.mean(dim=0), rate, sampling_rate)


def _fit_length(frames: torch.Tensor, num_frames: int) -> torch.Tensor:
    """Cut or zero-pad along the first axis."""
    frames = frames[:num_frames]
    return torch.cat([frames, frames.new_zeros(num_frames - len(frames), *frames.shape[1:])])


class TextTokens:
    """
    Texts as the tokens of a tokenizer, for the placements `"filler"` and `"average"`.

    Args:
        tokenizer ([`F5TTSTokenizer`]): Text to tokens.
    """

    # The network lays the tokens along all frames, so that nothing can be cut or put between utterances.
    follows_frames = False

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.tokenizer = tokenizer
        self.vocab_size = tokenizer.vocab_size

    def why_unusable(self, utterance: dict[str, Any]) -> str | None:
        return "it has more tokens than frames" if len(self(utterance)) >= utterance["num_frames"] else None

    def __call__(self, utterance: dict[str, Any], prompt: dict[str, Any] | None = None) -> torch.Tensor:
        """Ids of shape `(num_tokens,)`, those of a voice prompt before it included."""
        text = utterance["transcript"].strip()
        if prompt is not None:
            text = join_reference(complete_reference_text(prompt["transcript"].strip()), text)
        return torch.tensor(self.tokenizer(text).input_ids, dtype=torch.long)

    def speech_span(self, utterance: dict[str, Any]) -> tuple[int, int]:
        """All of the utterance: where its speech begins and ends is not known."""
        return 0, utterance["num_frames"]


class TextTimings:
    """
    The phone of each frame, for the placement `"timings"`.

    Args:
        tokenizer ([`PhoneTokenizer`]): Knows the ids of the phones; that of the pause is 0.
        frames_per_second (`float`): Rate of the mel frames.
    """

    follows_frames = True

    def __init__(self, tokenizer: PhoneTokenizer, frames_per_second: float) -> None:
        self.tokenizer = tokenizer
        self.ids = tokenizer.get_vocab()
        self.vocab_size = tokenizer.vocab_size
        self.frames_per_second = frames_per_second

    def why_unusable(self, utterance: dict[str, Any]) -> str | None:
        phones = {phone for phone, _, _ in utterance["phones"] or []}
        if not phones - {PAUSE}:
            return "it has no timings of phones"
        unknown = phones - self.ids.keys()
        return f"it has phones that the tokenizer does not know: {', '.join(sorted(unknown))}" if unknown else None

    def __call__(self, utterance: dict[str, Any]) -> torch.Tensor:
        """Ids of shape `(num_frames,)`: the phone in the middle of each frame."""
        ids = torch.zeros(utterance["num_frames"], dtype=torch.long)
        for phone, start_in_s, end_in_s in utterance["phones"]:
            first, end = (round(time_in_s * self.frames_per_second) for time_in_s in (start_in_s, end_in_s))
            ids[first:end] = self.ids[phone]
        return ids

    def speech_span(self, utterance: dict[str, Any]) -> tuple[int, int]:
        """First frame of the speech and the one after its last, with a little of the pauses around it."""
        times = [time for phone, *span in utterance["phones"] if phone != PAUSE for time in span]
        first = round((min(times) - PROMPT_PAUSE_IN_S) * self.frames_per_second)
        end = round((max(times) + PROMPT_PAUSE_IN_S) * self.frames_per_second)
        return max(0, first), min(utterance["num_frames"], end)


class SpeechDataset(Dataset):
    """
    The utterances of a cache that can be used with a placement of the text.

    An item has the `"index"`, the logarithmic `"mel"` of shape `(T, C)`, the contours `"energy"` and, if the cache has
    it, `"predicted_energy"` of shape `(T,)`, and the `"text_ids"`; numbers are float32.

    Args:
        cache ([`PartCache`]): From [`build_speech_cache`].
        text ([`TextTokens`] or [`TextTimings`]): Places the text.
        report ([`DataReport`]): Told what is left out of the cache.
        has_predictions (`bool`, defaults to `False`): Whether the cache was built with a predictor of contours.

    Raises:
        InputError: Nothing is left.
    """

    def __init__(
        self,
        cache: PartCache,
        text: TextTokens | TextTimings,
        report: DataReport,
        has_predictions: bool = False,
    ) -> None:
        self.cache = cache
        self.array_names = ("mel", "energy", "predicted_energy") if has_predictions else ("mel", "energy")
        self.text = text
        self.utterances: list[dict[str, Any]] = []
        for position, facts in enumerate(cache.metadata):
            reason = text.why_unusable(facts)
            if reason is None:
                self.utterances.append({"position": position, **facts})
            else:
                report.used -= 1
                report.leave_out(facts["key"], reason)
        if not self.utterances:
            raise InputError(f"There is nothing to be trained on:\n{report}")
        self.lengths = [utterance["num_frames"] for utterance in self.utterances]
        self.by_speaker: dict[str, list[int]] = defaultdict(list)
        for index in sorted(range(len(self)), key=lambda index: self.lengths[index]):
            if self.utterances[index]["speaker"] is not None:
                self.by_speaker[self.utterances[index]["speaker"]].append(index)

    def __len__(self) -> int:
        return len(self.utterances)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        utterance = self.utterances[index]
        item = {
            name: torch.from_numpy(self.cache.array(name, utterance["position"]).astype(np.float32))
            for name in self.array_names
        }
        return {"index": torch.tensor(index), "text_ids": self.text(utterance), **item}

    def partner(self, index: int, quantile: float) -> int | None:
        """Another utterance of the same speaker, `quantile` of which are shorter; `None` if there is no other."""
        of_speaker = self.by_speaker.get(self.utterances[index]["speaker"], [])
        if len(of_speaker) < 2:
            return None
        place = min(int(quantile * len(of_speaker)), len(of_speaker) - 1)
        found = of_speaker[place]
        return of_speaker[place - 1] if found == index else found

    def with_prompt(
        self,
        item: dict[str, torch.Tensor],
        prompt_index: int | None = None,
        contour: str | None = None,
        num_silent_before: int = 0,
        num_silent_after: int = 0,
    ) -> dict[str, torch.Tensor]:
        """What the network completes: an utterance after a voice prompt.

        Args:
            item (`dict[str, torch.Tensor]`): The utterance.
            prompt_index (`int`, *optional*): The voice prompt. Where the text follows the frames, it is cut to its
                speech.
            contour (`"energy"` or `"predicted_energy"`, *optional*): Which contour of the utterance; zeros without.
                That of the prompt is its own.
            num_silent_before, num_silent_after (`int`): Frames of silence around the utterance; only where the text
                follows the frames.

        Returns:
            `dict[str, torch.Tensor]`: `"mel"` of shape `(T, C)`, `"energy"` of shape `(T,)`, the `"text_ids"`, and how
            many frames of `"prompt_length"` come first.
        """
        mel = item["mel"]
        energy = torch.zeros_like(mel[:, 0]) if contour is None else item[contour]
        text_ids = item["text_ids"]
        if num_silent_before or num_silent_after:
            silences = num_silent_before, num_silent_after
            mel = _surround(mel, *silences, SILENT_LOG_MEL)
            energy = _surround(energy, *silences, 0.0)
            text_ids = _surround(text_ids, *silences, 0)
        prompt_length = 0
        if prompt_index is not None:
            prompt = {name: value.to(mel.device) for name, value in self[prompt_index].items()}
            first, end = self.text.speech_span(self.utterances[prompt_index])
            prompt_length = end - first
            mel = torch.cat([prompt["mel"][first:end], mel])
            prompt_energy = torch.zeros_like(prompt["energy"]) if contour is None else prompt["energy"]
            energy = torch.cat([prompt_energy[first:end], energy])
            if self.text.follows_frames:
                text_ids = torch.cat([prompt["text_ids"][first:end], text_ids])
            else:
                utterance = self.utterances[int(item["index"])]
                text_ids = self.text(utterance, self.utterances[prompt_index]).to(mel.device)
        return {
            "mel": mel,
            "energy": energy,
            "text_ids": text_ids,
            "prompt_length": torch.tensor(prompt_length, device=mel.device),
        }


def _surround(frames: torch.Tensor, num_before: int, num_after: int, value: float) -> torch.Tensor:
    """Put frames of one value before and after frames of shape `(T, ...)`."""
    before, after = (frames.new_full((count, *frames.shape[1:]), value) for count in (num_before, num_after))
    return torch.cat([before, frames, after])
