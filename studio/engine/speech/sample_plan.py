"""What a model in training speaks at its checkpoints, as it lies on the disk beside the run."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studio.engine.model.sampling import check_seed
from studio.errors import StudioError
from studio.files import atomic_write_bytes, read_json


@dataclass(frozen=True)
class SamplePlan:
    """What is spoken at each step.

    Attributes:
        folder: where the samples are written to.
        row: a training row as JSON; its last trained text is replaced by each of the sentences. None where nothing is to
            be spoken.
    """

    folder: Path
    row: dict[str, Any] | None
    sentences: tuple[str, ...]
    seed: int

    @classmethod
    def read(cls, path: Path) -> SamplePlan:
        """Raises StudioError where the file is missing or is no plan."""
        try:
            plan = read_json(path)
            sentences, seed = plan["sentences"], plan.get("seed", 0)
            if not isinstance(sentences, list) or not all(isinstance(each, str) for each in sentences):
                raise TypeError("sentences")
            if not isinstance(seed, int):
                raise TypeError("seed")
            check_seed(seed)
            return cls(Path(plan["folder"]), plan["row"] if sentences else None, tuple(sentences), seed)
        except OSError as error:
            raise StudioError(f"The sample plan {path.name} cannot be read ({error.strerror}).") from error
        except (ValueError, TypeError, KeyError) as error:
            raise StudioError(
                f"The sample plan {path.name} must be a JSON object with folder, row, sentences and seed."
            ) from error

    def write(self, path: Path) -> None:
        """Raises StudioError as :func:`studio.files.atomic_write_bytes`."""
        plan = {"folder": str(self.folder), "row": self.row, "sentences": self.sentences, "seed": self.seed}
        atomic_write_bytes(path, json.dumps(plan, ensure_ascii=False, indent=1).encode())
