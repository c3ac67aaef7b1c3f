"""Jira, Cloud and Server: one issue for each incident, found again by its label.

Nothing is made before a search has not found it, so that a crash between a request and its answer makes no
second issue or comment. The search of Jira lags behind its changes by seconds; the outbox waits a minute
after an answer was lost.

Source: Jira Cloud REST API v2 (search/jql, issue, comment, transitions); Jira Data Center REST API v2.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from irrunner.actions.channels import plain
from irrunner.journal.outbox import Delivery
from irrunner.settings import Tracker
from irrunner.tickets.http import Line, NotDelivered, Receipt

API: Final = "/rest/api/2"
SEARCH: Final[Mapping[str, str]] = {"jira-cloud": f"{API}/search/jql", "jira-server": f"{API}/search"}
SUMMARY_CHARACTERS: Final = 250
TEXT_CHARACTERS: Final = 30_000
ISSUE: Final = re.compile(r"[A-Z][A-Z0-9_]{0,63}-[0-9]{1,18}")
_NO_LABEL: Final = re.compile(r"[^A-Za-z0-9_.:-]+")
_FENCE: Final = re.compile(r"\{noformat\}", re.IGNORECASE)


class Jira:
    """Delivers to one project."""

    def __init__(self, tracker: Tracker, line: Line) -> None:
        """Keep project and line."""
        self._tracker, self._line = tracker, line

    def deliver(self, delivery: Delivery, reference: str) -> Receipt:
        """Make the issue, comment it, or close it; each once.

        Args:
            delivery: What.
            reference: The incident's issue, where it is known.

        Raises:
            NotDelivered: If Jira did not take it.
        """
        known = reference if ISSUE.fullmatch(reference) else self._find(delivery.incident)
        if delivery.kind == "create":
            issue = known or self._create(delivery)
        else:
            issue = known
            if not issue:
                raise NotDelivered(f"project {self._tracker.project} has no issue for {delivery.incident}")
            self._comment(issue, delivery)
        if delivery.kind == "close":
            self._close(issue)
        return Receipt(issue, f"{self._tracker.url.rstrip('/')}/browse/{issue}")

    def _find(self, incident: str) -> str:
        """Return the oldest issue that is labelled with the incident, or an empty text."""
        jql = f'project = "{self._tracker.project}" AND labels = "{label(incident)}" ORDER BY created ASC'
        body = json.dumps({"jql": jql, "fields": ["key"], "maxResults": 1}).encode()
        # a search changes nothing, though it is a POST
        try:
            found = self._line.ask("POST", SEARCH[self._tracker.kind], body=body)
        except NotDelivered as problem:
            raise NotDelivered(f"search: {problem.reason}") from None
        issues = _field(found, "issues") or []
        return _issue_key(issues[0]) if issues else ""

    def _create(self, delivery: Delivery) -> str:
        said = delivery.body
        extra = [label(str(name)) for name in said.get("labels", ())]
        fields = {
            "project": {"key": self._tracker.project},
            "issuetype": {"name": self._tracker.issue_type},
            "summary": plain(" ".join(str(said["title"]).split()), SUMMARY_CHARACTERS),
            "description": verbatim(str(said["body"])),
            "labels": list(dict.fromkeys(["irrunner", label(delivery.incident), *extra])),
        }
        if said.get("priority"):
            fields["priority"] = {"name": str(said["priority"])}
        made = self._line.ask("POST", f"{API}/issue", body=json.dumps({"fields": fields}).encode())
        key = _issue_key(made)
        if not key:
            raise NotDelivered("Jira answered without the key of an issue", uncertain=True)
        return key

    def _comment(self, issue: str, delivery: Delivery) -> None:
        """Comment unless the comment is there: it ends with the delivery's key."""
        text = str(delivery.body.get("body", ""))
        if not text:
            return
        latest = f"{API}/issue/{issue}/comment?orderBy=-created&maxResults=100"
        there = _field(self._line.ask("GET", latest), "comments") or []
        mark = f"irrunner {delivery.key}"
        if any(mark in str(_field(comment, "body")) for comment in there):
            return
        body = json.dumps({"body": f"{verbatim(text)}\n{mark}"}).encode()
        self._line.ask("POST", f"{API}/issue/{issue}/comment", body=body)

    def _close(self, issue: str) -> None:
        """Take the transition to a status that counts as done; an issue that is done already stays so."""
        status = _field(self._line.ask("GET", f"{API}/issue/{issue}?fields=status"), "fields")
        if _is_done(_field(status, "status")):
            return
        path = f"{API}/issue/{issue}/transitions"
        offered = _field(self._line.ask("GET", path), "transitions") or []
        chosen = [each for each in offered if self._closes(each)]
        if not chosen:
            names = ", ".join(str(_field(each, "name")) for each in offered)
            raise NotDelivered(f"{issue} has no transition to a done status; it has: {names}")
        body = json.dumps({"transition": {"id": str(chosen[0]["id"])}}).encode()
        self._line.ask("POST", path, body=body)

    def _closes(self, transition: Any) -> bool:
        wanted = self._tracker.close_transition
        if wanted:
            return bool(_field(transition, "name") == wanted)
        return _is_done(_field(transition, "to"))


def label(text: str) -> str:
    """Return a label: Jira allows no blanks, and a query must not end in it."""
    return _NO_LABEL.sub("-", text)[:255] or "-"


def verbatim(text: str) -> str:
    """Return text that Jira shows as it is: no mention, link, image or macro of an attacker's."""
    return f"{{noformat}}\n{_FENCE.sub('(noformat)', plain(text, TEXT_CHARACTERS))}\n{{noformat}}"


def _field(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else None


def _issue_key(value: Any) -> str:
    key = str(_field(value, "key") or "")
    return key if ISSUE.fullmatch(key) else ""


def _is_done(status: Any) -> bool:
    return bool(_field(_field(status, "statusCategory"), "key") == "done")
