"""What the canonical state shows beside instances, keys and identities: a section for each kind of resource.

A section is shown where it holds something, so that a service that was only read leaves no trace.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gameday.world import (
    acls,
    address_sets,
    addresses,
    autoscaling,
    cloudtrail,
    clusters,
    config,
    containers,
    dns_firewall,
    dynamodb,
    flow_logs,
    functions,
    guardduty,
    iam,
    identity_center,
    load_balancers,
    messages,
    rds,
    registries,
    scp,
    secrets,
    securityhub,
    ssm,
)


@dataclass(frozen=True, slots=True)
class Section:
    """One kind of resource.

    Args:
        name: Its key in the state, ``load_balancers``.
        service: moto's name of the service that holds it.
        show: moto's backend of one account and Region to the resources by id, JSON-able, without times.
    """

    name: str
    service: str
    show: Callable[[Any], Mapping[str, Any]]


REGIONAL: Final[tuple[Section, ...]] = (
    Section("auto_scaling_groups", "autoscaling", autoscaling.show_groups),
    Section("elastic_addresses", "ec2", addresses.show_addresses),
    Section("target_groups", "elbv2", load_balancers.show_target_groups),
    Section("classic_load_balancers", "elb", load_balancers.show_classic),
    Section("network_acls", "ec2", acls.show_acls),
    Section("dns_firewalls", "ec2", dns_firewall.show_firewalls),
    Section("firewall_rule_groups", "ec2", address_sets.show_rule_groups),
    Section("flow_logs", "ec2", flow_logs.show_flow_logs),
    Section("ip_sets", "wafv2", address_sets.show_ip_sets),
    Section("secrets", "secretsmanager", secrets.shown),
    Section("permission_sets", "ssoadmin", identity_center.shown_sets),
    Section("account_assignments", "ssoadmin", identity_center.shown_assignments),
    Section("trails", "cloudtrail", cloudtrail.show_trails),
    Section("databases", "rds", rds.show_databases),
    Section("database_snapshots", "rds", rds.show_snapshots),
    Section("remediations", "config", config.show_remediations),
    Section("tables", "dynamodb", dynamodb.show_tables),
    Section("functions", "lambda", functions.show_functions),
    Section("event_source_mappings", "lambda", functions.show_mappings),
    Section("ecs_tasks", "ecs", containers.show_tasks),
    Section("ecs_services", "ecs", containers.show_services),
    Section("ecr_repositories", "ecr", registries.show_repositories),
    Section("eks_clusters", "eks", clusters.show_clusters),
    Section("guardduty_findings", "guardduty", guardduty.shown_findings),
    Section("securityhub_findings", "securityhub", securityhub.shown_findings),
    Section("sns_messages", "sns", messages.shown_messages),
    Section("ssm_commands", "ssm", ssm.shown_commands),
    Section("events", "events", messages.shown_events),
)
"""Sections under ``accounts/<id>/regions/<region>``."""

GLOBAL: Final[tuple[Section, ...]] = (
    Section("mfa_devices", "iam", iam.shown_mfa_devices),
    Section("service_control_policies", "organizations", scp.shown),
)
"""Sections under ``accounts/<id>``, of services that have no Regions."""
