# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""How good generated sound and speech are: measures over arrays, with the interval that each figure is known to.

Measures that need a library beside those of the package name it when it is missing; `pip install
"deepaudio-diffusers[evaluation]"` installs them all but one (see `speakers`). Folders of `modules` are for
`evaluate.load`.
"""

from pathlib import Path

from ..errors import InputError


MODULES = Path(__file__).with_name("modules")


def module_path(name: str) -> str:
    """The folder of a metric for `evaluate.load`.

    Args:
        name (`str`): Of the metric, such as `"mcd"`.

    Raises:
        InputError: When there is no such metric.
    """
    folder = MODULES / name
    if not (folder / f"{name}.py").is_file():
        names = sorted(path.name for path in MODULES.iterdir() if (path / f"{path.name}.py").is_file())
        raise InputError(f"`name` is {name!r}; there are {', '.join(names)}.")
    return str(folder)
