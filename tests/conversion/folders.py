# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Looking into pipeline folders."""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def check_that_saving_again_changes_nothing(pipeline_class, converted, tmp_path):
    pipeline_class.from_pretrained(converted).save_pretrained(tmp_path)

    def files_of(folder):
        return {path.relative_to(folder): path for path in folder.rglob("*") if path.is_file()}

    written, saved = files_of(converted), files_of(tmp_path)
    assert written.keys() - {Path("README.md")} == saved.keys()
    for name, path in saved.items():
        if name.suffix == ".json":
            # Where something was loaded from is recorded on loading.
            where = ("_name_or_path", "is_local", "local_files_only")
            before, after = (
                {key: value for key, value in json.loads(file.read_text()).items() if key not in where}
                for file in (written[name], path)
            )
            assert after == before, name
        else:
            assert path.read_bytes() == written[name].read_bytes(), name


def weights_in(folder, component):
    return load_file(folder / component / "diffusion_pytorch_model.safetensors")


def same_weights(saved, expected):
    return saved.keys() == expected.keys() and all(torch.equal(saved[name], expected[name]) for name in saved)
