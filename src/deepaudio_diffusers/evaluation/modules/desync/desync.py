# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""By how many seconds sound and picture are apart, as Synchformer hears and sees it."""

import evaluate
import torch

from deepaudio_diffusers.evaluation.desync import SynchronyNetwork
from deepaudio_diffusers.evaluation.metric_info import TEXT, VECTOR, metric_info


DESCRIPTION = """By how many seconds sound and picture are apart, as Synchformer hears and sees it.

`predictions` are waveforms as lists of floats at `sampling_rate`, `references` paths of videos, both of 8 s or more;
`synchformer` is a folder of a Synchformer, or the published `synchformer_state_dict.pth`. Gives `desync`, the mean
size of the offsets, and `offsets`, for each clip that of the first and of the last 4.8 s, above 0
when the sound is late.
"""
CITATION = "Iashin et al., Synchformer: Efficient synchronization from sparse cues, ICASSP 2024"


class DeSync(evaluate.Metric):
    """What `evaluate.load` finds here."""

    def _info(self) -> evaluate.MetricInfo:
        return metric_info(DESCRIPTION, CITATION, predictions=VECTOR, references=TEXT)

    def _compute(self, predictions, references, sampling_rate: int, synchformer: str) -> dict:
        network = SynchronyNetwork.from_pretrained(synchformer)
        offsets = []
        for prediction, video in zip(predictions, references, strict=True):
            heard = network.hear(torch.tensor(prediction), sampling_rate)["features"]
            offsets.append(network.offsets(network.see(video)["features"], heard))
        sizes = [abs(offset) for pair in offsets for offset in pair]
        return {"desync": sum(sizes) / len(sizes), "offsets": offsets}
