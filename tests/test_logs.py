"""Logs: one JSON line an event, at the level asked for."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from irrunner.errors import SettingsError
from irrunner.logs import configure_logs


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """Leave the process's logging as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    """Return the parsed lines."""
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_event_is_one_json_line_with_time_level_and_fields() -> None:
    """Machines read the logs; people read `show` and `timeline`."""
    stream = io.StringIO()
    configure_logs("info", stream=stream)
    structlog.get_logger("irrunner.engine").info("step.started", run_id="r1", step="isolate")
    (line,) = lines(stream)
    assert (line["event"], line["level"], line["run_id"]) == ("step.started", "info", "r1")
    assert str(line["at"]).endswith("Z")


def test_level_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A foreground run is quiet unless asked."""
    stream = io.StringIO()
    monkeypatch.delenv("IRRUNNER_LOG_LEVEL", raising=False)
    configure_logs(stream=stream)
    structlog.get_logger().info("quiet")
    monkeypatch.setenv("IRRUNNER_LOG_LEVEL", "INFO")
    configure_logs(stream=stream)
    structlog.get_logger().info("loud")
    assert [line["event"] for line in lines(stream)] == ["loud"]


def test_unknown_level_is_an_error() -> None:
    """A typing error in the level is said, not guessed."""
    with pytest.raises(SettingsError, match="loud"):
        configure_logs("LOUD")


def test_library_lines_take_the_same_way() -> None:
    """What the standard library's loggers write is JSON too; exceptions are text in a field."""
    stream = io.StringIO()
    configure_logs("warning", stream=stream)
    try:
        raise ValueError("boom")
    except ValueError:
        logging.getLogger("sqlalchemy").exception("lost %s", "it")
    (line,) = lines(stream)
    assert line["event"] == "lost it"
    assert "ValueError: boom" in str(line["exception"])


def test_libraries_that_write_whole_requests_stay_quiet_at_debug() -> None:
    """Botocore at debug prints signatures; our debug level does not bring that."""
    stream = io.StringIO()
    configure_logs("debug", stream=stream)
    logging.getLogger("botocore.auth").debug("CanonicalRequest")
    logging.getLogger("irrunner").debug("ours")
    assert [line["event"] for line in lines(stream)] == ["ours"]
