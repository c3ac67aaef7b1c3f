"""What an expression mentions and promises, read from CEL's own checked syntax tree.

The checker says whether fields and types exist; it does not know the order of a playbook. This module
finds each chain such as ``steps.facts.vpc_id`` with what ``has()`` around it has made sure of, and the
type of the result. It decodes the serialised tree and calls nothing of CEL.

Source: cel-spec, proto/cel/expr/syntax.proto and checked.proto.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any, TypeAlias

from irrunner.playbook.messages import PACKAGE
from irrunner.playbook.shapes import ANY, BOOL, DOUBLE, INT, NULL, STRING, Shape, list_of, map_of

Path: TypeAlias = tuple[str, ...]
"""Variable, then fields: ``("steps", "facts", "vpc_id")``."""
Known: TypeAlias = frozenset[Path]
NOTHING: Known = frozenset()

_AND, _OR, _NOT, _IF = "_&&_", "_||_", "!_", "_?_:_"
_LIKE, _UNLIKE = "_==_", "_!=_"


@dataclass(frozen=True, slots=True)
class Reference:
    """One mention of a variable with the fields selected from it."""

    path: Path
    offset: int
    """Of the variable, in characters of the expression."""
    known: Known
    """Paths that ``has()`` has made sure of where this stands."""
    tested: bool
    """The whole chain is the argument of ``has()``."""


@dataclass(frozen=True, slots=True)
class Analysis:
    """What a checked expression mentions, promises and is."""

    references: tuple[Reference, ...]
    implies: Known
    """Paths that are there whenever the expression is true."""
    shape: Shape
    """Its type; ``optional`` as CEL sees it, whatever conditions say."""
    nulls: frozenset[Path]
    """Paths of which any being null makes the value null; the empty path: something unnamed may."""
    fields: frozenset[str]
    """Names of all fields that are selected anywhere, of ``has()`` too."""
    tests: bool
    """Whether there is a ``has()`` in it."""


def analyse(serialised: bytes) -> Analysis:
    """Analyse a serialised checked expression.

    Raises:
        ValueError: If it nests too deep to be decoded.
    """
    checked_class, any_class, decode_error = _classes()
    checked = checked_class()
    try:
        checked.ParseFromString(any_class.FromString(serialised).value)
    except decode_error as error:
        raise ValueError("nests too deep") from error
    walk = _Walk({entry.key: entry.value for entry in checked.source_info.positions})
    walk.visit(checked.expr, NOTHING, frozenset())
    shapes = {entry.key: _shape(entry.value) for entry in checked.type_map}
    shape = shapes.get(checked.expr.id, ANY)
    nulls = _nulls(checked.expr, NOTHING, shapes)
    return Analysis(
        tuple(walk.found), _implied(checked.expr), shape, nulls, frozenset(walk.fields), walk.tests
    )


class _Walk:
    def __init__(self, positions: Mapping[int, int]) -> None:
        self._positions = positions
        self.found: list[Reference] = []
        self.fields: set[str] = set()
        self.tests = False

    def visit(self, node: Any, known: Known, bound: frozenset[str]) -> None:
        """Visit a node; ``bound`` are the variables of comprehensions around it."""
        kind = node.WhichOneof("expr_kind")
        if kind in {"ident_expr", "select_expr"}:
            self._chain(node, known, bound)
        elif kind == "call_expr":
            self._call(node.call_expr, known, bound)
        elif kind == "comprehension_expr":
            self._comprehension(node.comprehension_expr, known, bound)
        elif kind == "list_expr":
            for item in node.list_expr.elements:
                self.visit(item, known, bound)
        elif kind == "struct_expr":
            for entry in node.struct_expr.entries:
                self.visit(entry.map_key, known, bound)
                self.visit(entry.value, known, bound)

    def _chain(self, node: Any, known: Known, bound: frozenset[str]) -> None:
        tested = node.select_expr.test_only
        self.tests |= tested
        self.fields.update(_selected(node))
        path, root = _path(node)
        if path is None:
            self.visit(root, known, bound)
        elif path[0] not in bound:
            offset = self._positions.get(root.id, 0)
            self.found.append(Reference(path, offset, known, tested))

    def _call(self, call: Any, known: Known, bound: frozenset[str]) -> None:
        arguments = list(call.args)
        if call.HasField("target"):
            self.visit(call.target, known, bound)
        if call.function in {_AND, _OR} and len(arguments) > 1:
            gained = known
            for argument in arguments:
                self.visit(argument, gained, bound)
                gained |= _implied(argument) if call.function == _AND else _denied(argument)
        elif call.function == _IF:
            condition, then, otherwise = arguments
            self.visit(condition, known, bound)
            self.visit(then, known | _implied(condition), bound)
            self.visit(otherwise, known | _denied(condition), bound)
        else:
            for argument in arguments:
                self.visit(argument, known, bound)

    def _comprehension(self, loop: Any, known: Known, bound: frozenset[str]) -> None:
        self.visit(loop.iter_range, known, bound)
        self.visit(loop.accu_init, known, bound)
        inner = bound | {loop.iter_var, loop.iter_var2, loop.accu_var}
        for node in (loop.loop_condition, loop.loop_step, loop.result):
            self.visit(node, known, inner)


def _selected(node: Any) -> Iterator[str]:
    """Yield the fields of a chain, outermost first."""
    while node.WhichOneof("expr_kind") == "select_expr":
        yield node.select_expr.field
        node = node.select_expr.operand


def _path(node: Any) -> tuple[Path | None, Any]:
    """Return the chain that a node is and its root; None where its root is no variable."""
    fields: list[str] = []
    while node.WhichOneof("expr_kind") == "select_expr":
        fields.append(node.select_expr.field)
        node = node.select_expr.operand
    if node.WhichOneof("expr_kind") != "ident_expr":
        return None, node
    return (node.ident_expr.name, *reversed(fields)), node


def _nulls(node: Any, known: Known, shapes: Mapping[int, Shape]) -> frozenset[Path]:
    """Return the paths that may make a node null, less those known to be there."""
    if node.WhichOneof("expr_kind") == "call_expr" and node.call_expr.function == _IF:
        condition, then, otherwise = node.call_expr.args
        first = _nulls(then, known | _implied(condition), shapes)
        return first | _nulls(otherwise, known | _denied(condition), shapes)
    if not shapes.get(node.id, ANY).optional:
        return frozenset()
    path, _ = _path(node)
    return frozenset({path or ()}) - known


def _not_null(parts: Any) -> Known:
    """Return the path of ``path != null``, which says that it is there."""
    constants = [part for part in parts if part.const_expr.HasField("null_value")]
    paths = [path for path, _ in map(_path, parts) if path is not None]
    return frozenset(paths) if len(constants) == len(paths) == 1 else NOTHING


def _implied(node: Any) -> Known:
    """Return what is there when the node is true."""
    kind = node.WhichOneof("expr_kind")
    if kind == "select_expr" and node.select_expr.test_only:
        path, _ = _path(node)
        return frozenset() if path is None else frozenset({path})
    if kind != "call_expr":
        return NOTHING
    parts = node.call_expr.args
    if node.call_expr.function == _AND:
        return NOTHING.union(*map(_implied, parts))
    if node.call_expr.function == _OR:
        return frozenset.intersection(*map(_implied, parts))
    if node.call_expr.function == _UNLIKE:
        return _not_null(parts)
    return _denied(parts[0]) if node.call_expr.function == _NOT else NOTHING


def _denied(node: Any) -> Known:
    """Return what is there when the node is false."""
    if node.WhichOneof("expr_kind") != "call_expr":
        return NOTHING
    parts = node.call_expr.args
    if node.call_expr.function == _OR:
        return NOTHING.union(*map(_denied, parts))
    if node.call_expr.function == _AND:
        return frozenset.intersection(*map(_denied, parts))
    if node.call_expr.function == _LIKE:
        return _not_null(parts)
    return _implied(parts[0]) if node.call_expr.function == _NOT else NOTHING


_PRIMITIVES: Mapping[int, Shape] = MappingProxyType(
    {
        1: BOOL,
        2: INT,
        3: Shape("message", name="uint"),
        4: DOUBLE,
        5: STRING,
        6: Shape("message", name="bytes"),
    }
)
_WELL_KNOWN: Mapping[int, Shape] = MappingProxyType(
    {1: ANY, 2: Shape("message", name="timestamp"), 3: Shape("message", name="duration")}
)
_OTHERS: Mapping[str, Shape] = MappingProxyType({"null": NULL, "type": Shape("message", name="type")})


def _shape(node: Any) -> Shape:
    """Return the shape of a CEL type."""
    kind = node.WhichOneof("type_kind")
    if kind == "primitive":
        return _PRIMITIVES[node.primitive]
    if kind == "wrapper":
        bare = _PRIMITIVES[node.wrapper]
        return Shape(bare.kind, optional=True, name=bare.name)
    if kind in {"list_type", "map_type"}:
        return _collection_shape(node, kind)
    if kind == "message_type":
        return Shape("message", name=node.message_type.removeprefix(f"{PACKAGE}."))
    return _WELL_KNOWN[node.well_known] if kind == "well_known" else _OTHERS.get(kind, ANY)


def _collection_shape(node: Any, kind: str) -> Shape:
    if kind == "list_type":
        return list_of(_shape(node.list_type.elem_type))
    return map_of(_shape(node.map_type.value_type))


_SCHEMA: Mapping[str, tuple[tuple[str, int, str], ...]] = MappingProxyType({
    "Any": (("type_url", 1, "string"), ("value", 2, "bytes")),
    "Checked": (("type_map", 3, "[]TypeEntry"), ("expr", 4, "Expr"), ("source_info", 5, "SourceInfo")),
    "TypeEntry": (("key", 1, "int64"), ("value", 2, "Type")),
    "SourceInfo": (("positions", 4, "[]PositionEntry"),),
    "PositionEntry": (("key", 1, "int64"), ("value", 2, "int32")),
    "Expr": (
        ("id", 2, "int64"), ("const_expr", 3, "Constant?"), ("ident_expr", 4, "Ident?"),
        ("select_expr", 5, "Select?"), ("call_expr", 6, "Call?"), ("list_expr", 7, "List?"),
        ("struct_expr", 8, "Struct?"), ("comprehension_expr", 9, "Comprehension?"),
    ),
    "Empty": (),
    "Constant": (("null_value", 1, "int32?"),),
    "Ident": (("name", 1, "string"),),
    "Select": (("operand", 1, "Expr"), ("field", 2, "string"), ("test_only", 3, "bool")),
    "Call": (("target", 1, "Expr"), ("function", 2, "string"), ("args", 3, "[]Expr")),
    "List": (("elements", 1, "[]Expr"),),
    "Struct": (("entries", 2, "[]Entry"),),
    "Entry": (("map_key", 3, "Expr"), ("value", 4, "Expr")),
    "Comprehension": (
        ("iter_var", 1, "string"), ("iter_range", 2, "Expr"), ("accu_var", 3, "string"),
        ("accu_init", 4, "Expr"), ("loop_condition", 5, "Expr"), ("loop_step", 6, "Expr"),
        ("result", 7, "Expr"), ("iter_var2", 8, "string"),
    ),
    "Type": (
        ("dyn", 1, "Empty?"), ("null", 2, "int32?"), ("primitive", 3, "int32?"), ("wrapper", 4, "int32?"),
        ("well_known", 5, "int32?"), ("list_type", 6, "ListType?"), ("map_type", 7, "MapType?"),
        ("message_type", 9, "string?"), ("type", 11, "Empty?"),
    ),
    "ListType": (("elem_type", 1, "Type"),),
    "MapType": (("key_type", 1, "Type"), ("value_type", 2, "Type")),
})  # fmt: skip
"""The part of CEL's syntax messages that is read here: ``[]`` repeated, ``?`` member of the one-of."""
_ONE_OF: Mapping[str, str] = MappingProxyType(
    {"Expr": "expr_kind", "Type": "type_kind", "Constant": "constant_kind"}
)


@cache
def _classes() -> tuple[Any, Any, type[Exception]]:
    from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory  # noqa: PLC0415 - lazy

    file = descriptor_pb2.FileDescriptorProto(name="tree.proto", package="tree", syntax="proto3")
    for name, fields in _SCHEMA.items():
        described = file.message_type.add(name=name)
        if name in _ONE_OF:
            described.oneof_decl.add(name=_ONE_OF[name])
        for field_name, number, type_name in fields:
            _type_field(described.field.add(name=field_name, number=number), type_name)
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    find, make = pool.FindMessageTypeByName, message_factory.GetMessageClass
    return make(find("tree.Checked")), make(find("tree.Any")), message.DecodeError


def _type_field(field: Any, type_name: str) -> None:
    """Set the type of a field from its notation in :data:`_SCHEMA`."""
    field.label = field.LABEL_REPEATED if type_name.startswith("[]") else field.LABEL_OPTIONAL
    if type_name.endswith("?"):
        field.oneof_index = 0
    bare = type_name.strip("[]?")
    if bare in _SCHEMA:
        field.type, field.type_name = field.TYPE_MESSAGE, f".tree.{bare}"
    else:
        field.type = getattr(field, f"TYPE_{bare.upper()}")
