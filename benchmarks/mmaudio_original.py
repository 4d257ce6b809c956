# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""The original MMAudio (https://github.com/hkchengrex/MMAudio, MIT) behind the interface that the benchmarks time.

The original's code runs unchanged. Two things that it would download from the Hub come from local files: the CLIP
weights and, for 44.1 kHz, the vocoder.
"""

import sys
from pathlib import Path
from typing import Any

import torch


# open_clip's name of the network in apple/DFN5B-CLIP-ViT-H-14-384.
CLIP_ARCHITECTURE = "ViT-H-14-378-quickgelu"


def add_to_path(checkout: Path) -> None:
    """Make `import mmaudio` find the checkout of the original repository."""
    if not (checkout / "mmaudio" / "eval_utils.py").is_file():
        raise SystemExit(f"`--reference` {checkout.name}: no mmaudio/eval_utils.py there; pass a checkout of MMAudio.")
    sys.path.insert(0, str(checkout.resolve()))


class OriginalMMAudio:
    """The original, with the weights that `reference_weights.py` writes or the published ones under the same names.

    The methods are the stages of one generation. Shapes: B clips, F CLIP frames, S Synchformer tokens, N latents, C
    latent channels, M mel bins.
    """

    def __init__(self, checkout: Path, weights: Path, variant: str, device: str, dtype: str):
        add_to_path(checkout)
        import open_clip
        from mmaudio import eval_utils
        from mmaudio.ext.autoencoder import autoencoder
        from mmaudio.model.flow_matching import FlowMatching
        from mmaudio.model.networks import get_my_mmaudio
        from mmaudio.model.utils import features_utils

        mode = variant.split("_")[1]
        self.eval_utils = eval_utils
        self.flow_matching = FlowMatching
        self.sequence = eval_utils.all_model_cfg[variant].seq_cfg
        self.device, self.dtype = torch.device(device), getattr(torch, dtype)

        def local_clip(hub_name: str, **options: Any) -> torch.nn.Module:
            return open_clip.create_model(CLIP_ARCHITECTURE, pretrained=str(weights / "open_clip_pytorch_model.bin"))

        features_utils.create_model_from_pretrained = local_clip
        load_bigvgan_v2 = autoencoder.BigVGANv2.from_pretrained
        autoencoder.BigVGANv2.from_pretrained = lambda hub_name, **options: load_bigvgan_v2(str(weights), **options)

        self.network = get_my_mmaudio(variant).to(self.device, self.dtype).eval()
        state_dict = torch.load(weights / f"mmaudio_{variant}.pth", map_location=self.device, weights_only=True)
        self.network.load_weights(state_dict)
        del state_dict
        features = features_utils.FeaturesUtils(
            tod_vae_ckpt=weights / f"v1-{mode[:2]}.pth",
            synchformer_ckpt=weights / "synchformer_state_dict.pth",
            bigvgan_vocoder_ckpt=weights / "best_netG.pt",
            enable_conditions=True,
            mode=mode,
            need_vae_encoder=False,
        )
        self.features = features.to(self.device, self.dtype).eval()

    def set_length(self, seconds: float) -> None:
        """Tell sequence configuration and network how long the next clips are."""
        self.sequence.duration = seconds
        self.network.update_seq_lengths(
            self.sequence.latent_seq_len, self.sequence.clip_seq_len, self.sequence.sync_seq_len
        )

    def input_shapes(self, batch_size: int) -> dict[str, tuple[int, ...]]:
        """Shape of every array that a stage after the encoders takes."""
        return {
            "clip_features": (batch_size, self.network.clip_seq_len, 1024),
            "sync_features": (batch_size, self.network.sync_seq_len, 768),
            "text_features": (batch_size, 77, 1024),
            "negative_text_features": (batch_size, 77, 1024),
            "noise": (batch_size, self.network.latent_seq_len, self.network.latent_dim),
            "latents": (batch_size, self.network.latent_seq_len, self.network.latent_dim),
            "mel": (batch_size, self.features.tod.vae.data_mean.shape[1], 2 * self.network.latent_seq_len),
        }

    def decode(self, video: str, seconds: float) -> Any:
        """The two frame streams of a video, in the form that the encoders below take."""
        info = self.eval_utils.load_video(video, seconds)
        return info.clip_frames, info.sync_frames, info.duration_sec

    def duration(self, streams: Any) -> float:
        """Length in seconds of the clip that `decode` found."""
        return streams[2]

    def pixels(self, streams: Any) -> dict[str, torch.Tensor]:
        """The frame streams as float pixels, CLIP's in [0, 1] and Synchformer's in [-1, 1], for comparison."""
        return {"clip_pixels": streams[0], "sync_pixels": streams[1]}

    def clip_image(self, streams: list[Any]) -> dict[str, torch.Tensor]:
        frames = torch.stack([clip_frames for clip_frames, _, _ in streams]).to(self.device, self.dtype)
        return {"clip_features": self.features.encode_video_with_clip(frames, batch_size=40 * len(frames))}

    def synchformer(self, streams: list[Any]) -> dict[str, torch.Tensor]:
        frames = torch.stack([sync_frames for _, sync_frames, _ in streams]).to(self.device, self.dtype)
        return {"sync_features": self.features.encode_video_with_sync(frames, batch_size=40 * len(frames))}

    def clip_text(self, prompts: list[str], negative_prompts: list[str]) -> dict[str, torch.Tensor]:
        return {
            "text_features": self.features.encode_text(prompts),
            "negative_text_features": self.features.encode_text(negative_prompts),
        }

    def denoising(self, inputs: dict[str, torch.Tensor], steps: int, guidance_scale: float) -> dict[str, torch.Tensor]:
        """From noise to the latents that the VAE takes."""
        network = self.network
        conditions = network.preprocess_conditions(
            inputs["clip_features"], inputs["sync_features"], inputs["text_features"]
        )
        null = network.get_empty_conditions(
            len(inputs["noise"]), negative_text_features=inputs["negative_text_features"]
        )
        solver = self.flow_matching(min_sigma=0, inference_mode="euler", num_steps=steps)
        latents = solver.to_data(
            lambda t, x: network.ode_wrapper(t, x, conditions, null, guidance_scale), inputs["noise"]
        )
        return {"latents": network.unnormalize(latents)}

    def vae(self, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {"mel": self.features.decode(inputs["latents"])}

    def vocoder(self, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {"audio": self.features.vocode(inputs["mel"])}

    def whole(
        self,
        video: str,
        seconds: float,
        prompts: list[str],
        negative_prompts: list[str],
        seed: int,
        steps: int,
        guidance_scale: float,
    ) -> dict[str, torch.Tensor]:
        """As the demo does it, from the file to the wave; the noise comes from `seed`."""
        infos = [self.eval_utils.load_video(video, seconds) for _ in prompts]
        self.set_length(infos[0].duration_sec)
        audio = self.eval_utils.generate(
            torch.stack([info.clip_frames for info in infos]),
            torch.stack([info.sync_frames for info in infos]),
            prompts,
            negative_text=negative_prompts,
            feature_utils=self.features,
            net=self.network,
            fm=self.flow_matching(min_sigma=0, inference_mode="euler", num_steps=steps),
            rng=torch.Generator(self.device).manual_seed(seed),
            cfg_strength=guidance_scale,
        )
        return {"audio": audio}
