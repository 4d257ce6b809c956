# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""The section of `tiny_report.py` about sound for pictures."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from tiny_clips import (
    ALL_LABELS,
    CLASSES,
    IMPACT_CLASSES,
    SAMPLING_RATE,
    ReportClip,
    class_of,
    sound_labels,
)
from tiny_system import (
    CODEC,
    SOUND,
    Report,
    Waveforms,
    as_json,
    classes_heard,
    paired,
    select,
    slug,
    target_table,
)

from deepaudio_diffusers.evaluation.classifier import HOP_LENGTH, SoundClassifier, sound_mel
from deepaudio_diffusers.evaluation.contours import correlation, loudness_contour
from deepaudio_diffusers.evaluation.distributions import frechet_distance
from deepaudio_diffusers.evaluation.intervals import Estimate
from deepaudio_diffusers.evaluation.onsets import detect_onsets, f1_score, match_onsets
from deepaudio_diffusers.evaluation.pitch import octaves_above
from deepaudio_diffusers.evaluation.rows import Record, Row, markdown_table, shown
from deepaudio_diffusers.evaluation.spectral import mel_distance
from deepaudio_diffusers.evaluation.speech import shuffled
from deepaudio_diffusers.processing.sequence import SYNC_FRAMES_PER_SECOND, SYNC_SEGMENT_STRIDE
from deepaudio_diffusers.training.encoders import MELS_PER_FRAME, regress_mel, resample_frames
from deepaudio_diffusers.training.pictures import save_spectrograms


TOLERANCES_IN_MS = (50, 80)
# A register differs from the other by two octaves, and from none by one.
MAX_OCTAVES_OFF = 0.5
OTHER_SEED = "generated, another seed"
BY_PROMPT = "generated, guided by the prompt"


def by_prompt(report: Report) -> dict[str, float]:
    """The guidance of rows that are guided by the prompt."""
    towards_picture, towards_prompt = report.args.prompt_guidance
    return {"guidance_scale": towards_picture, "prompt_guidance_scale": towards_prompt}


def score_sounds(report: Report, clips: list[ReportClip], waveforms: Waveforms) -> list[Record]:
    """The measures of each sound that was made for a clip."""
    return [score_sound(report.classifier, clip, waveform) for clip, waveform in zip(clips, waveforms, strict=True)]


def score_sound(classifier: SoundClassifier, clip: ReportClip, waveform: torch.Tensor) -> Record:
    """How like the true sound of a clip another sound is."""
    probabilities, embedding = classifier.listen(waveform, SAMPLING_RATE)
    detected = detect_onsets(waveform, SAMPLING_RATE)
    record: Record = {
        "key": clip.key,
        "class": clip.kind,
        "energy_r": correlation(
            loudness_contour(clip.audio, SAMPLING_RATE), loudness_contour(waveform, SAMPLING_RATE)
        ),
        "mel_distance": mel_distance(sound_mel(clip.audio, SAMPLING_RATE), sound_mel(waveform, SAMPLING_RATE)),
        "is_right_class": float(class_of(ALL_LABELS[int(probabilities.argmax())]) == clip.kind),
        "probabilities": dict(zip(ALL_LABELS, np.round(probabilities.astype(float), 4).tolist(), strict=True)),
        "embedding": np.round(embedding.astype(float), 4).tolist(),
    }
    for tolerance in TOLERANCES_IN_MS:
        counts = match_onsets(detected, clip.event_times, tolerance / 1000)
        record |= {f"matched_{tolerance}": counts.matched, "detected": counts.detected, "known": counts.known}
    return record


def is_impact(record: Record) -> bool:
    return record["class"] in IMPACT_CLASSES


def onset_f1(row: Row, tolerance: int, where: Callable[[Record], bool] = is_impact) -> Estimate | None:
    return row.estimate(f"matched_{tolerance}", "detected", "known", statistic=f1_score, where=where)


def others_of_class(clips: list[ReportClip]) -> list[int]:
    """For each clip another of its class."""
    others = np.arange(len(clips))
    for kind in sorted({clip.kind for clip in clips}):
        members = np.flatnonzero([clip.kind == kind for clip in clips])
        others[members] = members[shuffled(len(members))]
    return others.tolist()


def report_v2a(report: Report) -> str:
    """Sound for pictures."""
    args = report.args
    # As many of each class, so many that those with sudden events alone are enough; two, to have others of a class.
    num_sounds = max(2, -(-args.num_clips // len(IMPACT_CLASSES))) * len(CLASSES)
    lines, rows = ["## Sound for pictures"], {}
    for name, title in (("sounds", "looks as in training"), ("unseen_looks", "looks never seen in training")):
        clips = report.clips(name, num_sounds)
        rows[name] = rows_of_sounds(report, name, clips)
        lines += [f"### Clips with one object, {title}", sound_table(rows[name]), sound_table_by_class(rows[name])]
    choices, targets = report_choices(report)
    diversity = {name: rows["sounds"][OTHER_SEED].estimate(name) for name in ("seeds", "clips")}
    lines += [
        "### Diversity",
        f"Mel distance of two seeds for the same clip: {shown(diversity['seeds'])}; of two clips of a class: "
        f"{shown(diversity['clips'])}.",
    ]
    report.summary["v2a"] |= {"diversity": {name: as_json(estimate) for name, estimate in diversity.items()}}
    report.summary["v2a"] |= {name: summary_of_sounds(kind) for name, kind in rows.items()}
    main, codec = rows["sounds"]["generated"], rows["sounds"]["codec copy"]
    f1_names = [f"matched_{TOLERANCES_IN_MS[0]}", "detected", "known"]
    targets = [
        ("onset F1 at 50 ms over the codec copy's", paired(main, codec, f1_names, f1_score, is_impact), ">=", 0.97),
        ("energy correlation", main.estimate("energy_r"), ">=", 0.93),
        ("class accuracy over the codec copy's", paired(main, codec, ["is_right_class"], np.mean), ">=", 0.95),
        *targets,
    ]
    draw_sounds(report, rows["sounds"])
    return "\n\n".join([*lines, choices, target_table(report, "v2a", targets)])


def rows_of_sounds(report: Report, name: str, clips: list[ReportClip]) -> dict[str, Row]:
    """True sounds, copies, what the checkpoint makes, and controls."""
    prompts = [clip.metadata["prompt"] for clip in clips]
    true = [clip.audio for clip in clips]
    others = others_of_class(clips)
    number = len(clips)

    def generate(**kwargs: Any) -> Waveforms:
        return report.generate(**{"features": report.features(name), "prompts": prompts, "num_clips": number} | kwargs)

    systems: dict[str, Callable[[], Waveforms]] = {
        "true audio": lambda: true,
        "vocoder copy": lambda: report.codec.copy(true, False),
        "codec copy": lambda: report.codec.copy(true, True),
    }
    if report.args.encoders is not None:
        systems["mel head of the video encoder"] = lambda: regressed_sounds(report, name)
    made: dict[str, Waveforms] = {}

    def generate_main() -> Waveforms:
        if not made:
            made["main"] = generate()
        return made["main"]

    systems["generated"] = generate_main
    if name == "sounds":
        for scale in report.args.further_guidance_scales:
            systems[f"generated, guidance {scale:g}"] = lambda scale=scale: generate(guidance_scale=scale)
        systems[BY_PROMPT] = lambda: generate(**by_prompt(report))
        systems[OTHER_SEED] = lambda: generate(seed=report.args.seed + 1)
        systems["generated from video alone"] = lambda: generate(prompts=None)
        systems["generated from the prompt alone"] = lambda: generate(
            features=None, audio_length_in_s=report.features(name).audio_length_in_s
        )
        systems["generated, video of another clip of the class"] = lambda: generate(
            features=select(report.features(name), others)
        )
        systems["true audio of another clip of the class"] = lambda: [true[other] for other in others]

    def score(waveforms: Waveforms) -> list[Record]:
        return score_sounds(report, clips, waveforms)

    def score_other_seed(waveforms: Waveforms) -> list[Record]:
        mels = [[sound_mel(each, SAMPLING_RATE) for each in sounds] for sounds in (generate_main(), waveforms)]
        distances = [
            {"seeds": mel_distance(mels[0][i], mels[1][i]), "clips": mel_distance(mels[0][i], mels[0][other])}
            for i, other in enumerate(others)
        ]
        return [record | distance for record, distance in zip(score(waveforms), distances, strict=True)]

    return {
        system: report.row(
            f"{name}-{slug(system)}", parts_of(system), make, score_other_seed if system == OTHER_SEED else score
        )
        for system, make in systems.items()
    }


def parts_of(system: str) -> tuple[str, ...]:
    """The components that a row of this name depends on."""
    return CODEC if system.startswith(("true audio", "vocoder copy", "codec copy")) else SOUND


def regressed_sounds(report: Report, name: str) -> Waveforms:
    """Sounds of the mels that are read off the features of the video encoder, without a generator."""
    clips, features = report.clips(name), report.features(name).sync_features
    config = report.pipe.vae.config
    rates = (MELS_PER_FRAME * SYNC_FRAMES_PER_SECOND, config.sample_rate / config.hop_length)
    waveforms = []
    for clip, sync in zip(clips, features, strict=True):
        mel = regress_mel(report.heads, sync.unflatten(0, (-1, SYNC_SEGMENT_STRIDE)).float())
        mel = resample_frames(mel, *rates, len(clip.audio) // config.hop_length)
        waveforms.append(report.codec.decode(mel.T[None] / report.codec.log_scale, len(clip.audio))[0])
    return waveforms


def sound_table(rows: dict[str, Row]) -> str:
    """All measures of all systems."""
    header = [
        "system",
        *(f"onset F1, {t} ms" for t in TOLERANCES_IN_MS),
        "energy r",
        "class accuracy",
        "mel distance",
        "FD",
    ]
    lines = []
    for system, row in rows.items():
        figures = [onset_f1(row, tolerance) for tolerance in TOLERANCES_IN_MS]
        figures += [row.estimate(name) for name in ("energy_r", "is_right_class", "mel_distance")]
        distance = sound_distance(rows["true audio"], row)
        lines.append([system, *(shown(figure) for figure in figures), f"{distance:.2f}"])
    impacts = sum(map(is_impact, rows["true audio"].records))
    note = f"{len(rows['true audio'].records)} clips, of which {impacts} have sudden events, which onset F1 is about."
    return f"{markdown_table(header, lines)}\n\n{note}"


def sound_distance(true: Row, row: Row) -> float:
    """Fréchet distance of the embeddings of the classifier."""
    return frechet_distance(*(np.array([record["embedding"] for record in each.records]) for each in (true, row)))


def sound_table_by_class(rows: dict[str, Row]) -> str:
    """The measures of the main systems for each class."""
    systems = [
        system
        for system in ("true audio", "codec copy", "mel head of the video encoder", "generated")
        if system in rows
    ]
    kinds = sorted({record["class"] for record in rows["generated"].records})
    lines = []
    for kind in kinds:
        line = [kind]
        for system in systems:
            where = lambda record, kind=kind: record["class"] == kind  # noqa: E731
            f1 = onset_f1(rows[system], TOLERANCES_IN_MS[0], where) if kind in IMPACT_CLASSES else None
            figures = [f1, *(rows[system].estimate(name, where=where) for name in ("energy_r", "is_right_class"))]
            line.append(" / ".join("-" if figure is None else f"{figure.value:.2f}" for figure in figures))
        lines.append(line)
    title = f"Onset F1 at {TOLERANCES_IN_MS[0]} ms / energy r / class accuracy, by class"
    return f"{title}:\n\n{markdown_table(['class', *systems], lines)}"


def summary_of_sounds(rows: dict[str, Row]) -> dict[str, Any]:
    return {
        system: {
            "onset_f1": {str(t): as_json(onset_f1(row, t)) for t in TOLERANCES_IN_MS},
            **{name: as_json(row.estimate(name)) for name in ("energy_r", "is_right_class", "mel_distance")},
            "frechet_distance": sound_distance(rows["true audio"], row),
            "cpu_s": row.cpu_s,
        }
        for system, row in rows.items()
    }


def report_choices(report: Report) -> tuple[str, list[tuple]]:
    """What only the prompt decides, what a negative prompt removes, and how much seeds differ."""
    lines, figures = [], {}
    for name, score, title in (
        ("materials", score_material, "material of a block"),
        ("registers", score_register, "octave of a siren or strings"),
        ("one_named", score_named, "which of two objects sounds"),
    ):
        clips = report.clips(name)
        prompts = [clip.metadata["prompt"] for clip in clips]
        systems = {
            "true audio": lambda clips=clips: [clip.audio for clip in clips],
            "codec copy": lambda clips=clips: report.codec.copy([clip.audio for clip in clips], True),
            "generated": lambda name=name, prompts=prompts: report.generate(
                report.features(name), prompts, len(prompts)
            ),
            BY_PROMPT: lambda name=name, prompts=prompts: report.generate(
                report.features(name), prompts, len(prompts), **by_prompt(report)
            ),
            "generated from video alone": lambda name=name, prompts=prompts: report.generate(
                report.features(name), None, len(prompts)
            ),
        }
        rows = {
            system: report.row(
                f"{name}-{slug(system)}",
                parts_of(system),
                make,
                lambda made, clips=clips, score=score: score(report, clips, made),
            )
            for system, make in systems.items()
        }
        figures[title] = {system: row.estimate("is_right") for system, row in rows.items()}
    lines.append("### Where the prompt decides")
    systems = list(next(iter(figures.values())))
    lines.append(
        markdown_table(
            ["right", *systems],
            [[title, *(shown(each[system]) for system in systems)] for title, each in figures.items()],
        )
    )
    lines.append(
        "The material is the one that a classifier hears. The octave is right where the sound, moved by octaves, is "
        "most like the true one where it is. Of two objects, the one that is named has to be heard and the other not."
    )
    negatives = negative_rows(report)
    lines += ["### Negative prompts", negative_table(negatives)]
    report.summary["v2a"] = {
        "choices": {title: {s: as_json(e) for s, e in each.items()} for title, each in figures.items()},
        "negative_prompts": {name: as_json(row.estimate("unwanted")) for name, row in negatives.items()},
    }
    targets = [
        (f"the prompt decides: {title}{how}", each[system], ">=", 0.9)
        for title, each in figures.items()
        for system, how in (("generated", ""), (BY_PROMPT, ", guided by the prompt"))
    ]
    return "\n\n".join(lines), targets


def score_material(report: Report, clips: list[ReportClip], waveforms: Waveforms) -> list[Record]:
    materials = [i for i, label in enumerate(ALL_LABELS) if class_of(label) == "block"]
    records = []
    for clip, waveform in zip(clips, waveforms, strict=True):
        probabilities = report.classifier.listen(waveform, SAMPLING_RATE)[0]
        heard = ALL_LABELS[max(materials, key=lambda i: probabilities[i])]
        records.append({"key": clip.key, "heard": heard, "is_right": float([heard] == sound_labels(clip.metadata))})
    return records


def score_register(report: Report, clips: list[ReportClip], waveforms: Waveforms) -> list[Record]:
    records = []
    for clip, waveform in zip(clips, waveforms, strict=True):
        octaves = octaves_above(clip.audio, waveform, SAMPLING_RATE)
        records.append({"key": clip.key, "octaves": octaves, "is_right": float(abs(octaves) <= MAX_OCTAVES_OFF)})
    return records


def score_named(report: Report, clips: list[ReportClip], waveforms: Waveforms) -> list[Record]:
    records = []
    for clip, waveform in zip(clips, waveforms, strict=True):
        (named,) = clip.metadata["classes"]
        (other,) = set(clip.metadata["visible"]) - {named} or {named}
        found = classes_heard(report, waveform)
        is_right = named in found and (other == named or other not in found)
        records.append({"key": clip.key, "heard": sorted(found), "is_right": float(is_right)})
    return records


def negative_rows(report: Report) -> dict[str, Row]:
    """Clips of two objects that are both named, without and with a negative prompt for the second of them."""
    clips = report.clips("both_named")
    prompts = [clip.metadata["prompt"] for clip in clips]
    phrases = class_prompts(report)
    unwanted = [phrases[sound_labels(clip.metadata)[1]] for clip in clips]

    def score(waveforms: Waveforms) -> list[Record]:
        records = []
        for clip, waveform in zip(clips, waveforms, strict=True):
            found = classes_heard(report, waveform)
            wanted, named = clip.metadata["classes"]
            records.append({"key": clip.key, "wanted": float(wanted in found), "unwanted": float(named in found)})
        return records

    features = lambda: report.features("both_named")  # noqa: E731
    systems = {
        "true audio": lambda: [clip.audio for clip in clips],
        "both named": lambda: report.generate(features(), prompts, len(clips)),
        "both named, negative prompt for the second": lambda: report.generate(
            features(), prompts, len(clips), negative_prompts=unwanted
        ),
        "the same, guided by the prompt": lambda: report.generate(
            features(), prompts, len(clips), negative_prompts=unwanted, **by_prompt(report)
        ),
        "no prompt, negative prompt for the second": lambda: report.generate(
            features(), None, len(clips), negative_prompts=unwanted
        ),
        "no prompt": lambda: report.generate(features(), None, len(clips)),
    }
    return {
        system: report.row(f"both_named-{slug(system)}", parts_of(system), make, score)
        for system, make in systems.items()
    }


def class_prompts(report: Report) -> dict[str, str]:
    """A short prompt for each label."""
    prompts: dict[str, str] = {}
    for clip in report.clips("sounds"):
        (label,) = sound_labels(clip.metadata)
        if "register" not in clip.metadata["choices"]:
            prompts[label] = min(prompts.get(label, clip.metadata["prompt"]), clip.metadata["prompt"], key=len)
    return prompts


def negative_table(rows: dict[str, Row]) -> str:
    lines = [[system, shown(row.estimate("wanted")), shown(row.estimate("unwanted"))] for system, row in rows.items()]
    return markdown_table(["system", "first object heard", "second object heard"], lines)


def draw_sounds(report: Report, rows: dict[str, Row]) -> None:
    """A picture with the spectrograms of one clip of each class: true, copied and generated."""
    clips = report.clips("sounds")
    path = report.args.output.with_name(f"{report.args.output.stem}_sounds.png")
    first = {}
    for i, clip in enumerate(clips):
        first.setdefault(clip.kind, i)
    indices = sorted(first.values())
    chosen = [clips[i] for i in indices]
    generated = report.generate(
        select(report.features("sounds"), indices), [clip.metadata["prompt"] for clip in chosen], len(chosen)
    )
    copies = report.codec.copy([clip.audio for clip in chosen], True)
    mels = {}
    for clip, copied, made in zip(chosen, copies, generated, strict=True):
        for title, waveform in (("true", clip.audio), ("codec copy", copied), ("generated", made)):
            mels[f"{clip.metadata['prompt']}: {title}"] = sound_mel(waveform, SAMPLING_RATE)
    save_spectrograms(path, mels, SAMPLING_RATE / HOP_LENGTH)
