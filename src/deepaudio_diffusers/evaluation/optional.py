# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Libraries that only some measures need."""

import importlib
from types import ModuleType

from ..errors import InputError


def require(
    name: str, purpose: str, installation: str = 'pip install "deepaudio-diffusers[evaluation]"'
) -> ModuleType:
    """Import a library that not everybody has.

    Args:
        name (`str`): Of the module.
        purpose (`str`): What it is needed for, as the beginning of a sentence.
        installation (`str`): The command that installs it.

    Raises:
        InputError: When it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise InputError(f"{purpose} needs the library `{error.name}`; run `{installation}`.") from error
