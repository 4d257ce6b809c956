# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Prompts are cleaned as open_clip cleans them; the expected strings are its results."""

import pytest

from deepaudio_diffusers.processing.text import clean_prompt


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a dog barks", "a dog barks"),
        ("  a dog’s “bark”  ", 'a dog\'s "bark"'),
        ("wind &amp;amp; rain", "wind & rain"),
        ("cafÃ© noise", "café noise"),
        ("ｆｕｌｌ ｗｉｄｔｈ", "full width"),
        ("", ""),
    ],
)
def test_clean_prompt(text, expected):
    assert clean_prompt(text) == expected
