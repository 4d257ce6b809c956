# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Kernel distance of two sets of embeddings, which has no bias with few clips."""

import evaluate
import numpy as np

from deepaudio_diffusers.evaluation.distributions import kernel_distance
from deepaudio_diffusers.evaluation.metric_info import VECTOR, metric_info


DESCRIPTION = """Kernel distance of two sets of embeddings, which has no bias with few clips.

`predictions` and `references` are embeddings, one list of floats for each clip. Gives `kernel_distance`.
"""
CITATION = "Bińkowski et al., Demystifying MMD GANs, ICLR 2018"


class KernelDistance(evaluate.Metric):
    """What `evaluate.load` finds here."""

    def _info(self) -> evaluate.MetricInfo:
        return metric_info(DESCRIPTION, CITATION, predictions=VECTOR, references=VECTOR)

    def _compute(
        self, predictions, references, num_subsets: int = 100, subset_size: int = 1000, seed: int = 0
    ) -> dict:
        distance = kernel_distance(
            np.array(references), np.array(predictions), num_subsets=num_subsets, subset_size=subset_size, seed=seed
        )
        return {"kernel_distance": distance}
