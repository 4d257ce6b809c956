# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Networks trained on AudioSet that the tables of papers are computed with: PANNs' Cnn14, VGGish and PaSST.

transformers has none of them, and the packages that do are no longer kept up (see docs/architecture.md). Published
weights are converted once (`deepaudio convert panns-16k`, ...) to folders, from which they load like any other.
"""
