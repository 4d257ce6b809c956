# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""How far every solver and time grid ends from the exact solution on a text-to-speech network, by network evaluations.

    python benchmarks/solver_error_speech.py --pipeline FOLDER --reference-audio VOICE.wav \
        --reference-text "What is said in it." --text "What is to be said." --output result.json

`solver_error.py` does the same on fields that are known in closed form; here the velocity is that of the network under
classifier-free guidance. The error is the root mean square difference of the new mel frames from a solution with many
steps, relative to the root mean square of its deviation from its mean: a log spectrogram has a large mean that says
nothing. The report is written after each run, and runs that are in it already are not made again.
"""

import argparse
import json
from itertools import product
from pathlib import Path

import torch
from solver_error import GRIDS, OURS, reference_solution, run
from text_to_speech import SAMPLING_RATE
from video_to_audio import describe_machine

from deepaudio_diffusers import TextToSpeechPipeline
from deepaudio_diffusers.media import read_audio
from deepaudio_diffusers.models.transformer_f5tts import F5TTSConditions


class SpeechField:
    """The derivative `noise - data` of the mel spectrogram of a passage, as the network of a pipeline gives it."""

    def __init__(self, pipe: TextToSpeechPipeline, arguments: argparse.Namespace):
        decoded = read_audio(arguments.reference_audio, length_in_s=arguments.reference_length_in_s)
        voice = pipe.encode_voice(decoded.samples, arguments.reference_text, decoded.sampling_rate, trim=False)
        (passage,) = pipe.prepare_passages(arguments.text, voice, audio_length_in_s=arguments.audio_length_in_s)
        infilling = pipe._infilling(passage)
        inputs = {"cond": infilling.mel[None], "text_ids": infilling.token_ids[None]}
        null = pipe.transformer.encode_conditions(**inputs, drop_audio_cond=True, drop_text=True)
        self.conditions = F5TTSConditions.cat([null, pipe.transformer.encode_conditions(**inputs)])
        self.transformer = pipe.transformer
        self.guidance_scale = arguments.guidance_scale
        self.num_prompt_frames = voice.mel.shape[0]
        self.shape = (1, *infilling.mel.shape)
        self.evaluations = 0

    def __call__(self, sample: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        """`sample` of shape `(1, num_frames, mel_channels)`, `sigma` a scalar in [0, 1]."""
        self.evaluations += 1
        velocity = self.transformer(
            sample.float(), (1 - sigma).float().expand(1), conditions=self.conditions, return_dict=False
        )[0]
        null, guided = velocity.chunk(2)
        return -null.lerp(guided, self.guidance_scale).to(sample.dtype)

    def error(self, found: torch.Tensor, reference: torch.Tensor) -> float:
        found, reference = found[:, self.num_prompt_frames :], reference[:, self.num_prompt_frames :]
        return ((found - reference).square().mean() / reference.var()).sqrt().item()


def candidates(evaluations: int) -> list[tuple[str, str, object]]:
    """Every solver and grid as `(solver, grid, scheduler)`, with as many steps as `evaluations` pays for."""
    rows, seen = [], set()
    for (solver, scheduler_class), grid in product(OURS.items(), GRIDS):
        scheduler = scheduler_class(grid=grid)
        scheduler.set_timesteps(evaluations // scheduler.order)
        # The pruned grid is the sway grid where the original has not pruned one.
        timesteps = (solver, *scheduler.timesteps.tolist())
        if timesteps not in seen:
            rows.append((solver, grid, scheduler))
        seen.add(timesteps)
    return rows


def markdown(results: list[dict]) -> str:
    budgets = sorted({r["budget"] for r in results})
    cells = {
        (r["solver"], r["grid"], r["budget"]): f"{r['error']:.4f}"
        + ("" if r["evaluations"] == r["budget"] else f" ({r['evaluations']})")
        for r in results
    }
    lines = ["| solver | grid | " + " | ".join(str(budget) for budget in budgets) + " |"]
    lines.append("| --- | --- |" + " ---: |" * len(budgets))
    for solver, grid in dict.fromkeys((r["solver"], r["grid"]) for r in results):
        row = " | ".join(cells.get((solver, grid, budget), "") for budget in budgets)
        lines.append(f"| {solver} | {grid} | {row} |")
    return "\n".join(lines)


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pipeline", type=Path, required=True, help="folder, as `deepaudio convert` writes it")
    parser.add_argument("--reference-audio", type=Path, required=True, help="file with the speech to be imitated")
    parser.add_argument("--reference-length-in-s", type=float, default=1.0, help="how much of it (default: 1)")
    parser.add_argument("--reference-text", default="Some call me.", help="what is said in it")
    parser.add_argument("--text", default="I do not care.")
    parser.add_argument("--audio-length-in-s", type=float, default=0.5, help="of the new speech (default: 0.5)")
    parser.add_argument("--guidance-scale", type=float, default=3.0)
    parser.add_argument("--evaluations", type=int, nargs="+", default=[5, 7, 10, 12, 16, 24, 32])
    parser.add_argument(
        "--reference-steps", type=int, default=100, help="midpoint steps of the reference solution (default: 100)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the noise")
    parser.add_argument("--output", type=Path, required=True, help="JSON file for the results, or to add them to")
    arguments = parser.parse_args()

    pipe = TextToSpeechPipeline.from_pretrained(arguments.pipeline)
    field = SpeechField(pipe, arguments)
    noise = torch.randn(field.shape, generator=torch.Generator().manual_seed(arguments.seed))
    if arguments.output.exists():
        report = json.loads(arguments.output.read_text(encoding="utf-8"))
    else:
        settings = {
            key: value.name if isinstance(value, Path) else value
            for key, value in vars(arguments).items()
            if key != "output"
        }
        report = {
            "machine": describe_machine(),
            "arguments": settings,
            "num_frames": field.shape[1],
            "num_new_frames": field.shape[1] - field.num_prompt_frames,
            "new_speech_in_s": (field.shape[1] - field.num_prompt_frames) * 256 / SAMPLING_RATE,
            "results": [],
        }
    done = {(r["solver"], r["grid"], r["budget"]) for r in report["results"]}

    reference = reference_solution(field, noise, arguments.reference_steps)
    # How far the reference itself may be off: halving the steps of a second-order method quarters its error.
    coarser = reference_solution(field, noise, arguments.reference_steps // 2)
    report["reference_error"] = field.error(coarser, reference) / 3
    for budget in arguments.evaluations:
        for solver, grid, scheduler in candidates(budget):
            if (solver, grid, budget) in done:
                continue
            field.evaluations = 0
            error = field.error(run(scheduler, field, noise), reference)
            result = {"solver": solver, "grid": grid, "budget": budget, "evaluations": field.evaluations}
            report["results"].append(result | {"error": error})
            print(solver, grid, budget, f"{error:.5f}", flush=True)
            arguments.output.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(markdown(report["results"]))


if __name__ == "__main__":
    main()
