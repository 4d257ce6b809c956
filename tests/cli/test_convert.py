# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""`deepaudio convert`: what it prints, and its exit codes."""

import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

from deepaudio_diffusers.cli import main
from deepaudio_diffusers.conversion.recipes import RECIPES
from tests.conversion.published import (
    tiny_deepaudio_recipe,
    tiny_recipe,
    tiny_speech_recipe,
    write_gate,
    write_published_files,
    write_published_speech_files,
)


@pytest.fixture
def tiny_variant(monkeypatch):
    """`mm-s16k` with tiny networks."""
    monkeypatch.setitem(RECIPES, "mm-s16k", tiny_recipe())


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


@pytest.mark.parametrize(
    ("variant", "network"),
    [
        ("f5-v1-base", "F5-TTS network: model_1250000.safetensors"),
        ("v2s-l44", "DeepAudio-V1 speech network: v2c_l44.pt"),
    ],
)
def test_convert_writes_speech_folders(monkeypatch, tmp_path, capsys, variant, network):
    monkeypatch.setitem(RECIPES, variant, tiny_speech_recipe(variant))
    write_published_speech_files(tmp_path / "source")

    assert main(["convert", variant, "--source", str(tmp_path / "source"), "--output", str(tmp_path / "out")]) == 0
    assert "TextToSpeechPipeline" in (tmp_path / "out" / "model_index.json").read_text()
    progress = capsys.readouterr().err.splitlines()
    assert f"[1/2] {network} -> transformer" in progress
    assert "[2/2] Vocos vocoder, 24000 Hz: pytorch_model.bin -> vocoder" in progress


@pytest.mark.parametrize("with_gate", [True, False])
def test_convert_composes_deepaudio_folders(monkeypatch, tmp_path, capsys, with_gate):
    monkeypatch.setitem(RECIPES, "deepaudio-s16", tiny_deepaudio_recipe())
    write_published_files(tmp_path / "source" / "MMAudio")
    write_published_speech_files(tmp_path / "source")
    arguments = ["convert", "deepaudio-s16", "--source", str(tmp_path / "source"), "--output", str(tmp_path / "out")]
    if with_gate:
        arguments += ["--gate", str(write_gate(tmp_path / "my-gate"))]

    assert main(arguments) == 0
    assert "DeepAudioPipeline" in (tmp_path / "out" / "model_index.json").read_text()
    assert (tmp_path / "out" / "gate").is_dir() == with_gate
    progress = capsys.readouterr().err.splitlines()
    assert "[6/7] DeepAudio-V1 speech network: v2c_s16.pt -> speech_transformer" in progress
    assert ("Gating network: my-gate/model.safetensors -> gate, gate_tokenizer" in progress) == with_gate
    assert progress[-1].startswith("Wrote the pipeline folder out" if with_gate else "out has no gate: `task=` works")


def test_a_wrong_gate_is_one_message_before_any_work(tmp_path, capsys):
    (tmp_path / "my-gate").mkdir()
    arguments = [
        "--source",
        "lshzhm/DeepAudio-V1",
        "--gate",
        str(tmp_path / "my-gate"),
        "--output",
        str(tmp_path / "out"),
    ]

    assert main(["convert", "deepaudio-l44", *arguments]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(
        "deepaudio: error: `gate` ('my-gate') is not a folder with a gate for DeepAudioPipeline: it"
    )

    assert main(["convert", "mm-s16k", *arguments]) == 1
    assert "the pipeline of mm-s16k reads no instructions" in capsys.readouterr().err


def test_a_network_that_its_name_does_not_tell_is_a_warning_on_the_screen(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(RECIPES, "f5-base", tiny_speech_recipe("f5-base"))
    files = write_published_speech_files(tmp_path / "files") / "F5-TTS" / "F5TTS_Base"
    (tmp_path / "source").mkdir()
    (files / "model_1200000.safetensors").rename(tmp_path / "source" / "mine.safetensors")
    (files / "vocab.txt").rename(tmp_path / "source" / "vocab.txt")
    (tmp_path / "files" / "vocos-mel-24khz" / "pytorch_model.bin").rename(tmp_path / "source" / "vocos.bin")

    assert main(["convert", "f5-base", "--source", str(tmp_path / "source"), "--output", str(tmp_path / "out")]) == 0
    assert "`mine.safetensors` is taken for f5-base as asked: its name" in capsys.readouterr().err


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


def test_what_is_not_published_cannot_be_downloaded(tmp_path, capsys):
    arguments = ["convert", "f5-small", "--source", "SWivid/F5-TTS", "--output", str(tmp_path / "out")]

    assert main(arguments) == 1
    assert "the authors of F5-TTS publish no f5-small" in capsys.readouterr().err


def test_help_teaches_every_variant_by_example(capsys):
    with pytest.raises(SystemExit) as info:
        main(["convert", "--help"])
    assert info.value.code == 0
    text = capsys.readouterr().out
    assert all(f"  {variant} " in text for variant in RECIPES)
    for command in (
        "deepaudio convert mm-l44k-v2 --source hkchengrex/MMAudio --output",
        "deepaudio convert f5-v1-base --source SWivid/F5-TTS --output",
        "deepaudio convert v2s-s16 --source lshzhm/DeepAudio-V1 --output",
        "deepaudio convert deepaudio-s16 --source lshzhm/DeepAudio-V1 --gate my-gate --output",
    ):
        assert command in text
    assert "small_16k + v2c_s16  24000 Hz  network 601 MB + 1.35 GB" in text
    assert "CC BY-NC 4.0" in text
    assert "f5-small is the size that the authors of F5-TTS describe and do not publish" in text
