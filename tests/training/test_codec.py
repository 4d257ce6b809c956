# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0

import json
import math

import numpy as np
import pytest
import torch

from deepaudio_diffusers import MMAudioMelVAE, VocosVocoder
from deepaudio_diffusers.errors import InputError
from deepaudio_diffusers.training import part_cache
from deepaudio_diffusers.training.codec import (
    WaveformCrops,
    cache_waveforms,
    evenly_spaced,
    initialize_vae,
    multi_resolution_stft_loss,
    set_mel_statistics,
    soften_half,
    vae_loss,
    vae_mel,
    validate_vae,
    validate_vocoder,
    vocoder_loss,
    vocoder_mel,
)
from deepaudio_diffusers.training.data import DataReport
from deepaudio_diffusers.training.part_cache import PartCache
from deepaudio_diffusers.training.pictures import save_spectrograms
from tests.training.sounding_clips import SAMPLING_RATE, tone_clip, wav_of, write_shard, write_tone_clips


def small_vae(**config) -> MMAudioMelVAE:
    torch.manual_seed(0)
    vae = MMAudioMelVAE(
        **{
            "mel_bins": 80,
            "latent_channels": 8,
            "hidden_channels": 48,
            "channel_multipliers": (1, 2),
            "layers_per_block": 1,
            "sample_rate": SAMPLING_RATE,
            "n_fft": 1024,
            "hop_length": 256,
        }
        | config
    )
    initialize_vae(vae)
    return vae


def small_vocoder(**config) -> VocosVocoder:
    torch.manual_seed(0)
    return VocosVocoder(
        **{
            "num_mels": 80,
            "hidden_size": 48,
            "intermediate_size": 96,
            "num_layers": 2,
            "padding": "same",
            "sampling_rate": SAMPLING_RATE,
        }
        | config
    )


def tones(count: int, num_samples: int = 16_384) -> torch.Tensor:
    """16-bit samples (count, num_samples)."""
    waveforms = [tone_clip(seed, ("low", "high")[seed % 2])[1][:num_samples] for seed in range(count)]
    return (torch.from_numpy(np.stack(waveforms)) * 32767).to(torch.int16)


def steps(loss, networks: dict, samples: torch.Tensor, count: int, learning_rate: float) -> list[float]:
    """The losses of so many steps of AdamW."""
    (network,) = networks.values()
    optimizer = torch.optim.AdamW(network.parameters(), lr=learning_rate, betas=(0.9, 0.99))
    losses = []
    for _ in range(count):
        value, figures = loss(networks, samples)
        assert all(torch.isfinite(figure) for figure in figures.values())
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        losses.append(value.item())
    return losses


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    return write_tone_clips(tmp_path_factory.mktemp("clips"), 5)


def test_sounds_are_cached_as_they_are(clips, tmp_path):
    report = DataReport()
    cache = cache_waveforms(tmp_path / "cache", [str(clips)], SAMPLING_RATE, 1000, report)
    assert report.used == len(cache) == 5 and not report.reasons
    for seed in range(5):
        waveform = tone_clip(seed, ("low", "high")[seed % 2])[1]
        np.testing.assert_allclose(cache.array("waveform", seed) / 32768, waveform, atol=1e-4)


def test_several_sources_stand_one_after_the_other(clips, tmp_path):
    cache = cache_waveforms(tmp_path / "cache", [str(clips), str(clips)], SAMPLING_RATE, 1000, DataReport())
    assert len(cache) == 10
    np.testing.assert_array_equal(cache.array("waveform", 7), cache.array("waveform", 2))


def test_what_cannot_be_used_is_counted_by_reason(tmp_path):
    _, waveform, _ = tone_clip(0, "low")
    samples = [
        {"wav": wav_of(waveform)},
        {"wav": wav_of(waveform[:500])},
        {"wav": wav_of(0 * waveform)},
        {"wav": b"no sound"},
        {"json": b"{}"},
    ]
    write_shard(tmp_path / "data" / "a.tar", samples)
    (tmp_path / "data" / "b.tar").write_bytes((tmp_path / "data" / "a.tar").read_bytes()[:20_000])
    report = DataReport()
    cache_waveforms(tmp_path / "cache", [str(tmp_path / "data")], SAMPLING_RATE, 1000, report)
    assert report.used == 1
    assert sorted(report.reasons.values()) == [1, 1, 1, 1, 1]
    # A cache that is opened again knows what was left out when it was made.
    again = DataReport()
    cache_waveforms(tmp_path / "cache", [str(tmp_path / "data")], SAMPLING_RATE, 1000, again)
    assert again.reasons == report.reasons and again.used == 1
    with pytest.raises(InputError, match="--on_bad_data skip"):
        cache_waveforms(tmp_path / "cache", [str(tmp_path / "data")], SAMPLING_RATE, 1000, DataReport("error"))


def test_a_cache_without_any_item_is_refused(tmp_path):
    write_shard(tmp_path / "data" / "a.tar", [{"json": b"{}"}])
    with pytest.raises(InputError, match="No sample"):
        cache_waveforms(tmp_path / "cache", [str(tmp_path / "data")], SAMPLING_RATE, 1000, DataReport())


def test_a_cache_of_other_data_or_settings_is_refused(clips, tmp_path):
    cache_waveforms(tmp_path / "cache", [str(clips)], SAMPLING_RATE, 1000, DataReport())
    with pytest.raises(InputError, match="other settings"):
        cache_waveforms(tmp_path / "cache", [str(clips)], 8000, 1000, DataReport())
    other = write_tone_clips(tmp_path / "other", 4)
    with pytest.raises(InputError, match="other data"):
        cache_waveforms(tmp_path / "cache", [str(other)], SAMPLING_RATE, 1000, DataReport())


def test_a_cache_that_was_broken_off_is_completed(clips, tmp_path, monkeypatch):
    monkeypatch.setattr(part_cache, "SAMPLES_OF_A_PART", 2)
    folder = tmp_path / "cache"
    whole = cache_waveforms(folder, [str(clips)], SAMPLING_RATE, 1000, DataReport())
    expected = [whole.array("waveform", index).copy() for index in range(5)]
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({"fingerprint": manifest["fingerprint"]}))
    (folder / "items-00002.json").unlink()
    kept = (folder / "waveform-00001.npy").stat().st_mtime_ns
    with pytest.raises(InputError, match="not complete"):
        PartCache(folder)
    report = DataReport()
    cache = cache_waveforms(folder, [str(clips)], SAMPLING_RATE, 1000, report)
    assert (folder / "waveform-00001.npy").stat().st_mtime_ns == kept
    assert report.used == len(cache) == 5
    for index, waveform in enumerate(expected):
        np.testing.assert_array_equal(cache.array("waveform", index), waveform)


def test_crops_are_all_parts_of_all_sounds(clips, tmp_path):
    cache = cache_waveforms(tmp_path / "cache", [str(clips)], SAMPLING_RATE, 1000, DataReport())
    crops = WaveformCrops(cache, 20_000, 256)
    # 20480 samples have two parts of 20000 that begin at a multiple of 256.
    assert len(crops) == 10
    np.testing.assert_array_equal(crops[4], cache.array("waveform", 2)[:20_000])
    np.testing.assert_array_equal(crops[9], cache.array("waveform", 4)[256:20_256])


@pytest.mark.parametrize(("total", "count", "expected"), [(10, 3, [0, 3, 6]), (2, 5, [0, 1]), (4, 4, [0, 1, 2, 3])])
def test_evenly_spaced_indices(total, count, expected):
    assert evenly_spaced(total, count) == expected


def test_random_vae_keeps_the_variance():
    vae = small_vae()
    latents = vae.vae.encoder(torch.randn(4, 80, 64))
    assert 0.5 < latents.std().item() < 2
    assert 0.5 < vae.vae.decoder(torch.randn(4, 8, 32)).std().item() < 2


@pytest.mark.parametrize("mel_log_base", [math.e, 10])
def test_statistics_normalise_each_mel_bin(mel_log_base):
    vae = small_vae(mel_log_base=mel_log_base)
    waveforms = tones(6).float() / 32768
    set_mel_statistics(vae, list(waveforms))
    mels = (vae_mel(vae, waveforms) - vae.vae.data_mean) / vae.vae.data_std
    torch.testing.assert_close(mels.mean(dim=(0, 2)), torch.zeros(80), atol=1e-4, rtol=0)
    torch.testing.assert_close(mels.transpose(0, 1).flatten(1).std(dim=1), torch.ones(80), atol=1e-3, rtol=0)


def test_vae_learns():
    vae = small_vae()
    samples = tones(8)
    waveforms = list(samples[:2].float() / 32768)
    set_mel_statistics(vae, list(samples.float() / 32768))
    with torch.no_grad():
        before, _ = validate_vae(vae, waveforms)
    losses = steps(vae_loss, {"vae": vae}, samples, 25, 3e-3)
    with torch.no_grad():
        after, pictures = validate_vae(vae, waveforms)
    assert losses[-1] < 0.6 * losses[0]
    assert after["mel_l1_log10"] < 0.6 * before["mel_l1_log10"]
    assert pictures[0]["true"].shape == pictures[0]["reconstructed"].shape == (64, 80)
    assert all(parameter.grad is not None for parameter in vae.parameters())


def test_vae_mels_are_float32_under_autocast():
    vae = small_vae()
    waveforms = tones(1).float() / 32768
    with torch.autocast("cpu", torch.bfloat16):
        mel = vae_mel(vae, waveforms)
    assert torch.equal(mel, vae_mel(vae, waveforms))


@pytest.mark.parametrize("padding", ["same", "center"])
def test_vocoder_gives_waveforms_as_long_as_the_mels(padding):
    vocoder = small_vocoder(padding=padding)
    waveforms = tones(2).float() / 32768
    assert vocoder(vocoder_mel(vocoder, waveforms)).sample.shape == (2, 1, 16_384)


def test_vocoder_learns():
    vocoder = small_vocoder()
    samples = tones(4, 8192)
    losses = steps(vocoder_loss, {"vocoder": vocoder}, samples, 25, 3e-3)
    assert losses[-1] < 0.7 * losses[0]
    with torch.no_grad():
        figures, predictions, pictures = validate_vocoder(vocoder, list(samples.float() / 32768))
    assert figures["mel_l1_log10"] < 1 and predictions[0].shape == (8192,)
    assert pictures[0]["true"].shape == pictures[0]["from the vocoder"].shape == (32, 80)


def test_stft_loss_is_zero_for_the_same_sound_only():
    waveforms = tones(2).float() / 32768
    assert multi_resolution_stft_loss(waveforms, waveforms) == 0
    assert multi_resolution_stft_loss(0.9 * waveforms, waveforms) < multi_resolution_stft_loss(
        waveforms.flip(0), waveforms
    )


def test_half_of_the_sounds_become_softer():
    torch.manual_seed(0)
    levels = soften_half(torch.ones(400, 3))
    assert torch.equal(levels[:, :1].expand(-1, 3), levels)
    assert 150 < (levels[:, 0] == 1).sum() < 250
    assert 10 ** (-10 / 20) <= levels.min() < 0.4


def test_spectrograms_become_a_picture(tmp_path):
    save_spectrograms(tmp_path / "picture.png", {"one": torch.randn(30, 80), "two": np.zeros((30, 80))}, 62.5)
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(InputError, match="empty"):
        save_spectrograms(tmp_path / "other.png", {}, 62.5)
    with pytest.raises(InputError, match="'flat'"):
        save_spectrograms(tmp_path / "other.png", {"flat": torch.zeros(80)}, 62.5)
