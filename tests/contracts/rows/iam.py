"""IAM users, their keys, and roles."""

from __future__ import annotations

import json
from collections.abc import Callable

from gameday.world import seam
from tests.contracts.bench import Bench
from tests.contracts.row import Row, Values
from tests.contracts.rows.ec2 import instance


def key(bench: Bench) -> Values:
    """Alice's access key."""
    listed = bench.client("iam").list_access_keys(UserName="alice")["AccessKeyMetadata"]
    return {"access_key_id": listed[0]["AccessKeyId"], "user_name": "alice"}


def user(bench: Bench) -> Values:
    """Alice."""
    return {"user_name": "alice"}


def role(bench: Bench) -> Values:
    """The role of the instance."""
    return {"role_name": bench.resources["role_name"], **instance(bench)}


def erase_key(bench: Bench, values: Values) -> None:
    """Somebody deletes the key."""
    bench.world.act("delete-access-key", account=bench.account, **values)


def erase_user(bench: Bench, values: Values) -> None:
    """Somebody deletes the user."""
    del seam.iam(bench.account).users[values["user_name"]]


def erase_role(bench: Bench, values: Values) -> None:
    """Somebody deletes the role."""
    iam = seam.iam(bench.account)
    found = next(ident for ident, known in iam.roles.items() if known.name == values["role_name"])
    del iam.roles[found]


def other_policy(kind: str, policy_name: str) -> Callable[[Bench, Values], None]:
    """Somebody writes another document under our policy's name."""
    statement = {"Effect": "Deny", "Action": "s3:*", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})

    def write(bench: Bench, values: Values) -> None:
        names = {f"{kind.title()}Name": values[f"{kind}_name"]}
        put = getattr(bench.client("iam"), f"put_{kind}_policy")
        put(PolicyName=policy_name, PolicyDocument=document, **names)

    return write


ROWS = (
    Row("aws.iam.deactivate-access-key", key, erase_key, operations=("iam:UpdateAccessKey",)),
    Row(
        "aws.iam.quarantine-user", user, erase_user,
        operations=("iam:PutUserPolicy",), drift=other_policy("user", "irrunner-quarantine"),
    ),
    Row("aws.iam.describe-role-users", role, erase_role),
    Row(
        "aws.iam.revoke-role-sessions", role, erase_role,
        operations=("iam:PutRolePolicy",), drift=other_policy("role", "irrunner-revoke-older-sessions"),
    ),
    Row("aws.sts.whoami", lambda _: {}, None),
)  # fmt: skip
