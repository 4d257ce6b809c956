# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Inception score: how sure a tagger is of each sound, and how many sounds there are over all."""

import evaluate
import numpy as np

from deepaudio_diffusers.evaluation.distributions import inception_score
from deepaudio_diffusers.evaluation.metric_info import VECTOR, metric_info


DESCRIPTION = """Inception score: how sure a tagger is of each sound, and how many sounds there are over all.

`predictions` are logits, one list of floats for each clip. Gives `inception_score`.
"""
CITATION = "Salimans et al., Improved techniques for training GANs, NeurIPS 2016"


class InceptionScore(evaluate.Metric):
    """What `evaluate.load` finds here."""

    def _info(self) -> evaluate.MetricInfo:
        return metric_info(DESCRIPTION, CITATION, predictions=VECTOR)

    def _compute(self, predictions, num_splits: int = 10, seed: int = 2020) -> dict:
        return {"inception_score": inception_score(np.array(predictions), num_splits=num_splits, seed=seed)}
