"""Trackers that listen on loopback: a Jira of one project, and a receiver of signed webhooks."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, ClassVar

LABEL = re.compile(r'labels = "([^"]*)"')


class Listener:
    """An HTTP server of a test, that can be down, redirect, or lose its answers."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        self.status = 0
        """What it answers instead of working; 0: it works."""
        self.loses = ""
        """Path whose next POST takes effect and gets no answer."""
        self.url = ""

    def work(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        """Do it, and return status and answer."""
        raise NotImplementedError

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Serve on a free port of the loopback interface."""
        server = HTTPServer(("127.0.0.1", 0), _handler(self))
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        self.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


class FakeJira(Listener):
    """Jira's REST API v2, as far as it is used."""

    def __init__(self, search: str = "/rest/api/2/search/jql") -> None:
        super().__init__()
        self.search = search
        self.issues: dict[str, dict[str, Any]] = {}

    def work(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        """Answer as Jira does."""
        said = json.loads(body) if body else {}
        plain, _, _ = path.partition("?")
        if plain == self.search and method == "POST":
            wanted = LABEL.search(said["jql"])
            assert wanted is not None
            found = [
                {"key": key} for key, each in self.issues.items() if wanted[1] in each["fields"]["labels"]
            ]
            return 200, {"issues": found}
        if plain == "/rest/api/2/issue" and method == "POST":
            key = f"SEC-{len(self.issues) + 1}"
            self.issues[key] = {"fields": said["fields"], "comments": [], "done": False}
            return 201, {"id": "1", "key": key}
        parts = plain.removeprefix("/rest/api/2/issue/").split("/")
        if parts[0] not in self.issues:
            return 404, {"errorMessages": ["Issue does not exist"]}
        return self._issue(self.issues[parts[0]], method, parts[1:], said)

    def _issue(self, issue: dict[str, Any], method: str, parts: list[str], said: Any) -> tuple[int, Any]:
        category = {"statusCategory": {"key": "done" if issue["done"] else "new"}}
        if not parts:
            return 200, {"fields": {"status": category}}
        if parts == ["comment"]:
            if method == "GET":
                return 200, {"comments": [{"body": text} for text in issue["comments"]]}
            issue["comments"].append(said["body"])
            return 201, {}
        if method == "GET":
            done = {"id": "31", "name": "Done", "to": {"statusCategory": {"key": "done"}}}
            begun = {"id": "11", "name": "Begin", "to": {"statusCategory": {"key": "indeterminate"}}}
            return 200, {"transitions": [begun, done]}
        issue["done"] = said["transition"]["id"] == "31"
        return 204, None


class FakeReceiver(Listener):
    """Receives webhooks, each key once."""

    def __init__(self) -> None:
        super().__init__()
        self.done: dict[str, dict[str, Any]] = {}

    def work(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        """Do what was not done yet."""
        headers = self.requests[-1][2]
        self.done.setdefault(headers.get("Irrunner-Idempotency-Key", "chat"), json.loads(body))
        return 200, {"reference": "INC0012", "url": "https://tickets.example.com/INC0012"}


@contextmanager
def trickling(told: bytes) -> Iterator[str]:
    """Yield the address of a server that begins its answer so, and goes on a byte at a time."""
    over = threading.Event()

    def trickle(line: socket.socket) -> None:
        with line, contextlib.suppress(OSError):
            line.recv(65_536)
            line.sendall(told)
            while not over.wait(0.05):
                line.sendall(b" ")

    def listen() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=trickle, args=server.accept()[:1], daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=listen, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}"
        finally:
            over.set()
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)


def _handler(listener: Listener) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        owner: ClassVar[Listener] = listener

        def do_GET(self) -> None:
            self._answer("GET")

        def do_POST(self) -> None:
            self._answer("POST")

        def _answer(self, method: str) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            own = self.owner
            own.requests.append((method, self.path, dict(self.headers), body))
            status, told = (own.status, {"errorMessages": ["no"]}) if own.status else own.work(
                method, self.path, body
            )  # fmt: skip
            if own.loses == self.path and method == "POST":
                own.loses = ""
                self.close_connection = True
                self.connection.close()
                return
            content = b"" if told is None else json.dumps(told).encode()
            self.send_response(status)
            if status in range(300, 400):
                self.send_header("Location", "http://127.0.0.2/elsewhere")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Be silent."""

        def handle_one_request(self) -> None:
            try:
                super().handle_one_request()
            except (OSError, ValueError):  # the connection that we closed
                self.close_connection = True

    return Handler
