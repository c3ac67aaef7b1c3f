from __future__ import annotations

from typing import Any

import pytest

from irrunner.findings.pattern_checks import MAX_VALUES, pattern_problems


@pytest.mark.parametrize(
    ("pattern", "place", "message"),
    [
        ({}, "", "at least one field"),
        ([], "", "at least one field"),
        ({"source": "aws.ec2"}, "source", "a value stands in a list"),
        ({"source": []}, "source", "an empty list matches nothing"),
        ({"detail": {}}, "detail", "an empty object matches nothing"),
        ({"detail": {"state": {"exists": True}}}, "detail.state", "a filter stands in a list"),
        ({"detail": {"state": {"anything-but": ["a"]}}}, "detail.state", "a filter stands in a list"),
        ({"a": [["b"]]}, "a[0]", "holds no lists"),
        ({"a": [{"prefix": "b", "suffix": "c"}]}, "a[0]", "exactly one operator"),
        ({"a": [{}]}, "a[0]", "exactly one operator"),
        ({"a": [{"begins": "b"}]}, "a[0]", "unknown operator 'begins'"),
        ({"a": [{"prefix": 5}]}, "a[0].prefix", "takes text"),
        ({"a": [{"suffix": {"prefix": "x"}}]}, "a[0].suffix", "equals-ignore-case"),
        ({"a": [{"wildcard": "a**b"}]}, "a[0].wildcard", "two stars"),
        ({"a": [{"wildcard": "a\\b"}]}, "a[0].wildcard", "a backslash escapes only"),
        ({"a": [{"wildcard": "a" * 2000}]}, "a[0].wildcard", "at most"),
        ({"a": [{"exists": "true"}]}, "a[0].exists", "true or false"),
        ({"a": [{"cidr": "10.0.0.0"}]}, "a[0].cidr", "takes a network"),
        ({"a": [{"cidr": "10.0.0.0/99"}]}, "a[0].cidr", "10.0.0.0/99"),
        ({"a": [{"numeric": [">"]}]}, "a[0].numeric", "one or two comparisons"),
        ({"a": [{"numeric": ["!=", 5]}]}, "a[0].numeric", "the comparisons are"),
        ({"a": [{"numeric": [">", "5"]}]}, "a[0].numeric", "the bounds are numbers"),
        ({"a": [{"numeric": [">", 6e9]}]}, "a[0].numeric", "the bounds are numbers"),
        ({"a": [{"numeric": ["<", 5, ">", 1]}]}, "a[0].numeric", "lower bound first"),
        ({"a": [{"numeric": [">", 5, "<", 5]}]}, "a[0].numeric", "not below"),
        ({"a": [{"anything-but": []}]}, "a[0].anything-but", "excludes nothing"),
        ({"a": [{"anything-but": ["x", 1]}]}, "a[0].anything-but", "one of them"),
        ({"a": [{"anything-but": {"cidr": "10.0.0.0/8"}}]}, "a[0].anything-but", "takes one of"),
        ({"a": [{"anything-but": {"prefix": [1]}}]}, "a[0].anything-but", "takes text"),
        ({"$or": [{"a": ["b"]}]}, "$or", "at least two"),
        ({"$or": [{"a": ["b"]}, {}]}, "$or[1]", "at least one field"),
        ({"$or": [{"a": ["b"]}, {"c": "d"}]}, "$or[1].c", "a value stands in a list"),
        ({"a": [float("nan")]}, "a[0]", "not a JSON value"),
        ({5: ["a"]}, "5", "a field's name is text"),
        ({"a": list(range(MAX_VALUES + 1))}, "", "at most"),
    ],
)
def test_each_mistake_has_its_place(pattern: Any, place: str, message: str) -> None:
    """A problem says where in the pattern it is and what is expected there."""
    ((found_place, found_message),) = pattern_problems(pattern)

    assert found_place == place
    assert message in found_message


def test_all_mistakes_come_at_once() -> None:
    """A person repairs a pattern in one pass."""
    assert len(pattern_problems({"a": "x", "b": [{"nope": 1}], "c": {"d": []}})) == 3


def test_a_pattern_that_nests_for_ever_is_refused() -> None:
    """Depth is bounded before anything recurses into it."""
    pattern: dict[str, Any] = {"a": ["x"]}
    for _ in range(40):
        pattern = {"a": pattern}

    assert "may nest at most" in pattern_problems(pattern)[0][1]


def test_fields_may_be_named_like_operators() -> None:
    """An event with a field called prefix can be matched."""
    assert pattern_problems({"detail": {"prefix": ["x"]}}) == []
