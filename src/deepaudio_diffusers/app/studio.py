# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""One take after another: from what a visitor gave to files and pictures, with progress and a way to stop."""

import copy
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..errors import InputError, LimitExceededError, MediaError
from ..media import Limits, MediaFile, MediaInfo, probe, write_audio, write_audio_into_video
from ..pipelines.pipeline_deepaudio import DeepAudioPipeline
from ..pipelines.pipeline_text_to_speech import TextToSpeechPipeline
from ..processing.audio import energy_contour
from ..tasks import NEEDS_SPEECH, NEEDS_VIDEO
from . import timeline


# What a browser plays comes first; what does not fit there is put where everything fits.
CONTAINERS = {".webm": (".webm", ".mkv")}
USUAL_CONTAINERS = (".mp4", ".mkv")
MAX_TEXT_LENGTH = 600
MAX_SEED = 2**31 - 1
NAMES = {
    "soundtrack": "soundtrack",
    "video_to_audio": "foley",
    "video_to_speech": "dubbing",
    "text_to_speech": "voice",
}
STOP_FILE = "stop"

Report = Callable[[float, str], None]


class Stopped(InputError):
    """The visitor does not want the take any more."""


@dataclass(frozen=True)
class Order:
    """What a visitor wants. Texts may be empty and files `None`; what the task does not need is not looked at.

    Args:
        task (`str`, *optional*): The task; `None` leaves the choice to the gate.
        instruction (`str`): What the gate reads.
        video, voice (`str`, *optional*): Uploaded files.
        prompt, negative_prompt, contour_prompt, transcript, voice_text (`str`): As in [`DeepAudioPipeline`].
        speed (`float`): Of plain speech.
        length_in_s (`float`): Of sound without a clip.
        seed (`int`): Below 0 for another one each time.
        steps, speech_steps, guidance, speech_guidance: How to sample.
    """

    task: str | None
    instruction: str = ""
    video: str | None = None
    prompt: str = ""
    negative_prompt: str = ""
    contour_prompt: str = ""
    transcript: str = ""
    voice: str | None = None
    voice_text: str = ""
    speed: float = 1.0
    length_in_s: float = 4.0
    seed: int = -1
    steps: int = 25
    speech_steps: int = 32
    guidance: float = 4.5
    speech_guidance: float = 3.0


@dataclass(frozen=True)
class Take:
    """What was made.

    Args:
        task (`str`): What was done.
        seed (`int`): What to pass to get the same again.
        probabilities (`dict[str, float]`, *optional*): What the gate made of the instruction.
        length_in_s (`float`): Length of the sound.
        files (`dict[str, Path]`): `"video"` (with a clip), `"mix"`, and of a soundtrack `"ambience"` and `"speech"`.
        pictures (`dict`): Film strip, ticks and contour; and `"stems"`, the waveform and spectrogram of each sound.
    """

    task: str
    seed: int
    probabilities: dict[str, float] | None
    length_in_s: float
    files: dict[str, Path]
    pictures: dict[str, Any]


class Studio:
    """A pipeline that makes takes for visitors whom nobody knows.

    Args:
        pipeline ([`DeepAudioPipeline`]): Moved to `device`.
        device (`str`): Where it works.
        limits ([`Limits`]): What an uploaded file may ask for.
        on_device (`Callable`): Wraps the call of the pipeline; on a Space with ZeroGPU, what waits for a GPU.
    """

    def __init__(
        self,
        pipeline: DeepAudioPipeline,
        device: str,
        limits: Limits,
        on_device: Callable[[Callable], Callable] = lambda function: function,
    ) -> None:
        self.limits = limits
        self.has_gate = pipeline.gate is not None and pipeline.gate_tokenizer is not None
        # Reads while the visitor types, so it must not wait for the device.
        gate = pipeline.gate if device == "cpu" else copy.deepcopy(pipeline.gate)
        self._reader = DeepAudioPipeline(gate=gate, gate_tokenizer=pipeline.gate_tokenizer)
        self._pipeline = pipeline.to(device)
        self._pipeline.set_progress_bar_config(disable=True)
        self._generate = on_device(self._call_pipeline)

    def read_instruction(self, instruction: str) -> dict[str, float]:
        """The probability of each task; see [`~DeepAudioPipeline.read_instruction`]."""
        _check_text("The instruction", instruction)
        if self.has_gate and not instruction.strip():
            raise InputError("Say in a few words what shall happen with the clip.")
        return self._reader.read_instruction(instruction)

    def look_at(self, video: str) -> MediaInfo:
        """Facts about an uploaded clip.

        Raises:
            MediaError: It cannot be used.
        """
        return probe(self._open(video))

    def make(self, order: Order, folder: Path, report: Report) -> Take:
        """Make a take.

        Args:
            order ([`Order`]): What is wanted.
            folder (`Path`): An empty folder for the files. Work ends soon after a file named `"stop"` appears there.
            report (`Callable[[float, str], None]`): Told how much is done, from 0 to 1, and what is being done.

        Raises:
            InputError: Something is missing or does not fit.
            Stopped: The take was stopped.
            MediaError: An uploaded file cannot be used.
            GenerationError: The networks made NaN or silence.
        """
        order = self._complete(order)
        report(0.02, "Opening the clip" if order.video else "Getting ready")
        clip = None if order.video is None else self._open(order.video)
        info = None if clip is None else probe(clip)
        made = self._generate(order, clip, folder / STOP_FILE, report)
        length_in_s = made["sounds"]["mix"].shape[-1] / made["sampling_rate"]

        report(0.92, "Writing the files")
        name = NAMES[made["task"]]
        files = {}
        for stem, samples in made["sounds"].items():
            files[stem] = folder / (f"{name}.wav" if stem == "mix" else f"{stem}.wav")
            write_audio(files[stem], samples, made["sampling_rate"], allow_silence=stem != "mix")
        if clip is not None:
            files = {"video": self._mux(clip, made, folder, name), **files}

        report(0.97, "Drawing the time line")
        return Take(
            task=made["task"],
            seed=order.seed,
            probabilities=made["probabilities"],
            length_in_s=length_in_s,
            files=files,
            pictures={
                "film": None if clip is None else timeline.film_strip(clip, info.duration_in_s),
                "ticks": timeline.ticks(length_in_s),
                "contour": timeline.contour_path(made["contour"]),
                "stems": {
                    stem: {
                        "waveform": timeline.waveform_path(samples[0]),
                        "spectrogram": timeline.spectrogram(samples[0], made["sampling_rate"]),
                    }
                    for stem, samples in made["sounds"].items()
                },
            },
        )

    def _open(self, path: str) -> MediaFile:
        return MediaFile(path, limits=self.limits, isolated=True)

    def _complete(self, order: Order) -> Order:
        """The order with a task and a seed, after everything it needs has been found."""
        for name, text in (
            ("What is to be heard", order.prompt),
            ("What is not to be heard", order.negative_prompt),
            ("What times the speech", order.contour_prompt),
            ("What is to be said", order.transcript),
            ("What the recording says", order.voice_text),
        ):
            _check_text(name, text)
        task = order.task
        found = ""
        if task is None:
            probabilities = self.read_instruction(order.instruction)
            task = max(probabilities, key=probabilities.get)
            found = f"I understood “{NAMES[task]}” ({probabilities[task]:.0%} sure). "
        missing = []
        if task in NEEDS_VIDEO and order.video is None:
            missing.append("a clip")
        if task == "video_to_audio" and order.video is None and not order.prompt.strip():
            missing.append("a clip, or a line about what is to be heard")
        if task in NEEDS_SPEECH:
            missing += ["what is to be said"] * (not order.transcript.strip())
            missing += ["a recording of the voice"] * (order.voice is None)
            missing += ["the words that are said in it"] * (not order.voice_text.strip())
        if missing:
            raise InputError(f"{found}Still missing: {', '.join(missing)}.")
        seed = order.seed if order.seed >= 0 else secrets.randbelow(MAX_SEED)
        # With an instruction the pipeline asks the gate itself, because it may mix softly.
        return replace(order, task=None if order.task is None else task, seed=seed)

    def _call_pipeline(self, order: Order, clip: MediaFile | None, stop: Path, report: Report) -> dict[str, Any]:
        """All that needs the networks. On ZeroGPU this runs in another process, so plain values go in and come out."""
        task = order.task or self._pipeline.choose_task(order.instruction, None)[0]
        speaks = task in NEEDS_SPEECH
        watch = _Watch(task, order, stop, report)
        result = self._pipeline(
            None if task == "text_to_speech" else clip,
            instruction=order.instruction if order.task is None else None,
            task=order.task,
            prompt=order.prompt.strip() or None,
            negative_prompt=order.negative_prompt.strip() or None,
            contour_prompt=order.contour_prompt.strip() or None,
            transcript=order.transcript if speaks else None,
            reference_audio=self._open(order.voice) if speaks else None,
            reference_text=order.voice_text if speaks else None,
            audio_length_in_s=order.length_in_s if task == "video_to_audio" and clip is None else None,
            speed=order.speed,
            num_inference_steps=order.steps,
            guidance_scale=order.guidance,
            speech_num_inference_steps=order.speech_steps,
            speech_guidance_scale=order.speech_guidance,
            generator=torch.Generator().manual_seed(order.seed),
            callback_on_step_end=watch,
        )
        sounds = {"mix": result.audios[0]}
        if task == "soundtrack":
            sounds |= {"ambience": result.ambience[0], "speech": result.speech[0]}
        contour = result.energy
        if contour is None:
            contour = energy_contour(torch.from_numpy(sounds["mix"]), result.sampling_rate)[None]
        return {
            "task": task,
            "probabilities": None if result.task_probabilities is None else result.task_probabilities[0],
            "sampling_rate": result.sampling_rate,
            "sounds": sounds,
            "contour": np.asarray(contour[0].float().cpu()),
        }

    def _mux(self, clip: MediaFile, made: dict[str, Any], folder: Path, name: str) -> Path:
        *preferred, last = CONTAINERS.get(clip.path.suffix.lower(), USUAL_CONTAINERS)
        for container in preferred:
            path = folder / f"{name}{container}"
            try:
                write_audio_into_video(clip, made["sounds"]["mix"], made["sampling_rate"], path)
            except MediaError as error:
                # Its children say that the clip itself is at fault, and another container would not help.
                if type(error) is not MediaError:
                    raise
            else:
                return path
        path = folder / f"{name}{last}"
        write_audio_into_video(clip, made["sounds"]["mix"], made["sampling_rate"], path)
        return path


class _Watch:
    """A callback of the pipeline that reports progress over all its loops, and ends them when asked to."""

    def __init__(self, task: str, order: Order, stop: Path, report: Report) -> None:
        loops = {
            "soundtrack": 2 * order.steps + order.speech_steps,
            "video_to_speech": order.steps + order.speech_steps,
            "video_to_audio": order.steps,
            "text_to_speech": order.speech_steps,
        }
        self._num_expected = loops[task]
        self._num_done = 0
        self._stop = stop
        self._report = report

    def __call__(self, pipeline: Any, step: int, timestep: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
        # A file, because on ZeroGPU this is another process than the one that hears of the wish.
        if self._stop.exists():
            raise Stopped("Stopped.")
        self._num_done += 1
        what = "Speaking" if isinstance(pipeline, TextToSpeechPipeline) else "Listening to the picture"
        # A long text takes more loops than expected.
        self._report(min(0.9, 0.1 + 0.8 * self._num_done / self._num_expected), what)
        return kwargs


def explain(error: Exception, limits: Limits) -> str:
    """What a visitor is told: what the error says, without advice that only a programmer can follow."""
    text = str(error)
    if isinstance(error, LimitExceededError):
        return (
            f"{text.split(';')[0]}, which is more than fits here: clips of up to {limits.max_duration_in_s:g} s and "
            f"{limits.max_bytes // 2**20} MB."
        )
    return text


def _check_text(name: str, text: str) -> None:
    if len(text) > MAX_TEXT_LENGTH:
        raise InputError(f"{name} has {len(text)} characters; keep it below {MAX_TEXT_LENGTH}.")
