# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""`deepaudio train`: `accelerate launch` with one of the training scripts."""

import argparse
import importlib.util
import shlex
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

from ..errors import InputError


PACKAGE = Path(__file__).parents[1]
STAGES = {
    "codec": "mel VAE or vocoder",
    "encoders": "encoders of video, frames and prompts, where none are pretrained",
    "stage1_v2a": "sound for video (MMAudio)",
    "stage2_tts": "speech (F5-TTS)",
    "stage3_mof": "the gate that reads instructions",
    "stage4_v2s": "speech that follows the contour of a sound",
}


def add_command(commands: argparse._SubParsersAction) -> None:
    stages = "\n".join(f"  {name:<11} {what}" for name, what in STAGES.items())
    examples = dedent("""
        examples:
          what a stage takes
            deepaudio train stage1_v2a --help

          a LoRA on clips of your own; how many processes and which GPUs is asked once by `accelerate config`
            deepaudio train stage1_v2a --pretrained mmaudio-s44k --use_lora --data my-clips --output_dir my-lora

          the same, said on the command line
            deepaudio train --launch "--num_processes 2 --mixed_precision bf16" stage1_v2a --pretrained mmaudio-s44k \\
                --use_lora --data my-clips --output_dir my-lora

        This is 'accelerate launch LAUNCH training_scripts/train_STAGE.py ARGUMENTS' and nothing more: the line is
        printed, and its exit code is the command's. docs/training.md has the rest.
        """)
    parser = commands.add_parser(
        "train",
        help="accelerate launch with one of the training scripts",
        description="Train a network of the papers.",
        epilog=f"stages:\n{stages}\n{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--launch", default="", metavar="OPTIONS", help="options of accelerate launch, in quotes")
    parser.add_argument("stage", choices=STAGES, metavar="STAGE", help="one of the stages below")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, metavar="...", help="arguments of its script")
    parser.set_defaults(run=run)


def find_script(stage: str) -> Path:
    """The script of a stage: part of an installed package, and beside the sources in a checkout.

    Raises:
        InputError: It is in neither place.
    """
    name = f"train_{stage}.py"
    for folder in (PACKAGE / "training_scripts", PACKAGE.parents[1] / "training_scripts"):
        if (folder / name).is_file():
            return folder / name
    raise InputError(f"{name} is not in this installation; install the package again, or run it from its sources.")


def run(options: argparse.Namespace) -> int:
    if importlib.util.find_spec("datasets") is None:
        raise InputError("Training needs more libraries: pip install 'deepaudio-diffusers[training]'.")
    launch = [*shlex.split(options.launch), str(find_script(options.stage)), *options.arguments]
    print(f"accelerate launch {shlex.join(launch)}", file=sys.stderr, flush=True)
    code = subprocess.run([sys.executable, "-m", "accelerate.commands.launch", *launch], check=False).returncode
    # As a shell says it where a signal ended the training.
    return code if code >= 0 else 128 - code
