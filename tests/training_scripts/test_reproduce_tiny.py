# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""`training_scripts/reproduce_tiny.py` runs what makes the checkpoint that ships, and goes on where it was."""

import shlex
import sys
from pathlib import Path

import pytest

from tests.training_scripts.speech_folders import load_script


@pytest.fixture(scope="module")
def script():
    return load_script("reproduce_tiny")


def commands_of(script, tmp_path, capsys, *arguments) -> list[list[str]]:
    script.main(script.parse_args([f"--work_dir={tmp_path}", "--dry_run", *arguments]))
    return [shlex.split(line) for line in capsys.readouterr().out.splitlines()]


def test_all_arguments_are_those_of_the_scripts(script, tmp_path, capsys):
    commands = commands_of(script, tmp_path, capsys)
    assert len(commands) == len(script.STEPS)
    trainings = [command for command in commands if Path(command[1]).name.startswith("train_")]
    assert len(trainings) == 7
    for _, file, *arguments in trainings:
        args = load_script(Path(file).stem).parse_args(arguments)
        assert args.preset == "tiny"
        assert args.resume_from_checkpoint == "latest"
    by_script = {Path(file).stem: arguments for _, file, *arguments in trainings}
    clips = ["clips/train", "clips/train_choices"]
    for script_name, folders in (
        ("train_codec", [*clips, "speech/train"]),
        ("train_encoders", clips),
        ("train_stage1_v2a", clips),
    ):
        sources = load_script(script_name).parse_args(by_script[script_name]).data
        assert [Path(source).relative_to(tmp_path / "world").as_posix() for source in sources] == folders
    (assembly,) = (command for command in commands if Path(command[1]).stem == "assemble_deepaudio")
    args = load_script("assemble_deepaudio").parse_args(assembly[2:])
    assert args.model_card.is_file()


def test_each_step_takes_what_those_before_it_wrote(script, tmp_path, capsys):
    made = set()
    for command in commands_of(script, tmp_path, capsys):
        paths = [Path(argument).relative_to(tmp_path).parts[0] for argument in command if str(tmp_path) in argument]
        if "make-world" in command:
            made |= set(paths)
            continue
        option = "--output" if "--output" in command else "--output_dir"
        output = Path(command[command.index(option) + 1]).relative_to(tmp_path).parts[0]
        assert set(paths) <= made | {output, "report"}
        made.add(output)


def test_the_last_step_can_be_named(script, tmp_path, capsys):
    assert len(commands_of(script, tmp_path, capsys, "--until=encoders")) == 4


def test_it_goes_on_where_it_was(script, tmp_path):
    def append(text: str, *more: str) -> list[str]:
        code = f"open({str(tmp_path / 'log')!r}, 'a').write({text!r})"
        return [sys.executable, "-c", "; ".join([code, *more])]

    second = append("2", f"open({str(tmp_path / 'needed')!r})")
    commands = {"first": append("1"), "second": second, "third": append("3")}
    with pytest.raises(SystemExit, match="second failed"):
        script.run_commands(commands, tmp_path / "work")
    (tmp_path / "needed").touch()
    script.run_commands(commands, tmp_path / "work")
    script.run_commands(commands, tmp_path / "work")
    assert (tmp_path / "log").read_text() == "1223"
    # What a finished step was told has changed, so that it is not finished any more.
    script.run_commands(commands | {"third": append("4")}, tmp_path / "work")
    assert (tmp_path / "log").read_text() == "12234"
