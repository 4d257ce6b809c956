# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""What DeepAudio can be asked for, and what each task takes. Without imports, so that asking costs nothing."""

# In the order of the gate's classes.
TASKS = ("video_to_audio", "video_to_speech", "text_to_speech", "soundtrack")
# A clip may be given as a file, as frames, or as features.
NEEDS_VIDEO = ("video_to_speech", "soundtrack")
# A transcript and a voice.
NEEDS_SPEECH = ("video_to_speech", "text_to_speech", "soundtrack")
