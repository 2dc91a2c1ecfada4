"""The plugin registered with ms-swift, and its parts loaded as ms-swift loads them."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.training import EXAMPLES, write_rows


@pytest.fixture(scope="session")
def registered() -> None:
    import swift_plugins.register  # noqa: F401  registering is its effect


@pytest.fixture(scope="session")
def training_model(registered: None, tiny_checkpoint: Path) -> Any:
    """The model in float32, in eval mode so that nothing is random."""
    from swift.model import get_model_processor

    model, _ = get_model_processor(str(tiny_checkpoint), model_type="higgs-audio")
    return model.float().eval()


@pytest.fixture(scope="session")
def template(registered: None, tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The template in training mode, with a code cache of its own."""
    from swift.model import get_processor
    from swift.template import get_template

    from swift_plugins.clips import ClipCodes

    template = get_template(
        get_processor(str(tiny_checkpoint), model_type="higgs-audio"), template_type="higgs-audio-chatml"
    )
    template.clips = ClipCodes(template.clips._files, tmp_path_factory.mktemp("codes"))
    template.set_mode("train")
    return template


@pytest.fixture
def new_template(template: Any, tiny_checkpoint: Path) -> Iterator[Callable[..., Any]]:
    """Makes a template with other settings, which shares the codes of the first; the one in use afterwards is the first."""
    from swift.template import get_template

    from swift_plugins import template as module

    def make(**settings: Any) -> Any:
        made = get_template(template.processor, template_type="higgs-audio-chatml", **settings)
        made.clips = template.clips
        made.set_mode("train")
        return made

    module._in_use[:] = [template]
    yield make
    module._in_use[:] = [template]


@pytest.fixture(scope="session")
def samples(template: Any) -> list[dict[str, Any]]:
    """Three rows with audio, encoded."""
    return [template.encode(example.row()) for example in EXAMPLES[:3]]


@pytest.fixture
def rows_file(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "rows.jsonl", [example.row() for example in EXAMPLES])
