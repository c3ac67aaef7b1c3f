"""Policy documents: compared as JSON, whatever IAM does to their text."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irrunner.actions.iam.documents import decoded, on, text_of
from irrunner.aws.policy import resource

DOCUMENT = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "a+b%20c"}]}
VALUES = st.recursive(
    st.text() | st.booleans() | st.integers(), lambda inner: st.lists(inner, max_size=3), max_leaves=5
)


@pytest.mark.parametrize(
    "answer", [DOCUMENT, json.dumps(DOCUMENT), json.dumps(DOCUMENT, indent=4), quote(json.dumps(DOCUMENT))]
)
def test_all_forms_of_an_answer_are_one_document(answer: Any) -> None:
    """Decoded by botocore, plain, indented or URL-encoded: the JSON is the same."""
    assert decoded(answer) == DOCUMENT


@given(st.dictionaries(st.text(), VALUES, max_size=4))
@settings(max_examples=60, deadline=None)
def test_any_document_survives_iam(document: dict[str, Any]) -> None:
    """What is put back by undo is what was there, with pluses, percents and all."""
    assert decoded(quote(text_of(document))) == document
    assert decoded(text_of(document)) == document


def test_text_that_is_no_document_is_kept() -> None:
    """A document that cannot be read is never equal to ours, and can be put back."""
    kept = decoded("%7Bnot json")

    assert kept == {"unreadable": "%7Bnot json"}
    assert text_of(kept) == "{not json"


def test_permissions_cover_any_path_and_no_other_name() -> None:
    """A role's ARN holds its path; a pattern must not match longer names."""
    patterns = [resource(item.resource, {"partition": "aws", "account": "1", "role_name": "web"})
                for item in on("role", "role_name", "look", "iam:GetRole")]  # fmt: skip

    assert patterns == ["arn:aws:iam::1:role/web", "arn:aws:iam::1:role/*/web"]
