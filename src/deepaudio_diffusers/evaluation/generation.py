# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Results of a pipeline for the clips of a manifest, to be scored: sound for video, and speech with and without the
contour of sound that times it, as in the ablation of DeepAudio-V1."""

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from huggingface_hub.utils import tqdm

from ..errors import DeepAudioError, InputError
from ..media import probe, write_audio
from ..pipelines.pipeline_deepaudio import DeepAudioPipeline
from ..processing.audio import energy_contour, read_waveform
from .files import write_whole
from .items import FILE_FIELDS, Item


logger = logging.getLogger(__name__)

SETTINGS_FILE = "settings.json"
SEEDS_APART = 1_000_003


@dataclass(frozen=True)
class GenerationSettings:
    """
    How results are generated.

    Args:
        num_inference_steps, guidance_scale: Of sound for video.
        speech_num_inference_steps, speech_guidance_scale: Of speech.
        seed (`int`): Of the noise; every clip has its own from it.
    """

    num_inference_steps: int = 25
    guidance_scale: float = 4.5
    speech_num_inference_steps: int = 32
    speech_guidance_scale: float = 3.0
    seed: int = 0


@dataclass(frozen=True)
class Sound:
    """A waveform of shape `(num_samples,)` and its sampling rate."""

    waveform: torch.Tensor
    sampling_rate: int


Make = Callable[[DeepAudioPipeline, Item, GenerationSettings, torch.Generator], Sound]


@dataclass(frozen=True)
class System:
    """A way to make a result: what it needs of an item, and how."""

    needs: tuple[str, ...]
    make: Make


def generate_results(
    pipeline: DeepAudioPipeline,
    items: Sequence[Item],
    system: str,
    folder: str | Path,
    *,
    settings: GenerationSettings | None = None,
    pipeline_hash: str = "",
) -> Path:
    """Make the results of a system, one file for each clip.

    Results that are there already are kept, so a call that was broken off goes on. Under `accelerate launch` or
    `torchrun` each process makes a part of them. A clip that the pipeline refuses has no result, and counts as failed.

    Args:
        pipeline (`DeepAudioPipeline`): The pipeline.
        items (sequence of `Item`): The clips.
        system (`str`): One of [`SYSTEMS`].
        folder (`str` or `Path`): A folder for the results of all systems.
        settings (`GenerationSettings`, *optional*): Steps, guidance and seed.
        pipeline_hash (`str`, *optional*): Of the weights, so that results of others are not taken for these.

    Returns:
        `Path`: The folder of the results of this system.

    Raises:
        InputError: When the system is unknown, an item lacks what it needs, or the folder has results that were made
            in another way.
    """
    settings = settings or GenerationSettings()
    if system not in SYSTEMS:
        raise InputError(f"`system` is {system!r}; there are {', '.join(SYSTEMS)}.")
    for need in SYSTEMS[system].needs:
        lacking = [item.key for item in items if getattr(item, need) is None]
        if lacking:
            raise InputError(f"`{system}` needs `{need}` of every clip; {len(lacking)} have none, as {lacking[0]!r}.")
    state = PartialState()
    folder = Path(folder) / system
    described = settings.__dict__ | {"pipeline": pipeline_hash, "clips": _clips_hash(items)}
    if state.is_main_process:
        _check_settings(folder, described)
    state.wait_for_everyone()
    own = range(state.process_index, len(items), state.num_processes)
    for index in tqdm(own, desc=f"Generating {system}", unit="clip", disable=not state.is_main_process):
        item, path = items[index], folder / f"{items[index].key}.wav"
        if path.exists():
            continue
        generator = torch.Generator().manual_seed(SEEDS_APART * settings.seed + index)
        try:
            sound = SYSTEMS[system].make(pipeline, item, settings, generator)
            write_audio(path, sound.waveform.float().cpu(), sound.sampling_rate, allow_silence=True)
        except DeepAudioError as error:
            logger.warning("%s: no result for %s: %s", system, item.key, error)
    state.wait_for_everyone()
    return folder


def clip_length_in_s(item: Item) -> float:
    """How long the result of an item should be: as long as the reference, or else the video.

    Raises:
        InputError: When it has neither.
    """
    if item.reference is not None:
        waveform, sampling_rate = read_waveform(item.reference)
        return waveform.shape[-1] / sampling_rate
    if item.video is None:
        raise InputError(f"{item.key!r} has neither a reference nor a video, so nothing says how long it should be.")
    return float(probe(item.video).duration_in_s)


def _sound_for_video(use_prompt: bool) -> Make:
    def make(
        pipeline: DeepAudioPipeline, item: Item, settings: GenerationSettings, generator: torch.Generator
    ) -> Sound:
        output = pipeline.video_to_audio(
            video=item.video,
            prompt=item.prompt if use_prompt else None,
            num_inference_steps=settings.num_inference_steps,
            guidance_scale=settings.guidance_scale,
            generator=generator,
            output_type="pt",
        )
        return Sound(output.audios[0, 0], output.sampling_rate)

    return make


def _speech(with_true_contour: bool) -> Make:
    def make(
        pipeline: DeepAudioPipeline, item: Item, settings: GenerationSettings, generator: torch.Generator
    ) -> Sound:
        tts, length_in_s = pipeline.text_to_speech, clip_length_in_s(item)
        energy = None
        if with_true_contour:
            waveform, sampling_rate = read_waveform(item.reference)
            energy = energy_contour(
                waveform,
                sampling_rate,
                length_in_s,
                mel_sampling_rate=tts.sampling_rate,
                hop_length=tts.frames.hop_length,
            )
        output = tts(
            item.transcript,
            reference_audio=item.voice,
            reference_text=item.voice_text,
            audio_length_in_s=length_in_s,
            energy=energy,
            num_inference_steps=settings.speech_num_inference_steps,
            guidance_scale=settings.speech_guidance_scale,
            generator=generator,
            output_type="pt",
        )
        return Sound(output.audios[0, 0, : output.lengths[0]], output.sampling_rate)

    return make


def _task(name: str, **fields: str) -> Make:
    """A task of the whole pipeline; `fields` are arguments and the fields of the item that they take."""

    def make(
        pipeline: DeepAudioPipeline, item: Item, settings: GenerationSettings, generator: torch.Generator
    ) -> Sound:
        output = pipeline(
            task=name,
            video=item.video,
            transcript=item.transcript,
            reference_audio=item.voice,
            reference_text=item.voice_text,
            generator=generator,
            num_inference_steps=settings.num_inference_steps,
            guidance_scale=settings.guidance_scale,
            speech_num_inference_steps=settings.speech_num_inference_steps,
            speech_guidance_scale=settings.speech_guidance_scale,
            output_type="pt",
            **{argument: getattr(item, field) for argument, field in fields.items()},
        )
        return Sound(output.audios[0, 0], output.sampling_rate)

    return make


SPEECH_NEEDS = ("transcript", "voice", "voice_text")
SYSTEMS = {
    "video_to_audio": System(("video", "prompt"), _sound_for_video(use_prompt=True)),
    "v2a_alone": System(("video",), _sound_for_video(use_prompt=False)),
    "no_contour": System(SPEECH_NEEDS, _speech(with_true_contour=False)),
    "predicted_contour": System(("video", *SPEECH_NEEDS), _task("video_to_speech")),
    "true_contour": System(("reference", *SPEECH_NEEDS), _speech(with_true_contour=True)),
    "soundtrack": System(("video", "prompt", *SPEECH_NEEDS), _task("soundtrack", prompt="prompt")),
}
# Speech for pictures, from the sound model alone to speech that knows when the true one is loud.
ABLATION = ("v2a_alone", "no_contour", "predicted_contour", "true_contour")


def folder_hash(folder: str | Path) -> str:
    """A short hash of the weights and configurations in a pipeline folder."""
    digest = hashlib.sha256()
    for path in sorted(Path(folder).rglob("*")):
        if path.suffix in (".safetensors", ".json", ".txt"):
            digest.update(path.relative_to(folder).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _clips_hash(items: Sequence[Item]) -> str:
    """Of what the results depend on."""
    digest = hashlib.sha256()
    for item in items:
        for name, value in item.__dict__.items():
            if name == "result" or value is None:
                continue
            digest.update(name.encode())
            if name in FILE_FIELDS:
                digest.update(value if isinstance(value, bytes) else value.read_bytes())
            else:
                digest.update(value.encode())
    return digest.hexdigest()[:16]


def _check_settings(folder: Path, described: dict[str, Any]) -> None:
    path = folder / SETTINGS_FILE
    if path.exists():
        found = json.loads(path.read_text(encoding="utf-8"))
        differing = [name for name in described if found.get(name) != described[name]]
        if differing:
            raise InputError(
                f"`{folder.name}` has results that were made with other {', '.join(differing)}; choose another output."
            )
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(described, indent=1) + "\n")
