# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Mean Kullback-Leibler divergence of what a tagger hears in results from that in references, in nats."""

import evaluate
import numpy as np

from deepaudio_diffusers.evaluation.distributions import kl_divergence
from deepaudio_diffusers.evaluation.metric_info import VECTOR, metric_info


DESCRIPTION = """Mean Kullback-Leibler divergence of what a tagger hears in results from that in references, in nats.

`predictions` and `references` are logits, one list of floats for each clip. Gives `kl_divergence`.
"""
CITATION = "Iashin and Rahtu, Taming visually guided sound generation, BMVC 2021"


class KLDivergence(evaluate.Metric):
    """What `evaluate.load` finds here."""

    def _info(self) -> evaluate.MetricInfo:
        return metric_info(DESCRIPTION, CITATION, predictions=VECTOR, references=VECTOR)

    def _compute(self, predictions, references) -> dict:
        return {"kl_divergence": kl_divergence(np.array(references), np.array(predictions))}
