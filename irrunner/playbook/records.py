"""The records that a playbook's expressions see: finding, inputs, run facts, and the outputs of each step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from irrunner.actions.registry import Registry
from irrunner.findings.model import Finding
from irrunner.playbook.messages import Record
from irrunner.playbook.model import Playbook, Run, Step, Uses, WaitUntil
from irrunner.playbook.shapes import ANY, BOOL, STRING, Shape, fields_of, list_of, message_name, models_of
from irrunner.playbook.types import INPUT_TYPES

FINDING = Shape("message", name=message_name(Finding))
INPUTS = Shape("message", name="Inputs")
STEPS = Shape("message", name="Steps")
RUN = Shape("message", name="Run")
RUN_FAILING = Shape("message", name="RunFailing")
_RUN_FIELDS = {"id": STRING, "drill": BOOL, "account_id": STRING, "region": STRING}
_NOTHING = "Nothing"


def finding_records() -> Iterator[Record]:
    """Yield the records of a finding."""
    for name, model in models_of(Finding).items():
        yield Record(name, fields_of(model))


def input_shape(type_name: str, *, nullable: bool) -> Shape:
    """Return the shape of an input; one whose default is null is optional."""
    shape = INPUT_TYPES[type_name].shape
    return Shape(shape.kind, optional=True) if nullable and shape.element is None else shape


def records_of(
    playbook: Playbook,
    registry: Registry,
    items: Mapping[str, Shape],
    callees: Mapping[str, Mapping[str, Shape]],
) -> list[Record]:
    """Return every record of a playbook.

    Args:
        playbook: The playbook.
        registry: The actions, for their outputs.
        items: Shape of one item of each ``for_each`` step, by step id, as far as known.
        callees: Shapes of the outputs of each callee, by playbook id.
    """
    records = {record.name: record for record in finding_records()}
    steps: dict[str, Shape] = {}
    found = [
        Record(RUN.name, _RUN_FIELDS),
        Record(RUN_FAILING.name, {**_RUN_FIELDS, "error": STRING, "failed_step": STRING}),
        Record(_NOTHING, {}),
        Record(INPUTS.name, _input_fields(playbook)),
        *(Record(f"Call_{name.replace('-', '_')}", fields) for name, fields in callees.items()),
    ]
    for step in playbook.walk():
        found += _records_of_step(step, registry)
        shape = _outputs_shape(step, registry, callees)
        if step.for_each is not None:
            item = Record(f"Item_{step.id}", {
                "item": items.get(step.id, ANY), "outcome": STRING, "outputs": shape,
            })  # fmt: skip
            loop = Record(f"Loop_{step.id}", {"items": list_of(item.shape)})
            found += [item, loop]
            shape = loop.shape
        steps.setdefault(step.id, shape)
    found.append(Record(STEPS.name, steps))
    return [*({**records, **{record.name: record for record in found}}).values()]


def _input_fields(playbook: Playbook) -> dict[str, Shape]:
    return {
        each.name: input_shape(each.type, nullable=not each.required and each.default is None)
        for each in playbook.inputs.values()
    }


def _records_of_step(step: Step, registry: Registry) -> list[Record]:
    kind = step.kind
    if isinstance(kind, Uses | WaitUntil) and kind.action in registry:
        models = models_of(registry.get(kind.action).Outputs)
        return [Record(name, fields_of(model)) for name, model in models.items()]
    return []


def _outputs_shape(step: Step, registry: Registry, callees: Mapping[str, Mapping[str, Shape]]) -> Shape:
    """Return what a step's outputs are: of its action, of its callee's ``outputs``, or nothing."""
    kind = step.kind
    if isinstance(kind, Uses | WaitUntil):
        return poll_shape(kind, registry)
    if isinstance(kind, Run):
        return (
            Shape("message", name=f"Call_{kind.playbook.replace('-', '_')}")
            if kind.playbook in callees
            else ANY
        )
    return Shape("message", name=_NOTHING)


def poll_shape(kind: Uses | WaitUntil, registry: Registry) -> Shape:
    """Return the shape of an action's outputs; an unknown action's may be anything."""
    if kind.action not in registry:
        return ANY
    return Shape("message", name=message_name(registry.get(kind.action).Outputs))
