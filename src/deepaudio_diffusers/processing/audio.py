# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""From sound to what the speech networks see: waveforms, mel spectrograms, energy contours and trimmed voice prompts.

The arithmetic is that of F5-TTS (Chen et al., arXiv 2410.06885; original code: SWivid/F5-TTS, MIT), which uses
torchaudio and, to trim the voice prompt, pydub; and of its extension by energy contours in DeepAudio-V1 (Zhang et al.,
arXiv 2503.22265).

A waveform is a tensor of floats in `[-1, 1]`; its last axis is time, in samples. Results are float32 and lie on the
device of the waveform.
"""

import math
from functools import lru_cache
from numbers import Integral, Real
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
import torchaudio

from ..errors import InputError
from ..media import MediaSource, read_audio


AudioInput = MediaSource | np.ndarray | torch.Tensor
MelType = Literal["vocos", "bigvgan"]

SAMPLE_TYPES = "pass floats in [-1, 1], or integers of 8, 16 or 32 bits, of which only those of 8 may be unsigned."

# The smallest value of a mel bin whose logarithm is taken.
MEL_FLOOR = 1e-5
# Added to the power in mels for BigVGAN, to keep the gradient of its root finite.
BIGVGAN_POWER_EPSILON = 1e-9

# What Synchformer hears: segments of 0.64 s, one every 0.32 s, in frames of 25 ms every 10 ms.
SYNC_SAMPLING_RATE = 16_000
SYNC_SEGMENT_SAMPLES = 10_240
SYNC_STEP_SAMPLES = SYNC_SEGMENT_SAMPLES // 2
SYNC_N_FFT, SYNC_WINDOW_LENGTH, SYNC_HOP_LENGTH = 1024, 400, 160
SYNC_POWER_FLOOR = 1e-6
# Statistics of the log mels of AudioSet, with which it was trained.
SYNC_MEL_MEAN, SYNC_MEL_STD = -4.2677393, 4.5689974

# A resampling filter has one row of taps for each output sample until both rates meet again. This many values are
# 512 MiB in the float64 that they are computed in; the usual pairs of rates need less than a thousandth of them.
MAX_RESAMPLING_TAPS = 2**26

# What the original passes to pydub: minimum length of a silence in ms, and its level in dB of full scale.
SILENCES = ((1000, -50.0), (100, -40.0))
SILENCE_STEP_IN_MS = 10
KEPT_SILENCE_IN_MS = 1000
EDGE_LEVEL_IN_DB = -42.0
# From here on, the trimmed prompt is long enough to leave out what would make it too long.
SUFFICIENT_LENGTH_IN_MS = 6000
# The 50 ms of silence at the end are made at pydub's own rate and resampled, which decides the last sample.
APPENDED_SILENCE_RATE = 11_025
APPENDED_SILENCE_SAMPLES = 551


def check_waveform(name: str, waveform: torch.Tensor, shape: str, num_axes: int | None = None) -> None:
    """Check type, shape and values; `num_axes` is `None` where any number of axes but zero will do."""
    if not isinstance(waveform, torch.Tensor) or not waveform.is_floating_point():
        found = waveform.dtype if isinstance(waveform, torch.Tensor) else type(waveform).__name__
        raise InputError(f"`{name}` is {found}; pass a tensor of floats in [-1, 1].")
    if waveform.ndim != (num_axes or max(1, waveform.ndim)) or waveform.numel() == 0:
        raise InputError(f"`{name}` has shape {tuple(waveform.shape)}; expected {shape} with at least one sample.")
    if not waveform.isfinite().all():
        raise InputError(f"`{name}` has NaN or infinite values; every sample must be a finite number.")


def check_count(name: str, value: int) -> None:
    if not isinstance(value, Integral) or isinstance(value, bool) or value <= 0:
        raise InputError(f"`{name}` is {value!r}; pass a positive integer.")


def check_length(name: str, length_in_s: float) -> None:
    if not isinstance(length_in_s, Real) or isinstance(length_in_s, bool) or not 0 < length_in_s < math.inf:
        raise InputError(f"`{name}` is {length_in_s!r}; pass a positive number of seconds.")


def read_waveform(audio: AudioInput, sampling_rate: int | None = None) -> tuple[torch.Tensor, int]:
    """Bring a sound in any form into one.

    Args:
        audio (`str`, `os.PathLike`, `bytes`, binary file, `np.ndarray` or `torch.Tensor`):
            A media file (of a video, its first sound track), or samples of shape `(num_samples,)` or
            `(num_channels, num_samples)`: floats in `[-1, 1]`, or integers of 8, 16 or 32 bits, whose range is scaled
            to `[-1, 1]`; unsigned 8 bits are centred at 128, as in WAV files.
        sampling_rate (`int`, *optional*): Samples per second; for samples only, because a file states its own.

    Returns:
        `tuple[torch.Tensor, int]`: The waveform, float32 of shape `(num_channels, num_samples)`, and its sampling
        rate. Tensors stay on their device.

    Raises:
        InputError: If `sampling_rate` is missing for samples or given for a file, or the samples have another type or
            shape, are empty, or are not finite.
        MediaError: If the file cannot be read or has no sound.
    """
    if not isinstance(audio, np.ndarray | torch.Tensor):
        if sampling_rate is not None:
            raise InputError(
                f"`sampling_rate` is {sampling_rate}, but `audio` is a file, which states its own; leave it out."
            )
        decoded = read_audio(audio)
        samples, sampling_rate = torch.from_numpy(decoded.samples), decoded.sampling_rate
    elif sampling_rate is None:
        raise InputError("`sampling_rate` is missing; `audio` is an array of samples, which does not state its own.")
    else:
        check_count("sampling_rate", sampling_rate)
        samples = _to_unit_interval(audio)

    shape = "(num_samples,) or (num_channels, num_samples)"
    check_waveform("audio", samples, shape)
    if samples.ndim > 2 or (samples.ndim == 2 and samples.shape[0] > samples.shape[1]):
        raise InputError(
            f"`audio` has shape {tuple(samples.shape)}; expected {shape}. Transpose it if its channels come last, and "
            "pass the sounds of a batch one by one."
        )
    return samples.reshape(-1, samples.shape[-1]), int(sampling_rate)


def _to_unit_interval(samples: np.ndarray | torch.Tensor) -> torch.Tensor:
    """Samples as float32; integers are scaled from the range of their type."""
    if isinstance(samples, np.ndarray):
        if samples.dtype.kind not in "fiu" or samples.dtype.itemsize > 8:
            raise InputError(f"`audio` has samples of type {samples.dtype}; {SAMPLE_TYPES}")
        # A copy in a layout that PyTorch knows, whose changes do not reach the caller's array.
        samples = torch.from_numpy(samples.astype(samples.dtype.newbyteorder("="), order="C"))
    if samples.is_floating_point():
        return samples.float()
    if samples.dtype == torch.uint8:
        return (samples.float() - 128) / 128
    if samples.dtype in (torch.int8, torch.int16, torch.int32):
        return samples.float() / -float(torch.iinfo(samples.dtype).min)
    raise InputError(f"`audio` has samples of type {samples.dtype}; {SAMPLE_TYPES}")


def resample(waveform: torch.Tensor, from_rate: int, to_rate: int) -> torch.Tensor:
    """Change the sampling rate, with the defaults of [`torchaudio.transforms.Resample`], as the original does.

    Args:
        waveform (`torch.Tensor` of shape `(..., num_samples)`): Sound at `from_rate`.
        from_rate (`int`): Its samples per second.
        to_rate (`int`): Samples per second of the result.

    Returns:
        `torch.Tensor` of shape `(..., ceil(num_samples * to_rate / from_rate))`: The sound at `to_rate`; the waveform
        itself in float32 if both rates are equal.

    Raises:
        InputError: If the waveform has no samples or is not finite, a rate is not a positive integer, or the two rates
            have so small a common divisor that the filter would not fit into memory.
    """
    check_waveform("waveform", waveform, "(..., num_samples)")
    check_count("from_rate", from_rate)
    check_count("to_rate", to_rate)
    if from_rate == to_rate:
        return waveform.float()

    divisor = math.gcd(from_rate, to_rate)
    if (from_rate // divisor) * (to_rate // divisor) > MAX_RESAMPLING_TAPS:
        raise InputError(
            f"`from_rate` is {from_rate} and `to_rate` is {to_rate}; their largest common divisor, {divisor}, is too "
            "small for a filter that fits into memory. Convert the sound to a usual rate first, such as 44100."
        )
    # Not the function of the same name: it computes the filter in the dtype of the waveform, with less accuracy.
    resampler = torchaudio.transforms.Resample(int(from_rate), int(to_rate))
    # A convolution, which autocast would run in half precision.
    with torch.autocast(waveform.device.type, enabled=False):
        return resampler.to(waveform.device)(waveform.float())


@lru_cache(maxsize=16)
def _mel_tensors(
    sampling_rate: int, n_fft: int, num_mels: int, mel_type: MelType, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """The filter bank `(n_fft // 2 + 1, num_mels)` and the window `(n_fft,)`."""
    scale, norm = ("htk", None) if mel_type == "vocos" else ("slaney", "slaney")
    # Tensors made in inference mode could never be used in training, and a cache does not know who asked first.
    with torch.inference_mode(False), torch.device("cpu"):
        bank = torchaudio.functional.melscale_fbanks(
            n_fft // 2 + 1, 0.0, sampling_rate / 2, num_mels, sampling_rate, norm, scale
        )
        return bank.to(device), torch.hann_window(n_fft, dtype=torch.float32).to(device)


def log_mel_spectrogram(
    waveform: torch.Tensor, *, sampling_rate: int, n_fft: int, hop_length: int, num_mels: int, mel_type: MelType
) -> torch.Tensor:
    """Natural logarithm of the mel spectrogram that a vocoder, and the F5-TTS trained for it, works on.

    The frames of `"vocos"` are centred at the multiples of `hop_length`, and its bands are equally high triangles on
    the HTK scale. The frames of `"bigvgan"` are centred in the middle between these multiples, and its bands are
    triangles of equal area on the Slaney scale. Both end at half the sampling rate, continue the waveform beyond its
    ends by reflection, and use a periodic Hann window as long as the transform.

    Args:
        waveform (`torch.Tensor` of shape `(batch_size, num_samples)`): Mono sound at `sampling_rate`.
        sampling_rate (`int`): Samples per second.
        n_fft (`int`): Length of the Fourier transform in samples.
        hop_length (`int`): Samples from one frame to the next.
        num_mels (`int`): Mel bins.
        mel_type (`"vocos"` or `"bigvgan"`): The vocoder.

    Returns:
        `torch.Tensor` of shape `(batch_size, num_frames, num_mels)`: float32, also under autocast. There are
        `num_samples // hop_length + 1` frames for `"vocos"` and `num_samples // hop_length` for `"bigvgan"`.

    Raises:
        InputError: If the waveform has another shape, is not finite, or is too short to be reflected, or `mel_type` is
            unknown.
    """
    check_waveform("waveform", waveform, "(batch_size, num_samples)", 2)
    if mel_type not in ("vocos", "bigvgan"):
        raise InputError(f"`mel_type` is {mel_type!r}; expected 'vocos' or 'bigvgan'.")
    padding = n_fft // 2 if mel_type == "vocos" else (n_fft - hop_length) // 2
    if waveform.shape[1] <= max(padding, hop_length - 1):
        raise InputError(
            f"`waveform` has {waveform.shape[1]} samples; a mel spectrogram needs at least "
            f"{max(padding + 1, hop_length)}."
        )

    bank, window = _mel_tensors(sampling_rate, n_fft, num_mels, mel_type, waveform.device)
    with torch.autocast(waveform.device.type, enabled=False):
        padded = F.pad(waveform.float(), (padding, padding), mode="reflect")
        spectrum = torch.stft(padded, n_fft, hop_length, window=window, center=False, return_complex=True)
        if mel_type == "vocos":
            magnitude = spectrum.abs()
        else:
            magnitude = torch.view_as_real(spectrum).square().sum(-1).add(BIGVGAN_POWER_EPSILON).sqrt()
        return (magnitude.transpose(1, 2) @ bank).clamp(min=MEL_FLOOR).log()


@lru_cache(maxsize=4)
def _sync_mel(num_mels: int, device: torch.device) -> torchaudio.transforms.MelSpectrogram:
    # As for `_mel_tensors`: no tensors of inference mode in a cache.
    with torch.inference_mode(False), torch.device("cpu"):
        transform = torchaudio.transforms.MelSpectrogram(
            SYNC_SAMPLING_RATE, SYNC_N_FFT, SYNC_WINDOW_LENGTH, SYNC_HOP_LENGTH, n_mels=num_mels
        )
    return transform.to(device)


def synchformer_mel(waveform: torch.Tensor, *, num_mels: int = 128, num_frames: int = 66) -> torch.Tensor:
    """Mel spectrograms of the segments of a sound, as Synchformer hears them.

    Natural logarithms of the power in bands on the HTK scale, normalised. A segment of 0.64 s has 65 frames, and those
    that are missing are zeros before the normalisation, as in hkchengrex/av-benchmark (MIT). What is left over after
    the last whole segment is not heard.

    Args:
        waveform (`torch.Tensor` of shape `(..., num_samples)`): Mono sound at 16 kHz.
        num_mels (`int`, defaults to 128): Mel bands.
        num_frames (`int`, defaults to 66): Frames of each segment.

    Returns:
        `torch.Tensor` of shape `(..., num_segments, num_frames, num_mels)`: float32, also under autocast.

    Raises:
        InputError: If the waveform is not finite, or shorter than a segment.
    """
    check_waveform("waveform", waveform, "(..., num_samples)")
    if waveform.shape[-1] < SYNC_SEGMENT_SAMPLES:
        raise InputError(
            f"`waveform` has {waveform.shape[-1]} samples; one segment of Synchformer has {SYNC_SEGMENT_SAMPLES}."
        )
    with torch.autocast(waveform.device.type, enabled=False):
        segments = waveform.float().unfold(-1, SYNC_SEGMENT_SAMPLES, SYNC_STEP_SAMPLES)
        power = _sync_mel(num_mels, waveform.device)(segments)
        log_mel = (power + SYNC_POWER_FLOOR).log()
        log_mel = F.pad(log_mel, (0, num_frames - log_mel.shape[-1]))
        return ((log_mel - SYNC_MEL_MEAN) / (2 * SYNC_MEL_STD)).transpose(-1, -2)


def energy_contour(
    waveform: torch.Tensor,
    sampling_rate: int,
    audio_length_in_s: float | None = None,
    *,
    mel_sampling_rate: int = 24_000,
    hop_length: int = 256,
) -> torch.Tensor:
    """How loud a sound is in each frame of a mel spectrogram, relative to its loudest frame.

    The mean of the absolute samples between the beginning of a frame and that of the next, over the largest such mean.
    Only the first channel is heard, as in the original. Silence has a contour of zeros, where the original divides
    zero by zero.

    Args:
        waveform (`torch.Tensor` of shape `(num_channels, num_samples)`): Sound at its own `sampling_rate`.
        sampling_rate (`int`): Samples per second of the sound.
        audio_length_in_s (`float`, *optional*):
            Cut the sound to this length, or continue it to this length with silence.
        mel_sampling_rate (`int`, defaults to 24000): Samples per second of the speech that the contour is for.
        hop_length (`int`, defaults to 256): Samples of that speech in a frame.

    Returns:
        `torch.Tensor` of shape `(num_frames,)`: float32 in `[0, 1]`. Of a sound as long as `n` samples at
        `mel_sampling_rate`, rounded to a whole number, the number of frames is `n // hop_length`.

    Raises:
        InputError: If the waveform has another shape or is not finite, a rate or length is not positive, or not even
            one frame fits.
    """
    check_waveform("waveform", waveform, "(num_channels, num_samples)", 2)
    check_count("sampling_rate", sampling_rate)
    check_count("mel_sampling_rate", mel_sampling_rate)
    check_count("hop_length", hop_length)
    samples = waveform[0].float().abs()
    if audio_length_in_s is None:
        name, audio_length_in_s = "waveform", len(samples) / sampling_rate
    else:
        name = "audio_length_in_s"
        check_length(name, audio_length_in_s)
        samples = samples[: int(sampling_rate * audio_length_in_s)]

    frame_length_in_s = hop_length / mel_sampling_rate
    # The original divides times in float64 and rounds down, which can lose a frame that ends where the sound ends.
    num_frames = round(audio_length_in_s * mel_sampling_rate) // hop_length
    if num_frames == 0:
        raise InputError(
            f"`{name}` lasts {audio_length_in_s:g} s; an energy contour needs at least one frame of "
            f"{frame_length_in_s:g} s."
        )
    # In float64 and rounded down, as in the original; so a frame can be one sample longer than another.
    bounds = (np.arange(num_frames + 1) * sampling_rate * frame_length_in_s).astype(np.int64)
    samples = F.pad(samples, (0, max(0, int(bounds[-1]) - len(samples))))

    energy = samples.new_zeros(num_frames)
    lengths = np.diff(bounds)
    for length in np.unique(lengths):
        frames = np.flatnonzero(lengths == length)
        starts = torch.from_numpy(bounds[frames]).to(samples.device)
        energy[torch.from_numpy(frames).to(samples.device)] = samples.unfold(0, int(length), 1)[starts].mean(-1)
    loudest = energy.max()
    return torch.where(loudest > 0, energy / loudest, 0.0)


def trim_reference(waveform: torch.Tensor, sampling_rate: int, max_length_in_s: float = 12.0) -> torch.Tensor:
    """Shorten a voice prompt: take out its pauses, and stop at a pause where it is still too long.

    What counts as a pause is decided on samples of 16 bits, by the rules of pydub with the settings of F5-TTS. Pauses
    of a second are shortened to what is kept around speech; speech after a pause is left out where the prompt would
    become longer than `max_length_in_s`. If that is not enough, the same is done with pauses of 0.1 s; if that is not
    enough either, the prompt is cut. Then silence is removed at both ends, and 50 ms of it are appended.

    DeepAudio-V1 has an older version of this, which cuts at 15 s and finds the end of speech in other steps.

    Args:
        waveform (`torch.Tensor` of shape `(num_samples,)`): Mono sound.
        sampling_rate (`int`): Its samples per second.
        max_length_in_s (`float`, defaults to 12.0): Length of the result in seconds, without the 50 ms at the end.

    Returns:
        `torch.Tensor` of shape `(num_remaining_samples,)`: The remaining samples in float32, unchanged, and the 50 ms
        of zeros, which are all that remains of a silent prompt.

    Raises:
        InputError: If the waveform has another shape or is not finite, or the rate or length is not positive.
    """
    check_waveform("waveform", waveform, "(num_samples,)", 1)
    check_count("sampling_rate", sampling_rate)
    check_length("max_length_in_s", max_length_in_s)
    waveform = waveform.float()
    max_length_in_ms = 1000 * max_length_in_s

    for min_silence_in_ms, level_in_db in SILENCES:
        trimmed = _without_pauses(waveform, sampling_rate, min_silence_in_ms, level_in_db, max_length_in_ms)
        if _length_in_ms(trimmed, sampling_rate) <= max_length_in_ms:
            break
    else:
        trimmed = _part(trimmed, sampling_rate, 0, max_length_in_ms)

    start = _leading_silence_in_ms(trimmed, sampling_rate)
    trimmed = _part(trimmed, sampling_rate, start, _length_in_ms(trimmed, sampling_rate))
    silence_at_end = _leading_silence_in_ms(trimmed.flip(0), sampling_rate)
    if silence_at_end > 0:
        trimmed = _part(trimmed, sampling_rate, 0, _length_in_ms(trimmed, sampling_rate) - silence_at_end)
    num_appended = (APPENDED_SILENCE_SAMPLES - 1) * sampling_rate // APPENDED_SILENCE_RATE + 1
    return torch.cat([trimmed, trimmed.new_zeros(num_appended)])


def _without_pauses(
    waveform: torch.Tensor, sampling_rate: int, min_silence_in_ms: int, level_in_db: float, max_length_in_ms: float
) -> torch.Tensor:
    """The parts with sound, in order, until the next one would make the result longer than `max_length_in_ms`."""
    kept = waveform[:0]
    for start, end in _parts_with_sound(waveform, sampling_rate, min_silence_in_ms, level_in_db):
        longer = torch.cat([kept, _part(waveform, sampling_rate, start, end)])
        if (
            _length_in_ms(kept, sampling_rate) > SUFFICIENT_LENGTH_IN_MS
            and _length_in_ms(longer, sampling_rate) > max_length_in_ms
        ):
            break
        kept = longer
    return kept


def _parts_with_sound(
    waveform: torch.Tensor, sampling_rate: int, min_silence_in_ms: int, level_in_db: float
) -> list[tuple[int, int]]:
    """Beginning and end in ms of what lies between pauses, each with up to a second of them before and after it."""
    length = _length_in_ms(waveform, sampling_rate)
    if length < min_silence_in_ms:
        return [(0, length)]
    # Windows as long as the shortest pause, in steps of 10 ms; the last one ends where the waveform ends.
    last_start = length - min_silence_in_ms
    starts = np.union1d(np.arange(0, last_start, SILENCE_STEP_IN_MS), last_start)
    levels = _levels(waveform, sampling_rate, starts, starts + min_silence_in_ms)
    silent = starts[levels <= _amplitude(level_in_db)]
    if len(silent) == 0:
        return [(0, length)]

    # Silent windows that touch are one pause.
    (gaps,) = np.nonzero(np.diff(silent) > min_silence_in_ms)
    pause_starts = silent[np.append(0, gaps + 1)]
    pause_ends = silent[np.append(gaps, -1)] + min_silence_in_ms
    starts, ends = np.append(0, pause_ends), np.append(pause_starts, length)
    (sounding,) = np.nonzero(starts < ends)
    starts, ends = starts[sounding] - KEPT_SILENCE_IN_MS, ends[sounding] + KEPT_SILENCE_IN_MS
    # Parts that would overlap share the pause between them.
    middles = (ends[:-1] + starts[1:]) // 2
    overlap = starts[1:] < ends[:-1]
    ends[:-1], starts[1:] = np.where(overlap, middles, ends[:-1]), np.where(overlap, middles, starts[1:])
    return list(zip(starts.clip(min=0).tolist(), ends.clip(max=length).tolist(), strict=True))


def _leading_silence_in_ms(waveform: torch.Tensor, sampling_rate: int) -> int:
    """For how long the waveform is silent at its beginning, in steps of 10 ms."""
    length = _length_in_ms(waveform, sampling_rate)
    starts = np.arange(0, length, SILENCE_STEP_IN_MS)
    levels = _levels(waveform, sampling_rate, starts, np.minimum(starts + SILENCE_STEP_IN_MS, length))
    (sounding,) = np.nonzero(levels >= _amplitude(EDGE_LEVEL_IN_DB))
    return int(starts[sounding[0]]) if len(sounding) else length


def _length_in_ms(waveform: torch.Tensor, sampling_rate: int) -> int:
    return round(1000 * (len(waveform) / sampling_rate))


def _part(waveform: torch.Tensor, sampling_rate: int, start_in_ms: float, end_in_ms: float) -> torch.Tensor:
    """What lies between two times, continued by zeros where rounding to ms puts the end after the last sample."""
    start, end = (int(time_in_ms * (sampling_rate / 1000)) for time_in_ms in (start_in_ms, end_in_ms))
    part = waveform[start:end]
    return torch.cat([part, part.new_zeros(end - start - len(part))])


def _levels(waveform: torch.Tensor, sampling_rate: int, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Root mean square in units of 16-bit samples, rounded down, between `starts` and `ends` in ms."""
    samples = (waveform.detach().cpu().numpy() * 32768).round().clip(-32768, 32767).astype(np.int32)
    sums = np.zeros(len(samples) + 1, dtype=np.int64)
    np.cumsum(np.square(samples, out=samples), out=sums[1:])
    starts, ends = ((times * (sampling_rate / 1000)).astype(np.int64) for times in (starts, ends))
    energy = sums[ends.clip(max=len(samples))] - sums[starts.clip(max=len(samples))]
    return np.floor(np.sqrt(energy / (ends - starts).clip(min=1)))


def _amplitude(level_in_db: float) -> float:
    """A level relative to full scale, in units of 16-bit samples."""
    return 10 ** (level_in_db / 20) * 32768


def cross_fade(waveforms: list[torch.Tensor], overlap: int) -> torch.Tensor:
    """Join waveforms, each fading into the next linearly.

    Args:
        waveforms (`list[torch.Tensor]`, each of shape `(num_samples,)`): In the order of time.
        overlap (`int`): Samples over which two neighbours sound at once; fewer where one of them is shorter.

    Returns:
        `torch.Tensor` of shape `(num_samples,)`: Shorter than all of them together by the overlaps.

    Raises:
        InputError: If the list is empty, a waveform has another shape, or `overlap` is negative.
    """
    if len(waveforms) == 0:
        raise InputError("`waveforms` is empty; pass at least one waveform.")
    if overlap < 0:
        raise InputError(f"`overlap` is {overlap}; pass the number of samples, or 0 to join without fading.")
    for index, waveform in enumerate(waveforms):
        check_waveform(f"waveforms[{index}]", waveform, "(num_samples,)", 1)

    spans, end = [], 0
    for waveform in waveforms:
        faded = min(overlap, end, len(waveform))
        spans.append((end - faded, faded))
        end += len(waveform) - faded
    joined = torch.empty(end, dtype=torch.float32, device=waveforms[0].device)
    for waveform, (start, faded) in zip(waveforms, spans, strict=True):
        before, fade_in = joined[start : start + faded], torch.linspace(0, 1, faded, device=joined.device)
        fade_out = torch.linspace(1, 0, faded, device=joined.device)
        joined[start : start + faded] = before * fade_out + waveform[:faded] * fade_in
        joined[start + faded : start + len(waveform)] = waveform[faded:]
    return joined
