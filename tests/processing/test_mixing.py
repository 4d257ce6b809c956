# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Soundtracks: levels and times that can be measured in them, without clicks and without clipping."""

import math

import pytest
import torch

from deepaudio_diffusers.errors import InputError
from deepaudio_diffusers.processing.audio import energy_contour, resample
from deepaudio_diffusers.processing.knowledge import voiced_spans
from deepaudio_diffusers.processing.mixing import duck, match_loudness, mix_stems, place


RATE = 24_000


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) / 10


def level_in_db(waveform: torch.Tensor) -> float:
    return 10 * math.log10(waveform.double().square().mean().item())


class TestPlace:
    @pytest.mark.parametrize("start", [0, 1, 500, 1000])
    def test_in_its_place_with_fades(self, start):
        speech = noise(2, 3, 2000)
        placed = place(speech, start, 3000)
        assert placed.shape == (2, 3, 3000) and placed.dtype == torch.float32
        assert (placed[..., :start] == 0).all() and (placed[..., start + 2000 :] == 0).all()
        assert torch.equal(placed[..., start + 128 : start + 1872], speech[..., 128:1872])
        gain = place(torch.ones(1, 1, 2000), start, 3000)[0, 0, start : start + 2000]
        assert torch.allclose(placed[..., start : start + 2000], speech * gain)
        assert (gain > 0).all() and torch.equal(gain, gain.flip(0)) and (gain[:129].diff() > 0).all()

    def test_no_edge_is_heard(self):
        """Steps from sample to sample as small as those of a cosine of this length."""
        placed = place(torch.ones(1, 1, 2000), 500, 3000, num_fade_samples=100)
        assert placed.diff().abs().max() < math.pi / 2 / 100
        assert place(torch.ones(1, 1, 2000), 500, 3000, num_fade_samples=0).diff().abs().max() == 1

    @pytest.mark.parametrize(
        ("length", "expected"), [(1, [1.0]), (2, [0.5, 0.5]), (3, [0.5, 1.0, 0.5]), (5, [0.25, 0.75, 1.0, 0.75, 0.25])]
    )
    def test_short_stems_fade_faster(self, length, expected):
        placed = place(torch.ones(1, 1, length), 10, 200)[0, 0]
        assert placed[10 : 10 + length].tolist() == pytest.approx(expected)
        assert placed.count_nonzero() == length

    def test_without_fades_nothing_changes(self):
        speech = noise(1, 1, 2000)
        assert torch.equal(place(speech, 0, 2000, num_fade_samples=0), speech)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"start": 1001}, "`speech` has 2000 samples and starts at 1001, so it ends 1 samples after the end"),
            ({"num_samples": 1999}, "which has 1999. Cut it"),
            ({"start": -1}, "`start` is -1; pass a number of samples, at least 0"),
            ({"start": 0.5}, "`start` is 0.5"),
            ({"num_fade_samples": -1}, "`num_fade_samples` is -1"),
            ({"num_samples": 0}, "`num_samples` is 0; pass a positive integer"),
            ({"speech": noise(1, 2000)}, r"`speech` has shape \(1, 2000\); expected \(batch_size, num_channels, num"),
            ({"speech": noise(1, 1, 2000).fill_(math.nan)}, "`speech` has NaN"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_wrong_arguments(self, arguments, message):
        with pytest.raises(InputError, match=message):
            place(**({"speech": noise(1, 1, 2000), "start": 0, "num_samples": 3000} | arguments))


class TestMatchLoudness:
    @pytest.mark.parametrize("wanted", [-6, 0, 12.5])
    @pytest.mark.parametrize("gain", [0.03, 1, 7])
    def test_speech_is_as_much_louder_as_wanted(self, gain, wanted):
        ambience, speech = noise(1, 1, RATE) * gain, noise(1, 1, RATE, seed=1)
        matched = match_loudness(ambience, speech, RATE, wanted)
        assert level_in_db(speech) - level_in_db(matched) == pytest.approx(wanted, abs=1e-4)
        assert torch.allclose(matched, ambience * (matched[0, 0, 0] / ambience[0, 0, 0]))

    @pytest.mark.parametrize("rest", [0, 0.03])
    def test_pauses_and_silence_do_not_count(self, rest):
        """Of four seconds, two with nothing or with noise that is 30 dB softer, which is far from silence."""
        ambience, sound = noise(1, 1, 4 * RATE), noise(1, 1, 4 * RATE, seed=1)
        expected = match_loudness(ambience, sound, RATE, 6)
        interrupted = sound * torch.tensor([1, rest, 1, rest]).repeat_interleave(RATE)
        assert torch.allclose(match_loudness(ambience, interrupted, RATE, 6), expected, rtol=0.02)
        assert torch.allclose(match_loudness(interrupted, ambience, RATE, 0), interrupted, rtol=0.02)

    def test_items_channels_and_lengths(self):
        """Every item by itself; the speech may be shorter and have fewer channels."""
        ambience, speech = noise(3, 2, RATE), noise(3, 1, 5001, seed=1) * torch.tensor([1, 0.1, 2])[:, None, None]
        matched = match_loudness(ambience, speech, RATE, 6)
        assert matched.shape == ambience.shape
        for i in range(3):
            assert torch.allclose(matched[i : i + 1], match_loudness(ambience[i : i + 1], speech[i : i + 1], RATE, 6))
            assert level_in_db(speech[i]) - level_in_db(matched[i]) == pytest.approx(6, abs=0.05)

    @pytest.mark.parametrize("length", [1, 100, 2400, 2401, 3600])
    def test_a_last_frame_that_is_short_counts_for_what_it_has(self, length):
        ambience, speech = torch.full((1, 1, length), 0.002), torch.full((1, 1, RATE), 0.5)
        assert match_loudness(ambience, speech, RATE, 0) == pytest.approx(0.5)

    @pytest.mark.parametrize("softness", [0.0, 9e-4])
    def test_silent_stems_are_left_alone(self, softness):
        silent, sound = torch.full((1, 1, RATE), softness), noise(1, 1, RATE)
        assert torch.equal(match_loudness(silent, sound, RATE, 6), silent)
        assert torch.equal(match_loudness(sound, silent, RATE, 6), sound)
        # Beside them in a batch, others are not.
        both = match_loudness(torch.cat([silent, sound]), torch.cat([sound, sound]), RATE, 6)
        assert torch.equal(both[:1], silent) and torch.allclose(both[1:], sound * 10 ** (-6 / 20))

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"ambience": noise(RATE)}, r"`ambience` has shape \(24000,\)"),
            ({"speech": noise(2, 1, RATE)}, "`ambience` has 1 items and `speech` has 2; pass as many"),
            ({"speech": noise(1, 1, RATE) / 0}, "`speech` has NaN or infinite values"),
            ({"sampling_rate": 2.4}, "`sampling_rate` is 2.4; pass a positive integer"),
            (
                {"speech_above_ambience_in_db": math.nan},
                "`speech_above_ambience_in_db` is nan; expected a level in dB",
            ),
            ({"speech_above_ambience_in_db": 201}, "is 201; expected a level in dB between -200 and 200"),
            ({"speech_above_ambience_in_db": "6"}, "`speech_above_ambience_in_db` is '6', of type str; pass a number"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_wrong_arguments(self, arguments, message):
        stems = {"ambience": noise(1, 1, RATE), "speech": noise(1, 1, RATE)}
        with pytest.raises(InputError, match=message):
            match_loudness(**(stems | {"sampling_rate": RATE, "speech_above_ambience_in_db": 6} | arguments))


def ducking_gain(spans: list[tuple[float, float]], length_in_s: float = 4.0, **settings: float) -> torch.Tensor:
    """In dB, for each sample."""
    gain = duck(torch.ones(1, 1, round(length_in_s * RATE)), [spans], RATE, **settings)
    return 20 * gain[0, 0].log10()


class TestDuck:
    def test_depth_during_speech_and_nothing_elsewhere(self):
        gain = ducking_gain([(1.0, 2.0)], depth_in_db=12, attack_in_s=0.1, release_in_s=0.5)
        assert len(gain) == 4 * RATE
        assert gain[RATE : 2 * RATE + 1] == pytest.approx(-12, abs=1e-4)
        assert (gain[: round(0.9 * RATE) + 1] == 0).all() and (gain[round(2.5 * RATE) :] == 0).all()
        attack, release = gain[round(0.9 * RATE) : RATE], gain[2 * RATE : round(2.5 * RATE)]
        assert (attack.diff() <= 0).all() and (release.diff() >= 0).all()
        assert attack[len(attack) // 2] == pytest.approx(-6, abs=0.01)
        assert release[len(release) // 2] == pytest.approx(-6, abs=0.01)

    @pytest.mark.parametrize("spans", [[(1.0, 2.0)], [(1.0, 1.3), (1.45, 2.0)], [(0.5, 1.5), (1.2, 2.0), (2.0, 2.2)]])
    def test_no_clicks(self, spans):
        """The gain is nowhere steeper than its steepest cosine, and has no edges: its slope has no steps either."""
        gain = ducking_gain(spans, depth_in_db=12, attack_in_s=0.1, release_in_s=0.4)
        assert gain.min() == pytest.approx(-12, abs=1e-4)
        steepest = 12 * math.pi / 2 / (0.1 * RATE)
        assert gain.diff().abs().max() < 1.01 * steepest
        # The curvature of the attack, whose cosine bends most at both ends, and what rounding adds to it.
        assert gain.diff().diff().abs().max() < 12 * math.pi**2 / 2 / (0.1 * RATE) ** 2 + 1e-5

    def test_short_pauses_stay_ducked(self):
        pause = ducking_gain([(1.0, 2.0), (2.1, 3.0)], depth_in_db=12)[2 * RATE : round(2.1 * RATE)]
        assert pause.max() < -10
        pause = ducking_gain([(1.0, 2.0), (2.6, 3.0)], depth_in_db=12)[2 * RATE : round(2.6 * RATE)]
        assert pause.max() == 0

    @pytest.mark.parametrize(
        ("span", "ducked"),
        [
            ((0.0, 1.0), (0, 1.4)),
            ((3.5, 9.0), (3.4, 4)),
            ((0.05, 5.0), (0, 4)),
            ((4.05, 5.0), (3.95, 4)),
            ((5, 6), (0, 0)),
        ],
    )
    def test_spans_at_the_edges(self, span, ducked):
        """Attack and release are cut off there, not squeezed in."""
        gain = ducking_gain([span])
        reached = ducking_gain([(1 + span[0], 1 + span[1])], 8.0)[RATE : 5 * RATE]
        assert torch.allclose(gain, reached, atol=1e-4)
        changed = torch.zeros(4 * RATE, dtype=torch.bool)
        changed[round(ducked[0] * RATE) : round(ducked[1] * RATE)] = True
        # The ends of a cosine are too flat for float32.
        assert not (gain.abs() > 0)[~changed].any() and ((gain == 0) & changed).sum() < 100

    def test_unchanged_where_nobody_speaks(self):
        ambience = noise(1, 2, RATE)
        assert torch.equal(duck(ambience, [[]], RATE), ambience)
        assert torch.equal(duck(ambience, [[(0.0, 1.0)]], RATE, depth_in_db=0), ambience)
        ducked = duck(ambience, [[(0.5, 0.6)]], RATE)
        assert torch.equal(ducked[..., : round(0.4 * RATE)], ambience[..., : round(0.4 * RATE)])
        assert not torch.equal(ducked, ambience)

    def test_items_and_channels(self):
        ambience, spans = noise(2, 3, RATE), [[(0.2, 0.4)], [(0.5, 0.7), (0.9, 1.0)]]
        ducked = duck(ambience, spans, RATE)
        assert ducked.shape == ambience.shape and ducked.dtype == torch.float32
        for i in range(2):
            for channel in range(3):
                alone = duck(ambience[i, channel][None, None], [spans[i]], RATE)
                assert torch.equal(ducked[i, channel], alone[0, 0])

    def test_by_the_energy_contour_of_speech(self):
        """Full depth wherever there is speech, of which two words make one span."""
        speech = torch.zeros(1, 1, 4 * RATE)
        speech[..., RATE : round(1.5 * RATE)] = speech[..., round(1.7 * RATE) : 2 * RATE] = noise(1)
        spans = voiced_spans(energy_contour(speech[0], RATE))
        gain = ducking_gain(spans, depth_in_db=12)
        assert gain[speech[0, 0] != 0].max() == pytest.approx(-12, abs=1e-4)
        assert (gain == 0).sum() > 2 * RATE

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"ambience": noise(RATE)}, r"`ambience` has shape \(24000,\)"),
            ({"ambience": noise(1, 1, RATE) * math.inf}, "`ambience` has NaN or infinite"),
            ({"spans": []}, r"`spans` is \[\]; expected a list of 1 lists of spans"),
            ({"spans": [(0.0, 0.5)]}, r"`spans` is \[\(0.0, 0.5\)\]; expected a list of 1 lists"),
            ({"spans": [[(0.5, 0.5)]]}, "`spans` has a span from 0.5 s to 0.5 s"),
            ({"spans": [[(-0.1, 0.5)]]}, "`spans` has a span from -0.1 s to 0.5 s; expected times from 0 s on"),
            ({"spans": [[(0.1, math.nan)]]}, "`spans` has a span from 0.1 s to nan s"),
            ({"spans": [[0.1, 0.5]]}, "`spans` has the span 0.1; expected its begin and end"),
            ({"spans": [[("0", "1")]]}, "A time in `spans` is '0', of type str"),
            ({"sampling_rate": 0}, "`sampling_rate` is 0"),
            ({"depth_in_db": -3}, "`depth_in_db` is -3; expected by how much to turn down, at least 0"),
            ({"depth_in_db": math.inf}, "`depth_in_db` is inf; expected a level in dB"),
            ({"attack_in_s": 0}, "`attack_in_s` is 0; pass a positive number of seconds"),
            ({"release_in_s": math.inf}, "`release_in_s` is inf; pass a positive number of seconds"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_wrong_arguments(self, arguments, message):
        right = {"ambience": noise(1, 1, RATE), "spans": [[(0.1, 0.5)]], "sampling_rate": RATE}
        with pytest.raises(InputError, match=message):
            duck(**(right | arguments))


def true_peak(waveform: torch.Tensor) -> float:
    """Of a sound whose spectrum ends below half its sampling rate: by zeros in the spectrum, not by a filter."""
    spectrum = torch.fft.rfft(waveform.double())
    return 8 * torch.fft.irfft(spectrum, 8 * waveform.shape[-1]).abs().max().item()


class TestMixStems:
    @pytest.mark.parametrize("num_stems", [1, 2, 3, 5])
    @pytest.mark.parametrize("loudness", [0.1, 1, 20])
    def test_the_stems_add_up_to_the_mix(self, num_stems, loudness):
        """Bit by bit, whether the mix is turned down or not."""
        stems = [loudness * noise(3, 2, 5000, seed=seed) for seed in range(num_stems)]
        mix, scaled = mix_stems(stems, [1.5 * i for i in range(num_stems)])
        assert mix.shape == (3, 2, 5000) and mix.dtype == torch.float32 and len(scaled) == num_stems
        total = scaled[0]
        for stem in scaled[1:]:
            total = total + stem
        assert torch.equal(mix, total)
        assert mix.abs().max() <= 1

    def test_nothing_is_scaled_that_does_not_clip(self):
        stems = [noise(2, 1, 5000, seed=seed).clamp(-0.2, 0.2) for seed in range(2)]
        mix, scaled = mix_stems(stems, [0, 0.0])
        assert torch.equal(mix, stems[0] + stems[1])
        assert all(torch.equal(*pair) for pair in zip(scaled, stems, strict=True))

    def test_gains(self):
        stems = [noise(1, 1, 5000, seed=seed).clamp(-0.1, 0.1) for seed in range(2)]
        _, scaled = mix_stems(stems, [-6, 3])
        assert level_in_db(scaled[0]) - level_in_db(stems[0]) == pytest.approx(-6, abs=1e-4)
        assert level_in_db(scaled[1]) - level_in_db(stems[1]) == pytest.approx(3, abs=1e-4)

    def test_one_factor_for_all_stems_of_an_item(self):
        """The balance stays, and an item that does not clip is left alone."""
        loud, soft = noise(2, 1, 5000), noise(2, 1, 5000, seed=1) / 10
        loud[0] *= 30
        mix, scaled = mix_stems([loud, soft], [0, 0])
        assert torch.equal(scaled[0][1], loud[1]) and torch.equal(scaled[1][1], soft[1])
        factor = scaled[1][0] / soft[0]
        assert factor.max() < 0.1 and torch.allclose(factor, factor[0, 0], rtol=1e-6)
        assert torch.allclose(scaled[0][0], loud[0] * factor[0, 0])
        assert 0.8 < mix[0].abs().max() <= 1

    @pytest.mark.parametrize("frequency", [997, 6000, 9000])
    @pytest.mark.parametrize("phase", [0.0, math.pi / 8, math.pi / 4])
    def test_peaks_between_samples(self, frequency, phase):
        """A sine of 6 kHz whose samples all lie at 0.707 of its peak would clip in a player."""
        sine = torch.sin(2 * math.pi * frequency / RATE * torch.arange(RATE) + phase)[None, None]
        fade = torch.hann_window(RATE, periodic=False)
        mix, _ = mix_stems([0.9 * sine * fade, 0.5 * sine * fade], [0, 0])
        # What lies between samples at four times the rate: at 6 kHz up to 1 - cos(pi / 16), which is 2 %.
        assert 0.97 < true_peak(mix) < 1.025

    def test_two_stems_may_cancel(self):
        stem = 20 * noise(1, 1, 5000)
        mix, scaled = mix_stems([stem, -stem], [0, 0])
        assert (mix == 0).all() and torch.equal(scaled[0], stem)

    @pytest.mark.parametrize(
        ("stems", "gains_in_db", "message"),
        [
            ([], [], "`stems` is list without stems; pass a list of at least one tensor"),
            (noise(1, 1, 100), [0], "`stems` is Tensor without"),
            ([noise(1, 100)], [0], r"`stems\[0\]` has shape \(1, 100\); expected \(batch_size"),
            ([noise(1, 1, 99), noise(1, 1, 98)], [0, 0], r"`stems\[1\]` has shape \(1, 1, 98\) on cpu and .* 1, 99\)"),
            ([noise(1, 1, 99), noise(1, 2, 99)], [0, 0], r"one number of channels with `expand`"),
            ([noise(1, 1, 99), noise(1, 1, 99) * math.nan], [0, 0], r"`stems\[1\]` has NaN"),
            ([noise(1, 1, 99)], [0, 0], r"`gains_in_db` is \[0, 0\]; pass a list of 1 levels"),
            ([noise(1, 1, 99)], 0, "`gains_in_db` is 0; pass a list of 1 levels"),
            ([noise(1, 1, 99)], [-math.inf], r"`gains_in_db\[0\]` is -inf; expected a level in dB"),
            ([noise(1, 1, 99)], [None], r"`gains_in_db\[0\]` is None, of type NoneType; pass a number"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_wrong_arguments(self, stems, gains_in_db, message):
        with pytest.raises(InputError, match=message):
            mix_stems(stems, gains_in_db)


@pytest.mark.parametrize("sampling_rate", [16_000, 44_100])
def test_a_soundtrack(sampling_rate):
    """Speech of 24 kHz in ambience of another rate: all has the length of the clip, and the levels asked for."""
    length = round(3.2 * sampling_rate)
    ambience = noise(1, 1, length) / 3
    # Below the band edge of the resampling.
    speech = torch.sin(2 * math.pi * 440 * torch.arange(RATE) / RATE)[None, None] * 0.2
    speech = place(resample(speech, RATE, sampling_rate), sampling_rate, length)
    ambience = match_loudness(ambience, speech, sampling_rate, 6)
    spans = [voiced_spans(energy_contour(item, sampling_rate)) for item in speech]
    ducked = duck(ambience, spans, sampling_rate, depth_in_db=9)
    mix, (ambience_stem, speech_stem) = mix_stems([ducked, speech], [0, 0])
    assert mix.shape == (1, 1, length) and torch.equal(mix, ambience_stem + speech_stem)
    during = slice(round(1.1 * sampling_rate), round(1.9 * sampling_rate))
    assert level_in_db(speech[..., during]) - level_in_db(ducked[..., during]) == pytest.approx(15, abs=0.2)
    assert torch.equal(ducked[..., : sampling_rate // 2], ambience[..., : sampling_rate // 2])


def test_tensors_are_made_on_the_device_of_the_stems():
    """Whatever the default device is; one on which nothing can be computed shows every tensor made there."""
    ambience, speech = noise(1, 1, RATE), noise(1, 1, RATE // 2, seed=1)
    with torch.device("meta"):
        placed = place(speech, 100, RATE)
        ducked = duck(match_loudness(ambience, placed, RATE, 6), [[(0.1, 0.5)]], RATE)
        assert placed.device == ducked.device == ambience.device
