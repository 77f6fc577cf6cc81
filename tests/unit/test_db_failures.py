"""What a failure of the database means to whoever asked."""

import asyncpg
import pytest

from cashier_common.db.failures import CommitUnknown, translated
from cashier_common.errors import StoreUnavailable


@pytest.mark.parametrize("committing", [True, False])
def test_a_connection_that_was_closed_behind_our_back_did_nothing(committing):
    """asyncpg finds out before it writes a byte, so nothing can have been committed."""
    error = asyncpg.InternalClientError("cannot switch to state 12; another operation (2) is")

    assert isinstance(translated(error, database="x", committing=committing), StoreUnavailable)


@pytest.mark.parametrize(
    ("committing", "meaning"), [(True, CommitUnknown), (False, StoreUnavailable)]
)
def test_a_lost_answer_is_unknown_only_where_something_was_to_be_committed(committing, meaning):
    error = ConnectionResetError()

    assert isinstance(translated(error, database="x", committing=committing), meaning)


def test_a_fault_of_our_own_stays_what_it_is():
    error = ValueError("wrong")

    assert error is translated(error, database="x", committing=True)
