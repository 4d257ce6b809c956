# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Mean difference of lengths from those of the references, as a share of these."""

import datasets
import evaluate

from deepaudio_diffusers.evaluation.durations import duration_error


DESCRIPTION = """Mean difference of lengths from those of the references, as a share of these.

`predictions` and `references` are lengths in seconds. Gives `duration_error`, the mean, and `duration_errors`.
"""
CITATION = "docs/evaluation.md of deepaudio-diffusers"


class DurationError(evaluate.Metric):
    """What `evaluate.load` finds here."""

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=DESCRIPTION,
            citation=CITATION,
            inputs_description=DESCRIPTION,
            features=datasets.Features(
                {"predictions": datasets.Value("float32"), "references": datasets.Value("float32")}
            ),
        )

    def _compute(self, predictions, references) -> dict:
        errors = [duration_error(length, reference) for length, reference in zip(predictions, references, strict=True)]
        return {"duration_error": sum(errors) / len(errors), "duration_errors": errors}
