"""``aws.ec2.enable-flow-logs``: record who talks to whom, in a VPC, subnet or interface."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import StringConstraints, model_validator

from irrunner.actions.contract import (
    Act,
    Action,
    Broken,
    Call,
    Decision,
    LookContext,
    Model,
    Permission,
    PlannedOutputs,
    Refused,
    Settled,
    State,
    Where,
)
from irrunner.actions.ec2.instances import API_REFERENCE
from irrunner.actions.ids import EniId, SubnetId, VpcId
from irrunner.actions.registry import action
from irrunner.errors import TargetNotFound
from irrunner.vocabulary import Phase, Risk, UndoPolicy

GUIDE: Final = "https://docs.aws.amazon.com/vpc/latest/userguide"
PLACE: Final = "arn:{partition}:ec2:{region}:{account}"
LOGS: Final = f"{PLACE}:vpc-flow-log/*"
KINDS: Final[Mapping[str, tuple[str, str, str, str]]] = {
    "vpc": ("VPC", "ec2:DescribeVpcs", "Vpcs[]", "VpcIds"),
    "subnet": ("Subnet", "ec2:DescribeSubnets", "Subnets[]", "SubnetIds"),
    "eni": (
        "NetworkInterface",
        "ec2:DescribeNetworkInterfaces",
        "NetworkInterfaces[]",
        "NetworkInterfaceIds",
    ),
}
"""Prefix of an id to ResourceType, and to the read that finds it."""
DELIVERY: Final = {"StringEquals": {"iam:PassedToService": "vpc-flow-logs.amazonaws.com"}}
AGGREGATION_S: Final = 60
FORMAT: Final = " ".join(
    f"${{{name}}}"
    for name in (
        "version", "account-id", "interface-id", "srcaddr", "dstaddr", "srcport", "dstport", "protocol",
        "packets", "bytes", "start", "end", "action", "log-status", "vpc-id", "subnet-id", "instance-id",
        "tcp-flags", "pkt-srcaddr", "pkt-dstaddr", "flow-direction",
    )
)  # fmt: skip
"""The default fields, and those without which a NAT gateway hides who it was.

Source: VPC user guide, "Flow log records" (pkt-srcaddr, pkt-dstaddr).
"""


class EnableFlowLogsParams(Model):
    """Parameters."""

    resource_id: VpcId | SubnetId | EniId
    destination: Literal["s3", "cloud-watch-logs"] = "s3"
    bucket: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")] | None = None
    """For s3; without it, the evidence bucket."""
    log_group_name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_./#-]{1,512}$")] | None = None
    """For cloud-watch-logs."""
    delivery_role_arn: (
        Annotated[str, StringConstraints(pattern=r"^arn:aws[a-z-]*:iam::\d{12}:role/[\x21-\x7e]{1,512}$")]
        | None
    ) = None
    """For cloud-watch-logs: the role by which flow logs are delivered."""
    traffic: Literal["ALL", "ACCEPT", "REJECT"] = "ALL"

    @model_validator(mode="after")
    def _names_what_its_destination_needs(self) -> EnableFlowLogsParams:
        if self.destination == "s3" and (self.log_group_name or self.delivery_role_arn):
            raise ValueError("log_group_name and delivery_role_arn are for destination: cloud-watch-logs")
        if self.destination != "s3" and self.bucket:
            raise ValueError("bucket is for destination: s3")
        if self.destination != "s3" and not (self.log_group_name and self.delivery_role_arn):
            raise ValueError("cloud-watch-logs wants log_group_name and delivery_role_arn")
        return self


class FlowLog(Model):
    """A flow log of the resource."""

    flow_log_id: str
    place: str
    """ARN of the bucket, or name of the log group."""
    traffic: str
    problem: str = ""
    """Why nothing is delivered, if so."""


class EnableFlowLogsState(State):
    """The flow logs of the resource."""

    resource_id: str
    place: str | None
    """Where to; None: no evidence bucket is configured."""
    traffic: str
    logs: tuple[FlowLog, ...]
    run: str
    """Tag of what this step makes."""

    @property
    def log(self) -> FlowLog | None:
        """Return the flow log that records what is wanted, where it is wanted."""
        return next(
            (log for log in self.logs if log.place == self.place and log.traffic in ("ALL", self.traffic)),
            None,
        )

    def footprint(self) -> dict[str, str | None]:
        """Return the flow log to the destination."""
        log = self.log
        return {f"{self.resource_id}/{self.place}": log.flow_log_id if log else None}


class EnableFlowLogsOutputs(Model):
    """Outputs."""

    resource_id: str
    flow_log_id: str
    destination: str


@action(
    "aws.ec2.enable-flow-logs",
    title="Record the traffic of a VPC, subnet or interface",
    phase=Phase.CONTAINMENT,
    risk=Risk.NONE,
    permissions=(
        Permission("ec2:DescribeFlowLogs"),
        Permission("ec2:DescribeVpcs"),
        Permission("ec2:DescribeSubnets"),
        Permission("ec2:DescribeNetworkInterfaces"),
        Permission("ec2:CreateFlowLogs", LOGS, use="act"),
        *(
            Permission("ec2:CreateFlowLogs", f"{PLACE}:{kind}/*", use="act")
            for kind in ("vpc", "subnet", "network-interface")
        ),
        Permission(
            "ec2:CreateTags",
            LOGS,
            use="act",
            conditions={"StringEquals": {"ec2:CreateAction": "CreateFlowLogs"}},
        ),
        Permission("iam:PassRole", "arn:{partition}:iam::{account}:role/*", use="act", conditions=DELIVERY),
        Permission("logs:CreateLogDelivery", use="act"),
        Permission("ec2:DeleteFlowLogs", LOGS, use="undo"),
        Permission("logs:DeleteLogDelivery", use="undo"),
    ),
    undo=UndoPolicy.RESTORE,
    undo_note="Deletes the flow log that was made; what it has recorded stays.",
    sources=(
        f"{GUIDE}/flow-logs.html",
        f"{GUIDE}/flow-logs-s3-permissions.html",
        f"{API_REFERENCE}/API_CreateFlowLogs.html",
    ),
)
class EnableFlowLogs(Action[EnableFlowLogsParams, EnableFlowLogsState]):
    """Make a flow log, unless the resource has one to the same place that records as much."""

    Params = EnableFlowLogsParams
    Outputs = EnableFlowLogsOutputs
    StateModel = EnableFlowLogsState

    def look(self, ctx: LookContext, params: EnableFlowLogsParams) -> EnableFlowLogsState:
        """Read the resource and its flow logs."""
        _, operation, path, name = KINDS[params.resource_id.partition("-")[0]]
        if not ctx.api.pages(operation, path, **{name: [params.resource_id]}):
            raise TargetNotFound(f"no {params.resource_id} here", hint="check the account and the Region")
        logs = ctx.api.pages(
            "ec2:DescribeFlowLogs",
            "FlowLogs[]",
            Filter=[{"Name": "resource-id", "Values": [params.resource_id]}],
        )
        return EnableFlowLogsState(
            resource_id=params.resource_id,
            place=_place(params, ctx.where),
            traffic=params.traffic,
            logs=tuple(sorted(map(_flow_log, logs), key=lambda log: log.flow_log_id)),
            run=ctx.marker[:256],
        )

    def decide(self, params: EnableFlowLogsParams, state: EnableFlowLogsState) -> Decision:
        """Make the flow log that is missing."""
        if state.place is None:
            return Refused(
                "there is no evidence bucket: give `bucket`, or set forensics.account_id in irrunner.yaml",
                code="forensics-not-configured",
            )
        log = state.log
        if log is not None and log.problem:
            return Broken(f"{log.flow_log_id} of {state.resource_id} delivers nothing: {log.problem}")
        if log is not None:
            return Settled(_outputs(state, log.flow_log_id), (LATER,))
        taken = next((known for known in state.logs if known.place == state.place), None)
        if taken is not None:
            return Refused(
                f"{taken.flow_log_id} records {taken.traffic} of {state.resource_id} there already, and AWS "
                "makes no second one for a place: give another bucket or log group"
            )
        return Act((_create(params, state, state.place),))

    def foresee(self, params: EnableFlowLogsParams, state: EnableFlowLogsState, step: str) -> PlannedOutputs:
        """Return the outputs; the id of a new flow log is a token."""
        if not isinstance(self.decide(params, state), Act | Settled):
            return PlannedOutputs({})
        log = state.log
        flow_log_id = log.flow_log_id if log else f"<from {step}.flow_log_id>"
        return PlannedOutputs(_outputs(state, flow_log_id).model_dump(mode="json"))

    def targets(self, params: EnableFlowLogsParams, where: Where) -> tuple[str, ...]:
        """Return the resource."""
        kind = {"vpc": "vpc", "subnet": "subnet", "eni": "network-interface"}
        name = kind[params.resource_id.partition("-")[0]]
        return (f"arn:{where.partition}:ec2:{where.region}:{where.account_id}:{name}/{params.resource_id}",)

    def undo_calls(
        self,
        params: EnableFlowLogsParams,
        before: EnableFlowLogsState,
        after: EnableFlowLogsState,
        now: EnableFlowLogsState,
        keys: frozenset[str],
    ) -> tuple[Call, ...]:
        """Delete the flow log that was made."""
        if not keys or now.log is None:
            return ()
        name = now.log.flow_log_id
        return (
            Call(
                "ec2:DeleteFlowLogs",
                {"FlowLogIds": [name]},
                target=name,
                summary=f"Delete {name}; what it has recorded stays",
                before=name,
                after=None,
                unprocessed=UNPROCESSED,
            ),
        )


UNPROCESSED: Final = "Unsuccessful[].Error.Message"
"""EC2 answers 200 where it made, or deleted, no flow log; its code is a bare number at times.

Source: EC2 API reference, CreateFlowLogs and DeleteFlowLogs, Unsuccessful.
"""
LATER: Final = "the first records come after some minutes, and none of the time before"


def _place(params: EnableFlowLogsParams, where: Where) -> str | None:
    if params.destination != "s3":
        return params.log_group_name
    bucket = params.bucket or where.evidence_bucket
    return f"arn:{where.partition}:s3:::{bucket}" if bucket else None


def _flow_log(described: Mapping[str, Any]) -> FlowLog:
    failed = described.get("DeliverLogsStatus") == "FAILED"
    place = described.get("LogGroupName") or described.get("LogDestination") or ""
    return FlowLog(
        flow_log_id=described["FlowLogId"],
        place=place.rstrip("/"),
        traffic=described.get("TrafficType") or "ALL",
        problem=described.get("DeliverLogsErrorMessage") or "Access error" if failed else "",
    )


def _create(params: EnableFlowLogsParams, state: EnableFlowLogsState, place: str) -> Call:
    kind = KINDS[state.resource_id.partition("-")[0]][0]
    bucket = params.destination == "s3"
    deliver = (
        {"LogDestination": place}
        if bucket
        else {"LogGroupName": place, "DeliverLogsPermissionArn": params.delivery_role_arn}
    )
    must = " (its policy must let delivery.logs.amazonaws.com write)" if bucket else ""
    return Call(
        "ec2:CreateFlowLogs",
        {
            "ResourceIds": [state.resource_id],
            "ResourceType": kind,
            "TrafficType": params.traffic,
            "LogDestinationType": params.destination,
            "MaxAggregationInterval": AGGREGATION_S,
            "LogFormat": FORMAT,
            "TagSpecifications": [
                {"ResourceType": "vpc-flow-log", "Tags": [{"Key": "irrunner:run", "Value": state.run}]}
            ],
            **deliver,
        },
        target=state.resource_id,
        summary=f"Record {params.traffic} traffic of {state.resource_id} in {place}{must}",
        before=None,
        after=place,
        unprocessed=UNPROCESSED,
    )


def _outputs(state: EnableFlowLogsState, flow_log_id: str) -> EnableFlowLogsOutputs:
    return EnableFlowLogsOutputs(
        resource_id=state.resource_id, flow_log_id=flow_log_id, destination=state.place or ""
    )
