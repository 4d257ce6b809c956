# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""The commands of a shell block: what a shell makes of it, and each of them run here, or at least parsed."""

import argparse
import importlib
import importlib.util
import os
import pkgutil
import re
import runpy
import shutil
import stat
import subprocess
import sys
import tempfile
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import pytest
from accelerate.commands.launch import launch_command_parser
from torch.distributed.run import get_args_parser as torchrun_parser

import deepaudio_diffusers.cli
from tests.documents.blocks import PROGRAMS, ROOT


# Stands in the place of a program: notes its arguments, each ended by a unit separator, in a line of a file.
RECORDER = """\
#!/bin/sh
{{ printf '%s\\037' {program} "$@"; echo; }} >> {record}
"""

# Commands that are parsed and not run, by how they begin, with the reason.
NOT_RUN = {
    "accelerate launch training_scripts/": "trains for hours; tests/training_scripts trains with each script",
    "torchrun training_scripts/": "the same",
    "apt-get install": "changes the machine",
    "deepaudio convert": "downloads gigabytes; tests/conversion converts small files in the published formats",
    "deepaudio evaluate": "needs results and more packages; tests/evaluation score small sets",
    "deepaudio make-world": "takes an hour; tests/synthetic makes small worlds",
    "deepaudio train": "trains; tests/cli starts a training by this command",
    "git clone": "needs the network",
    "hf ": "needs the Hub",
    "make app": "serves until it is stopped; tests/space serves and asks it",
    "make demo": "installs; the command that it ends with is run by test_the_demo_of_the_makefile",
    "make space": "is run by tests/space",
    "make test": "is what these tests run in",
    "pip install": "needs the network",
    "python benchmarks/": "measures for minutes or hours, most of them beside other software",
    "python -m deepaudio_diffusers.cli evaluate": "as deepaudio evaluate",
    "python -m pytest": "is what these tests run in",
    "python spaces_app.py": "needs gradio and serves until it is stopped; tests/space serves and asks it",
    "python training_scripts/": "needs the results of training; tests/training_scripts runs each script",
}
# Packages that `pip install` is told of besides this one.
PACKAGES = {"resemblyzer"}


class _Parsed(Exception):
    """Ends a script as soon as its arguments are parsed."""


def commands_of(script: str) -> list[list[str]]:
    """Run a shell script in which every program only notes its arguments.

    Raises:
        AssertionError: The script has an error, or calls a program that is not among [`PROGRAMS`].
    """
    with tempfile.TemporaryDirectory() as folder:
        programs, record = Path(folder, "programs"), Path(folder, "commands")
        programs.mkdir()
        record.touch()
        for program in PROGRAMS:
            path = programs / program
            path.write_text(RECORDER.format(program=program, record=record))
            path.chmod(path.stat().st_mode | stat.S_IXUSR)
        # Programs of the environment that the Makefile makes stand in as well.
        shell = [shutil.which("bash"), "-euo", "pipefail", "-c", script.replace(".venv/bin/", "")]
        environment = {"PATH": str(programs), "HOME": "/home/somebody"}
        result = subprocess.run(shell, env=environment, cwd=folder, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr
        return [line.split("\x1f")[:-1] for line in record.read_text().split("\n")[:-1]]


def reason_not_to_run(command: list[str]) -> str | None:
    """Why a command is parsed only; `None` when it is to be run."""
    text = " ".join(without_launcher_options(command))
    return next((reason for start, reason in NOT_RUN.items() if text.startswith(start)), None)


def run_command(command: list[str], more: list[str] = ()) -> None:
    """Run a command in this process and in this folder, with further arguments."""
    program, *arguments = without_launcher_options(command)
    if program == "deepaudio":
        assert deepaudio_diffusers.cli.main([*arguments, *more]) == 0
        return
    script, *arguments = arguments[1:] if arguments[0] == "launch" else arguments
    with _arguments(script, [*arguments, *more]):
        runpy.run_path(str(ROOT / script), run_name="__main__")


def parse_command(command: list[str]) -> None:
    """Check the arguments of a command by what will parse them.

    Raises:
        SystemExit: They are refused.
        AssertionError: A file, target or package does not exist.
    """
    program, *arguments = without_launcher_options(command)
    match program, arguments:
        case "deepaudio", _:
            _deepaudio_parser().parse_args(arguments)
        case "python", ["-m", "pytest", *paths]:
            assert [path for path in paths if not (ROOT / path).exists()] == []
        case "python", ["-m", module] | ["-m", module, *_, "..."]:
            assert importlib.util.find_spec(module) is not None
        case "python", ["spaces_app.py", *_]:
            assert (ROOT / "spaces_app.py").is_file()
        case "hf", ["repos" | "upload" | "download", *_]:
            pass
        case ("accelerate", ["launch", script, "..."]) | ("torchrun", [script, "..."]):
            assert (ROOT / script).is_file()
        case ("accelerate", ["launch", script, *rest]) | ("python" | "torchrun", [script, *rest]):
            _parse_for_script(ROOT / script, rest)
        case "make", [target]:
            assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE), f"no target {target}"
        case "pip", ["install", *packages]:
            _check_packages([package for package in packages if not package.startswith("-")])
        case "apt-get", ["install", *packages]:
            assert packages
        case "git", ["clone", address]:
            assert address.startswith("https://github.com/")
        case _:
            raise AssertionError(f"no rule for {command}; add one, or a line to NOT_RUN")


def is_name(command: list[str]) -> bool:
    """Whether a document only names a command, `deepaudio convert` or a script, and does not say how to call it."""
    match command:
        case ["deepaudio", _, *arguments]:
            options = [argument for argument in arguments if argument.startswith("--")]
            return not options or options == arguments
        case ["python", script]:
            return script.endswith(".py")
    return False


def check_name(command: list[str]) -> None:
    """Check that a command that is named exists, with the options that are named."""
    if command[0] == "python":
        assert (ROOT / command[1]).is_file()
        return
    with pytest.raises(SystemExit) as info, redirect_stdout(StringIO()) as text:
        _deepaudio_parser().parse_args([command[1], "--help"])
    assert info.value.code == 0
    assert [word for word in command[2:] if word.startswith("--") and word not in text.getvalue()] == []


def without_launcher_options(command: list[str]) -> list[str]:
    """`accelerate launch --mixed_precision bf16 SCRIPT ...` -> `accelerate launch SCRIPT ...`, and so for torchrun."""
    match command:
        case ["accelerate", "launch", *arguments]:
            options = launch_command_parser().parse_args(arguments)
            if options.module:
                return ["python", "-m", options.training_script, *options.training_script_args]
            return ["accelerate", "launch", options.training_script, *options.training_script_args]
        case ["torchrun", *arguments]:
            options = torchrun_parser().parse_args(arguments)
            if options.module:
                return ["python", "-m", options.training_script, *options.training_script_args]
            return ["torchrun", options.training_script, *options.training_script_args]
    return command


def _deepaudio_parser() -> argparse.ArgumentParser:
    """The parser of `deepaudio`, from all of its commands."""
    parser = argparse.ArgumentParser(prog="deepaudio")
    commands = parser.add_subparsers(required=True)
    for module in pkgutil.iter_modules(deepaudio_diffusers.cli.__path__, "deepaudio_diffusers.cli."):
        if not module.name.endswith("__main__"):
            add_command = getattr(importlib.import_module(module.name), "add_command", None)
            if add_command is not None:
                add_command(commands)
    return parser


def _parse_for_script(path: Path, arguments: list[str]) -> None:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    script = importlib.util.module_from_spec(spec)
    with _arguments(path, arguments):
        spec.loader.exec_module(script)
        if hasattr(script, "parse_args"):
            script.parse_args()
            return
        parse_args = argparse.ArgumentParser.parse_args

        def parse_and_end(*args, **kwargs):
            parse_args(*args, **kwargs)
            raise _Parsed

        argparse.ArgumentParser.parse_args = parse_and_end
        try:
            script.main()
        except _Parsed:
            return
        finally:
            argparse.ArgumentParser.parse_args = parse_args
    raise AssertionError(f"{path.name} parses no arguments")


class _arguments:
    """Call a script's code as Python itself would: with its arguments, and its folder on the path."""

    def __init__(self, script: str | os.PathLike, arguments: list[str]) -> None:
        self.argv, self.path = [str(script), *arguments], str((ROOT / script).parent)

    def __enter__(self) -> None:
        self.before = sys.argv, list(sys.path)
        sys.argv = self.argv
        sys.path.insert(0, self.path)

    def __exit__(self, *exception) -> None:
        sys.argv, sys.path[:] = self.before


def _check_packages(packages: list[str]) -> None:
    setup = (ROOT / "setup.py").read_text(encoding="utf-8")
    for package in packages:
        name, _, extra = package.partition("[")
        if name in (".", "deepaudio-diffusers"):
            assert not extra or f'"{extra.rstrip("]")}": ' in setup, f"setup.py has no extra for {package}"
        else:
            assert name in PACKAGES, f"{package} is unknown here; add it to PACKAGES"
