# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Mean difference of lengths from those of the references, as a share of these."""

import evaluate

from deepaudio_diffusers.evaluation.durations import duration_error
from deepaudio_diffusers.evaluation.metric_info import NUMBER, metric_info


DESCRIPTION = """Mean difference of lengths from those of the references, as a share of these.

`predictions` and `references` are lengths in seconds. Gives `duration_error`, the mean, and `duration_errors`.
"""
CITATION = "docs/evaluation.md of deepaudio-diffusers"


class DurationError(evaluate.Metric):
    """What `evaluate.load` finds here."""

    def _info(self) -> evaluate.MetricInfo:
        return metric_info(DESCRIPTION, CITATION, predictions=NUMBER, references=NUMBER)

    def _compute(self, predictions, references) -> dict:
        errors = [duration_error(length, reference) for length, reference in zip(predictions, references, strict=True)]
        return {"duration_error": sum(errors) / len(errors), "duration_errors": errors}
