"""``aws.iam.list-mfa-devices``: the MFA devices of a user, and which of them came after an instant."""

from __future__ import annotations

from irrunner.actions.contract import Action, Decision, LookContext, Model, Settled, State, Where
from irrunner.actions.iam.documents import on
from irrunner.actions.ids import Instant, UserName
from irrunner.actions.registry import action
from irrunner.clock import iso, parse_iso
from irrunner.vocabulary import Phase, Risk, UndoPolicy


class ListMfaDevicesParams(Model):
    """Parameters of ``aws.iam.list-mfa-devices``."""

    user_name: UserName
    since: Instant | None = None
    """When the incident began: a device enabled after it may be the intruder's."""


class MfaDevice(Model):
    """A device."""

    serial_number: str
    """An ARN for a virtual device and a security key, a number for a hardware token."""
    enabled_at: str
    kind: str
    """``virtual``, ``security-key`` or ``hardware``."""


class ListMfaDevicesState(State):
    """The devices."""

    user_name: str
    devices: tuple[MfaDevice, ...]


class ListMfaDevicesOutputs(Model):
    """Outputs of ``aws.iam.list-mfa-devices``."""

    user_name: str
    devices: list[MfaDevice]
    added_since: list[str]
    """Serial numbers of those enabled at ``since`` or after; empty without an instant."""


@action(
    "aws.iam.list-mfa-devices",
    title="List the MFA devices of a user",
    phase=Phase.ANALYSIS,
    risk=Risk.NONE,
    permissions=on("user", "user_name", "look", "iam:ListMFADevices"),
    undo=UndoPolicy.NEVER,
    undo_note="Reads only: there is nothing to put back.",
    timeout_s=60.0,
    sources=("https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListMFADevices.html",),
)
class ListMfaDevices(Action[ListMfaDevicesParams, ListMfaDevicesState]):
    """An intruder who registers a device of his own keeps the account through a change of password."""

    Params = ListMfaDevicesParams
    Outputs = ListMfaDevicesOutputs
    StateModel = ListMfaDevicesState

    def look(self, ctx: LookContext, params: ListMfaDevicesParams) -> ListMfaDevicesState:
        """List the devices, the newest first."""
        found = ctx.api.pages("iam:ListMFADevices", "MFADevices", UserName=params.user_name)
        devices = (
            MfaDevice(
                serial_number=raw["SerialNumber"],
                enabled_at=iso(raw["EnableDate"]),
                kind=kind_of(raw["SerialNumber"]),
            )
            for raw in found
        )
        newest = sorted(devices, key=lambda device: (device.enabled_at, device.serial_number), reverse=True)
        return ListMfaDevicesState(user_name=params.user_name, devices=tuple(newest))

    def decide(self, params: ListMfaDevicesParams, state: ListMfaDevicesState) -> Decision:
        """Settle at once."""
        since = parse_iso(params.since) if params.since else None
        added = [
            device.serial_number
            for device in state.devices
            if since is not None and parse_iso(device.enabled_at) >= since
        ]
        outputs = ListMfaDevicesOutputs(
            user_name=state.user_name, devices=list(state.devices), added_since=added
        )
        warning = f"enabled since {params.since}: {', '.join(added)}; ask the user whether they are hers"
        return Settled(outputs, (warning,) if added else ())

    def targets(self, params: ListMfaDevicesParams, where: Where) -> tuple[str, ...]:
        """Return nothing: reads only."""
        return ()


def kind_of(serial_number: str) -> str:
    """Return what a device is by its serial number.

    Source: IAM API reference, MFADevice: "for virtual MFA devices, the serial number is the device ARN".
    """
    if ":mfa/" in serial_number:
        return "virtual"
    return "security-key" if ":u2f/" in serial_number else "hardware"
