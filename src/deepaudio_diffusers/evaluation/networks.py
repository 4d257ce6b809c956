# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Networks that judge sounds. Each says its name and a hash of its weights, so that a figure can say who gave it.

All load from a folder or the Hub by `from_pretrained`, and none is part of this package. A class with the same methods
can stand in for any of them:

- `name`, `revision`: who it is,
- `hear(waveform, sampling_rate)`: embeddings and logits of a sound, by name,
- `read(text)`: those of a text, for networks that know texts,
- `transcribe(waveform, sampling_rate)`: for recognisers.
"""

import hashlib
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from safetensors import SafetensorError
from torch import nn
from transformers import (
    ASTFeatureExtractor,
    ASTForAudioClassification,
    AutoFeatureExtractor,
    AutoProcessor,
    ClapModel,
    ClapProcessor,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2Model,
    WavLMForXVector,
    WhisperForConditionalGeneration,
)

from ..errors import CheckpointError
from ..processing.audio import resample
from .classifier import SAMPLING_RATE as CLASSIFIER_SAMPLING_RATE
from .classifier import SoundClassifier
from .speakers import SpeakerEncoder
from .speech import WordLoopRecognizer


# Digits of the hash of weights that a report shows.
REVISION_LENGTH = 12
USED_IN_TRAINING_ONLY = "masked_spec_embed"
# What papers score with; names on the Hub.
SPEAKER_NETWORK = "microsoft/wavlm-base-sv"
EMOTION_NETWORK = "audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim"
TAGGER = "MIT/ast-finetuned-audioset-10-10-0.4593"
CLAP = "laion/clap-htsat-fused"
RECOGNISER = "openai/whisper-large-v3"


class Network(Protocol):
    """What every network has."""

    name: str
    revision: str


class Recognizer(Network, Protocol):
    """Hears words."""

    def transcribe(self, waveform: torch.Tensor, sampling_rate: int) -> str:
        """The words of a waveform of shape `(num_samples,)`."""


def weights_hash(module: nn.Module) -> str:
    """A short hash of the names, shapes and values of all weights, the same wherever they were loaded from."""
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
    return digest.hexdigest()[:REVISION_LENGTH]


def load_pretrained(loader: Any, source: str, purpose: str, example: str, **arguments: Any) -> Any:
    """What `loader.from_pretrained` makes of a folder or a name on the Hub.

    Args:
        loader: A class of transformers or diffusers.
        source (`str`): The folder or name.
        purpose (`str`): What it is needed for.
        example (`str`): A name that would do.

    Raises:
        CheckpointError: When there are no such weights, or they are damaged.
    """
    try:
        return loader.from_pretrained(source, **arguments)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise CheckpointError(
            f"{loader.__name__} for {purpose} cannot be loaded from {source!r}: {str(error).splitlines()[0]} Pass a "
            f"folder that holds it, or a name on the Hub such as {example!r}; `hf download {example}` fetches it "
            "once, and offline it is then found in the cache."
        ) from error


class TransformersNetwork:
    """
    A network of transformers with what prepares its inputs.

    Args:
        model (`transformers.PreTrainedModel`): The network.
        processor: Its feature extractor or processor.
        name (`str`): What it is called in reports.
    """

    model_class: type
    processor_class: type = AutoFeatureExtractor
    purpose: str
    example: str

    def __init__(self, model: nn.Module, processor: Any, name: str) -> None:
        self.model = model.eval().requires_grad_(False)
        self.processor = processor
        self.name = name
        self.revision = weights_hash(model)

    @classmethod
    def from_pretrained(cls, source: str) -> "TransformersNetwork":
        """Load it from a folder or the Hub.

        Raises:
            CheckpointError: When the weights are not at hand, or not all of them.
        """
        model, info = load_pretrained(
            cls.model_class, source, cls.purpose, cls.example, dtype=torch.float32, output_loading_info=True
        )
        # transformers only warns of weights that it had to draw at random.
        missing = sorted(name for name in info["missing_keys"] if not name.endswith(USED_IN_TRAINING_ONLY))
        if missing:
            raise CheckpointError(
                f"{source!r} lacks {len(missing)} weights of {cls.model_class.__name__}, such as {missing[0]!r}, so "
                f"it would score by chance. Pass a network for {cls.purpose}, such as {cls.example!r}."
            )
        processor = load_pretrained(cls.processor_class, source, cls.purpose, cls.example)
        return cls(model, processor, Path(source).name if Path(source).is_dir() else source)

    def to(self, device: torch.device | str) -> "TransformersNetwork":
        self.model.to(device)
        return self

    @property
    def sampling_rate(self) -> int:
        """Samples per second that it hears."""
        extractor = getattr(self.processor, "feature_extractor", self.processor)
        return extractor.sampling_rate

    def _inputs(self, waveform: torch.Tensor, sampling_rate: int, argument: str | None = None) -> Any:
        """A waveform as the network takes it."""
        speech = resample(waveform, sampling_rate, self.sampling_rate).cpu().numpy()
        audio = {argument: speech} if argument else {}
        inputs = self.processor(
            *(() if argument else (speech,)), **audio, sampling_rate=self.sampling_rate, return_tensors="pt"
        )
        return inputs.to(self.model.device)


class SpeakerNetwork(TransformersNetwork):
    """Whose voice it is: x-vectors of WavLM (Chen et al., 2022); SPK-SIM of the paper."""

    model_class, processor_class = WavLMForXVector, Wav2Vec2FeatureExtractor
    purpose, example = "comparing voices", SPEAKER_NETWORK

    @torch.no_grad()
    def hear(self, waveform: torch.Tensor, sampling_rate: int) -> dict[str, np.ndarray]:
        """`{"embedding": (xvector_size,)}`."""
        embeddings = self.model(**self._inputs(waveform, sampling_rate)).embeddings
        return {"embedding": embeddings[0].cpu().numpy()}


class EmotionNetwork(TransformersNetwork):
    """How it is said: the mean over time of the last layer of a wav2vec 2.0 that was trained on emotions (Wagner et
    al., 2023); EMO-SIM of the paper."""

    model_class, processor_class = Wav2Vec2Model, Wav2Vec2FeatureExtractor
    purpose, example = "comparing emotions", EMOTION_NETWORK

    @torch.no_grad()
    def hear(self, waveform: torch.Tensor, sampling_rate: int) -> dict[str, np.ndarray]:
        """`{"embedding": (hidden_size,)}`."""
        states = self.model(**self._inputs(waveform, sampling_rate)).last_hidden_state
        return {"embedding": states[0].mean(0).cpu().numpy()}


class SoundTagger(TransformersNetwork):
    """What it is that sounds: the Audio Spectrogram Transformer (Gong et al., 2021), trained on AudioSet as PANNs and
    PaSST were."""

    model_class, processor_class = ASTForAudioClassification, ASTFeatureExtractor
    purpose, example = "telling sounds apart", TAGGER

    @torch.no_grad()
    def hear(self, waveform: torch.Tensor, sampling_rate: int) -> dict[str, np.ndarray]:
        """`{"embedding": (hidden_size,), "logits": (num_labels,)}`."""
        pooled = self.model.audio_spectrogram_transformer(**self._inputs(waveform, sampling_rate)).pooler_output
        logits = self.model.classifier(pooled)
        return {"embedding": pooled[0].cpu().numpy(), "logits": logits[0].cpu().numpy()}


class WorldTagger:
    """
    What it is that sounds in the synthetic world: [`SoundClassifier`].

    Args:
        classifier (`SoundClassifier`): Trained on clips of the world.
        name (`str`): What it is called in reports.
    """

    def __init__(self, classifier: SoundClassifier, name: str) -> None:
        self.classifier = classifier.eval()
        self.name = name
        self.revision = weights_hash(classifier)

    @classmethod
    def from_pretrained(cls, source: str) -> "WorldTagger":
        """Load it from a folder.

        Raises:
            CheckpointError: When there is none.
        """
        classifier = load_pretrained(SoundClassifier, source, "telling sounds of the world apart", TAGGER)
        return cls(classifier, Path(source).name)

    def hear(self, waveform: torch.Tensor, sampling_rate: int) -> dict[str, np.ndarray]:
        """`{"embedding": (32,), "logits": (num_labels,)}`."""
        speech = resample(waveform, sampling_rate, CLASSIFIER_SAMPLING_RATE).cpu()
        probabilities, embedding = self.classifier.listen(speech, CLASSIFIER_SAMPLING_RATE)
        return {"embedding": embedding, "logits": torch.from_numpy(probabilities).logit(eps=1e-6).numpy()}


class ClapNetwork(TransformersNetwork):
    """Whether a sound is what a text says: CLAP (Wu et al., 2023), sounds and texts in one space."""

    model_class, processor_class = ClapModel, ClapProcessor
    purpose, example = "comparing sounds with texts", CLAP

    @torch.no_grad()
    def hear(self, waveform: torch.Tensor, sampling_rate: int) -> dict[str, np.ndarray]:
        """`{"embedding": (projection_dim,)}`."""
        output = self.model.get_audio_features(**self._inputs(waveform, sampling_rate, "audio"))
        return {"embedding": output.pooler_output[0].cpu().numpy()}

    @torch.no_grad()
    def read(self, text: str) -> dict[str, np.ndarray]:
        """`{"embedding": (projection_dim,)}`."""
        inputs = self.processor(text=[text], return_tensors="pt").to(self.model.device)
        return {"embedding": self.model.get_text_features(**inputs).pooler_output[0].cpu().numpy()}


class WhisperRecognizer(TransformersNetwork):
    """Hears words: Whisper (Radford et al., 2022), English, five beams."""

    model_class, processor_class = WhisperForConditionalGeneration, AutoProcessor
    purpose, example = "recognising speech", RECOGNISER

    @torch.no_grad()
    def transcribe(self, waveform: torch.Tensor, sampling_rate: int) -> str:
        """The words of a waveform of shape `(num_samples,)`, at most half a minute."""
        inputs = self._inputs(waveform, sampling_rate)
        # Networks that know English only refuse to be told a language.
        is_multilingual = getattr(self.model.generation_config, "is_multilingual", False)
        language = {"language": "en", "task": "transcribe"} if is_multilingual else {}
        tokens = self.model.generate(**inputs, num_beams=5, **language)
        return self.processor.batch_decode(tokens, skip_special_tokens=True)[0]


class WordLoop:
    """
    Hears any sequence of given words: [`WordLoopRecognizer`].

    Args:
        vocabulary (sequence of `str`): The words.
    """

    def __init__(self, vocabulary: Sequence[str]) -> None:
        self._recognizer = WordLoopRecognizer(vocabulary)
        self.name = "pocketsphinx, words in any order"
        words = hashlib.sha256(" ".join(vocabulary).encode()).hexdigest()[:REVISION_LENGTH]
        self.revision = f"{version('pocketsphinx')}, {len(vocabulary)} words {words}"

    def transcribe(self, waveform: torch.Tensor, sampling_rate: int) -> str:
        """The words of a waveform of shape `(num_samples,)`."""
        return " ".join(self._recognizer.transcribe(waveform, sampling_rate))


class VoiceEncoder:
    """Whose voice it is: the GE2E encoder of [`SpeakerEncoder`], for where no larger network is at hand."""

    def __init__(self) -> None:
        self._encoder = SpeakerEncoder.from_resemblyzer()
        self.name = "resemblyzer (GE2E)"
        self.revision = weights_hash(self._encoder)

    def hear(self, waveform: torch.Tensor, sampling_rate: int) -> dict[str, np.ndarray]:
        """`{"embedding": (256,)}`."""
        return {"embedding": self._encoder.embed(waveform, sampling_rate)}
