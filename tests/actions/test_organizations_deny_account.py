"""Emergency service control policies: whom they spare, and where they must not be."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any

import pytest
from pydantic import ValidationError

from irrunner.actions.contract import Act, LookContext, Refused, Settled, Where
from irrunner.actions.organizations.deny_account import (
    MOST_ATTACHED,
    DenyAccount,
    DenyAccountParams,
    DenyAccountState,
)
from irrunner.actions.organizations.scp import SIZE_LIMIT, content_of, exempt_arns, name_of, text_of
from irrunner.errors import ActionDenied
from irrunner.settings import Settings
from irrunner.testing import FakeApi
from irrunner.vocabulary import Risk, UndoPolicy

DENY = DenyAccount()
ACCOUNT, UNIT = "111122223333", "ou-ab12-abcd1234"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
EXEMPT = exempt_arns("aws", "irrunner-responder", ("999999999999", "irrunner-forensics"), ["break-glass"])


def state(template: Any = "deny-destruction", target: str = ACCOUNT, **other: Any) -> DenyAccountState:
    """Return a look."""
    content = content_of(template, "aws", EXEMPT)
    facts: dict[str, Any] = {
        "target_id": target, "policy_name": name_of(template, content), "policy_id": "", "content": content,
        "found": None, "attached": False, "attached_names": ("FullAWSAccess",), "is_management": False,
        "is_incident": target == ACCOUNT, "enabled": True,
    }  # fmt: skip
    return DenyAccountState(**(facts | other))


def params(template: str = "deny-destruction", target: str = ACCOUNT) -> DenyAccountParams:
    """Return parameters."""
    return DenyAccountParams.model_validate({"target_id": target, "template": template})


class TestPolicies:
    @pytest.mark.parametrize("template", ["all-but-responder", "deny-destruction", "deny-root"])
    def test_every_statement_denies_and_spares_the_responder_or_hits_root_alone(self, template: Any) -> None:
        """Who cannot act any more cannot undo."""
        for statement in content_of(template, "aws", EXEMPT)["Statement"]:
            assert statement["Effect"] == "Deny"
            spared = statement["Condition"].get("ArnNotLike", {}).get("aws:PrincipalArn")
            root = statement["Condition"].get("ArnLike", {}).get("aws:PrincipalArn")
            assert spared == EXEMPT or root == "arn:aws:iam::*:root"

    @pytest.mark.parametrize("template", ["deny-destruction", "deny-root"])
    def test_the_responder_role_cannot_be_taken_over(self, template: Any) -> None:
        """A milder template would else leave a way round: make the exempted role one's own."""
        statement = content_of(template, "aws", EXEMPT)["Statement"][-1]

        assert statement["Resource"] == EXEMPT
        assert "iam:UpdateAssumeRolePolicy" in statement["Action"]
        assert "iam:CreateRole" in statement["Action"]

    def test_the_forensic_role_is_exempt_in_its_account_only(self) -> None:
        """An intruder may make a role of its name in his."""
        assert "arn:aws:iam::999999999999:role/irrunner-forensics" in EXEMPT
        assert "arn:aws:iam::*:role/irrunner-forensics" not in EXEMPT

    @pytest.mark.parametrize("template", ["all-but-responder", "deny-destruction", "deny-root"])
    def test_it_fits_the_quota_with_the_most_exemptions(self, template: Any) -> None:
        """A policy that AWS refuses helps nobody at three in the morning."""
        exempt = exempt_arns("aws-us-gov", "r" * 64, ("9" * 12, "f" * 64), [f"{n}" * 64 for n in range(10)])

        assert len(text_of(content_of(template, "aws-us-gov", exempt))) <= SIZE_LIMIT

    def test_a_break_glass_role_of_identity_center_is_known_by_its_path(self) -> None:
        """Its ARN has one, with a Region or without: by its name alone it would be locked out."""
        name = "AWSReservedSSO_BreakGlass_0123456789abcdef"
        (_, found) = exempt_arns("aws", "irrunner-responder", None, [name])
        for region in ("", "eu-central-1/"):
            arn = f"arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/{region}{name}"
            assert fnmatchcase(arn, found)
        assert not fnmatchcase(f"arn:aws:iam::111122223333:role/{name}", found)

    def test_identity_center_roles_fit_the_quota_too(self) -> None:
        """Their ARNs are longer."""
        names = [f"AWSReservedSSO_{n}{'x' * 31}_0123456789abcdef" for n in range(10)]
        exempt = exempt_arns("aws-us-gov", "r" * 64, ("9" * 12, "f" * 64), names)

        assert len(text_of(content_of("deny-destruction", "aws-us-gov", exempt))) <= SIZE_LIMIT

    def test_the_name_tells_content_apart(self) -> None:
        """Other exemptions are another policy; the same are the same."""
        one, same = (content_of("deny-root", "aws", EXEMPT) for _ in range(2))
        other = content_of("deny-root", "aws", [*EXEMPT, "arn:x"])

        assert name_of("deny-root", one) == name_of("deny-root", same)
        assert name_of("deny-root", one) != name_of("deny-root", other)


class TestDecisions:
    def test_makes_and_attaches_what_is_missing(self) -> None:
        """A policy of an earlier incident is used again."""
        fresh = DENY.decide(params(), state())
        known = state()
        again = DENY.decide(params(), known.model_copy(update={"policy_id": "p-1", "found": known.content}))

        assert isinstance(fresh, Act)
        assert isinstance(again, Act)
        assert [call.operation for call in fresh.calls] == [
            "organizations:CreatePolicy",
            "organizations:AttachPolicy",
        ]
        assert [call.operation for call in again.calls] == ["organizations:AttachPolicy"]
        assert {call.scope for call in fresh.calls} == {"management"}

    @pytest.mark.parametrize(
        ("given", "seen", "says"),
        [
            (params(), state(is_management=True), "management account"),
            (params(), state(enabled=False), "not switched on"),
            (params("all-but-responder", UNIT), state("all-but-responder", UNIT), "locked out"),
            (params("all-but-responder", "9" * 12), state("all-but-responder", "9" * 12), "locked out"),
            (params("all-but-responder"), state("all-but-responder", is_home=True), "run it from another"),
            (params(), state(policy_id="p-1", found={"Statement": []}), "somebody has changed"),
            (params(), state(attached_names=tuple("abcde")[:MOST_ATTACHED]), "detach one of a, b"),
        ],
    )
    def test_refusals_say_what_to_do(
        self, given: DenyAccountParams, seen: DenyAccountState, says: str
    ) -> None:
        """Where it would do nothing, or lock out the wrong one."""
        decision = DENY.decide(given, seen)

        assert isinstance(decision, Refused)
        assert says in decision.reason
        assert DENY.foresee(given, seen, "s").outputs == {}

    def test_five_with_ours_among_them_is_done(self) -> None:
        """The quota does not stand against what is attached already."""
        known = state()
        seen = known.model_copy(
            update={
                "policy_id": "p-1",
                "found": known.content,
                "attached": True,
                "attached_names": tuple("abcde"),
            }
        )
        decision = DENY.decide(params(), seen)

        assert isinstance(decision, Settled)
        assert decision.outputs.exempt == EXEMPT  # type: ignore[attr-defined]

    def test_a_plan_names_the_policy_by_a_token(self) -> None:
        """It does not exist yet."""
        assert DENY.foresee(params(), state(), "deny").outputs["policy_id"] == "<from deny.policy_id>"

    def test_it_is_declared_as_what_it_is(self) -> None:
        """Undo by name only: it hands an account back."""
        assert (DENY.risk, DENY.undo) == (Risk.DISRUPTIVE, UndoPolicy.RELEASE)


def look(management: Any, home: str = "") -> Any:
    """Look at an account."""
    where = Where("aws", ACCOUNT, "us-east-1", None, None, None)
    context = LookContext(
        api=FakeApi({}), forensics=None, where=where, now=NOW, started=NOW, run_id="r", marker="r/s",
        drill=False, settings=Settings(), management=management,
        home_arn=f"arn:aws:sts::{home}:assumed-role/hub/s" if home else "",
    )  # fmt: skip
    return DENY.look(context, params())


def test_without_the_management_account_it_is_denied_with_a_hint() -> None:
    """The setting that is missing is named."""
    with pytest.raises(ActionDenied, match="no access") as caught:
        look(None)
    assert "management.account_id" in str(caught.value.hint)


def organization(**answers: Any) -> FakeApi:
    """An organisation without policies."""
    return FakeApi(
        {
            "organizations:DescribeOrganization": lambda: {"Organization": {"MasterAccountId": "1"}},
            "organizations:ListRoots": lambda: {
                "Roots": [{"PolicyTypes": [{"Type": "SERVICE_CONTROL_POLICY", "Status": "ENABLED"}]}]
            },
            "organizations:ListPoliciesForTarget": lambda **_: {"Policies": []},
            "organizations:ListPolicies": lambda **_: {"Policies": []},
            **answers,
        }
    )


def test_a_look_tells_the_account_that_irrunner_runs_from() -> None:
    """Its identity there assumes all roles: denied that, it is locked out of everything."""
    assert look(organization(), home=ACCOUNT).is_home
    assert not look(organization(), home="999999999999").is_home


@pytest.mark.parametrize("content", ["{", "[]", json.dumps("x")])
def test_a_policy_that_is_no_document_counts_as_changed(content: str) -> None:
    """What cannot be read is not ours."""
    exempt = exempt_arns("aws", "irrunner-responder", None, [])
    name = name_of("deny-destruction", content_of("deny-destruction", "aws", exempt))
    api = organization(
        **{
            "organizations:ListPolicies": lambda **_: {"Policies": [{"Id": "p-1", "Name": name}]},
            "organizations:DescribePolicy": lambda **_: {"Policy": {"Content": content}},
        }
    )
    decision = DENY.decide(params(), look(api))

    assert isinstance(decision, Refused)
    assert "somebody has changed" in decision.reason


@pytest.mark.parametrize("target", ["", "r-root", "11112222333", "ou-x"])
def test_targets_are_accounts_and_units(target: str) -> None:
    """Never the whole organisation at once."""
    with pytest.raises(ValidationError):
        DenyAccountParams(target_id=target)
