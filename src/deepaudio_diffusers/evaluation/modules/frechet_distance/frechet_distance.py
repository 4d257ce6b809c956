# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Fréchet distance of two sets of embeddings; with those of VGGish it is known as FAD."""

import evaluate
import numpy as np

from deepaudio_diffusers.evaluation.distributions import frechet_distance
from deepaudio_diffusers.evaluation.metric_info import VECTOR, metric_info


DESCRIPTION = """Fréchet distance of two sets of embeddings; with those of VGGish it is known as FAD.

`predictions` and `references` are embeddings, one list of floats for each clip. Gives `frechet_distance`.
"""
CITATION = "Heusel et al., NeurIPS 2017; Kilgour et al., Fréchet audio distance, Interspeech 2019"


class FrechetDistance(evaluate.Metric):
    """What `evaluate.load` finds here."""

    def _info(self) -> evaluate.MetricInfo:
        return metric_info(DESCRIPTION, CITATION, predictions=VECTOR, references=VECTOR)

    def _compute(self, predictions, references) -> dict:
        return {"frechet_distance": frechet_distance(np.array(references), np.array(predictions))}
