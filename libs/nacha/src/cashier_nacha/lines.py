"""The lines of a file, one after the other, each with its number."""

from collections.abc import Iterable, Iterator

from cashier_nacha.faults import FileRefused


class Lines:
    """A reader that looks one line ahead. `number` is the line that was taken last."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = tuple(lines)
        self.number = 0

    @property
    def total(self) -> int:
        """How many lines the file has."""
        return len(self._lines)

    def next_type(self) -> str:
        """The first character of the next line; empty at the end."""
        return self._lines[self.number][0] if self.number < self.total else ""

    def next_shape(self) -> str:
        """What comes next, for a sentence."""
        kind = self.next_type()
        return f"a record of type {kind}" if kind else "the file's end"

    def take(self) -> tuple[int, str]:
        """The next line and its number; FileRefused at the end."""
        if self.number == self.total:
            raise FileRefused("a record must come here, found the file's end", line=self.number)
        self.number += 1
        return self.number, self._lines[self.number - 1]

    def rest(self) -> Iterator[tuple[int, str]]:
        """What is left."""
        while self.number < self.total:
            yield self.take()
