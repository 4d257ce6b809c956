# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""`deepaudio doctor`: what it looks at, what it finds wrong, and what it advises."""

import importlib.metadata
import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from deepaudio_diffusers.cli import main
from deepaudio_diffusers.cli.doctor_environment import check_environment
from deepaudio_diffusers.cli.doctor_model import check_model
from tests.cli.conftest import CHECKPOINT
from tests.tiny import tiny_deepaudio_pipeline


def checks_of(printed: str) -> dict[str, dict]:
    return {check["check"]: check for check in json.loads(printed)["checks"]}


def test_a_sound_environment_and_model_pass(capsys):
    code = main(["doctor", "--model", str(CHECKPOINT), "--device", "cpu", "--json"])
    report = json.loads(capsys.readouterr().out)
    assert [check for check in report["checks"] if check["status"] == "fail"] == []
    assert code == 0
    assert report["ok"]
    checks = {check["check"]: check["found"] for check in report["checks"]}
    assert checks["torch"] == importlib.metadata.version("torch")
    assert checks[".webm"] == "written and read again"
    assert checks["vae"] == "MMAudioMelVAE, 2.2 M parameters, all there and finite"
    assert checks["text_to_speech"].endswith(" s")
    assert {"Python", "memory", "CPU", "encoders", "disk, here", "video_to_audio"} < checks.keys()


def test_a_gate_is_tried(tmp_path):
    tiny_deepaudio_pipeline().save_pretrained(tmp_path)
    gate = [finding for finding in check_model(str(tmp_path), "cpu") if finding.check == "gate"]
    assert [finding.status for finding in gate] == ["pass", "pass"]
    assert gate[1].found.startswith("'Dub this clip.' is ")


def test_what_is_not_installed_or_of_another_version_fails(tmp_path, monkeypatch, capsys):
    """With the metadata of a package that asks for what is not there, as an environment of somebody else has it."""
    (tmp_path / "deepaudio_diffusers-9.dist-info").mkdir()
    (tmp_path / "deepaudio_diffusers-9.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: deepaudio-diffusers\nVersion: 9\nRequires-Python: >=3.99\n"
        "Requires-Dist: numpy<1\nRequires-Dist: no-such-library>=2\nRequires-Dist: safetensors>=0.1\n"
        'Requires-Dist: no-such-trainer; extra == "training"\n'
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    findings = {finding.check: finding for finding in check_environment()}
    assert findings["Python"].status == "fail"
    assert findings["numpy"].found == f"{importlib.metadata.version('numpy')}; needs <1"
    assert findings["numpy"].way_out == 'pip install "numpy<1"'
    assert findings["no-such-library"].found == "not installed; needs >=2"
    assert findings["safetensors"].status == "pass"
    assert findings["extra training"].status == "warn"
    assert findings["extra training"].way_out == "for deepaudio train: pip install 'deepaudio-diffusers[training]'"

    assert main(["doctor"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert '      -> pip install "numpy<1"' in lines
    assert lines[-1].endswith("3 fail")


def edit_weights(path: Path, edit) -> None:
    weights = load_file(path)
    edit(weights)
    save_file(weights, path)


def _lose(weights):
    del weights[min(weights)]


def _add(weights):
    weights["extra"] = torch.zeros(1)


def _spoil(weights):
    weights[min(weights)].view(-1)[0] = torch.nan


def _cut(path: Path):
    path.write_bytes(path.read_bytes()[:1000])


@pytest.mark.parametrize("part", ["vae/diffusion_pytorch_model", "text_encoder/model"])
@pytest.mark.parametrize(
    ("damage", "found"),
    [
        (lambda path: edit_weights(path, _lose), "1 missing keys: "),
        (lambda path: edit_weights(path, _add), "1 unexpected keys: extra"),
        (lambda path: edit_weights(path, _spoil), "has NaN or infinite weights: "),
        (_cut, "does not load: "),
        (Path.unlink, "does not load: "),
    ],
)
def test_damaged_parts_are_named(tmp_path, part, damage, found):
    shutil.copytree(CHECKPOINT, tmp_path / "model")
    damage(tmp_path / "model" / f"{part}.safetensors")
    findings = [finding for finding in check_model(str(tmp_path / "model"), "cpu") if finding.status == "fail"]
    assert [finding.check for finding in findings] == [part.split("/")[0]]
    assert findings[0].found.startswith(found)
    assert findings[0].way_out == "convert or download the model again"


@pytest.mark.parametrize(
    ("index", "check", "found"),
    [
        ("{", "model_index.json", "cannot be read: "),
        ('{"vae": ["os", "system"]}', "vae", "is a os.system, which is not known"),
        ('{"vae": ["deepaudio_diffusers", "Nothing"]}', "vae", "is a deepaudio_diffusers.Nothing, which is not known"),
        ('{"_class_name": "Nothing"}', "model", "`model` ('model') cannot be loaded: "),
        (None, "model", "`model` ("),
    ],
)
def test_a_damaged_index_is_named(tmp_path, index, check, found):
    (tmp_path / "model").mkdir()
    if index is not None:
        (tmp_path / "model" / "model_index.json").write_text(index)
    finding = list(check_model(str(tmp_path / "model"), "cpu"))[-1]
    assert (finding.status, finding.check) == ("fail", check)
    assert finding.found.startswith(found)
