# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Sound: equal to F5-TTS, DeepAudio-V1 and pydub; whatever is given comes in as one kind of tensor or is refused."""

import hashlib
import io
import wave

import numpy as np
import pytest
import torch

from deepaudio_diffusers.errors import InputError, MediaError
from deepaudio_diffusers.processing.audio import (
    cross_fade,
    energy_contour,
    log_mel_spectrogram,
    read_waveform,
    resample,
    trim_reference,
)
from tests.golden import load_golden, relative_error


MEL = {"sampling_rate": 24_000, "n_fft": 1024, "hop_length": 256, "num_mels": 100}
APPENDED_AT_16_KHZ = 799


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0)).clamp(-5, 5) / 10


def digest(samples: torch.Tensor) -> str:
    """Of samples that are exact multiples of 1 / 32768."""
    integers = samples.double() * 32768
    assert torch.equal(integers, integers.round())
    return hashlib.sha256(integers.numpy().astype("<i2").tobytes()).hexdigest()


class TestReadWaveform:
    @pytest.fixture
    def file(self, tmp_path):
        path = tmp_path / "two channels.wav"
        with wave.open(str(path), "wb") as writer:
            writer.setparams((2, 2, 11_025, 0, "NONE", None))
            writer.writeframes(np.array([[-32768, 1], [16384, 2], [0, 3]], dtype="<i2").tobytes())
        return path

    @pytest.mark.parametrize(
        "form", [lambda path: path, str, lambda path: path.read_bytes(), lambda path: io.BytesIO(path.read_bytes())]
    )
    def test_file(self, file, form):
        waveform, sampling_rate = read_waveform(form(file))
        assert sampling_rate == 11_025
        expected = torch.tensor([[-1.0, 0.5, 0.0], [1 / 32768, 2 / 32768, 3 / 32768]])
        assert torch.equal(waveform, expected)

    @pytest.mark.parametrize(
        ("samples", "expected"),
        [
            (np.array([0.5, -0.25, 0.0]), [[0.5, -0.25, 0.0]]),
            (np.array([[0.5, -0.25], [1.0, 0.0]], dtype=np.float16), [[0.5, -0.25], [1.0, 0.0]]),
            (torch.tensor([[0.5, -0.25]], dtype=torch.bfloat16), [[0.5, -0.25]]),
            (np.array([-32768, 16384], dtype=np.int16), [[-1.0, 0.5]]),
            (torch.tensor([-(2**31), 2**30], dtype=torch.int32), [[-1.0, 0.5]]),
            (torch.tensor([-128, 64], dtype=torch.int8), [[-1.0, 0.5]]),
            (np.array([0, 128, 192], dtype=np.uint8), [[-1.0, 0.0, 0.5]]),
            (np.array([-32768, 16384], dtype=">i2"), [[-1.0, 0.5]]),
            (np.array([0.0, 0.25, 0.5])[::-1], [[0.5, 0.25, 0.0]]),
        ],
        ids=lambda value: str(getattr(value, "dtype", "")),
    )
    def test_samples(self, samples, expected):
        waveform, sampling_rate = read_waveform(samples, np.int64(8000))
        assert waveform.dtype == torch.float32 and torch.equal(waveform, torch.tensor(expected))
        assert sampling_rate == 8000 and type(sampling_rate) is int

    def test_does_not_hand_out_the_memory_of_an_array(self):
        samples = np.zeros(4, dtype=np.float32)
        read_waveform(samples, 8000)[0].fill_(1.0)
        assert not samples.any()

    def test_samples_need_a_rate_and_files_have_one(self, file):
        with pytest.raises(InputError, match="`sampling_rate` is missing"):
            read_waveform(np.zeros(3))
        with pytest.raises(InputError, match="`sampling_rate` is 8000, but `audio` is a file"):
            read_waveform(file, 8000)

    @pytest.mark.parametrize("sampling_rate", [0, -1, 44_100.0, True, "8000"])
    def test_wrong_rate(self, sampling_rate):
        with pytest.raises(InputError, match=r"`sampling_rate` is .*; pass a positive integer"):
            read_waveform(np.zeros(3), sampling_rate)

    @pytest.mark.parametrize(
        "samples", [np.array([0.0, np.nan]), torch.tensor([0.0, float("-inf")]), np.array([1e300, 0.0])]
    )
    def test_not_finite(self, samples):
        with pytest.raises(InputError, match="`audio` has NaN or infinite values"):
            read_waveform(samples, 8000)

    @pytest.mark.parametrize("shape", [(), (0,), (2, 0), (3, 2), (1, 2, 3)], ids=str)
    def test_wrong_shape(self, shape):
        with pytest.raises(InputError, match=r"`audio` has shape .*; expected \(num_samples,\) or"):
            read_waveform(np.zeros(shape), 8000)

    @pytest.mark.parametrize("dtype", [np.int64, np.uint16, bool, complex, object, np.longdouble])
    def test_wrong_type_of_samples(self, dtype):
        with pytest.raises(InputError, match=r"`audio` has samples of type .*; pass floats"):
            read_waveform(np.zeros(3, dtype=dtype), 8000)

    def test_no_file(self, tmp_path):
        with pytest.raises(MediaError, match=r"missing\.wav"):
            read_waveform(tmp_path / "missing.wav")


class TestResample:
    @pytest.mark.parametrize("rate", [16_000, 22_050, 44_100, 48_000])
    def test_equals_the_original(self, rate):
        golden = load_golden("f5tts/mel")
        resampled = resample(golden[f"rs_in_{rate}"], rate, 24_000)
        # Equal bits on the kind of processor that recorded it; on others, sums run in another order.
        torch.testing.assert_close(resampled, golden[f"rs_out_{rate}_24000"], rtol=0, atol=1e-6)

    def test_any_axes_and_length(self):
        waveform = noise(2, 3, 1001)
        resampled = resample(waveform, 44_100, 24_000)
        assert resampled.shape == (2, 3, 545)
        assert relative_error(resampled[1, 2], resample(waveform[1, 2], 44_100, 24_000)) < 1e-6

    def test_equal_rates(self):
        waveform = noise(7)
        assert torch.equal(resample(waveform.double(), 24_000, 24_000), waveform)

    def test_half_precision_is_widened(self):
        waveform = noise(500).bfloat16()
        assert torch.equal(resample(waveform, 16_000, 24_000), resample(waveform.float(), 16_000, 24_000))

    def test_refuses_a_filter_beyond_all_memory(self):
        with pytest.raises(InputError, match=r"`from_rate` is 44101 .* largest common divisor, 1, is too small"):
            resample(noise(100), 44_101, 24_000)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ((noise(0), 8000, 24_000), r"`waveform` has shape \(0,\)"),
            ((torch.tensor(1.0), 8000, 24_000), r"`waveform` has shape \(\)"),
            ((torch.tensor([float("nan")]), 8000, 24_000), "`waveform` has NaN"),
            ((torch.zeros(3, dtype=torch.int16), 8000, 24_000), "`waveform` is torch.int16"),
            ((np.zeros(3), 8000, 24_000), "`waveform` is ndarray"),
            ((noise(3), 8000.0, 24_000), r"`from_rate` is 8000\.0"),
            ((noise(3), 8000, 0), "`to_rate` is 0"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_wrong_arguments(self, arguments, message):
        with pytest.raises(InputError, match=message):
            resample(*arguments)


class TestLogMelSpectrogram:
    # torchaudio computes the filters of BigVGAN's mels in float32, where the original's librosa uses float64: 6e-6
    # seen. Those of Vocos are torchaudio's own: no difference seen.
    @pytest.mark.parametrize(("mel_type", "tolerance"), [("vocos", 1e-6), ("bigvgan", 1e-5)])
    def test_equals_the_original(self, mel_type, tolerance):
        golden = load_golden("f5tts/mel")
        mel = log_mel_spectrogram(golden["wav"], **MEL, mel_type=mel_type)
        assert relative_error(mel.transpose(1, 2), golden[f"mel_{mel_type}"]) < tolerance

    @pytest.mark.parametrize("num_samples", [513, 767, 768, 769, 2559, 2560])
    def test_number_of_frames(self, num_samples):
        vocos, bigvgan = (
            log_mel_spectrogram(noise(1, num_samples), **MEL, mel_type=mel_type) for mel_type in ("vocos", "bigvgan")
        )
        assert vocos.shape == (1, num_samples // 256 + 1, 100)
        assert bigvgan.shape == (1, num_samples // 256, 100)

    @pytest.mark.parametrize("mel_type", ["vocos", "bigvgan"])
    def test_other_sizes(self, mel_type):
        """A tone appears in the band that holds it: at 8 kHz, 1 kHz is the middle of both scales."""
        tone = torch.sin(torch.arange(4000) * (2 * torch.pi * 1000 / 8000))[None]
        mel = log_mel_spectrogram(tone, sampling_rate=8000, n_fft=256, hop_length=64, num_mels=20, mel_type=mel_type)
        highest = {"vocos": 2595 * np.log10(1 + 4000 / 700), "bigvgan": 15 + 27 * np.log(4) / np.log(6.4)}[mel_type]
        position = {"vocos": 2595 * np.log10(1 + 1000 / 700), "bigvgan": 15}[mel_type] / highest * 21 - 1
        assert (mel[0, 5:-5].argmax(-1) - position).abs().max() <= 0.75

    @pytest.mark.parametrize("mel_type", ["vocos", "bigvgan"])
    def test_silence_is_the_floor(self, mel_type):
        mel = log_mel_spectrogram(torch.zeros(1, 2000), **MEL, mel_type=mel_type)
        expected = np.log(1e-5)
        # The epsilon of BigVGAN's magnitude, 3e-5, times filters of equal area is below the floor in all bands.
        assert torch.allclose(mel, torch.full_like(mel, expected))

    @pytest.mark.parametrize("mel_type", ["vocos", "bigvgan"])
    def test_stays_in_float32(self, mel_type):
        waveform = noise(2, 3000)
        expected = log_mel_spectrogram(waveform, **MEL, mel_type=mel_type)
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(log_mel_spectrogram(waveform, **MEL, mel_type=mel_type), expected)
        assert torch.equal(log_mel_spectrogram(waveform.double(), **MEL, mel_type=mel_type), expected)

    def test_first_call_does_not_decide_for_later_ones(self):
        """Filters and window are cached; ones made in inference mode or on the meta device would be of no use."""
        other = MEL | {"num_mels": 90}
        waveform = noise(1, 2000)
        with torch.inference_mode(), torch.device("meta"):
            log_mel_spectrogram(waveform, **other, mel_type="vocos")
        waveform.requires_grad_()
        log_mel_spectrogram(waveform, **other, mel_type="vocos").sum().backward()
        assert waveform.grad.abs().max() > 0

    @pytest.mark.parametrize(
        ("waveform", "mel_type", "message"),
        [
            (noise(1, 512), "vocos", "`waveform` has 512 samples; a mel spectrogram needs at least 513"),
            (noise(1, 384), "bigvgan", "`waveform` has 384 samples; a mel spectrogram needs at least 385"),
            (noise(2000), "vocos", r"`waveform` has shape \(2000,\); expected \(batch_size, num_samples\)"),
            (noise(0, 2000), "vocos", r"`waveform` has shape \(0, 2000\)"),
            (torch.full((1, 2000), float("inf")), "vocos", "`waveform` has NaN or infinite values"),
            (noise(1, 2000), "hifigan", "`mel_type` is 'hifigan'; expected 'vocos' or 'bigvgan'"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_wrong_arguments(self, waveform, mel_type, message):
        with pytest.raises(InputError, match=message):
            log_mel_spectrogram(waveform, **MEL, mel_type=mel_type)


class TestEnergyContour:
    @pytest.mark.parametrize(
        ("case", "sampling_rate", "audio_length_in_s"),
        [
            ("e_44100_2ch_1.0s_d1.37", 44_100, 1.37),
            ("e_22050_1ch_1.11s_d0.777", 22_050, 0.777),
            ("e_16000_1ch_2.0s_dNone", 16_000, None),
        ],
    )
    def test_equals_the_original(self, case, sampling_rate, audio_length_in_s):
        golden = load_golden("f5tts/energy")
        energy = energy_contour(golden[f"{case}.wav"], sampling_rate, audio_length_in_s)
        # No difference seen; a sum in another order may differ in the last digit.
        torch.testing.assert_close(energy, golden[f"{case}.energy"], rtol=1.2e-7, atol=0)

    def test_mean_of_absolute_samples_over_their_largest(self):
        waveform = torch.cat([torch.full((512,), 0.1), torch.full((128,), -0.8), torch.zeros(200)])
        assert torch.allclose(energy_contour(waveform[None], 24_000), torch.tensor([0.25, 0.25, 1.0]))

    def test_only_the_first_channel_counts(self):
        waveform = noise(2, 24_000)
        assert torch.equal(energy_contour(waveform, 24_000), energy_contour(waveform[:1], 24_000))

    @pytest.mark.parametrize(("sampling_rate", "num_samples"), [(24_000, 24_100), (44_100, 44_100), (8000, 9001)])
    @pytest.mark.parametrize("audio_length_in_s", [None, 0.5, 3.0])
    def test_silence(self, sampling_rate, num_samples, audio_length_in_s):
        energy = energy_contour(torch.zeros(1, num_samples), sampling_rate, audio_length_in_s)
        length_in_s = audio_length_in_s or num_samples / sampling_rate
        assert torch.equal(energy, torch.zeros(int(length_in_s * 93.75)))

    def test_frames_of_another_mel_spectrogram(self):
        waveform = noise(1, 16_000)
        energy = energy_contour(waveform, 16_000, mel_sampling_rate=16_000, hop_length=200)
        expected = waveform.view(80, 200).abs().mean(-1)
        assert relative_error(energy, expected / expected.max()) < 1e-6

    @pytest.mark.parametrize("num_frames", [1, 29, 30, 3003])
    def test_length_that_ends_with_a_frame(self, num_frames):
        """Float arithmetic has 3003 frames of 256 / 24000 s last a little less than 3003 * 256 / 24000 s."""
        assert len(energy_contour(noise(1, 900_000), 24_000, num_frames * 256 / 24_000)) == num_frames

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ((noise(2000), 24_000), r"`waveform` has shape \(2000,\); expected \(num_channels, num_samples\)"),
            ((noise(1, 0), 24_000), r"`waveform` has shape \(1, 0\)"),
            ((torch.full((1, 999), float("nan")), 24_000), "`waveform` has NaN"),
            ((noise(1, 255), 24_000), r"`waveform` lasts 0.010625 s; .* at least one frame of 0.0106667 s"),
            ((noise(1, 2000), 24_000, 0.01), r"`audio_length_in_s` lasts 0.01 s; .* at least one frame"),
            ((noise(1, 2000), 24_000, 0), "`audio_length_in_s` is 0; pass a positive number"),
            ((noise(1, 2000), 24_000, float("nan")), "`audio_length_in_s` is nan"),
            ((noise(1, 2000), 24_000, "1"), "`audio_length_in_s` is '1'"),
            ((noise(1, 2000), -1), "`sampling_rate` is -1; pass a positive integer"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_wrong_arguments(self, arguments, message):
        with pytest.raises(InputError, match=message):
            energy_contour(*arguments)

    @pytest.mark.parametrize("name", ["mel_sampling_rate", "hop_length"])
    def test_wrong_mel(self, name):
        with pytest.raises(InputError, match=f"`{name}` is 0; pass a positive integer"):
            energy_contour(noise(1, 2000), 24_000, **{name: 0})


class TestTrimReference:
    @pytest.mark.parametrize("case", ["short", "quiet", "short_gaps"])
    @pytest.mark.parametrize(("version", "max_length_in_s"), [("up", 12.0), ("fk", 15.0)])
    def test_equals_the_original(self, case, version, max_length_in_s):
        """F5-TTS, and DeepAudio-V1 where its own way to find the end of speech makes no difference."""
        golden = load_golden("f5tts/ref_preprocess")
        trimmed = trim_reference(golden[f"{case}.in"] / 32768, 16_000, max_length_in_s)
        assert digest(trimmed) == bytes(golden[f"{case}.digest_{version}"].tolist()).hex()

    @pytest.mark.parametrize(
        ("sampling_rate", "max_length_in_s", "parts", "num_samples", "expected"),
        [
            (16000, 12.0, [(700, 0), (2300, 9000), (2500, 60), (1800, 9000), (900, 0)], 98399, "98a3d74e1ac581ae"),
            (
                22050,
                12.0,
                [(3011, 9000), (1503, 170), (3507, 9000), (1203, 190), (2801, 9000), (2311, 0), (4003, 9000)],
                178052,
                "b3114762952c1886",
            ),
            (
                44100,
                12.0,
                [(2507, 9000), (1999, 0), (3111, 9000), (1301, 100), (5203, 9000), (1702, 0), (1555, 9000)],
                338463,
                "96a607b081163840",
            ),
            (
                48000,
                12.0,
                [(3333, 9000), (151, 500), (4001, 9000), (99, 500), (6007, 9000)],
                578395,
                "3452b8deaf8b1d41",
            ),
            (24000, 12.0, [(13017, 9000)], 289198, "5b86a094d00d0254"),
            (44100, 15.0, [(17003, 9000)], 663701, "31e5ccc1aad43794"),
            (32000, 5.0, [(4321, 9000), (1201, 0), (3456, 9000)], 140157, "4b4abcf19ce6e9fd"),
            (11025, 12.0, [(333, 400), (1777, 500), (777, 440)], 28631, "c7163b6b87933e6c"),
            (16000, 12.0, [(57, 9000)], 1711, "34ab40031bc5606c"),
            (44100, 12.0, [(3, 9000)], 2333, "dd864966574cfc96"),
            (12345, 12.0, [(40, 300), (1777, 9000), (41, 300), (13, 600), (230, 300)], 23219, "6aa3e3bfa36e4ca2"),
            (
                16000,
                12.0,
                [(1500, 9000), (1000, 150), (10, 9000), (1000, 150), (2000, 9000), (1500, 30)],
                88959,
                "d18afd6d61ecd9b2",
            ),
        ],
        ids=lambda value: "",
    )
    def test_equals_pydub(self, sampling_rate, max_length_in_s, parts, num_samples, expected):
        """Results of pydub 0.25.1, called as F5-TTS does, for noise of `parts`: (length in ms, amplitude)."""
        amplitude = np.concatenate([np.full(sampling_rate * length // 1000, value) for length, value in parts])
        samples = (np.arange(len(amplitude)) * 7919 % 2001 - 1000) * amplitude // 1000
        trimmed = trim_reference(torch.from_numpy(samples).float() / 32768, sampling_rate, max_length_in_s)
        assert len(trimmed) == num_samples
        assert digest(trimmed)[:16] == expected

    def test_samples_are_not_quantised(self):
        waveform = noise(16_000)
        trimmed = trim_reference(waveform.double(), 16_000)
        assert trimmed.dtype == torch.float32
        assert torch.equal(trimmed, torch.cat([waveform, torch.zeros(APPENDED_AT_16_KHZ)]))

    def test_louder_than_full_scale(self):
        waveform = torch.cat([100 * noise(16_000), torch.zeros(8000)])
        assert torch.equal(trim_reference(waveform, 16_000), waveform[: 16_000 + APPENDED_AT_16_KHZ])

    @pytest.mark.parametrize("length_in_s", [0.0001, 0.05, 0.999, 1.0, 3.0, 30.0])
    @pytest.mark.parametrize("amplitude", [0.0, 1e-4])
    def test_nothing_but_the_appended_silence_remains_of_silence(self, length_in_s, amplitude):
        waveform = torch.full((max(1, int(16_000 * length_in_s)),), amplitude)
        assert torch.equal(trim_reference(waveform, 16_000), torch.zeros(APPENDED_AT_16_KHZ))

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ((noise(1, 2000), 16_000), r"`waveform` has shape \(1, 2000\); expected \(num_samples,\)"),
            ((noise(0), 16_000), r"`waveform` has shape \(0,\)"),
            ((torch.full((99,), float("nan")), 16_000), "`waveform` has NaN"),
            ((noise(2000), 0), "`sampling_rate` is 0"),
            ((noise(2000), 16_000, -1.0), r"`max_length_in_s` is -1\.0"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_wrong_arguments(self, arguments, message):
        with pytest.raises(InputError, match=message):
            trim_reference(*arguments)


class TestCrossFade:
    def test_equals_the_original(self):
        golden = load_golden("f5tts/crossfade")
        joined = cross_fade([golden[f"w{i}"] for i in range(3)], 3600)
        assert joined.dtype == torch.float32
        # The original's ramps and result are float64: 7e-8 seen.
        assert relative_error(joined, golden["out"]) < 1e-6

    def test_without_overlap(self):
        waveforms = [noise(3), noise(5).half(), noise(2)]
        assert torch.equal(cross_fade(waveforms, 0), torch.cat(waveforms))

    def test_one_waveform_stays_as_it_is(self):
        waveform = noise(5)
        joined = cross_fade([waveform], 3)
        assert torch.equal(joined, waveform) and joined.data_ptr() != waveform.data_ptr()

    @pytest.mark.parametrize(
        ("lengths", "expected"),
        [((20, 20), 34), ((4, 9), 9), ((9, 4), 9), ((4, 4), 4), ((1, 9), 9), ((4, 2, 9), 9)],
        ids=str,
    )
    def test_overlap_is_limited_by_the_shorter_one(self, lengths, expected):
        """A constant stays one, because what fades out and what fades in add up to one."""
        joined = cross_fade([torch.full((length,), 0.5) for length in lengths], 6)
        assert torch.allclose(joined, torch.full((expected,), 0.5))

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (([], 3), "`waveforms` is empty"),
            (([noise(3)], -1), "`overlap` is -1"),
            (([noise(3), noise(1, 3)], 1), r"`waveforms\[1\]` has shape \(1, 3\); expected \(num_samples,\)"),
            (([torch.tensor([float("nan")])], 1), r"`waveforms\[0\]` has NaN"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_wrong_arguments(self, arguments, message):
        with pytest.raises(InputError, match=message):
            cross_fade(*arguments)
