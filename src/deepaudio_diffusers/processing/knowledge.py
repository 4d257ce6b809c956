# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""What one half of DeepAudio tells the other about a sound: contours, which have one value for each mel frame.

DeepAudio-V1 (Zhang et al., arXiv 2503.22265) calls this audio knowledge and names two kinds. The published weights use
one, [`~deepaudio_diffusers.processing.audio.energy_contour`]. The other, the pitch contour, is here, and so is what
contours of both kinds go through before they time speech.

A frame lasts `hop_length` samples at `mel_sampling_rate`: 256 / 24000 s in all published weights.
"""

import math

import torch
import torch.nn.functional as F

from ..errors import InputError
from .audio import check_count, check_waveform
from .sequence import number


# Windows with less power than this, in dB of full scale, have no pitch: neither has the noise of 16-bit samples, nor
# what a Fourier transform makes of a constant.
SILENCE_LEVEL_IN_DB = -60.0
# Windows take memory in proportion to the longest period; what is lower is heard as a rhythm.
LOWEST_PITCH_IN_HZ = 20.0
# Frames of all waveforms together that are worked on at once; at 48 kHz they take about 100 MB.
PITCH_FRAMES_AT_ONCE = 1024


def pitch_contour(
    waveform: torch.Tensor,
    sampling_rate: int,
    *,
    min_pitch_in_hz: float = 60.0,
    max_pitch_in_hz: float = 600.0,
    threshold: float = 0.2,
    mel_sampling_rate: int = 24_000,
    hop_length: int = 256,
) -> torch.Tensor:
    """Fundamental frequency of a voice in each frame of a mel spectrogram.

    YIN (de Cheveigné and Kawahara, "YIN, a fundamental frequency estimator for speech and music", J. Acoust. Soc. Am.
    111(4), 2002), steps 1 to 5: the difference function, its normalisation by the cumulative mean, the first dip below
    an absolute threshold, and parabolic interpolation. Step 6, a search among neighbouring frames, is left out.
    The pitch detection of torchaudio has no unvoiced frames and averages away what happens within 30 of them.

    A frame is heard through a window of two of the longest periods, about its middle. All pairs of samples in the
    window count, so that the value belongs to the middle of the frame whatever the pitch is; for this the difference
    function is a mean where the paper has a sum over pairs that lie later, the longer the period is. Outside the
    waveform there is silence.

    Args:
        waveform (`torch.Tensor` of shape `(..., num_samples)`): Sounds of one voice each.
        sampling_rate (`int`): Samples per second.
        min_pitch_in_hz (`float`, defaults to 60.0): The lowest pitch that is looked for.
        max_pitch_in_hz (`float`, defaults to 600.0):
            The highest pitch that is looked for. What is higher is not taken for its undertones but for unvoiced.
        threshold (`float`, defaults to 0.2):
            A frame is voiced if the power by which one period differs from the next is less than this share of that
            by which the sound differs from itself on average. The paper has 0.1, which takes a third of the
            voiced frames of everyday recordings for unvoiced; higher values find octaves that are not there.
        mel_sampling_rate (`int`, defaults to 24000): Samples per second of the speech that the contour is for.
        hop_length (`int`, defaults to 256): Samples of that speech in a frame.

    Returns:
        `torch.Tensor` of shape `(..., num_frames)`: Pitch in Hz, float32; 0 where unvoiced. As many frames as the
        energy contour of the same sound has.

    Raises:
        InputError: If the waveform has no samples or is not finite, not even one frame fits, a rate is not a positive
            integer, the threshold is not between 0 and 1, or `20 <= min_pitch_in_hz < max_pitch_in_hz <= sampling_rate
            / 4` does not hold.
    """
    check_waveform("waveform", waveform, "(..., num_samples)")
    check_count("sampling_rate", sampling_rate)
    check_count("mel_sampling_rate", mel_sampling_rate)
    check_count("hop_length", hop_length)
    min_pitch_in_hz = number("`min_pitch_in_hz`", min_pitch_in_hz)
    max_pitch_in_hz = number("`max_pitch_in_hz`", max_pitch_in_hz)
    if not LOWEST_PITCH_IN_HZ <= min_pitch_in_hz < max_pitch_in_hz <= sampling_rate / 4:
        raise InputError(
            f"`min_pitch_in_hz` is {min_pitch_in_hz:g} and `max_pitch_in_hz` is {max_pitch_in_hz:g}; they have to be "
            f"in this order, at least {LOWEST_PITCH_IN_HZ:g} Hz, and at most a quarter of `sampling_rate`, "
            f"{sampling_rate / 4:g} Hz."
        )
    threshold = number("`threshold`", threshold)
    if not 0 < threshold < 1:
        raise InputError(f"`threshold` is {threshold:g}; expected a number between 0 and 1.")

    num_samples = waveform.shape[-1]
    num_frames = round(num_samples / sampling_rate * mel_sampling_rate) // hop_length
    if num_frames == 0:
        raise InputError(
            f"`waveform` lasts {num_samples / sampling_rate:g} s; a pitch contour needs at least one frame of "
            f"{hop_length / mel_sampling_rate:g} s."
        )

    # One more than the longest period, because a dip is one only if it has a right side.
    max_lag = math.ceil(sampling_rate / min_pitch_in_hz) + 1
    # In integers and rounded down, which is how the energy contour's float64 turns out at all usual rates.
    bounds = torch.arange(num_frames + 1, device=waveform.device) * sampling_rate * hop_length // mel_sampling_rate
    middles = (bounds[:-1] + bounds[1:]) // 2
    offsets = torch.arange(2 * max_lag, device=waveform.device)
    # Half a window at both ends, so a window begins at the index that its middle had.
    samples = F.pad(waveform.float().reshape(-1, num_samples), (max_lag, max_lag))
    pitch = [
        _pitch_of_windows(samples[:, some[:, None] + offsets], sampling_rate, max_pitch_in_hz, threshold)
        for some in middles.split(max(1, PITCH_FRAMES_AT_ONCE // len(samples)))
    ]
    return torch.cat(pitch, dim=-1).reshape(*waveform.shape[:-1], num_frames)


def _pitch_of_windows(
    windows: torch.Tensor, sampling_rate: int, max_pitch_in_hz: float, threshold: float
) -> torch.Tensor:
    """Pitch in Hz, or 0, of windows of shape `(..., 2 * max_lag)`."""
    # A constant makes no difference, but would cost digits.
    windows = windows - windows.mean(-1, keepdim=True)
    sounding = windows.square().mean(-1) > 10 ** (SILENCE_LEVEL_IN_DB / 10)

    difference = _difference(windows)
    mean = difference[..., 1:].cumsum(-1) / torch.arange(1, difference.shape[-1], device=windows.device)
    # At a lag of 0 it is 1 by definition, and so it is at a lag of 1: every dip has a left side.
    normalised = F.pad(torch.where(mean > 0, difference[..., 1:] / mean, 1.0), (1, 0), value=1.0)

    # The deepest point of the first dip, which ends where the function rises above the threshold.
    below = normalised < threshold
    num_dips = (below & ~below.roll(1, -1)).cumsum(-1)
    lag = normalised.masked_fill(~below | (num_dips > 1), math.inf).argmin(-1, keepdim=True)
    voiced = sounding & below.any(-1) & (lag[..., 0] < below.shape[-1] - 1)
    voiced &= lag[..., 0] >= math.floor(sampling_rate / max_pitch_in_hz)

    # As in the paper, the minimum of the difference function itself, because that of the normalised one is biased.
    lag = lag.clamp(1, below.shape[-1] - 2)
    left, centre, right = (difference.gather(-1, lag + step)[..., 0] for step in (-1, 0, 1))
    curvature = left - 2 * centre + right
    offset = torch.where(curvature > 0, (left - right) / (2 * curvature), 0.0).clamp(-1, 1)
    return torch.where(voiced, sampling_rate / (lag[..., 0] + offset), 0.0)


def _difference(windows: torch.Tensor) -> torch.Tensor:
    """Mean square of the difference between samples that lie 0 to half a window apart: `(..., max_lag + 1)`."""
    length = windows.shape[-1]
    max_lag = length // 2
    # Long enough that no sample meets one from the other end; a power of two is transformed fastest.
    spectrum = torch.fft.rfft(windows, 2 ** math.ceil(math.log2(length + max_lag)))
    correlation = torch.fft.irfft(torch.view_as_real(spectrum).square().sum(-1))[..., : max_lag + 1]
    power = F.pad(windows.square().cumsum(-1), (1, 0))
    # Of the samples that have a partner to their right, and of those that have one to their left.
    earlier = power[..., max_lag:].flip(-1)
    later = power[..., -1:] - power[..., : max_lag + 1]
    num_pairs = length - torch.arange(max_lag + 1, device=windows.device)
    return (earlier + later - 2 * correlation).clamp(min=0) / num_pairs


def voiced_spans(
    energy: torch.Tensor,
    *,
    on_threshold: float = 0.1,
    off_threshold: float = 0.05,
    min_span_in_s: float = 0.1,
    max_gap_in_s: float = 0.3,
    mel_sampling_rate: int = 24_000,
    hop_length: int = 256,
) -> list[tuple[float, float]]:
    """When something sounds, according to a contour.

    A span is all neighbouring frames of at least `off_threshold`, if one of them has `on_threshold`; so a sound that
    swells and fades is one span, and noise below `on_threshold` is none. Then gaps are closed, and at last short spans
    are left out. A contour that is equally high everywhere gives one span or none. Of a pitch contour the spans are
    those of `(pitch > 0).float()`.

    Args:
        energy (`torch.Tensor` of shape `(num_frames,)`): Contour with values in `[0, 1]`.
        on_threshold (`float`, defaults to 0.1): What a span has to reach; 20 dB below the loudest frame.
        off_threshold (`float`, defaults to 0.05): What a span may not fall below; 26 dB below the loudest frame.
        min_span_in_s (`float`, defaults to 0.1): Shorter spans, in whole frames, are left out; 0 keeps all.
        max_gap_in_s (`float`, defaults to 0.3): Spans with at most this between them, in whole frames, become one.
        mel_sampling_rate (`int`, defaults to 24000): Samples per second of the speech that the contour is for.
        hop_length (`int`, defaults to 256): Samples of that speech in a frame.

    Returns:
        `list[tuple[float, float]]`: Begin and end of each span in seconds, in the order of time; empty for silence.

    Raises:
        InputError: If the contour has another shape or values outside `[0, 1]`, `0 < off_threshold <= on_threshold <=
            1` does not hold, a length is negative, or a rate is not a positive integer.
    """
    _check_contour(energy)
    if energy.ndim != 1 or not ((energy >= 0) & (energy <= 1)).all():
        raise InputError(
            f"`energy` has shape {tuple(energy.shape)} and values from {energy.min():g} to {energy.max():g}; expected "
            "(num_frames,) and values in [0, 1]. Pass the contours of a batch one by one."
        )
    on_threshold = number("`on_threshold`", on_threshold)
    off_threshold = number("`off_threshold`", off_threshold)
    if not 0 < off_threshold <= on_threshold <= 1:
        raise InputError(
            f"`off_threshold` is {off_threshold:g} and `on_threshold` is {on_threshold:g}; they have to be positive, "
            "in this order, and at most 1."
        )
    check_count("mel_sampling_rate", mel_sampling_rate)
    check_count("hop_length", hop_length)
    min_frames, max_gap_frames = (
        round(_duration(name, length) * mel_sampling_rate / hop_length)
        for name, length in (("min_span_in_s", min_span_in_s), ("max_gap_in_s", max_gap_in_s))
    )

    # The spans are numbers of Python; so there is one transfer, not one for each of them.
    energy = energy.cpu()
    changes = F.pad((energy >= off_threshold).int(), (1, 1)).diff()
    spans = []
    for start, end in zip((changes > 0).nonzero()[:, 0].tolist(), (changes < 0).nonzero()[:, 0].tolist(), strict=True):
        if energy[start:end].max() < on_threshold:
            continue
        if spans and start - spans[-1][1] <= max_gap_frames:
            start, _ = spans.pop()
        spans.append((start, end))
    return [
        (start * hop_length / mel_sampling_rate, end * hop_length / mel_sampling_rate)
        for start, end in spans
        if end - start >= min_frames
    ]


def align_energy(energy: torch.Tensor, num_frames: int) -> torch.Tensor:
    """Cut a contour at its end, or continue it with zeros, which mean silence and, in a pitch contour, no voice.

    Args:
        energy (`torch.Tensor` of shape `(..., num_contour_frames)`): Contours of either kind.
        num_frames (`int`): Frames of what they are to go with: a mel spectrogram or a clip.

    Returns:
        `torch.Tensor` of shape `(..., num_frames)`: The contours, in their dtype.

    Raises:
        InputError: If `energy` is not a tensor of finite floats with at least one frame, or `num_frames` is not a
            positive integer.
    """
    _check_contour(energy)
    check_count("num_frames", num_frames)
    return F.pad(energy[..., :num_frames], (0, max(0, num_frames - energy.shape[-1])))


def _check_contour(energy: torch.Tensor) -> None:
    if not isinstance(energy, torch.Tensor) or not energy.is_floating_point():
        found = energy.dtype if isinstance(energy, torch.Tensor) else type(energy).__name__
        raise InputError(f"`energy` is {found}; pass a contour as a tensor of floats.")
    if energy.ndim == 0 or energy.numel() == 0:
        raise InputError(f"`energy` has shape {tuple(energy.shape)}; a contour has at least one frame.")
    if not energy.isfinite().all():
        raise InputError("`energy` has NaN or infinite values; every frame must have a finite number.")


def _duration(name: str, length_in_s: float) -> float:
    length_in_s = number(f"`{name}`", length_in_s)
    if not 0 <= length_in_s < math.inf:
        raise InputError(f"`{name}` is {length_in_s:g}; expected a number of seconds that is not negative.")
    return length_in_s
