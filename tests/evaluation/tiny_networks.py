# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Networks that judge sounds, of the real classes, tiny and with seeded random weights."""

from pathlib import Path

import torch
from transformers import (
    ASTConfig,
    ASTFeatureExtractor,
    ASTForAudioClassification,
    ByT5Tokenizer,
    ClapConfig,
    ClapFeatureExtractor,
    ClapModel,
    ClapProcessor,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2Model,
    WavLMConfig,
    WavLMForXVector,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
    WhisperProcessor,
)

from deepaudio_diffusers.evaluation.audioset.cnn14 import Cnn14
from deepaudio_diffusers.evaluation.audioset.passt import PaSST
from deepaudio_diffusers.evaluation.audioset.vggish import VGGish
from deepaudio_diffusers.evaluation.networks import ClapNetwork, WhisperRecognizer


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


def save_panns(folder: Path, **config) -> Path:
    torch.manual_seed(5)
    model = Cnn14(channels=(2, 4, 4, 8, 8, 16), embedding_size=16, num_labels=5, **config)
    return _save_awake(model, folder)


def save_passt(folder: Path, **config) -> Path:
    torch.manual_seed(6)
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    model = PaSST(ASTConfig(**sizes, num_labels=5, max_length=100, **config))
    return _save_awake(model, folder)


def save_vggish(folder: Path, **config) -> Path:
    torch.manual_seed(7)
    model = VGGish(channels=((2,), (4,), (4, 4), (8, 8)), hidden_size=16, embedding_size=4, **config)
    return _save_awake(model, folder)


def _save_awake(model, folder: Path) -> Path:
    """With weights so large that what is heard reaches the output."""
    for parameter in model.parameters():
        if parameter.ndim > 1:
            torch.nn.init.kaiming_normal_(parameter)
    model.save_pretrained(folder)
    return folder


def _save(model, processor, folder: Path) -> Path:
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def tiny_clap() -> ClapNetwork:
    torch.manual_seed(3)
    text = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    audio = {"spec_size": 64, "patch_size": 4, "patch_stride": [4, 4], "window_size": 4, "num_mel_bins": 16}
    audio |= {"hidden_size": 32, "patch_embeds_hidden_size": 16, "depths": [1, 1], "num_attention_heads": [2, 2]}
    config = ClapConfig(
        text_config=text | {"vocab_size": 400, "max_position_embeddings": 80, "projection_dim": 8},
        audio_config=audio | {"projection_dim": 8, "enable_fusion": False},
        projection_dim=8,
    )
    extractor = ClapFeatureExtractor(feature_size=16, max_length_s=2, nb_max_samples=96_000, truncation="rand_trunc")
    return ClapNetwork(ClapModel(config), ClapProcessor(extractor, ByT5Tokenizer()), "tiny CLAP")


def tiny_whisper() -> WhisperRecognizer:
    torch.manual_seed(4)
    layers = {"encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2, "decoder_attention_heads": 2}
    config = WhisperConfig(
        vocab_size=400,
        d_model=16,
        encoder_ffn_dim=16,
        decoder_ffn_dim=16,
        max_target_positions=16,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=1,
        decoder_start_token_id=1,
        suppress_tokens=None,
        begin_suppress_tokens=None,
        **layers,
    )
    model = WhisperForConditionalGeneration(config)
    model.generation_config.max_length = 8
    return WhisperRecognizer(model, WhisperProcessor(WhisperFeatureExtractor(), ByT5Tokenizer()), "tiny Whisper")
