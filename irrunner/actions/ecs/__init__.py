"""Actions on ECS tasks and services."""
