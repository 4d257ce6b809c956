# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""The instructions that come with the package: balanced, reproducible, and split by template."""

import itertools
import random
import re
from collections import Counter

import pytest

from deepaudio_diffusers.errors import InputError
from deepaudio_diffusers.instructions import LANGUAGES, SPLITS, load_instructions
from deepaudio_diffusers.instructions.generate import (
    comparable,
    held_out_instructions,
    held_out_skeletons,
    load_grammar,
    name_of,
    skeleton_of,
    split_of,
    training_instructions,
    training_instructions_with_spans,
    training_template,
)
from deepaudio_diffusers.tasks import TASKS


NUM_TRAIN = 8000
HELD_OUT = ("validation", "test")


@pytest.fixture(scope="module")
def train():
    return list(training_instructions(NUM_TRAIN, seed=0))


@pytest.fixture(scope="module")
def grammars():
    return {(language, split): load_grammar(language, split) for language in LANGUAGES for split in SPLITS}


def has_words(template):
    """Whether a template says something without its slots."""
    return comparable(re.sub(r"\{\w+\}", "", template)) != ""


def templates_of(grammar):
    """What makes up a phrasing: frames, phrases with slots, and written templates."""
    templates = {line for line in (*grammar.frames, *grammar.contrasts, *grammar.pairs) if has_words(line)}
    for kinds in grammar.phrases.values():
        templates |= {line for line in itertools.chain(*kinds.values()) if "{" in line and has_words(line)}
    return templates.union(*grammar.written.values())


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_template_belongs_to_two_splits(grammars, language):
    for one, other in itertools.combinations(SPLITS, 2):
        shared = templates_of(grammars[language, one]) & templates_of(grammars[language, other])
        assert not shared


@pytest.mark.parametrize("language", LANGUAGES)
def test_training_never_says_what_a_held_out_template_can_say(language):
    grammar, held_out, generator = load_grammar(language, "train"), held_out_skeletons(language), random.Random(0)
    written = [line for split in HELD_OUT for line in load_grammar(language, split).written["soundtrack"]]
    assert {skeleton_of(line, language) for line in written if "|" not in line} & held_out
    for task in TASKS:
        for _ in range(500):
            template, parts = training_template(grammar, task, generator)
            assert skeleton_of(template, language) not in held_out
            assert parts.startswith(("written/", "composed/"))


@pytest.mark.parametrize(
    ("language", "template", "filled"),
    [("en", "{add} {noise} to {video}", "put sirens to my film"), ("zh", "给{video}{add}{noise}", "给短片加枪声")],
)
def test_a_template_is_the_same_with_words_and_with_slots(language, template, filled):
    assert skeleton_of(filled, language) == skeleton_of(template, language)
    assert skeleton_of(filled, language) != skeleton_of(template.replace("{noise}", "{role}"), language)


def test_templates_for_training_alone_change_nothing_that_is_held_out(grammars):
    for language in LANGUAGES:
        alone = grammars[language, "train"]
        assert len(set(alone.contrasts)) > 2 * len(grammars[language, "validation"].contrasts)
        for split in HELD_OUT:
            words = grammars[language, split].words
            assert set(words["noise"]) < set(alone.words["noise"])


def test_no_training_instruction_is_one_of_the_fixed_files(train):
    # Fixed expressions without any template around them ("lip sync") are words and may be shared.
    fixed = {comparable(each.text) for split in (*HELD_OUT, "adversarial") for each in load_instructions(split)}
    shared = {comparable(each.text) for each in train} & fixed
    assert not shared


def test_held_out_instructions_are_made_of_templates_that_training_lacks(train, grammars):
    trained = {part for each in train for part in each.family.partition("/")[2].split("+")}
    # They add nothing to the held-out phrases inside them.
    frames = {line for grammar in grammars.values() for line in (*grammar.frames, *grammar.contrasts, *grammar.pairs)}
    bare_frames = {name_of(line) for line in frames if not has_words(line)}
    for split in HELD_OUT:
        for each in load_instructions(split):
            source, _, parts = each.family.partition("/")
            assert source in ("written", "composed")
            # The written template, or the frame of a composed one.
            assert parts.split("+")[0] not in trained - bare_frames


def test_the_same_seed_gives_the_same_instructions(train):
    assert list(training_instructions(200, seed=0)) == train[:200]
    assert list(training_instructions(200, seed=1)) != train[:200]


@pytest.mark.parametrize("split", HELD_OUT)
def test_the_files_are_what_the_templates_make(split):
    assert load_instructions(split) == held_out_instructions(split)


def test_tasks_and_languages_are_balanced(train):
    counts = Counter((each.label, each.language) for each in train)
    assert set(counts) == set(itertools.product(TASKS, LANGUAGES))
    assert set(counts.values()) == {NUM_TRAIN // len(counts)}
    for split, at_least in (("validation", 100), ("test", 150)):
        counts = Counter((each.label, each.language) for each in load_instructions(split))
        assert set(counts) == set(itertools.product(TASKS, LANGUAGES))
        assert min(counts.values()) >= at_least


def test_each_task_has_hundreds_of_phrasings(grammars):
    for language, task in itertools.product(LANGUAGES, TASKS):
        written = sum(len(grammars[language, split].written[task]) for split in SPLITS)
        phrases = sum(
            len(grammars[language, split].phrases[task][kind]) for split in SPLITS for kind in ("do", "thing")
        )
        assert written + phrases >= 200


def test_every_form_of_every_template_can_be_filled(grammars):
    generator = random.Random(0)
    for grammar in grammars.values():
        for template in itertools.chain(
            *grammar.written.values(),
            *grammar.additions.values(),
            *(phrases for kinds in grammar.phrases.values() for phrases in kinds.values()),
        ):
            assert not re.search(r"[{}\[\]|]", grammar.fill(template, generator))


def test_frames_are_filled_with_what_they_name(grammars):
    generator = random.Random(0)
    for grammar, task in itertools.product(grammars.values(), TASKS):
        for _ in range(50):
            text, _ = grammar.compose(task, generator)
            assert not re.search(r"\{\w*(do|thing|bare|state|absence)\}", text)


def test_a_split_by_hash_does_not_depend_on_other_lines():
    # Values from the definition: they may never change, or templates would move between splits.
    assert [split_of(key) for key in ("a", "b", "c", "d", "e", "f")] == [
        "train",
        "train",
        "validation",
        "validation",
        "train",
        "train",
    ]


def test_adversarial_instructions_cover_their_kinds():
    kinds = Counter(each.family for each in load_instructions("adversarial"))
    assert {"adversarial/negation", "adversarial/quoted_task", "adversarial/typo", "adversarial/very_long"} <= set(
        kinds
    )
    assert {"adversarial/empty", "adversarial/mixed_language", "adversarial/other_domain"} <= set(kinds)
    labels = {each.label for each in load_instructions("adversarial")}
    assert labels == {*TASKS, None}


def test_unknown_split():
    with pytest.raises(InputError, match="split"):
        load_instructions("training")


def test_phrases_of_composed_instructions_are_known_and_tell_what_is_wanted():
    kinds = Counter()
    for each, spans in training_instructions_with_spans(2000, seed=3):
        assert not re.search("[\ue000-\ue0ff]", each.text)
        # Some pairs say all by themselves.
        assert not spans or each.family.startswith("composed")
        for span in spans:
            phrase = each.text[span.start : span.end]
            assert phrase.strip()
            kinds[each.label, span.task, span.is_wanted] += 1
    assert all(is_wanted == (task == label) for label, task, is_wanted in kinds if label != "soundtrack")
    # Both of sound and voice, or a phrase that says so at once.
    assert {key[1:] for key in kinds if key[0] == "soundtrack"} == {
        ("soundtrack", True),
        ("video_to_audio", True),
        ("video_to_speech", True),
    }
    # Contrasts mention every task but one: two things that are asked for together are no contrast.
    assert {task for _, task, is_wanted in kinds if not is_wanted} == set(TASKS) - {"soundtrack"}
