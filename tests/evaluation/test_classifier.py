# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch

from deepaudio_diffusers.errors import InputError
from deepaudio_diffusers.evaluation.classifier import SoundClassifier, sound_mel, train_sound_classifier


LABELS = ("tone", "noise")


def sounds() -> tuple[list[torch.Tensor], torch.Tensor]:
    """Half a second each of a tone, of noise, of both and of nothing."""
    generator = torch.Generator().manual_seed(0)
    time = torch.arange(8192) / 16_000
    waveforms, targets = [], []
    for i in range(32):
        has_tone, has_noise = i % 2, i // 2 % 2
        tone = 0.3 * torch.sin(2 * torch.pi * (400 + 100 * (i // 4)) * time)
        noise = 0.05 * torch.randn(8192, generator=generator)
        waveforms.append(has_tone * tone + has_noise * noise)
        targets.append([has_tone, has_noise])
    return waveforms, torch.tensor(targets)


@pytest.fixture(scope="module")
def classifier():
    waveforms, targets = sounds()
    mels = torch.stack([sound_mel(waveform, 16_000) for waveform in waveforms])
    return train_sound_classifier(mels, [mels + 0.1], targets, LABELS, num_steps=80, batch_size=16)


def test_all_sounds_of_a_clip_are_found(classifier):
    waveforms, targets = sounds()
    found = np.array([classifier.listen(waveform, 16_000)[0] >= 0.5 for waveform in waveforms])
    assert (found == targets.numpy()).mean() > 0.9


def test_a_seed_gives_the_same_classifier_and_leaves_others_their_random_numbers(classifier):
    waveforms, targets = sounds()
    mels = torch.stack([sound_mel(waveform, 16_000) for waveform in waveforms])
    before = torch.get_rng_state()
    first, second = (train_sound_classifier(mels, [], targets, LABELS, num_steps=2) for _ in range(2))
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


def test_a_saved_classifier_hears_the_same(classifier, tmp_path):
    classifier.save_pretrained(tmp_path)
    loaded = SoundClassifier.from_pretrained(tmp_path).eval()
    waveform = sounds()[0][3]
    assert np.array_equal(loaded.listen(waveform, 16_000)[0], classifier.listen(waveform, 16_000)[0])
    assert tuple(loaded.config.labels) == LABELS


def test_other_rates_and_shapes_are_refused(classifier):
    with pytest.raises(InputError, match="16000"):
        classifier.listen(torch.zeros(8192), 22_050)
    with pytest.raises(InputError, match="targets"):
        train_sound_classifier(torch.zeros(2, 32, 80), [], torch.zeros(3, 2), LABELS)
