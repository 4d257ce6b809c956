# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Contours: the pitch of sounds whose pitch is known, when something sounds, and what lines up with what."""

import math

import pytest
import torch

from deepaudio_diffusers.errors import InputError
from deepaudio_diffusers.processing.audio import energy_contour
from deepaudio_diffusers.processing.knowledge import align_energy, pitch_contour, voiced_spans


FRAME_IN_S = 256 / 24_000
# Windows reach 1.6 frames beyond their own frame on both sides, where there is silence before and after a sound.
INNER = slice(2, -2)


def times(sampling_rate: int, length_in_s: float = 1.0) -> torch.Tensor:
    return torch.arange(round(length_in_s * sampling_rate)) / sampling_rate


def tone(frequency: torch.Tensor, sampling_rate: int, amplitudes: dict[int, float]) -> torch.Tensor:
    """A sound whose fundamental frequency is given for each sample, with these amplitudes of its harmonics."""
    phase = 2 * math.pi * frequency.double().cumsum(-1) / sampling_rate
    # Harmonics do not begin together, so that there are no pulses from which any method could read the period.
    return sum(amplitude * torch.sin(k * phase + k * k) for k, amplitude in amplitudes.items()).float()


def steady(frequency: float, sampling_rate: int) -> torch.Tensor:
    return torch.full((sampling_rate,), float(frequency))


def sawtooth(frequency: float, sampling_rate: int) -> dict[int, float]:
    return {k: 0.2 / k for k in range(1, int(sampling_rate / 2 / frequency) + 1)}


def noise(num_samples: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(num_samples, generator=torch.Generator().manual_seed(seed)) / 10


def largest_error(waveform: torch.Tensor, frequency: torch.Tensor, sampling_rate: int) -> float:
    """Relative to the frequency in the middle of each frame; infinite if a frame is unvoiced."""
    pitch = pitch_contour(waveform, sampling_rate)
    middles = ((torch.arange(len(pitch)) + 0.5) * FRAME_IN_S * sampling_rate).long()
    error = (pitch / frequency[middles] - 1).abs()
    return error.masked_fill(pitch == 0, math.inf)[INNER].max().item()


class TestPitch:
    @pytest.mark.parametrize("sampling_rate", [16_000, 24_000, 44_100])
    @pytest.mark.parametrize("frequency", [61, 123.4, 220, 349.2, 599])
    def test_steady_sounds(self, frequency, sampling_rate):
        """Sines to 0.01 %; harmonics up to half the sampling rate make dips narrower than a sample."""
        frequencies = steady(frequency, sampling_rate)
        assert largest_error(tone(frequencies, sampling_rate, {1: 0.3}), frequencies, sampling_rate) < 1e-4
        waveform = tone(frequencies, sampling_rate, sawtooth(frequency, sampling_rate))
        assert largest_error(waveform, frequencies, sampling_rate) < 3e-3

    @pytest.mark.parametrize("sampling_rate", [16_000, 24_000, 44_100])
    @pytest.mark.parametrize("harmonics", [1, 7])
    @pytest.mark.parametrize("sound", ["rising", "falling", "vibrato"])
    def test_changing_pitch(self, sound, harmonics, sampling_rate):
        """The middle of the frame counts: an octave a second and a value one frame off would be 0.7 %."""
        time = times(sampling_rate)
        frequencies = {
            "rising": 100 * 2 ** (1.5 * time),
            "falling": 400 * 2 ** (-1.5 * time),
            "vibrato": 200 * 2 ** (torch.sin(2 * math.pi * 5.5 * time) / 12),
        }[sound]
        waveform = tone(frequencies, sampling_rate, {k: 0.2 / k for k in range(1, harmonics + 1)})
        assert largest_error(waveform, frequencies, sampling_rate) < 6e-3

    @pytest.mark.parametrize("harmonics", [(2, 3), (2, 3, 4), (3, 4, 5, 6), (2, 4, 5), (5, 6, 7, 8)])
    @pytest.mark.parametrize("frequency", [70, 110, 180, 300])
    def test_missing_fundamental(self, frequency, harmonics):
        """No octave errors, in no frame."""
        frequencies = steady(frequency, 24_000)
        waveform = tone(frequencies, 24_000, dict.fromkeys(harmonics, 0.1))
        assert largest_error(waveform, frequencies, 24_000) < 1e-3

    @pytest.mark.parametrize(("snr_in_db", "tolerance"), [(30, 1e-3), (20, 5e-3), (10, 3e-2)])
    def test_noise_beside_a_voice(self, snr_in_db, tolerance):
        frequencies = steady(150, 24_000)
        waveform = tone(frequencies, 24_000, sawtooth(150, 24_000))
        disturbed = waveform + 10 * noise(24_000) * waveform.std() / 10 ** (snr_in_db / 20)
        assert largest_error(disturbed, frequencies, 24_000) < tolerance

    @pytest.mark.parametrize("slope_in_db_per_octave", [0, -3, -6])
    @pytest.mark.parametrize("sampling_rate", [16_000, 24_000, 44_100])
    def test_noise_is_unvoiced(self, sampling_rate, slope_in_db_per_octave):
        spectrum = torch.fft.rfft(noise(4 * sampling_rate))
        frequencies = torch.fft.rfftfreq(4 * sampling_rate, 1 / sampling_rate)
        spectrum *= (frequencies.clamp(min=20) / 20) ** (slope_in_db_per_octave / 6.02)
        waveform = torch.fft.irfft(spectrum)
        assert (pitch_contour(waveform / waveform.abs().max(), sampling_rate) == 0).all()

    @pytest.mark.parametrize("sound", ["silence", "rounding", "too soft", "constant"])
    def test_silence_has_no_pitch(self, sound):
        sine = torch.sin(2 * math.pi * 200 * times(24_000))
        waveform = {
            "silence": torch.zeros(24_000),
            "rounding": (sine / 32768).half().float(),
            "too soft": sine * 1.3e-3,
            "constant": torch.full((24_000,), 0.3),
        }[sound]
        assert (pitch_contour(waveform, 24_000)[INNER] == 0).all()
        # 3 dB of full scale more than the softest.
        assert (pitch_contour(waveform + sine * 2e-3, 24_000)[INNER] > 0).all()

    def test_a_constant_and_the_level_change_nothing(self):
        frequencies = steady(150, 24_000)
        waveform = tone(frequencies, 24_000, sawtooth(150, 24_000))
        for changed in (waveform + 0.9, waveform / 100, waveform * 5):
            assert largest_error(changed, frequencies, 24_000) < 1e-3

    @pytest.mark.parametrize("frequency", [40, 55, 640, 1000, 1500, 3000])
    def test_what_is_out_of_range_is_unvoiced(self, frequency):
        """Twice the period of 1000 Hz is a period too, and in range, but nobody hears 500 Hz."""
        waveform = tone(steady(frequency, 24_000), 24_000, {1: 0.3})
        assert (pitch_contour(waveform, 24_000)[INNER] == 0).all()

    def test_the_range_and_the_threshold_can_be_chosen(self):
        waveform = tone(steady(1000, 24_000), 24_000, {1: 0.3})
        assert pitch_contour(waveform, 24_000, max_pitch_in_hz=1200)[INNER] == pytest.approx(1000, rel=1e-3)
        waveform = tone(steady(40, 24_000), 24_000, {1: 0.3})
        assert pitch_contour(waveform, 24_000, min_pitch_in_hz=35)[4:-4] == pytest.approx(40, rel=1e-3)
        rough = tone(steady(150, 24_000), 24_000, {1: 0.1}) + noise(24_000) / 3
        voiced = [(pitch_contour(rough, 24_000, threshold=threshold) > 0).sum() for threshold in (0.05, 0.2, 0.5)]
        assert voiced[0] < voiced[1] < voiced[2]

    def test_voiced_only_while_there_is_a_voice(self):
        """Sound from 0.4 s to 0.8 s; windows of 33 ms see its edges from one frame and a half away."""
        waveform = noise(28_800) / 10
        waveform[9600:19_200] += tone(steady(200, 24_000), 24_000, sawtooth(200, 24_000))[:9600]
        ((start, end),) = voiced_spans((pitch_contour(waveform, 24_000) > 0).float())
        assert start == pytest.approx(0.4, abs=2 * FRAME_IN_S) and end == pytest.approx(0.8, abs=2 * FRAME_IN_S)

    @pytest.mark.parametrize("sampling_rate", [16_000, 22_050, 24_000, 44_100, 48_000])
    @pytest.mark.parametrize("length_in_s", [FRAME_IN_S, 0.5, 0.999, 29 * FRAME_IN_S])
    def test_as_many_frames_as_the_energy_contour(self, sampling_rate, length_in_s):
        waveform = noise(math.ceil(length_in_s * sampling_rate))
        assert pitch_contour(waveform, sampling_rate).shape == energy_contour(waveform[None], sampling_rate).shape

    def test_batches(self):
        """As each sound by itself, to rounding, also where there are more frames than are worked on at once."""
        voices = [tone(steady(f, 24_000), 24_000, sawtooth(f, 24_000)).repeat(8) for f in (80, 200, 330)]
        waveforms = torch.stack([*voices, noise(192_000)]).view(2, 2, -1)
        pitch = pitch_contour(waveforms, 24_000)
        assert pitch.shape == (2, 2, 750) and pitch.dtype == torch.float32
        for i in range(4):
            assert torch.allclose(pitch.view(4, -1)[i], pitch_contour(waveforms.view(4, -1)[i], 24_000), rtol=1e-5)
        assert pitch[:, :, 400].flatten().tolist() == pytest.approx([80, 200, 330, 0], rel=1e-3)

    def test_shifting_the_sound_shifts_the_contour(self):
        waveform = tone(100 * 2 ** times(24_000), 24_000, {1: 0.2, 2: 0.1, 3: 0.1})
        shifted = torch.cat([torch.zeros(7 * 256), waveform])
        pitch = pitch_contour(waveform, 24_000)
        expected = torch.cat([torch.zeros(7), pitch])
        # The frame before the sound already hears it.
        assert torch.allclose(pitch_contour(shifted, 24_000)[8:], expected[8:], rtol=1e-5)
        assert (pitch_contour(shifted, 24_000)[:5] == 0).all()

    def test_half_precision_and_autocast(self):
        waveform = tone(steady(200, 24_000), 24_000, sawtooth(200, 24_000))
        expected = pitch_contour(waveform, 24_000)[INNER]
        assert torch.allclose(pitch_contour(waveform.half(), 24_000)[INNER], expected, rtol=1e-3)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.equal(pitch_contour(waveform, 24_000)[INNER], expected)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"waveform": torch.tensor(0.5)}, r"`waveform` has shape \(\); expected \(..., num_samples\)"),
            ({"waveform": torch.zeros(2, 0)}, r"`waveform` has shape \(2, 0\)"),
            ({"waveform": torch.zeros(2000, dtype=torch.int16)}, "`waveform` is torch.int16; pass a tensor of floats"),
            ({"waveform": torch.full((2000,), math.nan)}, "`waveform` has NaN"),
            ({"waveform": torch.zeros(255)}, r"`waveform` lasts 0.010625 s; .* at least one frame of 0.0106667 s"),
            ({"sampling_rate": 0}, "`sampling_rate` is 0; pass a positive integer"),
            ({"hop_length": 2.5}, "`hop_length` is 2.5; pass a positive integer"),
            ({"mel_sampling_rate": -1}, "`mel_sampling_rate` is -1; pass a positive integer"),
            ({"min_pitch_in_hz": 1}, "`min_pitch_in_hz` is 1 and .* at least 20 Hz"),
            ({"min_pitch_in_hz": 700}, "`min_pitch_in_hz` is 700 and `max_pitch_in_hz` is 600; .* in this order"),
            ({"max_pitch_in_hz": 6001}, "`max_pitch_in_hz` is 6001; .* a quarter of `sampling_rate`, 6000 Hz"),
            ({"max_pitch_in_hz": math.nan}, "`max_pitch_in_hz` is nan"),
            ({"max_pitch_in_hz": "600"}, "`max_pitch_in_hz` is '600', of type str; pass a number"),
            ({"threshold": 1}, "`threshold` is 1; expected a number between 0 and 1"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_wrong_arguments(self, arguments, message):
        with pytest.raises(InputError, match=message):
            pitch_contour(**({"waveform": torch.zeros(2000), "sampling_rate": 24_000} | arguments))


def contour(*parts: tuple[int, float]) -> torch.Tensor:
    """From lengths in frames and values."""
    return torch.cat([torch.full((num_frames,), value) for num_frames, value in parts])


class TestVoicedSpans:
    @pytest.mark.parametrize(
        ("energy", "expected"),
        [
            (contour((50, 0.0)), []),
            (contour((50, 0.09)), []),
            (contour((50, 1.0)), [(0, 50)]),
            (contour((50, 0.1)), [(0, 50)]),
            (contour((20, 0.0), (30, 1.0), (40, 0.0)), [(20, 50)]),
            # A sound that swells and fades, and noise that never reaches the upper threshold.
            (contour((9, 0.04), (9, 0.06), (9, 0.5), (9, 0.06), (60, 0.04), (30, 0.06), (9, 0.0)), [(9, 36)]),
            # Gaps of 0.3 s are 28 frames.
            (contour((20, 1.0), (28, 0.0), (20, 1.0)), [(0, 68)]),
            (contour((20, 1.0), (29, 0.0), (20, 1.0)), [(0, 20), (49, 69)]),
            # Spans of 0.1 s are 9 frames; shorter ones stay where the gaps between them are closed.
            (contour((40, 0.0), (9, 1.0), (40, 0.0), (8, 1.0), (40, 0.0)), [(40, 49)]),
            (contour((40, 0.0), (4, 1.0), (10, 0.0), (4, 1.0), (40, 0.0)), [(40, 58)]),
            # What is not loud enough closes no gap.
            (contour((20, 1.0), (20, 0.0), (9, 0.09), (20, 0.0), (20, 1.0)), [(0, 20), (69, 89)]),
            (contour((1, 0.0)), []),
            (contour((1, 1.0)), []),
        ],
    )
    def test_spans_in_frames(self, energy, expected):
        spans = voiced_spans(energy)
        assert spans == [(start * 256 / 24_000, end * 256 / 24_000) for start, end in expected]
        assert all(type(time) is float for span in spans for time in span)

    def test_thresholds_and_lengths_can_be_chosen(self):
        energy = contour((1, 0.3), (1, 0.0), (1, 0.3), (5, 0.2), (1, 0.6))
        settings = {"min_span_in_s": 0, "max_gap_in_s": 0, "mel_sampling_rate": 100, "hop_length": 10}
        assert voiced_spans(energy, **settings) == [(0.0, 0.1), (0.2, 0.9)]
        assert voiced_spans(energy, on_threshold=0.5, off_threshold=0.25, **settings) == [(0.8, 0.9)]
        assert voiced_spans(energy, on_threshold=0.5, off_threshold=0.2, **settings) == [(0.2, 0.9)]
        assert voiced_spans(energy, **(settings | {"max_gap_in_s": 0.1})) == [(0.0, 0.9)]
        assert voiced_spans(energy, **(settings | {"min_span_in_s": 0.2})) == [(0.2, 0.9)]

    @pytest.mark.parametrize("sampling_rate", [16_000, 44_100])
    def test_of_a_sound(self, sampling_rate):
        """Speech-like bursts from 0.5 s to 1.2 s and from 2.0 s to 2.6 s above noise that is 40 dB softer."""
        time = times(sampling_rate, 3.0)
        speaking = ((time > 0.5) & (time < 1.2)) | ((time > 2.0) & (time < 2.6))
        syllables = 0.55 + 0.45 * torch.sin(2 * math.pi * 5 * time)
        waveform = noise(len(time)) * torch.where(speaking, syllables, 0.01)
        first, second = voiced_spans(energy_contour(waveform[None], sampling_rate))
        assert first == pytest.approx((0.5, 1.2), abs=0.03) and second == pytest.approx((2.0, 2.6), abs=0.03)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"energy": [0.5]}, "`energy` is list; pass a contour as a tensor of floats"),
            ({"energy": torch.ones(9, dtype=torch.int64)}, "`energy` is torch.int64"),
            ({"energy": torch.ones(0)}, r"`energy` has shape \(0,\); a contour has at least one frame"),
            ({"energy": torch.ones(2, 9)}, r"`energy` has shape \(2, 9\) .* expected \(num_frames,\)"),
            ({"energy": torch.full((9,), math.nan)}, "`energy` has NaN"),
            ({"energy": torch.full((9,), 120.0)}, r"values from 120 to 120; expected .* values in \[0, 1\]"),
            ({"energy": torch.full((9,), -0.1)}, "values from -0.1 to -0.1"),
            ({"off_threshold": 0}, "`off_threshold` is 0 and"),
            ({"off_threshold": 0.2}, "`off_threshold` is 0.2 and `on_threshold` is 0.1; .* in this order"),
            ({"on_threshold": 1.1}, "`on_threshold` is 1.1; .* at most 1"),
            ({"min_span_in_s": -1}, "`min_span_in_s` is -1; expected a number of seconds that is not negative"),
            ({"max_gap_in_s": math.inf}, "`max_gap_in_s` is inf"),
            ({"max_gap_in_s": None}, "`max_gap_in_s` is None, of type NoneType; pass a number"),
            ({"hop_length": 0}, "`hop_length` is 0; pass a positive integer"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_wrong_arguments(self, arguments, message):
        with pytest.raises(InputError, match=message):
            voiced_spans(**({"energy": torch.ones(9)} | arguments))


class TestAlignEnergy:
    def test_cut_or_continued_with_zeros(self):
        energy = torch.tensor([[0.5, 1.0, 0.25], [0.0, 0.5, 1.0]])
        assert torch.equal(align_energy(energy, 2), torch.tensor([[0.5, 1.0], [0.0, 0.5]]))
        assert torch.equal(align_energy(energy, 3), energy)
        assert torch.equal(align_energy(energy[0], 5), torch.tensor([0.5, 1.0, 0.25, 0.0, 0.0]))
        assert align_energy(energy.half(), 5).dtype == torch.float16

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ((torch.tensor(1.0), 3), r"`energy` has shape \(\)"),
            ((torch.tensor([math.inf]), 3), "`energy` has NaN or infinite values"),
            ((torch.ones(3), 0), "`num_frames` is 0; pass a positive integer"),
            ((torch.ones(3), 2.0), "`num_frames` is 2.0"),
        ],
    )
    def test_wrong_arguments(self, arguments, message):
        with pytest.raises(InputError, match=message):
            align_energy(*arguments)


# A number of hops that is a whole number of samples at each rate.
@pytest.mark.parametrize(
    ("sampling_rate", "num_hops", "num_samples"),
    [(24_000, 1, 256), (24_000, 17, 4352), (16_000, 3, 512), (22_050, 5, 1176), (44_100, 5, 2352), (48_000, 2, 1024)],
)
def test_shifting_a_sound_shifts_its_energy(sampling_rate, num_hops, num_samples):
    """Exactly, to the last bit."""
    waveform = noise(sampling_rate)[None]
    energy = energy_contour(waveform, sampling_rate)
    shifted = energy_contour(torch.nn.functional.pad(waveform, (num_samples, 0)), sampling_rate)
    assert torch.equal(shifted[:num_hops], torch.zeros(num_hops))
    assert torch.equal(shifted[num_hops:], energy)
    # And at the length of the clip, as in a video whose sound comes later.
    late = energy_contour(torch.nn.functional.pad(waveform, (num_samples, 0))[:, :sampling_rate], sampling_rate)
    loudest = energy[: len(energy) - num_hops].max()
    assert torch.equal(late[num_hops:], energy[: len(energy) - num_hops] / loudest)


def test_tensors_are_made_on_the_device_of_the_sound():
    """Whatever the default device is; one on which nothing can be computed shows every tensor made there."""
    waveform = tone(steady(200, 24_000), 24_000, {1: 0.3})
    expected = pitch_contour(waveform, 24_000)
    with torch.device("meta"):
        assert torch.equal(pitch_contour(waveform, 24_000), expected)
        assert voiced_spans((expected > 0).float()) == [(0.0, len(expected) * 256 / 24_000)]
        assert align_energy(expected, 200).shape == (200,)
