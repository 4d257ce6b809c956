# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Which scorers fit to what is known about clips, and to the networks at hand."""

from collections.abc import Sequence
from pathlib import Path

from ..errors import InputError
from .desync import SynchronyNetwork
from .embeddings import EmbeddingCache
from .items import Item
from .networks import (
    ClapNetwork,
    EmotionNetwork,
    Network,
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
    tagger: str | None = None,
    clap: str | None = None,
    synchformer: str | None = None,
) -> list[Scorer]:
    """The scorers for some clips.

    Args:
        items (sequence of `Item`): The clips.
        cache (`EmbeddingCache`): Keeps what networks make of them.
        scores (sequence of `str`, *optional*): Names of scorers. By default those that no network is needed for and
            that the clips have what they need for, and those of the networks.
        recognizer, speaker_network, emotion_network, tagger, clap (`str`, *optional*): Folders or names on the Hub;
            each adds scorers. `"word-loop"` is a recogniser of the words of all transcripts, and `"resemblyzer"` a
            network for speakers.
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
    if tagger is not None:
        available.append(SoundScorer(_tagger(tagger), cache))
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


def _tagger(source: str) -> Network:
    """The classifier of the synthetic world says so in its configuration; all else is taken for a transformer."""
    config = Path(source) / "config.json"
    is_world = config.is_file() and '"SoundClassifier"' in config.read_text(encoding="utf-8")
    return (WorldTagger if is_world else SoundTagger).from_pretrained(source)
