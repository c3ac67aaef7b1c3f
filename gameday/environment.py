"""The environment of the simulation: none of the caller's AWS configuration may reach it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

_OURS: Final = ("AWS_", "IRRUNNER_")
_NOWHERE: Final[Mapping[str, str]] = MappingProxyType({
    "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
})  # fmt: skip


@contextlib.contextmanager
def secluded() -> Iterator[None]:
    """Take every AWS and irrunner variable away until the block ends; what it sets itself goes, too.

    The simulator makes clients already when it is imported: with a profile of the caller's that does not
    exist, even that would fail.
    """
    kept = {name: value for name, value in os.environ.items() if name.startswith(_OURS)}
    _clear()
    os.environ.update(_NOWHERE)
    try:
        yield
    finally:
        _clear()
        os.environ.update(kept)


def _clear() -> None:
    for name in [name for name in os.environ if name.startswith(_OURS)]:
        del os.environ[name]
