# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Which scorers fit to what is known about clips, and to the networks at hand."""

import json
from collections.abc import Sequence
from pathlib import Path

from ..errors import CheckpointError, InputError
from .audioset.networks import PannsTagger, PasstTagger, VggishListener, conversion_hint
from .audioset.published_weights import PUBLISHED_WEIGHTS
from .audioset.scorers import AudioSetScorer, FrechetAudioScorer
from .desync import SynchronyNetwork
from .embeddings import EmbeddingCache
from .items import Item
from .networks import (
    ClapNetwork,
    EmotionNetwork,
    Recognizer,
    SoundTagger,
    SpeakerNetwork,
    VoiceEncoder,
    WhisperRecognizer,
    WordLoop,
    WorldTagger,
)
from .scorers import (
    ContourScorer,
    DesyncScorer,
    DistortionScorer,
    DurationScorer,
    MotionScorer,
    OnsetScorer,
    PromptScorer,
    Scorer,
    SimilarityScorer,
    SoundScorer,
    WordScorer,
)
from .words import normalize_transcript


WORD_LOOP, RESEMBLYZER = "word-loop", "resemblyzer"


def select_scorers(
    items: Sequence[Item],
    cache: EmbeddingCache,
    *,
    scores: Sequence[str] | None = None,
    recognizer: str | None = None,
    speaker_network: str | None = None,
    emotion_network: str | None = None,
    taggers: Sequence[str] = (),
    clap: str | None = None,
    synchformer: str | None = None,
    sound_length_in_s: float | None = None,
) -> list[Scorer]:
    """The scorers for some clips.

    Args:
        items (sequence of `Item`): The clips.
        cache (`EmbeddingCache`): Keeps what networks make of them.
        scores (sequence of `str`, *optional*): Names of scorers. By default those that no network is needed for and
            that the clips have what they need for, and those of the networks.
        recognizer, speaker_network, emotion_network, clap (`str`, *optional*): Folders or names on the Hub; each adds
            scorers. `"word-loop"` is a recogniser of the words of all transcripts, and `"resemblyzer"` a network for
            speakers.
        taggers (sequence of `str`): Folders or names on the Hub of networks for sounds; each adds a scorer, which is
            told by its class: PANNs, PaSST, VGGish, the classifier of the synthetic world, or of transformers.
        sound_length_in_s (`float`, *optional*): What PANNs, PaSST and VGGish hear of each sound; by default all.
        synchformer (`str`, *optional*): A folder, or the file of the published weights; adds DeSync.

    Raises:
        InputError: When a name is unknown, clips lack what was asked for, or nothing can be scored.
        CheckpointError: When weights are not at hand.
    """
    available: list[Scorer] = [
        scorer
        for scorer in (DistortionScorer(), DurationScorer(), ContourScorer(), OnsetScorer(), MotionScorer())
        if scores is not None or _has_needs(items, scorer)
    ]
    if recognizer is not None:
        available.append(WordScorer(_recognizer(recognizer, items), cache))
    if speaker_network is not None:
        network = VoiceEncoder() if speaker_network == RESEMBLYZER else SpeakerNetwork.from_pretrained(speaker_network)
        available.append(SimilarityScorer("spk_sim", "SPK-SIM", network, cache))
        to_voice = SimilarityScorer("sim_o", "SIM-O", network, cache, to="voice")
        available += [to_voice] if _has_needs(items, to_voice) else []
    if emotion_network is not None:
        network = EmotionNetwork.from_pretrained(emotion_network)
        available.append(SimilarityScorer("emo_sim", "EMO-SIM", network, cache))
    available += _sound_scorers(taggers, cache, sound_length_in_s)
    if clap is not None:
        available.append(PromptScorer(ClapNetwork.from_pretrained(clap), cache))
    if synchformer is not None:
        available.append(DesyncScorer(SynchronyNetwork.from_pretrained(synchformer), cache))
    if scores is not None:
        by_name = {scorer.name: scorer for scorer in available}
        unknown = [name for name in scores if name not in by_name]
        if unknown:
            raise InputError(f"`scores` has {', '.join(unknown)}; with these networks there are {', '.join(by_name)}.")
        return [by_name[name] for name in scores]
    if not available:
        raise InputError(
            "Nothing can be scored: not every clip has a `reference` or a `video`, and no network was given that "
            "needs less."
        )
    return available


def _has_needs(items: Sequence[Item], scorer: Scorer) -> bool:
    return all(getattr(item, need) is not None for item in items for need in scorer.needs)


def _recognizer(source: str, items: Sequence[Item]) -> Recognizer:
    if source != WORD_LOOP:
        return WhisperRecognizer.from_pretrained(source)
    words = {word for item in items for word in normalize_transcript(item.transcript or "").split()}
    if not words:
        raise InputError("`recognizer` is 'word-loop', but no clip has a `transcript` to take words from.")
    return WordLoop(sorted(words))


def _sound_scorers(taggers: Sequence[str], cache: EmbeddingCache, length_in_s: float | None) -> list[Scorer]:
    scorers = [_sound_scorer(source, cache, length_in_s) for source in taggers]
    names = [scorer.name for scorer in scorers]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"`taggers` has {names.count(name)} networks for {name!r}; score by one at a time.")
    return scorers


def _sound_scorer(source: str, cache: EmbeddingCache, length_in_s: float | None) -> Scorer:
    kind = _class_name(source)
    if kind == "Cnn14":
        return AudioSetScorer(PannsTagger.from_pretrained(source), cache, length_in_s)
    if kind == "PaSST":
        return AudioSetScorer(PasstTagger.from_pretrained(source), cache, length_in_s)
    if kind == "VGGish":
        return FrechetAudioScorer(VggishListener.from_pretrained(source), cache, length_in_s)
    return SoundScorer((WorldTagger if kind == "SoundClassifier" else SoundTagger).from_pretrained(source), cache)


def _class_name(source: str) -> str | None:
    """The class that the configuration in a folder names; `None` where there is no folder, or it names none.

    Raises:
        CheckpointError: When it is a file of weights, or published weights that nobody has converted.
    """
    file_name, folder = Path(source).name, Path(source)
    for variant, published in PUBLISHED_WEIGHTS.items():
        if file_name == published.file_name or (source == variant and not folder.exists()):
            raise CheckpointError(
                f"`tagger` is {source!r}, which is no folder of a network. {conversion_hint(variant)}"
            )
    config = folder / "config.json"
    if not config.is_file():
        return None
    content = json.loads(config.read_text(encoding="utf-8"))
    return content.get("_class_name") or next(iter(content.get("architectures") or []), None)
