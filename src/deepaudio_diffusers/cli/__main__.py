# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""`python -m deepaudio_diffusers.cli`, where the command itself is not on the path."""

import sys

from . import main


sys.exit(main())
