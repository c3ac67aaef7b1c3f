"""Answers in pages, small ones, so that whoever forgets pages fails a drill."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

SIZE: Final = 2


def page(
    name: str, items: Sequence[Any], given: Any, *, following: str = "nextToken", size: int = SIZE
) -> Mapping[str, Any]:
    """Return one page of a list, and where the next one begins, if there is one.

    Args:
        name: Of the list in the answer.
        items: All of them.
        given: The token of the request, if it has one.
        following: Name of the token in the answer.
        size: Items of a page.
    """
    start = int(given or 0)
    more = {following: str(start + size)} if start + size < len(items) else {}
    return {name: list(items[start : start + size]), **more}
