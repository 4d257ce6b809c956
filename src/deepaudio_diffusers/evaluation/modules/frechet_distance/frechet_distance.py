# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Fréchet distance of two sets of embeddings; with those of VGGish it is known as FAD."""

import datasets
import evaluate
import numpy as np

from deepaudio_diffusers.evaluation.distributions import frechet_distance


DESCRIPTION = """Fréchet distance of two sets of embeddings; with those of VGGish it is known as FAD.

`predictions` and `references` are embeddings, one list of floats for each clip. Gives `frechet_distance`.
"""
CITATION = "Heusel et al., NeurIPS 2017; Kilgour et al., Fréchet audio distance, Interspeech 2019"


class FrechetDistance(evaluate.Metric):
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

    def _compute(self, predictions, references) -> dict:
        return {"frechet_distance": frechet_distance(np.array(references), np.array(predictions))}
