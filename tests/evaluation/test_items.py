# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
import json

import datasets
import numpy as np
import pytest
import torch

from deepaudio_diffusers.errors import InputError
from deepaudio_diffusers.evaluation.items import Item, items_of_dataset, load_item, read_items, with_results
from tests.evaluation.generated import SAMPLING_RATE, vowel, write_clips


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips") / "clips"
    write_clips(folder)
    return folder


def test_each_way_to_fail_is_named(folder):
    items, unexpected = with_results(read_items(folder / "manifest.jsonl"), folder / "bad")
    loaded = [load_item(item) for item in items]
    reasons = [clip.failure for clip in loaded]
    assert reasons[0] == "missing"
    assert reasons[1].startswith("unreadable: ")
    assert reasons[2] == "silent"
    assert reasons[3] == "too short: 1 samples"
    assert reasons[4].startswith("unreadable: ") and "NaN" in reasons[4]
    assert reasons[5] is None
    assert unexpected == ["stranger.wav"]


def test_a_result_that_failed_is_silence_as_long_as_the_reference(folder):
    items, _ = with_results(read_items(folder / "manifest.jsonl"), folder / "bad")
    clip = load_item(items[0])
    assert not clip.waveform.any()
    assert clip.length_in_s == clip.reference_length_in_s == pytest.approx(0.6)


def test_a_reference_that_cannot_be_read_ends_the_work(folder):
    item = Item("clip", result=folder / "same" / "clip-0.wav", reference=folder / "bad" / "clip-1.wav")
    with pytest.raises(InputError, match="reference of 'clip'"):
        load_item(item)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["no json"], "Line 1"),
        (["[]"], "JSON object"),
        (['{"result": "a.wav"}'], "key"),
        (['{"key": "a"}', '{"key": "a"}'], "twice"),
        (['{"key": "a", "transcript": 5}'], "transcript"),
        ([], "nothing to score"),
    ],
)
def test_manifests_that_are_none_are_refused(tmp_path, lines, message):
    path = tmp_path / "manifest.jsonl"
    path.write_text("\n".join(lines))
    with pytest.raises(InputError, match=message):
        read_items(path)


def test_two_results_of_a_clip_are_refused(tmp_path):
    for name in ("a.wav", "a.flac"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(InputError, match=r"a\.wav"):
        with_results([Item("a")], tmp_path)


def test_a_data_set_has_the_same_items_as_a_manifest(folder, tmp_path):
    lines = [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]
    columns = {
        "key": [line["key"] for line in lines],
        "transcript": [line["transcript"] for line in lines],
        "reference": [str(folder / line["reference"]) for line in lines],
        "result": [str(folder / "same" / f"{line['key']}.wav") for line in lines],
        "something_else": list(range(len(lines))),
    }
    audio = datasets.Audio(decode=False)
    dataset = datasets.Dataset.from_dict(columns).cast_column("reference", audio).cast_column("result", audio)
    dataset.save_to_disk(tmp_path / "saved")
    for items in (items_of_dataset(dataset), read_items(tmp_path / "saved")):
        assert [item.key for item in items] == columns["key"]
        clip = load_item(items[2])
        assert clip.failure is None
        assert torch.equal(clip.waveform, clip.reference)
        assert np.allclose(clip.waveform, vowel(140), atol=1e-4) and clip.sampling_rate == SAMPLING_RATE
