# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""`deepaudio generate`: sound, speech or a whole soundtrack for a clip, a folder of clips, or a list of them."""

import argparse
import errno
import importlib.util
import logging
import math
import os
import sys
from importlib.metadata import version
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Any

from ..errors import DeepAudioError, InputError
from ..tasks import TASKS


if TYPE_CHECKING:
    from ..pipelines.pipeline_output import DeepAudioPipelineOutput, VoicePrompt
    from .generate_jobs import Job
    from .generate_manifest import Manifest


logger = logging.getLogger(__name__)

SOME_FAILED = 3
# What decides about the result besides arguments and weights.
RECORDED_VERSIONS = ("deepaudio-diffusers", "torch", "diffusers", "transformers", "av", "numpy")
# How a recorded argument is called in `DeepAudioPipeline.__call__`.
SAMPLING_ARGUMENTS = {
    "steps": "num_inference_steps",
    "guidance": "guidance_scale",
    "prompt_guidance": "prompt_guidance_scale",
    "speech_steps": "speech_num_inference_steps",
    "speech_guidance": "speech_guidance_scale",
}
PICTURE_MELS, PICTURE_FFT, PICTURE_HOP = 80, 1024, 256


def add_command(commands: argparse._SubParsersAction) -> None:
    examples = dedent("""
        examples:
          the whole soundtrack of a clip, with the checkpoint that comes with the sources
            deepaudio generate examples/assets/puppet-and-drums.mp4 --model checkpoints/deepaudio-tiny \\
                --task soundtrack --prompt "drums being played with sticks" --negative-prompt "a puppet talking" \\
                --contour-prompt "a puppet talking" --transcript "throw brown over hammer one later" \\
                --voice examples/assets/voice.wav --voice-text "throw white with paper five later" --output dubbed.mp4

          sound for every clip in a folder and below it; the same again after an interruption, however hard
            deepaudio generate clips --model mmaudio-large-v2 --task video_to_audio --output scored
            deepaudio generate clips --model mmaudio-large-v2 --task video_to_audio --output scored --resume

          a list that says for each clip what is wanted, as .jsonl or with the same columns as .csv
            {"file_name": "clips/market.mp4", "task": "video_to_audio", "prompt": "a busy market"}
            {"file_name": "clips/anna.mp4", "task": "video_to_speech", "transcript": "Good morning.",
             "voice": "anna.wav", "voice_text": "What Anna says in the recording."}

            deepaudio generate wishes.jsonl --model deepaudio-s44 --output results --save video,stems

          plain speech, without a clip
            deepaudio generate --model f5-tts --task text_to_speech --transcript "Any text." --voice voice.wav \\
                --voice-text "What is said in the recording." --output speech.wav

        lists:
          A line holds one clip: file_name (relative to the list), name (of the result; needed without file_name),
          and any of task, instruction, prompt, negative_prompt, contour_prompt, transcript, voice (relative to the
          list), voice_text, length, seed. Where it says nothing, the options of these names hold.

        what is written:
          OUTPUT/NAME.mp4 for NAME.mp4: the clip with its new sound, the pictures untouched. mov, mkv and webm stay
          what they are, everything else becomes mkv. With --save also or instead NAME.wav, NAME.flac,
          NAME.ambience.wav and NAME.speech.wav (stems), NAME.png (spectrogram).
          OUTPUT/manifest.jsonl (NAME.jsonl for --output NAME.mp4): a line for each finished clip with all inputs,
          the seed, the task and how sure the gate was of it, versions, and SHA-256 of what was read and written.
          A file has its name only when it is whole, and on one machine the same call makes the same bytes.

        seeds:
          Each clip has a seed of its own, made from --seed and its name, so that neither order nor company matters.
          It stands in the manifest: torch.Generator().manual_seed(seed) gives the same sound in Python.

        stdout has one line a clip, "made: 'NAME'", "kept: 'NAME'" (finished before) or "failed: 'NAME': why", and then
        their numbers. Progress bars and warnings go to stderr.

        exit codes:
          0  everything is made
          1  nothing can be made, or nothing more: files, model or disk are not right; one message on stderr
          2  the command line is wrong
          3  some clips failed, all others are made; --resume tries the failed ones again
          130  interrupted from the keyboard
        """)
    parser = commands.add_parser(
        "generate",
        help="sound, speech or a whole soundtrack for clips",
        description="Give clips their sound. The result is the clip with its new sound track.",
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("inputs", nargs="*", metavar="CLIP", help="clips, folders of clips, or lists (.jsonl, .csv)")
    parser.add_argument("--model", required=True, metavar="DIR_OR_HUB", help="folder or Hub repository of a pipeline")
    parser.add_argument(
        "--output", required=True, type=Path, metavar="PATH", help="folder; or a file name, if there is one clip only"
    )
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument("--task", choices=TASKS, metavar="TASK", help=f"{', '.join(TASKS[:-1])} or {TASKS[-1]}")
    chosen.add_argument("--instruction", help="what you want, in words; the gate of the model chooses the task")
    _add_wishes(parser)
    _add_sampling(parser)
    _add_files(parser)
    parser.set_defaults(run=run)


def _add_wishes(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what is to be heard")
    group.add_argument("--prompt", metavar="TEXT", help="what the sound is to be")
    group.add_argument("--negative-prompt", metavar="TEXT", help="what it is not to be")
    group.add_argument(
        "--contour-prompt", metavar="TEXT", help="what times the speech, where more than a speaker is to be seen"
    )
    group.add_argument("--transcript", metavar="TEXT", help="what is to be said")
    group.add_argument("--voice", type=Path, metavar="FILE", help="5 to 10 s of speech in the voice that says it")
    group.add_argument("--voice-text", metavar="TEXT", help="what is said in that recording, word for word")
    group.add_argument(
        "--length", type=_positive, metavar="SECONDS", help="of a sound without a clip, or how much of the clip"
    )
    group.add_argument(
        "--keep-original",
        choices=("none", "mix", "duck"),
        default="none",
        help="what becomes of the sound that the clip has: left out, mixed in, or mixed in and turned down while the "
        "new one is heard (default: %(default)s)",
    )


def _add_sampling(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("how")
    group.add_argument("--seed", type=_seed, default=0, help="another seed is another take (default: %(default)s)")
    group.add_argument("--steps", type=_count, default=25, help="of the sound (default: %(default)s)")
    group.add_argument("--guidance", type=float, default=4.5, help="of the sound (default: %(default)s)")
    group.add_argument(
        "--prompt-guidance",
        type=float,
        help="towards the prompt, while --guidance is towards the picture; higher where the prompt is to decide what "
        "the picture leaves open, for half as much time again (default: none, --guidance is towards both as one)",
    )
    group.add_argument("--speech-steps", type=_count, default=32, help="of the speech (default: %(default)s)")
    group.add_argument("--speech-guidance", type=float, default=3.0, help="of the speech (default: %(default)s)")
    group.add_argument("--device", default="auto", help="cpu, cuda, cuda:1, mps, ... (default: the best there is)")
    group.add_argument(
        "--dtype",
        choices=("float32", "bfloat16", "float16"),
        default="float32",
        help="precision of the networks (default: %(default)s)",
    )
    group.add_argument(
        "--offload",
        choices=("none", "model", "sequential"),
        default="none",
        help="keep networks off the GPU while they do not work, as a whole or layer by layer (default: %(default)s)",
    )


def _add_files(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("files")
    group.add_argument(
        "--save",
        type=_kinds,
        metavar="KINDS",
        help="what to write, with commas between: video, wav, flac, stems, spectrogram (default: video, or wav where "
        "there is no clip)",
    )
    existing = group.add_mutually_exclusive_group()
    existing.add_argument("--resume", action="store_true", help="go on with what an earlier call did not finish")
    existing.add_argument("--overwrite", action="store_true", help="make everything anew")


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return value


def _seed(text: str) -> int:
    value = int(text)
    if not 0 <= value < 2**63:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 2**63")
    return value


def _kinds(text: str) -> tuple[str, ...]:
    from .generate_jobs import KINDS

    kinds = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if not kinds or not set(kinds) <= set(KINDS):
        raise argparse.ArgumentTypeError(f"{text!r} is not out of {', '.join(KINDS)}, with commas between")
    return kinds


def run(options: argparse.Namespace) -> int:
    # What takes long to import comes after all that can be wrong with the command line.
    from .generate_jobs import TEXTS, plan_jobs
    from .generate_manifest import Manifest

    if options.save and "spectrogram" in options.save and importlib.util.find_spec("matplotlib") is None:
        raise InputError("Spectrograms need matplotlib, which is not installed: pip install matplotlib.")
    jobs, folder, path = plan_jobs(
        options.inputs,
        options.output,
        seed=options.seed,
        save=options.save,
        voice=options.voice,
        length_in_s=options.length,
        texts={name: getattr(options, name) for name in TEXTS},
    )
    folder.mkdir(parents=True, exist_ok=True)
    manifest = Manifest(path, folder)
    with manifest.open_work_folder():
        manifest.begin(jobs, resume=options.resume, overwrite=options.overwrite)
        numbers = _Generator(options, manifest).make(jobs)
        manifest.finish(jobs)
    print(", ".join(f"{number} {what}" for what, number in numbers.items()) + f"; {path} lists what is made")
    if numbers["failed"]:
        print(f"deepaudio: error: {numbers['failed']} of {len(jobs)} clips failed", file=sys.stderr)
        return SOME_FAILED
    return 0


class _Generator:
    """Makes jobs, one after the other.

    Args:
        options (`argparse.Namespace`): Of the command.
        manifest ([`Manifest`]): Begun; gets a line for each finished job.
    """

    def __init__(self, options: argparse.Namespace, manifest: "Manifest"):
        self.options, self.manifest = options, manifest
        self._voices: dict[tuple[str, str | None], VoicePrompt] = {}

    def make(self, jobs: list["Job"]) -> dict[str, int]:
        """Make what is not finished; returns how many jobs were made, kept, and failed."""
        from huggingface_hub.utils import tqdm
        from tqdm.contrib.logging import logging_redirect_tqdm

        from ..media.source import printable
        from .hashing import hash_model
        from .loading import choose_device, find_model, load_pipeline

        model = find_model(self.options.model)
        device = choose_device(self.options.device)
        self._constants = {
            "model": model.resolve().name if Path(self.options.model).is_dir() else self.options.model,
            "model_sha256": hash_model(model),
            "device": device,
            **{name: getattr(self.options, name) for name in ("dtype", *SAMPLING_ARGUMENTS, "keep_original")},
        }
        # A mistake in a call that goes on must not show after half of the clips.
        missing = []
        for job in jobs:
            is_known = job.name in self.manifest.records and not self.options.overwrite
            if is_known and self.manifest.is_finished(job, self._request(job)):
                print(f"kept: {printable(job.name)}")
            else:
                missing.append(job)
        numbers = {"made": 0, "kept": len(jobs) - len(missing), "failed": 0}
        if not missing:
            return numbers
        self.pipeline = load_pipeline(model, device, self.options.dtype, self.options.offload)
        # Without a terminal, bars would fill a log; the lines on stdout tell the progress.
        is_quiet = not sys.stderr.isatty()
        self.pipeline.set_progress_bar_config(disable=is_quiet, leave=False, position=1)
        bar = tqdm(missing, desc="Clips", unit="clip", disable=is_quiet or None)
        with logging_redirect_tqdm([logging.getLogger("deepaudio_diffusers")]):
            for job in bar:
                why = self._try(job)
                numbers["made" if why is None else "failed"] += 1
                line = f"made: {printable(job.name)}" if why is None else f"failed: {printable(job.name)}: {why}"
                tqdm.write(line, file=sys.stdout)
                sys.stdout.flush()
        return numbers

    def _try(self, job: "Job") -> str | None:
        """Make a job; returns why that failed, if it did and others may do better."""
        import torch

        try:
            self._make(job)
        except (DeepAudioError, OSError, MemoryError, torch.OutOfMemoryError) as error:
            if _is_about_the_disk(error):
                raise
            return " ".join(str(error).split()) or type(error).__name__
        return None

    def _request(self, job: "Job") -> dict[str, Any]:
        """All that the result of a job depends on, versions aside."""
        from .generate_jobs import TEXTS
        from .hashing import hash_file

        named = {"file_name": job.source, "voice": job.voice}
        files = {name: None if path is None else path.name for name, path in named.items()}
        hashes = {f"{name}_sha256": None if path is None else hash_file(path) for name, path in named.items()}
        return {
            **files,
            **hashes,
            **{name: job.texts.get(name) for name in TEXTS},
            "length": job.length_in_s,
            "seed": job.seed,
            "save": list(job.kinds),
            **self._constants,
        }

    def _make(self, job: "Job") -> None:
        import torch

        from .hashing import hash_file

        request = self._request(job)
        texts = dict(job.texts)
        voice_text = texts.pop("voice_text", None)
        result = self.pipeline(
            job.source,
            voice=None if job.voice is None else self._voice(job.voice, request["voice_sha256"], voice_text),
            audio_length_in_s=job.length_in_s,
            generator=torch.Generator().manual_seed(job.seed),
            **{argument: request[name] for name, argument in SAMPLING_ARGUMENTS.items()},
            **texts,
        )
        files = {}
        for target in self._write(job, result):
            place = self.manifest.folder / target
            place.parent.mkdir(parents=True, exist_ok=True)
            unfinished = self.manifest.work_folder / place.name
            files[target] = hash_file(unfinished)
            os.replace(unfinished, place)
        probabilities = result.task_probabilities
        self.manifest.add(
            {
                "name": job.name,
                "task": result.task,
                "task_probabilities": None if probabilities is None else probabilities[0],
                "seed": job.seed,
                "audio_length_in_s": result.audios.shape[-1] / result.sampling_rate,
                "sampling_rate": result.sampling_rate,
                "files": files,
                "request": request,
                "versions": {name: version(name) for name in RECORDED_VERSIONS},
            }
        )

    def _voice(self, path: Path, digest: str, text: str | None) -> "VoicePrompt":
        """A voice, listened to once a call."""
        key = digest, text
        if key not in self._voices:
            self._voices[key] = self.pipeline.text_to_speech.encode_voice(path, text)
        return self._voices[key]

    def _write(self, job: "Job", result: "DeepAudioPipelineOutput") -> list[str]:
        """Write the files of a job into the work folder; returns their places in the output folder."""
        from ..media import probe, write_audio, write_audio_into_video

        rate = result.sampling_rate
        stems = {"ambience": result.ambience, "speech": result.speech}
        written = []
        for kind in job.kinds:
            for target in job.targets(kind):
                path = self.manifest.work_folder / Path(target).name
                if kind == "video":
                    self._warn_if_cut(job, result.audios.shape[-1] / rate, probe(job.source).duration_in_s)
                    keep = self.options.keep_original
                    write_audio_into_video(job.source, result.audios[0], rate, path, keep_original=keep)
                elif kind == "stems":
                    stem = stems[Path(target).suffixes[-2].removeprefix(".")]
                    if stem is None:
                        continue
                    # A stem may be silent where the whole is not.
                    write_audio(path, stem[0], rate, allow_silence=True)
                elif kind == "spectrogram":
                    _draw(path, {"all": result.audios} | stems, rate)
                else:
                    write_audio(path, result.audios[0], rate)
                written.append(target)
        return written

    def _warn_if_cut(self, job: "Job", sound_in_s: float, clip_in_s: float) -> None:
        # Latents and containers round; half a frame is not heard.
        if sound_in_s > clip_in_s + 0.05:
            logger.warning(
                f"The sound for {job.name!r} lasts {sound_in_s:.2f} s and is cut to the {clip_in_s:.2f} s of the "
                "clip; --save wav keeps all of it."
            )


def _draw(path: Path, sounds: dict[str, Any], sampling_rate: int) -> None:
    """Spectrograms of the sound and of its parts, below each other."""
    import torch

    from ..processing.audio import log_mel_spectrogram
    from ..training.pictures import save_spectrograms

    different = {title: sound for title, sound in sounds.items() if sound is not None}
    if len(different) == 2:
        # The whole is its only part.
        different = {"all": different["all"]}
    mels = {
        title: log_mel_spectrogram(
            torch.from_numpy(sound[0]),
            sampling_rate=sampling_rate,
            n_fft=PICTURE_FFT,
            hop_length=PICTURE_HOP,
            num_mels=PICTURE_MELS,
            mel_type="vocos",
        )[0]
        for title, sound in different.items()
    }
    save_spectrograms(path, mels, sampling_rate / PICTURE_HOP)


def _is_about_the_disk(error: BaseException | None) -> bool:
    """Whether the next clip would fail for the same reason: there is no space left, or no writing."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
            return True
        error = error.__cause__
    return False
