"""The words of the language: keys of each mapping, patterns of ids, defaults. Read by loader and schema."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

SCHEMA: Final = "irrunner/v1"
STEP_ID = re.compile(r"[a-z][a-z0-9_]{0,62}")
PLAYBOOK_ID = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+){0,15}")
VERSION = re.compile(r"[0-9]{1,6}\.[0-9]{1,6}\.[0-9]{1,6}")
TECHNIQUE = re.compile(r"T[0-9]{4}(\.[0-9]{3})?")
REFERENCE = re.compile(r"https?://[^\s<>]{1,2000}")
CEL_WORDS = frozenset({
    "as", "break", "const", "continue", "else", "false", "for", "function", "if", "import", "in", "let",
    "loop", "namespace", "null", "package", "return", "true", "var", "void", "while",
    "bool", "bytes", "double", "duration", "dyn", "has", "all", "exists", "exists_one", "filter", "map",
    "int", "json", "list", "matches", "null_type", "size", "string", "timestamp", "type", "uint",
    "finding", "inputs", "steps", "run", "index", "poll", "item",
})  # fmt: skip
"""Reserved words, functions and macros of CEL, and our own variables: no id may be one of them."""
CEL_LITERALS = frozenset({"false", "in", "null", "true"})
"""What no field may be called, such as an output: CEL cannot select it."""
LOOP_WORDS = CEL_WORDS - {"item"}
"""``as`` may be ``item``: it is the default."""

PLAYBOOK_KEYS = (
    "schema", "id", "version", "title", "owner", "description", "references", "techniques", "triggers",
    "inputs", "outputs", "limits", "objectives", "order", "priority", "deadline",
    "reopen_after", "steps", "on_failure", "finally", "tests",
)  # fmt: skip
MODIFIERS = ("id", "title", "phase", "when", "for_each", "as", "at_most", "on_failure")
KIND_KEYS: Mapping[str, tuple[str, ...]] = MappingProxyType({
    "uses": ("with", "exempt", "expires_after", "timeout", "retry"),
    "approve": ("then", "otherwise"),
    "parallel": (),
    "choose": ("otherwise",),
    "wait": (),
    "run": ("with", "timeout"),
    "manual": (),
})  # fmt: skip
"""Step kind to the keys that only it (beside the modifiers) may have."""
STEP_KEYS = tuple(
    dict.fromkeys([*MODIFIERS, *KIND_KEYS, *(key for keys in KIND_KEYS.values() for key in keys)])
)
APPROVE_KEYS = ("message", "from", "within", "escalate", "minimum")
WAIT_KEYS = ("until", "uses", "with", "every", "timeout")
MANUAL_KEYS = ("instruction", "by", "within")
RETRY_KEYS = ("attempts", "backoff")
INPUT_KEYS = ("type", "from", "default", "description")
TEST_KEYS = (
    "name", "description", "finding", "event", "inputs", "world", "faults", "approvals", "expect",
)  # fmt: skip
OBJECTIVES = ("contain", "evidence")
LIMITS = ("resources",)
ORDERS = ("evidence-first", "contain-first")
SOURCES = (
    "guardduty", "securityhub", "cloudtrail", "config", "macie", "inspector", "access-analyzer", "health",
    "cloudwatch", "ec2", "custom",
)  # fmt: skip

APPROVE_WITHIN_S = 30 * 60.0
MANUAL_WITHIN_S = 24 * 3600.0
POLL_EVERY_S = 10.0
POLL_TIMEOUT_S = 600.0
DEADLINE_S = 24 * 3600.0
REOPEN_AFTER_S = 24 * 3600.0
AT_MOST = 10
MAX_AT_MOST = 1000
