"""Libraries of comparisons for one test each."""

from __future__ import annotations

from typing import Any

import pytest

from studio.evaluation.comparison.library import ComparisonLibrary


@pytest.fixture
def library(settings: Any, service: Any, owner: str) -> ComparisonLibrary:
    """Of a visitor whom nobody knows yet."""
    return ComparisonLibrary(settings, service.store, owner)
