# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""The command `deepaudio`, one module a command: `add_command` says what it takes, `run` does it.

Exit codes: 0 when done, 1 when something is wrong with the files or the connection (one message on stderr, no
traceback), 2 when the command line is, 130 when interrupted from the keyboard. What `run` returns is another one.
"""

import argparse
import logging
import sys
from importlib.metadata import version

from ..errors import DeepAudioError
from . import convert, doctor, evaluate, generate, make_world, train


COMMANDS = (generate, convert, train, evaluate, make_world, doctor)
INTERRUPTED = 130


def main(arguments: list[str] | None = None) -> int:
    """Run the command line in `arguments`, by default that of the process, and return its exit code."""
    parser = argparse.ArgumentParser(
        prog="deepaudio", description="Sound and speech for silent video, on top of diffusers."
    )
    parser.add_argument("--version", action="version", version=f"deepaudio-diffusers {version('deepaudio-diffusers')}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add_command(commands)

    options = parser.parse_args(arguments)
    progress = logging.StreamHandler()
    progress.setFormatter(logging.Formatter("%(message)s"))
    logger = logging.getLogger("deepaudio_diffusers")
    logger.setLevel(logging.INFO)
    logger.addHandler(progress)
    try:
        return options.run(options) or 0
    except (DeepAudioError, OSError) as error:
        print(f"deepaudio: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("deepaudio: interrupted", file=sys.stderr)
        return INTERRUPTED
    finally:
        logger.removeHandler(progress)
