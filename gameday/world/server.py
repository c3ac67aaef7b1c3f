"""The world as an HTTP server on the loopback interface: AWS, and the world's own routes under ``/world``."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final
from urllib.parse import parse_qs

from pydantic import ValidationError
from werkzeug.serving import BaseWSGIServer, make_server

from gameday.world import seam
from gameday.world.dispatch import ConnectionLost, Dispatch
from gameday.world.protocol import Environ, take_body
from gameday.world.refusals import Reply

Route = Callable[[Mapping[str, list[str]], Any], Any]
"""Takes the query and the JSON body, returns what is answered as JSON."""

_REASONS: Final = {200: "OK", 400: "Bad Request", 403: "Forbidden", 404: "Not Found"}


class QuietRequests(seam.MotoRequestHandler):
    """Logs nothing: the call log is the world's."""

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - werkzeug's signature
        """Log nothing."""


class Application:
    """The WSGI application."""

    def __init__(self, dispatch: Dispatch, routes: Mapping[tuple[str, str], Route]) -> None:
        self._dispatch = dispatch
        self._routes = routes

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one HTTP request."""
        if environ["PATH_INFO"].startswith("/world/"):
            reply = self._own(environ)
        else:
            try:
                reply = self._dispatch(environ)
            except ConnectionLost:
                _hang_up(environ)
                raise
        head = environ["REQUEST_METHOD"] == "HEAD"
        said = next((value for name, value in reply.headers if name.lower() == "content-length"), "0")
        length = said if head and not reply.body else str(len(reply.body))
        headers = [(name, value) for name, value in reply.headers if name.lower() != "content-length"]
        headers.append(("Content-Length", length))
        start_response(f"{reply.status} {_REASONS.get(reply.status, 'Status')}", headers)
        return [] if head else [reply.body]

    def _own(self, environ: Environ) -> Reply:
        route = self._routes.get((environ["REQUEST_METHOD"], environ["PATH_INFO"]))
        if route is None:
            return _json(404, {"error": "no such route"})
        try:
            body = json.loads(take_body(environ) or b"null")
            return _json(200, route(parse_qs(environ.get("QUERY_STRING", "")), body))
        except ValidationError as problem:
            return _json(400, {"error": "; ".join(_told(error) for error in problem.errors())})
        except (ValueError, KeyError, TypeError) as problem:
            return _json(400, {"error": f"{type(problem).__name__}: {problem}"})


def _told(error: Any) -> str:
    where = ".".join(str(part) for part in error["loc"])
    what = str(error["msg"]).removeprefix("Value error, ")
    return f"{where}: {what}" if where else what


class Server:
    """A threaded HTTP server around an application."""

    def __init__(self, application: Application, port: int = 0) -> None:
        self._server: BaseWSGIServer = make_server(
            "127.0.0.1", port, application, threaded=True, request_handler=QuietRequests
        )
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.01,), daemon=True, name="world"
        )

    @property
    def url(self) -> str:
        """Return the endpoint URL."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Stop answering and free the port."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _hang_up(environ: Environ) -> None:
    connection = environ.get("werkzeug.socket")
    if connection is not None:
        connection.shutdown(socket.SHUT_RDWR)


def _json(status: int, value: Any) -> Reply:
    body = json.dumps(value, sort_keys=True, default=str).encode()
    return Reply(status, body, (("Content-Type", "application/json"),))
