from __future__ import annotations

from typing import Any

import pytest

from irrunner.findings import tolerant as t


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2020-08-22T09:34:34.146Z", "2020-08-22T09:34:34.146Z"),
        ("2020-08-22T11:34:34+02:00", "2020-08-22T09:34:34.000Z"),
        ("2025-02-25 20:40:06.000000000", "2025-02-25T20:40:06.000Z"),
        ("2025-02-25 20:40:06.721", "2025-02-25T20:40:06.721Z"),
        ("2019-02-12T15:45:24.006+0000", "2019-02-12T15:45:24.006Z"),
        ("2020-10-26 13:47:03.127000+00:00", "2020-10-26T13:47:03.127Z"),
        (1507656063000, "2017-10-10T17:21:03.000Z"),
        (1507656063, "2017-10-10T17:21:03.000Z"),
        ("1507656063.5", "2017-10-10T17:21:03.500Z"),
        ("Sat, 30 Nov 2019 00:00:00 GMT", "2019-11-30T00:00:00.000Z"),
        ("<<datetime(2023, 1, 19)>>", ""),
        ("NoneZ", ""),
        ("", ""),
        (None, ""),
        (True, ""),
        (1e300, ""),
        ("0001-01-01T00:00:00+14:00", ""),
        ([], ""),
    ],
)
def test_every_form_of_time_becomes_rfc_3339(value: Any, expected: str) -> None:
    """Times come in many forms; one that is none is empty, never an error."""
    assert t.timestamp(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (8, 8.0),
        (8.7, 8.7),
        ("5.0", 5.0),
        ("High", 8.0),
        (None, 0.0),
        ("foo", 0.0),
        (80, 0.0),
        (-1, 0.0),
        (True, 0.0),
        ("nan", 0.0),
    ],
)
def test_severity_is_guardduty_scale_or_unknown(value: Any, expected: float) -> None:
    """A severity outside 0 to 10 is unknown rather than guessed."""
    assert t.severity(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(True, True), ("true", True), (" True ", True), ("false", False), (1, False), (None, False)],
)
def test_booleans_may_be_text(value: Any, expected: bool) -> None:  # noqa: FBT001 - the expected value
    """Security Hub flattens booleans to text."""
    assert t.flag(value) is expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(20, 20), ("74", 74), (0, 1), (-5, 1), (None, 1), ("x", 1), (1e400, 1), (2**80, 1)],
)
def test_count_is_at_least_one(value: Any, expected: int) -> None:
    """A missing or absurd count is one occurrence."""
    assert t.count_of(value) == expected


def test_tags_come_as_pairs_or_as_an_object() -> None:
    """GuardDuty writes key and value, GetFindings Key and Value, OCSF name and value, ASFF an object."""
    expected = {"Environment": "test"}

    assert t.tags([{"key": "Environment", "value": "test"}, "junk", {"value": "no key"}]) == expected
    assert t.tags([{"Key": "Environment", "Value": "test"}]) == expected
    assert t.tags([{"name": "Environment", "value": "test"}]) == expected
    assert t.tags({"Environment": "test"}) == expected
    assert t.tags("junk") == {}


def test_keys_of_getfindings_and_ocsf_become_camel_case() -> None:
    """Keys that are no identifiers, such as tag names or paths, stay as they are."""
    assert t.camel({"Id": 1, "id": 2, "a-b": [{"Key": 3}]}) == {"id": 2, "a-b": [{"key": 3}]}
    assert t.from_snake({"network_interfaces": [{"subnet_id": 1}]}) == {
        "networkInterfaces": [{"subnetId": 1}]
    }
