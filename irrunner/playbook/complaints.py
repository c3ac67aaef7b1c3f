"""CEL's complaints, reworded for people who write playbooks."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from irrunner.playbook.problems import did_you_mean
from irrunner.playbook.shapes import Shape

_COMPLAINT = re.compile(r"ERROR: <input>:(\d+):(\d+): (.*)")
_FIELD = re.compile(r"undefined field '([^']*)' not found in struct 'irr\.([^']*)'")
_NAME = re.compile(r"undeclared reference to '([^']*)'")
_SELECT = re.compile(r"expression of type '([^']*)' cannot be the operand of a select operation")
_OVERLOAD = re.compile(r"found no matching overload for '([^']*)' applied to '(.*?)'")
_EXPECTING = re.compile(r" expecting .*")
_OPERATORS = re.compile(r"^_?([^_\w]+)_?$")
_STATUS = re.compile(r"^[A-Z_]+: |\s*\[[A-Z_]+\]$")
LONGEST = 300
_NAMED_RECORDS = {"Steps": "there is no step {0!r}", "Inputs": "there is no input {0!r}"}


@dataclass(frozen=True, slots=True)
class Complaint:
    """One complaint: 1-based line and column inside the expression."""

    line: int
    column: int
    rule: str
    message: str
    name: str = ""
    """The unknown name, for complaints about one."""


def complaints_of(
    text: str, variables: Sequence[str], fields: Callable[[str], Mapping[str, Shape]]
) -> tuple[Complaint, ...]:
    """Return the complaints of CEL's error text.

    Args:
        text: As raised by ``compile``.
        variables: Names in scope, for suggestions.
        fields: Record name to its fields.
    """
    found = tuple(
        _complaint(int(match[1]), int(match[2]), match[3], variables, fields)
        for match in _COMPLAINT.finditer(text)
        if "'*error*'" not in match[3]
    )
    return found or (
        Complaint(1, 1, "expression-syntax", _STATUS.sub("", text.split("\n", maxsplit=1)[0])[:LONGEST]),
    )


def _complaint(
    line: int, column: int, text: str, variables: Sequence[str], fields: Callable[[str], Mapping[str, Shape]]
) -> Complaint:
    if match := _FIELD.search(text):
        known = fields(match[2])
        what = _NAMED_RECORDS.get(match[2], "there is no field {0!r}").format(match[1])
        hint = did_you_mean(match[1], known) or f"; there are {', '.join(known) or 'none'}"[:LONGEST]
        return Complaint(line, column, "expression-name", what + hint, match[1])
    if match := _NAME.search(text):
        name = match[1].split(".")[0]
        hint = did_you_mean(name, variables) or f"; here are {', '.join(variables)}"
        return Complaint(line, column, "expression-name", f"there is no {name!r} here{hint}", name)
    if match := _SELECT.search(text):
        message = f"a {match[1].replace('irr.', '')} has no fields"
        return Complaint(line, column, "expression-type", message)
    if match := _OVERLOAD.search(text):
        return Complaint(line, column, "expression-type", _overload(match[1], match[2]))
    rule = "expression-syntax" if "Syntax error" in text else "expression-type"
    return Complaint(line, column, rule, _EXPECTING.sub("", _STATUS.sub("", text))[:LONGEST])


def _overload(function: str, arguments: str) -> str:
    operator = _OPERATORS.match(function)
    name = f"`{operator[1]}`" if operator else f"{function}()"
    message = f"{name} does not take {arguments.replace('irr.', '')}"
    if arguments in {"(double, int)", "(int, double)"}:
        return f"{message}; write the whole number as a double: 4.0, not 4"
    if "wrapper(" in arguments:
        return f"{message}; a value that may be null needs has(x) ? x : ..."
    return message


def runtime_message(text: str) -> str:
    """Return a run-time error without CEL's status word, bounded: it may hold hostile text."""
    message = _STATUS.sub("", text)
    if "Key not found" in message:
        message += "; test with has() or `in` first"
    return message[:LONGEST]
