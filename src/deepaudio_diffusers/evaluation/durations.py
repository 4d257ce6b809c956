# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Whether speech is as long as it should be."""

from ..errors import InputError


def duration_error(length_in_s: float, reference_length_in_s: float) -> float:
    """How much longer or shorter a result is than its reference, as a share of the reference.

    Args:
        length_in_s (`float`): Of the result.
        reference_length_in_s (`float`): Of the reference.

    Returns:
        `float`: 0 when they are equally long, 1 when there is no result at all.

    Raises:
        InputError: When the reference has no length.
    """
    if reference_length_in_s <= 0:
        raise InputError(f"`reference_length_in_s` is {reference_length_in_s}; it must be positive.")
    return abs(length_in_s - reference_length_in_s) / reference_length_in_s
