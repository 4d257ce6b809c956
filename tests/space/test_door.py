# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""What the app does not do: read, fetch, keep or tell what it should not."""

import http.server
import json
import threading
import time
from contextlib import closing
from pathlib import Path

import httpx
import numpy as np
import pytest

from deepaudio_diffusers.media.encode import encode_video
from tests.space.server import (
    CLIP,
    KEEP_IN_S,
    MAX_CLIP_SECONDS,
    MAX_UPLOAD_MB,
    VOICE,
    address_of,
    running,
    upload,
)


FOLEY = {"prompt": "rain", "negative_prompt": "", "length_in_s": 1, "seed": 1, "steps": 1, "guidance": 2}


def file_data(path: str) -> dict:
    """What Gradio takes for a file."""
    return {"path": path, "meta": {"_type": "gradio.FileData"}}


def call(visitor: httpx.Client, name: str, data: list) -> tuple[int, str]:
    """Call an endpoint as a program without `gradio_client` does: its status, and the last event."""
    response = visitor.post(f"/gradio_api/call/{name}", json={"data": data})
    if response.status_code != 200:
        return response.status_code, response.text
    events = visitor.get(f"/gradio_api/call/{name}/{response.json()['event_id']}").text
    return 200, events.strip().rpartition("\n\n")[2]


def make_foley(visitor: httpx.Client, clip: dict | None) -> tuple[int, str]:
    return call(visitor, "foley", [clip, *FOLEY.values()])


def files_of(event: str) -> list[str]:
    assert event.startswith("event: complete"), event
    return [
        item["path"] for item in json.loads(event.partition("data: ")[2]) if isinstance(item, dict) and "path" in item
    ]


@pytest.fixture
def visitor(tiny):
    with closing(tiny.visitor()) as visitor:
        yield visitor


@pytest.fixture
def stranger(tiny):
    with closing(tiny.visitor()) as stranger:
        yield stranger


def test_files_of_a_visitor_are_nobody_elses(tiny, visitor, stranger):
    uploaded = upload(visitor, "clip.mp4", CLIP.read_bytes()).json()[0]
    status, event = make_foley(visitor, None)
    assert status == 200
    for path in [uploaded, *files_of(event)]:
        assert visitor.get(address_of(path)).status_code == 200
        assert stranger.get(address_of(path)).status_code == 404
        assert httpx.get(tiny.address + address_of(path)).status_code == 404
        # Nor can a stranger have it read by the app.
        status, answer = make_foley(stranger, file_data(path))
        assert status == 403
        assert path not in answer


def test_two_visitors_with_the_same_file_do_not_share_it(visitor, stranger):
    paths = [upload(each, "clip.mp4", CLIP.read_bytes()).json()[0] for each in (visitor, stranger)]
    assert paths[0] != paths[1]


def test_a_visitor_without_a_cookie_gets_no_files(tiny):
    assert httpx.post(tiny.address + "/gradio_api/upload", files={"files": ("a.mp4", b"x")}).status_code == 403


def test_the_cookie_is_kept_from_scripts_and_works_in_a_frame(tiny):
    assert "HttpOnly; SameSite=Lax" in httpx.get(tiny.address).headers["Set-Cookie"]
    behind_proxy = httpx.get(tiny.address, headers={"X-Forwarded-Proto": "https"}).headers["Set-Cookie"]
    assert "HttpOnly; SameSite=None; Secure; Partitioned" in behind_proxy


@pytest.fixture
def web():
    """A server that counts who asks it for something."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_error(404)

        do_HEAD = do_GET

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/clip.mp4", asked
    server.shutdown()
    server.server_close()


def test_no_paths_and_no_addresses_as_input(visitor, web):
    address, asked = web
    own = upload(visitor, "clip.mp4", CLIP.read_bytes()).json()[0]
    app = Path(own).parents[2]
    for path in (
        "/etc/passwd",
        "/proc/self/environ",
        str(VOICE),
        "spaces_app.py",
        f"{own}/../../../../../../etc/passwd",
        f"{own}\0.mp4",
        f"/{'x' * 5000}",
        str(app),
        address,
        "https://huggingface.co/robots.txt",
        f"file://{own}",
        f"concat:{own}",
        "",
    ):
        assert make_foley(visitor, file_data(path))[0] == 403, path
        assert make_foley(visitor, {"path": path})[0] == 403, path
        assert visitor.get(address_of(path)).status_code == 404, path
    # Text is no file either.
    assert make_foley(visitor, str(VOICE))[1].startswith("event: error")
    assert asked == []


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/proxy=https://huggingface.co/",
        "/gradio_api/file/etc/passwd",
        "/gradio_api/custom_component/x/client/component/index.js",
        "/gradio_api/deep_link?session_hash=x",
        "/?deep_link=x",
        "/gradio_api/runs",
        "/gradio_api/run-history/buckets",
        "/gradio_api/vibe-code/",
        "/gradio_api/stream/x/0/1/playlist.m3u8",
        "/monitoring",
        "/docs",
        "/openapi.json",
        "/nothing",
    ],
)
def test_routes_that_the_app_does_not_need_do_not_exist(visitor, path):
    assert visitor.get(path).status_code == 404


@pytest.mark.parametrize("path", ["component_server", "process_recording", "vibe-edit/", "stream/x", "login"])
def test_nothing_else_takes_data(visitor, path):
    assert visitor.post(f"/gradio_api/{path}", json={}).status_code == 404
    assert visitor.put("/gradio_api/upload").status_code == 404


def test_uploads_have_limits(visitor):
    assert upload(visitor, "large.mp4", bytes(MAX_UPLOAD_MB * 2**20 + 2**15)).status_code == 413
    unknown = visitor.post(
        "/gradio_api/upload", content=iter([b"x" * 100]), headers={"Content-Type": "multipart/form-data; boundary=x"}
    )
    assert unknown.status_code == 411
    two = [("files", ("a.mp4", b"x")), ("files", ("b.mp4", b"x"))]
    assert visitor.post("/gradio_api/upload", files=two).status_code == 400
    assert visitor.post("/gradio_api/upload", json={}).status_code == 400
    assert visitor.post("/gradio_api/call/foley", content=b"[" * 100_000).status_code == 400
    assert visitor.post("/gradio_api/call/foley", json={"data": ["x" * 2**19]}).status_code == 413


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../../etc/cron.d/evil.mp4", "evil.mp4"),
        ("..\\..\\evil.mp4", "evil.mp4"),
        ("<img src=x onerror=alert(1)>.mp4", "_img_src_x_onerror_alert_1_.mp4"),
        ("-i; rm -rf $(id).mp4", "-i_rm_-rf_id_.mp4"),
        (".bashrc", "bashrc"),
        ("x" * 300 + ".mp4", "x" * 80 + ".mp4"),
    ],
    ids=["folders", "backslashes", "html", "shell", "hidden", "long"],
)
def test_names_of_uploads_are_made_harmless(visitor, name, kept):
    assert Path(upload(visitor, name, b"x").json()[0]).name == kept


def too_long() -> bytes:
    return encode_video(np.zeros((MAX_CLIP_SECONDS + 1, 16, 16, 3), np.uint8), 1)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("playlist.mp4", b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"),
        ("concat.mp4", b"ffconcat version 1.0\nfile /etc/passwd\n"),
        ("page.mp4", b"<!doctype html><script>alert(1)</script>"),
        ("drawing.svg", b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>'),
        ("program.mp4", b"\x7fELF" + bytes(1000)),
        ("noise.mp4", np.random.default_rng(0).bytes(50_000)),
        ("cut.mp4", CLIP.read_bytes()[:3000]),
        ("sound.mp4", VOICE.read_bytes()),
        ("long.mp4", too_long()),
        ("empty.mp4", b""),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_hostile_files_are_refused_in_words_for_people(tiny, visitor, name, content):
    num_lines = len(tiny.log)
    path = upload(visitor, name, content).json()[0]
    status, event = make_foley(visitor, file_data(path))
    assert status == 200
    assert event.startswith("event: error")
    message = json.loads(event.partition("data: ")[2])["error"]
    assert name in message
    for secret in (str(Path(path).parent), "Traceback", "site-packages", "MediaFile", "Limits("):
        assert secret not in message
    assert not [line for line in tiny.log[num_lines:] if "Traceback" in line]
    # The next one is served.
    assert make_foley(visitor, None)[1].startswith("event: complete")


def test_a_take_that_failed_leaves_no_files(visitor):
    path = Path(upload(visitor, "noise.mp4", bytes(1000)).json()[0])
    assert make_foley(visitor, file_data(str(path)))[1].startswith("event: error")
    assert [folder.name for folder in path.parents[1].iterdir()] == [path.parent.name]


def test_files_vanish_when_their_visitor_leaves_and_when_the_app_is_stopped(space):
    with running(space, "--keep-seconds", str(KEEP_IN_S)) as server:
        server.wait()
        with closing(server.visitor()) as leaving, closing(server.visitor()) as staying:
            path, other = (Path(upload(each, "clip.mp4", CLIP.read_bytes()).json()[0]) for each in (leaving, staying))
            # As the page and `gradio_client` do as long as they are open.
            with staying.stream("GET", "/gradio_api/heartbeat/0123456789") as heartbeat:
                beats = heartbeat.iter_bytes()
                next(beats)
                deadline = time.monotonic() + 10 * KEEP_IN_S
                while path.parents[1].exists():
                    assert time.monotonic() < deadline
                    time.sleep(0.2)
                assert other.is_file()
    assert not other.parents[2].exists()
