"""What EC2 refuses and moto accepts: interfaces, groups, instance attributes, profile associations.

Source: EC2 user guide and API reference; hashicorp/terraform #3205 and #14299 (several interfaces),
kubernetes-sigs/cluster-api-provider-aws #3943 (groups of another VPC).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, Final

from gameday.world import keys, seam
from gameday.world.refusals import Refusal
from gameday.world.services import Scene, StrictLayer

GROUPS_PER_INTERFACE: Final = 5
_NOTHING_TO_CHANGE: Final = ("InvalidParameterCombination", "No attributes specified.")
STOPPING_S: Final = 2.0
_VALUE_ATTRIBUTES: Final = (
    "DisableApiTermination", "DisableApiStop", "InstanceInitiatedShutdownBehavior", "EbsOptimized",
    "SourceDestCheck", "InstanceType", "UserData", "Kernel", "Ramdisk",
)  # fmt: skip
_ONLY_WHILE_STOPPED: Final = {"InstanceType", "UserData", "Kernel", "Ramdisk", "EbsOptimized"}
_METADATA_OPTIONS: Final = {
    "HttpTokens": "http_tokens",
    "HttpPutResponseHopLimit": "http_put_response_hop_limit",
    "HttpEndpoint": "http_endpoint",
    "HttpProtocolIpv6": "http_protocol_ipv6",
    "InstanceMetadataTags": "instance_metadata_tags",
}
_CAPITAL: Final = re.compile(r"(?<!^)(?=[A-Z])")


def modify_instance_attribute(scene: Scene) -> Mapping[str, Any]:
    """Change one attribute of an instance."""
    params = scene.params
    instance = _backend(scene).get_instance(params["InstanceId"])
    given = _attributes(params)
    if not given:
        raise Refusal(*_NOTHING_TO_CHANGE)
    if len(given) > 1:
        raise Refusal(
            "InvalidParameterCombination", f"Fields for multiple attribute types specified: {given}"
        )
    (attribute,) = given
    if attribute == "Groups":
        _only_interface(instance)
        _check_groups(scene, params["Groups"], instance.vpc_id)
        instance.security_groups = [_group(scene, group_id) for group_id in params["Groups"]]
    elif attribute == "BlockDeviceMappings":
        _modify_mappings(instance, params["BlockDeviceMappings"])
    else:
        _modify_value(instance, attribute, _value(params, attribute))
    return {}


def describe_instance_attribute(scene: Scene) -> Mapping[str, Any] | None:
    """Describe the block device mapping; moto describes the other attributes."""
    if scene.params.get("Attribute") != "blockDeviceMapping":
        return None
    instance = _backend(scene).get_instance(scene.params["InstanceId"])
    mappings = [
        {
            "DeviceName": name,
            "Ebs": {
                "VolumeId": device.volume_id,
                "DeleteOnTermination": device.delete_on_termination,
                "Status": "attached",
                "AttachTime": device.attach_time,
            },
        }
        for name, device in instance.get_block_device_mapping
    ]
    return {"InstanceId": instance.id, "BlockDeviceMappings": mappings}


def modify_metadata_options(scene: Scene) -> Mapping[str, Any]:
    """Change the metadata options that are given; the others stay."""
    instance = _backend(scene).get_instance(scene.params["InstanceId"])
    options = instance.metadata_options
    for name, attribute in _METADATA_OPTIONS.items():
        if name in scene.params:
            setattr(options, attribute, scene.params[name])
    shown = {name: getattr(options, attribute) for name, attribute in _METADATA_OPTIONS.items()}
    return {"InstanceId": instance.id, "InstanceMetadataOptions": {"State": "pending", **shown}}


def ebs_default_key(scene: Scene) -> Mapping[str, Any]:
    """Say which key EBS uses where none is named."""
    return {"KmsKeyId": keys.default_ebs_key(scene.account, scene.region).arn}


def check_interface(scene: Scene) -> None:
    """Refuse to change interfaces that a service manages, and groups that do not fit."""
    interface = _backend(scene).get_network_interface(scene.params["NetworkInterfaceId"])
    _not_managed(interface)
    if scene.params.get("Groups"):
        _check_groups(scene, scene.params["Groups"], interface.vpc_id)


def check_some_attribute(scene: Scene) -> None:
    """Refuse a change of nothing; an empty list of groups does not even reach the wire.

    Source: hashicorp/terraform-provider-aws #524, ansible-collections/amazon.aws #470.
    """
    if not scene.params.keys() - {"NetworkInterfaceId", "DryRun"}:
        raise Refusal(*_NOTHING_TO_CHANGE)


def check_known_groups(scene: Scene) -> None:
    """Name the first group that does not exist; moto names a set of all that were asked for."""
    for group_id in scene.params.get("GroupIds") or []:
        _group(scene, group_id)
    names = {group.name for group in _groups(_backend(scene))}
    for name in scene.params.get("GroupNames") or []:
        if name not in names:
            raise _no_group(name)


def check_known_volumes(scene: Scene) -> None:
    """Name the first volume that does not exist; moto names a set of all that were asked for."""
    for volume_id in scene.params.get("VolumeIds") or []:
        if volume_id not in _backend(scene).volumes:
            raise Refusal("InvalidVolume.NotFound", f"The volume '{volume_id}' does not exist.")


def check_attachment(scene: Scene) -> None:
    """Refuse to detach interfaces that a service manages."""
    for interface in _backend(scene).enis.values():
        if interface.attachment_id == scene.params.get("AttachmentId"):
            _not_managed(interface)


def check_new_interface(scene: Scene) -> None:
    """Refuse groups that do not fit the subnet."""
    subnet = _backend(scene).get_subnet(scene.params["SubnetId"])
    _check_groups(scene, scene.params.get("Groups") or [], subnet.vpc_id)


def check_vpc(scene: Scene) -> None:
    """Refuse a group in a VPC that does not exist."""
    vpc_id = scene.params.get("VpcId")
    if vpc_id and vpc_id not in _backend(scene).vpcs:
        raise Refusal("InvalidVpcID.NotFound", f"The vpc ID '{vpc_id}' does not exist")


def check_group_unused(scene: Scene) -> None:
    """Refuse to delete a group that an interface or another group's rule uses."""
    backend, group_id = _backend(scene), scene.params.get("GroupId")
    group = backend.get_security_group_from_id(group_id) if group_id else None
    if group is None:
        return
    if group.is_default:
        raise Refusal("CannotDelete", f'the specified group: "{group.id}" name: "default" cannot be deleted')
    attached = any(group in interface.group_set for interface in backend.enis.values())
    if attached or any(_refers(other, group.id) for other in _groups(backend) if other is not group):
        raise Refusal("DependencyViolation", f"resource {group.id} has a dependent object")


def check_startable(scene: Scene) -> None:
    """Refuse to start what is still stopping."""
    for instance in _backend(scene).get_multi_instances_by_id(scene.params.get("InstanceIds") or []):
        if instance.state not in {"stopped", "running"}:
            raise Refusal(
                "IncorrectInstanceState",
                f"The instance '{instance.id}' is not in a state from which it can be started.",
            )


def let_stop(scene: Scene) -> None:
    """Stopping takes time."""
    due = scene.realm.clock.now() + timedelta(seconds=STOPPING_S)
    for instance in _backend(scene).get_multi_instances_by_id(scene.params["InstanceIds"]):
        state = seam.InstanceState("stopping", 64)
        instance._state = state  # noqa: SLF001 - moto has no setter

        def stopped(state: Any = state) -> None:
            state.name, state.code = "stopped", 80

        scene.realm.schedule.at(due, stopped)


def renew_association(scene: Scene) -> None:
    """A replaced profile is a new association, and the instance shows the new profile."""
    backend = _backend(scene)
    for instance_id, association in backend.iam_instance_profile_associations.items():
        if association.association_id == scene.params.get("AssociationId"):
            show_profile(backend.get_instance(instance_id), association.iam_instance_profile)


def show_association(scene: Scene) -> None:
    """The instance shows the profile's id, not the association's."""
    backend = _backend(scene)
    for instance_id, association in backend.iam_instance_profile_associations.items():
        if instance_id == scene.params.get("InstanceId"):
            show_profile(backend.get_instance(instance_id), association.iam_instance_profile)


def show_profile(instance: Any, profile: Any) -> None:
    """Let ``DescribeInstances`` show an instance profile by its ARN and its own id."""
    instance.iam_instance_profile = {"Arn": profile.arn, "Id": profile.id}


def revoke_ipv6_egress(scene: Scene) -> None:
    """Moto leaves IPv6 rules in place where the VPC has no IPv6; AWS revokes them."""
    group = _backend(scene).get_security_group_from_id(scene.params.get("GroupId"))
    for permission in scene.params.get("IpPermissions") or []:
        blocks = {block["CidrIpv6"] for block in permission.get("Ipv6Ranges", [])}
        ports = (permission.get("IpProtocol"), permission.get("FromPort"), permission.get("ToPort"))
        group.egress_rules = [
            rule
            for rule in group.egress_rules
            if rule.ip_range.get("CidrIpv6") not in blocks
            or (rule.ip_protocol, rule.from_port, rule.to_port) != ports
        ]


def _attributes(params: Mapping[str, Any]) -> list[str]:
    named = [name for name in (*_VALUE_ATTRIBUTES, "Groups", "BlockDeviceMappings") if name in params]
    attribute = params.get("Attribute", "")
    return named + ([attribute[0].upper() + attribute[1:]] if attribute and not named else [])


def _value(params: Mapping[str, Any], attribute: str) -> Any:
    given = params.get(attribute, {"Value": params.get("Value")})
    value = given["Value"] if isinstance(given, Mapping) else given
    return value == "true" if value in {"true", "false"} else value


def _modify_value(instance: Any, attribute: str, value: Any) -> None:
    if attribute == "SourceDestCheck":
        _only_interface(instance)
        instance.network_interfaces[0].source_dest_check = value
    if attribute in _ONLY_WHILE_STOPPED and instance.state != "stopped":
        raise Refusal(
            "IncorrectInstanceState", f"The instance '{instance.id}' is not in the 'stopped' state."
        )
    if attribute == "DisableApiTermination" and instance.lifecycle == "spot":
        raise Refusal("UnsupportedOperation", "Termination protection is not supported for Spot Instances.")
    setattr(instance, _CAPITAL.sub("_", attribute).lower(), value)


def _modify_mappings(instance: Any, mappings: Iterable[Mapping[str, Any]]) -> None:
    for mapping in mappings:
        device = instance.block_device_mapping.get(mapping.get("DeviceName"))
        if device is None:
            raise Refusal(
                "InvalidInstanceAttributeValue",
                f"No device is currently mapped at {mapping.get('DeviceName')}",
            )
        device.delete_on_termination = mapping["Ebs"]["DeleteOnTermination"]


def _only_interface(instance: Any) -> None:
    if len(instance.network_interfaces) > 1:
        raise Refusal(
            "InvalidInstanceID",
            f"There are multiple interfaces attached to instance '{instance.id}'. "
            "Please specify an interface ID for the operation instead.",
        )


def _not_managed(interface: Any) -> None:
    if interface.requester_managed:
        raise Refusal("AuthFailure", "You do not have permission to access the specified resource.")


def _check_groups(scene: Scene, group_ids: Iterable[str], vpc_id: str) -> None:
    wanted = list(group_ids)
    if len(wanted) > GROUPS_PER_INTERFACE:
        raise Refusal(
            "SecurityGroupsPerInterfaceLimitExceeded",
            "The maximum number of security groups per interface has been reached.",
        )
    for group_id in wanted:
        if _group(scene, group_id).vpc_id != vpc_id:
            raise Refusal(
                "InvalidGroup.NotFound", "You have specified two resources that belong to different networks."
            )


def _group(scene: Scene, group_id: str) -> Any:
    group = _backend(scene).get_security_group_from_id(group_id)
    if group is None:
        raise _no_group(group_id)
    return group


def _no_group(name: str) -> Refusal:
    return Refusal("InvalidGroup.NotFound", f"The security group '{name}' does not exist")


def _groups(backend: Any) -> list[Any]:
    return [group for groups in backend.groups.values() for group in groups.values()]


def _refers(group: Any, group_id: str) -> bool:
    rules = [*group.ingress_rules, *group.egress_rules]
    return any(rule.source_group.get("GroupId") == group_id for rule in rules)


def _backend(scene: Scene) -> Any:
    return seam.ec2(scene.account, scene.region)


LAYER: Final = StrictLayer(
    rules={
        "ec2:ModifyNetworkInterfaceAttribute": (check_some_attribute, check_interface),
        "ec2:DescribeSecurityGroups": (check_known_groups,),
        "ec2:DescribeVolumes": (check_known_volumes,),
        "ec2:DeleteNetworkInterface": (check_interface,),
        "ec2:CreateNetworkInterface": (check_new_interface,),
        "ec2:DetachNetworkInterface": (check_attachment,),
        "ec2:CreateSecurityGroup": (check_vpc,),
        "ec2:DeleteSecurityGroup": (check_group_unused,),
        "ec2:StartInstances": (check_startable,),
    },
    answers={
        "ec2:ModifyInstanceAttribute": modify_instance_attribute,
        "ec2:DescribeInstanceAttribute": describe_instance_attribute,
        "ec2:ModifyInstanceMetadataOptions": modify_metadata_options,
        "ec2:GetEbsDefaultKmsKeyId": ebs_default_key,
    },
    effects={
        "ec2:RevokeSecurityGroupEgress": revoke_ipv6_egress,
        "ec2:StopInstances": let_stop,
        "ec2:AssociateIamInstanceProfile": show_association,
        "ec2:ReplaceIamInstanceProfileAssociation": renew_association,
    },
)
