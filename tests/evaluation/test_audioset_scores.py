# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""FAD, FD, KL and IS by PANNs, PaSST and VGGish, from files to the report, with tiny networks of the real classes."""

import json

import numpy as np
import pytest
import scipy.linalg
import torch

from deepaudio_diffusers.cli import main
from deepaudio_diffusers.evaluation.audioset.networks import PannsTagger, PasstTagger, VggishListener
from deepaudio_diffusers.evaluation.audioset.scorers import AudioSetScorer, FrechetAudioScorer
from deepaudio_diffusers.evaluation.embeddings import EmbeddingCache
from deepaudio_diffusers.evaluation.items import load_item, read_items, with_results
from deepaudio_diffusers.evaluation.published import compare_with_published
from deepaudio_diffusers.evaluation.runner import rows_of, score_system
from deepaudio_diffusers.media import write_audio
from deepaudio_diffusers.processing.audio import resample
from tests.evaluation.generated import SAMPLING_RATE, vowel, write_clips
from tests.evaluation.tiny_networks import save_panns, save_passt, save_vggish


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Clips whose references have different lengths, results of them, and three networks; two of these claim to be
    the published ones."""
    folder = tmp_path_factory.mktemp("audioset")
    write_clips(folder / "clips")
    for number in range(6):
        reference = vowel(110 + 15 * number, length_in_s=0.6 + 0.8 * number)
        write_audio(folder / "clips" / "reference" / f"clip-{number}.wav", reference + 0.1, SAMPLING_RATE)
        result = vowel(300 - 20 * number, length_in_s=0.6 + 0.8 * number)
        # Of another rate, and longer than the last reference.
        write_audio(folder / "clips" / "same" / f"clip-{number}.wav", resample(result, SAMPLING_RATE, 24_000), 24_000)
    save_panns(folder / "panns", weights_name="Cnn14_16k_mAP=0.438")
    save_vggish(folder / "vggish", weights_name="vggish-10086976")
    save_passt(folder / "passt")
    return folder


@pytest.fixture(scope="module")
def report(folder):
    arguments = ["evaluate", "score", folder / "clips" / "manifest.jsonl", "--results", folder / "clips" / "bad"]
    for name in ("panns", "vggish", "passt"):
        arguments += ["--tagger", folder / name]
    arguments += ["--scores", "panns", "vggish", "passt", "--sound-length-in-s", "8", "--num-shown", "1"]
    arguments += ["--benchmark", "vggsound-test", "--output", folder / "out"]
    assert main([*map(str, arguments)]) == 0
    return json.loads((folder / "out" / "report.json").read_text())


def scorers(folder, **options):
    cache = EmbeddingCache(None)
    return [
        AudioSetScorer(PannsTagger.from_pretrained(folder / "panns"), cache, **options),
        AudioSetScorer(PasstTagger.from_pretrained(folder / "passt"), cache, **options),
        FrechetAudioScorer(VggishListener.from_pretrained(folder / "vggish"), cache, **options),
    ]


def items(folder, results):
    return with_results(read_items(folder / "clips" / "manifest.jsonl"), folder / "clips" / results)[0]


def values(folder, results, **options):
    """Figures without their intervals."""
    used = scorers(folder, **options)
    records = score_system("mine", items(folder, results), used).records
    return {figure.name: figure.statistic(rows_of(records, figure)) for scorer in used for figure in scorer.figures}


@pytest.fixture(scope="module")
def whole(folder):
    """Figures of results that are as long as their references."""
    return values(folder, "same")


def heard(folder, results):
    """What the networks hear in sounds that are prepared here as av-benchmark prepares them."""
    for item in items(folder, results):
        clip, found = load_item(item), []
        for sound, rate in ((clip.reference, clip.reference_sampling_rate), (clip.waveform, clip.sampling_rate)):
            found.append({each: resample(sound - sound.mean(), rate, each) for each in (16_000, 32_000)})
        for rate in (16_000, 32_000):
            length = len(found[0][rate])
            found[1][rate] = torch.nn.functional.pad(found[1][rate], (0, length))[:length]
        yield found


def frechet(first, second):
    """Fréchet distance by the root of the product of covariances, as av-benchmark computes it."""
    covariances = [np.cov(each, rowvar=False) for each in (first, second)]
    root = scipy.linalg.sqrtm(covariances[0] @ covariances[1]).real
    return np.sum((first.mean(0) - second.mean(0)) ** 2) + np.trace(covariances[0] + covariances[1] - 2 * root)


def test_figures_are_those_of_av_benchmark(folder, whole):
    panns = PannsTagger.from_pretrained(folder / "panns")
    passt = PasstTagger.from_pretrained(folder / "passt")
    vggish = VggishListener.from_pretrained(folder / "vggish")
    sounds = list(heard(folder, "same"))
    for network, name in ((panns, "panns"), (passt, "passt")):
        sets = [
            [network.hear(pair[side][network.sampling_rate], network.sampling_rate) for pair in sounds]
            for side in (0, 1)
        ]
        embeddings = [np.stack([each["embedding"] for each in one]).astype(np.float64) for one in sets]
        logits = [torch.from_numpy(np.stack([each["logits"] for each in one])).double() for one in sets]
        assert whole[f"fd_{name}"] == pytest.approx(frechet(*embeddings), rel=1e-3, abs=1e-6)
        divergence = torch.nn.functional.kl_div(
            logits[1].log_softmax(1), logits[0].log_softmax(1), reduction="batchmean", log_target=True
        )
        assert whole[f"kl_{name}"] == pytest.approx(divergence.item(), rel=1e-4, abs=1e-9)
        # Six clips make six splits of one, each of which is what all of it is.
        assert whole[f"is_{name}"] == pytest.approx(1)
    pieces = [
        np.concatenate([vggish.hear(pair[side][16_000], 16_000)["embeddings"] for pair in sounds]).astype(np.float64)
        for side in (0, 1)
    ]
    # Networks that hear nothing would agree about everything.
    assert min(whole[name] for name in ("fd_panns", "kl_panns", "fd_passt", "kl_passt", "fad")) > 1e-3
    # Clips of 0.6 to 4.6 s, of which those below 2 s are continued.
    assert len(pieces[0]) == 2 + 2 + 2 + 3 + 3 + 4
    assert whole["fad"] == pytest.approx(frechet(*pieces), rel=1e-3)


def test_a_constant_offset_is_not_heard(folder, whole, tmp_path):
    (tmp_path / "moved").mkdir()
    for item in items(folder, "reference"):
        clip = load_item(item)
        write_audio(tmp_path / "moved" / f"{item.key}.wav", clip.waveform - 0.1, SAMPLING_RATE)
    moved = values(folder, tmp_path / "moved")
    for name in ("fad", "fd_panns", "kl_panns", "fd_passt", "kl_passt"):
        assert abs(moved[name]) < 0.01 * whole[name], name


def test_order_and_company_do_not_matter(folder):
    used = scorers(folder)
    all_items = items(folder, "same")
    together = {record["key"]: record for record in score_system("mine", all_items[::-1], used).records}
    for item in all_items[:3]:
        (alone,) = score_system("mine", [item], used).records
        for name, value in alone.items():
            assert np.array_equal(value, together[item.key][name]), name


def test_a_length_is_kept_to(folder, whole):
    halved = values(folder, "same", length_in_s=0.5)
    assert all(halved[name] != whole[name] for name in ("fd_panns", "fd_passt", "fad"))
    assert values(folder, "same", length_in_s=60.0) == whole


def test_failures_are_counted_and_named(report):
    system = report["systems"]["bad"]
    assert list(system["failures"]) == [f"clip-{number}" for number in range(5)]
    assert system["failures"]["clip-2"] == "silent" and system["failures"]["clip-3"].startswith("too short")
    assert system["failures"]["clip-4"].startswith("unreadable") and "NaN" in system["failures"]["clip-4"]
    for name in ("fd_panns", "kl_panns", "is_panns", "fd_passt", "kl_passt", "is_passt", "fad"):
        assert system["figures"][name]["num_clips"] == 6 and np.isfinite(system["figures"][name]["value"]), name


def test_the_protocol_names_networks_and_lengths(report):
    protocol = report["protocol"]
    assert protocol["panns"]["network"] == "Cnn14_16k_mAP=0.438" and protocol["passt"]["network"] == "passt"
    assert len({protocol[name]["revision"] for name in ("panns", "passt", "vggish")}) == 3
    assert [protocol[name]["sampling rate"] for name in ("panns", "passt", "vggish")] == [16_000, 32_000, 16_000]
    assert protocol["vggish"]["length in s"] == 8 and "10 s" in protocol["passt"]["short clips"]


def test_published_rows_stand_beside_figures_of_published_weights_only(report, folder):
    comparison = compare_with_published(report)
    assert comparison.figures == ["fd_panns", "fad", "kl_panns", "is_panns"]
    assert comparison.reasons["FD (PaSST)"] == "by passt-s-f128-p16-s10-ap.476-swa, here by passt"
    row = next(row for row in comparison.rows if row["system"] == "MMAudio L-44k")
    assert (row["fd_panns"], row["fad"], row["kl_panns"], row["is_panns"]) == (4.72, 0.97, 1.65, 17.4)
    assert "MMAudio L-44k" in (folder / "out" / "report.md").read_text()
    of_all = json.loads(json.dumps(report))
    of_all["protocol"]["vggish"]["length in s"] = "all"
    assert compare_with_published(of_all).reasons["FAD (VGGish)"] == "length in s: 8.0, here all"


@pytest.mark.parametrize(
    ("taggers", "message"),
    [
        (["panns", "panns"], "2 networks for 'panns'"),
        (["Cnn14_16k_mAP=0.438.pth"], "evaluate convert panns-16k --source Cnn14_16k_mAP=0.438.pth"),
        (["passt-s-f128-p16-s10-ap.476-swa.pt"], "evaluate convert passt"),
    ],
)
def test_networks_that_cannot_be_are_named(folder, tmp_path, capsys, taggers, message):
    arguments = ["evaluate", "score", str(folder / "clips" / "manifest.jsonl"), "--output", str(tmp_path)]
    for name in taggers:
        arguments += ["--tagger", str(folder / name)]
    assert main(arguments) == 1
    assert message in capsys.readouterr().err


def test_weights_that_are_not_there_are_named_with_the_way_to_them(tmp_path, capsys):
    arguments = ["--source", str(tmp_path / "nowhere"), "--output", str(tmp_path / "out")]
    assert main(["evaluate", "convert", "vggish", *arguments]) == 1
    error = capsys.readouterr().err
    assert "vggish-10086976.pth" in error and "https://github.com/harritaylor/torchvggish" in error
