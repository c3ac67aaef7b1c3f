"""Shapes: the types that the language knows, and how Python annotations map onto them.

One small vocabulary serves the loader (which scalars stay text), the checker (does this expression fit
that parameter), the protobuf messages that expressions see, and the JSON Schema for editors.
"""

from __future__ import annotations

import datetime as dt
import enum
import types
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, TypeAlias, Union, get_args, get_origin

from pydantic import BaseModel

ShapeKind: TypeAlias = Literal["string", "int", "double", "bool", "null", "list", "map", "message", "any"]


@dataclass(frozen=True, slots=True)
class Shape:
    """A type of the language.

    Args:
        kind: ``any`` is "known only at run time".
        optional: Whether null is a value.
        element: Of a list, or of a map's values (keys are strings).
        name: Of a message: what identifies it.
    """

    kind: ShapeKind
    optional: bool = False
    element: Shape | None = None
    name: str = ""

    def __str__(self) -> str:
        """Return the type as a person writes it: ``list<string>``, ``string or null``."""
        inner = f"<{'string, ' if self.kind == 'map' else ''}{self.element}>" if self.element else ""
        text = (self.name if self.kind == "message" and self.name else self.kind) + inner
        return f"{text} or null" if self.optional and self.kind != "null" else text


STRING = Shape("string")
INT = Shape("int")
DOUBLE = Shape("double")
BOOL = Shape("bool")
ANY = Shape("any")
NULL = Shape("null", optional=True)
EMBEDDABLE = frozenset({"string", "int", "bool"})
"""What may stand inside a text."""

_SCALARS: Mapping[type, Shape] = types.MappingProxyType({
    str: STRING, bool: BOOL, int: INT, float: DOUBLE, dt.datetime: STRING, dt.timedelta: DOUBLE,
    type(None): NULL,
})  # fmt: skip
_SEQUENCES = frozenset({list, tuple, set, frozenset})
_UNIONS = frozenset({Union, types.UnionType})


def list_of(element: Shape) -> Shape:
    """Return the shape of a list."""
    return Shape("list", element=element)


def map_of(element: Shape) -> Shape:
    """Return the shape of a mapping from strings."""
    return Shape("map", element=element)


def fields_of(model: type[BaseModel]) -> Mapping[str, Shape]:
    """Return the shapes of a pydantic model's fields (those that are serialised)."""
    return _fields_of(model)


@cache
def _fields_of(model: Any) -> Mapping[str, Shape]:
    return {
        name: shape_of(field.annotation) for name, field in model.model_fields.items() if not field.exclude
    }


def models_of(model: type[BaseModel]) -> Mapping[str, type[BaseModel]]:
    """Return every model that a model is made of, itself included, by shape name."""
    found: dict[str, type[BaseModel]] = {}
    todo: list[type[BaseModel]] = [model]
    while todo:
        current = todo.pop()
        if message_name(current) not in found:
            found[message_name(current)] = current
            for field in current.model_fields.values():
                todo.extend(_models_in(field.annotation))
    return found


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _models_in(argument)]


def message_name(model: type[BaseModel]) -> str:
    """Return the name that identifies a model among messages."""
    return f"{model.__module__}.{model.__qualname__}".replace("<locals>", "local").replace(".", "_")


def shape_of(annotation: Any) -> Shape:
    """Return the shape of an annotation; what has none of ours is ``any``."""
    origin = get_origin(annotation)
    if origin is None:
        return _simple(annotation)
    arguments = get_args(annotation)
    if origin is Literal:
        return _scalar_of_values(arguments)
    if origin in _UNIONS:
        return _union(arguments)
    if origin in _SEQUENCES:
        return list_of(_merged([shape_of(item) for item in arguments if item is not Ellipsis]))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return map_of(shape_of(arguments[1]))
    return shape_of(arguments[0]) if hasattr(annotation, "__metadata__") else ANY


def _simple(annotation: Any) -> Shape:
    if not isinstance(annotation, type):
        supertype = getattr(annotation, "__supertype__", None)  # a NewType
        return shape_of(supertype) if supertype is not None else ANY
    if issubclass(annotation, BaseModel):
        return Shape("message", name=message_name(annotation))
    if issubclass(annotation, enum.Enum):
        return _scalar_of_values(tuple(member.value for member in annotation))
    return _SCALARS.get(annotation, ANY)


def _scalar_of_values(values: tuple[Any, ...]) -> Shape:
    return _merged([_SCALARS.get(type(value), ANY) for value in values])


def _union(arguments: tuple[Any, ...]) -> Shape:
    shapes = [shape_of(argument) for argument in arguments if argument is not type(None)]
    merged = _merged(shapes)
    optional = type(None) in arguments or merged.optional
    return Shape(merged.kind, optional, merged.element, merged.name)


def _merged(shapes: list[Shape]) -> Shape:
    """Return the one shape of all, or ``any``."""
    distinct = set(shapes)
    return distinct.pop() if len(distinct) == 1 else ANY


def fits(given: Shape, wanted: Shape) -> bool:
    """Return whether a value of one shape may stand where another is wanted."""
    if "any" in {given.kind, wanted.kind}:
        return True
    if given.kind == "null":
        return wanted.optional
    if given.optional and not wanted.optional:
        return False
    if given.kind != wanted.kind:
        return given.kind == "int" and wanted.kind == "double"
    if given.element is not None and wanted.element is not None:
        return fits(given.element, wanted.element)
    return given.name == wanted.name or not (given.name and wanted.name)
