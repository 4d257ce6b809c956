# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""`deepaudio make-world`: clips and speech to train on, from a seed."""

import argparse
from textwrap import dedent


def add_command(commands: argparse._SubParsersAction) -> None:
    examples = dedent("""
        example:
          deepaudio make-world world
          accelerate launch training_scripts/train_codec.py --part vae --preset tiny --data world/clips/train \\
              --output_dir my-codec

        The programs flite, which speaks, and wamerican-small, a list of words, have to be installed: on Debian and
        Ubuntu with 'apt-get install flite wamerican-small'. README.md in the folder explains the data.
        """)
    parser = commands.add_parser(
        "make-world",
        help="clips and speech to train on, made from a seed",
        description="Make a world of clips in which what is seen determines what is heard, and of speech whose\n"
        "timing is known. A call that was interrupted goes on where it was.",
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("output", metavar="DIR", help="folder to write")
    parser.add_argument("--seed", type=int, default=0, help="0 to 99; worlds of other seeds have no clip in common")
    for name, default, what in (
        ("train", 5000, "clips for training"),
        ("train-choices", 0, "further clips for training in which the prompt decides what is heard"),
        ("validation", 200, "clips for validation"),
        ("test", 500, "clips of each of the two test splits"),
        ("speech-per-speaker", 1000, "utterances of each of the four voices for training"),
    ):
        parser.add_argument(f"--num-{name}", type=int, default=default, help=f"{what} (default: %(default)s)")
    parser.add_argument("--num-processes", type=int, default=2, help="processes at work (default: %(default)s)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    from ..synthetic.world import make_world

    manifest = make_world(
        options.output,
        seed=options.seed,
        num_train=options.num_train,
        num_train_choices=options.num_train_choices,
        num_validation=options.num_validation,
        num_test=options.num_test,
        num_speech_per_speaker=options.num_speech_per_speaker,
        num_processes=options.num_processes,
    )
    print(f"Content hash: {manifest['content_hash']}")
