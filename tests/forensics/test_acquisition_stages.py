"""Stages and estimates of an acquisition, as pure functions of what was seen."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from forensics.acquisition.look import _coded
from forensics.acquisition.progress import duration, remaining_s, words
from forensics.acquisition.seen import AcquireState, Taken, VolumeSeen
from forensics.acquisition.stages import Ended, Waits, steps
from forensics.acquisition.volumes import AcquireVolumesParams
from irrunner.actions.ebs.keys import Key
from irrunner.clock import iso
from irrunner.testing import EPOCH

FORENSIC_KEY = Key(arn="arn:aws:kms:r:2:key/f", account_id="2" * 12, manager="CUSTOMER", state="Enabled")


def taken(name: str, state: str = "completed", **more: Any) -> Taken:
    """A snapshot that began a minute ago."""
    values = {
        "snapshot_id": name,
        "state": state,
        "started_at": iso(EPOCH - timedelta(minutes=1)),
        "locked": True,
    }
    return Taken(**{**values, "size_gib": 60} | more)


def volume(name: str, **more: Any) -> VolumeSeen:
    """A volume of 60 GiB, not encrypted."""
    return VolumeSeen(**{"volume_id": name, "size_gib": 60} | more)


def seen(*volumes: VolumeSeen, **more: Any) -> AcquireState:
    """What a look saw now."""
    values: dict[str, Any] = {
        "marker": "run/step", "drill": False, "partition": "aws", "account_id": "1" * 12, "region": "r",
        "forensic_account_id": "2" * 12, "forensic_region": "r", "forensic_role": "f",
        "transfer_key_name": "alias/t", "forensic_key_name": "alias/f", "ready": True,
        "forensic_key": FORENSIC_KEY, "volumes": volumes, "lock_days": 30, "seen_at": iso(EPOCH),
    }  # fmt: skip
    return AcquireState(**values | more)


def test_the_estimate_is_what_is_left_over_the_speed_seen() -> None:
    """60 GiB half done in a minute: half a GiB a second, so 30 GiB and the other 60 GiB over two lanes."""
    running = volume("vol-1", source=taken("s1"), shared=True, copy_made=taken("c1", "pending", percent=50))
    state = seen(running, volume("vol-2", source=taken("s2"), shared=True))
    assert remaining_s(state, steps(state)) == pytest.approx((30 + 60) / (0.5 * 2))
    assert "about 2 min left" in words(state, steps(state))


@pytest.mark.parametrize(
    "copy",
    [
        taken("c1", "pending", percent=0),
        taken("c1", "pending", percent=50, started_at=iso(EPOCH + timedelta(minutes=3))),
        taken("c1", "pending", percent=50, started_at=""),
    ],
    ids=["no progress", "clocks differ", "no start"],
)
def test_no_estimate_is_better_than_nonsense(copy: Taken) -> None:
    """AWS's clock may be ahead of ours, and progress begins at nothing."""
    state = seen(volume("vol-1", source=taken("s1"), shared=True, copy_made=copy))
    assert remaining_s(state, steps(state)) is None
    assert "left" not in words(state, steps(state))


@pytest.mark.parametrize(("seconds", "text"), [(5, "5 s"), (90, "2 min"), (5400, "1.5 h")])
def test_durations_are_said_in_their_unit(seconds: float, text: str) -> None:
    """Nobody at three in the morning divides by sixty."""
    assert duration(seconds) == text


def test_places_in_the_queue_go_to_the_first() -> None:
    """Nineteen copies run: one volume gets the last place, the other is queued."""
    volumes = [volume(f"vol-{n}", source=taken(f"s{n}"), shared=True) for n in (1, 2)]
    state = seen(*volumes, copies_in_progress=19)
    following = steps(state)
    assert isinstance(following["vol-1"], tuple)
    assert following["vol-2"] == Waits(queued=True)


def test_a_member_of_a_set_that_is_not_visible_yet_is_waited_for() -> None:
    """The instance's volumes were taken together; a second snapshot of one would not be of that instant."""
    attached = {"instance_id": "i-1", "in_set": True, "attached_at": iso(EPOCH - timedelta(days=1))}
    shown = volume("vol-1", source=taken("s1", "pending"), **attached)
    missing = volume("vol-2", **attached)
    assert steps(seen(shown, missing))["vol-2"] == Waits()
    late = volume("vol-3", **{**attached, "attached_at": iso(EPOCH)})
    (call,) = steps(seen(shown, late))["vol-3"]  # type: ignore[misc]
    assert (call.operation, call.target) == ("ec2:CreateSnapshot", "vol-3")


def test_a_copy_that_is_other_than_asked_for_is_not_acquired() -> None:
    """Another size under the same name: told, and what was lent is taken back first."""
    wrong = taken("c1", size_gib=8, kms_key_id=FORENSIC_KEY.arn, owner_id="2" * 12)
    lent = volume("vol-1", source=taken("s1"), shared=True, copy_made=wrong)
    (call,) = steps(seen(lent))["vol-1"]  # type: ignore[misc]
    assert call.params["OperationType"] == "remove"
    ended = steps(seen(lent.model_copy(update={"shared": False})))["vol-1"]
    assert isinstance(ended, Ended)
    assert (ended.outcome, "size in GiB is 8, not 60" in ended.reason) == ("preserved", True)


def test_marketplace_codes_are_told_before_anything_is_shared() -> None:
    """Of paid images alone: development pay codes hinder nothing."""
    paid = {"ProductCodeId": "abc123", "ProductCodeType": "marketplace"}
    hosts: list[dict[str, Any]] = [
        {"InstanceId": "i-1", "ProductCodes": [paid]},
        {"InstanceId": "i-2", "ProductCodes": [{"ProductCodeId": "x", "ProductCodeType": "devpay"}]},
        {"InstanceId": "i-3"},
    ]
    (told,) = _coded(hosts)
    assert told.startswith("i-1: its root disk bears the Marketplace product code abc123")


def test_something_must_be_named() -> None:
    """Nothing to acquire is a mistake of the playbook."""
    with pytest.raises(ValidationError, match="nothing to acquire"):
        AcquireVolumesParams()
