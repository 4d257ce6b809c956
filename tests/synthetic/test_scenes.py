# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""What is seen determines what is heard, when and how; prompts say the rest."""

import re

import numpy as np
import pytest

from deepaudio_diffusers.synthetic import puppet
from deepaudio_diffusers.synthetic.acoustics import SAMPLING_RATE, oscillator, struck
from deepaudio_diffusers.synthetic.canvas import Camera, Canvas, Placement
from deepaudio_diffusers.synthetic.looks import SEEN_LOOKS, UNSEEN_LOOKS, LookRanges
from deepaudio_diffusers.synthetic.scenes import FOLEY, FOLEY_CLASSES, TEMPLATES, Action, Stage, describe


NUM_FRAMES, FRAME_RATE, SIZE = 96, 25, 64
STRUCK = ("bell", "block", "bounce", "drum", "hammer", "metronome", "pluck", "typing")
CONTINUOUS = ("fan", "rain", "saw", "siren")


def still_camera(num_frames: int = NUM_FRAMES, zoom: float = 1.0) -> Camera:
    return Camera(np.full(num_frames, 0.5), np.full(num_frames, 0.5), np.full(num_frames, zoom))


def perform(label: str, seed: int, looks: LookRanges = SEEN_LOOKS) -> tuple[np.ndarray, Action]:
    """Pictures before a black background, and what happened."""
    canvas = Canvas(still_camera(), SIZE)
    times = (np.arange(NUM_FRAMES) + 0.5) / FRAME_RATE
    action = FOLEY[label](Stage(canvas, np.random.default_rng(seed), looks, times))
    return canvas.pixels, action


def level_of_frames(waveform: np.ndarray) -> np.ndarray:
    return np.sqrt(np.mean(waveform.reshape(NUM_FRAMES, -1) ** 2, axis=1))


def main_frequency(waveform: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(waveform))
    return float(np.fft.rfftfreq(len(waveform), 1 / SAMPLING_RATE)[spectrum.argmax()])


def test_a_disc_covers_its_area_where_it_is_put():
    canvas = Canvas(still_camera(3), SIZE)
    canvas.circle(np.array([0.3, 0.4, 0.5]), 0.6, 0.2, (100, 200, 50))
    for frame, x in zip(canvas.pixels, (0.3, 0.4, 0.5), strict=True):
        coverage = frame[..., 1] / 200
        assert coverage.sum() == pytest.approx(np.pi * (0.2 * SIZE) ** 2, rel=0.01)
        columns = np.arange(SIZE) + 0.5
        assert (coverage.sum(0) @ columns) / coverage.sum() / SIZE == pytest.approx(x, abs=2e-3)
        np.testing.assert_allclose(frame[..., 0] * 2, frame[..., 1], atol=1e-3)


@pytest.mark.parametrize("shape", ["box", "ellipse", "line", "polygon"])
def test_shapes_cover_their_areas(shape):
    canvas = Canvas(still_camera(2), SIZE)
    white = (1, 1, 1)
    if shape == "box":
        canvas.box(0.5, 0.4, 0.3, 0.2, white)
        area = 0.6 * 0.4
    elif shape == "ellipse":
        canvas.ellipse(0.5, 0.5, 0.3, 0.2, white)
        area = np.pi * 0.3 * 0.2
    elif shape == "line":
        canvas.line(0.2, 0.2, 0.7, 0.6, 0.05, white)
        area = 0.1 * np.hypot(0.5, 0.4) + np.pi * 0.05**2
    else:
        canvas.polygon(((0.2, 0.2), (0.8, 0.3), (0.6, 0.8)), white)
        area = 0.5 * abs(0.6 * 0.6 - 0.4 * 0.1)
    assert canvas.pixels[0, ..., 0].sum() == pytest.approx(area * SIZE**2, rel=0.02)
    np.testing.assert_array_equal(canvas.pixels[0], canvas.pixels[1])


def test_placement_and_camera_scale_and_move():
    canvas = Canvas(still_camera(1, zoom=1.5), SIZE)
    with canvas.placed(Placement(x=0.6, y=0.5, scale=0.5)):
        canvas.circle(0.5, 0.5, 0.2, (1, 1, 1))
    coverage = canvas.pixels[0, ..., 0]
    assert coverage.sum() == pytest.approx(np.pi * (0.2 * 0.5 * 1.5 * SIZE) ** 2, rel=0.02)
    columns = (np.arange(SIZE) + 0.5) / SIZE
    assert (coverage.sum(0) @ columns) / coverage.sum() == pytest.approx(0.5 + 1.5 * 0.1, abs=2e-3)


def test_opacity_picks_frames():
    canvas = Canvas(still_camera(4), SIZE)
    canvas.box(0.5, 0.5, 1, 1, np.arange(12).reshape(4, 3), opacity=np.array([0, 1, 0, 0.5]))
    np.testing.assert_allclose(canvas.pixels[:, 3, 5], [[0, 0, 0], [3, 4, 5], [0, 0, 0], [4.5, 5, 5.5]])


def test_shapes_outside_the_picture_leave_it_as_it_is():
    canvas = Canvas(still_camera(2), SIZE)
    canvas.circle(3.0, 0.5, 0.2, (255, 255, 255))
    canvas.line(-2.0, -1.0, -1.0, -1.0, 0.1, (255, 255, 255))
    assert not canvas.pixels.any()


def test_dashes_are_seen_in_their_frames_only():
    canvas = Canvas(still_camera(3), SIZE)
    canvas.dashes(np.array([1, 1]), np.array([0.25, 0.75]), np.array([0.5, 5.0]), 0.125, (1, 1, 1), np.ones(2))
    assert canvas.pixels[1, ..., 0].sum() == pytest.approx(0.125 * SIZE)
    assert not canvas.pixels[[0, 2]].any()


def test_struck_modes_decay_as_told():
    sound = struck([1000.0, 9000.0], [0.1, 0.1], [1.0, 5.0], length_in_s=0.5)
    times = np.arange(len(sound)) / SAMPLING_RATE
    expected = np.exp(-times / 0.1) * np.sin(2 * np.pi * 1000 * times)
    # Between the attack and the end, which fades out; the mode above all audible ones is left out.
    np.testing.assert_allclose(sound[20:7000], expected[20:7000], atol=1e-9)


def test_an_oscillator_follows_its_frequency():
    sound = oscillator(np.full(SAMPLING_RATE, 440.0), (1.0,))
    assert main_frequency(sound) == pytest.approx(440.0)


@pytest.mark.parametrize("label", FOLEY_CLASSES)
def test_the_same_seed_does_the_same(label):
    pictures, action = perform(label, 5)
    again, same = perform(label, 5)
    other, _ = perform(label, 6)
    np.testing.assert_array_equal(pictures, again)
    np.testing.assert_array_equal(action.waveform, same.waveform)
    assert not np.array_equal(pictures, other)
    assert np.isfinite(action.waveform).all() and np.isfinite(pictures).all()
    assert pictures.min() >= 0 and pictures.max() <= 255.01


@pytest.mark.parametrize("label", STRUCK)
def test_sounds_begin_at_their_events(label):
    for seed in range(4):
        _, action = perform(label, seed)
        assert len(action.strikes) >= 3
        for time, strength in action.strikes:
            assert 0 < time < NUM_FRAMES / FRAME_RATE
            assert 0 < strength <= 1
        for time, _ in action.strikes:
            start = round(time * SAMPLING_RATE)
            before, after = action.waveform[max(0, start - 80) : start], action.waveform[start : start + 80]
            # High frequencies, in which what rings from before is weak.
            assert np.abs(np.diff(after, 3)).max() > 1.2 * np.abs(np.diff(before, 3)).max()


@pytest.mark.parametrize("label", STRUCK)
def test_events_are_seen_in_their_frames(label):
    seen = []
    for seed in range(4):
        pictures, action = perform(label, seed)
        # Each pixel beside what it was two frames before: what flares up is brighter.
        brighter = np.maximum(pictures[2:] - pictures[:-2], 0).max(axis=(1, 2, 3))
        for time, _ in action.strikes:
            frame = int(time * FRAME_RATE)
            if frame >= 3:
                seen.append(brighter[frame - 2] > 40)
    assert np.mean(seen) > 0.95


@pytest.mark.parametrize("label", CONTINUOUS)
def test_continuous_sounds_are_as_loud_as_they_look(label):
    correlations = []
    for seed in range(6):
        pictures, action = perform(label, seed)
        assert not action.strikes
        level = level_of_frames(action.waveform)[1:]
        if label == "siren":
            look = pictures.max(axis=(1, 2))[1:, :].max(-1) + pictures.mean(axis=(1, 2, 3))[1:]
        else:
            look = np.abs(np.diff(pictures, axis=0)).mean(axis=(1, 2, 3))
        correlations.append(np.corrcoef(level, look)[0, 1])
    assert np.mean(correlations) > 0.6


def test_rain_is_silent_where_no_drop_lands():
    pictures, action = perform("rain", 3)
    assert level_of_frames(action.waveform).max() > 5 * level_of_frames(action.waveform).min()
    assert pictures[..., 2].max() > 150


def test_larger_bells_are_lower():
    pitches = {"small": [], "big": []}
    for seed in range(8):
        _, action = perform("bell", seed)
        pitches[action.attributes["size"]].append(main_frequency(action.waveform))
    assert max(pitches["big"]) < 0.9 * max(pitches["small"])
    assert np.mean(pitches["big"]) < np.mean(pitches["small"])


def test_longer_bars_are_lower():
    pitches = {"short": [], "long": []}
    for seed in range(8):
        _, action = perform("hammer", seed)
        pitches[action.attributes["length"]].append(main_frequency(action.waveform))
    assert max(pitches["long"]) < np.mean(pitches["short"])


def test_harder_blows_are_louder():
    strengths, levels = [], []
    for seed in range(4):
        _, action = perform("bounce", seed)
        for time, strength in action.strikes:
            start = round(time * SAMPLING_RATE)
            strengths.append(strength)
            levels.append(np.abs(action.waveform[start : start + 400]).max())
    assert np.corrcoef(strengths, levels)[0, 1] > 0.9


def test_materials_and_registers_cannot_be_seen_but_heard():
    by_material, by_register = {}, {}
    for seed in range(16):
        _, action = perform("block", seed)
        start = round(action.strikes[0][0] * SAMPLING_RATE)
        blow = action.waveform[start : start + 5000]
        spectrum = np.abs(np.fft.rfft(blow)) ** 2
        centroid = spectrum @ np.fft.rfftfreq(len(blow), 1 / SAMPLING_RATE) / spectrum.sum()
        ringing = np.sum(blow[2500:] ** 2) / np.sum(blow**2)
        by_material.setdefault(action.choices["material"], []).append((centroid, ringing))
        _, action = perform("siren", seed)
        by_register.setdefault(action.choices.get("register"), []).append(main_frequency(action.waveform))
    centroid, ringing = (
        {name: np.mean([v[i] for v in values]) for name, values in by_material.items()} for i in (0, 1)
    )
    assert centroid["glass"] > 1.5 * max(centroid["metal"], centroid["wooden"])
    assert ringing["metal"] > 2 * max(ringing["glass"], ringing["wooden"])
    median = {register: np.median(pitches) for register, pitches in by_register.items()}
    assert 1.3 * median["low"] < median[None] < median["high"] / 1.3


@pytest.mark.parametrize("label", FOLEY_CLASSES)
def test_prompts_tell_all_choices_and_only_what_is_known(label):
    prompts = set()
    actions = [perform(label, seed, looks)[1] for seed in range(3) for looks in (SEEN_LOOKS, UNSEEN_LOOKS)]
    rng = np.random.default_rng(0)
    for action in 7 * actions:
        prompt = describe(rng, label, action)
        assert re.fullmatch(r"[a-z ]+", prompt)
        assert not re.search(r"\ba [aeiou]", prompt)
        for choice in action.choices.values():
            assert choice in prompt.split()
        prompts.add(prompt)
    assert len(prompts) >= 4


def test_the_vocabulary_of_prompts_is_small():
    words = {word for templates in (*TEMPLATES.values(), puppet.TEMPLATES) for t in templates for word in t.split()}
    assert len({word for word in words if "{" not in word}) <= 130
    assert all(len(templates) >= 4 for templates in TEMPLATES.values())


def test_unseen_looks_have_nothing_in_common_with_the_others():
    for name in ("scale", "half_scale", "zoom", "pan", "shake"):
        seen, unseen = getattr(SEEN_LOOKS, name), getattr(UNSEEN_LOOKS, name)
        assert seen[1] < unseen[0] or unseen[1] < seen[0], name
    assert not set(SEEN_LOOKS.backgrounds) & set(UNSEEN_LOOKS.backgrounds)
    seen_colours = np.array([colour for _, colour in SEEN_LOOKS.colours])
    for name, colour in UNSEEN_LOOKS.colours:
        assert name is None
        assert np.abs(seen_colours - colour).sum(-1).min() > 60


def test_the_mouth_opens_with_the_voice():
    times = (np.arange(NUM_FRAMES) + 0.5) / FRAME_RATE
    voice = np.zeros(NUM_FRAMES * SAMPLING_RATE // FRAME_RATE)
    voice[16_000:24_000] = np.sin(np.arange(8000) * 0.2)
    opening = puppet.mouth_opening(voice, times)
    assert opening.max() == 1
    assert (opening[26:37] > 0.95).all()
    assert not opening[:24].any() and not opening[39:].any()
