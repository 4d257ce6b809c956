# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Docstrings of public names say what goes in, what comes out, and what is raised."""

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator

import pytest

import deepaudio_diffusers


# A method that passes on or checks the arguments of another may refer to it.
SAME_ARGUMENTS = "The arguments are those of ["


def documented(name: str) -> Iterator[tuple[str, Callable, str]]:
    """What has arguments in a public class: its constructor, documented with the class, and its public methods."""
    public = getattr(deepaudio_diffusers, name)
    assert inspect.isclass(public)
    if public.__init__.__qualname__.startswith(public.__name__):
        yield "__init__", public.__init__, f"{public.__doc__}\n{public.__init__.__doc__ or ''}"
    for attribute, value in vars(public).items():
        method = getattr(value, "__func__", value)
        if inspect.isfunction(method) and (attribute == "__call__" or not attribute.startswith("_")):
            yield attribute, inspect.unwrap(method), method.__doc__ or ""


def raises(function: Callable) -> bool:
    if function.__qualname__.endswith("__init__") and "<string>" in function.__code__.co_filename:
        return False  # Of a dataclass; nobody wrote it.
    source = textwrap.dedent(inspect.getsource(function))
    return any(isinstance(node, ast.Raise) for node in ast.walk(ast.parse(source)))


def gaps_of(function: Callable, docstring: str) -> Iterator[str]:
    signature = inspect.signature(function)
    arguments = [argument for argument in signature.parameters if argument not in ("self", "cls")]
    if arguments and SAME_ARGUMENTS not in docstring:
        if "Args:" not in docstring:
            yield "no Args"
        yield from (f"no word of {argument}" for argument in arguments if argument not in docstring)
    returns_something = signature.return_annotation not in (None, inspect.Signature.empty)
    if arguments and returns_something and "Returns:" not in docstring:
        yield "no Returns"
    if raises(function) and "Raises:" not in docstring:
        yield "no Raises"


@pytest.mark.parametrize("name", deepaudio_diffusers.__all__)
def test_public_names_are_documented(name):
    assert inspect.getdoc(getattr(deepaudio_diffusers, name))
    gaps = {f"{method}: {gap}" for method, *rest in documented(name) for gap in gaps_of(*rest)}
    assert gaps == set()


def test_gaps_are_found():
    def scale(audio, factor) -> float:
        if factor == 0:
            raise ValueError
        return audio * factor

    expected = ["no Args", "no word of audio", "no word of factor", "no Returns", "no Raises"]
    assert list(gaps_of(scale, "Make it louder.")) == expected
    assert list(gaps_of(scale, "Args:\n audio: It.\n factor: How.\nReturns:\n It.\nRaises:\n ValueError")) == []
