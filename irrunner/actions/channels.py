"""The local port of notifications: apprise behind channel names, with text that cannot ping or format.

A channel's URL is a secret. It is resolved when a message is sent, held by nothing, and never logged.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from irrunner.actions.notify import SEND
from irrunner.errors import ActionError, InvalidCall, SettingsError
from irrunner.settings import Channel, SecretSource, Settings, resolve_secret

TITLE_CHARACTERS: Final = 200
BODY_CHARACTERS: Final = 4000
LOUD: Final = ("apprise", "urllib3.connectionpool")
"""Loggers that write URLs of webhooks, which hold their tokens."""

Deliver: TypeAlias = Callable[[str, str, str], str]
"""(URL, title, body) to a reason why not, empty where it was delivered."""

_INVISIBLE: Final = "\u200b"
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
_MEANING: Final = re.compile(r"(@(?=\w)|<(?=[!@#/a-zA-Z])|\](?=\()|`(?=`))")
"""A mention, a chat command or HTML tag, a link with another text, a code block."""


class Channels:
    """Takes ``notify:Send``; answers ``{"Sent": bool, "Reason": str}`` and raises for nobody's chat."""

    def __init__(
        self,
        channels: Mapping[str, Channel],
        source: SecretSource | None = None,
        deliver: Deliver | None = None,
    ) -> None:
        """Keep names and references, no secret.

        Args:
            channels: ``Settings.channels``.
            source: Reads secrets of AWS, for ``ssm:`` and ``secretsmanager:`` references.
            deliver: Sends one message; default: apprise.
        """
        self._channels = channels
        self._source = source
        self._deliver = deliver or deliver_by_apprise

    def call(self, operation: str, /, **params: Any) -> Mapping[str, Any]:
        """Send a message.

        Args:
            operation: ``notify:Send``.
            params: ``Channel``, ``Title`` and ``Body``.

        Raises:
            InvalidCall: If the operation is another.
        """
        if operation != SEND:
            raise InvalidCall(f"{operation} is no local operation", operation=operation)
        reason = self._send(params["Channel"], params["Title"], params["Body"])
        return {"Sent": not reason, "Reason": reason}

    def _send(self, name: str, title: str, body: str) -> str:
        channel = self._channels.get(name)
        if channel is None:
            return f"no channel {name!r}"
        try:
            url = resolve_secret(channel.url, self._source)
        except (SettingsError, ActionError) as problem:
            return str(problem)
        return self._deliver(
            url.get_secret_value(), plain(title, TITLE_CHARACTERS), plain(body, BODY_CHARACTERS)
        )


def send(settings: Settings, source: SecretSource | None = None, **params: Any) -> Mapping[str, Any]:
    """Send one message by the configured channels.

    Args:
        settings: Names the channels.
        source: Reads secrets of AWS, where a channel's reference needs it.
        params: ``Channel``, ``Title`` and ``Body``.

    Returns:
        ``{"Sent": bool, "Reason": str}``.
    """
    return Channels(settings.channels, source).call(SEND, **params)


def plain(text: str, limit: int) -> str:
    """Return text that says the same and does nothing: no mention, command, tag, masked link or control.

    Args:
        text: May be the attacker's (a tag, a user name).
        limit: Longest result, in characters.
    """
    start = _CONTROL.sub("", text[: 2 * limit])
    harmless = _MEANING.sub(rf"\1{_INVISIBLE}", start)
    return harmless if len(harmless) <= limit else f"{harmless[: limit - 1]}…"


def deliver_by_apprise(url: str, title: str, body: str) -> str:
    """Send by apprise; return why it was not delivered, empty where it was."""
    for name in LOUD:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    import apprise  # noqa: PLC0415 - half a second that only a notification pays

    service = apprise.Apprise()
    if not service.add(url):
        return "apprise does not understand the channel's URL"
    sent = service.notify(title=title, body=body or title, body_format=apprise.NotifyFormat.TEXT)
    return "" if sent else "the channel did not take the message"
