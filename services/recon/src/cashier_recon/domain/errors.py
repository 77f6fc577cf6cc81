"""What recon refuses, as sentences with their facts."""

from dataclasses import dataclass

from cashier_common.errors import Kind, Refusal


@dataclass
class RunInProgress(Refusal):
    """Another run holds the lock."""

    kind = Kind.LOST_RACE
    reason = "RUN_IN_PROGRESS"
    text = "{run} is under way: wait until GetRun shows that it has ended, then start the next one"
    retry_after_s = 2.0
    run: str


@dataclass
class StatementUnreadable(Refusal):
    """The upload itself is not a statement; nothing was written."""

    kind = Kind.INVALID
    reason = "STATEMENT_UNREADABLE"
    text = "the statement cannot be imported: {problem}"
    problem: str


class EventUnbookable(Exception):
    """An event that must not be skipped and cannot be booked: its shard stops in front of it."""

    def __init__(self, *, shard: int, position: int, problem: str) -> None:
        super().__init__(
            f"event {position} of shard {shard} cannot be booked: {problem}; nothing after it is "
            "booked until this is mended"
        )
        self.shard = shard
        self.position = position
        self.problem = problem
