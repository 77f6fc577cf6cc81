"""State tables: a literal of transitions, the guarded step over it, and its picture.

`python -m cashier_common.statetable cashier_router.domain.lifecycle` prints LIFECYCLE.md.
"""

import importlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from cashier_common.errors import TransitionRefused

S = TypeVar("S", bound=StrEnum)
E = TypeVar("E", bound=StrEnum)


@dataclass(frozen=True)
class StateTable(Generic[S, E]):
    """One machine: every legal (state, event) and where it leads."""

    name: str
    initial: S
    transitions: Mapping[tuple[S, E], S]

    def next(self, state: S, event: E) -> S:
        """The state after `event`, or TransitionRefused."""
        try:
            return self.transitions[state, event]
        except KeyError:
            raise TransitionRefused(table=self.name, state=state.name, event=event.name) from None

    def accepts(self, state: S, event: E) -> bool:
        """Whether the table has this transition."""
        return (state, event) in self.transitions

    @property
    def states(self) -> list[S]:
        """Every state that the table can reach or leave, in the order of its enum."""
        used = {self.initial, *(state for state, _ in self.transitions), *self.transitions.values()}
        return [state for state in type(self.initial) if state in used]

    @property
    def terminal(self) -> frozenset[S]:
        """States that nothing leaves."""
        leaving = {state for state, _ in self.transitions}
        return frozenset(state for state in self.states if state not in leaving)

    def mermaid(self) -> str:
        """The table as a Mermaid state diagram."""
        lines = ["stateDiagram-v2", f"    [*] --> {self.initial.name}"]
        arrows: dict[tuple[str, str], list[str]] = {}
        for (state, event), target in self.transitions.items():
            arrows.setdefault((state.name, target.name), []).append(event.name)
        lines += [
            f"    {source} --> {target}: {', '.join(events)}"
            for (source, target), events in arrows.items()
        ]
        lines += [f"    {state.name} --> [*]" for state in self.states if state in self.terminal]
        return "\n".join(lines)


def render(tables: Sequence[StateTable[StrEnum, StrEnum]], module: str) -> str:
    """LIFECYCLE.md of a service: one diagram for each table."""
    parts = [f"# Lifecycle\n\nGenerated from `{module}` by `make diagrams`; do not edit.\n"]
    parts += [f"## {table.name}\n\n```mermaid\n{table.mermaid()}\n```\n" for table in tables]
    return "\n".join(parts)


def main(module: str) -> None:
    """Print the diagrams of a module's `TABLES`."""
    tables = importlib.import_module(module).TABLES
    sys.stdout.write(render(tables, module))


if __name__ == "__main__":
    main(sys.argv[1])
