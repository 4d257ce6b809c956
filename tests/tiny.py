# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Complete pipelines of real, tiny networks with seeded random weights.

`python -m tests.tiny KIND FOLDER` writes one as a pipeline folder; KIND is `video-to-audio`, `text-to-speech` or
`deepaudio`.
"""

import sys

import torch
from transformers import ByT5Tokenizer, CLIPTextConfig, CLIPTextModel, CLIPTokenizer, CLIPVisionConfig, T5Config

from deepaudio_diffusers import (
    BigVGANVocoder,
    CLIPFrameEncoder,
    DeepAudioPipeline,
    F5TTSTokenizer,
    F5TTSTransformer1DModel,
    FlowMatchGridEulerScheduler,
    MMAudioMelVAE,
    MMAudioTransformer1DModel,
    MoFGatingConfig,
    MoFGatingNetwork,
    SynchformerVideoEncoder,
    TextToSpeechPipeline,
    VideoToAudioPipeline,
    VocosVocoder,
)
from deepaudio_diffusers.conversion.clip import build_clip_tokenizer
from tests.golden import FIXTURES


SEED = 0
TEXT_LENGTH = 40
CLIP_DIM, SYNC_DIM, TEXT_DIM = 24, 16, 20
NUM_MELS, LATENT_CHANNELS = 16, 8
SPEECH_MELS = 20


def tiny_tokenizer() -> CLIPTokenizer:
    """CLIP's tokenizer without merges: every byte is a token, and padding is id 0 as in MMAudio."""
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    characters = list(bytes_to_unicode().values())
    tokens = [*characters, *(f"{character}</w>" for character in characters), "<|startoftext|>", "<|endoftext|>"]
    return build_clip_tokenizer(
        vocab={token: i for i, token in enumerate(tokens)}, merges=[], model_max_length=TEXT_LENGTH
    )


def tiny_components() -> dict:
    """Components of [`VideoToAudioPipeline`], the same at each call; 16 kHz as the smallest published model."""
    torch.manual_seed(SEED)
    tokenizer = tiny_tokenizer()
    text_config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=TEXT_DIM,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=TEXT_LENGTH,
        projection_dim=CLIP_DIM,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    # Frames of the published size, cut into few patches.
    image_config = CLIPVisionConfig(
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=384,
        patch_size=96,
        projection_dim=CLIP_DIM,
    )
    components = {
        "tokenizer": tokenizer,
        "text_encoder": CLIPTextModel(text_config),
        "image_encoder": CLIPFrameEncoder(image_config),
        "video_encoder": SynchformerVideoEncoder(
            hidden_size=SYNC_DIM, num_layers=2, num_attention_heads=2, patch_size=56
        ),
        "transformer": MMAudioTransformer1DModel(
            latent_channels=LATENT_CHANNELS,
            clip_dim=CLIP_DIM,
            sync_dim=SYNC_DIM,
            text_dim=TEXT_DIM,
            text_length=TEXT_LENGTH,
            hidden_size=32,
            num_attention_heads=2,
            num_layers=2,
            num_single_layers=2,
            time_embed_channels=32,
            latents_per_second=31.25,
        ),
        "scheduler": FlowMatchGridEulerScheduler(),
        "vae": MMAudioMelVAE(
            mel_bins=NUM_MELS,
            latent_channels=LATENT_CHANNELS,
            hidden_channels=16,
            channel_multipliers=(1, 2),
            layers_per_block=1,
            sample_rate=16000,
            n_fft=1024,
            hop_length=256,
            mel_log_base=10,
        ),
        "vocoder": BigVGANVocoder(
            num_mels=NUM_MELS,
            upsample_initial_channel=32,
            upsample_rates=(16, 16),
            upsample_kernel_sizes=(32, 32),
            resblock_kernel_sizes=(3,),
            resblock_dilation_sizes=((1, 3, 5),),
        ),
    }
    return _randomized(components)


def tiny_pipeline() -> VideoToAudioPipeline:
    """[`tiny_components`] put together, without a progress bar."""
    pipeline = VideoToAudioPipeline(**tiny_components())
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def tiny_speech_components(**transformer_config) -> dict:
    """Components of [`TextToSpeechPipeline`] with the published vocabulary, the same at each call."""
    torch.manual_seed(SEED)
    components = {
        "tokenizer": F5TTSTokenizer(vocab_file=str(FIXTURES / "f5tts" / "vocab.txt")),
        "transformer": F5TTSTransformer1DModel(
            **{
                "mel_channels": SPEECH_MELS,
                "hidden_size": 32,
                "num_layers": 2,
                "num_attention_heads": 2,
                "attention_head_dim": 16,
                "text_dim": 16,
                "num_text_layers": 1,
            }
            | transformer_config
        ),
        "scheduler": FlowMatchGridEulerScheduler(grid="epss"),
        "vocoder": VocosVocoder(num_mels=SPEECH_MELS, hidden_size=16, intermediate_size=32, num_layers=1),
    }
    return _randomized(components)


def tiny_speech_pipeline(**transformer_config) -> TextToSpeechPipeline:
    """[`tiny_speech_components`] put together, without a progress bar."""
    pipeline = TextToSpeechPipeline(**tiny_speech_components(**transformer_config))
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def tiny_deepaudio_components() -> dict:
    """Components of [`DeepAudioPipeline`]: those of both halves, and a gate that reads bytes."""
    speech = tiny_speech_components(energy_conditioning=True)
    text_config = T5Config(vocab_size=384, d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2)
    gate = {"gate": MoFGatingNetwork(MoFGatingConfig(text_config)), "gate_tokenizer": ByT5Tokenizer()}
    return tiny_components() | {f"speech_{name}": part for name, part in speech.items()} | _randomized(gate)


def tiny_deepaudio_pipeline() -> DeepAudioPipeline:
    """[`tiny_deepaudio_components`] put together, without progress bars."""
    pipeline = DeepAudioPipeline(**tiny_deepaudio_components())
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@torch.no_grad()
def _randomized(components: dict) -> dict:
    """All weights random, those that training starts from zero included, so that nothing is silent by chance."""
    for component in components.values():
        if not isinstance(component, torch.nn.Module):
            continue
        component.eval().requires_grad_(False)
        for parameter in component.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return components


if __name__ == "__main__":
    kinds = {
        "video-to-audio": tiny_pipeline,
        "text-to-speech": tiny_speech_pipeline,
        "deepaudio": tiny_deepaudio_pipeline,
    }
    kinds[sys.argv[1]]().save_pretrained(sys.argv[2])
