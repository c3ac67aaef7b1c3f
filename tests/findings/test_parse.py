from __future__ import annotations

import contextlib
import csv
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irrunner.errors import FindingError, FindingMalformed
from irrunner.findings.model import Finding
from irrunner.findings.parse import parse_events
from irrunner.journal.records import canonical
from tests.findings.finding_events import (
    ACCOUNT,
    INSTANCE,
    KEY,
    REGION,
    asff,
    detail,
    event,
    key_detail,
    ocsf,
)


def one(data: Any) -> Finding:
    """Return the only finding of an event."""
    (found,) = parse_events(data)
    return found


def test_every_real_event_becomes_findings(findings_dir: Path) -> None:
    """None of the collected events crashes; all can be stored and have keys."""
    with (findings_dir / "manifest.csv").open(newline="") as rows:
        files = [row["file"] for row in csv.DictReader(rows)]

    for file in files:
        for found in parse_events((findings_dir / file).read_bytes()):
            assert found.event_key, file
            assert found.shape, file
            canonical(found.raw)
            Finding.model_validate(found.model_dump())
    assert len(files) > 300


def test_the_manifest_and_the_parser_agree_on_guardduty_types(findings_dir: Path) -> None:
    """Every GuardDuty finding has the type that the manifest names, less the ones broken on purpose."""
    shapes = {"native", "detail_camel", "eventbridge", "eventbridge_derived"}
    with (findings_dir / "manifest.csv").open(newline="") as rows:
        wanted = {row["file"]: row["type"] for row in csv.DictReader(rows) if row["shape"] in shapes}

    odd = {}
    for file, type_name in wanted.items():
        found = one((findings_dir / file).read_bytes())
        if (found.source, found.type) != ("guardduty", type_name):
            odd[Path(file).name.partition("__")[0]] = found.type

    probe = "Recon:EC2/PortProbeUnprotectedPort"
    assert odd == {
        "ALL-FIELDS-placeholder": "foo",
        **{f"Recon-EC2-PortProbeUnprotectedPort-{level}": probe for level in ("high", "low", "medium")},
    }


WRAPPED = {
    "eventbridge": event(),
    "detail": detail(),
    "array": [event()],
    "sns": {"Type": "Notification", "MessageId": "m1", "TopicArn": "t", "Message": json.dumps(event())},
    "sns-lambda": {
        "Records": [{"EventSource": "aws:sns", "Sns": {"MessageId": "m1", "Message": json.dumps(event())}}]
    },
    "sqs-lambda": {"Records": [{"messageId": "m1", "body": json.dumps(event())}]},
    "sqs": {"Messages": [{"MessageId": "m1", "Body": json.dumps(event())}]},
    "sns-in-sqs": {
        "Records": [
            {"messageId": "m1", "body": json.dumps({"Type": "Notification", "Message": json.dumps(event())})},
        ]
    },
    "get-findings": {"Findings": [{key[0].upper() + key[1:]: value for key, value in detail().items()}]},
    "security-hub": {
        "source": "aws.securityhub",
        "detail-type": "x",
        "id": "e",
        "detail": {"findings": [asff()]},
    },
    "asff": asff(),
    "ocsf": ocsf(),
    "security-hub-v2": {"source": "aws.securityhub", "detail-type": "x", "detail": {"findings": [ocsf()]}},
}


@pytest.mark.parametrize("way", WRAPPED)
def test_the_same_threat_is_the_same_finding_whichever_way_it_comes(way: str) -> None:
    """Source, id, type, keys, severity and resource agree, so that one incident has one run."""
    found = one(WRAPPED[way])

    assert (found.source, found.id, found.type) == ("guardduty", detail()["id"], "Backdoor:EC2/C&CActivity.B")
    assert (found.account_id, found.region, found.severity, found.count) == (ACCOUNT, REGION, 8.0, 3)
    assert found.incident_key == f"{ACCOUNT}/{REGION}/instance/{INSTANCE}"
    assert found.event_key == one(event()).event_key
    assert found.resource.tags == {"Environment": "test"}
    assert found.problems == ()


@pytest.mark.parametrize(
    ("data", "shape"),
    [
        (event(), "eventbridge"),
        (detail(), "detail"),
        ({"Type": "A:EC2/B", "Resource": {}, "Severity": 1}, "native"),
        (asff(), "asff"),
        (ocsf(), "ocsf"),
        ({"source": "aws.securityhub", "detail": {"findings": [asff()]}}, "securityhub"),
        ({"eventName": "StopLogging", "eventSource": "cloudtrail.amazonaws.com"}, "cloudtrail"),
        ({"Type": "Notification", "Message": "hello"}, "sns"),
        ({"hello": 1}, "unknown"),
    ],
)
def test_shapes_are_told_apart(data: Any, shape: str) -> None:
    """The shape tells a person how the event came."""
    assert one(data).shape == shape


@pytest.mark.parametrize(
    "forged",
    [
        event(source="my.app"),
        event({"eventName": "StopLogging", "eventSource": "cloudtrail.amazonaws.com"}, source="my.app"),
        event({"findings": [asff()]}, source="my.app"),
    ],
)
def test_who_may_only_put_events_cannot_speak_for_a_service(forged: Any) -> None:
    """AWS alone writes sources that begin with `aws.`; another's copy of a finding goes to a person."""
    assert one(forged).source == "custom"


def test_one_event_may_hold_several_findings() -> None:
    """A custom action of Security Hub carries many; each sees only itself in ``raw``."""
    other = asff(Id="arn:aws:guardduty:eu-central-1:111122223333:detector/d1/finding/ffff")
    found = parse_events(
        {"source": "aws.securityhub", "id": "e1", "detail": {"actionName": "a", "findings": [asff(), other]}}
    )

    assert [item.id for item in found] == [detail()["id"], "ffff"]
    assert [len(item.raw["detail"]["findings"]) for item in found] == [1, 1]
    assert {item.raw["detail"]["actionName"] for item in found} == {"a"}


@pytest.mark.parametrize("data", [[], [1], "1", b"null", '"text"', [[event()]]])
def test_what_holds_no_object_is_malformed(data: Any) -> None:
    """A number, a text or an empty list is no event."""
    with pytest.raises(FindingMalformed):
        parse_events(data)


def test_text_notifications_go_to_a_person() -> None:
    """A message that is no JSON keeps its subject and text."""
    found = one(
        {
            "Type": "Notification",
            "MessageId": "m",
            "TopicArn": f"arn:aws:sns:{REGION}:{ACCOUNT}:t",
            "Subject": "All fine",
            "Message": "Have a\ngood day",
        }
    )

    assert (found.source, found.title, found.description) == ("unknown", "All fine", "Have a\ngood day")
    assert (found.account_id, found.region) == (ACCOUNT, REGION)


def test_envelopes_that_nest_for_ever_end() -> None:
    """A message in a message in a message is not followed without end."""
    data: Any = event()
    for _ in range(8):
        data = {"Type": "Notification", "Message": json.dumps(data)}

    assert one(data).source == "unknown"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
KNOWN_KEYS = """
    detail detail-type source Records Sns Message body messageId findings Findings class_uid
    ProductArn Resources Types eventName eventSource userIdentity requestParameters Type type
    resource service severity resourceType instanceDetails accessKeyDetails s BucketDetails
    networkInterfaces tags action additionalInfo detection sequence resources Severity ProductFields
    finding_info metadata cloud category_uid affectedEntities configurationItem state AlarmName
    NewStateValue findingArn resourcesAffected updatedAt count region accountId
"""
known_keys = st.sampled_from(KNOWN_KEYS.split())
hostile = st.dictionaries(
    known_keys,
    st.recursive(json_values, lambda inner: st.dictionaries(known_keys, inner, max_size=4), max_leaves=12),
    max_size=6,
)


@settings(max_examples=250, deadline=None)
@given(hostile | json_values)
def test_any_json_gives_findings_or_one_kind_of_error(data: Any) -> None:
    """Whatever JSON an attacker sends, the parser answers with findings or FindingError."""
    try:
        found = parse_events(data)
    except FindingError:
        return
    for item in found:
        canonical(item.model_dump())
        canonical(item.raw).encode()


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([event(), key_detail(), asff(), ocsf()]), st.data())
def test_a_real_finding_with_a_part_replaced_never_crashes(base: dict[str, Any], data: st.DataObject) -> None:
    """Every field may be missing or of the wrong type."""
    body = json.loads(json.dumps(base))
    at = body
    while True:
        key = data.draw(st.sampled_from(sorted(at)))
        if isinstance(at[key], dict) and at[key] and data.draw(st.booleans()):
            at = at[key]
            continue
        at[key] = data.draw(json_values)
        break

    for item in parse_events(body):
        canonical(item.model_dump())


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=60) | st.text(max_size=60))
def test_any_bytes_give_findings_or_one_kind_of_error(data: bytes | str) -> None:
    """What is no JSON is a FindingError, nothing else."""
    with contextlib.suppress(FindingError):
        parse_events(data)


def test_the_key_of_an_iam_user_is_the_incident() -> None:
    """A long-term key is its own incident."""
    found = one(key_detail())

    assert found.incident_key == f"{ACCOUNT}/{REGION}/access-key/{KEY}"
