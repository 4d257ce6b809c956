# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""The sections of `tiny_report.py` about speech: plain, timed by a picture, and in a soundtrack."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from tiny_clips import (
    CLEAR_SPEAKERS,
    SAMPLING_RATE,
    ReportClip,
    utterances,
)
from tiny_system import (
    ALL,
    CODEC,
    NOTHING,
    SOUND,
    SPEECH,
    SPEECH_CODEC,
    UTTERANCES_PER_BATCH,
    Report,
    SpeechItem,
    Waveforms,
    as_json,
    classes_heard,
    paired,
    sampling,
    select,
    slug,
    target_table,
)

from deepaudio_diffusers.evaluation.contours import correlation, loudness_contour
from deepaudio_diffusers.evaluation.intervals import Estimate, ratio
from deepaudio_diffusers.evaluation.onsets import detect_onsets, match_onsets
from deepaudio_diffusers.evaluation.rows import Record, Row, in_batches, markdown_table, shown
from deepaudio_diffusers.evaluation.speech import shuffled
from deepaudio_diffusers.evaluation.words import count_word_errors
from deepaudio_diffusers.pipelines.pipeline_output import VoicePrompt
from deepaudio_diffusers.processing.audio import energy_contour, resample
from deepaudio_diffusers.processing.knowledge import align_energy
from deepaudio_diffusers.processing.lexicon import read_lexicon
from deepaudio_diffusers.synthetic import puppet
from deepaudio_diffusers.synthetic.sentences import GRID_WORDS


# How much louder than the ambience the speech of a soundtrack is, and by how much it turns the ambience down.
MIXES = {
    "mixed by default": {},
    "speech far in front": {"speech_above_ambience_in_db": 18.0, "ducking_in_db": 12.0},
}


def word_error_rate(row: Row) -> Estimate:
    return row.estimate("errors", "words", statistic=ratio)


def chance_level(row: Row, transcripts: list[str]) -> float:
    """Word error rate of what was heard of other clips."""
    others = shuffled(len(transcripts))
    errors = [
        count_word_errors(text.split(), row.records[other]["heard"])
        for text, other in zip(transcripts, others, strict=True)
    ]
    return sum(errors) / sum(len(text.split()) for text in transcripts)


def report_tts(report: Report) -> str:
    """Plain speech."""
    everything = utterances(report.args.world, report.args.split)
    # The next utterance of the same voice is its reference.
    groups = {
        "grid sentences, slt and rms": ("grid", CLEAR_SPEAKERS),
        "grid sentences, awb and kal16": ("grid", ("awb", "kal16")),
        "open sentences, words of training, slt and rms": ("open", CLEAR_SPEAKERS),
        "open sentences, words not in training, slt and rms": ("open_unseen", CLEAR_SPEAKERS),
    }
    lines, targets = ["## Plain speech"], []
    report.summary["tts"] = {}
    for title, (kind, speakers) in groups.items():
        items = choose_utterances(everything, kind, speakers, report.args.num_clips)
        if len(items) < 2 * len(speakers):
            lines.append(f"### {title}\n\nThe world has no such sentences in this split.")
            continue
        rows = rows_of_speech(report, kind, speakers, items, everything)
        lines += [f"### {title[0].upper()}{title[1:]}", speech_table(rows, items)]
        report.summary["tts"][title] = {
            system: {
                "wer": as_json(word_error_rate(row)),
                "own_voice": as_json(row.estimate("is_own_voice")),
                "similarity": as_json(row.estimate("similarity")),
            }
            for system, row in rows.items()
        }
        if kind == "grid" and speakers == CLEAR_SPEAKERS:
            targets = [
                ("word error rate", word_error_rate(rows["generated"]), "<=", 0.05),
                ("voice nearest to its own reference", rows["generated"].estimate("is_own_voice"), ">=", 0.9),
            ]
    lines.append(
        "The recogniser hears any sequence of the words of all these sentences; those that its dictionary lacks are "
        "pronounced as in the lexicon of the world. Voices are compared by the GE2E "
        "embedding of Resemblyzer 0.1.4 with its own reference and one recording of each other voice."
    )
    return "\n\n".join([*lines, target_table(report, "tts", targets)])


def choose_utterances(
    everything: list[ReportClip], kind: str, speakers: Sequence[str], number: int
) -> list[tuple[ReportClip, ReportClip]]:
    """Pairs of an utterance and another of the same voice, each voice equally often."""
    pairs = []
    for speaker in speakers:
        own = [
            clip
            for clip in everything
            if clip.metadata["speaker"] == speaker and clip.metadata["sentence_kind"] == kind
        ]
        references = [
            clip
            for clip in everything
            if clip.metadata["speaker"] == speaker and clip.metadata["sentence_kind"] == "grid"
        ]
        for i, clip in enumerate(own[: -(-number // len(speakers))]):
            reference = references[(i + 1) % len(references)]
            pairs.append((clip, reference if reference is not clip else references[i - 1]))
    return pairs


def rows_of_speech(
    report: Report,
    kind: str,
    speakers: Sequence[str],
    items: list[tuple[ReportClip, ReportClip]],
    everything: list[ReportClip],
) -> dict[str, Row]:
    transcripts = [clip.metadata["transcript"] for clip, _ in items]
    vocabulary, pronunciations = GRID_WORDS, ()
    if kind != "grid":
        lexicon = read_lexicon(report.args.world / "lexicon.txt")
        vocabulary = tuple(sorted({word for text in transcripts for word in text.split()}))
        pronunciations = tuple(" ".join(lexicon[word]) for word in vocabulary)
    true = [clip.audio for clip, _ in items]
    voices: list[VoicePrompt] = []

    def references() -> list[VoicePrompt]:
        if not voices:
            voices.extend(report.voice(reference) for _, reference in items)
        return voices

    def score(waveforms: Waveforms) -> list[Record]:
        records = report.judge(
            [
                SpeechItem(waveform.numpy(), text, vocabulary, pronunciations)
                for waveform, text in zip(waveforms, transcripts, strict=True)
            ]
        )
        for i, (record, waveform, (clip, reference)) in enumerate(zip(records, waveforms, items, strict=True)):
            record |= {"key": clip.key} | score_voice(report, waveform, reference, everything, i)
        return records

    lengths_in_s = [len(waveform) / SAMPLING_RATE for waveform in true]
    systems = {
        "true audio": lambda: true,
        "vocoder copy": lambda: report.speech_codec.copy(true, False),
        "generated": lambda: speech_at_16_khz(report, report.speak(transcripts, references())),
        "generated, true length given": lambda: speech_at_16_khz(
            report, report.speak(transcripts, references(), lengths_in_s)
        ),
    }
    prefix = f"tts-{kind}-{'-'.join(speakers)}"
    made_by = {"true audio": NOTHING, "vocoder copy": SPEECH_CODEC}
    return {
        system: report.row(f"{prefix}-{slug(system)}", made_by.get(system, SPEECH), make, score)
        for system, make in systems.items()
    }


def speech_at_16_khz(report: Report, waveforms: Waveforms) -> Waveforms:
    return [resample(waveform, report.pipe.text_to_speech.sampling_rate, SAMPLING_RATE) for waveform in waveforms]


def score_voice(
    report: Report, waveform: torch.Tensor, reference: ReportClip, everything: list[ReportClip], index: int
) -> Record:
    """Whether a voice is nearer to its reference than to a recording of each other voice."""
    encoder = report.judge.voices
    if not waveform.any():
        return {"similarity": 0.0, "is_own_voice": 0.0}
    speaker = reference.metadata["speaker"]
    voice = encoder.embed(waveform, SAMPLING_RATE)
    own = float(voice @ report.voice_of(reference))
    others = []
    for other in sorted({clip.metadata["speaker"] for clip in everything} - {speaker}):
        recordings = [clip for clip in everything if clip.metadata["speaker"] == other]
        others.append(float(voice @ report.voice_of(recordings[index % len(recordings)])))
    return {"similarity": own, "is_own_voice": float(own > max(others))}


def speech_table(rows: dict[str, Row], items: list[tuple[ReportClip, ReportClip]]) -> str:
    transcripts = [clip.metadata["transcript"] for clip, _ in items]
    lines = [
        [
            system,
            shown(word_error_rate(row)),
            shown(row.estimate("is_own_voice")),
            shown(row.estimate("similarity")),
        ]
        for system, row in rows.items()
    ]
    table = markdown_table(["system", "WER", "own voice nearest", "similarity to the reference"], lines)
    chance = chance_level(rows["true audio"], transcripts)
    return f"{table}\n\n{len(items)} sentences; what is heard of other sentences has a WER of {chance:.2f}."


def report_v2s(report: Report) -> str:
    """Speech that is timed by a picture."""
    clips = report.clips("talk")
    transcripts = [clip.metadata["transcript"] for clip in clips]
    length_in_s = len(clips[0].audio) / SAMPLING_RATE
    lengths_in_s = [length_in_s] * len(clips)
    recordings = reference_recordings(report, clips)
    voices: list[VoicePrompt] = []
    kept: dict[str, list[torch.Tensor]] = {}

    def references() -> list[VoicePrompt]:
        if not voices:
            voices.extend(report.voice(recording) for recording in recordings)
        return voices

    def dub() -> Waveforms:
        waveforms, energies = [], []
        for batch in in_batches(list(range(len(clips))), UTTERANCES_PER_BATCH):
            output = report.pipe(
                task="video_to_speech",
                video_features=select(report.features("talk"), batch),
                transcript=[transcripts[i] for i in batch],
                voice=[references()[i] for i in batch],
                generator=report.generators(batch),
                output_type="pt",
                **sampling(report),
            )
            waveforms += list(output.audios[:, 0])
            energies += list(output.energy)
        kept["predicted"] = energies
        return speech_at_16_khz(report, waveforms)

    def score(waveforms: Waveforms) -> list[Record]:
        judged = report.judge(
            [
                SpeechItem(waveform.numpy(), text, reference=clip.audio.numpy())
                for waveform, text, clip in zip(waveforms, transcripts, clips, strict=True)
            ]
        )
        return [
            record | {"key": clip.key} | contour_scores(clip.audio, waveform)
            for record, clip, waveform in zip(judged, clips, waveforms, strict=True)
        ]

    def score_with_contours(waveforms: Waveforms) -> list[Record]:
        # What the shuffled row needs is kept with the row, for a report that goes on later.
        return [
            record | {"contour": np.round(energy.double().numpy(), 4).tolist()}
            for record, energy in zip(score(waveforms), kept["predicted"], strict=True)
        ]

    def speak(energies: Callable[[], list[torch.Tensor]] | None) -> Waveforms:
        given = None if energies is None else energies()
        return speech_at_16_khz(report, report.speak(transcripts, references(), lengths_in_s, given))

    true = [clip.audio for clip in clips]
    rows = {
        "true audio": report.row("v2s-true_audio", NOTHING, lambda: true, score),
        "vocoder copy": report.row(
            "v2s-vocoder_copy", SPEECH_CODEC, lambda: report.speech_codec.copy(true, False), score
        ),
        "V2A alone": report.row(
            "v2s-v2a_alone", SOUND, lambda: report.generate(report.features("talk"), None, len(clips)), score
        ),
        "no contour": report.row("v2s-no_contour", SPEECH, lambda: speak(None), score),
        "predicted contour": report.row("v2s-predicted_contour", ALL, dub, score_with_contours),
    }
    predicted = [torch.tensor(record["contour"]) for record in rows["predicted contour"].records]
    others = shuffled(len(clips))
    rows["true contour"] = report.row(
        "v2s-true_contour",
        SPEECH,
        lambda: speak(lambda: [true_contour(report, clip, length_in_s) for clip in clips]),
        score,
    )
    rows["contour of another clip"] = report.row(
        "v2s-other_contour", ALL, lambda: speak(lambda: [predicted[other] for other in others]), score
    )

    measures = ("contour_r", "level_r", "mcd_dtw_sl")
    lines = [
        [system, shown(word_error_rate(row)), *(shown(row.estimate(name)) for name in measures)]
        for system, row in rows.items()
    ]
    contours = [
        correlation(np.array(record["contour"]), true_contour(report, clip, length_in_s).double().numpy())
        for record, clip in zip(rows["predicted contour"].records, clips, strict=True)
    ]
    distortion = paired(rows["predicted contour"], rows["no contour"], ["mcd_dtw_sl"], np.mean)
    targets = [
        ("word error rate", word_error_rate(rows["predicted contour"]), "<=", 0.10),
        ("correlation with the true contour", rows["predicted contour"].estimate("contour_r"), ">=", 0.85),
        ("MCD-DTW-SL over that without a contour", distortion, "<=", 0.76),
    ]
    report.summary["v2s"] = {
        "predicted_contour_r": float(np.mean(contours)),
        **{
            system: {"wer": as_json(word_error_rate(row)), **{name: as_json(row.estimate(name)) for name in measures}}
            for system, row in rows.items()
        },
    }
    table = markdown_table(["system", "WER", "contour r", "level r (dB)", "MCD-DTW-SL"], lines)
    note = (
        f"{len(clips)} clips of a talking puppet, voices slt and rms, sentences that are not in training. The contour "
        "that stage 1 predicts, before anything is spoken, correlates with the true one by "
        f"{np.mean(contours):.3f}. All speech is as long as the clip, so MCD-DTW-SL is MCD-DTW here. What is heard of "
        "other clips has a WER of "
        f"{chance_level(rows['true audio'], transcripts):.2f}."
    )
    return "\n\n".join(["## Speech for pictures", table, note, target_table(report, "v2s", targets)])


def reference_recordings(report: Report, clips: list[ReportClip]) -> list[ReportClip]:
    """An utterance of the voice of each clip."""
    recordings: dict[str, list[ReportClip]] = {}
    for clip in utterances(report.args.world, report.args.split):
        if clip.metadata["sentence_kind"] == "grid":
            recordings.setdefault(clip.metadata["speaker"], []).append(clip)
    own = [recordings[clip.metadata["speaker"]] for clip in clips]
    return [choices[i % len(choices)] for i, choices in enumerate(own)]


def true_contour(report: Report, clip: ReportClip, length_in_s: float) -> torch.Tensor:
    tts = report.pipe.text_to_speech
    return energy_contour(
        clip.audio[None],
        SAMPLING_RATE,
        length_in_s,
        mel_sampling_rate=tts.sampling_rate,
        hop_length=tts.frames.hop_length,
    )


def contour_scores(true: torch.Tensor, waveform: torch.Tensor) -> Record:
    """Correlation of the contours that networks are given, and of levels in dB."""
    waveform = align_energy(waveform, len(true))
    contours = [
        energy_contour(each[None], SAMPLING_RATE, mel_sampling_rate=SAMPLING_RATE).double().numpy()
        for each in (true, waveform)
    ]
    levels = [loudness_contour(each, SAMPLING_RATE) for each in (true, waveform)]
    return {"contour_r": correlation(*contours), "level_r": correlation(*levels)}


def report_soundtrack(report: Report) -> str:
    """Speech and foley at once."""
    clips = report.clips("scenes")
    transcripts = [clip.metadata["transcript"] for clip in clips]
    recordings = reference_recordings(report, clips)
    foley = [clip.audio - clip.speech for clip in clips]
    made: list[torch.Tensor] = []
    kept: dict[str, Waveforms] = {}

    def generate() -> list[torch.Tensor]:
        """Ambience and speech as they are made, which all mixes have in common."""
        if not made:
            voices = [report.voice(recording) for recording in recordings]
            outputs = [
                report.pipe(
                    task="soundtrack",
                    video_features=select(report.features("scenes"), batch),
                    prompt=[foley_prompt(clips[i]) for i in batch],
                    negative_prompt=puppet.TEMPLATES[0],
                    contour_prompt=puppet.TEMPLATES[0],
                    transcript=[transcripts[i] for i in batch],
                    voice=[voices[i] for i in batch],
                    speech_above_ambience_in_db=None,
                    ducking_in_db=0.0,
                    generator=report.generators(batch),
                    output_type="pt",
                    **sampling(report),
                )
                for batch in in_batches(list(range(len(clips))), UTTERANCES_PER_BATCH)
            ]
            made.extend(torch.cat([getattr(output, stem) for output in outputs]) for stem in ("ambience", "speech"))
        return made

    def mix(name: str, ambience: torch.Tensor, speech: torch.Tensor, levels: dict[str, float]) -> Waveforms:
        mixes, ambience, _, rate = report.pipe.mix(ambience, speech, len(clips[0].audio) / SAMPLING_RATE, **levels)
        kept[name] = [resample(each[0], rate, SAMPLING_RATE) for each in ambience]
        return [resample(each[0], rate, SAMPLING_RATE) for each in mixes]

    def true_stems() -> list[torch.Tensor]:
        return [torch.stack(kind)[:, None] for kind in (foley, [clip.speech for clip in clips])]

    def score(mixes: Waveforms, ambiences: Waveforms) -> list[Record]:
        records = report.judge([SpeechItem(mix.numpy(), text) for mix, text in zip(mixes, transcripts, strict=True)])
        for record, clip, mix, ambience in zip(records, clips, mixes, ambiences, strict=True):
            record |= {"key": clip.key, "class": foley_class(clip)}
            for stem, waveform in (("mix", mix), ("ambience", ambience)):
                counts = match_onsets(detect_onsets(waveform, SAMPLING_RATE), clip.event_times, 0.08)
                record |= {f"matched_in_{stem}": counts.matched, "known": counts.known}
            record["speech_in_ambience"] = float("talk" in classes_heard(report, ambience))
        return records

    rows = {
        "true audio": report.row(
            "soundtrack-true_audio", CODEC, lambda: [clip.audio for clip in clips], lambda mixes: score(mixes, foley)
        ),
    }
    for title, levels in MIXES.items():
        rows[f"true stems, {title}"] = report.row(
            f"soundtrack-true_stems-{slug(title)}",
            CODEC,
            lambda levels=levels: mix("true", *true_stems(), levels),
            lambda mixes: score(mixes, kept["true"]),
        )
    for title, levels in MIXES.items():
        rows[f"generated, {title}"] = report.row(
            f"soundtrack-generated-{slug(title)}",
            ALL,
            lambda levels=levels: mix("generated", *generate(), levels),
            lambda mixes: score(mixes, kept["generated"]),
        )
    lines = [
        [
            system,
            shown(word_error_rate(row)),
            *(shown(row.estimate(f"matched_in_{stem}", "known", statistic=ratio)) for stem in ("mix", "ambience")),
            shown(row.estimate("speech_in_ambience")),
        ]
        for system, row in rows.items()
    ]
    header = [
        "system",
        "WER in the mix",
        "foley onsets found in the mix",
        "in the ambience",
        "speech heard in the ambience",
    ]
    report.summary["soundtrack"] = {
        system: {
            "wer": as_json(word_error_rate(row)),
            "onset_recall_in_mix": as_json(row.estimate("matched_in_mix", "known", statistic=ratio)),
            "onset_recall_in_ambience": as_json(row.estimate("matched_in_ambience", "known", statistic=ratio)),
        }
        for system, row in rows.items()
    }
    note = (
        f"{len(clips)} clips with a talking puppet and an object; onsets within 80 ms. The ambience is made with the "
        f'prompt of the object and the negative prompt "{puppet.TEMPLATES[0]}".'
    )
    targets = [
        (f"word error rate in the mix, {title}", word_error_rate(rows[f"generated, {title}"]), "<=", 0.15)
        for title in MIXES
    ]
    return "\n\n".join(
        ["## Soundtrack", markdown_table(header, lines), note, target_table(report, "soundtrack", targets)]
    )


def foley_class(clip: ReportClip) -> str:
    return next(kind for kind in clip.metadata["classes"] if kind != "talk")


def foley_prompt(clip: ReportClip) -> str:
    """The part of the prompt of a scene that is not about the puppet."""
    prompt = clip.metadata["prompt"]
    for template in puppet.TEMPLATES:
        prompt = prompt.removeprefix(f"{template} and ").removesuffix(f" and {template}")
    return prompt
