"""Network policies: the one that denies everything to one pod, and which others would still let it speak."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

ISOLATED: Final = "irrunner.io/isolated"
"""Label by which the policy selects; its value is the pod's uid, so that no two pods share a policy."""
_BOTH: Final = ("Ingress", "Egress")


def policy_name(uid: str) -> str:
    """Return the name of a pod's policy."""
    return f"irrunner-isolate-{uid}"


def deny_all(uid: str) -> dict[str, Any]:
    """Return the spec that denies all traffic of the pods with the label.

    Source: Kubernetes documentation, "Network Policies": a pod that is selected for a direction has only
    what some policy allows there, and this one allows nothing.
    """
    return {"podSelector": {"matchLabels": {ISOLATED: uid}}, "policyTypes": list(_BOTH)}


def denies_all(spec: Mapping[str, Any], uid: str) -> bool:
    """Return whether a policy as read back still denies everything to the pod."""
    return (
        spec.get("podSelector") == deny_all(uid)["podSelector"]
        and set(spec.get("policyTypes") or ()) == set(_BOTH)
        and not spec.get("ingress")
        and not spec.get("egress")
    )


def lets_through(spec: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Return whether a policy selects a pod with these labels and allows it something: policies add up."""
    return bool(spec.get("ingress") or spec.get("egress")) and selects(spec.get("podSelector") or {}, labels)


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Return whether a label selector matches.

    Source: Kubernetes documentation, "Labels and Selectors", set-based requirements.
    """
    wanted = selector.get("matchLabels") or {}
    return wanted.items() <= labels.items() and all(
        _meets(requirement, labels) for requirement in selector.get("matchExpressions") or ()
    )


def _meets(requirement: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, values = requirement["key"], requirement.get("values") or ()
    return {
        "In": key in labels and labels[key] in values,
        "NotIn": key not in labels or labels[key] not in values,
        "Exists": key in labels,
        "DoesNotExist": key not in labels,
    }.get(requirement["operator"], True)
