# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Published weights of Cnn14, VGGish and PaSST -> folders, from which they load by `from_pretrained`."""

import hashlib
import os
import shutil
from pathlib import Path

import numpy as np
import torch
from diffusers.utils import logging

from ...conversion.checkpoints import load_checkpoint
from ...errors import CheckpointError, InputError
from .published_weights import PUBLISHED_WEIGHTS, PublishedWeights
from .state_dicts import convert_cnn14, convert_passt, convert_vggish


logger = logging.get_logger(__name__)

_CONVERTERS = {
    "panns-16k": convert_cnn14,
    "panns-32k": convert_cnn14,
    "vggish": convert_vggish,
    "passt": convert_passt,
}
# The files of PANNs hold, beside the weights, how far the training was: arrays of NumPy, which are no code either.
_RECONSTRUCT = np.empty(0).__reduce__()[0]
_ARRAYS_OF_NUMPY = [
    np.ndarray,
    np.dtype,
    type(np.dtype(np.int64)),
    # What NumPy 1 and NumPy 2 call it.
    (_RECONSTRUCT, "numpy.core.multiarray._reconstruct"),
    (_RECONSTRUCT, "numpy._core.multiarray._reconstruct"),
]
HASHED_AT_ONCE = 2**20


def convert_weights(variant: str, source: str | Path, output: str | Path) -> Path:
    """Convert published weights to a folder.

    Args:
        variant (`str`): One of `PUBLISHED_WEIGHTS`: `"panns-16k"`, `"panns-32k"`, `"vggish"` or `"passt"`.
        source (`str` or `Path`): The file, or a folder with it in it or in a folder below.
        output (`str` or `Path`): Folder to write; it must not be there, and is there when all of it is.

    Returns:
        `Path`: The folder.

    Raises:
        InputError: When there is no such variant, or `output` is there already.
        CheckpointError: When there is no such file, or it holds something else.
    """
    if variant not in PUBLISHED_WEIGHTS:
        raise InputError(f"`variant` is {variant!r}; there are {', '.join(PUBLISHED_WEIGHTS)}.")
    output = Path(output).expanduser().absolute()
    if output.exists():
        raise InputError(f"`output` ({output.name}) is there already; name a folder that is not.")
    published = PUBLISHED_WEIGHTS[variant]
    file = _find(published, Path(source).expanduser())
    is_published = _sha256(file).startswith(published.sha256)
    if not is_published:
        logger.warning(
            "%s is not the published %s: its SHA-256 sum is another. Reports will call it %s, and not compare it with "
            "published figures.",
            file.name,
            published.file_name,
            output.name,
        )
    with torch.serialization.safe_globals(_ARRAYS_OF_NUMPY):
        state_dict = load_checkpoint(file)
    model = _CONVERTERS[variant](state_dict, weights_name=published.name if is_published else None)
    if variant.startswith("panns") and f"panns-{model.config.sampling_rate // 1000}k" != variant:
        raise CheckpointError(f"`{file.name}` is a Cnn14 for {model.config.sampling_rate} Hz, and not {variant}.")
    partial = output.with_name(f".{output.name}.{os.getpid()}.partial")
    try:
        model.save_pretrained(partial)
        partial.rename(output)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return output


def _find(published: PublishedWeights, source: Path) -> Path:
    if source.is_file():
        return source
    found = sorted(source.rglob(published.file_name)) if source.is_dir() else []
    if not found:
        raise CheckpointError(
            f"There is no {published.file_name} at {str(source)!r}. These are the weights of {published.network} "
            f"({published.size}, {published.licence}); download them from {published.url}, and pass the file."
        )
    return found[0]


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(HASHED_AT_ONCE):
            digest.update(block)
    return digest.hexdigest()
