# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Folders that `evaluate.load` loads by their paths, without a network."""

import evaluate
import numpy as np
import pytest

from deepaudio_diffusers.errors import InputError
from deepaudio_diffusers.evaluation import MODULES, module_path
from deepaudio_diffusers.evaluation.distributions import frechet_distance, inception_score, kernel_distance
from deepaudio_diffusers.evaluation.spectral import mel_cepstral_distortion
from tests.evaluation.generated import SAMPLING_RATE, blows, jumping_block, vowel


RNG = np.random.default_rng(0)
FIRST, SECOND = RNG.normal(size=(12, 3)).astype(np.float32), RNG.normal(size=(12, 3)).astype(np.float32)


def compute(name: str, **inputs) -> dict:
    return evaluate.load(module_path(name)).compute(**inputs)


def test_distances_are_those_of_the_plain_functions():
    sets = {"predictions": FIRST, "references": SECOND}
    assert compute("frechet_distance", **sets)["frechet_distance"] == pytest.approx(frechet_distance(SECOND, FIRST))
    found = compute("kernel_distance", **sets, num_subsets=2, subset_size=5)["kernel_distance"]
    assert found == pytest.approx(kernel_distance(SECOND, FIRST, num_subsets=2, subset_size=5))
    assert compute("inception_score", predictions=FIRST)["inception_score"] == pytest.approx(inception_score(FIRST))
    assert compute("kl_divergence", predictions=FIRST, references=FIRST)["kl_divergence"] == pytest.approx(0, abs=1e-9)
    assert compute("embedding_similarity", predictions=FIRST, references=2 * FIRST)["similarity"] == pytest.approx(1)


def test_speech_is_measured_by_waveforms_and_words():
    pair = vowel(120), vowel(150)
    found = compute("mcd", predictions=[pair[1]], references=[pair[0]], sampling_rate=SAMPLING_RATE, mode="dtw")
    assert found["mcd"] == pytest.approx(mel_cepstral_distortion(*pair, SAMPLING_RATE, "dtw"), rel=1e-6)
    rates = compute("word_error_rate", predictions=["set blue", "go"], references=["Set, blue now.", "go"])
    assert rates["wer"] == pytest.approx(1 / 4) and rates["wer_mean"] == pytest.approx(1 / 6)
    lengths = compute("duration_error", predictions=[1.0, 2.0], references=[2.0, 2.0])
    assert lengths["duration_error"] == pytest.approx(0.25)


def test_motion_is_measured_by_videos(tmp_path):
    video = tmp_path / "clip.mp4"
    video.write_bytes(jumping_block())
    sound = blows(offset_in_s=0.4)
    found = compute("av_align", predictions=[sound], references=[str(video)], sampling_rate=SAMPLING_RATE)
    assert found["offsets"] == pytest.approx([0.4])
    assert found["desync"] == pytest.approx(0.4)


def test_every_folder_has_a_card_and_no_other_is_found():
    folders = [path for path in MODULES.iterdir() if path.is_dir() and path.name != "__pycache__"]
    assert len(folders) == 10
    assert all((folder / "README.md").is_file() for folder in folders)
    with pytest.raises(InputError, match="frechet_distance"):
        module_path("beauty")
