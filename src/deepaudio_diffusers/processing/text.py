# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Text as the networks were trained to read it."""

import html

import ftfy


def clean_prompt(text: str) -> str:
    """Undo what editors, web pages and wrong encodings do to a text, before CLIP's tokenizer sees it.

    The steps are those of the tokenizer that MMAudio was trained with (open_clip, MIT): characters are repaired and
    curly quotes straightened, HTML entities resolved, twice because pages escape twice. The tokenizer itself lowers
    the case and joins white space.
    """
    return html.unescape(html.unescape(ftfy.fix_text(text))).strip()
