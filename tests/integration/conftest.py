"""Shared by the tests that train: a file of them shares what its runs leave."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.training import EXAMPLES, write_rows


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def rows(home: Path) -> Path:
    return write_rows(home / "rows.jsonl", [example.row() for example in EXAMPLES])
