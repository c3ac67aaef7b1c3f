from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irrunner.findings.pattern import leaf_count, matches, pattern_problems, wildcard_matches

STATE_CHANGE = {
    "version": "0",
    "source": "aws.ec2",
    "detail-type": "EC2 Instance State-change Notification",
    "time": "2026-03-04T10:11:12Z",
    "region": "eu-west-1",
    "resources": [
        "arn:aws:ec2:eu-west-1:111122223333:instance/i-1",
        "arn:aws:ec2:eu-west-1:111122223333:instance/i-2",
    ],
    "detail": {
        "state": "stopped",
        "count": 5,
        "limit": 301.8,
        "ip": "10.0.0.33",
        "ip6": "2001:db8::7",
        "note": "",
        "owner": None,
        "spot": False,
        "path": "dir/lib/file.png",
        "tags": [],
        "volumes": [{"id": "vol-1", "size": 8}, {"id": "vol-2", "size": 80}],
    },
}


def about(field: str, *values: Any) -> dict[str, Any]:
    """Return a pattern over one field of the detail."""
    return {"detail": {field: list(values)}}


DOCUMENTED: list[tuple[dict[str, Any], bool]] = [
    # and, or, exact
    ({"source": ["aws.ec2"], "region": ["eu-west-1"]}, True),
    ({"source": ["aws.ec2"], "region": ["us-east-1"]}, False),
    (about("state", "pending", "stopped"), True),
    (about("state", "Stopped"), False),
    (about("missing", "x"), False),
    ({"missing": {"deeper": ["x"]}}, False),
    # numbers, booleans, null and the empty string are themselves
    (about("count", 5), True),
    (about("count", 5.0), False),
    (about("count", "5"), False),
    (about("spot", False), True),
    (about("spot", 0), False),
    (about("owner", None), True),
    (about("owner", ""), False),
    (about("note", ""), True),
    (about("note", None), False),
    (about("missing", None), False),
    # arrays intersect; objects in arrays match whole
    ({"resources": ["arn:aws:ec2:eu-west-1:111122223333:instance/i-2"]}, True),
    ({"resources": ["arn:aws:ec2:eu-west-1:111122223333:instance/i-3"]}, False),
    ({"detail": {"volumes": {"id": ["vol-1"], "size": [8]}}}, True),
    ({"detail": {"volumes": {"id": ["vol-1"], "size": [80]}}}, False),
    # prefix and suffix
    ({"time": [{"prefix": "2026-03-04"}]}, True),
    ({"region": [{"prefix": "us-"}]}, False),
    ({"region": [{"prefix": {"equals-ignore-case": "EU-"}}]}, True),
    (about("path", {"suffix": ".png"}), True),
    (about("path", {"suffix": ".PNG"}), False),
    (about("path", {"suffix": {"equals-ignore-case": ".PNG"}}), True),
    (about("count", {"prefix": "5"}), False),
    ({"resources": [{"suffix": "/i-2"}]}, True),
    # anything-but
    (about("state", {"anything-but": "running"}), True),
    (about("state", {"anything-but": "stopped"}), False),
    (about("state", {"anything-but": ["stopped", "terminated"]}), False),
    (about("count", {"anything-but": [1, 2]}), True),
    (about("count", {"anything-but": 5}), False),
    (about("missing", {"anything-but": "x"}), False),
    (about("state", {"anything-but": {"prefix": "stop"}}), False),
    (about("state", {"anything-but": {"prefix": ["run", "pend"]}}), True),
    (about("path", {"anything-but": {"suffix": ".png"}}), False),
    (about("path", {"anything-but": {"suffix": [".jpg", ".gif"]}}), True),
    (about("state", {"anything-but": {"equals-ignore-case": "STOPPED"}}), False),
    (about("state", {"anything-but": {"equals-ignore-case": ["running", "pending"]}}), True),
    (about("path", {"anything-but": {"wildcard": "*/lib/*"}}), False),
    (about("path", {"anything-but": {"wildcard": ["*/bin/*", "*/etc/*"]}}), True),
    # numeric
    (about("count", {"numeric": [">", 0, "<=", 5]}), True),
    (about("count", {"numeric": ["<", 5]}), False),
    (about("count", {"numeric": ["=", 5.0]}), True),
    (about("limit", {"numeric": ["=", 3.018e2]}), True),
    (about("state", {"numeric": [">", 0]}), False),
    (about("spot", {"numeric": ["=", 0]}), False),
    # cidr
    (about("ip", {"cidr": "10.0.0.0/24"}), True),
    (about("ip", {"cidr": "10.0.1.0/24"}), False),
    (about("ip6", {"cidr": "2001:db8::/32"}), True),
    (about("ip", {"cidr": "2001:db8::/32"}), False),
    (about("state", {"cidr": "0.0.0.0/0"}), False),
    # exists: leaves only
    (about("count", {"exists": True}), True),
    (about("owner", {"exists": True}), True),
    (about("missing", {"exists": True}), False),
    (about("missing", {"exists": False}), True),
    (about("count", {"exists": False}), False),
    (about("tags", {"exists": False}), True),
    ({"detail": [{"exists": True}]}, False),
    ({"detail": [{"exists": False}]}, True),
    ({"nothing": {"here": [{"exists": False}]}}, True),
    # equals-ignore-case, wildcard
    ({"source": [{"equals-ignore-case": "AWS.EC2"}]}, True),
    ({"source": [{"wildcard": "aws.*"}]}, True),
    (about("path", {"wildcard": "dir/*/file.*"}), True),
    (about("path", {"wildcard": "lib/*"}), False),
    # values and filters mix; any of them is enough
    (about("state", "running", {"prefix": "stop"}), True),
    # $or
    (
        {
            "source": ["aws.ec2"],
            "$or": [{"region": ["us-east-1"]}, {"detail": {"count": [{"numeric": [">", 3]}]}}],
        },
        True,
    ),
    ({"source": ["aws.s3"], "$or": [{"region": ["eu-west-1"]}, {"version": ["0"]}]}, False),
    ({"$or": [{"region": ["a"]}, {"version": ["1"]}]}, False),
    (
        {"detail": {"$or": [{"state": ["x"]}, {"count": [5], "$or": [{"spot": [True]}, {"spot": [False]}]}]}},
        True,
    ),
]


@pytest.mark.parametrize(("pattern", "expected"), DOCUMENTED)
def test_the_documented_operators(pattern: dict[str, Any], expected: bool) -> None:  # noqa: FBT001 - the expected value
    """Each operator does what EventBridge's guide says, and every such pattern is a good one."""
    assert pattern_problems(pattern) == []
    assert matches(pattern, STATE_CHANGE) is expected


@pytest.mark.parametrize(
    ("wildcard", "text", "expected"),
    [
        ("*", "", True),
        ("a*b", "ab", True),
        ("a*b", "a", False),
        ("aba*aba", "aba", False),
        ("*a*b*", "xxaxxbxx", True),
        ("*a*b*", "xxbxxaxx", False),
        (r"a\*b", "a*b", True),
        (r"a\*b", "axb", False),
        (r"a\\*", "a\\x", True),
        ("abc", "abcd", False),
    ],
)
def test_wildcards(wildcard: str, text: str, expected: bool) -> None:  # noqa: FBT001 - the expected value
    """A star is any characters, also none; a backslash takes its meaning away."""
    assert wildcard_matches(wildcard, text) is expected


def test_a_wildcard_never_takes_long() -> None:
    """Hostile text cannot make a pattern with many stars slow."""
    started = time.perf_counter()

    assert not wildcard_matches("*a" * 500 + "*b", "a" * 1_000_000)
    assert time.perf_counter() - started < 1.0


def test_leaf_count_measures_how_specific_a_pattern_is() -> None:
    """Every constrained field counts; of alternatives the loosest."""
    assert leaf_count({"source": ["a", "b"], "detail": {"x": [1], "y": [{"prefix": "z"}]}}) == 3
    assert leaf_count({"$or": [{"a": [1], "b": [2]}, {"c": [3]}]}) == 1


scalars = (
    st.none() | st.booleans() | st.integers(-100, 100) | st.floats(allow_nan=False) | st.text(max_size=5)
)
events = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=10,
)
arguments = (
    scalars
    | st.lists(scalars, max_size=4)
    | st.sampled_from([["<", 1], [">", 0, "<", 9], "10.0.0.0/8", {"prefix": "a"}, {"wildcard": ["*a"]}])
)
operators = st.sampled_from(
    ["prefix", "suffix", "equals-ignore-case", "wildcard", "anything-but", "numeric", "cidr", "exists"]
)
filters = st.dictionaries(operators, arguments, min_size=1, max_size=1)
patterns = st.recursive(
    st.lists(scalars | filters, max_size=3),
    lambda inner: st.dictionaries(
        st.sampled_from(["a", "b", "c", "$or"]),
        inner | st.lists(st.dictionaries(st.sampled_from("abc"), inner, max_size=2), max_size=3),
        max_size=3,
    ),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None)
@given(patterns, events)
def test_a_pattern_without_problems_matches_or_does_not(pattern: Any, event: Any) -> None:
    """Checked patterns never raise, whatever the event."""
    if pattern_problems(pattern):
        return

    assert matches(pattern, event) in (True, False)
    assert leaf_count(pattern) >= 1
