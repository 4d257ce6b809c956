# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""What is to be spoken, before the tokenizer sees it: voices, passages, reference texts, numbers written out.

The rules for reference texts and the places where passages end are those of F5-TTS (arXiv 2410.06885; original code:
SWivid/F5-TTS, MIT), whose network was trained and is used with them.
"""

# ruff: noqa: RUF001 - the characters that people type are meant.

import re
import unicodedata
from collections.abc import Callable
from functools import cache

from ..errors import InputError


# Longest UTF-8 sequence of one character.
MAX_BYTES_PER_CHARACTER = 4

_VOICE_TAG = re.compile(r"\[([\w-]+)\]")
_CLAUSE_END = re.compile(r"(?<=[;:,.!?])\s+|(?<=[；：，。！？])")
# What is not cut unless it is too long by itself: a run of ASCII, or one other character with the marks that belong to
# it (combining accents, variation selectors, joiners and what they join).
_UNIT = re.compile(r"[!-~]+|[^!-~](?:[\u0300-\u036f\ufe00-\ufe0f\U0001f3fb-\U0001f3ff]|\u200d.)*", re.DOTALL)


def split_voices(text: str) -> list[tuple[str | None, str]]:
    """Cuts a transcript at its voice tags.

    Args:
        text (`str`): A transcript in which `[name]` hands over to the voice of that name. Names are letters, digits,
            `_` and `-`; other brackets are text.

    Returns:
        `list[tuple[str | None, str]]`: Voice (`None` before the first tag) and what it says, stripped of white space.
            Voices that say nothing are left out.
    """
    first, *tagged = _VOICE_TAG.split(text)
    parts = [(None, first), *zip(tagged[::2], tagged[1::2], strict=True)]
    return [(voice, said.strip()) for voice, said in parts if said.strip()]


def is_speakable(text: str) -> bool:
    """Whether the text has at least one letter or digit, of any script."""
    return any(char.isalnum() for char in text)


def complete_reference_text(text: str) -> str:
    """The text of the reference speech with the end of a sentence: `". "` is added unless it ends so, or with `"。"`.

    Raises:
        InputError: If the text is empty or white space.
    """
    if not text.strip():
        raise InputError("The reference text is empty; pass what the reference speech says.")
    if text.endswith((". ", "。")):
        return text
    return text + (" " if text.endswith(".") else ". ")


def join_reference(reference_text: str, text: str) -> str:
    """What the network reads: a completed reference text, then the text to speak.

    If the last character of the reference text is ASCII, such as the space that `complete_reference_text` adds, one
    more space comes between.
    """
    return reference_text + (" " if reference_text[-1:].isascii() else "") + text


def split_text(text: str, max_bytes: int) -> list[str]:
    """Cuts a text into passages that are spoken one at a time.

    Passages end where a clause ends, and hold as many clauses as fit. A clause that is too long by itself is cut
    between words, and where there are no spaces (Chinese, one endless word) between characters. Every character that
    is not white space is in exactly one passage, in order.

    Args:
        text (`str`): The text.
        max_bytes (`int`): How long a passage may be, in bytes of UTF-8; at least 4, the longest character.

    Returns:
        `list[str]`: The passages, stripped; none for a text of white space.

    Raises:
        InputError: If `max_bytes` is below 4.
    """
    if max_bytes < MAX_BYTES_PER_CHARACTER:
        raise InputError(
            f"`max_bytes` is {max_bytes}; one character of UTF-8 takes up to {MAX_BYTES_PER_CHARACTER} bytes, so pass "
            "at least that."
        )
    passages: list[str] = []
    clauses: list[str] = []
    size = 0
    for clause in _CLAUSE_END.split(text):
        if size + _size(clause) > max_bytes:
            passages.append("".join(clauses))
            *full, clause = _split_words(clause, max_bytes)
            passages += full
            clauses, size = [], 0
        if clause:
            clauses.append(clause + " " * clause[-1].isascii())
            size += _size(clauses[-1])
    passages.append("".join(clauses))
    return [passage.strip() for passage in passages if passage.strip()]


def _split_words(clause: str, max_bytes: int) -> list[str]:
    """The clause itself where it fits, else as few runs of whole words as possible; always at least one."""
    if _size(clause) <= max_bytes:
        return [clause]
    runs: list[list[str]] = [[]]
    size = 0
    for word in clause.split():
        units = [word] if _size(word) <= max_bytes else _split_characters(word, max_bytes)
        for i, unit in enumerate(units):
            spaced = f" {unit}" if i == 0 and size else unit
            if size + _size(spaced) > max_bytes:
                runs.append([])
                size, spaced = 0, unit
            runs[-1].append(spaced)
            size += _size(spaced)
    return ["".join(run) for run in runs]


def _split_characters(word: str, max_bytes: int) -> list[str]:
    units: list[str] = []
    for unit in _UNIT.findall(word):
        units.extend([unit] if _size(unit) <= max_bytes else unit)
    return units


def _size(text: str) -> int:
    return len(text.encode())


# Numbers written out

# Left as they are: nobody knows how an address is to be read.
_ADDRESS = re.compile(r"((?:https?://|www\.)[!-~]+|(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+)", re.ASCII)
_SENTENCE = re.compile(r".+?(?:[.!?](?=\s|\Z)|[。！？\n]|\Z)", re.DOTALL)
# With the yuan sign of Chinese keyboards.
_HAN = re.compile(r"[\u3400-\u9fff￥]")
_KANA_OR_HANGUL = re.compile(r"[\u3040-\u30ff\uac00-\ud7af]")
_LATIN_WORD = re.compile(r"[A-Za-zÀ-ÖØ-öø-ɏ]+(?:['’][A-Za-z]+)*")
_FRACTIONS = "½⅓⅔¼¾⅛⅜⅝⅞"
_DIGIT = re.compile(rf"[0-9０-９{_FRACTIONS}]")


def normalize_text(text: str) -> str:
    """Writes out numbers and what goes with them as they are spoken: dates, times, money, units, percent, ordinals.

    Each sentence is read as English or Chinese, whichever it has more of: Latin words or Chinese characters; sentences
    in Japanese, Korean and other scripts stay as they are, as do addresses (`http://...`, `a@b.com`), sentences
    without digits, and everything between the numbers.

    The numbers are read by `wetext` (Apache-2.0), the grammars of WeTextProcessing, once what they read amiss is
    repaired. Where a symbol keeps them from an English reading, the digits alone are read. Abbreviations (Dr., NASA)
    and Roman numbers stay, except directly behind a number: the network has heard them. English dates are American
    where they are ambiguous (`05/06/2024` is in May).

    What still goes wrong in English: four digits are a year wherever they can be ("2345 men" are "twenty three forty
    five"), and 1905 is "nineteen zero five"; a $20 bill is a "twenty dollars bill", $1.01 ends in "one cents", £3.99
    is "three point nine nine pounds"; 18/20 is a fraction and 747s are seconds; units such as hrs, kHz and dB, feet
    and inches (6'2"), the signs × and ÷ and a + before a number stay; version 1.2.3 is "one.two point three";
    postcodes and telephone numbers from abroad are quantities.

    Args:
        text (`str`): Any text.

    Returns:
        `str`: The text without digits, except for those that were left as they are.
    """
    if not _DIGIT.search(text):
        return text
    return "".join(
        piece if i % 2 or language not in _READERS else _READERS[language](piece)
        for language, block in _language_blocks(text)
        # An address is every second piece.
        for i, piece in enumerate(_ADDRESS.split(block))
    )


def _language_blocks(text: str) -> list[tuple[str, str]]:
    """Neighbouring sentences of one language; those without letters belong to what is before them."""
    blocks: list[tuple[str | None, str]] = []
    for sentence in _SENTENCE.findall(text):
        language = _language(sentence)
        last_language, last = blocks[-1] if blocks else (None, "")
        if blocks and (language in (None, last_language) or last_language is None):
            blocks[-1] = (language or last_language, last + sentence)
        else:
            blocks.append((language, sentence))
    return [(language or "en", block) for language, block in blocks]


def _language(sentence: str) -> str | None:
    num_han, num_words = len(_HAN.findall(sentence)), len(_LATIN_WORD.findall(sentence))
    if _KANA_OR_HANGUL.search(sentence):
        return "other"
    if num_han or num_words:
        return "zh" if num_han >= num_words else "en"
    return "other" if any(char.isalpha() for char in sentence) else None


# Chinese

# What `wetext` reads amiss.
_CHINESE_REPAIRS = (
    # 1,234 is one number.
    (re.compile(r"(?<![0-9,])[0-9]{1,3}(?:,[0-9]{3})+(?![0-9,])"), lambda m: m[0].replace(",", "")),
    # The hyphen of GPT-4 is no minus.
    (re.compile(r"(?<=[A-Za-z])-(?=[0-9])"), lambda m: " "),
    # A day of the month is not counted: 二日, not 两日.
    (re.compile(r"(?<=月)2(?=[日号])"), lambda m: "二"),
)
# A number with what is near it: its time grows with the text it is given. It strips that, and puts backslashes before
# quotes and backslashes, so it is not given any.
_NOT_NUMBER = r'[^0-9０-９"\\\n，。！？；]{0,8}'
_CHINESE_NUMBERS = re.compile(rf"(?:{_NOT_NUMBER}[0-9０-９]+){{1,16}}{_NOT_NUMBER}")


def _read_chinese(text: str) -> str:
    for pattern, repair in _CHINESE_REPAIRS:
        text = pattern.sub(repair, text)
    return _CHINESE_NUMBERS.sub(_read_chinese_numbers, text)


def _read_chinese_numbers(match: re.Match) -> str:
    numbers = match[0].strip()
    return match[0].replace(numbers, _chinese_normalizer()(numbers), 1)


@cache
def _chinese_normalizer() -> Callable[[str], str]:
    # Loads its grammars, for which texts without numbers need not wait.
    from wetext import Normalizer

    return Normalizer(lang="zh", operator="tn").normalize


# English

_AMOUNT = r"[$£€]?[0-9][0-9.,:]{0,20}"
# What `wetext` reads amiss.
_ENGLISH_REPAIRS = (
    # Symbols
    (re.compile(r"(?:\bNo\. ?|#)(?=[0-9])"), "number "),
    (re.compile(r"(?<![0-9])~ ?(?=[$£€]?[0-9])"), "about "),
    (re.compile(r"(?<![\w)-])[-−](?=[$£€])|−(?=[0-9])"), "minus "),
    (re.compile(r"(?<=[0-9])\+(?!\w)"), " plus"),
    (re.compile(rf"(?<=[0-9])(?=[{_FRACTIONS}])"), " "),
    (re.compile(rf"[{_FRACTIONS}]"), lambda m: unicodedata.normalize("NFKC", m[0]).replace("\u2044", "/")),
    (re.compile(r"\b(24(?=/7\b)|9(?=/11\b)|50(?=/50\b))/"), r"\1 "),
    (re.compile(r"([0-9](?:st|nd|rd|th)?)-(?=[a-z])"), r"\1 "),
    # Years, decades and May; 1000 is none
    (re.compile(r"(?<![\w.,])1(?=00[0-9](?!\w))"), "1,"),
    (re.compile(r"\b(1[0-9]|20)([2-9]0)['’]?s\b"), r"\1 \2s"),
    (re.compile(r"\b(1[0-9])00['’]?s\b"), r"\1 hundreds"),
    (re.compile(r"\b20([01])0['’]?s\b"), lambda m: ("two thousands", "twenty tens")[int(m[1])]),
    (re.compile(r"\bMay(?= [0-9])|(?<=[0-9] )May\b"), "may"),
    # Money and meters, of which it makes minutes
    (re.compile(r"(\$[0-9,]{1,20})\.(?!00)([0-9]{2})(?!\w| \w+illion)"), lambda m: f"{m[1]} and {int(m[2])} cents"),
    (re.compile(r"\$([0-9.,]{1,20})(?: ?[kK]| thousand)\b"), r"\1 thousand dollars"),
    (re.compile(r"([0-9][0-9.,]{0,20}) ?([€£])(?! ?[0-9])"), r"\2\1"),
    (re.compile(r"(?<=[0-9]) ?m/s\b"), " meters per second"),
    (re.compile(r"(?<![$£€0-9.,])([0-9][0-9.,]{0,20}) ?m(?![\w/'’])"), r"\1 meters"),
    # Telephone numbers and ranges
    (
        re.compile(r"(?<![\w-])(?:\(?([0-9]{3})\)?[ -])?([0-9]{3})-([0-9]{4})(?<!00)(?![\w-])"),
        lambda m: ", ".join(" ".join(digits) for digits in m.groups() if digits),
    ),
    (re.compile(rf"(?<![\w-])({_AMOUNT}%?)[-–](?={_AMOUNT}(?![0-9.,:/-]))"), r"\1 to "),
)
# A number with what it may be read with: an article or a month before it, more numbers and a unit behind it. White
# space, quotes and the end of the sentence would get lost.
_NUMBER = r'[^\s"\\<>^]{0,30}?[0-9][^\s"\\<>^]{0,30}'
_BEFORE_NUMBER = r"(?:the|may|(?:Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)(?:\.|[a-z]{0,6})) "
_NEXT_NUMBER = rf"(?: (?=[12][0-9]{{3}}\b)|(?<![.,;:!?]) )(?:[-+=*/] |{_BEFORE_NUMBER})?{_NUMBER}"
_UNIT_NAME = r"(?<![.,;:!?]) [A-Za-z°%²³/]{1,20}(?:\.m\.(?=,| [a-z]))?"
_ENGLISH_NUMBERS = re.compile(rf"(?:\b{_BEFORE_NUMBER})?{_NUMBER}(?:{_NEXT_NUMBER}){{0,8}}(?:{_UNIT_NAME}|(?<![.,]))")


def _read_english(text: str) -> str:
    for pattern, repair in _ENGLISH_REPAIRS:
        text = pattern.sub(repair, text)
    return _ENGLISH_NUMBERS.sub(_read_english_number, text)


def _read_english_number(match: re.Match) -> str:
    # Texts without numbers need not wait for this import.
    from wetext import reorder, tag, verbalize

    tagged = tag(match[0], "en", "tn")
    if not tagged:
        # There is no reading: a symbol is in the way. Digits alone always have one.
        return re.sub("[0-9]+", _read_english_number, match[0])
    spoken = verbalize(reorder(tagged, "en", "tn"), "en", "tn")
    # 1,234 is read without its "one".
    return re.sub(r"^\W*(?:negative )?(?=thousand)", r"\g<0>one ", spoken)


_READERS = {"en": _read_english, "zh": _read_chinese}
