"""Records as protobuf messages, so that CEL's checker knows every field; and back to plain data.

A *record* is a name with shaped fields: an action's outputs, a finding, the inputs of a playbook. One
descriptor pool holds the records of one playbook. Only what an expression mentions is filled in.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

from irrunner.playbook.shapes import ANY, Shape

if TYPE_CHECKING:
    from google.protobuf.descriptor_pool import DescriptorPool

PACKAGE = "irr"
_WRAPPERS: Mapping[str, str] = MappingProxyType(
    {"string": "StringValue", "int": "Int64Value", "double": "DoubleValue", "bool": "BoolValue"}
)
_VALUE = ".google.protobuf.Value"
Fields: TypeAlias = "Mapping[str, Shape]"
Only: TypeAlias = "Mapping[str, Only] | None"
"""Which fields to fill, as a tree; None means all."""


@dataclass(frozen=True, slots=True)
class Record:
    """A message type."""

    name: str
    fields: Fields

    @property
    def shape(self) -> Shape:
        """The shape of a value of this record."""
        return Shape("message", name=self.name)


class Messages:
    """The message types of one playbook."""

    def __init__(self, records: Iterable[Record]) -> None:
        from google.protobuf import message_factory  # noqa: PLC0415 - 30 ms that only expressions pay

        self._records = {record.name: record for record in records}
        self.pool = _pool_of(self._records)
        self._classes = {
            name: message_factory.GetMessageClass(self.pool.FindMessageTypeByName(f"{PACKAGE}.{name}"))
            for name in self._records
        }

    def __contains__(self, name: object) -> bool:
        """Return whether there is a record of this name."""
        return name in self._records

    def fields(self, name: str) -> Fields:
        """Return the fields of a record."""
        return self._records[name].fields

    def make(self, name: str, data: Any, only: Only = None) -> Any:
        """Return a message of a record.

        Args:
            name: The record.
            data: Plain data, or an object with such attributes; what is missing stays unset.
            only: Fields to fill.

        Raises:
            TypeError: If a value is not of its field's type.
            ValueError: If a number is out of range.
        """
        message = self._classes[name]()
        self._fill(message, self._records[name], data, only)
        return message

    def _fill(self, message: Any, record: Record, data: Any, only: Only) -> None:
        for name in record.fields if only is None else only:
            value = data.get(name) if isinstance(data, Mapping) else getattr(data, name, None)
            shape = record.fields.get(name)
            if value is not None and shape is not None:
                self._set(message, name, shape, value, None if only is None else only[name])

    def _set(self, message: Any, name: str, shape: Shape, value: Any, only: Only) -> None:
        kind = shape.kind
        if kind == "message":
            inner = getattr(message, name)
            inner.SetInParent()
            self._fill(inner, self._records[shape.name], value, only)
        elif kind == "list":
            self._extend(getattr(message, name), shape.element or ANY, value)
        elif kind == "map":
            self._update(getattr(message, name), shape.element or ANY, value)
        elif kind in {"any", "null"}:
            _fill_value(getattr(message, name), value)
        elif shape.optional:
            getattr(message, name).value = _clean(value)
        else:
            setattr(message, name, _clean(value))

    def _extend(self, target: Any, element: Shape, values: Iterable[Any]) -> None:
        if element.kind == "message" and not element.optional:
            for value in values:
                self._fill(target.add(), self._records[element.name], value, None)
        elif _is_bare(element):
            target.extend([_clean(value) for value in values])
        else:
            for value in values:
                _fill_value(target.add(), value)

    def _update(self, target: Any, element: Shape, values: Mapping[str, Any]) -> None:
        for key, value in values.items():
            if element.kind == "message" and not element.optional:
                self._fill(target[_clean(key)], self._records[element.name], value, None)
            elif _is_bare(element):
                target[_clean(key)] = _clean(value)
            else:
                _fill_value(target[_clean(key)], value)

    def plain(self, value: Any) -> Any:
        """Return what CEL answered as plain JSON-able data."""
        if isinstance(value, str | bool | int | float) or value is None:
            return value
        if isinstance(value, list | tuple):
            return [self.plain(item) for item in value]
        if isinstance(value, dict):
            return {str(key): self.plain(item) for key, item in value.items()}
        if isinstance(value, dt.datetime):
            return value.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")
        if isinstance(value, dt.timedelta):
            return value.total_seconds()
        descriptor = getattr(value, "DESCRIPTOR", None)
        if descriptor is None:
            raise TypeError(f"a {type(value).__name__} is no data")
        return self._plain_message(value, descriptor)

    def _plain_message(self, message: Any, descriptor: Any) -> Any:
        if descriptor.full_name == _VALUE[1:]:
            return _plain_value(message)
        if descriptor.file.name == "google/protobuf/wrappers.proto":
            return message.value
        record = self._records[descriptor.name]
        return {name: self._plain_field(message, name, shape) for name, shape in record.fields.items()}

    def _plain_field(self, message: Any, name: str, shape: Shape) -> Any:
        if shape.kind == "list":
            return [self.plain(item) for item in getattr(message, name)]
        if shape.kind == "map":
            return {key: self.plain(item) for key, item in getattr(message, name).items()}
        if shape.kind not in _WRAPPERS or shape.optional:
            return self.plain(getattr(message, name)) if message.HasField(name) else None
        return getattr(message, name)


def _clean(value: Any) -> Any:
    """Return text that protobuf takes: a lone surrogate (hostile JSON may hold one) becomes ``?``."""
    if isinstance(value, str) and not value.isascii():
        return value.encode("utf-8", "replace").decode()
    return value


def _is_bare(shape: Shape) -> bool:
    return shape.kind in _WRAPPERS and not shape.optional


def _fill_value(target: Any, value: Any) -> None:
    """Fill a ``google.protobuf.Value``."""
    if value is None:
        target.null_value = 0
    elif isinstance(value, bool):
        target.bool_value = value
    elif isinstance(value, int | float):
        target.number_value = value
    elif isinstance(value, str):
        target.string_value = _clean(value)
    elif isinstance(value, Mapping):
        target.struct_value.SetInParent()
        for key, item in value.items():
            _fill_value(target.struct_value.fields[_clean(str(key))], item)
    else:
        target.list_value.SetInParent()
        for item in value:
            _fill_value(target.list_value.values.add(), item)


def _plain_value(message: Any) -> Any:
    kind = message.WhichOneof("kind")
    if kind == "struct_value":
        return {key: _plain_value(item) for key, item in message.struct_value.fields.items()}
    if kind == "list_value":
        return [_plain_value(item) for item in message.list_value.values]
    if kind == "number_value":
        number = message.number_value
        return int(number) if number.is_integer() else number
    return None if kind in {None, "null_value"} else getattr(message, kind)


def _pool_of(records: Mapping[str, Record]) -> DescriptorPool:
    from google.protobuf import (  # noqa: PLC0415 - lazy, see above
        descriptor_pb2,
        descriptor_pool,
        struct_pb2,
        wrappers_pb2,
    )

    pool = descriptor_pool.DescriptorPool()
    for module in (wrappers_pb2, struct_pb2):
        pool.AddSerializedFile(module.DESCRIPTOR.serialized_pb)
    _add_well_known(pool)
    file = descriptor_pb2.FileDescriptorProto(
        name="irr.proto",
        package=PACKAGE,
        syntax="proto3",
        dependency=["google/protobuf/wrappers.proto", "google/protobuf/struct.proto"],
    )
    for record in records.values():
        _describe(file.message_type.add(name=record.name), record, descriptor_pb2.FieldDescriptorProto)
    pool.AddSerializedFile(file.SerializeToString())
    return pool


def _add_well_known(pool: Any) -> None:
    """CEL's checker looks these up in the pool that it is given."""
    from google.protobuf import any_pb2, duration_pb2, timestamp_pb2  # noqa: PLC0415 - lazy, see above

    for module in (timestamp_pb2, duration_pb2, any_pb2):
        pool.AddSerializedFile(module.DESCRIPTOR.serialized_pb)


def _describe(message: Any, record: Record, field_type: Any) -> None:
    for number, (name, shape) in enumerate(record.fields.items(), start=1):
        if shape.kind == "map":
            type_name = f".{PACKAGE}.{record.name}.{_describe_entry(message, name, shape, field_type)}"
            field = message.field.add(name=name, number=number, label=field_type.LABEL_REPEATED)
            field.type, field.type_name = field_type.TYPE_MESSAGE, type_name
            continue
        repeated = shape.kind == "list"
        field = message.field.add(name=name, number=number)
        field.label = field_type.LABEL_REPEATED if repeated else field_type.LABEL_OPTIONAL
        _type_field(field, (shape.element or ANY) if repeated else shape, field_type, inside=repeated)


def _describe_entry(message: Any, name: str, shape: Shape, field_type: Any) -> str:
    """Add the entry type of a map field. Source: protobuf language guide, "Maps"."""
    entry_name = "".join(part[:1].upper() + part[1:] for part in name.split("_")) + "Entry"
    entry = message.nested_type.add(name=entry_name)
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=field_type.TYPE_STRING, label=field_type.LABEL_OPTIONAL)
    value = entry.field.add(name="value", number=2, label=field_type.LABEL_OPTIONAL)
    _type_field(value, shape.element or ANY, field_type, inside=True)
    return entry_name


def _type_field(field: Any, shape: Shape, field_type: Any, *, inside: bool) -> None:
    """Set a field's type; ``inside`` a list or map an optional or nested element is a dynamic value."""
    bare = {"string": field_type.TYPE_STRING, "int": field_type.TYPE_INT64, "double": field_type.TYPE_DOUBLE,
            "bool": field_type.TYPE_BOOL}  # fmt: skip
    if _is_bare(shape):
        field.type = bare[shape.kind]
        return
    field.type = field_type.TYPE_MESSAGE
    if shape.kind == "message" and not (inside and shape.optional):
        field.type_name = f".{PACKAGE}.{shape.name}"
    elif shape.kind in _WRAPPERS and not inside:
        field.type_name = f".google.protobuf.{_WRAPPERS[shape.kind]}"
    else:
        field.type_name = _VALUE
