# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""The door of the app: what a request may ask for, and whose files it may name.

Gradio would hand a file to everybody who knows where it lies, fetch addresses that are given as input, and offer more
routes than this app has a use for. Here visitors are told apart by a cookie, which browsers and `gradio_client` send
by themselves, each file belongs to the visitor who brought it or for whom it was made, and what is not on the list of
routes does not exist.
"""

import json
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..errors import LimitExceededError
from .sessions import Sessions


COOKIE = "deepaudio_visitor"
SECRET = re.compile(r"[A-Za-z0-9_-]{43}")
FILE = "/gradio_api/file="
UPLOAD = "/gradio_api/upload"
UPLOAD_PROGRESS = "/gradio_api/upload_progress"
ROUTES = {
    "GET": re.compile(
        r"/|/config/?|/theme\.css|/favicon\.ico|/robots\.txt|/manifest\.json|/(?:static|assets|svelte)/.*"
        r"|/gradio_api/(?:file=.*|info/?|app_id|startup-events|theme\.css|upload_progress|heartbeat/[^/]+|queue/(?:data|status)"
        r"|call/[^/]+/[^/]+)"
    ),
    "POST": re.compile(r"/gradio_api/(?:upload|queue/join|cancel|reset|call/[^/]+|run/[^/]+)"),
}
# Texts and numbers only; files are uploaded.
MAX_BODY_BYTES = 2**18
# Beside the file, an upload has boundaries and a name.
UPLOAD_OVERHEAD_BYTES = 2**14
MAX_NAME_LENGTH = 80
# Nothing is loaded from elsewhere and nothing sent there, whatever the page's own libraries would like to.
POLICY = (
    "default-src 'self' data: blob:; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; object-src 'none'; base-uri 'self'; form-action 'self'"
)


class Door:
    """ASGI middleware that lets in what the app needs, and nothing else.

    Args:
        app (`ASGIApp`): Gradio's application.
        sessions ([`Sessions`]): The visitors and their files.
    """

    def __init__(self, app: ASGIApp, sessions: Sessions) -> None:
        self.app = app
        self.sessions = sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            # No part of the app speaks through web sockets.
            await send({"type": "websocket.close"})
            return
        request = Request(scope, receive)
        secret = secret_of(request)
        refusal, receive = await self._judge(request, secret, receive)
        is_new = secret is None
        secret = secret or secrets.token_urlsafe(32)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Content-Security-Policy"] = POLICY
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Referrer-Policy"] = "no-referrer"
                if request.url.path.startswith(FILE):
                    headers["Cache-Control"] = "private, no-store"
                if is_new:
                    headers.append("Set-Cookie", _cookie(secret, request))
            await send(message)

        if refusal is not None:
            await refusal(scope, receive, send_with_headers)
        elif is_new:
            # Somebody of whom nobody knows whether they come back: without files, and not to be waited for.
            await self.app(scope, receive, send_with_headers)
        else:
            with self.sessions.present(secret):
                await self.app(scope, receive, send_with_headers)

    async def _judge(self, request: Request, secret: str | None, receive: Receive) -> tuple[Response | None, Receive]:
        """Why the request is not let in, if it is not; and how its body is received from here on."""
        path = request.scope["path"]
        method = "GET" if request.method == "HEAD" else request.method
        if method not in ROUTES or not ROUTES[method].fullmatch(path) or "deep_link" in request.query_params:
            return PlainTextResponse("Not found.", 404), receive
        if path.startswith(FILE):
            if secret is None or not self.sessions.may_read(secret, path.removeprefix(FILE)):
                return PlainTextResponse("Not found.", 404), receive
        elif path == UPLOAD:
            if secret is None:
                return PlainTextResponse("Allow cookies for this page, or open it in a tab of its own.", 403), receive
        elif method == "POST":
            return await self._judge_body(request, secret)
        return None, receive

    async def _judge_body(self, request: Request, secret: str | None) -> tuple[Response | None, Receive]:
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                return PlainTextResponse("The request is too long.", 413), request.receive
        try:
            data = json.loads(body)
            paths = list(_paths_in(data))
        except (ValueError, RecursionError):
            return PlainTextResponse("The request is no JSON.", 400), request.receive
        if not all(secret is not None and self.sessions.may_read(secret, path) for path in paths):
            message = "Only files that you uploaded here can be used, and they vanish after you left. Upload again."
            return JSONResponse({"detail": message, "error": message}, 403), request.receive

        is_sent = False

        async def replay() -> Message:
            nonlocal is_sent
            if is_sent:
                return await request.receive()
            is_sent = True
            return {"type": "http.request", "body": body, "more_body": False}

        return None, replay


def upload_routes(sessions: Sessions, max_bytes: int) -> list[Route]:
    """Where uploads go, instead of to Gradio: into the folder of the visitor, one file at a time.

    Args:
        sessions ([`Sessions`]): The visitors and their files.
        max_bytes (`int`): The largest file that is accepted.
    """

    async def upload(request: Request) -> Response:
        length = request.headers.get("Content-Length", "")
        if not length.isdecimal():
            return PlainTextResponse("Say how long the upload is.", 411)
        if int(length) > max_bytes + UPLOAD_OVERHEAD_BYTES:
            return PlainTextResponse(f"The file is too large; the limit is {max_bytes // 2**20} MB.", 413)
        async with request.form(max_files=1, max_fields=0) as form:
            file = form.get("files")
            if file is None:
                return PlainTextResponse("Upload one file.", 400)
            try:
                path = sessions.new_folder(secret_of(request)) / safe_name(file.filename)
            except LimitExceededError as error:
                return PlainTextResponse(str(error), 507)
            with open(path, "wb") as new:
                while chunk := await file.read(2**20):
                    new.write(chunk)
        return JSONResponse([str(path)])

    async def progress(request: Request) -> Response:
        # The page asks how far the upload is, and is content to hear that there is nothing to wait for.
        return Response('data: {"msg": "done"}\n\n', media_type="text/event-stream")

    return [Route(UPLOAD, upload, methods=["POST"]), Route(UPLOAD_PROGRESS, progress)]


def secret_of(request: Any) -> str | None:
    """What tells a visitor from all others; `None` if the request has no valid cookie."""
    secret = dict(request.cookies).get(COOKIE, "")
    return secret if SECRET.fullmatch(secret) else None


def safe_name(name: str | None) -> str:
    """A file name in which nothing is left but letters, digits, dots, hyphens and underscores; the ending is kept."""
    name = re.sub(r"[^\w.-]+", "_", Path((name or "").replace("\\", "/")).name).lstrip(".")
    stem, dot, ending = name.rpartition(".")
    return f"{stem[:MAX_NAME_LENGTH]}{dot}{ending[:8]}" if stem else name[:MAX_NAME_LENGTH] or "file"


def _cookie(secret: str, request: Request) -> str:
    # A Space lies in a frame of another site, where only such cookies are sent; they need encryption.
    is_encrypted = request.headers.get("X-Forwarded-Proto", request.url.scheme) == "https"
    return f"{COOKIE}={secret}; Path=/; HttpOnly; " + (
        "SameSite=None; Secure; Partitioned" if is_encrypted else "SameSite=Lax"
    )


def _paths_in(data: Any) -> Iterator[str]:
    """All that Gradio would take for a file in the body of a request."""
    if isinstance(data, dict):
        if isinstance(data.get("path"), str):
            yield data["path"]
        data = list(data.values())
    if isinstance(data, list):
        for item in data:
            yield from _paths_in(item)
