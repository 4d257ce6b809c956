# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Pictures of spectrograms, by which a validation can be judged at a glance.

They need matplotlib, which nothing else does: `pip install matplotlib`.
"""

from pathlib import Path

import numpy as np
import torch

from ..errors import InputError


# Inches; with 100 dots an inch, a clip of 4 s is about as wide as a screen.
ROW_SIZE = (10.0, 1.8)


def save_spectrograms(
    path: str | Path, log_mels: dict[str, torch.Tensor | np.ndarray], frames_per_second: float
) -> None:
    """Write spectrograms below each other into one PNG, in the same colours, so that levels can be compared.

    Args:
        path (`str` or `Path`): The file.
        log_mels (`dict[str, torch.Tensor or np.ndarray]`): Log mel spectrograms of shape `(num_frames, num_mels)`
            under their titles, at least one.
        frames_per_second (`float`): Their frame rate, for the time axis.

    Raises:
        InputError: `log_mels` is empty, or one of them has another number of axes.
    """
    # Imported here, because training without validation does not need it.
    from matplotlib.figure import Figure

    pictures = {title: torch.as_tensor(mel).detach().float().cpu().numpy() for title, mel in log_mels.items()}
    if not pictures:
        raise InputError("`log_mels` is empty; pass at least one spectrogram.")
    for title, mel in pictures.items():
        if mel.ndim != 2:
            raise InputError(f"The spectrogram {title!r} has shape {mel.shape}; expected (num_frames, num_mels).")
    lowest, highest = min(mel.min() for mel in pictures.values()), max(mel.max() for mel in pictures.values())
    figure = Figure(figsize=(ROW_SIZE[0], ROW_SIZE[1] * len(pictures)), layout="constrained")
    rows = figure.subplots(len(pictures), 1, squeeze=False)[:, 0]
    for axes, (title, mel) in zip(rows, pictures.items(), strict=True):
        axes.imshow(
            mel.T,
            origin="lower",
            aspect="auto",
            extent=(0, len(mel) / frames_per_second, 0, mel.shape[1]),
            vmin=lowest,
            vmax=highest,
            interpolation="nearest",
            cmap="magma",
        )
        axes.set_title(title, fontsize=8, loc="left")
        axes.set_ylabel("mel bin", fontsize=6)
        axes.tick_params(labelsize=6)
    rows[-1].set_xlabel("seconds", fontsize=6)
    figure.savefig(path, format="png", dpi=100)
