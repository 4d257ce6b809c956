# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""A procedural audio-visual world: clips in which what is seen determines what is heard, and speech, from seeds."""
