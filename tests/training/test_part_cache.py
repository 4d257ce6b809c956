# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""A cache of several parts, by way of the sounds that the codec is trained on."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub.utils import enable_progress_bars

from deepaudio_diffusers.training import part_cache
from deepaudio_diffusers.training.codec import cache_waveforms
from deepaudio_diffusers.training.data import DataReport
from tests.training.sounding_clips import SAMPLING_RATE, wav_of, write_shard


NUM_SOUNDS = 3 * part_cache.SAMPLES_OF_A_PART + 5


def sound(index: int) -> np.ndarray:
    return np.full(400 + index, (index + 1) / 1000)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sounds")
    write_shard(folder / "a.tar", [{"wav": wav_of(sound(index))} for index in range(NUM_SOUNDS)])
    return folder


def build(source: Path, folder: Path) -> part_cache.PartCache:
    return cache_waveforms(folder, [str(source)], SAMPLING_RATE, 1, DataReport())


@pytest.fixture(scope="module")
def cache(source, tmp_path_factory):
    return build(source, tmp_path_factory.mktemp("cache"))


def assert_whole(cache: part_cache.PartCache) -> None:
    assert len(cache) == NUM_SOUNDS
    for index in np.random.default_rng(0).permutation(NUM_SOUNDS):
        np.testing.assert_allclose(cache.array("waveform", index) / 32_767, sound(index), atol=1e-4)


def test_items_of_all_parts_are_those_that_went_in(cache):
    assert_whole(cache)
    assert cache.lengths("waveform").tolist() == [400 + index for index in range(NUM_SOUNDS)]


def test_only_so_many_files_are_open(cache, monkeypatch):
    def open_files() -> int:
        paths = [os.path.realpath(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd")]
        return sum(path.endswith(".npy") for path in paths)

    copy = pickle.loads(pickle.dumps(cache))
    before = open_files()
    monkeypatch.setattr(part_cache, "MAX_OPEN_FILES", 2)
    assert_whole(copy)
    assert open_files() - before == 2


def test_a_copy_for_another_process_has_no_arrays_in_it(cache):
    assert_whole(cache)
    pickled = pickle.dumps(cache)
    assert len(pickled) < cache.lengths("waveform").sum() / 4
    assert_whole(pickle.loads(pickled))


def test_what_was_broken_off_goes_on(source, cache, tmp_path, capsys):
    # Converting weights turns them off for the whole process.
    enable_progress_bars()
    build(source, tmp_path / "cache")
    assert f"{NUM_SOUNDS}/{NUM_SOUNDS}" in capsys.readouterr().err
    manifest = tmp_path / "cache" / "manifest.json"
    parts = sorted((tmp_path / "cache").glob("items-*.json"))
    untouched = parts[0].stat().st_mtime_ns
    # As a kill after the first part leaves it.
    manifest.write_text(manifest.read_text().partition(", ")[0] + "}")
    for path in (*parts[1:], *(tmp_path / "cache").glob("waveform-0000[1-9].npy")):
        path.unlink()
    assert_whole(build(source, tmp_path / "cache"))
    assert parts[0].stat().st_mtime_ns == untouched
