"""The gate plan: what an approval is bound to.

Made when the gate opens, shown, hashed; made again when somebody approves. Any difference but filled
tokens is a stale approval, and people are asked anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from irrunner.engine.loaded import LoadedRun
from irrunner.engine.planner import Planner, View
from irrunner.engine.scopes import Scopes, parent_of
from irrunner.engine.stepping import Services
from irrunner.journal.records import canonical, digest
from irrunner.playbook.model import Approve, Step


@dataclass(frozen=True, slots=True)
class GatePlan:
    """Plan of the steps behind a gate."""

    steps: tuple[Mapping[str, Any], ...]

    @property
    def sha256(self) -> str:
        """Return the hash that an approval names."""
        return digest(canonical(list(self.steps)))

    def as_dict(self) -> dict[str, Any]:
        """Return JSON-able data."""
        return {"steps": [dict(step) for step in self.steps]}

    def difference(self, shown: Mapping[str, Any]) -> tuple[str, ...]:
        """Return which steps differ from the plan that was shown, one line each."""
        before = {step["path"]: step for step in shown["steps"]}
        now = {step["path"]: step for step in self.steps}
        lines = []
        for path in sorted(before.keys() | now.keys()):
            if path not in now:
                lines.append(f"{path}: no longer in the plan")
            elif path not in before:
                lines.append(f"{path}: new in the plan")
            elif canonical(before[path]) != canonical(now[path]):
                changed = [key for key in now[path] if before[path].get(key) != now[path][key]]
                lines.append(f"{path}: {', '.join(changed)} changed")
        return tuple(lines)


def gate_plan(
    services: Services, run: LoadedRun, scopes: Scopes, path: str, step: Step, at: datetime
) -> GatePlan:
    """Make the plan of the steps behind a gate, from looks now.

    Args:
        services: Shared services.
        run: The run.
        scopes: Its expression scopes.
        path: Path of the ``approve`` step.
        step: The step.
        at: When the plan was shown: a cut-off in it (session revocation) must not make it stale by itself.
    """
    kind = step.kind
    steps = kind.then if isinstance(kind, Approve) else ()
    planner = Planner(services, run.facts, at)
    parent = parent_of(path)
    suffix = path.rpartition("/")[2].removeprefix(step.id)
    view = View(scopes.playbook(path), scopes.scope(path), f"{parent}/" if parent else "", suffix, path)
    planned = planner.sequence(view, steps)
    return GatePlan(
        tuple(entry.as_dict() | {"version": _version(services, entry.action)} for entry in planned)
    )


def _version(services: Services, action_id: str) -> int | None:
    return services.registry.get(action_id).contract if action_id else None
