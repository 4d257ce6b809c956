# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""What is to be spoken, before the tokenizer sees it: voices, passages, reference texts, numbers written out.

The rules for reference texts and the places where passages end are those of F5-TTS (arXiv 2410.06885; original code:
SWivid/F5-TTS, MIT), whose network was trained and is used with them.
"""

# ruff: noqa: RUF001 - the characters that people type are meant.

import re
import unicodedata
from collections.abc import Callable, Iterable
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
_DIGIT = re.compile(r"[0-9０-９½⅓⅔¼¾⅛⅜⅝⅞]")


def normalize_text(text: str) -> str:
    """Writes out numbers and what goes with them as they are spoken: dates, times, money, units, percent, ordinals.

    Each sentence is read as English or Chinese, whichever it has more of: Latin words or Chinese characters; sentences
    in Japanese, Korean and other scripts stay as they are, as do addresses (`http://...`, `a@b.com`), sentences
    without digits, and everything between the numbers.

    Chinese is read by `wetext` (Apache-2.0), the grammars of WeTextProcessing; English by the rules below, in which
    dates are American where they are ambiguous (`05/06/2024` is in May) and four digits from 1100 to 2099 a year.
    Abbreviations (Dr., NASA) and Roman numbers stay: the network has heard them. What needs understanding goes wrong:
    "a $20 bill" becomes "twenty dollars", a range such as 100-1250 is taken for a telephone number, a postcode for a
    quantity.

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


# English: number words

_ONES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
_ONES += ["thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"]
_TENS = ["", "ten", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_SCALES = [(10**12, "trillion"), (10**9, "billion"), (10**6, "million"), (1000, "thousand"), (100, "hundred")]
# Longer numbers are read digit by digit.
_MAX_DIGITS = 15
_IRREGULAR_ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}


def _cardinal(number: int) -> str:
    if number < 20:
        return _ONES[number]
    if number < 100:
        tens, ones = divmod(number, 10)
        return _TENS[tens] + (f"-{_ONES[ones]}" if ones else "")
    scale, name = next(entry for entry in _SCALES if number >= entry[0])
    count, rest = divmod(number, scale)
    return f"{_cardinal(count)} {name}" + (f" {_cardinal(rest)}" if rest else "")


def _ordinal(number: int) -> str:
    words = _cardinal(number)
    cut = max(words.rfind(" "), words.rfind("-")) + 1
    last = words[cut:]
    if last in _IRREGULAR_ORDINALS:
        return words[:cut] + _IRREGULAR_ORDINALS[last]
    return words[:cut] + (last[:-1] + "ie" if last.endswith("y") else last) + "th"


def _digits(digits: str) -> str:
    return " ".join(_ONES[int(digit)] for digit in digits)


def _quantity(number: str) -> str:
    """`-1,234.50` -> "minus one thousand two hundred thirty-four point five zero"."""
    whole, _, fraction = number.lstrip("-−").replace(",", "").partition(".")
    spelled_out = len(whole) > _MAX_DIGITS or (len(whole) > 1 and whole[0] == "0")
    words = ["minus"] if number[0] in "-−" else []
    if whole:
        words.append(_digits(whole) if spelled_out else _cardinal(int(whole)))
    if fraction:
        words.append(f"point {_digits(fraction)}")
    return " ".join(words)


def _pair(number: str) -> str:
    """Two digits as they are read after an hour or a century: "oh five", "thirty"."""
    return f"oh {_ONES[int(number)]}" if number[0] == "0" else _cardinal(int(number))


def _number_or_year(number: str) -> str:
    if not re.fullmatch(r"1[1-9][0-9]{2}|20[0-9]{2}", number) or number.startswith("200"):
        return _quantity(number)
    century, rest = _cardinal(int(number[:2])), number[2:]
    return f"{century} hundred" if rest == "00" else f"{century} {_pair(rest)}"


# English: what numbers go with

_MONTHS = ["January", "February", "March", "April", "May", "June", "July"]
_MONTHS += ["August", "September", "October", "November", "December"]
_MONTH_OF = {month[:length]: month for month in _MONTHS for length in (3, len(month))} | {"Sept": "September"}
_UNITS = {
    "mm": ("millimeter", "millimeters"),
    "cm": ("centimeter", "centimeters"),
    "m": ("meter", "meters"),
    "km": ("kilometer", "kilometers"),
    "m²": ("square meter", "square meters"),
    "km²": ("square kilometer", "square kilometers"),
    "mi": ("mile", "miles"),
    "ft": ("foot", "feet"),
    "mph": ("mile per hour", "miles per hour"),
    "km/h": ("kilometer per hour", "kilometers per hour"),
    "kph": ("kilometer per hour", "kilometers per hour"),
    "m/s": ("meter per second", "meters per second"),
    "mg": ("milligram", "milligrams"),
    "g": ("gram", "grams"),
    "kg": ("kilogram", "kilograms"),
    "lb": ("pound", "pounds"),
    "lbs": ("pound", "pounds"),
    "oz": ("ounce", "ounces"),
    "ml": ("milliliter", "milliliters"),
    "mL": ("milliliter", "milliliters"),
    "ms": ("millisecond", "milliseconds"),
    "sec": ("second", "seconds"),
    "min": ("minute", "minutes"),
    "hr": ("hour", "hours"),
    "hrs": ("hour", "hours"),
    "Hz": ("hertz", "hertz"),
    "kHz": ("kilohertz", "kilohertz"),
    "MHz": ("megahertz", "megahertz"),
    "GHz": ("gigahertz", "gigahertz"),
    "dB": ("decibel", "decibels"),
    "fps": ("frame per second", "frames per second"),
    "kW": ("kilowatt", "kilowatts"),
    "KB": ("kilobyte", "kilobytes"),
    "kB": ("kilobyte", "kilobytes"),
    "MB": ("megabyte", "megabytes"),
    "GB": ("gigabyte", "gigabytes"),
    "TB": ("terabyte", "terabytes"),
    "°": ("degree", "degrees"),
    "°C": ("degree Celsius", "degrees Celsius"),
    "℃": ("degree Celsius", "degrees Celsius"),
    "°F": ("degree Fahrenheit", "degrees Fahrenheit"),
    "℉": ("degree Fahrenheit", "degrees Fahrenheit"),
    "%": ("percent", "percent"),
    "‰": ("per mille", "per mille"),
}
# Symbol -> unit and its hundredth, each for one and for more.
_CURRENCIES = {
    "$": ("dollar", "dollars", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"),
    "€": ("euro", "euros", "cent", "cents"),
    "₹": ("rupee", "rupees", "paisa", "paise"),
    "¥": ("yen", "yen", "", ""),
    "₩": ("won", "won", "", ""),
}
_MONEY_SCALES = {"k": "thousand", "K": "thousand", "m": "million", "M": "million", "bn": "billion", "B": "billion"}
_SCALE_WORDS = ("hundred", "thousand", "million", "billion", "trillion")
_DENOMINATORS = {2: "half", 4: "quarter"} | {n: _ordinal(n) for n in (3, 5, 6, 7, 8, 9, 10)}
_SIGNS = {"+": "plus", "=": "equals", "*": "times", "×": "times", "x": "by", "÷": "divided by"}


def _date(month: str, day: str, year: str | None) -> str:
    return f"{month} {_ordinal(int(day))}" + (f", {_number_or_year(year)}" if year else "")


def _read_slashed_date(match: re.Match) -> str:
    first, second, year = int(match[1]), int(match[2]), match[3]
    month, day = (first, second) if first <= 12 else (second, first)
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return match[0]
    return _date(_MONTHS[month - 1], str(day), year)


def _read_month_and_day(match: re.Match) -> str:
    month, dot, day, year = match.groups()
    # A sentence that ends in May, and the next begins with a number.
    if dot and month in _MONTHS:
        return match[0]
    return _date(_MONTH_OF[month], day, year)


def _read_day_and_month(match: re.Match) -> str:
    year = f" {_number_or_year(match[4])}" if match[4] else ""
    return f"{match[1] or 'the'} {_ordinal(int(match[2]))} of {_MONTH_OF[match[3]]}{year}"


def _read_time(match: re.Match) -> str:
    hour, minute, second, half = match.groups()
    words = [_cardinal(int(hour))]
    if minute and minute != "00":
        words.append(_pair(minute))
    elif minute and not half:
        words.append("o'clock" if 1 <= int(hour) <= 12 else "hundred")
    if second and second != "00":
        words.append("and " + _count(second.lstrip("0"), "second", "seconds"))
    if half:
        words.append(half if "." in half[:-1] else half.upper())
    return " ".join(words)


def _count(number: str, singular: str, plural: str) -> str:
    return f"{_quantity(number)} {singular if number.lstrip('-−') == '1' else plural}"


def _range_and(low: str | None, words: str) -> str:
    return f"{_quantity(low)} to {words}" if low else words


def _read_measure(match: re.Match) -> str:
    low, number, hyphen, unit = match.groups()
    singular, plural = _UNITS["".join(unit.split())]
    if hyphen:
        return _range_and(low, f"{_quantity(number)}-{singular}")
    return _range_and(low, _count(number, singular, plural))


def _read_money(match: re.Match) -> str:
    minus, symbol, low, number, scale = match.groups()
    words = _range_and(low, _money(symbol, number, scale, whole=bool(low)))
    return _apart_from_letters(match, ("minus " if minus else "") + words)


def _read_money_with_symbol_behind(match: re.Match) -> str:
    low, number, symbol = match.groups()
    return _range_and(low, _money(symbol, number, None, whole=bool(low)))


def _money(symbol: str, number: str, scale: str | None, whole: bool) -> str:
    unit, units, hundredth, hundredths = _CURRENCIES[symbol]
    if scale:
        return f"{_quantity(number)} {_MONEY_SCALES.get(scale, scale)} {units}"
    major, _, minor = number.partition(".")
    if len(minor) != 2 or not hundredth or whole:
        return _count(number, unit, units)
    parts = [_count(major, unit, units)] if major.strip("0") or minor == "00" else []
    parts += [_count(str(int(minor)), hundredth, hundredths)] if minor != "00" else []
    return " and ".join(parts)


def _read_ordinal(match: re.Match) -> str:
    return _ordinal(int(match[1].replace(",", "")))


def _read_feet_and_inches(match: re.Match) -> str:
    return f"{_quantity(match[1])} foot {_quantity(match[2])}"


def _read_decade(match: re.Match) -> str:
    century, tens, tens_only = match.groups()
    if tens == "0":
        return "two thousands" if century == "20" else f"{_cardinal(int(century))} hundreds"
    words = _TENS[int(tens or tens_only)]
    decade = words[:-1] + "ies" if words.endswith("y") else f"{words}s"
    return f"{_cardinal(int(century))} {decade}" if century else decade


def _read_phone_number(match: re.Match) -> str:
    groups = re.findall(r"[0-9]+", match[0])
    # 500-1000 is no telephone number.
    if len(groups) == 2 and groups[1].endswith("00") and groups[1][0] != "0":
        return match[0]
    return ("plus " if match[0][0] == "+" else "") + ", ".join(map(_digits, groups))


def _read_fraction(match: re.Match) -> str:
    whole, *parts = match.groups()
    numerator, denominator = (int(part) for part in parts)
    if not (numerator < denominator and denominator in _DENOMINATORS and numerator):
        words = " ".join(map(_number_or_year, parts))
        return f"{_number_or_year(whole)} {words}" if whole else words
    name = _DENOMINATORS[denominator]
    if numerator > 1:
        words = f"{_cardinal(numerator)} {name}s"
    else:
        words = f"a {name}" if whole and denominator == 2 else f"one {name}"
    return f"{_number_or_year(whole)} and {words}" if whole else words


def _read_vulgar_fraction(match: re.Match) -> str:
    numerator, denominator = unicodedata.normalize("NFKC", match[2]).split("\u2044")
    return f"{match[1]} {numerator}/{denominator}" if match[1] else f"{numerator}/{denominator}"


def _read_range(match: re.Match) -> str:
    return f"{_number_or_year(match[1])} to {_number_or_year(match[2])}"


def _read_number(match: re.Match) -> str:
    return _apart_from_letters(match, ("minus " if match[1] else "") + _number_or_year(match[2]))


def _read_dotted_number(match: re.Match) -> str:
    return _apart_from_letters(match, " point ".join(map(_quantity, match[0].split("."))))


def _apart_from_letters(match: re.Match, words: str) -> str:
    """MP3, 4K, v1.2.3, US$5."""
    before = match.string[max(match.start() - 1, 0) : match.start()]
    after = match.string[match.end() : match.end() + 1]
    return " " * before.isalpha() + words + " " * after.isalpha()


def _alternatives(names: Iterable[str]) -> str:
    return "|".join(map(re.escape, sorted(names, key=len, reverse=True)))


_NUMBER = r"[0-9]+(?:,[0-9]{3}(?![0-9]))*(?:\.[0-9]+)?"
# A number does not begin inside a word or another number, and a minus does not follow one.
_START = r"(?<![0-9A-Za-z_])(?<![0-9][.,])"
_MINUS = r"(?<![\w)–—-])[-−]"
# Between the parts of what is read as one thing; a line break parts things.
_SPACE = r"[ \u00a0\u202f]"
_LOW = rf"(?:({_NUMBER}){_SPACE}?[-–]{_SPACE}?)?"
_DAY = r"(0?[1-9]|[12][0-9]|3[01])(?:st|nd|rd|th)?"
_YEAR = r"([12][0-9]{3})(?![0-9])"
_MONTH = _alternatives(_MONTH_OF)
_CURRENCY = _alternatives(_CURRENCIES)
_UNIT_NAME = rf"°{_SPACE}?[CF]|{_alternatives(_UNITS)}"
_SCALE = rf"(?:(?:{_SPACE}|-)?({_alternatives((*_MONEY_SCALES, *_SCALE_WORDS))})(?![0-9A-Za-z]))?"
_CLOCK = r"([01]?[0-9]|2[0-4])"
_MINUTES = r":([0-5][0-9])(?::([0-5][0-9]))?"

# In this order: what a rule has read has no digits left for the next.
_ENGLISH_RULES: tuple[tuple[str, str | Callable[[re.Match], str]], ...] = (
    (r"(?<=[0-9])[\u00a0\u2009\u202f](?=[0-9]{3}(?![0-9]))", ""),
    (rf"(?<=[0-9]){_SPACE}?~{_SPACE}?(?=[0-9])", " to "),
    (rf"[~≈]{_SPACE}?(?=[0-9$£€])", "about "),
    (r"(?<![0-9])([0-9]*)([½⅓⅔¼¾⅛⅜⅝⅞])", _read_vulgar_fraction),
    # Dates
    (rf"{_START}{_YEAR}-(0[1-9]|1[0-2])-{_DAY}(?![\w-])", lambda m: _date(_MONTHS[int(m[2]) - 1], m[3], m[1])),
    (rf"{_START}([0-9]{{1,2}})/([0-9]{{1,2}})/{_YEAR}(?![\w/])", _read_slashed_date),
    (
        rf"\b({_MONTH})(?![A-Za-z])(\.?){_SPACE}{_DAY}(?![0-9A-Za-z%:]|[.,/-][0-9])(?:,?{_SPACE}{_YEAR})?",
        _read_month_and_day,
    ),
    (
        rf"(?:\b(the|The){_SPACE})?{_START}{_DAY}{_SPACE}(?:of{_SPACE})?({_MONTH})(?![A-Za-z])(?:,?{_SPACE}{_YEAR})?",
        _read_day_and_month,
    ),
    # Times
    (rf"(?<=:[0-9]{{2}}){_SPACE}?[-–]{_SPACE}?(?=[0-9]{{1,2}}:[0-9]{{2}})", " to "),
    (rf"{_START}{_CLOCK}(?:{_MINUTES})?{_SPACE}?([AaPp]\.[Mm]\.|[AaPp][Mm])(?![A-Za-z])", _read_time),
    (rf"{_START}{_CLOCK}{_MINUTES}()(?:{_SPACE}o['’]clock)?(?![0-9A-Za-z:])", _read_time),
    # Signs between numbers
    (rf"(?<=[0-9]){_SPACE}?([+=*×÷]){_SPACE}?(?=[-−$£€]?[0-9])", lambda m: f" {_SIGNS[m[1]]} "),
    (rf"(?<=[0-9]){_SPACE}?x{_SPACE}?(?=[0-9])", " by "),
    (r"(?<=[0-9])x\b", " times"),
    (r"(?<=[0-9])\+(?!\w)", " plus"),
    (r"(?<=[0-9]):(?=[0-9])", " to "),
    (rf"(?:\bNo\.{_SPACE}?|№{_SPACE}?|(?<![\w#])#)(?=[0-9])", "number "),
    # Money
    (
        rf"({_MINUS})?({_CURRENCY}){_SPACE}?(?:({_NUMBER}){_SPACE}?[-–]{_SPACE}?(?:{_CURRENCY})?)?({_NUMBER}){_SCALE}",
        _read_money,
    ),
    (rf"{_START}{_LOW}({_NUMBER}){_SPACE}?({_CURRENCY})(?!{_SPACE}?[0-9])", _read_money_with_symbol_behind),
    # Numbers that are parts of names: telephone numbers, versions
    (
        r"(?<![\w.,+-])(?:\+[0-9]{1,3}[ .-]?(?:\([0-9]{1,4}\)[ .-]?)?[0-9]{2,4}(?:[ .-][0-9]{2,4}){1,4}"
        rf"|(?:1[ .-])?(?:\([0-9]{{3}}\){_SPACE}?|[0-9]{{3}}[ .-])[0-9]{{3}}[ .-][0-9]{{4}}"
        r"|[0-9]{3}-[0-9]{4})(?![\w-]|\.[0-9])",
        _read_phone_number,
    ),
    (r"(?<![0-9.])[0-9]+(?:\.[0-9]+){2,}", _read_dotted_number),
    # Numbers with an ending or a unit
    (r"(?<![0-9A-Za-z_])['’]?(?:(1[0-9]|20)([0-9])0|([1-9])0)['’]?s\b", _read_decade),
    (rf"{_START}([0-9]{{1,3}}(?:,[0-9]{{3}}){{1,4}}|[0-9]{{1,15}})(?:st|nd|rd|th|ST|ND|RD|TH)\b", _read_ordinal),
    (rf"{_START}([0-9]{{1,3}})['′’]{_SPACE}?([0-9]{{1,2}})[\"″”](?!\w)", _read_feet_and_inches),
    (rf"{_START}(?:([0-9]{{1,15}}){_SPACE})?([0-9]{{1,15}})/([0-9]{{1,15}})(?![0-9A-Za-z/])", _read_fraction),
    (rf"{_START}{_LOW}((?:{_MINUS})?{_NUMBER})(?:(-)|{_SPACE}?)({_UNIT_NAME})(?![0-9A-Za-z²³/])", _read_measure),
    # All others
    (rf"{_START}(?<![-–])({_NUMBER})(?:-|{_SPACE}?–{_SPACE}?)({_NUMBER})(?![0-9A-Za-z]|[-–][0-9])", _read_range),
    (rf"({_MINUS})?({_NUMBER}|(?<![\w.])\.[0-9]+)", _read_number),
)


def _read_english(text: str) -> str:
    for pattern, reading in _ENGLISH_RULES:
        text = re.sub(pattern, reading, text)
    return text


_READERS = {"en": _read_english, "zh": _read_chinese}
