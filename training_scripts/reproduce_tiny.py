# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Makes the checkpoint that ships with the project, checkpoints/deepaudio-tiny, from nothing, on a CPU.

    python training_scripts/reproduce_tiny.py --work_dir build/checkpoint

runs one command after the other: a world, the networks of sound and picture, the four stages, the assembly, and the
report on what came out. What they are told is in the presets of the scripts, seeds included. Every command is printed
before it runs. A call that was interrupted goes on where it was: commands that are finished are skipped, and a
training that was broken off goes on from its newest checkpoint.

The world needs the programs flite and wamerican-small (`apt-get install flite wamerican-small`), the report
`pip install "deepaudio-diffusers[evaluation]"` and `pip install --no-deps resemblyzer`.
"""

import argparse
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


ROOT = Path(__file__).resolve().parents[1]
STEPS = ("world", "vae", "vocoder", "encoders", "stage1", "stage2", "stage3", "stage4", "assemble", "report")
# As many clips as the checkpoint that ships has seen; with 5,000, the default, stage 1 learns them by heart, and
# without further ones in which the prompt decides it hardly minds words like "wooden".
WORLD = ("--seed", "0", "--num-train", "13000", "--num-train-choices", "8000")
# Of all trainings.
HALF_PRECISION = ("--mixed_precision", "bf16")


def parse_args(input_args: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--work_dir",
        type=Path,
        default=Path("build/checkpoint"),
        help="Folder for all results (default: %(default)s).",
    )
    parser.add_argument(
        "--until",
        choices=STEPS,
        default=STEPS[-1],
        help=f"The last of the steps {', '.join(STEPS)} (default: %(default)s).",
    )
    parser.add_argument("--dry_run", action="store_true", help="Print the commands that would run, and end.")
    return parser.parse_args(input_args)


def make_commands(work_dir: Path) -> dict[str, list[str]]:
    """The command of each step, by its name, in order."""
    world, checkpoint = work_dir / "world", work_dir / "deepaudio-tiny"
    vae, vocoder, encoders, stage1, stage2, stage3, stage4 = (work_dir / step for step in STEPS[1:8])
    clips = ("--data", world / "clips/train", "--validation_data", world / "clips/validation")
    speech = ("--data", world / "speech/train", "--validation_data", world / "speech/validation")
    validation = clips[2:]
    # Nobody talks where the prompt decides, so stage 4 does without these; all else that hears clips hears them.
    all_clips = (world / "clips/train", world / "clips/train_choices")
    more_clips = ("--data", *all_clips, *validation)
    sounds = ("--data", *all_clips, world / "speech/train", *validation)

    def python(file: str, *arguments: str | Path) -> list[str]:
        return [sys.executable, *map(str, (ROOT / file, *arguments))]

    def train(script: str, output_dir: Path, *arguments: str | Path) -> list[str]:
        results = ("--output_dir", output_dir, "--resume_from_checkpoint", "latest")
        return python(f"training_scripts/{script}.py", "--preset", "tiny", *arguments, *results)

    return {
        "world": [sys.executable, "-m", "deepaudio_diffusers.cli", "make-world", str(world), *WORLD],
        "vae": train("train_codec", vae, "--part", "vae", *sounds, *HALF_PRECISION),
        "vocoder": train("train_codec", vocoder, "--part", "vocoder", *sounds, *HALF_PRECISION),
        "encoders": train("train_encoders", encoders, *more_clips, *HALF_PRECISION),
        "stage1": train(
            "train_stage1_v2a", stage1, *more_clips, "--components", vae, vocoder, encoders, *HALF_PRECISION
        ),
        "stage2": train("train_stage2_tts", stage2, *speech, "--lexicon", world / "lexicon.txt", *HALF_PRECISION),
        "stage3": train("train_stage3_mof", stage3, *HALF_PRECISION),
        "stage4": train("train_stage4_v2s", stage4, *clips, "--pretrained", stage2, "--v2a", stage1, *HALF_PRECISION),
        "assemble": python(
            "training_scripts/assemble_deepaudio.py",
            *("--v2a", stage1, "--speech", stage4, "--gate", stage3, "--vocoder", vocoder / "vocoder"),
            *("--model_card", ROOT / "checkpoints/deepaudio-tiny/README.md", "--output_dir", checkpoint),
        ),
        "report": python(
            "benchmarks/tiny_report.py",
            *("--checkpoint", checkpoint, "--world", world, "--encoders", encoders),
            *("--cache_dir", work_dir / "report", "--output", work_dir / "tiny_report.md", "--resume"),
        ),
    }


def run_commands(commands: dict[str, list[str]], work_dir: Path) -> None:
    """Run the commands that are not finished, which a file for each of them in `work_dir` tells.

    Raises:
        SystemExit: A command failed.
    """
    work_dir.mkdir(parents=True, exist_ok=True)
    for name, command in commands.items():
        line = shlex.join(command)
        finished = work_dir / f"{name}.finished"
        if finished.is_file() and finished.read_text(encoding="utf-8") == line:
            print(f"{name} is finished.", flush=True)
            continue
        print(f"{name}: {line}", flush=True)
        if subprocess.run(command, check=False).returncode != 0:
            raise SystemExit(f"{name} failed; the same call goes on from here once the reason above is gone.")
        finished.write_text(line, encoding="utf-8")


def main(args: argparse.Namespace) -> None:
    commands = make_commands(args.work_dir)
    commands = {name: commands[name] for name in STEPS[: STEPS.index(args.until) + 1]}
    if args.dry_run:
        print("\n".join(shlex.join(command) for command in commands.values()))
    else:
        run_commands(commands, args.work_dir)


if __name__ == "__main__":
    main(parse_args())
