# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""What the sections of `tiny_report.py` share: the checkpoint, what it makes, copies by its codec, and the rows."""

import argparse
import hashlib
import json
import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import cached_property
from multiprocessing import get_context
from typing import Any

import numpy as np
import torch
from tiny_clips import (
    ALL_LABELS,
    SAMPLING_RATE,
    ReportClip,
    class_of,
    clip_set,
    sound_labels,
    training_clips,
    world_manifest,
)
from video_to_audio import describe_machine

from deepaudio_diffusers import DeepAudioPipeline, MMAudioMelVAE, VocosVocoder
from deepaudio_diffusers.evaluation.classifier import SoundClassifier, sound_mel, train_sound_classifier
from deepaudio_diffusers.evaluation.generation import folder_hash
from deepaudio_diffusers.evaluation.intervals import Estimate
from deepaudio_diffusers.evaluation.rows import Record, Row, RowStore, in_batches, markdown_table, shown
from deepaudio_diffusers.evaluation.speakers import SpeakerEncoder
from deepaudio_diffusers.evaluation.spectral import mel_cepstral_distortion
from deepaudio_diffusers.evaluation.speech import WordLoopRecognizer
from deepaudio_diffusers.evaluation.words import count_word_errors
from deepaudio_diffusers.pipelines.pipeline_output import VideoFeatures, VoicePrompt
from deepaudio_diffusers.synthetic.sentences import GRID_WORDS
from deepaudio_diffusers.training.encoders import EncoderHeads


CLIPS_PER_BATCH = 16
UTTERANCES_PER_BATCH = 8
CLASSIFIER_CLIPS = 3000
# Of the probability of a sound that is taken to be there.
PRESENT = 0.5

# The components that a row depends on. The classifier of sounds was trained with the codec, so a row that it scores
# depends on that, also where the sounds are true ones.
NOTHING = ()
CODEC = ("vae", "vocoder")
SPEECH_CODEC = ("vae", "speech_vocoder")
SOUND = (*CODEC, "transformer", "scheduler", "video_encoder", "image_encoder", "text_encoder", "tokenizer")
SPEECH = ("speech_transformer", "speech_scheduler", "speech_tokenizer", "speech_vocoder")
ALL = (*SOUND, *SPEECH)

Waveforms = list[torch.Tensor]


class Report:
    """What all sections share: the checkpoint, the sets of clips, the measures and the rows."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.manifest = world_manifest(args.world)
        self.data_settings = {
            "world": {name: self.manifest[name] for name in ("world_version", "settings", "content_hash")},
            "split": args.split,
            "num_clips": args.num_clips,
        }
        self.settings = self.data_settings | {
            "num_inference_steps": args.num_inference_steps,
            "guidance_scale": args.guidance_scale,
            "prompt_guidance": args.prompt_guidance,
            "speech_num_inference_steps": args.speech_num_inference_steps,
            "speech_guidance_scale": args.speech_guidance_scale,
            "seed": args.seed,
        }
        self.hashes = {name: folder_hash(args.checkpoint / name) for name in dict.fromkeys(ALL)}
        self.summary: dict[str, Any] = {
            "settings": self.settings | {"checkpoint": self.hashes},
            "machine": describe_machine(),
        }
        self._sets: dict[str, list[ReportClip]] = {}
        self._features: dict[str, VideoFeatures] = {}
        self._voices: dict[str, np.ndarray] = {}

    @cached_property
    def pipe(self) -> DeepAudioPipeline:
        pipe = DeepAudioPipeline.from_pretrained(self.args.checkpoint, dtype=torch.float32)
        pipe.set_progress_bar_config(disable=True)
        return pipe

    @cached_property
    def heads(self) -> EncoderHeads:
        return EncoderHeads.load(self.args.encoders)

    @cached_property
    def codec(self) -> "Codec":
        return Codec(self.pipe.vae, self.pipe.vocoder)

    @cached_property
    def speech_codec(self) -> "Codec":
        return Codec(self.pipe.vae, self.pipe.speech_vocoder)

    @cached_property
    def classifier(self) -> SoundClassifier:
        return load_classifier(self)

    @cached_property
    def judge(self) -> "SpeechJudge":
        return SpeechJudge(self.args.num_processes)

    def clips(self, name: str, num_clips: int | None = None) -> list[ReportClip]:
        """A set of clips; see `tiny_clips.CLIP_SETS`."""
        num_clips = self.args.num_clips if num_clips is None else num_clips
        if name not in self._sets:
            self._sets[name] = clip_set(
                self.args.world,
                name,
                self.args.split,
                num_clips,
                self.args.cache_dir / "clips",
                self.args.num_processes,
            )
        return self._sets[name]

    def features(self, name: str) -> VideoFeatures:
        """What the encoders see of a set of clips that `clips` has returned."""
        if name not in self._features:
            parts = [
                self.pipe.video_to_audio.encode_video([clip.video for clip in batch])
                for batch in in_batches(self._sets[name], CLIPS_PER_BATCH)
            ]
            self._features[name] = VideoFeatures(
                torch.cat([part.clip_features for part in parts]),
                torch.cat([part.sync_features for part in parts]),
                parts[0].audio_length_in_s,
            )
        return self._features[name]

    def generators(self, indices: Sequence[int], seed: int | None = None) -> list[torch.Generator]:
        """A seed for each clip, so that it sounds the same in whatever batch."""
        seed = self.args.seed if seed is None else seed
        return [torch.Generator().manual_seed(1_000_000 * seed + index) for index in indices]

    def generate(
        self,
        features: VideoFeatures | None,
        prompts: list[str] | None,
        num_clips: int,
        *,
        guidance_scale: float | None = None,
        prompt_guidance_scale: float | None = None,
        negative_prompts: list[str] | None = None,
        audio_length_in_s: float | None = None,
        seed: int | None = None,
    ) -> Waveforms:
        """Sounds by the video-to-audio half; one of the length of each clip."""
        waveforms = []
        for batch in in_batches(list(range(num_clips)), CLIPS_PER_BATCH):
            audios = self.pipe.video_to_audio(
                video_features=None if features is None else select(features, batch),
                prompt=None if prompts is None else [prompts[i] for i in batch],
                negative_prompt=None if negative_prompts is None else [negative_prompts[i] for i in batch],
                audio_length_in_s=audio_length_in_s,
                num_inference_steps=self.args.num_inference_steps,
                guidance_scale=self.args.guidance_scale if guidance_scale is None else guidance_scale,
                prompt_guidance_scale=prompt_guidance_scale,
                generator=self.generators(batch, seed),
                output_type="pt",
            ).audios
            waveforms += list(audios[:, 0])
        return waveforms

    def speak(
        self,
        transcripts: list[str],
        voices: list[VoicePrompt],
        lengths_in_s: list[float] | None = None,
        energies: list[torch.Tensor] | None = None,
    ) -> Waveforms:
        """Speech by the text-to-speech half."""
        waveforms = []
        for batch in in_batches(list(range(len(transcripts))), UTTERANCES_PER_BATCH):
            output = self.pipe.text_to_speech(
                [transcripts[i] for i in batch],
                voice=[voices[i] for i in batch],
                audio_length_in_s=None if lengths_in_s is None else [lengths_in_s[i] for i in batch],
                energy=None if energies is None else [energies[i] for i in batch],
                num_inference_steps=self.args.speech_num_inference_steps,
                guidance_scale=self.args.speech_guidance_scale,
                generator=self.generators(batch),
                output_type="pt",
            )
            waveforms += [audio[0, :length] for audio, length in zip(output.audios, output.lengths, strict=True)]
        return waveforms

    def voice(self, recording: ReportClip) -> VoicePrompt:
        return self.pipe.text_to_speech.encode_voice(recording.audio, recording.metadata["transcript"], SAMPLING_RATE)

    def voice_of(self, recording: ReportClip) -> np.ndarray:
        """The speaker embedding of a recording."""
        if recording.key not in self._voices:
            self._voices[recording.key] = self.judge.voices.embed(recording.audio, SAMPLING_RATE)
        return self._voices[recording.key]

    def row(
        self,
        name: str,
        made_by: Sequence[str],
        make: Callable[[], Waveforms],
        score: Callable[[Waveforms], list[Record]],
    ) -> Row:
        """A row of the report: sounds are made, by the components that are named, and scored, unless that was done
        before."""

        def measure() -> tuple[list[Record], float]:
            start = time.process_time()
            waveforms = make()
            made = time.process_time()
            records = score(waveforms)
            print(
                f"  {name}: made in {made - start:.0f} CPU s, scored in {time.process_time() - made:.0f}", flush=True
            )
            return records, made - start

        # What a row depends on is in the name of its folder, so rows of other weights or settings are never taken.
        settings = self.data_settings if tuple(made_by) in (NOTHING, CODEC, SPEECH_CODEC) else self.settings
        depends_on = short_hash([settings, {part: self.hashes[part] for part in made_by}])
        return RowStore(self.args.cache_dir / f"rows-{self.args.split}-{depends_on}", self.args.resume).row(
            name, measure
        )


class Codec:
    """Copies of sounds by the vocoder alone, and by the VAE and the vocoder: what no generator can exceed."""

    def __init__(self, vae: MMAudioMelVAE, vocoder: VocosVocoder) -> None:
        self.vae, self.vocoder = vae, vocoder
        self.log_scale = np.log(vae.config.mel_log_base)

    def mel(self, waveforms: torch.Tensor) -> torch.Tensor:
        """Mel spectrograms as the vocoder takes them, `(batch_size, num_mels, num_frames)`."""
        return self.vae.mel_converter(waveforms) / self.log_scale

    @torch.no_grad()
    def decode(self, mels: torch.Tensor, num_samples: int) -> torch.Tensor:
        return self.vocoder(mels).sample[:, 0, :num_samples]

    @torch.no_grad()
    def copy(self, waveforms: Waveforms, through_vae: bool) -> Waveforms:
        """Copies of sounds of any lengths."""
        copies = []
        for waveform in waveforms:
            mel = self.mel(waveform[None])
            if through_vae:
                mel = self.vae.decode(self.vae.encode(waveform[None]).latent_dist.mode()).sample
            copies.append(self.decode(mel, len(waveform))[0])
        return copies


@dataclass(frozen=True)
class SpeechItem:
    """What the judge needs of a waveform; sent to a process of its own."""

    waveform: np.ndarray
    transcript: str
    vocabulary: tuple[str, ...] = GRID_WORDS
    # Of words that the recogniser may not know, `"phone phone"`; as many as there are words, or none.
    pronunciations: tuple[str, ...] = ()
    reference: np.ndarray | None = None


class SpeechJudge:
    """Recognises speech, and compares it with what was meant, in one process or several."""

    def __init__(self, num_processes: int) -> None:
        self._pool = ProcessPoolExecutor(num_processes, get_context("spawn")) if num_processes > 1 else None
        self.voices = SpeakerEncoder.from_resemblyzer()

    def __call__(self, items: list[SpeechItem]) -> list[Record]:
        return list((map if self._pool is None else self._pool.map)(judge_speech, items))


_recognizers: dict[tuple[str, ...], WordLoopRecognizer] = {}


def judge_speech(item: SpeechItem) -> Record:
    """What is heard, and how far it is from the reference."""
    if item.vocabulary not in _recognizers:
        pronunciations = dict(zip(item.vocabulary, map(str.split, item.pronunciations), strict=False))
        _recognizers[item.vocabulary] = WordLoopRecognizer(item.vocabulary, pronunciations)
    waveform = torch.from_numpy(item.waveform)
    heard = _recognizers[item.vocabulary].transcribe(waveform, SAMPLING_RATE)
    words = item.transcript.split()
    record: Record = {"heard": heard, "errors": count_word_errors(words, heard), "words": len(words)}
    if item.reference is not None:
        reference = torch.from_numpy(item.reference)
        record["mcd_dtw_sl"] = mel_cepstral_distortion(reference, waveform, SAMPLING_RATE)
    return record


def load_classifier(report: Report) -> SoundClassifier:
    """The classifier of the sounds of the world, trained when there is none yet."""
    args = report.args
    parts = [report.settings["world"], *(report.hashes[name] for name in CODEC)]
    folder = args.cache_dir / f"classifier-{short_hash(parts)}"
    if not folder.exists():
        start = time.process_time()
        clips = training_clips(args.world, CLASSIFIER_CLIPS)
        true = [clip.audio for clip in clips]
        mels = [
            torch.stack([sound_mel(waveform, SAMPLING_RATE).half() for waveform in waveforms])
            for waveforms in (true, report.codec.copy(true, False), report.codec.copy(true, True))
        ]
        targets = torch.tensor([[label in sound_labels(clip.metadata) for label in ALL_LABELS] for clip in clips])
        train_sound_classifier(mels[0], mels[1:], targets, ALL_LABELS).save_pretrained(folder)
        print(f"  classifier trained on {len(clips)} clips in {time.process_time() - start:.0f} CPU s", flush=True)
    return SoundClassifier.from_pretrained(folder).eval()


def paired(
    first: Row, second: Row, names: Sequence[str], statistic: Callable[[np.ndarray], float], where=lambda record: True
) -> Estimate:
    """The statistic of one row over that of another on the same clips, with its interval."""
    values = np.concatenate([np.atleast_2d(row.values(*names, where=where).T).T for row in (first, second)], axis=1)
    half = values.shape[1] // 2

    def quotient(both: np.ndarray) -> float:
        against = statistic(both[:, half:])
        return statistic(both[:, :half]) / against if against else math.nan

    joined = [dict(enumerate(map(float, line))) for line in values]
    return Row(f"{first.name}/{second.name}", joined, 0.0).estimate(*range(2 * half), statistic=quotient)


def sampling(report: Report) -> dict[str, Any]:
    args = report.args
    return {
        "num_inference_steps": args.num_inference_steps,
        "guidance_scale": args.guidance_scale,
        "speech_num_inference_steps": args.speech_num_inference_steps,
        "speech_guidance_scale": args.speech_guidance_scale,
    }


def target_table(report: Report, section: str, targets: list[tuple[str, Estimate, str, float]]) -> str:
    """What was asked for beside what was measured."""
    lines, reached = [], {}
    for name, estimate, relation, target in targets:
        is_met = estimate.value >= target if relation == ">=" else estimate.value <= target
        reached[name] = {"measured": as_json(estimate), "target": f"{relation} {target:g}", "is_met": is_met}
        lines.append([name, f"{relation} {target:g}", shown(estimate), "yes" if is_met else "**no**"])
    report.summary.setdefault("targets", {})[section] = reached
    return markdown_table(["asked for", "target", "measured", "met"], lines)


def classes_heard(report: Report, waveform: torch.Tensor) -> set[str]:
    probabilities = report.classifier.listen(waveform, SAMPLING_RATE)[0]
    return {class_of(label) for label, p in zip(ALL_LABELS, probabilities, strict=True) if p >= PRESENT}


def select(features: VideoFeatures, indices: Sequence[int]) -> VideoFeatures:
    indices = list(indices)
    return VideoFeatures(features.clip_features[indices], features.sync_features[indices], features.audio_length_in_s)


def slug(text: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-." else "_" for letter in text)


def short_hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]


def as_json(estimate: Estimate | None) -> dict[str, Any] | None:
    return None if estimate is None else asdict(estimate)
