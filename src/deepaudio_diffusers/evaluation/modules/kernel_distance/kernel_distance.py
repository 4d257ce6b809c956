# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Kernel distance of two sets of embeddings, which has no bias with few clips."""

import datasets
import evaluate
import numpy as np

from deepaudio_diffusers.evaluation.distributions import kernel_distance


DESCRIPTION = """Kernel distance of two sets of embeddings, which has no bias with few clips.

`predictions` and `references` are embeddings, one list of floats for each clip. Gives `kernel_distance`.
"""
CITATION = "Bińkowski et al., Demystifying MMD GANs, ICLR 2018"


class KernelDistance(evaluate.Metric):
    """What `evaluate.load` finds here."""

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=DESCRIPTION,
            citation=CITATION,
            inputs_description=DESCRIPTION,
            features=datasets.Features(
                {
                    "predictions": datasets.Sequence(datasets.Value("float32")),
                    "references": datasets.Sequence(datasets.Value("float32")),
                }
            ),
        )

    def _compute(
        self, predictions, references, num_subsets: int = 100, subset_size: int = 1000, seed: int = 0
    ) -> dict:
        distance = kernel_distance(
            np.array(references), np.array(predictions), num_subsets=num_subsets, subset_size=subset_size, seed=seed
        )
        return {"kernel_distance": distance}
