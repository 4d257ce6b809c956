# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""DeSync: its protocol, what it says of clips whose offset is known, and what does not fit it.

The network that knows offsets was trained by `train_synchformer.py` on scenes that are not among the clips here.
"""

import json
from pathlib import Path

import evaluate
import numpy as np
import pytest
import torch

from deepaudio_diffusers import Synchformer, SynchformerVideoEncoder
from deepaudio_diffusers.cli import main
from deepaudio_diffusers.errors import CheckpointError, InputError
from deepaudio_diffusers.evaluation import module_path
from deepaudio_diffusers.evaluation.desync import SynchronyNetwork
from deepaudio_diffusers.evaluation.embeddings import EmbeddingCache
from deepaudio_diffusers.evaluation.selection import select_scorers
from deepaudio_diffusers.media import write_audio
from deepaudio_diffusers.processing.audio import synchformer_mel
from deepaudio_diffusers.processing.video import normalize_sync_frames, read_video_streams
from tests.evaluation.lamps import SAMPLING_RATE, TEST_SEEDS, film_lamps, make_lamps, sound_lamps
from tests.golden import FIXTURES


TRAINED = FIXTURES / "synchformer_lamps"
LENGTH_IN_S = 8.0
# Each with a clip of its own; all parts of the grid, and more than one clip in time.
KNOWN_OFFSETS_IN_S = (-2.0, -1.4, -1.0, -0.6, -0.2, 0.0, 0.0, 0.2, 0.4, 0.8, 1.2, 1.6, 2.0)


@pytest.fixture(scope="module")
def random_folder(tmp_path_factory) -> Path:
    """A network with random weights, for what does not depend on what it has learnt."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("synchformer") / "random"
    config = {"hidden_size": 16, "num_video_layers": 1, "num_audio_layers": 1, "num_sync_layers": 1}
    config |= {"num_attention_heads": 2, "num_sync_heads": 2, "image_size": 16, "num_mel_bins": 26}
    Synchformer(**config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def film(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("films") / "clip.mp4"
    path.write_bytes(film_lamps(make_lamps(TEST_SEEDS[0], LENGTH_IN_S)))
    return path


def sound_of(seed: int, late_by_s: float = 0.0) -> torch.Tensor:
    return torch.from_numpy(sound_lamps(make_lamps(seed, LENGTH_IN_S), late_by_s))


def score(*arguments) -> int:
    return main(["evaluate", "score", *map(str, arguments)])


def read(folder: Path) -> dict:
    return json.loads((folder / "report.json").read_text())


def test_known_offsets_of_unseen_clips_are_recovered(tmp_path):
    sounds, films = [], []
    for seed, offset in zip(TEST_SEEDS, KNOWN_OFFSETS_IN_S, strict=False):
        films.append(tmp_path / f"{seed}.mp4")
        films[-1].write_bytes(film_lamps(make_lamps(seed, LENGTH_IN_S)))
        sounds.append(sound_of(seed, offset).numpy())
    metric = evaluate.load(module_path("desync"))
    arguments = {"sampling_rate": SAMPLING_RATE, "synchformer": str(TRAINED)}
    found = metric.compute(predictions=sounds, references=[str(film) for film in films], **arguments)
    errors = np.abs(np.array(found["offsets"]) - np.array(KNOWN_OFFSETS_IN_S)[:, None])
    # By chance, or by sound alone, some tenths to more than a second.
    assert errors.mean() < 0.1
    assert (errors < 0.05).mean() > 0.75
    assert found["desync"] == pytest.approx(np.abs(KNOWN_OFFSETS_IN_S).mean(), abs=0.1)


def test_later_sound_scores_worse_and_the_report_says_who_heard_it(tmp_path, film):
    for name, offset in (("in_time", 0.0), ("late", 0.8)):
        (tmp_path / name).mkdir()
        write_audio(tmp_path / name / "clip.wav", sound_of(TEST_SEEDS[0], offset), SAMPLING_RATE)
    (tmp_path / "manifest.jsonl").write_text(json.dumps({"key": "clip", "video": str(film)}) + "\n")
    arguments = [tmp_path / "manifest.jsonl", "--results", tmp_path / "in_time", "--results", tmp_path / "late"]
    arguments += ["--scores", "desync", "--synchformer", TRAINED, "--output", tmp_path / "out"]
    assert score(*arguments, "--benchmark", "vggsound-test") == 0
    report = read(tmp_path / "out")
    figures = {name: system["figures"]["desync"]["value"] for name, system in report["systems"].items()}
    assert figures["in_time"] == pytest.approx(0, abs=0.11)
    assert figures["late"] == pytest.approx(0.8, abs=0.11)
    protocol = report["protocol"]["desync"]
    assert protocol["network"] == "synchformer_lamps" and len(protocol["revision"]) == 12
    assert "DeSync: by Synchformer or" in (tmp_path / "out" / "report.md").read_text()


@torch.no_grad()
def test_windows_are_the_first_and_the_last_of_eight_seconds(random_folder, film):
    network = SynchronyNetwork.from_pretrained(str(random_folder))
    # What is after the first eight seconds does not count.
    sound = torch.cat([sound_of(TEST_SEEDS[0]), torch.ones(SAMPLING_RATE)])
    heard, seen = network.hear(sound, SAMPLING_RATE)["features"], network.see(film)["features"]
    assert heard.shape == (24, 6, 16) and seen.shape == (24, 8, 16)
    streams = read_video_streams(film, audio_length_in_s=LENGTH_IN_S, sync_frame_size=16)
    segments = normalize_sync_frames(streams.sync_frames[streams.sync_segments])
    assert torch.allclose(network.model.encode_video(segments[None])[0], torch.from_numpy(seen), atol=1e-5)
    model, window = network.model, round(4.8 * SAMPLING_RATE)
    mels = torch.stack(
        [synchformer_mel(sound[start:][:window], num_mels=26) for start in (0, round(3.2 * SAMPLING_RATE))]
    )
    audio = model.encode_audio(mels)
    assert torch.allclose(audio, torch.from_numpy(np.stack([heard[:14], heard[-14:]])), atol=1e-5)
    video = torch.from_numpy(np.stack([seen[:14], seen[-14:]]))
    expected = -model.offsets_in_s[model.compare(video, audio).argmax(-1)]
    assert network.offsets(seen, heard) == pytest.approx(expected.tolist())


def test_results_below_eight_seconds_fail_and_are_named(tmp_path, random_folder, film):
    (tmp_path / "results").mkdir()
    sound = sound_of(TEST_SEEDS[0])
    write_audio(tmp_path / "results" / "long.wav", sound, SAMPLING_RATE)
    write_audio(tmp_path / "results" / "short.wav", sound[: 5 * SAMPLING_RATE], SAMPLING_RATE)
    lines = [json.dumps({"key": key, "video": str(film)}) for key in ("long", "short", "missing")]
    (tmp_path / "manifest.jsonl").write_text("\n".join(lines) + "\n")
    arguments = [tmp_path / "manifest.jsonl", "--results", tmp_path / "results", "--scores", "desync"]
    arguments += ["--synchformer", random_folder, "--output", tmp_path / "out", "--benchmark", "vggsound-test"]
    assert score(*arguments) == 0
    report = read(tmp_path / "out")
    protocol = report["protocol"]["desync"]
    assert protocol["network"] == "random" and len(protocol["revision"]) == 12
    # Not beside what the published network measured.
    assert "DeSync: by Synchformer or" in (tmp_path / "out" / "report.md").read_text()
    system = report["systems"]["results"]
    assert system["failures"] == {"short": "too short for DeSync: 5.00 s of 8 s", "missing": "missing"}
    sizes = {clip["key"]: clip["desync"] for clip in system["clips"]}
    assert sizes["short"] == sizes["missing"] == 2.0
    assert sizes["long"] == pytest.approx(np.abs(system["clips"][0]["desync_offsets"]).mean())
    assert system["figures"]["desync"]["value"] == pytest.approx((sizes["long"] + 4.0) / 3)
    assert system["figures_without_failures"]["desync"]["value"] == pytest.approx(sizes["long"])


def test_videos_below_eight_seconds_are_refused(tmp_path, random_folder, capsys):
    film = tmp_path / "clip.mp4"
    film.write_bytes(film_lamps(make_lamps(TEST_SEEDS[0], 5.0)))
    write_audio(tmp_path / "clip.wav", sound_of(TEST_SEEDS[0]), SAMPLING_RATE)
    line = {"key": "clip", "video": "clip.mp4", "result": "clip.wav"}
    (tmp_path / "manifest.jsonl").write_text(json.dumps(line) + "\n")
    arguments = [tmp_path / "manifest.jsonl", "--scores", "desync", "--synchformer", random_folder]
    assert score(*arguments, "--output", tmp_path / "out") == 1
    message = capsys.readouterr().err
    assert "`desync` cannot score 'clip'" in message and "the video has 5.000 s" in message
    network = SynchronyNetwork.from_pretrained(str(random_folder))
    with pytest.raises(InputError, match=r"the sound lasts 5\.00 s"):
        network.hear(torch.zeros(5 * SAMPLING_RATE), SAMPLING_RATE)


def test_the_metric_folder_gives_what_the_network_says(random_folder, film):
    sounds = [sound_of(TEST_SEEDS[0], late_by_s) for late_by_s in (0.0, 0.8)]
    metric = evaluate.load(module_path("desync"))
    arguments = {"sampling_rate": SAMPLING_RATE, "synchformer": str(random_folder)}
    found = metric.compute(predictions=[sound.numpy() for sound in sounds], references=[str(film)] * 2, **arguments)
    network = SynchronyNetwork.from_pretrained(str(random_folder))
    seen = network.see(film)["features"]
    expected = [network.offsets(seen, network.hear(sound, SAMPLING_RATE)["features"]) for sound in sounds]
    assert found["offsets"] == expected
    assert found["desync"] == pytest.approx(np.abs(expected).mean())


def test_a_second_look_asks_the_network_nothing(tmp_path, random_folder, film):
    network, cache = SynchronyNetwork.from_pretrained(str(random_folder)), EmbeddingCache(tmp_path)
    for _ in range(2):
        cache.hear(network, sound_of(TEST_SEEDS[0]), SAMPLING_RATE)
        cache.see(network, film)
    assert cache.num_computed == 2


def test_weights_that_are_not_at_hand_are_named(tmp_path, random_folder):
    with pytest.raises(CheckpointError, match="hf download hkchengrex/MMAudio ext_weights/synchformer_state_dict"):
        select_scorers([], EmbeddingCache(None), synchformer="nowhere/at/all")
    damaged = tmp_path / "synchformer_state_dict.pth"
    damaged.write_bytes(b"no weights")
    with pytest.raises(CheckpointError, match="cannot be loaded from"):
        SynchronyNetwork.from_pretrained(str(damaged))
    SynchformerVideoEncoder(16, 1, 2, image_size=16).save_pretrained(tmp_path / "branch")
    with pytest.raises(CheckpointError, match="weights of Synchformer"):
        SynchronyNetwork.from_pretrained(str(tmp_path / "branch"))
