"""Flow logs as EC2 makes them: to buckets of any account, and refused without an error where it cannot.

Source: EC2 API reference, CreateFlowLogs (``Unsuccessful``); VPC user guide, "Publish flow logs to S3".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gameday.world import seam
from gameday.world.services import Scene, StrictLayer

_BUCKET: Final = ":s3:::"


def create_flow_logs(scene: Scene) -> Mapping[str, Any] | None:
    """Make flow logs to a bucket, whoever's it is; moto makes the others."""
    params = scene.params
    if params.get("LogDestinationType") != "s3":
        return None
    name = str(params.get("LogDestination", "")).partition(_BUCKET)[2].partition("/")[0]
    if not any(name in seam.s3(account).buckets for account in scene.realm.organisation.names()):
        problem = {"Code": "400", "Message": f"LogDestination: {name} does not exist."}
        failed = [{"ResourceId": resource, "Error": problem} for resource in params["ResourceIds"]]
        return {"FlowLogIds": [], "Unsuccessful": failed}
    backend = seam.ec2(scene.account, scene.region)
    made, _ = backend.create_flow_logs(
        resource_type=params["ResourceType"],
        resource_ids=list(params["ResourceIds"]),
        traffic_type=params["TrafficType"],
        deliver_logs_permission_arn=None,
        log_destination_type="another account's bucket",
        log_destination=params["LogDestination"],
        log_group_name=None,
        log_format=params.get("LogFormat"),
        max_aggregation_interval=params.get("MaxAggregationInterval", 600),
    )
    for flow_log in made:
        flow_log.log_destination_type = "s3"
        for given in params.get("TagSpecifications") or ():
            flow_log.add_tags({tag["Key"]: tag["Value"] for tag in given["Tags"]})
    return {"FlowLogIds": [flow_log.id for flow_log in made], "Unsuccessful": []}


def show_flow_logs(backend: Any) -> Mapping[str, Any]:
    """Show flow logs by what they record and where; their ids are chance."""
    return {
        f"{log.resource_id}/{log.log_group_name or log.log_destination}": {
            "traffic": log.traffic_type,
            "type": log.log_destination_type,
            "tags": {tag["key"]: tag["value"] for tag in log.get_tags()},
        }
        for log in backend.flow_logs.values()
    }


LAYER: Final = StrictLayer(answers={"ec2:CreateFlowLogs": create_flow_logs})
