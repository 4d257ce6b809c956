# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Tokens and ids equal those of the original code, and nothing that the base class does changes them."""

import json
import subprocess
import sys

import pytest
import torch
from diffusers import DiffusionPipeline
from torch.nn.utils.rnn import pad_sequence

from deepaudio_diffusers import F5TTSTokenizer
from deepaudio_diffusers.errors import CheckpointError, InputError
from tests.golden import FIXTURES


VOCABULARY = FIXTURES / "f5tts" / "vocab.txt"
GOLDEN = json.loads((FIXTURES / "f5tts" / "tokenizer.json").read_text(encoding="utf-8"))
MODES = ("pinyin", "char", "byte")
# What tokenizers like to strip, split or repair.
AWKWARD = [
    "",
    " ",
    "   ",
    " a",
    "a ",
    "  a  b  ",
    "\n",
    "a\n\nb\t",
    " .",
    "do n't , really ?",
    "<s>[PAD]</s> [UNK]",
    "🙂👩\u200d🚀",
    "e\u0301\u00a0é",
    "\ufeff中 文\u3000日本",
]


def make_tokenizer(mode: str) -> F5TTSTokenizer:
    return F5TTSTokenizer(None if mode == "byte" else VOCABULARY, mode=mode)


@pytest.fixture(scope="module", params=MODES)
def tokenizer(request) -> F5TTSTokenizer:
    return make_tokenizer(request.param)


@pytest.mark.parametrize("row", GOLDEN, ids=lambda row: row["text"])
def test_tokens_and_ids_are_those_of_the_original(row):
    pinyin = make_tokenizer("pinyin")
    assert pinyin.tokenize(row["text"]) == row["pinyin_tokens"]
    assert pinyin(row["text"]).input_ids == row["pinyin_ids"]
    assert make_tokenizer("char")(row["text"]).input_ids == row["char_ids"]
    assert make_tokenizer("byte")(row["text"]).input_ids == row["bytes"]


def test_jieba_differs_from_rjieba_in_latin_words_with_hyphens_and_dots_only():
    (row,) = (row for row in GOLDEN if row["pinyin_ids"] != row["pinyin_ids_with_jieba"])
    with_jieba = make_tokenizer("pinyin").decode(row["pinyin_ids_with_jieba"])
    assert "e- mail" in with_jieba
    assert "e-mail" in "".join(row["pinyin_tokens"])
    assert with_jieba.replace(" ", "") == "".join(row["pinyin_tokens"]).replace(" ", "")


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        # Expected tokens are those of the original code.
        ("我买了一件T恤", [" ", "wo3", " ", "mai3", " ", "le", " ", "yi1", " ", "jian4", "T", " ", "xu4"]),
        ("A股，——", ["A", " ", "gu3", "，", "—", "—"]),
        ("阿Q", [" ", "a1", "Q"]),
        ("二〇二四年", [" ", "er4", "ling2", " ", "er4", " ", "si4", " ", "nian2"]),
        ("  a  b ", [" ", " ", "a", " ", " ", "b", " "]),
    ],
)
def test_words_of_chinese_and_latin_characters(text, tokens):
    assert make_tokenizer("pinyin").tokenize(text) == tokens


def test_a_batch_gives_each_text_its_ids(tokenizer):
    texts = [row["text"] for row in GOLDEN] + AWKWARD
    assert tokenizer(texts).input_ids == [tokenizer(text).input_ids for text in texts]
    assert set(tokenizer(texts)) == {"input_ids"}


@pytest.mark.parametrize("text", AWKWARD)
def test_nothing_is_stripped_or_repaired(text):
    assert make_tokenizer("char").tokenize(text) == list(text)
    assert bytes(make_tokenizer("byte")(text).input_ids) == text.encode()
    # Latin characters stay; spaces are added and never taken.
    latin = "".join(char if char.isascii() else "" for char in text)
    tokens = make_tokenizer("pinyin").tokenize(latin)
    assert "".join(tokens).replace(" ", "") == latin.replace(" ", "")
    assert tokens.count(" ") >= latin.count(" ")


def test_no_token_is_special(tokenizer):
    assert tokenizer.all_special_tokens == []
    assert tokenizer.get_added_vocab() == {}
    assert len(tokenizer) == tokenizer.vocab_size == {"byte": 256}.get(tokenizer.mode, 2545)


def test_unknown_tokens_have_the_id_of_the_space():
    tokenizer = make_tokenizer("char")
    assert tokenizer("a☃b ").input_ids == [62, 0, 78, 0]


def test_ids_become_tokens_and_text():
    row = next(row for row in GOLDEN if row["text"].startswith("我们"))
    pinyin = make_tokenizer("pinyin")
    assert pinyin.convert_ids_to_tokens(row["pinyin_ids"]) == row["pinyin_tokens"]
    assert pinyin.decode(row["pinyin_ids"]) == "".join(row["pinyin_tokens"])
    assert make_tokenizer("char").decode(make_tokenizer("char")(" it's  a , b ").input_ids) == " it's  a , b "
    assert make_tokenizer("byte").decode(list("naïve 世界 🙂".encode())) == "naïve 世界 🙂"
    assert make_tokenizer("byte").decode([0xE4, 0xB8]) == "\ufffd"


@pytest.mark.parametrize("index", [-2, 2545])
def test_an_id_outside_the_vocabulary_is_an_error(index):
    with pytest.raises(InputError, match=rf"id {index} is not in the vocabulary.* 0 to 2544"):
        make_tokenizer("pinyin").decode([62, index])


def test_a_batch_is_padded_by_the_caller():
    tokenizer = make_tokenizer("char")
    ids = [torch.tensor(ids) for ids in tokenizer(["ab", "a"]).input_ids]
    padded = pad_sequence(ids, batch_first=True, padding_value=F5TTSTokenizer.padding_id)
    assert padded.tolist() == [[62, 78], [62, -1]]
    assert tokenizer.decode(padded) == ["ab", "a"]
    with pytest.raises(ValueError, match="padding token"):
        tokenizer(["ab", "a"], padding=True)


# Vocabulary files


def write_vocabulary(folder, text: str, encoding: str = "utf-8"):
    path = folder / "vocab.txt"
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("text", [" \na\né\n", " \r\na\r\né\r\n", " \na\né", " \r\na\r\né"])
def test_line_ends(tmp_path, text):
    tokenizer = F5TTSTokenizer(write_vocabulary(tmp_path, text), mode="char")
    assert tokenizer.get_vocab() == {" ": 0, "a": 1, "é": 2}


def test_lines_end_at_line_feeds_only(tmp_path):
    tokenizer = F5TTSTokenizer(write_vocabulary(tmp_path, " \n\u2028\n\x0b\n\x85\na\n"), mode="char")
    assert tokenizer("\u2028\x0b\x85a").input_ids == [1, 2, 3, 4]


def test_repeated_lines_count_once(tmp_path):
    # As in the original, the last line of a token counts; of the five embeddings none is for line 5.
    tokenizer = F5TTSTokenizer(write_vocabulary(tmp_path, " \na\nb\na\nc\nd\n"), mode="char")
    assert tokenizer.vocab_size == 5
    assert tokenizer("abcd").input_ids == [3, 2, 4, 0]
    tokenizer.save_pretrained(tmp_path / "saved")
    assert (tmp_path / "saved" / "vocab.txt").read_bytes() == b" \na\nb\na\nc\nd\n"


@pytest.mark.parametrize(
    ("text", "encoding", "message"),
    [
        ("a\n \n", "utf-8", "first line of vocab.txt is 'a' and not a single space"),
        ("", "utf-8", "first line of vocab.txt is ''"),
        ("\ufeff \na\n", "utf-8", "first line"),
        (" \né\n", "latin-1", "vocab.txt is no UTF-8 text"),
    ],
)
def test_other_files_are_no_vocabulary(tmp_path, text, encoding, message):
    with pytest.raises(CheckpointError, match=message):
        F5TTSTokenizer(write_vocabulary(tmp_path, text, encoding))


def test_wrong_arguments():
    with pytest.raises(InputError, match="`mode` is 'word'; choose one of 'pinyin', 'char', 'byte'"):
        F5TTSTokenizer(VOCABULARY, mode="word")
    with pytest.raises(InputError, match=r"`vocab_file` is None; `mode='char'` needs the vocab\.txt"):
        F5TTSTokenizer(mode="char")


# Saving and loading


def test_a_saved_tokenizer_is_loaded_as_it_was(tokenizer, tmp_path):
    texts = [row["text"] for row in GOLDEN] + AWKWARD
    loaded = tokenizer
    # Twice, because loading adds entries to the configuration.
    for name in ("once", "twice"):
        loaded.save_pretrained(tmp_path / name)
        loaded = F5TTSTokenizer.from_pretrained(tmp_path / name)
        assert loaded.mode == tokenizer.mode
        assert loaded.get_vocab() == tokenizer.get_vocab()
        assert loaded(texts).input_ids == tokenizer(texts).input_ids
        vocabulary = tmp_path / name / "vocab.txt"
        assert vocabulary.exists() == (tokenizer.mode != "byte")
        assert not vocabulary.exists() or vocabulary.read_bytes() == VOCABULARY.read_bytes()


def test_a_published_vocabulary_alone_is_a_pinyin_tokenizer(tmp_path):
    write_vocabulary(tmp_path, VOCABULARY.read_text(encoding="utf-8").replace("\n", "\r\n"))
    tokenizer = F5TTSTokenizer.from_pretrained(tmp_path)
    assert tokenizer.mode == "pinyin"
    assert tokenizer.get_vocab() == make_tokenizer("pinyin").get_vocab()


class TokenizerPipeline(DiffusionPipeline):
    def __init__(self, tokenizer: F5TTSTokenizer):
        super().__init__()
        self.register_modules(tokenizer=tokenizer)


def test_a_pipeline_loads_it_as_a_component(tokenizer, tmp_path):
    TokenizerPipeline(tokenizer).save_pretrained(tmp_path)
    index = json.loads((tmp_path / "model_index.json").read_text())
    assert index["tokenizer"] == ["deepaudio_diffusers", "F5TTSTokenizer"]
    loaded = TokenizerPipeline.from_pretrained(tmp_path).tokenizer
    assert (loaded.mode, loaded.get_vocab()) == (tokenizer.mode, tokenizer.get_vocab())


def test_only_pinyin_loads_the_dictionaries():
    code = (
        "import sys\n"
        "from deepaudio_diffusers import F5TTSTokenizer\n"
        "for mode in ('char', 'pinyin'):\n"
        f"    F5TTSTokenizer({str(VOCABULARY)!r}, mode=mode)('text')\n"
        "    print([name in sys.modules for name in ('rjieba', 'pypinyin')])\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines() == ["[False, False]", "[True, True]"]
