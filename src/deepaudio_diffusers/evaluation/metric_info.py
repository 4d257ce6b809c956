# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""What the folders of `modules` tell `evaluate` about themselves."""

import datasets
import evaluate


NUMBER = datasets.Value("float32")
TEXT = datasets.Value("string")
# A waveform, an embedding, or logits.
VECTOR = datasets.Sequence(NUMBER)


def metric_info(description: str, citation: str, **inputs: datasets.Value | datasets.Sequence) -> evaluate.MetricInfo:
    """The facts about a metric.

    Args:
        description (`str`): What it measures, and what its inputs and results are.
        citation (`str`): Where it comes from.
        **inputs: What one clip gives: `predictions`, and `references` where there are any; one of [`NUMBER`],
            [`TEXT`] and [`VECTOR`].
    """
    return evaluate.MetricInfo(
        description=description,
        citation=citation,
        inputs_description=description,
        features=datasets.Features(inputs),
    )
