from __future__ import annotations

import json

import pytest

from irrunner.errors import FindingMalformed
from irrunner.findings.reading import MAX_BYTES, plain, read_event


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the event is empty"),
        (b" \n", "the event is empty"),
        (b'{"detail": {"type": "Back', "at line 1, column 21"),
        (b'{\n "a": 1,\n}', "at line 3, column 1"),
        (b"/tmp/event.json", "at line 1, column 1"),
        (b"\xff\xfe\xfd", "the event is no text"),
        (b"x" * (MAX_BYTES + 1), "too large"),
        (b"[" * 100_000, "cannot be read"),
        (b'{"a":' * 70 + b"1" + b"}" * 70, "nests deeper than 64"),
        (b"9" * 5000, "cannot be read"),
    ],
)
def test_what_is_no_event_is_one_clear_error(data: bytes, message: str) -> None:
    """Empty, cut, too large, too deep or binary input says what is wrong, where, and what to do."""
    with pytest.raises(FindingMalformed, match=message) as caught:
        read_event(data)

    assert caught.value.hint


def test_odd_but_legal_json_survives() -> None:
    """Lone surrogates, NaN, infinity, huge integers and duplicate keys are read and can be written again."""
    data = r'{"a": "\ud800x", "b": NaN, "c": -Infinity, "d": 1e999, "e": 1, "e": 2, "f": ' + "9" * 400 + "}"

    found = read_event(data)

    assert found == {"a": "\ufffdx", "b": "NaN", "c": "-Infinity", "d": "Infinity", "e": 2, "f": "Infinity"}
    json.dumps(found, allow_nan=False).encode()


def test_json_lines_are_a_list() -> None:
    """An S3 export has one finding a line."""
    assert read_event(b'{"a": 1}\n\n{"a": 2}\n') == [{"a": 1}, {"a": 2}]


def test_utf16_and_a_byte_order_mark_are_read() -> None:
    """Files saved by editors of other systems are events too."""
    assert read_event('{"a": "ü"}'.encode("utf-16")) == {"a": "ü"}
    assert read_event(b"\xef\xbb\xbf{}") == {}


def test_what_json_cannot_hold_is_refused() -> None:
    """Data from Python code is held to the same rules as text."""
    with pytest.raises(FindingMalformed, match="object, which is no JSON"):
        plain({"a": object()})


def test_a_megabyte_of_unicode_in_a_tag_is_kept() -> None:
    """Size alone, within the limit, is no error."""
    value = "ü😀" * 100_000

    assert read_event(json.dumps({"tag": value}, ensure_ascii=False).encode()) == {"tag": value}
