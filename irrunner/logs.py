"""Logs: JSON lines on stderr, without credentials. Called once, at the process edge.

``IRRUNNER_LOG_LEVEL`` sets the level (``warning`` unless set). Lines of the standard library's loggers
(botocore, SQLAlchemy ...) take the same way, so nothing goes around the redaction.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import TYPE_CHECKING, Any, TextIO

from irrunner.aws.redact import Redactor
from irrunner.errors import SettingsError

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor

LEVELS = ("debug", "info", "warning", "error", "critical")
QUIET = ("botocore", "boto3", "urllib3", "s3transfer")
"""Below ``info`` these write whole requests, with signatures and secrets."""


def configure_logs(
    level: str | None = None, *, stream: TextIO | None = None, redactor: Redactor | None = None
) -> None:
    """Send structlog and the standard library's loggers to one stream, as redacted JSON lines.

    Args:
        level: One of ``LEVELS``; default ``IRRUNNER_LOG_LEVEL``, else ``warning``.
        stream: Default stderr.
        redactor: Share it with ``BotoCloud``, so that its credentials are known here.

    Raises:
        SettingsError: If the level is unknown.
    """
    import structlog  # noqa: PLC0415 - 100 ms that `irrunner --version` must not pay

    name = (level or os.environ.get("IRRUNNER_LOG_LEVEL") or "warning").lower()
    if name not in LEVELS:
        raise SettingsError(
            f"no log level {name!r}", hint=f"IRRUNNER_LOG_LEVEL is one of {', '.join(LEVELS)}"
        )
    number = logging.getLevelNamesMapping()[name.upper()]
    shared = _shared_processors()
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            redaction(redactor or Redactor()),
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
    )
    _install(formatter, number, stream or sys.stderr)


def redaction(redactor: Redactor) -> Processor:
    """Return the processor that removes credentials from every field of a line."""

    def redact(_logger: Any, _method: str, event: EventDict) -> EventDict:
        return dict(redactor.value(event))

    return redact


def _shared_processors() -> list[Processor]:
    import structlog  # noqa: PLC0415 - as above

    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
    ]


def _install(formatter: logging.Formatter, level: int, stream: TextIO) -> None:
    sink = logging.StreamHandler(stream)
    sink.setFormatter(formatter)
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(sink)
    root.setLevel(level)
    for name in QUIET:
        logging.getLogger(name).setLevel(max(level, logging.INFO))
