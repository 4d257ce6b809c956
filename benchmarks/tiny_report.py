# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Score a checkpoint on the synthetic world: what it makes, beside true sounds, copies by its codec, and controls.

    python benchmarks/tiny_report.py --checkpoint checkpoints/deepaudio-tiny --world WORLD --encoders RUNS/encoders \
        --output benchmarks/tiny_report.md --resume

Writes the report, the figures as JSON beside it, and pictures of spectrograms. Every row is kept when it is finished;
with `--resume`, a report that was broken off goes on. Several processes may make rows of different `--sections` at the
same time; a last call with `--resume` then puts all of them together. Choices are made on the validation split
(`--split validation`), and the report is of the test split. Needs `pip install "deepaudio-diffusers[evaluation]"` and
`pip install --no-deps resemblyzer`.
"""

import argparse
import json
import time
from pathlib import Path

import gate_report
import torch
from tiny_clips import (
    ALL_LABELS,
    IMPACT_CLASSES,
    SAMPLING_RATE,
    class_of,
    clip_set,
)
from tiny_sounds import report_v2a
from tiny_speech import foley_prompt, reference_recordings, report_soundtrack, report_tts, report_v2s
from tiny_system import (
    Report,
    sampling,
    target_table,
)

from deepaudio_diffusers.evaluation.intervals import Estimate
from deepaudio_diffusers.evaluation.onsets import calibrate
from deepaudio_diffusers.evaluation.rows import markdown_table


SECTIONS = ("v2a", "tts", "v2s", "soundtrack", "gate", "speed")
SPEED_REPEATS = 3


def report_gate(report: Report) -> str:
    """How the gate reads instructions."""
    figures = gate_report.measure(report.args.checkpoint)
    report.summary["gate"] = figures
    overall = figures["test"]["all"]
    accuracy = Estimate(overall["accuracy"], *overall["interval"], overall["num"])
    table = target_table(report, "gate", [("accuracy on held-out phrasings", accuracy, ">=", 0.99)])
    return "\n\n".join(["## Gate", gate_report.to_markdown(figures), table])


def report_speed(report: Report) -> str:
    """Seconds of each task for one clip, from the file to the waveform."""
    clip = report.clips("scenes")[0]
    recording = reference_recordings(report, [clip])[0]
    voice = {
        "transcript": clip.metadata["transcript"],
        "reference_audio": recording.audio,
        "reference_text": recording.metadata["transcript"],
        "reference_sampling_rate": SAMPLING_RATE,
    }
    seen = {"video": clip.video}
    tasks = {
        "video_to_audio": seen | {"prompt": clip.metadata["prompt"]},
        "video_to_speech": seen | voice,
        "text_to_speech": voice,
        "soundtrack": seen | voice | {"prompt": foley_prompt(clip)},
    }
    lines, targets = [], []
    report.summary["speed"] = {"num_threads": torch.get_num_threads()}
    for task, inputs in tasks.items():
        times = []
        # Once more than is counted, for what is only done once.
        for _ in range(SPEED_REPEATS + 1):
            wall, cpu = time.perf_counter(), time.process_time()
            report.pipe(task=task, generator=torch.Generator().manual_seed(0), **inputs, **sampling(report))
            times.append((time.perf_counter() - wall, time.process_time() - cpu))
        wall_s, cpu_s = (sorted(column)[SPEED_REPEATS // 2] for column in zip(*times[1:], strict=True))
        report.summary["speed"][task] = {"wall_s": wall_s, "cpu_s": cpu_s}
        lines.append([task, f"{wall_s:.2f}", f"{cpu_s:.2f}"])
        targets.append((f"seconds for {task}", Estimate(wall_s, wall_s, wall_s, 1), "<=", 5.0))
    note = (
        f"One clip of {len(clip.audio) / SAMPLING_RATE:.2f} s on {torch.get_num_threads()} threads, after loading; "
        f"the median of {SPEED_REPEATS} calls that read the files anew. The machine may have had other work."
    )
    table = markdown_table(["task", "seconds", "CPU seconds"], lines)
    return "\n\n".join(["## Speed", table, note, target_table(report, "speed", targets)])


REPORTS = {
    "v2a": report_v2a,
    "tts": report_tts,
    "v2s": report_v2s,
    "soundtrack": report_soundtrack,
    "gate": report_gate,
    "speed": report_speed,
}


def print_calibration(args: argparse.Namespace) -> None:
    """The constants of the onset detector, found on true sounds of the validation split."""
    num_clips = 20 * len({class_of(label) for label in ALL_LABELS})
    clips = clip_set(args.world, "sounds", "validation", num_clips, args.cache_dir / "clips", args.num_processes)
    clips = [clip for clip in clips if clip.kind in IMPACT_CLASSES]
    found = calibrate([clip.audio for clip in clips], [clip.event_times for clip in clips], SAMPLING_RATE, 0.05)
    print("MAGNITUDE_FLOOR = {:g}, THRESHOLD = {:g}, DELAY_IN_S = {:.4f}: F1 {:.4f}".format(*found))


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, help="Folder of a DeepAudioPipeline.")
    parser.add_argument("--world", type=Path, required=True, help="Folder of a world: `deepaudio make-world`.")
    parser.add_argument("--encoders", type=Path, help="Output of train_encoders.py, for the mel head of the encoder.")
    parser.add_argument("--output", type=Path, help="The report, in Markdown.")
    parser.add_argument("--sections", nargs="+", choices=SECTIONS, default=list(SECTIONS), help="What to report.")
    parser.add_argument("--num_clips", type=int, default=240, help="Clips that each figure is from, at least.")
    parser.add_argument("--split", choices=("validation", "test"), default="test", help="Which clips are made.")
    parser.add_argument("--num_inference_steps", type=int, default=25, help="Steps of video-to-audio.")
    parser.add_argument("--guidance_scale", type=float, default=3.0, help="Guidance of video-to-audio.")
    parser.add_argument("--further_guidance_scales", type=float, nargs="*", default=[1.0, 4.5], help="Further rows.")
    parser.add_argument(
        "--prompt_guidance",
        type=float,
        nargs=2,
        default=[2.0, 7.0],
        metavar=("PICTURE", "PROMPT"),
        help="Guidance of video-to-audio in the rows that are guided by the prompt.",
    )
    parser.add_argument("--speech_num_inference_steps", type=int, default=32, help="Steps of speech.")
    parser.add_argument("--speech_guidance_scale", type=float, default=3.0, help="Guidance of speech.")
    parser.add_argument("--seed", type=int, default=0, help="Of the noise that generation begins from.")
    parser.add_argument("--cache_dir", type=Path, default=Path("build/tiny_report"), help="Clips and finished rows.")
    parser.add_argument("--resume", action="store_true", help="Take rows that are finished as they are.")
    parser.add_argument("--num_processes", type=int, default=1, help="Processes that make clips and recognise speech.")
    parser.add_argument("--num_threads", type=int, default=1, help="Threads of PyTorch.")
    parser.add_argument("--calibrate_onsets", action="store_true", help="Only print constants of the onset detector.")
    args = parser.parse_args()
    if not args.calibrate_onsets and (args.checkpoint is None or args.output is None):
        parser.error("--checkpoint and --output are needed")
    return args


def main(args: argparse.Namespace) -> None:
    torch.set_num_threads(args.num_threads)
    if args.calibrate_onsets:
        print_calibration(args)
        return
    report = Report(args)
    parts = [f"# Scores of {args.checkpoint.name}", heading(report)]
    for section in args.sections:
        print(section, flush=True)
        parts.append(REPORTS[section](report))
        # Written after each section, so that what is known can be read.
        args.output.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
        args.output.with_suffix(".json").write_text(json.dumps(report.summary, indent=2) + "\n", encoding="utf-8")


def heading(report: Report) -> str:
    args = report.args
    return (
        f"Made by `benchmarks/tiny_report.py` on the {args.split} split of the synthetic world, seed "
        f"{report.manifest['settings']['seed']}; the same generator made the training clips, with other seeds. Steps "
        f"and guidance: {args.num_inference_steps} and {args.guidance_scale:g} for sound, "
        f"{args.speech_num_inference_steps} and {args.speech_guidance_scale:g} for speech. Rows that are guided by "
        f"the prompt have guidance {args.prompt_guidance[0]:g} towards the picture and {args.prompt_guidance[1]:g} "
        "towards the prompt. In brackets are 95 % bootstrap intervals over clips."
    )


if __name__ == "__main__":
    main(parse_args())
