# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""What has to be set before PyTorch is imported."""

import os


# MKL rounds otherwise on each kind of processor, and the logarithm of a nearly silent mel bin magnifies that: fixtures
# that were recorded on an AMD processor differ by up to 0.06 on an Intel one. With these kernels they agree.
os.environ.setdefault("MKL_CBWR", "AVX")
