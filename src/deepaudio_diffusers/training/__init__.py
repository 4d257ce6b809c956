# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""What the training scripts share: the loop, batches, losses and feature caches."""
