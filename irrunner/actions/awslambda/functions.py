"""What the Lambda actions look at: a function, its versions and aliases. Reads only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from irrunner.actions.contract import Model, Permission, ReadApi, Where
from irrunner.actions.ids import FunctionName

API_REFERENCE: Final = "https://docs.aws.amazon.com/lambda/latest/api"
USER_GUIDE: Final = "https://docs.aws.amazon.com/lambda/latest/dg"

FUNCTION: Final = "arn:{partition}:lambda:{region}:{account}:function:{function_name}"
QUALIFIED: Final = f"{FUNCTION}:*"
"""Its versions and aliases."""
EDGE_REGION: Final = "us-east-1"
"""Where the functions are that CloudFront copies to its edges."""
LATEST: Final = "$LATEST"


class OneFunction(Model):
    """Parameters of an action on one function."""

    function_name: FunctionName


def on_function(use: Literal["look", "act", "undo"], *actions: str) -> tuple[Permission, ...]:
    """Return permissions on the function as such."""
    return tuple(Permission(name, FUNCTION, use=use) for name in actions)


def on_all_of_it(use: Literal["look", "act", "undo"], *actions: str) -> tuple[Permission, ...]:
    """Return permissions on the function and on its versions and aliases."""
    return tuple(Permission(name, arn, use=use) for name in actions for arn in (FUNCTION, QUALIFIED))


def function_arn(where: Where, name: str) -> str:
    """Return the ARN of a function of the incident's account and Region."""
    return f"arn:{where.partition}:lambda:{where.region}:{where.account_id}:function:{name}"


def unqualified(arn: str) -> str:
    """Return the function's ARN without a version or alias."""
    return ":".join(arn.split(":")[:7])


def role_name_of(role_arn: str) -> str:
    """Return the name of the execution role, as the actions on roles want it."""
    return role_arn.rpartition("/")[2]


def between(was: Any, made: Any, found: Any) -> bool:
    """Return whether a mapping has all items of ``made``, and no others than those of ``was``."""
    parts = (was, made, found)
    return all(isinstance(part, Mapping) for part in parts) and (
        all(name in found and found[name] == value for name, value in made.items())
        and all(name in was and was[name] == value for name, value in found.items())
    )


def configuration(api: ReadApi, name: str) -> Mapping[str, Any]:
    """Return the configuration of ``$LATEST``. It holds values of variables: never journal it whole.

    Raises:
        TargetNotFound: If there is no such function.
    """
    return api.call("lambda:GetFunctionConfiguration", FunctionName=name)


def versions(api: ReadApi, name: str) -> list[Mapping[str, Any]]:
    """Return the configurations of the published versions, oldest first."""
    found = api.pages("lambda:ListVersionsByFunction", "Versions", FunctionName=name)
    return [version for version in found if version["Version"] != LATEST]


def aliases(api: ReadApi, name: str) -> dict[str, str]:
    """Return alias name to the version that it points to."""
    found = api.pages("lambda:ListAliases", "Aliases", FunctionName=name)
    return {str(alias["Name"]): str(alias["FunctionVersion"]) for alias in found}
