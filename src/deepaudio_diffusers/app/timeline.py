# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Pictures of a take over the time of its clip: film strip, waveform, spectrogram and energy contour.

All of them are as wide as the clip is long, so that one line across them is one moment. Curves are paths of SVG in a
box of 1000 x 100, pictures are `data:` addresses.
"""

import base64
import io

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from ..media import MediaFile, decode_frames
from ..processing.audio import log_mel_spectrogram


WIDTH, HEIGHT = 1000, 100
NUM_THUMBNAILS = 12
THUMBNAIL_SIZE = (128, 72)
NUM_BARS = 250
SPECTROGRAM_SIZE = (900, 96)
# Below this the spectrogram is dark.
DYNAMIC_RANGE_IN_DB = 70.0
# From silence to the loudest, evenly spaced.
COLOURS = np.array([(11, 10, 24), (48, 28, 94), (122, 46, 124), (209, 78, 98), (248, 150, 90), (253, 233, 184)])


def film_strip(video: MediaFile, length_in_s: float) -> str:
    """Pictures of a clip at equal distances, side by side.

    Args:
        video ([`MediaFile`]): The clip.
        length_in_s (`float`): How much of it is shown.

    Returns:
        `str`: A JPEG as a `data:` address.
    """
    width, height = THUMBNAIL_SIZE
    strip = Image.new("RGB", (NUM_THUMBNAILS * width, height), "black")
    times_in_s = [(i + 0.5) * length_in_s / NUM_THUMBNAILS for i in range(NUM_THUMBNAILS)]
    thumbnail = None
    num_pasted = 0
    for frame in decode_frames(video):
        due = [i for i in range(num_pasted, NUM_THUMBNAILS) if times_in_s[i] < frame.end_in_s]
        if due or thumbnail is None:
            thumbnail = _thumbnail(frame.to_rgb(), frame.display_size)
        for i in due:
            strip.paste(thumbnail, (i * width, 0))
        num_pasted += len(due)
        if num_pasted == NUM_THUMBNAILS:
            break
    for i in range(num_pasted, NUM_THUMBNAILS):
        strip.paste(thumbnail, (i * width, 0))
    return _data_address(strip, "JPEG", quality=80)


def waveform_path(samples: np.ndarray) -> str:
    """The outline of a waveform as bars, the loudest of which fills the box.

    Args:
        samples (`np.ndarray` of shape `(num_samples,)`): Mono sound.

    Returns:
        `str`: A path of SVG to be filled.
    """
    peaks = np.array([np.abs(part).max(initial=0.0) for part in np.array_split(samples, NUM_BARS)])
    heights = np.maximum(peaks / max(float(peaks.max()), 1e-9) * 0.94, 0.012) * HEIGHT
    step = WIDTH / NUM_BARS
    return "".join(
        f"M{i * step:.1f} {(HEIGHT - height) / 2:.1f}h{0.7 * step:.1f}v{height:.1f}h{-0.7 * step:.1f}z"
        for i, height in enumerate(heights)
    )


def contour_path(contour: np.ndarray) -> str:
    """An energy contour as a curve, closed along the bottom.

    Args:
        contour (`np.ndarray` of shape `(num_frames,)`): Values from 0 to 1 at equal distances.

    Returns:
        `str`: A path of SVG to be filled.
    """
    places = np.linspace(0, WIDTH, len(contour))
    points = " ".join(f"{x:.1f} {HEIGHT * (1 - 0.94 * y):.1f}" for x, y in zip(places, contour, strict=True))
    return f"M0 {HEIGHT}L{points}L{WIDTH} {HEIGHT}z"


def spectrogram(samples: np.ndarray, sampling_rate: int) -> str:
    """How loud each pitch is at each moment, low pitches at the bottom.

    Args:
        samples (`np.ndarray` of shape `(num_samples,)`): Mono sound.
        sampling_rate (`int`): Samples per second.

    Returns:
        `str`: A WebP as a `data:` address.
    """
    width, height = SPECTROGRAM_SIZE
    waveform = torch.from_numpy(samples)[None].float()
    hop_length = max(64, len(samples) // width)
    n_fft = 1024 if sampling_rate < 32_000 else 2048
    # A sound of a few milliseconds is shorter than a frame.
    waveform = F.pad(waveform, (0, max(0, n_fft - waveform.shape[1])))
    mel = log_mel_spectrogram(
        waveform, sampling_rate=sampling_rate, n_fft=n_fft, hop_length=hop_length, num_mels=height, mel_type="vocos"
    )[0]
    in_db = mel.numpy() * (20 / np.log(10))
    level = np.clip((in_db - in_db.max()) / DYNAMIC_RANGE_IN_DB + 1, 0, 1).T[::-1]
    places = np.linspace(0, 1, len(COLOURS))
    pixels = np.stack([np.interp(level, places, COLOURS[:, channel]) for channel in range(3)], axis=-1)
    return _data_address(Image.fromarray(pixels.astype(np.uint8)).resize((width, height)), "WEBP", quality=80)


def ticks(length_in_s: float) -> list[dict[str, float | str]]:
    """Marks of the time line: where, as a share of the clip in percent, and what is written there."""
    steps_in_s = (0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 120)
    step_in_s = next((step for step in steps_in_s if length_in_s / step <= 10), steps_in_s[-1])
    return [
        {"place": round(100 * i * step_in_s / length_in_s, 2), "text": f"{i * step_in_s:g} s"}
        for i in range(int(0.97 * length_in_s / step_in_s) + 1)
    ]


def _thumbnail(pixels: np.ndarray, display_size: tuple[int, int]) -> Image.Image:
    """A frame cut to the shape of a thumbnail."""
    width, height = THUMBNAIL_SIZE
    shown_height, shown_width = display_size
    scale = max(width / shown_width, height / shown_height)
    size = (max(width, round(shown_width * scale)), max(height, round(shown_height * scale)))
    picture = Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR)
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    return picture.crop((left, top, left + width, top + height))


def _data_address(picture: Image.Image, kind: str, **options: int) -> str:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(file.getvalue()).decode()}"
