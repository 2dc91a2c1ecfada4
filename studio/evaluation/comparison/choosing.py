"""A comparison as somebody chooses it on the page: the base, trained voices at strengths, temperatures, voices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from studio.adapters.adapter import TrainedAdapter
from studio.adapters.card import part_of
from studio.errors import StudioError
from studio.evaluation.comparison.plan import ComparisonPlan, checked_plan

MIN_CHOSEN, MAX_CHOSEN = 2, 6
"""Systems: of more than six, two of a kind are heard together too seldom for anybody's patience."""
MAX_LINES, MAX_CHOSEN_SEEDS = 40, 5


@dataclass(frozen=True)
class Choice:
    """What was chosen.

    Attributes:
        texts: a line each; empty lines and those that come twice are left out.
        num_seeds: each text is spoken with seeds 1 to this.
        voice: of every system but those of ``voices``, by id; "" lets the model pick one.
        base: whether the base, as it is, is one of the systems.
        adapters: trained voices by id, each at each of ``strengths``.
        temperatures: the base at other ones.
        voices: the base with other voices, by id.
    """

    texts: str
    num_seeds: int = 1
    name: str = ""
    voice: str = ""
    base: bool = True
    adapters: tuple[str, ...] = ()
    strengths: tuple[float, ...] = (1.0,)
    temperatures: tuple[float, ...] = ()
    voices: tuple[str, ...] = ()

    @property
    def lines(self) -> list[str]:
        """The texts."""
        return list(dict.fromkeys(line.strip() for line in self.texts.splitlines() if line.strip()))

    @property
    def num_systems(self) -> int:
        return int(self.base) + self._num_trained + len(self.temperatures) + len(self._other_voices)

    @property
    def num_takes(self) -> int:
        return self.num_systems * len(self.lines) * self.num_seeds

    @property
    def num_pairs(self) -> int:
        """How many different pairs there are to hear."""
        return len(list(combinations(range(self.num_systems), 2))) * len(self.lines) * self.num_seeds

    @property
    def trouble(self) -> str | None:
        """Why this is no comparison yet, in a sentence."""
        if not self.lines:
            return "Write what they are to say: a line for each text."
        if len(self.lines) > MAX_LINES:
            return f"There are {len(self.lines)} texts, and {MAX_LINES} is the most here: leave some out."
        if not 1 <= self.num_seeds <= MAX_CHOSEN_SEEDS:
            return f"Choose 1 to {MAX_CHOSEN_SEEDS} readings of each text."
        if self.adapters and not self.strengths:
            return "Choose at which strength the trained voices speak."
        if self.num_systems < MIN_CHOSEN:
            return "That is one system: choose what it is compared with." if self.num_systems else "Choose two systems."
        if self.num_systems > MAX_CHOSEN:
            return f"These are {self.num_systems} systems, and {MAX_CHOSEN} is the most here: take some away."
        return None

    def plan(self, adapters: Sequence[TrainedAdapter], checkpoint: str | None) -> ComparisonPlan:
        """As the library takes it.

        Args:
            adapters: those that may be chosen.
            checkpoint: what is spoken with; trained voices bring the base that they were trained on.

        Raises:
            StudioError: :attr:`trouble`, or a trained voice that is gone or of another base than the others.
        """
        if self.trouble:
            raise StudioError(self.trouble)
        systems: list[dict[str, Any]] = [{}] if self.base else []
        systems += [{"adapter": each, "strength": strength} for each in self.adapters for strength in self.strengths]
        systems += [{"temperature": each, "label": f"temperature {each:g}"} for each in self.temperatures]
        systems += [{"voice": each} for each in self._other_voices]
        # Not made of the systems: a name is on the page while nobody is to know who speaks.
        name = self.name.strip() or self.lines[0]
        return checked_plan(
            {
                "name": name if len(name) <= 80 else f"{name[:79].rstrip()}…", "texts": self.lines,
                "seeds": list(range(1, self.num_seeds + 1)), "voice": self.voice, "systems": systems,
                "checkpoint": _base_of([each for each in adapters if each.id in self.adapters]) or checkpoint,
            }
        )  # fmt: skip

    def shown(self, names: Mapping[str, str]) -> list[str]:
        """The systems in words, in their order.

        Args:
            names: what voices, trained or not, are called, by id; of others nothing is shown.
        """
        found = ["the base"] if self.base else []
        for each in self.adapters:
            found += [
                names.get(each, "a trained voice") + ("" if strength == 1.0 else f" at {strength:.0%}")
                for strength in self.strengths
            ]
        found += [f"the base at temperature {each:g}" for each in self.temperatures]
        return found + [f"the base as {names.get(each, 'another voice')}" for each in self._other_voices]

    @property
    def _num_trained(self) -> int:
        return len(self.adapters) * max(len(self.strengths), 1)

    @property
    def _other_voices(self) -> list[str]:
        return [each for each in self.voices if each != self.voice]


def _base_of(adapters: Sequence[TrainedAdapter]) -> str:
    """The base that trained voices have in common, as the engine knows it; "" for none or an unknown one."""
    bases = {each.base_name for each in adapters}
    if len(bases) > 1:
        raise StudioError(
            f"These trained voices have different bases ({' and '.join(sorted(bases))}): compare those of one base."
        )
    if not adapters:
        return ""
    base = part_of(adapters[0].card, "base")
    return str(base.get("checkpoint") or base.get("folder") or "")
