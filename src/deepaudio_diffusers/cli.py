# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""The command `deepaudio`.

Exit codes: 0 when done, 1 when something is wrong with the files or the connection (one message on stderr, no
traceback), 2 when the command line is.
"""

import argparse
import logging
import sys
from importlib.metadata import version
from textwrap import dedent

from .conversion.recipes import MMAUDIO_RECIPES, MMAUDIO_REPO
from .errors import DeepAudioError


def main(arguments: list[str] | None = None) -> int:
    """Run the command line in `arguments`, by default that of the process, and return its exit code."""
    parser = argparse.ArgumentParser(
        prog="deepaudio", description="Sound and speech for silent video, on top of diffusers."
    )
    parser.add_argument("--version", action="version", version=f"deepaudio-diffusers {version('deepaudio-diffusers')}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_convert(commands)

    options = parser.parse_args(arguments)
    progress = logging.StreamHandler()
    progress.setFormatter(logging.Formatter("%(message)s"))
    logger = logging.getLogger("deepaudio_diffusers")
    logger.setLevel(logging.INFO)
    logger.addHandler(progress)
    try:
        options.run(options)
    except (DeepAudioError, OSError) as error:
        print(f"deepaudio: error: {error}", file=sys.stderr)
        return 1
    finally:
        logger.removeHandler(progress)
    return 0


def _add_convert(commands: argparse._SubParsersAction) -> None:
    variants = "\n".join(
        f"  {recipe.variant:<11} {recipe.original_name:<13} {recipe.sampling_rate:>5} Hz  "
        f"network {recipe.part('transformer').published.size}"
        for recipe in MMAUDIO_RECIPES.values()
    )
    examples = dedent(f"""
        examples:
          download what is needed (once) and convert it
            deepaudio convert mm-l44k-v2 --source {MMAUDIO_REPO} --output mmaudio-large-v2

          convert files you have; sub-folders are searched and names do not matter
            deepaudio convert mm-s16k --source ~/MMAudio --output mmaudio-small --dtype bfloat16

          and share the result
            deepaudio convert mm-s44k --source ~/MMAudio --output mmaudio-s44k --push-to-hub me/mmaudio-s44k

        Then, in Python:
            from deepaudio_diffusers import VideoToAudioPipeline
            pipeline = VideoToAudioPipeline.from_pretrained("mmaudio-large-v2")

        The MMAudio weights are for non-commercial use (CC BY-NC 4.0) and the CLIP weights for research; the README.md
        in the output names the licence of every part.
        """)
    parser = commands.add_parser(
        "convert",
        help="published MMAudio weights -> a pipeline folder",
        description="Convert the published weights of MMAudio to a folder for VideoToAudioPipeline.from_pretrained.",
        epilog=f"variants:\n{variants}\n{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("variant", choices=MMAUDIO_RECIPES, metavar="VARIANT", help="one of the variants below")
    parser.add_argument(
        "--source",
        required=True,
        metavar="DIR_OR_HUB",
        help=f"folder that holds the published files, or Hub repository to download them from ({MMAUDIO_REPO})",
    )
    parser.add_argument("--output", required=True, metavar="DIR", help="folder to write; new or empty")
    parser.add_argument(
        "--dtype",
        choices=("float32", "bfloat16", "float16"),
        default="float32",
        help="precision of the saved weights (default: %(default)s, as published; the others take half the space)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a pipeline that is in DIR already")
    parser.add_argument(
        "--push-to-hub",
        metavar="REPO",
        help="upload the finished folder to this Hub repository; it is created private (log in with `hf auth login`)",
    )
    parser.set_defaults(run=_convert)


def _convert(options: argparse.Namespace) -> None:
    from transformers.utils.logging import disable_progress_bar

    from .conversion.pipeline_folder import convert_pipeline

    # There is a line for each checkpoint; bars for each file would only tear them apart.
    disable_progress_bar()
    convert_pipeline(
        options.variant,
        options.source,
        options.output,
        dtype=options.dtype,
        overwrite=options.overwrite,
        push_to_hub=options.push_to_hub,
    )


if __name__ == "__main__":
    sys.exit(main())
