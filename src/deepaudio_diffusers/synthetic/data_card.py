# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""The data card of a world, as a template for `str.format`."""

DATA_CARD = """---
license: apache-2.0
language: en
pretty_name: DeepAudio procedural world
task_categories:
- text-to-audio
- text-to-speech
tags:
- video-to-audio
- synthetic
- webdataset
---

# DeepAudio procedural world {version}, seed {seed}

Short clips whose picture determines their sound, and speech, all computed. They train and score the small checkpoint
of deepaudio-diffusers. Nothing is recorded and nobody is shown; what is learned from it says little about real clips.

Made by `deepaudio make-world`; the settings are in `manifest.json`. The same settings give the same world:
`content_hash` there is taken of pixels, samples and metadata before pictures are coded, so it is the same on every
machine with the same synthesiser of speech (flite 2.2) and the same generator of random numbers (NumPy).

| Folder | Samples |
| --- | --- |
{rows}

## Format

WebDataset shards: tar files of up to 200 samples, whose members share a key.

- Clips: `KEY.mp4` (H.264, 64 x 64, 25 frames a second, 96 frames, no sound), `KEY.wav` (PCM, 16 bits, mono, 16 kHz,
  61440 samples), `KEY.json`, and `KEY.speech.wav` where there is speech and another sound: the speech alone.
- Speech: `KEY.wav` and `KEY.json`.

Levels are not normalised, because they tell how hard a blow was; where a sum would be above full scale it is turned
down. Fields of the JSON, `null` where they do not apply:

| Field | |
| --- | --- |
| `key`, `split`, `seed` | Which sample it is; `seed` makes it again |
| `duration_in_s` | Length |
| `prompt` | What is heard, in words |
| `classes` | What sounds, in the order of the prompt |
| `visible` | What is seen, from left to right |
| `events` | Blows and the like: `time_in_s`, `class`, `strength` from 0 to 1; none for continuous sounds |
| `choices` | What cannot be seen and only the prompt tells: `material` (block), `register` (siren, pluck) |
| `transcript`, `speaker` | What is said and by whom: `slt`, `rms`, `awb`, `kal16` |
| `sentence_kind` | `grid`: six slots, 70 words; `open`: 3 to 7 common words; `open_unseen`: of those held out |
| `phones`, `words` | `[name, start, end]` in seconds, from the synthesiser itself; `pau` is a pause |
| `content_hash` | SHA-256 of pixels, samples and the fields above |

## Contents

Foley: {foley_classes}. What is seen determines what is heard: sizes the pitches, motion and contact the times, height
of a swing, speed and brightness the levels. Sounds are modal or physical synthesis.

- In about a fifth of the clips two foley objects are seen side by side. The prompt names both, or only one of them;
  what is not named is silent.
- A block looks the same whether it is `wooden`, `metal` or `glass`; a siren and a string instrument may be `low` or
  `high`. Only the prompt tells.
- In 22 % of the clips a puppet is seen (`talk`), whose mouth follows synthesised speech: its opening the loudness, its
  width the phone. Size and colour of the face tell the speaker. A third of them have a foley object beside it; half of
  these sound together, and in the others only what the prompt names does.
- `train_choices`, where there is one, has nothing but what the prompt decides about: a quarter each of blocks, sirens,
  strings, and two foley objects.

Speech is from the voices of flite, with a tempo of its own for each phrase and pauses between phrases.

## Splits

Seeds are disjoint. No sentence of `test` or `validation` occurs in `train`. `test_unseen_looks` has backgrounds,
colours, sizes and camera motions that no other split has; its sounds are made in the same way. `train_choices` belongs
to `train`.

## Licences

The clips are under Apache-2.0. Flite and its voices (Carnegie Mellon University and others) may be used and
redistributed freely; the words are from the Debian package wamerican-small (SCOWL), likewise.
"""
