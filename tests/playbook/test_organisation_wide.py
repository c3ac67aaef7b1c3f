"""What binds a whole account is asked for, though it can be undone."""

from __future__ import annotations

import pytest

from irrunner.actions.registry import load_registry
from irrunner.playbook.loader import examine
from tests.playbook.playbook_texts import playbook_text

DENY = "uses: aws.organizations.deny-account, with: {target_id: '111122223333'}"


@pytest.mark.parametrize(
    ("body", "rules"),
    [
        (f"- {{id: a, {DENY}}}", ["destructive-unapproved"]),
        (f"- {{id: a, {DENY}, exempt: a game day}}", []),
        (f"- {{id: c, approve: {{message: Do?, from: x}}, then: [{{id: a, {DENY}}}]}}", []),
    ],
)
def test_an_account_is_denied_with_an_approval_only(body: str, rules: list[str]) -> None:
    """Or with a reason, which the journal keeps."""
    _, found = examine(playbook_text(body), "f.yaml", load_registry())

    assert [each.rule for each in found] == rules
