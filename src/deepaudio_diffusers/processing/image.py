# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""From a picture to the frame that the CLIP encoder sees."""

import os
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError

from ..errors import InputError, MediaError
from .video import resize_clip_frame


def read_image(image: str | os.PathLike | Image.Image) -> torch.Tensor:
    """Read a picture as a frame for the CLIP encoder.

    Args:
        image: Path of an image file, or a PIL image. A rotation noted in the file (EXIF) is carried out.

    Returns:
        `torch.Tensor` of shape `(3, 384, 384)`: RGB in uint8, squeezed to a square; see `normalize_clip_frames`.

    Raises:
        InputError: `image` is neither a path nor a PIL image.
        MediaError: The file does not exist or holds no picture.
    """
    if isinstance(image, (str, os.PathLike)):
        name = Path(image).name
        try:
            with Image.open(image) as opened:
                opened.load()
                image = opened
        except FileNotFoundError as error:
            raise MediaError(f"There is no picture {name!r}; check the path.") from error
        except UnidentifiedImageError as error:
            raise MediaError(f"{name!r} is not a picture that Pillow can read; convert it to PNG or JPEG.") from error
        except OSError as error:
            raise MediaError(f"The picture {name!r} is damaged: {error}. Pass an intact file.") from error
    if not isinstance(image, Image.Image):
        raise InputError(f"`image` is of type {type(image).__name__}; pass a path or a PIL image.")
    pixels = np.array(ImageOps.exif_transpose(image).convert("RGB"))
    return resize_clip_frame(torch.from_numpy(pixels).permute(2, 0, 1), pixels.shape[:2])
