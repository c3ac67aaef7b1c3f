"""Where the real events are; lets the tests import `finding_events`, which stands beside them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def findings_dir() -> Path:
    """Return the directory of real events: ``IRRUNNER_FINDINGS``, else ``../shared/findings``."""
    named = os.environ.get("IRRUNNER_FINDINGS")
    path = Path(named) if named else Path(__file__).resolve().parents[3] / "shared" / "findings"
    if not (path / "manifest.csv").is_file():
        pytest.skip(f"no real events at {path}; set IRRUNNER_FINDINGS")
    return path
