# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""The app in a real browser: what people click, see, hear and download.

`SCREENSHOTS=folder pytest tests/space/test_browser.py` keeps pictures of what was seen.
"""

import os
import re
import shutil
from pathlib import Path

import pytest

from deepaudio_diffusers.media import probe, read_audio
from tests.space.server import CLIP, VOICE, VOICE_TEXT


pytest.importorskip("playwright", reason="needs Playwright: `pip install '.[test]'`")
from playwright.sync_api import Page, expect, sync_playwright


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: `apt-get install chromium`")

QUIET = ("--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run")
# There is no sandbox in a sandbox, and no graphics card in a server.
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--autoplay-policy=no-user-gesture-required", *QUIET)
PATIENCE_IN_MS = 120_000
TAKE = ".stage:not(.empty)"


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser, request):
    """A new visitor's page. It has to stay without errors, and nothing may be asked of any other host."""
    context = browser.new_context(viewport={"width": 1360, "height": 900}, accept_downloads=True)
    page = context.new_page()
    page.set_default_timeout(PATIENCE_IN_MS)
    expect.set_options(timeout=PATIENCE_IN_MS)
    trouble = []
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("console", lambda message: trouble.append(message.text) if message.type == "error" else None)
    page.on("request", lambda sent: None if is_near(sent.url) else trouble.append(sent.url))
    yield page
    if folder := os.environ.get("SCREENSHOTS"):
        page.evaluate("scrollTo(0, 0)")
        page.screenshot(path=Path(folder) / f"{request.node.name}.png", full_page=True)
    context.close()
    assert trouble == []


def is_near(address: str) -> bool:
    return re.match(r"(http://(127\.0\.0\.1|localhost)[:/]|data:|blob:)", address) is not None


def open_app(page: Page, address: str) -> None:
    page.goto(address)
    expect(page.locator(".stage.empty")).to_be_visible()


def set_steps(page: Page, **steps: int) -> None:
    page.get_by_text("Advanced: seed, steps, guidance").click()
    for name, number in steps.items():
        box = page.get_by_label(f"number input for Steps of the {name}")
        box.fill(str(number))
        box.press("Tab")


def use_example(page: Page, name: str, has_clip: bool, has_voice: bool) -> None:
    page.get_by_role("button", name=name, exact=True).click()
    # The files of an example arrive after its texts.
    if has_clip:
        expect(page.get_by_text("0:00 / 0:04")).to_be_visible()
    if has_voice:
        expect(page.get_by_label("The words in that recording")).not_to_have_value("")
        expect(page.locator("time", has_text="0:03").first).to_be_visible()


def make(page: Page, button: str) -> None:
    page.get_by_role("button", name=button, exact=True).click()
    expect(page.locator(TAKE)).to_be_visible()


def play(page: Page) -> None:
    """Press play, and wait until what is heard and seen has moved on."""
    page.locator("#stage").get_by_role("button", name="Play", exact=True).click()
    page.wait_for_function("() => parseFloat(document.querySelector('.playhead').style.left) > 5")
    media = "document.querySelector('.picture') ?? document.querySelector('.sound')"
    assert page.evaluate(f"({media}).currentTime") > 0
    assert page.evaluate(f"({media}).error") is None


def download(page: Page, link: str, folder: Path) -> Path:
    with page.expect_download() as started:
        page.get_by_role("link", name=link, exact=True).click()
    path = folder / started.value.suggested_filename
    started.value.save_as(path)
    return path


def test_whole_soundtrack_of_uploads(page, tiny, tmp_path):
    open_app(page, tiny.address)
    page.locator("#clip input[type=file]").set_input_files(CLIP)
    expect(page.get_by_text("3.84 s · 64 x 64 · 25 frames a second · silent")).to_be_visible()
    page.get_by_label("What is to be heard").fill("drums")
    page.get_by_label("What is to be said").fill("Look at that.")
    page.locator("#voice input[type=file]").set_input_files(VOICE)
    page.get_by_label("The words in that recording").fill(VOICE_TEXT)
    set_steps(page, sound=2, speech=2)
    make(page, "Make the soundtrack")
    play(page)

    # All lanes are as wide as the clip is long, and the stems can be heard one by one.
    assert (
        len({round(box["width"]) for lane in page.locator(".lane:visible").all() if (box := lane.bounding_box())}) == 1
    )
    page.locator("#stage").get_by_role("button", name="Speech", exact=True).click()
    assert page.evaluate("document.querySelector('.picture').muted")
    assert probe(download(page, "Download video", tmp_path)).has_audio
    stems = [download(page, f"{stem} · WAV", tmp_path) for stem in ("Mix", "Ambience", "Speech")]
    assert [path.name for path in stems] == ["soundtrack.wav", "ambience.wav", "speech.wav"]
    assert {read_audio(path).samples.shape for path in stems} == {(1, round(3.84 * 24_000))}


@pytest.mark.parametrize(
    ("tab", "example", "button", "steps", "makes"),
    [
        ("Whole soundtrack", "A puppet and its drums", "Make the soundtrack", ("sound", "speech"), "soundtrack.mp4"),
        ("Foley", "Drums", "Make the sound", ("sound",), "foley.mp4"),
        ("Dubbing", "A puppet speaks", "Dub the clip", ("sound", "speech"), "dubbing.mp4"),
        ("Voice", "A new sentence", "Speak", ("speech",), "voice.wav"),
    ],
)
def test_examples_run_with_the_shipped_checkpoint(page, shipped, tmp_path, tab, example, button, steps, makes):
    open_app(page, shipped.address)
    page.get_by_role("tab", name=tab).click()
    use_example(page, example, has_clip=tab != "Voice", has_voice="speech" in steps)
    set_steps(page, **dict.fromkeys(steps, 4))
    make(page, button)
    expect(page.locator(".stage h2")).to_have_text(tab)
    play(page)
    path = download(page, "Speech · WAV" if tab == "Voice" else "Download video", tmp_path)
    assert path.name == makes
    assert read_audio(path).samples.std() > 1e-3


def test_instruction_shows_what_the_gate_chose(page, tiny):
    open_app(page, tiny.address)
    page.get_by_label("What shall happen with the clip?").press_sequentially("Only the rain, nobody speaks")
    rows = page.locator(".gate-row")
    expect(rows).to_have_count(4)
    shares = [int(text.removesuffix("%")) for text in page.locator(".gate-row b").all_inner_texts()]
    assert sum(shares) == pytest.approx(100, abs=2)
    page.get_by_role("button", name="Do it", exact=True).click()
    # Nothing was given yet, so it says what it understood and what it needs.
    expect(page.get_by_text(re.compile("I understood .*Still missing"))).to_be_visible()
    tab = page.get_by_role("tab", selected=True).inner_text().strip()
    # The bars may belong to a part of the text until the last letter was read.
    expect(page.locator(".gate-chosen span")).to_have_text(tab)


def test_a_clip_that_cannot_be_used_is_taken_out_again(page, tiny, tmp_path):
    (tmp_path / "noise.mp4").write_bytes(b"#EXTM3U\nfile:///etc/passwd\n")
    open_app(page, tiny.address)
    page.locator("#clip input[type=file]").set_input_files(tmp_path / "noise.mp4")
    expect(page.get_by_text("'noise.mp4' is a playlist")).to_be_visible()
    expect(page.locator("#clip input[type=file]")).to_be_attached()


def test_cancel_ends_the_work(page, shipped):
    open_app(page, shipped.address)
    use_example(page, "A puppet and its drums", has_clip=True, has_voice=True)
    set_steps(page, sound=50, speech=64)
    page.get_by_role("button", name="Make the soundtrack", exact=True).click()
    expect(page.get_by_text("Listening to the picture -")).to_be_visible()
    page.get_by_role("button", name="Cancel", exact=True).click()
    expect(page.get_by_text("Listening to the picture -")).to_be_hidden()
    expect(page.locator(".stage.empty")).to_be_visible()
    # And the networks are free for the next.
    for name in ("sound", "speech"):
        page.get_by_label(f"number input for Steps of the {name}").fill("1")
    make(page, "Make the soundtrack")
