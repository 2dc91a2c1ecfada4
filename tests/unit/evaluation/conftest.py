"""A home for each test with the engine that all share, and no process that makes takes unless a test wants one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from studio.evaluation.comparison import running
from studio.evaluation.comparison.library import ComparisonLibrary
from studio.store.store import Store
from studio.takes.service import TakeService

START = running._start


@pytest.fixture(autouse=True)
def _no_process_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Comparisons wait in their queue."""
    monkeypatch.setattr(running, "_start", lambda settings, session, record: False)


@pytest.fixture
def processes(_no_process_by_itself: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Comparisons are begun in processes of their own, as ever."""
    monkeypatch.setattr(running, "_start", START)


@pytest.fixture
def apart(service: Any, tmp_path: Path) -> TakeService:
    """A take service with a home of its own."""
    own = service.settings.with_changes(home=tmp_path / "home")
    return TakeService(service.host, own, Store(own.store_file))


@pytest.fixture
def library(apart: TakeService, owner: str) -> ComparisonLibrary:
    """Comparisons in that home."""
    return ComparisonLibrary(apart.settings, apart.store, owner)
