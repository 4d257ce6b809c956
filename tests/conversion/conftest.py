# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""What conversions read: the published files, in tiny, in folders and on a Hub on this machine."""

import base64
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from huggingface_hub import constants

from tests.conversion.published import write_gate, write_published_files, write_published_speech_files


@pytest.fixture(scope="session")
def published(tmp_path_factory):
    """The published files; not to be changed."""
    return write_published_files(tmp_path_factory.mktemp("published"))


@pytest.fixture(scope="session")
def speech_files(tmp_path_factory):
    """The published files of all speech networks; not to be changed."""
    return write_published_speech_files(tmp_path_factory.mktemp("speech"))


@pytest.fixture(scope="session")
def gate(tmp_path_factory):
    """A trained gate; not to be changed."""
    return write_gate(tmp_path_factory.mktemp("gates") / "my-gate")


class _Hub(BaseHTTPRequestHandler):
    """The few answers of the Hub that downloading and uploading need. `server.files`: path after the host -> file."""

    def log_message(self, *args):
        pass

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        if self.path == "/api/whoami-v2":
            known = self.headers.get("Authorization") == "Bearer hf_known"
            self.answer(*((200, {"name": "me"}) if known else (401, {"error": "Invalid token"})))
        elif self.path in self.server.files:
            content = self.server.files[self.path].read_bytes()
            self.answer(200, content, {"ETag": f'"{hashlib.sha1(content).hexdigest()}"', "X-Repo-Commit": "a" * 40})
        else:
            self.answer(404, {"error": "not found"}, {"X-Error-Code": "EntryNotFound"})

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/api/repos/create":
            self.server.created.append(json.loads(body))
            self.answer(200, {"url": f"{constants.ENDPOINT}/me/tiny"})
        elif self.path.endswith("/preupload/main"):
            names = [file["path"] for file in json.loads(body)["files"]]
            files = [{"path": name, "uploadMode": "regular", "shouldIgnore": False} for name in names]
            self.answer(200, {"files": files})
        elif self.path == "/api/models/me/tiny/commit/main":
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    self.server.uploaded[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            commit_url = f"{constants.ENDPOINT}/me/tiny/commit/b"
            self.answer(200, {"commitOid": "b" * 40, "commitUrl": commit_url, "success": True})
        elif self.path == "/api/validate-yaml":
            self.answer(200, {"errors": [], "warnings": []})
        else:
            self.answer(403, {"error": "Forbidden"})

    def answer(self, status, content, headers=None):
        content = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


SPEECH_REPOS = {
    "F5-TTS": "SWivid/F5-TTS",
    "DeepAudio-V1": "lshzhm/DeepAudio-V1",
    "vocos-mel-24khz": "charactr/vocos-mel-24khz",
}


@pytest.fixture
def hub(published, speech_files, tmp_path_factory, monkeypatch):
    """A Hub on this machine that has the published files in their repositories."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Hub)
    mmaudio, clip = "/hkchengrex/MMAudio/resolve/main", "/apple/DFN5B-CLIP-ViT-H-14-384/resolve/main"
    server.files = {
        **{f"{mmaudio}/{path.relative_to(published)}": path for path in published.glob("*weights/*")},
        **{f"{clip}/{path.name}": path for path in (published / "clip").iterdir()},
    }
    for folder, repo_id in SPEECH_REPOS.items():
        paths = (path for path in (speech_files / folder).rglob("*") if path.is_file())
        server.files |= {f"/{repo_id}/resolve/main/{path.relative_to(speech_files / folder)}": path for path in paths}
    server.created, server.uploaded = [], {}
    endpoint = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    )
    cache = tmp_path_factory.mktemp("hub")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(cache / "token"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()
