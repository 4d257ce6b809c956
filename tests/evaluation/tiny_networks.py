# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Networks that judge sounds, of the real classes, tiny and with seeded random weights."""

from pathlib import Path

import torch
from transformers import (
    ASTConfig,
    ASTFeatureExtractor,
    ASTForAudioClassification,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2Model,
    WavLMConfig,
    WavLMForXVector,
)


SPEECH = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "conv_dim": (8, 8),
    "conv_kernel": (10, 8),
    "conv_stride": (10, 8),
    "num_feat_extract_layers": 2,
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 2,
}


def save_speaker_network(folder: Path) -> Path:
    torch.manual_seed(0)
    config = WavLMConfig(
        **SPEECH, tdnn_dim=(16, 16, 24), tdnn_kernel=(3, 3, 1), tdnn_dilation=(1, 2, 1), xvector_output_dim=12
    )
    return _save(WavLMForXVector(config), Wav2Vec2FeatureExtractor(do_normalize=True), folder)


def save_emotion_network(folder: Path) -> Path:
    torch.manual_seed(1)
    return _save(Wav2Vec2Model(Wav2Vec2Config(**SPEECH)), Wav2Vec2FeatureExtractor(do_normalize=True), folder)


def save_tagger(folder: Path) -> Path:
    torch.manual_seed(2)
    config = ASTConfig(
        hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8, max_length=64, num_labels=5
    )
    return _save(ASTForAudioClassification(config), ASTFeatureExtractor(max_length=64), folder)


def _save(model, processor, folder: Path) -> Path:
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
