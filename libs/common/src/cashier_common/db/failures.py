"""What a database failure means to a flow: nothing happened, nobody knows, or a rule broke."""

from typing import Final, NoReturn

import asyncpg

from cashier_common.errors import Outage, RaceLost, StoreUnavailable

EXPECTATION_SQLSTATE: Final = "WM001"
"""Raised by `expect_rows`; classes from I to Z are free for applications."""

_INTEGRITY_CLASS: Final = "23"
_LOST_RACES: Final = frozenset({"40001", "40P01", "55P03"})  # serialization, deadlock, lock_timeout
# statement_timeout; a read-only server (a failover left us on the standby); out of disk,
# memory or a configured limit: each is an ERROR that rolled the statement back.
_NOTHING_HAPPENED: Final = frozenset(
    {"57014", "25006", "53000", "53100", "53200", "53300", "53400"}
)


class CommitUnknown(Outage):
    """The connection was lost, or time ran out, after a write left: it may have committed or not.

    Never a refusal: only the same call under the same idempotency key finds out what happened.
    """

    def __init__(self, database: str) -> None:
        super().__init__(
            f"the answer of database {database} to a write never came: it may have committed; "
            "repeat the same call with the same idempotency key"
        )


class ConstraintBroken(Exception):
    """A constraint refused the unit and all of it was rolled back; react to it by `constraint`.

    Holds names alone, never the server's detail: that one quotes the row.
    """

    def __init__(self, *, constraint: str, table: str, sqlstate: str) -> None:
        super().__init__(f"constraint {constraint} of table {table} refused the unit ({sqlstate})")
        self.constraint = constraint
        self.table = table
        self.sqlstate = sqlstate


class WriteMissed(Exception):
    """A write touched another number of rows than expected, and the whole unit was rolled back."""

    def __init__(self, *, ordinal: int, got: int, want: int, sql: str = "") -> None:
        super().__init__(f"write {ordinal} touched {got} rows and expected {want}: {sql}")
        self.ordinal = ordinal
        self.got = got
        self.want = want

    def told(self, sql: str) -> "WriteMissed":
        """The same with the statement in the message: its text, never its values."""
        return WriteMissed(ordinal=self.ordinal, got=self.got, want=self.want, sql=sql)


def leaves_connection_clean(error: BaseException) -> bool:
    """Whether the server is known to be done with the statement, so that its session is usable.

    Not after a read-only server's answer: the next connection should find the new primary.
    """
    if isinstance(error, asyncpg.PostgresError):
        return severity(error) == "ERROR" and error.sqlstate != "25006"
    # Ours, or an argument that asyncpg could not encode: nothing of it was sent.
    return isinstance(error, (WriteMissed, asyncpg.DataError))


def severity(error: asyncpg.PostgresError) -> str | None:
    """ERROR, FATAL or PANIC as the server said it; None where the server said nothing."""
    told: str | None = getattr(error, "severity_en", None) or getattr(error, "severity", None)
    return told


def raise_translated(error: Exception, *, database: str, committing: bool) -> NoReturn:
    """Raise what the failure means; the server's detail stays out of tracebacks: it quotes rows."""
    meaning = translated(error, database=database, committing=committing)
    if meaning is error:
        raise error
    raise meaning from (None if isinstance(error, asyncpg.PostgresError) else error)


def translated(error: Exception, *, database: str, committing: bool) -> Exception:
    """What this failure means; `error` itself where it is a fault of our own code.

    `committing` says that a write had left which the server commits by itself, so that without
    its answer nobody knows. An ERROR is always an answer: PostgreSQL rolled the statement back.
    FATAL is not: a backend may be terminated between its commit and its reply.
    """
    if isinstance(error, asyncpg.PostgresError) and severity(error) == "ERROR":
        return _answered(error, database)
    if isinstance(error, (asyncpg.PostgresError, OSError)):  # TimeoutError is an OSError
        return CommitUnknown(database) if committing else StoreUnavailable()
    if isinstance(error, asyncpg.InterfaceError) and not isinstance(error, asyncpg.DataError):
        return CommitUnknown(database) if committing else StoreUnavailable()
    if isinstance(error, asyncpg.InternalClientError):
        # The server has said its last word to an idle connection that does not know yet that it is
        # closed: asyncpg refuses before it writes a byte.
        return StoreUnavailable()
    return error


def _answered(error: asyncpg.PostgresError, database: str) -> Exception:
    state = error.sqlstate or ""
    if state == EXPECTATION_SQLSTATE:
        ordinal, got, want = (int(word) for word in str(error.detail).split())
        return WriteMissed(ordinal=ordinal, got=got, want=want)
    if state.startswith(_INTEGRITY_CLASS):
        return ConstraintBroken(
            constraint=error.constraint_name or error.column_name or "",
            table=error.table_name or "",
            sqlstate=state,
        )
    if state in _LOST_RACES:
        return RaceLost(name=f"a row of {database}")
    if state in _NOTHING_HAPPENED:
        return StoreUnavailable()
    return error
