"""What a user reads when something is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from studio.errors import StudioError


def refusal(do: Callable[[], Any]) -> str:
    """The one sentence with which ``do`` is refused."""
    with pytest.raises(StudioError) as caught:
        do()
    sentence = str(caught.value)
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert "Traceback" not in sentence
    return sentence
