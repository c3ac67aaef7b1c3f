"""What bounds a run: resources, the disk, and what may be written down."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from irrunner.errors import (
    JournalUnavailable,
)
from irrunner.findings.model import Finding
from irrunner.settings import Settings
from tests.engine.hazards import (
    GATED,
    ONE,
    created,
    pages,
)
from tests.engine.lab import Lab, outcomes


class TestLimits:
    STEPS = """
  - id: each
    for_each: [a, b, c, d]
    as: name
    at_most: 1
    uses: lab.value.set-value
    with: {name: "${{ name }}", value: "x"}
"""

    def test_no_more_resources_than_the_playbook_allows(self, lab: Lab) -> None:
        """A run refuses to change one resource more than its playbook's limit."""
        document = lab.start(lab.playbook(self.STEPS, limits="{resources: 3}"))

        assert document["steps"][3]["error"]["code"] == "limit-reached"
        assert lab.writes() == [("a", "x"), ("b", "x"), ("c", "x")]

    def test_the_configuration_bounds_every_playbook(self, tmp_path: Path) -> None:
        """What the configuration allows is the most, after a resume too."""
        lab = Lab(tmp_path, Settings.model_validate({"limits": {"resources": 1}}))
        steps = ONE + GATED
        run_id = lab.start(lab.playbook(steps))["run_id"]

        document = lab.new_runner().approve(run_id, None)

        assert outcomes(document)["two"] == "refused"
        assert lab.writes() == [("a", "1")]
        lab.store.close()


class TestEvents:
    def test_a_session_token_in_an_event_is_not_journalled(self, lab: Lab) -> None:
        """CloudTrail records the session tokens that STS gave out; record 0 does not keep them."""
        token = "IQoJ" + "b3JpZ2luX2VjE" * 9
        answer = {"credentials": {"accessKeyId": "ASIAEXAMPLE", "sessionToken": token}}
        finding = Finding(
            source="cloudtrail",
            id="event-1",
            type="AssumeRole",
            account_id="111111111111",
            region="us-east-1",
            raw={"detail": {"responseElements": answer, "requestID": "kept"}},
        )
        playbook = lab.playbook(ONE)
        facts = lab.runner.facts(playbook, {}, finding, drill=False, accepted_at=lab.clock.now())

        lab.runner.create(playbook, facts)

        first = str(lab.store.records(facts.run_id)[0].body)
        assert token not in first
        assert "kept" in first


class TestFullDisk:
    def test_a_full_disk_stops_the_run_and_loses_nothing(self, lab: Lab) -> None:
        """Where the store cannot grow nothing more is sent; with space again the run ends as it should."""
        steps = TestLimits.STEPS.replace("at_most: 1", "at_most: 2")
        lease = created(lab, lab.playbook(steps))

        def fill(operation: str, params: Any) -> None:
            if operation == "lab:PutValue" and params["Name"] == "b":
                pages(lab, 1)

        lab.ground.before = fill
        with pytest.raises(JournalUnavailable):
            lab.runner.drive(lease)
        lab.ground.before = None
        pages(lab, 1_000_000)
        if lab.store.run(lease.run_id).owner:
            lab.clock.advance(31)

        document = lab.new_runner().resume(lease.run_id)

        assert document["status"] == "succeeded"
        assert sorted(lab.writes()) == [(name, "x") for name in "abcd"]
        assert lab.store.verify(lease.run_id).ok
