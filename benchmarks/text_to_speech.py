# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Time text-to-speech beside the original F5-TTS or DeepAudio-V1's fork of it, and compare what the two sides say.

    python benchmarks/text_to_speech.py --pipeline FOLDER --reference ~/F5-TTS --vocos ~/vocos \
        --reference-weights WEIGHTS/F5TTS_v1_Base/model_1250000.safetensors --reference-vocoder WEIGHTS \
        --reference-audio ~/F5-TTS/src/f5_tts/infer/examples/basic/basic_ref_en.wav --output result.json

Each side runs in a process of its own with the same environment, one at a time and in turns, so that both meet the
same machine. Both get the same waveform, text, noise and, where the network takes it, energy contour. A report that is
there already is added to, so the numbers of steps can be measured in several runs. See README.md.
"""

import argparse
import json
import multiprocessing
import os
import resource
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from video_to_audio import describe_machine


OURS, ORIGINAL = "deepaudio", "original"
HOP_LENGTH = 256
SAMPLING_RATE = 24000

_model: Any = None


class DeepAudio:
    """A pipeline folder, behind the interface of `OriginalF5TTS`."""

    def __init__(self, folder: Path):
        from deepaudio_diffusers import TextToSpeechPipeline

        self.pipe = TextToSpeechPipeline.from_pretrained(folder)
        self.pipe.set_progress_bar_config(disable=True)

    def speak(
        self,
        reference: np.ndarray,
        sampling_rate: int,
        reference_text: str,
        text: str,
        prompt_energy: np.ndarray | None,
        energy: np.ndarray | None,
        num_inference_steps: int,
        guidance_scale: float,
        seed: int,
    ) -> dict[str, np.ndarray]:
        import torch

        voice = self.pipe.encode_voice(reference, reference_text, sampling_rate, trim=False, normalize=False)
        if energy is not None:
            # The fork's energies of voices come from elsewhere: from the video of the reference.
            voice = replace(voice, energy=torch.from_numpy(prompt_energy))
        completed = []

        def keep_mel(pipeline, step, timestep, tensors):
            completed[:] = tensors["latents"]

        audio = self.pipe(
            text,
            voice=voice,
            energy=None if energy is None else torch.from_numpy(energy),
            normalize_text=False,
            num_inference_steps=num_inference_steps,
            guidance_scale=guidance_scale,
            generator=torch.Generator().manual_seed(seed),
            callback_on_step_end=keep_mel,
        ).audios[0, 0]
        return {"mel": completed[0][voice.mel.shape[0] :].numpy(), "audio": audio}


def load(side: str, arguments: argparse.Namespace) -> None:
    """What a process does first: load one side's networks."""
    import torch

    torch.set_num_threads(arguments.threads)
    global _model
    if side == OURS:
        _model = DeepAudio(arguments.pipeline)
    else:
        from f5tts_original import OriginalF5TTS

        _model = OriginalF5TTS(
            arguments.reference, arguments.vocos, arguments.reference_weights, arguments.reference_vocoder
        )


def speak(request: dict[str, Any]) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """Speak once, in the process of a side: what it cost and what came out."""
    wall, cpu = time.perf_counter(), time.process_time()
    outputs = _model.speak(**request)
    usage = {
        "cpu_s": time.process_time() - cpu,
        "wall_s": time.perf_counter() - wall,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10,
    }
    return usage, outputs


def make_request(arguments: argparse.Namespace) -> dict[str, Any]:
    """What is to be said and how; everything but the number of steps."""
    from deepaudio_diffusers.media import read_audio

    decoded = read_audio(arguments.reference_audio, length_in_s=arguments.reference_length_in_s)
    request = {
        "reference": decoded.samples,
        "sampling_rate": decoded.sampling_rate,
        "reference_text": arguments.reference_text,
        "text": arguments.text,
        "prompt_energy": None,
        "energy": None,
        "guidance_scale": arguments.guidance_scale,
        "seed": arguments.seed,
    }
    if arguments.energy_length_in_s:
        num_reference_frames = decoded.samples.shape[1] * SAMPLING_RATE // decoded.sampling_rate // HOP_LENGTH + 1
        num_frames = int(arguments.energy_length_in_s * SAMPLING_RATE / HOP_LENGTH)
        # Four syllables a second, louder and softer.
        angle = np.arange(num_reference_frames + num_frames) * (2 * np.pi * 4 * HOP_LENGTH / SAMPLING_RATE)
        contour = (0.5 - 0.5 * np.cos(angle)) * (0.6 + 0.4 * np.sin(angle / 7))
        contour = (contour / contour.max()).astype(np.float32)
        request["prompt_energy"], request["energy"] = np.split(contour, [num_reference_frames])
    return request


def compare(ours: dict[str, np.ndarray], original: dict[str, np.ndarray]) -> dict[str, dict[str, float]]:
    """Largest difference of each array, absolute and relative to the largest value of the original's."""
    differences = {}
    for name, expected in original.items():
        found = ours[name]
        if found.shape != expected.shape:
            raise SystemExit(f"{name}: ours has shape {found.shape}, the original's {expected.shape}.")
        peak = float(np.abs(expected).max())
        largest = float(np.abs(found - expected).max())
        differences[name] = {"max_abs": largest, "peak": peak, "max_relative": largest / peak}
    return differences


def open_report(arguments: argparse.Namespace) -> tuple[dict[str, Any], dict[str, Any]]:
    """The report in the output file, or a new one, and the part of it that is about these networks."""
    report: dict[str, Any] = {"machine": describe_machine(), "networks": {}}
    if arguments.output.exists():
        report = json.loads(arguments.output.read_text(encoding="utf-8"))
    # Names without folders, so that a report says nothing of where it was made.
    settings = {
        key: value.name if isinstance(value, Path) else value
        for key, value in vars(arguments).items()
        if key not in ("output", "num_inference_steps", "repeats")
    }
    part = report["networks"].setdefault(
        arguments.reference_weights.name, {"arguments": settings, "num_inference_steps": {}}
    )
    if part["arguments"] != settings:
        raise SystemExit(f"`--output` {arguments.output.name} was made with other arguments: {part['arguments']}")
    return report, part


def measure(arguments: argparse.Namespace) -> None:
    """Add turns to the report, which is written after each of them."""
    report, part = open_report(arguments)
    request = make_request(arguments)
    context = multiprocessing.get_context("spawn")
    workers = {
        side: ProcessPoolExecutor(1, mp_context=context, initializer=load, initargs=(side, arguments))
        for side in (ORIGINAL, OURS)
    }
    # A run that is not counted: it maps the weights and builds what is built once.
    for worker in workers.values():
        worker.submit(speak, request | {"num_inference_steps": 1}).result()
    for steps in arguments.num_inference_steps:
        entry = part["num_inference_steps"].setdefault(str(steps), {"turns": []})
        for _ in range(arguments.repeats):
            turn, outputs = {}, {}
            # Each side goes first as often as the other.
            sides = [ORIGINAL, OURS] if len(entry["turns"]) % 2 == 0 else [OURS, ORIGINAL]
            for side in sides:
                turn[side], outputs[side] = (
                    workers[side].submit(speak, request | {"num_inference_steps": steps}).result()
                )
            turn["load_average"] = os.getloadavg()
            turn["difference"] = compare(outputs[OURS], outputs[ORIGINAL])
            entry["turns"].append(turn)
            entry["ratio_of_least"] = {
                key: min(turn[OURS][key] for turn in entry["turns"])
                / min(turn[ORIGINAL][key] for turn in entry["turns"])
                for key in ("cpu_s", "wall_s")
            }
            print(format_turn(steps, turn), flush=True)
            arguments.output.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    for worker in workers.values():
        worker.shutdown()


def format_turn(steps: int, turn: dict[str, Any]) -> str:
    line = f"{steps:>3} steps"
    for side in (ORIGINAL, OURS):
        line += f" | {side} {turn[side]['cpu_s']:8.2f} cpu s {turn[side]['wall_s']:8.2f} s"
        line += f" {turn[side]['peak_mib']:6.0f} MiB"
    line += f" | ratio {turn[OURS]['cpu_s'] / turn[ORIGINAL]['cpu_s']:.3f}"
    for name, difference in turn["difference"].items():
        line += f" | {name} {difference['max_abs']:.1e} abs {difference['max_relative']:.1e} rel"
    return line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pipeline", type=Path, required=True, help="folder, as `deepaudio convert` writes it")
    parser.add_argument("--reference", type=Path, required=True, help="checkout of F5-TTS or the folder of the fork")
    parser.add_argument("--vocos", type=Path, required=True, help="checkout of Vocos")
    parser.add_argument("--reference-weights", type=Path, required=True, help="checkpoint of the original network")
    parser.add_argument("--reference-vocoder", type=Path, required=True, help="folder with the files of Vocos")
    parser.add_argument("--reference-audio", type=Path, required=True, help="file with the speech to be imitated")
    parser.add_argument(
        "--reference-length-in-s", type=float, default=5.0, help="how much of it (default: %(default)s)"
    )
    parser.add_argument(
        "--reference-text",
        default="Some call me nature, others call me mother nature.",
        help="what is said in it, ending in a full stop",
    )
    parser.add_argument("--text", default="I do not really care at all what you are calling me.")
    parser.add_argument(
        "--energy-length-in-s", type=float, help="give both sides an energy contour; only for the fork's networks"
    )
    parser.add_argument("--num-inference-steps", type=int, nargs="+", default=[7, 16, 32])
    parser.add_argument("--guidance-scale", type=float, default=3.0)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--repeats", type=int, default=1, help="turns of the two sides for each number of steps")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch (default: %(default)s)")
    parser.add_argument("--output", type=Path, required=True, help="JSON file for the results, or to add them to")
    measure(parser.parse_args())


if __name__ == "__main__":
    main()
