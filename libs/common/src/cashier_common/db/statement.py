"""SQLAlchemy Core statements compiled once, at import, into what asyncpg executes."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import (
    BinaryExpression,
    BindParameter,
    Column,
    ColumnElement,
    Delete,
    Insert,
    LargeBinary,
    Table,
    Update,
    literal_column,
)
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.sql import ClauseElement, Executable, operators
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import BooleanClauseList, TextClause
from sqlalchemy.sql.selectable import SelectBase

_DIALECT: Final = PGDialect_asyncpg(dbapi=PGDialect_asyncpg.import_dbapi())  # type: ignore[no-untyped-call]
# Literals and quoted names are matched first, so that a `$1` inside them stays what it is.
_PLACEHOLDER: Final = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|\$(\d+)")

Processor = Callable[[Any], Any]


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """One statement: SQL with `$n`, and which named parameter goes where.

    Compared by identity, so that a tuple of queries is a cheap cache key.
    """

    sql: str
    names: tuple[str, ...]
    """Parameter names in the order of `$1, $2, …`."""
    defaults: dict[str, Any]
    """Values that the statement itself brought: literals and scalar column defaults."""
    computed: dict[str, Callable[[], Any]]
    """Column defaults that are computed for each execution."""
    processors: tuple[tuple[int, Processor], ...]
    """Conversions of the columns' types, by place."""
    counted_sql: str | None
    """The same write with `RETURNING`, for counting its rows inside a CTE; None for a read."""
    only_reads: bool
    """A SELECT: when its answer is lost, nothing is in doubt. `text()` is never trusted so far."""
    touches_one_row_at_most: bool
    """By its shape (one row of values, the whole key compared): a miss has changed nothing."""
    required: frozenset[str] = field(default=frozenset())

    @property
    def is_write(self) -> bool:
        """Whether it is an INSERT, UPDATE or DELETE."""
        return self.counted_sql is not None

    def arguments(self, given: dict[str, object]) -> list[object]:
        """The parameter values in order; TypeError names every parameter missing or unknown."""
        if len(given) == len(self.names) and not self.processors:
            try:
                return [given[name] for name in self.names]
            except KeyError:
                pass  # the slow way finds out which names are wrong
        values: dict[str, object] = {**self.defaults, **given}
        for name, make in self.computed.items():
            if name not in given:
                values[name] = make()
        if self.required - values.keys() or given.keys() - set(self.names):
            missing = ", ".join(sorted(self.required - values.keys())) or "none"
            unknown = ", ".join(sorted(given.keys() - set(self.names))) or "none"
            raise TypeError(f"parameters missing: {missing}; unknown: {unknown}; in: {self.sql}")
        arguments: list[object] = [values[name] for name in self.names]
        for place, process in self.processors:
            arguments[place] = process(arguments[place])
        return arguments


def compiled(statement: Executable, *, columns: Sequence[str] | None = None) -> Query:
    """Compile a Core statement (or `text()`) once; call it at import, never per request.

    Parameters are the names of `bindparam`s; `insert(table)` without `.values()` takes every
    column, or those in `columns`, by name. Values are asyncpg's: what comes back was not run
    through SQLAlchemy's result processors (JSON is text, an enum is its label).
    Raises TypeError for an expanding `IN`: say `column == func.any(bindparam(…, ARRAY(…)))`.
    """
    counted: str | None = None
    plain = statement
    if isinstance(statement, (Insert, Update, Delete)):
        if statement.returning_column_descriptions:
            counted = _compile(statement, columns).string
        else:
            counted = _compile(statement.returning(literal_column("1")), columns).string
            # Without inline() SQLAlchemy would add RETURNING for the key's server default.
            if isinstance(statement, Insert) and statement.select is None:
                plain = statement.inline()
    done = _compile(plain, columns)
    if done.literal_execute_params or done.post_compile_params:
        raise TypeError(
            "an expanding IN cannot be compiled once: "
            f"compare with func.any(bindparam(..., ARRAY(...))) instead, in: {done.string}"
        )
    names = tuple(done.positiontup or ())
    defaults, computed = _defaults(done, names)
    return Query(
        sql=done.string,
        names=names,
        defaults=defaults,
        computed=computed,
        processors=_processors(done, names),
        counted_sql=counted,
        only_reads=_only_reads(statement),
        touches_one_row_at_most=_is_one_row(plain),
        required=frozenset(names) - defaults.keys() - computed.keys(),
    )


def renumbered(sql: str, offset: int) -> str:
    """The same SQL with every `$n` moved up by `offset`; literals are left alone."""
    if offset == 0:
        return sql
    return _PLACEHOLDER.sub(
        lambda found: f"${int(found[1]) + offset}" if found[1] else found[0], sql
    )


def _only_reads(statement: Executable) -> bool:
    """Whether a lost answer leaves nothing unknown; a text that begins otherwise may write."""
    if isinstance(statement, TextClause):
        return statement.text.lstrip().upper().startswith("SELECT")
    return isinstance(statement, SelectBase)


def _compile(statement: Executable, columns: Sequence[str] | None) -> SQLCompiler:
    if not isinstance(statement, ClauseElement):
        raise TypeError(f"only SQLAlchemy Core statements can be compiled, got {statement!r}")
    done = statement.compile(
        dialect=_DIALECT, column_keys=None if columns is None else list(columns)
    )
    if not isinstance(done, SQLCompiler):
        raise TypeError(f"only queries and writes can be compiled, got {statement!r}")
    return done


def _defaults(
    done: SQLCompiler, names: tuple[str, ...]
) -> tuple[dict[str, Any], dict[str, Callable[[], Any]]]:
    defaults = {
        name: done.binds[name].effective_value for name in names if not done.binds[name].required
    }
    computed: dict[str, Callable[[], Any]] = {}
    makers = [(column.key, column.default) for column in done.insert_prefetch]
    makers += [(column.key, column.onupdate) for column in done.update_prefetch]
    for name, maker in makers:
        if maker is None or name not in defaults:
            continue
        if maker.is_scalar:
            defaults[name] = maker.arg  # type: ignore[attr-defined]
        elif maker.is_callable:
            del defaults[name]
            computed[name] = _without_context(maker.arg)  # type: ignore[attr-defined]
    return defaults, computed


def _without_context(make: Callable[[Any], Any]) -> Callable[[], Any]:
    """SQLAlchemy wraps a default so that it takes an execution context; ours has none."""
    return lambda: make(None)


def _processors(done: SQLCompiler, names: tuple[str, ...]) -> tuple[tuple[int, Processor], ...]:
    found = []
    for place, name in enumerate(names):
        kind = done.binds[name].type
        process = kind.dialect_impl(_DIALECT).bind_processor(_DIALECT)
        if process is not None and not isinstance(kind, LargeBinary):  # asyncpg takes bytes as is
            found.append((place, process))
    return tuple(found)


def _is_one_row(statement: Executable) -> bool:
    if isinstance(statement, Insert):
        # There is no public way to ask for several VALUES lists.
        return statement.select is None and not statement._multi_values  # noqa: SLF001
    if isinstance(statement, (Update, Delete)) and isinstance(statement.table, Table):
        key = {column.key for column in statement.table.primary_key.columns}
        return bool(key) and key <= _fixed_columns(statement.whereclause, statement.table)
    return False


def _fixed_columns(where: ColumnElement[bool] | None, table: Table) -> set[str]:
    """The columns of the table that an AND of conditions compares with one value each."""
    if isinstance(where, BooleanClauseList) and where.operator is operators.and_:
        return set().union(*(_fixed_columns(part, table) for part in where.clauses))
    if isinstance(where, BinaryExpression) and where.operator is operators.eq:
        column, value = where.left, where.right
        if (
            isinstance(column, Column)
            and column.table is table
            and isinstance(value, BindParameter)
        ):
            return {column.key}
    return set()
