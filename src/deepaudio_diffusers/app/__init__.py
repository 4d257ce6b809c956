# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""What `spaces_app.py` is made of: visitors and their files, the door they come through, takes, and how takes look."""
