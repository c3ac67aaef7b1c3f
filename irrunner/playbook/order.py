"""Rules of order between actions, as data: traps of AWS that no type can show.

Each rule says which actions, under which condition, must come after which others, what goes wrong
otherwise, and the AWS page that says so. ``exempt: reason`` on the step waives them, visibly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Literal, TypeAlias

from irrunner.playbook.document import Draft
from irrunner.playbook.model import Playbook, Run, Step, Text, Uses, Value, WaitUntil
from irrunner.playbook.problems import Problem
from irrunner.playbook.sites import Visit, end_of, expressions_in

Globs: TypeAlias = tuple[str, ...]
_ISOLATES: Globs = ("aws.ec2.isolate-instance", "aws.ec2.quarantine-subnet")
_CUTS: Globs = (
    *_ISOLATES,
    "aws.ec2.stop-*",
    "aws.ec2.terminate-*",
    "aws.ec2.reboot-*",
    "aws.ec2.remove-instance-profile",
    "aws.ec2.replace-instance-profile",
)
"""What takes a host's agent, its memory, or its right to upload."""
_SNAPSHOTS: Globs = ("aws.ebs.snapshot-instance", "aws.ebs.await-snapshots")
_ACQUIRES: Globs = ("forensics.acquire-volumes",)
"""Takes snapshots of its own; it is done when they are copied."""
_KEPT_FROM_GROUP: Globs = (
    "aws.autoscaling.enter-standby",
    "aws.autoscaling.detach-instance",
    "aws.autoscaling.suspend-processes",
)
_DEREGISTERED: Globs = ("aws.elb.deregister-instance", "aws.elbv2.deregister-instance")
_REVOKE = "aws.iam.revoke-role-sessions"
_RESTRICT = "aws.iam.restrict-role-trust"
_REVOKE_SOURCE = "https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_revoke-sessions.html"


@dataclass(frozen=True, slots=True)
class OrderRule:
    """``action`` must come after one of ``after``.

    Args:
        rule: Stable id.
        action: What the rule is about.
        after: What must come before.
        how: ``certain``: it must have succeeded on every way here. ``earlier``: if the playbook does it, then
            on some way here, and not beside it in a ``parallel``; behind a ``run`` too. ``anywhere``: the
            playbook must do it at all.
        given: Only in playbooks that use one of these (else: always).
        waived_by_order: ``order:`` value that waives the rule.
        severity: A warning is shown, and loads.
        message: What goes wrong and what to do.
        source: The AWS page.
    """

    rule: str
    action: Globs
    after: Globs
    how: Literal["certain", "earlier", "anywhere"]
    message: str
    source: str
    given: Globs = ()
    waived_by_order: str = ""
    severity: Literal["error", "warning"] = "error"


RULES: tuple[OrderRule, ...] = (
    OrderRule(
        rule="order-snapshot-before-stop",
        action=("aws.ec2.stop-*", "aws.ec2.terminate-*", "aws.ec2.reboot-*"),
        after=(*_SNAPSHOTS, *_ACQUIRES),
        how="certain",
        message="stopping destroys memory and instance stores; take a snapshot before"
        " (aws.ebs.snapshot-instance, then aws.ebs.await-snapshots)",
        source="https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/terminating-instances.html",
    ),
    OrderRule(
        rule="order-verified-before-terminate",
        action=("aws.ec2.terminate-*", "aws.ebs.delete-*"),
        after=("aws.ebs.await-snapshots", "aws.ebs.copy-to-forensics"),
        how="certain",
        message="an accepted snapshot may still end in error; await it before the volumes go"
        " (aws.ebs.await-snapshots)",
        source="https://docs.aws.amazon.com/ebs/latest/userguide/ebs-creating-snapshot.html",
    ),
    OrderRule(
        rule="order-snapshot-before-isolate",
        action=_ISOLATES,
        after=("aws.ebs.snapshot-instance",),
        how="earlier",
        given=("aws.ebs.snapshot-instance",),
        waived_by_order="contain-first",
        message="isolation makes the host unhealthy, and Auto Scaling may terminate it with its volumes;"
        " snapshot first, or write `order: contain-first`",
        source="https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_ChangingDisableAPITermination.html",
    ),
    OrderRule(
        rule="order-memory-before-cut",
        action=_CUTS,
        after=("aws.ssm.capture-memory",),
        how="earlier",
        given=("aws.ssm.capture-memory",),
        waived_by_order="contain-first",
        message="an isolated or stopped host has lost its SSM agent or its memory, and one without a profile"
        " cannot upload; capture memory first (aws.ssm.capture-memory), or write `order: contain-first`",
        source="https://docs.aws.amazon.com/systems-manager/latest/userguide/setup-instance-permissions.html",
    ),
    OrderRule(
        rule="order-triage-before-cut",
        action=_CUTS,
        after=("aws.ssm.collect-live-triage",),
        how="earlier",
        given=("aws.ssm.collect-live-triage",),
        waived_by_order="contain-first",
        message="an isolated or stopped host answers no questions; ask before (aws.ssm.collect-live-triage),"
        " or write `order: contain-first`",
        source="https://docs.aws.amazon.com/systems-manager/latest/userguide/setup-instance-permissions.html",
    ),
    OrderRule(
        rule="isolate-without-snapshot",
        action=("aws.ec2.isolate-instance",),
        after=("aws.ebs.snapshot-instance", *_ACQUIRES),
        how="anywhere",
        severity="warning",
        message="nothing keeps the host's disks, and Auto Scaling may terminate an isolated host with its"
        " volumes; snapshot too (aws.ebs.snapshot-instance), or write `exempt: reason`",
        source="https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_ChangingDisableAPITermination.html",
    ),
    OrderRule(
        rule="order-standby-before-isolate",
        action=(*_ISOLATES, "aws.ec2.stop-*"),
        after=_KEPT_FROM_GROUP,
        how="earlier",
        given=_KEPT_FROM_GROUP,
        message="a host that is cut off, or stopped, fails its health check, and its Auto Scaling group may "
        "terminate it meanwhile; put it into Standby, detach it, or suspend the group's processes before",
        source="https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-health-checks.html",
    ),
    OrderRule(
        rule="order-deregister-before-isolate",
        action=(*_ISOLATES, "aws.ec2.stop-*"),
        after=_DEREGISTERED,
        how="earlier",
        given=_DEREGISTERED,
        waived_by_order="contain-first",
        message="load balancers send requests to a host that is cut off until it fails their checks; "
        "deregister it before, or write `order: contain-first`",
        source="https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_DeregisterTargets.html",
    ),
    OrderRule(
        rule="order-profile-before-revoke",
        action=("aws.iam.revoke-role-sessions",),
        after=("aws.ec2.*-instance-profile",),
        how="earlier",
        given=("aws.ec2.isolate-instance", "aws.ec2.*-instance-profile"),
        message="the instance fetches new sessions from IMDS at once, isolated or not; take its profile off"
        " before sessions are revoked (aws.ec2.remove-instance-profile, aws.ec2.replace-instance-profile)",
        source=_REVOKE_SOURCE,
    ),
    OrderRule(
        rule="order-copy-after-snapshot",
        action=("aws.ebs.copy-to-forensics", "aws.ebs.share-*"),
        after=_SNAPSHOTS,
        how="certain",
        message="CopySnapshot needs a completed snapshot; put aws.ebs.snapshot-instance or"
        " aws.ebs.await-snapshots before",
        source="https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CopySnapshot.html",
    ),
    OrderRule(
        rule="order-lock-before-copy",
        action=("aws.ebs.copy-to-forensics", "aws.ebs.share-*"),
        after=("aws.ebs.lock-snapshots",),
        how="earlier",
        given=("aws.ebs.lock-snapshots",),
        severity="warning",
        message="until its copy is complete, whoever is in the account can delete the snapshot; lock it"
        " before (aws.ebs.lock-snapshots takes pending ones, too), or write `exempt: reason`",
        source="https://docs.aws.amazon.com/ebs/latest/userguide/ebs-snapshot-lock.html",
    ),
    OrderRule(
        rule="order-door-before-revoke",
        action=(_REVOKE,),
        after=(_RESTRICT,),
        how="earlier",
        given=(_RESTRICT,),
        severity="warning",
        message="whoever may still assume the role gets a session newer than the cut-off; restrict its trust"
        " before (aws.iam.restrict-role-trust), or revoke once more after it and write `exempt: reason` here",
        source=_REVOKE_SOURCE,
    ),
    OrderRule(
        rule="order-assignment-before-revoke",
        action=("aws.sso-admin.revoke-permission-set-sessions",),
        after=("aws.sso-admin.remove-account-assignment",),
        how="earlier",
        given=("aws.sso-admin.remove-account-assignment",),
        severity="warning",
        message="who is still assigned signs in again, into a session newer than the cut-off; remove the"
        " assignment before (aws.sso-admin.remove-account-assignment), or write `exempt: reason`",
        source="https://docs.aws.amazon.com/singlesignon/latest/userguide/useraccess.html",
    ),
    OrderRule(
        rule="order-await-after-snapshot",
        action=("aws.ebs.await-snapshots",),
        after=("aws.ebs.snapshot-instance",),
        how="earlier",
        given=("aws.ebs.snapshot-instance",),
        message="nothing to await yet; put aws.ebs.snapshot-instance before",
        source="https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateSnapshots.html",
    ),
    OrderRule(
        rule="key-needs-user-deny",
        action=("aws.iam.deactivate-access-key",),
        after=("aws.iam.quarantine-user",),
        how="anywhere",
        severity="warning",
        message="sessions got with the key (GetSessionToken, GetFederationToken) outlive it; deny the"
        " user too (aws.iam.quarantine-user)",
        source="https://docs.aws.amazon.com/IAM/latest/UserGuide/"
        "id_credentials_temp_control-access_disable-perms.html",
    ),
)


def check_order(
    draft: Draft, visits: tuple[Visit, ...], promised: Callable[[Visit], frozenset[str]]
) -> Iterator[Problem]:
    """Yield the problems of order of a playbook.

    Args:
        draft: The playbook.
        visits: Its steps with what is in sight.
        promised: Steps that the conditions around a step make sure of.
    """
    playbook = draft.playbook
    steps = {step.id: step for step in playbook.walk()}
    everything = _union(actions_of(step, playbook.callees) for step in steps.values())
    for visit in visits:
        step = visit.step
        acting = _acting(step, playbook.callees)
        ruled = [rule for rule in RULES if any(_matches(rule.action, action) for action in acting)]
        if not ruled:
            continue
        before = visit.view.certain | promised(visit)
        possible = [steps[name] for name in before | visit.view.possible if name in steps]
        seen = {
            "certain": _union(
                _certain_actions(steps[name], playbook.callees) for name in before if name in steps
            ),
            "earlier": _union(_all_actions(each, playbook.callees) for each in possible),
            "anywhere": everything,
        }
        for rule in ruled:
            if _breaks(rule, step, playbook, seen):
                place = draft.place(step.place, _PARTS[type(step.kind)])
                yield Problem(place, rule.rule, f"{rule.message}. Source: {rule.source}", rule.severity)
        if isinstance(step.kind, Uses):
            yield from _revokes_user(draft, step, step.kind)


_PARTS: Mapping[type, str] = MappingProxyType({Uses: "uses", Run: "run"})


def _union(sets: Iterable[frozenset[str]]) -> frozenset[str]:
    return frozenset().union(*sets)


def _certain_actions(step: Step, callees: Mapping[str, Playbook]) -> frozenset[str]:
    """Return the actions that a step has done whenever it has succeeded; a callee may pass some over."""
    if not isinstance(step.kind, Run) or step.kind.playbook not in callees:
        return actions_of(step, callees)
    callee = callees[step.kind.playbook]
    certain = end_of(callee).certain
    return _union(_certain_actions(inner, callee.callees) for inner in callee.walk() if inner.id in certain)


def _acting(step: Step, callees: Mapping[str, Playbook]) -> frozenset[str]:
    """Return the actions of a step, or of its callee, that no reason exempts."""
    kind = step.kind
    if isinstance(kind, Uses):
        return frozenset() if kind.exempt else frozenset({kind.action})
    if isinstance(kind, Run) and kind.playbook in callees:
        callee = callees[kind.playbook]
        return _union(_acting(inner, callee.callees) for inner in callee.walk())
    return frozenset()


def _all_actions(step: Step, callees: Mapping[str, Playbook]) -> frozenset[str]:
    """Return the actions that a step may have done; those inside a ``for_each`` are named by it."""
    inner = (child for sequence in step.children() for child in sequence) if step.for_each else ()
    return actions_of(step, callees) | _union(_all_actions(child, callees) for child in inner)


def _breaks(rule: OrderRule, step: Step, playbook: Playbook, seen: Mapping[str, frozenset[str]]) -> bool:
    orders = {playbook.order}
    if isinstance(step.kind, Run):  # what a callee must do in its own order is checked where it is written
        callee = playbook.callees[step.kind.playbook]
        orders.add(callee.order)
        if rule.how != "earlier" or any(
            _matches(rule.after, other) for other in actions_of(step, playbook.callees)
        ):
            return False
    if rule.waived_by_order in orders:
        return False
    if rule.given and not any(_matches(rule.given, other) for other in seen["anywhere"]):
        return False
    return not any(_matches(rule.after, other) for other in seen[rule.how])


def _matches(globs: Globs, action: str) -> bool:
    return any(fnmatchcase(action, glob) for glob in globs)


def actions_of(step: Step, callees: Mapping[str, Playbook]) -> frozenset[str]:
    """Return the actions that a step may do: its own, or those of its callee."""
    kind = step.kind
    if isinstance(kind, Uses):
        return frozenset({kind.action})
    if isinstance(kind, Run) and kind.playbook in callees:
        callee = callees[kind.playbook]
        return frozenset().union(*(actions_of(inner, callee.callees) for inner in callee.walk()))
    return frozenset()


def used_actions(playbook: Playbook) -> frozenset[str]:
    """Return every action that a run of the playbook may do or poll, in callees too."""
    steps = [step for each in playbook.closure().values() for step in each.walk()]
    polled = frozenset(step.kind.action for step in steps if isinstance(step.kind, WaitUntil))
    return _union(actions_of(step, playbook.callees) for step in steps) | polled


def _revokes_user(draft: Draft, step: Step, kind: Uses) -> Iterator[Problem]:
    """A deny on aws:TokenIssueTime does nothing to a user's long-term keys: they have no such key."""
    if kind.action != _REVOKE:
        return
    users = {each.name for each in draft.playbook.inputs.values() if each.type.startswith("iam.user-name")}
    for name, value in kind.params.items():
        if _names_user(value, users):
            message = (
                "a deny on aws:TokenIssueTime does nothing to a user's long-term keys; use"
                f" aws.iam.quarantine-user. Source: {_REVOKE_SOURCE}"
            )
            yield Problem(draft.place(step.place, f"with.{name}"), "revoke-names-user", message)


def _names_user(value: Value | Text, users: set[str]) -> bool:
    wanted = {"finding.resource.user_name", *(f"inputs.{name}" for name in users)}
    return any(expr.source in wanted for _, expr, _ in expressions_in(value))
