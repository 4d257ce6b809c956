# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Results to look at and to listen to: a sheet of spectrograms, and a page with a player for each result."""

import base64
import html
import io
import wave
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..processing.audio import log_mel_spectrogram, resample
from .files import write_whole
from .items import LoadedItem
from .optional import require


SAMPLING_RATE = 16_000
# Of the natural logarithm: from what is hardly heard to what is loud.
DARKEST, BRIGHTEST = -9.0, 2.0
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem; max-width: 90rem; }
table { border-collapse: collapse; } td, th { padding: .4rem .8rem; text-align: left; vertical-align: top; }
tr:nth-child(even) { background: #f4f4f4; } audio { width: 15rem; } video { width: 15rem; }
.failed { color: #b00020; } small { color: #555; }
"""


def draw_spectrograms(path: str | Path, systems: Sequence[tuple[str, Sequence[LoadedItem]]]) -> None:
    """Draw mel spectrograms of the same clips by several systems: a line for each clip, a column for each system.

    Args:
        path (`str` or `Path`): The picture, `.png`.
        systems (sequence of `(name, clips)`): The systems, each with results of the same clips. Their references
            are the first column, if they have some.

    Raises:
        InputError: When matplotlib is not installed.
    """
    figure_class = require("matplotlib.figure", "Drawing spectrograms").Figure
    columns = [(name, [_sound_of(clip) for clip in clips]) for name, clips in systems]
    clips = systems[0][1]
    if all(clip.reference is not None for clip in clips):
        columns.insert(0, ("reference", [(*clip.recording("reference"), None) for clip in clips]))
    figure = figure_class(figsize=(3 * len(columns), 1.6 * len(clips)), layout="constrained")
    axes = figure.subplots(len(clips), len(columns), squeeze=False)
    for column, (name, sounds) in enumerate(columns):
        for row, (waveform, sampling_rate, failure) in enumerate(sounds):
            axis = axes[row, column]
            _draw(axis, waveform, sampling_rate, failure)
            if row == 0:
                axis.set_title(name, fontsize=9)
            if column == 0:
                axis.set_ylabel(clips[row].item.key, fontsize=7)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=110)
    write_whole(Path(path), picture.getvalue())


def _sound_of(clip: LoadedItem) -> tuple[torch.Tensor, int, str | None]:
    return clip.waveform, clip.sampling_rate, clip.failure


def _draw(axis: Any, waveform: torch.Tensor, sampling_rate: int, failure: str | None) -> None:
    axis.set_yticks([])
    axis.tick_params(labelsize=6)
    if failure is not None:
        axis.text(0.5, 0.5, failure.split(":")[0], ha="center", va="center", color="#b00020", transform=axis.transAxes)
        return
    mel = log_mel_spectrogram(
        resample(waveform, sampling_rate, SAMPLING_RATE)[None],
        sampling_rate=SAMPLING_RATE,
        n_fft=1024,
        hop_length=256,
        num_mels=80,
        mel_type="bigvgan",
    )[0]
    length_in_s = len(waveform) / sampling_rate
    axis.imshow(
        mel.T.numpy(),
        origin="lower",
        aspect="auto",
        vmin=DARKEST,
        vmax=BRIGHTEST,
        cmap="magma",
        extent=(0, length_in_s, 0, 1),
    )


def write_listening_page(path: str | Path, title: str, systems: Sequence[tuple[str, Sequence[LoadedItem]]]) -> None:
    """Write a page with a player for each result of the same clips by several systems. It needs no other file.

    Args:
        path (`str` or `Path`): The page, `.html`.
        title (`str`): Of the page.
        systems (sequence of `(name, clips)`): The systems; see [`draw_spectrograms`].
    """
    has_references = all(clip.reference is not None for clip in systems[0][1])
    names = [*(["reference"] if has_references else []), *(name for name, _ in systems)]
    lines = []
    for index, clip in enumerate(systems[0][1]):
        sounds = [_sound_of(clips[index]) for _, clips in systems]
        if has_references:
            sounds.insert(0, (*clip.recording("reference"), None))
        cells = "".join(f"<td>{_player(*sound)}</td>" for sound in sounds)
        lines.append(f"<tr><td>{_description(clip)}</td>{cells}</tr>")
    header = "".join(f"<th>{html.escape(name)}</th>" for name in ["clip", *names])
    text = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{STYLE}</style><h1>{html.escape(title)}</h1><table><tr>{header}</tr>{''.join(lines)}</table></html>\n"
    )
    write_whole(Path(path), text)


def _description(clip: LoadedItem) -> str:
    parts = [f"<b>{html.escape(clip.item.key)}</b>"]
    if clip.item.video is not None:
        video = clip.item.video if isinstance(clip.item.video, bytes) else clip.item.video.read_bytes()
        parts.append(f'<video controls muted src="data:video/mp4;base64,{base64.b64encode(video).decode()}"></video>')
    for name in ("prompt", "transcript"):
        text = getattr(clip.item, name)
        if text is not None:
            parts.append(f"<small>{name}: {html.escape(text)}</small>")
    return "<br>".join(parts)


def _player(waveform: torch.Tensor, sampling_rate: int, failure: str | None) -> str:
    if failure is not None:
        return f'<span class="failed">{html.escape(failure)}</span>'
    return f'<audio controls preload="none" src="data:audio/wav;base64,{_wav(waveform, sampling_rate)}"></audio>'


def _wav(waveform: torch.Tensor, sampling_rate: int) -> str:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(sampling_rate)
        writer.writeframes((waveform.clamp(-1, 1).numpy() * 32767).astype(np.int16).tobytes())
    return base64.b64encode(file.getvalue()).decode()
