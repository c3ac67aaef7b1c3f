"""The loan behind every copy of a snapshot: it, and the key it is under, for the forensic role to read.

One way for EBS, for many volumes at once and for RDS: only how a snapshot is shared differs between services.
"""

from __future__ import annotations

import re
from typing import Final, Protocol, TypeAlias

from irrunner.actions.contract import Call, ReadApi, Token
from irrunner.actions.ebs.keys import Key, obstacle

Id: TypeAlias = "str | Token"

GRANT: Final = Token("key-grant")

KEY_USE: Final = (
    "DescribeKey", "CreateGrant", "Decrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext",
    "ReEncryptFrom", "ReEncryptTo",
)  # fmt: skip
"""What the reader of a shared encrypted snapshot needs of its key.

Source: Amazon EBS user guide, "Share a KMS key used to encrypt a shared snapshot".
"""


class Lender(Protocol):
    """A look that knows to whom its step lends, and under which key where the snapshot's own is not lent."""

    @property
    def marker(self) -> str:
        """The step's marker."""

    @property
    def partition(self) -> str:
        """Partition of both accounts."""

    @property
    def forensic_account_id(self) -> str | None:
        """Account of the role."""

    @property
    def forensic_role(self) -> str:
        """Name of the role."""

    @property
    def transfer_key_name(self) -> str:
        """The transfer key as it is configured."""

    @property
    def transfer_key(self) -> Key | None:
        """The transfer key, once it is read."""


class Loan(Lender, Protocol):
    """A look at one snapshot that is lent, or is to be."""

    @property
    def shared(self) -> bool:
        """Whether the forensic account may use the snapshot."""

    @property
    def lent_key(self) -> Key | None:
        """The key that is lent with it; None: it is under none."""

    @property
    def grant_id(self) -> str | None:
        """Our grant on that key."""


def grant_name(marker: str) -> str:
    """Return the marker as a KMS grant name (``[a-zA-Z0-9:/_-]``, at most 256)."""
    return re.sub(r"[^a-zA-Z0-9:/_-]", "-", f"irrunner:run/{marker}")[:256]


def grant_on(api: ReadApi, key: Key | None, marker: str) -> str | None:
    """Return the id of the step's grant on a key; None where there is none, or the key is of no use."""
    if key is None or key.state != "Enabled":
        return None
    name = grant_name(marker)
    grants = api.pages("kms:ListGrants", "Grants", KeyId=key.arn)
    return next((grant["GrantId"] for grant in grants if grant.get("Name") == name), None)


def transfer_key_obstacle(state: Lender) -> str | None:
    """Return why the transfer key cannot be used, or None."""
    name = f"the transfer key {state.transfer_key_name} (forensics.transfer_kms_key)"
    key = state.transfer_key
    if found := obstacle(key, name):
        return found
    if key is not None and key.manager == "AWS":
        return f"{name} is an AWS managed key, which cannot be shared: name a customer key"
    return None


def lend(state: Loan, share: Call) -> tuple[Call, ...]:
    """Return the calls that lend what is not lent yet: the key, then the snapshot by ``share``."""
    key = state.lent_key
    keys = (lend_key(state, key),) if key is not None and state.grant_id is None else ()
    return (*keys, *(() if state.shared else (share,)))


def take_back(state: Loan, unshare: Call | None) -> tuple[Call, ...]:
    """Return the calls that end what is lent; ``unshare``: how, None where no snapshot is."""
    shares = (unshare,) if state.shared and unshare is not None else ()
    key = state.lent_key
    if state.grant_id is None or key is None:
        return shares
    return (*shares, return_key(key, state.grant_id))


def lend_key(state: Lender, key: Key) -> Call:
    """Let the forensic role use the key for the time of the copy.

    KMS answers the same name and parameters with the same grant, so that a repetition makes no second one.

    Source: AWS KMS API reference, CreateGrant, parameter Name.
    """
    role = f"arn:{state.partition}:iam::{state.forensic_account_id}:role/{state.forensic_role}"
    return Call(
        operation="kms:CreateGrant",
        params={
            "KeyId": key.arn,
            "GranteePrincipal": role,
            "Operations": list(KEY_USE),
            "Name": grant_name(state.marker),
        },
        target=key.arn,
        summary=f"Let {role} read data under {key.arn} until the copy is verified",
        after={"grantee": role},
        yields={GRANT.name: "GrantId"},
    )


def return_key(key: Key, grant: Id) -> Call:
    """Take the key back."""
    return Call(
        operation="kms:RevokeGrant",
        params={"KeyId": key.arn, "GrantId": grant},
        target=key.arn,
        summary=f"Revoke the grant on {key.arn}: the copy is under the forensic key",
        tolerate=("NotFoundException",),
    )
