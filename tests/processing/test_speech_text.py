# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Passages and reference texts equal the original's, no text is lost, and numbers are read as people read them."""

import json
import random
import re
import subprocess
import sys

import pytest

from deepaudio_diffusers.errors import InputError
from deepaudio_diffusers.processing.speech_text import (
    complete_reference_text,
    is_speakable,
    join_reference,
    normalize_text,
    split_text,
    split_voices,
)
from tests.golden import FIXTURES


GOLDEN = json.loads((FIXTURES / "f5tts" / "text_utils.json").read_text(encoding="utf-8"))
CHUNKS = GOLDEN["chunk_text"]


def num_bytes(text: str) -> int:
    return len(text.encode())


def without_spaces(text: str) -> str:
    return "".join(text.split())


# Voices


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Hello.", [(None, "Hello.")]),
        ("[anna] Hello. [bob-2] Hi!\n[anna]Bye.", [("anna", "Hello."), ("bob-2", "Hi!"), ("anna", "Bye.")]),
        ("Once [town_crier] Hear!", [(None, "Once"), ("town_crier", "Hear!")]),
        ("[小美]你好。[小明]好！", [("小美", "你好。"), ("小明", "好！")]),
        ("[anna] [bob] Hi [anna]  ", [("bob", "Hi")]),
        ("[two words] [] [a.b] [anna", [(None, "[two words] [] [a.b] [anna")]),
        ("", []),
        (" \n", []),
    ],
)
def test_split_voices(text, parts):
    assert split_voices(text) == parts


@pytest.mark.parametrize("text", ["a", "7", "你", "é", " ... я", "한", "½", "١"])
def test_text_with_letters_or_digits_is_speakable(text):
    assert is_speakable(text)


@pytest.mark.parametrize("text", ["", " ", "...", "，。！", "—", "🙂", "[]", "\u0301"])
def test_text_without_letters_and_digits_is_not(text):
    assert not is_speakable(text)


# Reference texts


@pytest.mark.parametrize(("text", "completed"), GOLDEN["ref_text_fix"])
def test_reference_texts_are_completed_as_in_the_original(text, completed):
    assert complete_reference_text(text) == completed


@pytest.mark.parametrize("text", ["", " ", "\n"])
def test_an_empty_reference_text_is_an_error(text):
    with pytest.raises(InputError, match="reference text is empty"):
        complete_reference_text(text)


@pytest.mark.parametrize(
    ("reference_text", "joined"),
    [("abc. ", "abc.  hello"), ("你好。", "你好。hello"), ("你好. ", "你好.  hello"), ("café", "caféhello")],
)
def test_a_space_more_comes_after_a_character_of_one_byte(reference_text, joined):
    assert join_reference(reference_text, "hello") == joined


# Passages


@pytest.mark.parametrize("case", CHUNKS, ids=lambda case: f"{case['text'][:10]}-{case['max_chars']}")
def test_passages_are_the_chunks_of_the_original_where_those_fit(case):
    passages = split_text(case["text"], case["max_chars"])
    if all(num_bytes(chunk) <= case["max_chars"] for chunk in case["out"]):
        assert passages == case["out"]
    else:
        assert all(num_bytes(passage) <= case["max_chars"] for passage in passages)
        assert without_spaces("".join(passages)) == without_spaces(case["text"])


def test_most_golden_cases_compare_passages():
    fitting = [case for case in CHUNKS if all(num_bytes(chunk) <= case["max_chars"] for chunk in case["out"])]
    assert len(fitting) == 13


@pytest.mark.parametrize(
    ("text", "max_bytes", "passages"),
    [
        ("one two three four", 9, ["one two", "three", "four"]),
        ("one two three. Four", 9, ["one two", "three.", "Four"]),
        # The rest of a long clause is joined with the next one.
        ("one two three. Four", 12, ["one two", "three. Four"]),
        ("short. one two three", 8, ["short.", "one two", "three"]),
        ("abcdefghij", 4, ["abcd", "efgh", "ij"]),
        ("我们一起去一个地方", 9, ["我们一", "起去一", "个地方"]),
        ("我们用iPhone打电话", 9, ["我们用", "iPhone打", "电话"]),
        ("我们用iPhone打电话", 4, ["我", "们", "用i", "Phon", "e打", "电", "话"]),
        ("안녕 세계 여러분", 14, ["안녕 세계", "여러분"]),
        ("café café café", 11, ["café café", "café"]),
        ("a  \n bc", 4, ["a bc"]),
        # An accent, a skin colour and a family stay with what they belong to.
        ("xe\u0301xe\u0301", 4, ["xe\u0301", "xe\u0301"]),
        ("👍🏽👍🏽", 8, ["👍🏽", "👍🏽"]),
        ("👩\u200d👧👩\u200d👧", 20, ["👩\u200d👧", "👩\u200d👧"]),
        ("", 10, []),
        (" \n ", 10, []),
    ],
)
def test_clauses_that_are_too_long_are_cut(text, max_bytes, passages):
    assert split_text(text, max_bytes) == passages


def test_nothing_is_lost_and_every_passage_fits():
    characters = "abcdefg   ..,;!?:\n\t中文很长，。！：é한국👍🏽👩\u200d👧\u0301"
    rng = random.Random(0)
    for _ in range(3000):
        text = "".join(rng.choices(characters, k=rng.randrange(150)))
        max_bytes = rng.randrange(4, 60)
        passages = split_text(text, max_bytes)
        assert all(passage and num_bytes(passage) <= max_bytes for passage in passages), (text, max_bytes)
        assert all(passage == passage.strip() for passage in passages), (text, max_bytes)
        assert without_spaces("".join(passages)) == without_spaces(text), (text, max_bytes)


def test_words_that_fit_are_not_cut():
    rng = random.Random(0)
    for _ in range(500):
        words = ["".join(rng.choices("abcdefgé", k=rng.randrange(1, 8))) for _ in range(rng.randrange(1, 40))]
        assert " ".join(split_text(" ".join(words), rng.randrange(16, 60))).split() == words


@pytest.mark.parametrize("text", ["a", "中", "word ", "a. ", "中。", " ", ".", "e\u0301", "👩\u200d", "ab中"])
@pytest.mark.parametrize("max_bytes", [4, 135, 50_000])
def test_long_texts_are_cut_without_loss(text, max_bytes):
    text *= 100_000 // len(text)
    passages = split_text(text, max_bytes)
    assert "".join("".join(passages).split()) == "".join(text.split())
    assert all(len(passage.encode()) <= max_bytes for passage in passages)


@pytest.mark.parametrize("max_bytes", [3, 0, -1])
def test_a_passage_has_room_for_a_character(max_bytes):
    with pytest.raises(InputError, match=f"`max_bytes` is {max_bytes}; .* up to 4 bytes"):
        split_text("a", max_bytes)


# Numbers

ENGLISH = {
    # Cardinals
    "I have 3 cats and 21 dogs.": "I have three cats and twenty one dogs.",
    "0, 10, 13, 40, 100, 101, 115": (
        "zero, ten, thirteen, forty, one hundred, one hundred and one, one hundred and fifteen"
    ),
    "1,000 or 1000 men, 1,234 or 12,345": (
        "one thousand or one thousand men, one thousand two hundred and thirty four or twelve thousand three hundred "
        "and forty five"
    ),
    "1,234,567 people": "one million two hundred thirty four thousand five hundred and sixty seven people",
    "1.4 billion people, 5 million": "one point four billion people, five million",
    "1234567890123456": "one two three four five six seven eight nine oh one two three four five six",
    "Agent 007": "Agent oh oh seven",
    "3.14, 0.05, 62.5 and .5": "three point one four, zero point oh five, sixty two point five and point five",
    "It is -5 outside, \u22120.5 inside": "It is negative five outside, minus zero point five inside",
    "1,2,3 and 1-2-3": "one,two,three and one-two-three",
    "MP3, H2O, 4K and Room 5B": "MP three, H two O, four K and Room five B",
    "GPT-4, COVID-19, a 20-year-old": "GPT-four, COVID-nineteen, a twenty year-old",
    'He said "5 cats" (and 6 dogs)... [7]!': 'He said "five cats" (and six dogs)... [seven]!',
    "~5, #1, No. 7, 18+, 3x": "about five, number one, number seven, eighteen plus, three times",
    "2 + 2 = 4, 3:2 and 4x4": "two plus two equals four, three to two and four times four",
    # Years and decades
    "In 1999, 2005, 2024, 1900": "In nineteen ninety nine, two thousand five, twenty twenty four, nineteen hundred",
    "the 1980s, '90s, 1900s, 2000s": "the nineteen eighties, nineties, nineteen hundreds, two thousands",
    "in her 20s, the 2010's": "in her twenties, the twenty tens",
    # Dates
    "On May 5, 2024, we met.": "On the fifth of may, twenty twenty four, we met.",
    "July 4, 1776. 5 men came.": "the fourth of july, seventeen seventy six. five men came.",
    "Jan. 1, Sept 22nd, March 3": "the first of january, the twenty second of september, the third of march",
    "5 May 2024, the 4th of July, on 31 Dec.": (
        "the fifth of may twenty twenty four, the fourth of July, on the thirty first of december."
    ),
    "2024-05-06": "the sixth of may twenty twenty four",
    "05/06/2024, 25/12/2023": (
        "the sixth of may twenty twenty four, the twenty fifth of december twenty twenty three"
    ),
    "It was May. 5 men came.": "It was May. five men came.",
    "In May\n5 km\n$\n6\nAM": "In May\nfive kilometers\n$\nsix\nAM",
    # Times
    "at 3:30 pm, 7 a.m. and 14:05": "at three thirty PM, seven AM and fourteen o five",
    "10:00, 9:00 AM, 8 o'clock": "ten o'clock, nine AM, eight o'clock",
    "It was 7 p.m. Then we left.": "It was seven p.m. Then we left.",
    "10:30-11:15, 3:07:01": "ten thirty to eleven fifteen, three hours seven minutes and one second",
    # Money
    "It costs $23, not $1.": "It costs twenty three dollars, not one dollar.",
    "$12.50, $1,299.99 and $3.00": (
        "twelve dollars and fifty cents, one thousand two hundred and ninety nine dollars and ninety nine cents and "
        "three dollars"
    ),
    "$1,000, £20, €30, 5€, ¥500": "one thousand dollars, twenty pounds, thirty euros, five euros, five hundred yen",
    "$5 million, $3.5B, $5k, -$5": (
        "five million dollars, three point five billion dollars, five thousand dollars, minus five dollars"
    ),
    "$12.50 million, $5-$10": "twelve point five million dollars, five dollars to ten dollars",
    # Percent, units, fractions, ordinals
    "50%, 5.5 % and 10-20%": "fifty percent, five point five percent and ten to twenty percent",
    "5 km, 1 km, 5-10 km, 100 m": "five kilometers, one kilometer, five to ten kilometers, one hundred meters",
    "10kg, 100 mph, 60 km/h, 5 m/s": (
        "ten kilograms, one hundred miles per hour, sixty kilometers per hour, five meters per second"
    ),
    "-3°C, 98.6 °F, 1°, 5m²": (
        "negative three degrees Celsius, ninety eight point six degrees Fahrenheit, one degree, five square meters"
    ),
    "1/2, 3/4, 2/3, 1 1/2, 1½ and ¾": (
        "one half, three quarters, two thirds, one and a half, one and a half and three quarters"
    ),
    "24/7, 9/11, 50/50": "twenty four seven, nine eleven, fifty fifty",
    "1st, 2nd, 3rd, 12th, 20th, 21st, 1,000th, 1st-class": (
        "first, second, third, twelfth, twentieth, twenty first, one thousandth, first class"
    ),
    # Ranges and telephone numbers
    "10-20 people, 1939–1945": "ten to twenty people, nineteen thirty nine to nineteen forty five",
    "555-0123 or (555) 123-4567": (
        "five five five, zero one two three or five five five, one two three, four five six seven"
    ),
    "500-1000 words": "five hundred to one thousand words",
    # Of what has no reading, the digits
    "±5, 5&, é6": "±five, five&, ésix",
    # White space
    " Dr. Who,\t5 times\n\n  and  6\u00a0more  ": " Dr. Who,\tfive times\n\n  and  six\u00a0more  ",
}
CHINESE = {
    "我有3只猫和2条狗。": "我有三只猫和两条狗。",
    "今天是2024年5月6日。": "今天是二零二四年五月六日。",
    "2月2日，12月2号": "二月二日，十二月二号",
    "2024-05-06开始": "二零二四年五月六日开始",
    "下午3:30见面": "下午三点三十分见面",
    "价格是12.5元，不是$12.50": "价格是十二点五元，不是十二点五零美元",
    "￥100": "一百元",
    "增长了50%": "增长了百分之五十",
    "第3名": "第三名",
    "电话是13812345678": "电话是幺三八幺二三四五六七八",
    "气温-5°C": "气温负五摄氏度",
    "10kg苹果和5 km路": "十千克苹果和五公里路",
    "二分之一是1/2": "二分之一是二分之一",
    "比分3:2": "比分三比二",
    "共1,234,567人，其中1,234人": "共一百二十三万四千五百六十七人，其中一千二百三十四人",
    "1.5亿，20个，2023个": "一点五亿，二十个，两千零二十三个",
    "全角２３个": "全角二十三个",
    "5-10个": "五到十个",
    "使用GPT-4和iPhone 15": "使用GPT 四和iPhone 十五",
    '他说 "3 个" ， \\5': '他说 "三个" ， \\五',
}
MIXED = {
    # Each sentence by its own script, names in the other one included.
    "I have 5. 我有5个。OK 6!": "I have five. 我有五个。OK six!",
    "Hello世界, I'm从China来的; it's 3.14元！": "Hello世界, I'm从China来的; it's 三点一四元！",
    "I met 张伟 on May 5.": "I met 张伟 on the fifth of may.",
    "我们在New York有5个朋友。": "我们在New York有五个朋友。",
    "你好。 5！": "你好。 五！",
    "Café no. 5": "Café no. five",
    "See http://x.y/2024?a=1 and a1@b2.com, 5 times": "See http://x.y/2024?a=1 and a1@b2.com, five times",
}
UNCHANGED = [
    "",
    " ",
    "\n\n",
    "Dr. Smith's e-mail, Mr. O'Neill & Co.: don't!",
    "  leading and  double  spaces \n",
    "NASA, U.S.A., Chapter IV, Henry VIII",
    "twenty-one, the first of May, three thirty PM",
    '"quoted" \\ text — dash… (aside) [tag]',
    "https://example.com/page a@b.com",
    "对，这就是我，万人敬仰的太乙真人。",
    "二零二四年五月六日，百分之五十，两个",
    "这儿玩儿，啊，呃，这个",
    "🙂 % $ # + = / : - ~ °",
    # In languages that are not read
    "日本語で5個です",
    "한국어 5",
    "Привет 5",
]
READINGS = ENGLISH | CHINESE | MIXED


@pytest.mark.parametrize(("text", "spoken"), READINGS.items(), ids=READINGS)
def test_numbers_are_read(text, spoken):
    assert normalize_text(text) == spoken


@pytest.mark.parametrize("text", UNCHANGED)
def test_what_needs_no_reading_stays(text):
    assert normalize_text(text) == text


@pytest.mark.parametrize("text", [*READINGS, *UNCHANGED])
def test_reading_again_changes_nothing(text):
    assert normalize_text(normalize_text(text)) == normalize_text(text)


PIECES = (
    "5 12 1999 2024 1,234 3.14 007 0 1/2 ½ 10:30 2日 - – $ £ € % °C km kg st th s May Jan. the of a A GPT x ~ / : +"
)
PIECES += (
    " = No. # ' \" ’ ( ) [ ] \\ _ @ é 😀 … AM p.m. million http://a.b/5 c5@d.com ２ ， 。 ！ “ 、 我 有 个 元 年 月 号"
)


@pytest.mark.parametrize("start", ["x ", "中文"])
def test_any_text_is_read_to_the_end(start):
    pieces = [*PIECES.split(), " ", "  ", "\n"]
    rng = random.Random(0)
    for _ in range(500):
        text = start + "".join(rng.choices(pieces, k=rng.randrange(1, 9)))
        spoken = normalize_text(text)
        assert normalize_text(spoken) == spoken, text
        # What is part of no number.
        for kept in '😀…“"，。！\\[]\n':
            assert spoken.count(kept) == text.count(kept), (text, spoken)
        if start == "x " and not re.search(r"[@/我有个元年月号日２]", text):
            assert not re.search(r"[0-9½]", spoken), text


def test_random_characters_are_read():
    """Most are in no language, and the grammars have no reading for them."""
    rng = random.Random(0)
    characters = [chr(code) for code in range(32, 0x250)] + ["\n", "\t", "\u2212", "…", "😀"]
    for _ in range(500):
        text = "x " + "".join(rng.choices([*"0123456789" * 20, *" ,.:-/$%" * 5, *characters], k=rng.randrange(1, 25)))
        spoken = normalize_text(text)
        assert normalize_text(spoken) == spoken, text
        if "@" not in text:
            assert not re.search(r"[0-9]", spoken), text


def test_grammars_are_loaded_for_numbers_only():
    code = (
        "import sys\n"
        "from deepaudio_diffusers.processing.speech_text import normalize_text\n"
        "for text in ('five cats', '没有', '5 cats'):\n"
        "    normalize_text(text)\n"
        "    print('wetext' in sys.modules)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["False", "False", "True"]
