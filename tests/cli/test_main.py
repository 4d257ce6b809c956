# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""What all commands have in common."""

import inspect
import subprocess
import sys

import pytest

from deepaudio_diffusers.cli import COMMANDS, main
from deepaudio_diffusers.cli.generate import SAMPLING_ARGUMENTS, TASKS
from deepaudio_diffusers.models import gating_network
from deepaudio_diffusers.pipelines.pipeline_deepaudio import DeepAudioPipeline


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["convert", "mm-xl", "--source", "a", "--output", "b"], "invalid choice: 'mm-xl' (choose from"),
        (["generate", "a.mp4", "--output", "b"], "the following arguments are required: --model"),
        (["generate", "a.mp4", "--model", "m", "--output", "b", "--task", "dub"], "invalid choice: 'dub'"),
        (["generate", "a.mp4", "--model", "m", "--output", "b", "--steps", "0"], "0 is less than 1"),
        (["generate", "a.mp4", "--model", "m", "--output", "b", "--seed", "-1"], "-1 is not between 0 and"),
        (["generate", "a.mp4", "--model", "m", "--output", "b", "--length", "nan"], "nan is not above 0"),
        (["generate", "a.mp4", "--model", "m", "--output", "b", "--save", "video,mp3"], "'video,mp3' is not out of"),
        (["generate", "a.mp4", "--model", "m", "--output", "b", "--resume", "--overwrite"], "not allowed with"),
        (["train", "stage5"], "invalid choice: 'stage5' (choose from"),
        (["convert", "mm-s16k", "--source", "a"], "the following arguments are required: --output"),
        (["convert", "mm-s16k", "--source", "a", "--output", "b", "--dtype", "int8"], "invalid choice: 'int8'"),
    ],
)
def test_a_wrong_command_line_is_exit_code_2(capsys, arguments, message):
    with pytest.raises(SystemExit) as info:
        main(arguments)
    assert info.value.code == 2
    assert message in capsys.readouterr().err


def test_version_and_help_do_not_wait_for_torch():
    code = (
        "import sys\n"
        "from deepaudio_diffusers.cli import main\n"
        "try:\n    main([sys.argv[1]])\n"
        "except SystemExit as done:\n    assert done.code == 0\n"
        "assert not {'torch', 'diffusers', 'transformers'} & sys.modules.keys()\n"
    )
    for option in ("--help", "--version"):
        result = subprocess.run([sys.executable, "-c", code, option], capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr
        assert "deepaudio" in result.stdout


def test_every_command_has_help_with_examples(capsys):
    for command in COMMANDS:
        name = command.__name__.rpartition(".")[2].replace("_", "-")
        with pytest.raises(SystemExit) as info:
            main([name, "--help"])
        assert info.value.code == 0
        assert f"  deepaudio {name} " in capsys.readouterr().out


def test_generate_has_the_tasks_and_the_defaults_of_the_pipeline(capsys):
    assert TASKS == gating_network.TASKS == tuple(gating_network.MoFGatingConfig().id2label.values())
    parameters = inspect.signature(DeepAudioPipeline.__call__).parameters
    with pytest.raises(SystemExit):
        main(["generate", "--help"])
    help_text = " ".join(capsys.readouterr().out.split())
    for option, argument in SAMPLING_ARGUMENTS.items():
        part = help_text.partition(f" --{option.replace('_', '-')} {option.upper()} ")[2]
        default = parameters[argument].default
        shown = "none, " if default is None else f"{default})"
        assert part.partition("(default: ")[2].startswith(shown), option
