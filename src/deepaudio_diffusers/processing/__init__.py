# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""From videos to tensors, and all arithmetic of lengths. Pure functions, no networks."""
