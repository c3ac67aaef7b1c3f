"""Options of the test-suite."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let `make crash` kill more often than the tests do."""
    parser.addoption(
        "--kill-points", type=int, default=4, help="how often each test of test_crash.py kills a runner"
    )
