# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""From a picture to the frame that the CLIP encoder sees."""

import os
from pathlib import Path

import torch
from PIL import Image, ImageOps, UnidentifiedImageError

from ..errors import InputError, MediaError
from .video import CLIP_FRAME_SIZE, picture_to_rgb, resize_clip_frame


def read_image(image: str | os.PathLike | Image.Image, size: int = CLIP_FRAME_SIZE) -> torch.Tensor:
    """Read a picture as a frame for the CLIP encoder.

    Args:
        image: Path of an image file, or a PIL image. A rotation noted in the file (EXIF) is carried out,
            transparency is ignored.
        size: Height and width of the frame in pixels.

    Returns:
        `torch.Tensor` of shape `(3, size, size)`: RGB in uint8, squeezed to a square; see `normalize_clip_frames`.

    Raises:
        InputError: `image` is neither a path nor a PIL image, or has no pixels of 8 bits.
        MediaError: The file does not exist or holds no picture.
    """
    if isinstance(image, str | os.PathLike):
        image = _read_file(Path(image))
    elif isinstance(image, Image.Image):
        try:
            # Pillow reads a file only when its pixels are needed.
            image.load()
        except OSError as error:
            raise MediaError(f"`image` cannot be read ({error.strerror or error}); pass an intact picture.") from error
    else:
        raise InputError(f"`image` is of type {type(image).__name__}; pass a path or a PIL image.")
    pixels = picture_to_rgb(ImageOps.exif_transpose(image))
    return resize_clip_frame(torch.from_numpy(pixels).permute(2, 0, 1), pixels.shape[:2], size)


def _read_file(path: Path) -> Image.Image:
    try:
        with Image.open(path) as image:
            image.load()
            return image
    except FileNotFoundError as error:
        raise MediaError(f"There is no picture {path.name!r}; check the path.") from error
    except IsADirectoryError as error:
        raise MediaError(f"{path.name!r} is a folder; pass the path of a picture.") from error
    except UnidentifiedImageError as error:
        raise MediaError(f"{path.name!r} is not a picture that Pillow can read; convert it to PNG or JPEG.") from error
    except Image.DecompressionBombError as error:
        raise MediaError(f"{path.name!r} has too many pixels ({error}); make it smaller.") from error
    except OSError as error:
        # Only errors of the operating system have a `strerror`; their full text would show the whole path.
        raise MediaError(
            f"The picture {path.name!r} cannot be read ({error.strerror or error}); pass an intact file."
        ) from error
