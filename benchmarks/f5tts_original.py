# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""The original F5-TTS (https://github.com/SWivid/F5-TTS, MIT) and DeepAudio-V1's fork of it (the folder F5-TTS of
https://github.com/acappemin/DeepAudio-V1, MIT) behind the interface that the benchmarks time.

Their code runs unchanged but for two things: the module with which they are trained is left out, because it imports
much that speaking does not need, and the fork's energy stays float32 on its way to a float32 network, which refuses
the float16 that the fork makes of it. Both packages are named `f5_tts`, so a process can hold one of them.
"""

import sys
import types
from pathlib import Path
from unittest import mock

import numpy as np
import torch


# Of F5TTS_v1_Base, F5TTS_Base and DeepAudio-V1; the first generation differs in what has no weights.
ARCHITECTURE = {"dim": 1024, "depth": 22, "heads": 16, "ff_mult": 2, "text_dim": 512, "conv_layers": 4}


def add_to_path(checkout: Path, vocos: Path) -> None:
    """Make `import f5_tts` and `import vocos` find the checkouts of the original repositories."""
    for option, folder, file in (
        ("--reference", checkout, "src/f5_tts/infer/utils_infer.py"),
        ("--vocos", vocos, "vocos/pretrained.py"),
    ):
        if not (folder / file).is_file():
            raise SystemExit(f"`{option}` {folder.name}: no {file} there; pass a checkout of the original.")
    sys.path[:0] = [str((checkout / "src").resolve()), str(vocos.resolve())]
    training = types.ModuleType("f5_tts.model.trainer")
    training.Trainer = None
    sys.modules[training.__name__] = training


class OriginalF5TTS:
    """One of the two originals, with the weights that `reference_weights.py` writes or the published ones.

    Args:
        checkout (`Path`): Checkout of F5-TTS, or the folder F5-TTS of one of DeepAudio-V1.
        vocos (`Path`): Checkout of Vocos.
        network (`Path`): Checkpoint of the network.
        vocoder (`Path`): Folder with `config.yaml` and `pytorch_model.bin` of Vocos.
    """

    def __init__(self, checkout: Path, vocos: Path, network: Path, vocoder: Path):
        add_to_path(checkout, vocos)
        from f5_tts.infer import utils_infer
        from f5_tts.model import DiT

        self.utils_infer = utils_infer
        self.vocoder = utils_infer.load_vocoder(is_local=True, local_path=str(vocoder), device="cpu")
        self.model = utils_infer.load_model(DiT, ARCHITECTURE, str(network), device="cpu").eval()

    def speak(
        self,
        reference: np.ndarray,
        sampling_rate: int,
        reference_text: str,
        text: str,
        prompt_energy: np.ndarray | None,
        energy: np.ndarray | None,
        num_inference_steps: int,
        guidance_scale: float,
        seed: int,
    ) -> dict[str, np.ndarray]:
        """From reference speech of shape `(channels, samples)` to the mel spectrogram `(frames, 100)` and waveform
        `(samples,)` of the new speech; both without the frame at their beginning that is the end of the reference.
        """
        options = {}
        if energy is not None:
            contour = torch.from_numpy(np.concatenate([prompt_energy, energy, np.zeros(1, np.float32)]))[None, :, None]
            num_reference_hops = len(prompt_energy) - 1
            options["energy"] = [contour[:, :num_reference_hops], contour[:, num_reference_hops:]]
        torch.manual_seed(seed)
        with mock.patch.object(torch.Tensor, "half", torch.Tensor.float):
            result = self.utils_infer.infer_batch_process(
                (torch.from_numpy(reference), sampling_rate),
                # As the original's own preparation of the reference leaves it.
                reference_text + " ",
                [text],
                self.model,
                self.vocoder,
                nfe_step=num_inference_steps,
                cfg_strength=guidance_scale - 1,
                device="cpu",
                **options,
            )
        # The fork returns what upstream yields.
        wave, _, mel = next(result) if isinstance(result, types.GeneratorType) else result
        return {"mel": mel.T[1:], "audio": wave[self.utils_infer.hop_length :]}
