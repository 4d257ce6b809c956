# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""How good generated sound and speech are: measures over arrays, with the interval that each figure is known to.

Measures that need a library beside those of the package name it when it is missing; `pip install
"deepaudio-diffusers[evaluation]"` installs them all but one (see `speakers`). Folders of `modules` are for
`evaluate.load`.
"""
