"""Shared by the tests of the engine."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.conftest import DATA


@pytest.fixture(scope="session")
def golden() -> dict[str, Any]:
    """A sample for training as the original implementation makes it; see tests/data/README.md."""
    return json.loads((DATA / "labels.json").read_text())
