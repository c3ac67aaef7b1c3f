"""Which playbooks answer a finding, the most specific first."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator

from irrunner.errors import ExpressionFailed
from irrunner.findings.guardduty_types import successor
from irrunner.findings.model import Finding
from irrunner.findings.pattern import leaf_count, matches, stands_in_order
from irrunner.playbook.model import EventTrigger, Expr, FindingTrigger, Playbook

_LOG = logging.getLogger(__name__)

Specificity = tuple[int, int, int]
"""How narrowly a trigger names the finding; the larger wins.

(2, length, 0) an exact type; (1, literal characters before the first ``*``, literal characters in all) a
glob; (0, fields, 0) an event pattern. So the exact type is before any glob, the glob with the longer
prefix before the shorter, and a finding trigger before an event pattern.
"""

Holds = Callable[[Expr, Finding], bool]


def match(finding: Finding, playbooks: Iterable[Playbook], holds: Holds) -> list[Playbook]:
    """Return the playbooks with a trigger for the finding, in the order in which they are preferred.

    Args:
        finding: The finding.
        playbooks: The library.
        holds: Evaluates a trigger's ``when``.

    Returns:
        Most specific trigger first, then the higher ``priority``, then by id.

    Raises:
        ExpressionFailed: If a guard fails and no other trigger fires. A playbook with a broken guard, such as
            one about a tag that an attacker took off, must not keep another from answering; it is logged.
    """
    failures: list[ExpressionFailed] = []

    def asked(expr: Expr, about: Finding) -> bool:
        try:
            return holds(expr, about)
        except ExpressionFailed as failure:
            failures.append(failure)
            return False

    found = [(best, playbook) for playbook in playbooks if (best := specificity(finding, playbook, asked))]
    if failures and not found:
        raise failures[0]
    for failure in failures:
        _LOG.warning("a trigger was passed over, its condition failed: %s", failure)
    found.sort(key=lambda pair: pair[1].id)
    found.sort(key=lambda pair: (pair[0], pair[1].priority), reverse=True)
    return [playbook for _, playbook in found]


def specificity(finding: Finding, playbook: Playbook, holds: Holds) -> Specificity | None:
    """Return how specific the playbook's best trigger for the finding is; None if none fires."""
    return max(_fired(finding, playbook, holds), default=None)


def _fired(finding: Finding, playbook: Playbook, holds: Holds) -> Iterator[Specificity]:
    for trigger in playbook.triggers:
        found = _reach(trigger, finding)
        if found is not None and (trigger.when is None or holds(trigger.when, finding)):
            yield found


def _reach(trigger: FindingTrigger | EventTrigger, finding: Finding) -> Specificity | None:
    if isinstance(trigger, EventTrigger):
        return (0, leaf_count(trigger.pattern), 0) if matches(trigger.pattern, finding.raw) else None
    if trigger.source != finding.source:
        return None
    names = [name for name in (finding.type, successor(finding.type)) if name]
    fitting = (
        type_specificity(glob) for glob in trigger.types if any(type_matches(glob, name) for name in names)
    )
    return max(fitting, default=None)


def type_matches(glob: str, name: str) -> bool:
    """Return whether a type fits a glob: only ``*`` is special, case counts, ``/`` is no border."""
    return stands_in_order(glob.split("*"), name)


def type_specificity(glob: str) -> Specificity:
    """Return how specific a type or glob is."""
    before, star, _ = glob.partition("*")
    if not star:
        return 2, len(glob), 0
    return 1, len(before), len(glob) - glob.count("*")
