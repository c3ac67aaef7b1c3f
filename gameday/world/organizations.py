"""AWS Organizations, as far as a responder asks: who the accounts are.

Source: Organizations API reference: these may be called from the management account and from a delegated
administrator, which the security account is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gameday.world.refusals import Refusal, denied
from gameday.world.services import Scene, StrictLayer


def list_accounts(scene: Scene) -> Mapping[str, Any]:
    """List all accounts."""
    return {"Accounts": _accounts(scene)}


def describe_account(scene: Scene) -> Mapping[str, Any]:
    """Describe one account."""
    for account in _accounts(scene):
        if account["Id"] == scene.params.get("AccountId"):
            return {"Account": account}
    raise Refusal("AccountNotFoundException", "You specified an account that doesn't exist.")


def describe_organization(scene: Scene) -> Mapping[str, Any]:
    """Describe the organisation; every member may ask."""
    own = scene.realm.organisation
    arn = f"arn:aws:organizations::{own.management}:organization/{own.id}"
    return {
        "Organization": {
            "Id": own.id,
            "Arn": arn,
            "FeatureSet": "ALL",
            "MasterAccountId": own.management,
            "MasterAccountArn": f"arn:aws:organizations::{own.management}:account/{own.id}/{own.management}",
            "MasterAccountEmail": "management@example.com",
        }
    }


def _accounts(scene: Scene) -> list[dict[str, Any]]:
    own = scene.realm.organisation
    if scene.account not in {own.management, own.security}:
        raise denied("json", scene.principal.arn, scene.request.action)
    return [
        {
            "Id": account,
            "Arn": f"arn:aws:organizations::{own.management}:account/{own.id}/{account}",
            "Name": name,
            "Email": f"{name}@example.com",
            "Status": "ACTIVE",
            "State": "ACTIVE",
            "JoinedMethod": "CREATED",
        }
        for account, name in own.names().items()
    ]


LAYER: Final = StrictLayer(
    answers={
        "organizations:ListAccounts": list_accounts,
        "organizations:DescribeAccount": describe_account,
        "organizations:DescribeOrganization": describe_organization,
    }
)
