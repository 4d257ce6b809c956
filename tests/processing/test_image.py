# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""A picture becomes the frame of its pixels as a viewer shows them, or an error that names it."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from deepaudio_diffusers.errors import InputError, MediaError
from deepaudio_diffusers.processing.image import read_image
from deepaudio_diffusers.processing.video import resize_clip_frame


# Neither square nor symmetric, so that each way to turn it gives another frame.
PIXELS = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
EXIF_ORIENTATION = 0x0112


def frame_of(pixels: np.ndarray) -> torch.Tensor:
    tensor = torch.from_numpy(np.array(pixels, order="C")).permute(2, 0, 1)
    return resize_clip_frame(tensor, pixels.shape[:2])


@pytest.fixture
def png(tmp_path) -> Path:
    path = tmp_path / "picture.png"
    Image.fromarray(PIXELS).save(path)
    return path


def test_a_picture_is_resized_like_a_frame_of_a_video(png):
    frame = read_image(Image.fromarray(PIXELS))
    assert (frame.shape, frame.dtype) == ((3, 384, 384), torch.uint8)
    assert torch.equal(frame, frame_of(PIXELS))
    for path in (png, str(png)):
        assert torch.equal(read_image(path), frame)


@pytest.mark.parametrize("extension", ["bmp", "gif", "tiff", "webp"])
def test_other_formats_are_read_once_their_file_is_closed(tmp_path, extension):
    path = tmp_path / f"picture.{extension}"
    Image.fromarray(PIXELS).save(path, **({"lossless": True} if extension == "webp" else {}))
    with Image.open(path) as stored:
        expected = frame_of(np.asarray(stored.convert("RGB")))
    assert torch.equal(read_image(path), expected)


@pytest.mark.parametrize(
    ("orientation", "turn"),
    [
        (1, lambda pixels: pixels),
        (2, np.fliplr),
        (3, lambda pixels: np.rot90(pixels, 2)),
        (4, np.flipud),
        (5, lambda pixels: pixels.swapaxes(0, 1)),
        (6, lambda pixels: np.rot90(pixels, -1)),
        (7, lambda pixels: np.rot90(pixels, 2).swapaxes(0, 1)),
        (8, np.rot90),
    ],
)
def test_a_picture_is_turned_as_its_file_says(tmp_path, orientation, turn):
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = orientation
    path = tmp_path / "picture.png"
    Image.fromarray(PIXELS).save(path, exif=exif)
    expected = frame_of(turn(PIXELS))
    assert torch.equal(read_image(path), expected)
    with Image.open(path) as opened:
        assert torch.equal(read_image(opened), expected)


def test_transparency_is_ignored():
    alpha = np.full((*PIXELS.shape[:2], 1), 100, dtype=np.uint8)
    assert torch.equal(read_image(Image.fromarray(np.concatenate([PIXELS, alpha], axis=2))), frame_of(PIXELS))


def test_a_palette_is_looked_up():
    colours = np.array([[250, 10, 20], [30, 240, 50], [70, 60, 230]], dtype=np.uint8)
    indices = np.arange(30 * 40, dtype=np.uint8).reshape(30, 40) % 3
    picture = Image.fromarray(indices, mode="L")
    picture.putpalette(colours.tobytes())
    assert picture.mode == "P"
    assert torch.equal(read_image(picture), frame_of(colours[indices]))


def test_grey_becomes_three_equal_channels():
    grey = PIXELS[..., 0]
    assert torch.equal(read_image(Image.fromarray(grey)), frame_of(np.stack([grey] * 3, axis=-1)))


def test_the_given_picture_stays_as_it_is():
    picture = Image.fromarray(PIXELS)
    read_image(picture)
    assert np.array_equal(np.asarray(picture), PIXELS)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (None, "`image` is of type NoneType"),
        (b"picture", "`image` is of type bytes"),
        (PIXELS, "`image` is of type ndarray"),
        (Image.new("RGB", (0, 0)), "size 0 x 0"),
        (Image.new("RGB", (4, 0)), "size 4 x 0"),
        (Image.new("I;16", (4, 4)), "mode 'I;16'"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_arguments_without_a_picture_are_named(image, message):
    with pytest.raises(InputError, match=message):
        read_image(image)


def make_folder(path: Path):
    path.mkdir()


def make_text(path: Path):
    path.write_text("This is not a picture." * 10)


def make_empty(path: Path):
    path.touch()


def make_truncated(path: Path):
    path.write_bytes(encoded()[:-500])


def make_damaged(path: Path):
    content = bytearray(encoded())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def make_huge(path: Path):
    # The size stands at the head of a BMP file: here 100,000 x 100,000 pixels.
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, "BMP")
    content = bytearray(file.getvalue())
    content[18:26] = (100_000).to_bytes(4, "little") * 2
    path.write_bytes(content)


def encoded() -> bytes:
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, "PNG")
    return file.getvalue()


def test_a_name_that_no_file_can_have_is_refused(tmp_path):
    with pytest.raises(MediaError, match=r"cannot be read \(") as caught:
        read_image(tmp_path / f"{'x' * 300}.png")
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, r"There is no picture 'picture\.png'"),
        (make_folder, r"'picture\.png' is a folder"),
        (make_text, r"'picture\.png' is not a picture"),
        (make_empty, r"'picture\.png' is not a picture"),
        (make_truncated, r"'picture\.png' cannot be read \(image file is truncated"),
        (make_damaged, r"'picture\.png' cannot be read"),
        (make_huge, r"'picture\.png' has too many pixels"),
    ],
    ids=["missing", "folder", "text", "empty", "truncated", "damaged", "huge"],
)
def test_files_without_a_picture_are_named_without_their_folder(tmp_path, make, message):
    path = tmp_path / "picture.png"
    make(path)
    with pytest.raises(MediaError, match=message) as caught:
        read_image(path)
    assert str(tmp_path) not in str(caught.value)


def test_a_truncated_picture_that_was_opened_by_the_caller_is_refused():
    with Image.open(io.BytesIO(encoded()[:-500])) as opened, pytest.raises(MediaError, match="`image` cannot be read"):
        read_image(opened)
