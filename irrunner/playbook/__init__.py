"""The playbook language: model, loader, expressions, checks, JSON Schema."""
