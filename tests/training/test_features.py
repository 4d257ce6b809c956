# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Features of clips are what the pipeline sees and the VAE hears, computed once."""

import json

import numpy as np
import pytest
import torch

from deepaudio_diffusers.errors import InputError
from deepaudio_diffusers.processing.audio import read_waveform
from deepaudio_diffusers.training.data import DataReport
from deepaudio_diffusers.training.features import (
    FEATURE_COMPONENTS,
    FeatureDataset,
    FeatureExtractor,
    cache_features,
    encode_empty_prompt,
    find_components,
    hash_of_components,
    load_component,
)
from tests.tiny import TEXT_LENGTH
from tests.training.feature_components import (
    CLIP_DIM,
    CLIP_LENGTH_IN_S,
    LATENT_CHANNELS,
    NUM_CLIP_FRAMES,
    NUM_LATENTS,
    NUM_SYNC_TOKENS,
    SYNC_DIM,
    TEXT_DIM,
    write_components,
)
from tests.training.sounding_clips import SAMPLING_RATE, tone_sample, wav_of, write_shard


# Half precision has 11 bits.
TOLERANCE = {"rtol": 2e-3, "atol": 2e-3}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return find_components([write_components(tmp_path_factory.mktemp("components"))], [*FEATURE_COMPONENTS, "vocoder"])


@pytest.fixture(scope="module")
def extractor(folders):
    return FeatureExtractor(folders, "cpu", CLIP_LENGTH_IN_S, with_waveforms=True)


@pytest.fixture(scope="module")
def samples():
    return [tone_sample(seed) for seed in range(3)]


@pytest.fixture(scope="module")
def source(samples, tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    write_shard(folder / "clips-000000.tar", samples)
    return folder


@pytest.fixture(scope="module")
def dataset(source, extractor, tmp_path_factory):
    cache = cache_features(tmp_path_factory.mktemp("cache"), [str(source)], extractor, DataReport())
    return FeatureDataset(cache)


def cache_of(extractor, folder, samples, report=None, **arguments):
    write_shard(folder / "clips" / "clips-000000.tar", samples)
    report = DataReport() if report is None else report
    return cache_features(folder / "cache", [str(folder / "clips")], extractor, report, **arguments)


def with_metadata(sample, **metadata):
    return sample | {"json": json.dumps(metadata).encode()}


class TestDataset:
    def test_shapes(self, dataset):
        assert len(dataset) == 3
        shapes = {name: tuple(value.shape) for name, value in dataset[0].items()}
        assert shapes == {
            "clip_features": (NUM_CLIP_FRAMES, CLIP_DIM),
            "sync_features": (NUM_SYNC_TOKENS, SYNC_DIM),
            "has_video": (),
            "text_features": (TEXT_LENGTH, TEXT_DIM),
            "latent_mean": (NUM_LATENTS, LATENT_CHANNELS),
            "latent_std": (NUM_LATENTS, LATENT_CHANNELS),
            "waveform": (round(CLIP_LENGTH_IN_S * SAMPLING_RATE),),
        }
        assert all(dataset.shape(name) == shape for name, shape in shapes.items())

    def test_features_are_those_of_the_pipeline(self, dataset, extractor, samples):
        pipeline = extractor.pipeline
        item, sample = dataset[1], samples[1]
        expected = pipeline.encode_video(sample["mp4"], audio_length_in_s=CLIP_LENGTH_IN_S)
        torch.testing.assert_close(item["clip_features"], expected.clip_features[0], **TOLERANCE)
        torch.testing.assert_close(item["sync_features"], expected.sync_features[0], **TOLERANCE)
        with torch.no_grad():
            text = pipeline.encode_prompt(json.loads(sample["json"])["prompt"])[0]
        torch.testing.assert_close(item["text_features"], text, **TOLERANCE)
        assert item["has_video"]

    def test_latents_are_those_of_the_vae(self, dataset, extractor, samples):
        item = dataset[2]
        waveform, _ = read_waveform(samples[2]["wav"])
        assert torch.equal(item["waveform"], waveform[0])
        with torch.no_grad():
            posterior = extractor.pipeline.vae.encode(waveform).latent_dist
        torch.testing.assert_close(item["latent_mean"], posterior.mean[0].T, **TOLERANCE)
        torch.testing.assert_close(item["latent_std"], posterior.std[0].T, **TOLERANCE)

    def test_statistics_are_those_of_all_posterior_means(self, dataset):
        means = torch.cat([dataset[index]["latent_mean"] for index in range(len(dataset))])
        mean, std = dataset.latent_statistics()
        torch.testing.assert_close(mean, means.mean(dim=0))
        torch.testing.assert_close(std, means.std(dim=0, unbiased=False))


class TestCache:
    def test_a_complete_cache_needs_no_network(self, extractor, folders, source, tmp_path):
        sources = [str(source)]
        cache_features(tmp_path, sources, extractor, DataReport())
        again = FeatureExtractor(folders, "cpu", CLIP_LENGTH_IN_S, with_waveforms=True)
        report = DataReport()
        dataset = FeatureDataset(cache_features(tmp_path, sources, again, report))
        assert "pipeline" not in vars(again)
        assert (len(dataset), report.used) == (3, 3)

    @pytest.mark.parametrize("change", [{"clip_length_in_s": 0.96}, {"peak_level": 0.5}, {"prompt_column": "text"}])
    def test_features_of_other_settings_are_refused(self, folders, source, dataset, extractor, tmp_path, change):
        cache_features(tmp_path, [str(source)], extractor, DataReport())
        settings = {"clip_length_in_s": CLIP_LENGTH_IN_S, "with_waveforms": True} | change
        with pytest.raises(InputError, match="cache"):
            cache_features(tmp_path, [str(source)], FeatureExtractor(folders, "cpu", **settings), DataReport())

    def test_hash_knows_the_weights(self, folders, tmp_path):
        before = hash_of_components({"vae": folders["vae"]})
        vae = load_component("vae", folders["vae"])
        # A copy in another place is the same network.
        vae.save_pretrained(tmp_path)
        assert hash_of_components({"vae": tmp_path}) == before
        with torch.no_grad():
            next(vae.parameters()).add_(1)
        vae.save_pretrained(tmp_path)
        assert hash_of_components({"vae": tmp_path}) != before

    def test_only_so_many_samples_are_read(self, extractor, source, tmp_path):
        cache = cache_features(tmp_path, [str(source)], extractor, DataReport(), max_samples=2)
        assert len(FeatureDataset(cache)) == 2

    def test_two_sources_follow_each_other(self, extractor, source, samples, tmp_path):
        write_shard(tmp_path / "more" / "clips-000000.tar", samples[:1])
        cache = cache_features(tmp_path / "cache", [str(source), str(tmp_path / "more")], extractor, DataReport())
        assert [clip["key"] for clip in FeatureDataset(cache).clips][-2:] == ["clip-002", "clip-000"]


class TestWhatIsMissing:
    def test_bad_clips_are_counted(self, extractor, samples, tmp_path):
        good = samples[0]
        short = wav_of(np.full(8000, 0.5))
        bad = [
            good | {"wav": wav_of(np.zeros(20_480))},
            good | {"wav": short},
            good | {"wav": b"no sound"},
            good | {"mp4": b"no pictures"},
            {"json": b"{}"},
            # Without a sound of its own, the video has to have one.
            {"mp4": good["mp4"], "json": good["json"]},
            with_metadata(good, prompt=["a", "b"]),
        ]
        report = DataReport()
        dataset = FeatureDataset(cache_of(extractor, tmp_path, [*bad, good], report))
        assert (len(dataset), report.used, sum(report.reasons.values())) == (1, 1, len(bad))
        assert report.reasons == {
            "its sound is silent": 1,
            "its sound is shorter than the clip length": 1,
            "its sound cannot be read": 1,
            "its pictures cannot be read": 1,
            "it has no sound": 2,
            "its prompt is no text": 1,
        }

    def test_short_pictures_are_left_out(self, folders, samples, tmp_path):
        extractor = FeatureExtractor(folders, "cpu", 2.0)
        long_sound = wav_of(np.full(40_000, 0.5))
        report = DataReport()
        with pytest.raises(InputError):
            cache_of(extractor, tmp_path, [samples[0] | {"wav": long_sound}], report)
        assert report.reasons == {"its pictures are shorter than the clip length": 1}

    def test_bad_clips_end_the_work_if_asked_to(self, extractor, samples, tmp_path):
        silent = samples[0] | {"wav": wav_of(np.zeros(20_480))}
        with pytest.raises(InputError, match="silent"):
            cache_of(extractor, tmp_path, [samples[1], silent], DataReport("error"))

    def test_what_has_no_prompt_or_no_pictures_is_used(self, extractor, samples, tmp_path):
        without_prompt = with_metadata(samples[0], key="x")
        without_video = {"wav": samples[1]["wav"], "json": samples[1]["json"]}
        dataset = FeatureDataset(cache_of(extractor, tmp_path, [without_prompt, without_video]))
        assert dataset.count_peculiarities() == {"without a prompt": 1, "without pictures": 1}
        assert [bool(dataset[index]["has_video"]) for index in range(2)] == [True, False]
        assert not dataset[1]["clip_features"].any()
        torch.testing.assert_close(dataset[0]["text_features"], encode_empty_prompt(extractor.folders), **TOLERANCE)

    def test_long_clips_are_cut(self, extractor, samples, tmp_path):
        waveform = np.linspace(-0.5, 0.5, 40_000)
        dataset = FeatureDataset(cache_of(extractor, tmp_path, [samples[0] | {"wav": wav_of(waveform)}]))
        np.testing.assert_allclose(dataset[0]["waveform"], waveform[:20_480], atol=1e-4)


def test_peaks_are_scaled(folders, samples, tmp_path):
    extractor = FeatureExtractor(folders, "cpu", CLIP_LENGTH_IN_S, peak_level=0.95, with_waveforms=True)
    dataset = FeatureDataset(cache_of(extractor, tmp_path, samples[:1]))
    assert float(dataset[0]["waveform"].abs().max()) == pytest.approx(0.95, abs=1e-5)


class TestComponents:
    def test_the_first_folder_that_has_one_counts(self, folders, tmp_path):
        (tmp_path / "vae").mkdir()
        found = find_components([tmp_path, folders["vae"].parent], ["vae", "vocoder"])
        assert found == {"vae": tmp_path / "vae", "vocoder": folders["vocoder"]}

    def test_a_missing_one_is_named(self, tmp_path):
        with pytest.raises(InputError, match="'text_encoder'"):
            find_components([tmp_path], ["text_encoder"])

    def test_networks_of_another_kind_are_refused(self, folders):
        with pytest.raises(InputError, match="SynchformerVideoEncoder"):
            load_component("vae", folders["video_encoder"])
