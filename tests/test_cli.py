# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""The command `deepaudio`: what it prints, and its exit codes."""

import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

from deepaudio_diffusers.cli import main
from deepaudio_diffusers.conversion.recipes import MMAUDIO_RECIPES
from tests.conversion.published import tiny_recipe, write_published_files


@pytest.fixture
def tiny_variant(monkeypatch):
    """`mm-s16k` with tiny networks."""
    monkeypatch.setitem(MMAUDIO_RECIPES, "mm-s16k", tiny_recipe())


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "deepaudio_diffusers.cli", *arguments], capture_output=True, text=True, check=False
    )


def test_convert_writes_the_folder_and_reports_each_step(tiny_variant, tmp_path, capsys):
    write_published_files(tmp_path / "source")
    arguments = ["--source", str(tmp_path / "source"), "--output", str(tmp_path / "out"), "--dtype", "bfloat16"]

    assert main(["convert", "mm-s16k", *arguments]) == 0
    vocoder = load_file(tmp_path / "out" / "vocoder" / "diffusion_pytorch_model.safetensors")
    assert {tensor.dtype for tensor in vocoder.values()} == {torch.bfloat16}
    progress = capsys.readouterr().err.splitlines()
    assert "[5/5] BigVGAN vocoder, 16000 Hz: best_netG.pt -> vocoder" in progress
    assert progress[-1] == "Wrote the pipeline folder out"

    assert main(["convert", "mm-s16k", *arguments]) == 1
    assert "`output` ('out') holds a pipeline already" in capsys.readouterr().err
    assert main(["convert", "mm-s16k", *arguments, "--overwrite"]) == 0


def test_what_is_wrong_with_the_files_is_one_message_and_exit_code_1(tmp_path):
    (tmp_path / "source").mkdir()
    result = run("convert", "mm-l44k-v2", "--source", str(tmp_path / "source"), "--output", str(tmp_path / "out"))

    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.startswith("deepaudio: error: mm-l44k-v2 cannot be made from the files in `source`")
    assert "weights/mmaudio_large_44k_v2.pth in hkchengrex/MMAudio (3.9 GB" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "out").exists()


def test_what_is_wrong_with_the_disk_is_one_message_too(tiny_variant, tmp_path, capsys):
    write_published_files(tmp_path / "source")
    (tmp_path / "file").touch()
    output = tmp_path / "file" / "out"

    assert main(["convert", "mm-s16k", "--source", str(tmp_path / "source"), "--output", str(output)]) == 1
    assert "deepaudio: error: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["convert", "mm-xl", "--source", "a", "--output", "b"], "invalid choice: 'mm-xl' (choose from"),
        (["convert", "mm-s16k", "--source", "a"], "the following arguments are required: --output"),
        (["convert", "mm-s16k", "--source", "a", "--output", "b", "--dtype", "int8"], "invalid choice: 'int8'"),
    ],
)
def test_a_wrong_command_line_is_exit_code_2(capsys, arguments, message):
    with pytest.raises(SystemExit) as info:
        main(arguments)
    assert info.value.code == 2
    assert message in capsys.readouterr().err


def test_help_teaches_every_variant_by_example(capsys):
    with pytest.raises(SystemExit) as info:
        main(["convert", "--help"])
    assert info.value.code == 0
    text = capsys.readouterr().out
    assert all(f"  {variant} " in text for variant in MMAUDIO_RECIPES)
    assert "deepaudio convert mm-l44k-v2 --source hkchengrex/MMAudio --output" in text
    assert "CC BY-NC 4.0" in text


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
