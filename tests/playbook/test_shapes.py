"""Tests of shapes: annotations, and which fit where."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, NewType, Optional

import pytest
from pydantic import BaseModel, Field

from irrunner.playbook.shapes import (
    ANY,
    BOOL,
    DOUBLE,
    INT,
    NULL,
    STRING,
    Shape,
    fields_of,
    fits,
    list_of,
    map_of,
    models_of,
    shape_of,
)

Id = NewType("Id", str)


class Colour(StrEnum):
    """Words."""

    RED = "red"


class Inner(BaseModel):
    """Nested."""

    name: str


class Outer(BaseModel):
    """A model of models."""

    inner: Inner
    many: dict[str, list[Inner]]
    hidden: int = Field(default=0, exclude=True)


@pytest.mark.parametrize(
    ("annotation", "shape"),
    [
        (str, STRING),
        (Id, STRING),
        (Colour, STRING),
        (datetime, STRING),
        (Literal["a", "b"], STRING),
        (Literal["a", 1], ANY),
        (Annotated[int, Field(ge=1)], INT),
        (Optional[float], Shape("double", optional=True)),  # noqa: UP045 - both spellings exist
        (str | int, ANY),
        (tuple[bool, ...], list_of(BOOL)),
        (set[Annotated[str, Field()]], list_of(STRING)),
        (dict[str, float], map_of(DOUBLE)),
        (Any, ANY),
        (bytes, ANY),
    ],
)
def test_shape_of_an_annotation(annotation: Any, shape: Shape) -> None:
    """Python's annotations map onto the language's types."""
    assert shape == shape_of(annotation)


def test_models_are_found_in_models() -> None:
    """Every nested model is found; excluded fields are not seen."""
    assert {Outer, Inner} == set(models_of(Outer).values())
    assert list(fields_of(Outer)) == ["inner", "many"]


@pytest.mark.parametrize(
    ("given", "wanted", "fit"),
    [
        (STRING, STRING, True),
        (INT, DOUBLE, True),
        (DOUBLE, INT, False),
        (Shape("string", optional=True), STRING, False),
        (STRING, Shape("string", optional=True), True),
        (NULL, STRING, False),
        (NULL, Shape("string", optional=True), True),
        (list_of(STRING), list_of(INT), False),
        (list_of(ANY), list_of(INT), True),
        (map_of(STRING), map_of(STRING), True),
        (Shape("message", name="A"), Shape("message", name="B"), False),
    ],
)
def test_fits(given: Shape, wanted: Shape, fit: bool) -> None:  # noqa: FBT001 - a table's column
    """Null needs an optional place; whole numbers fit where doubles are wanted."""
    assert fit is fits(given, wanted)
