"""Statements that read payments, and the payments in their rows."""

from sqlalchemy import (
    ARRAY,
    TIMESTAMP,
    BigInteger,
    ColumnElement,
    Select,
    Subquery,
    Text,
    and_,
    bindparam,
    func,
    or_,
    select,
    tuple_,
)

from cashier_common.db.transaction import compiled
from cashier_router.domain.payment import Payment
from cashier_router.domain.standing import DisputeState
from cashier_router.storage.rows import Row, to_payment
from cashier_router.storage.tables import disputes, operations, payments

OPEN = DisputeState.OPEN.value
# A payment and its operations are read by one statement: two would show a payment from before an
# answer with operations from after it.
_OPERATION = "operation_"
_OPERATION_COLUMNS = tuple(column.label(_OPERATION + column.name) for column in operations.c)
PAYMENT = compiled(
    select(payments, *_OPERATION_COLUMNS)
    .outerjoin(
        operations,
        and_(operations.c.merchant == payments.c.merchant, operations.c.payment == payments.c.name),
    )
    .where(payments.c.merchant == bindparam("merchant"), payments.c.name == bindparam("name"))
    .order_by(operations.c.number)
)


def _with_operations(page: Subquery, *order: ColumnElement[object]) -> Select[tuple[object, ...]]:
    """A page of payments, each with its operations in order of number."""
    its = and_(operations.c.merchant == page.c.merchant, operations.c.payment == page.c.name)
    return (
        select(page, *_OPERATION_COLUMNS)
        .outerjoin(operations, its)
        .order_by(*order, operations.c.number)
    )


def _listed() -> Select[tuple[object, ...]]:
    states = bindparam("states", type_=ARRAY(Text))
    reference = bindparam("merchant_reference", type_=Text)
    after_time = bindparam("before_time", type_=TIMESTAMP(timezone=True))
    first, last = (bindparam(n, type_=TIMESTAMP(timezone=True)) for n in ("min_time", "max_time"))
    key = tuple_(payments.c.create_time, payments.c.name)
    page = (
        select(payments)
        .where(
            payments.c.merchant == bindparam("merchant"),
            or_(states.is_(None), payments.c.state == func.any(states)),
            or_(reference.is_(None), payments.c.merchant_reference == reference),
            or_(first.is_(None), payments.c.create_time >= first),
            or_(last.is_(None), payments.c.create_time < last),
            or_(
                after_time.is_(None),
                key < tuple_(after_time, bindparam("before_name", type_=Text)),
            ),
        )
        .order_by(payments.c.create_time.desc(), payments.c.name.desc())
        .limit(bindparam("count", type_=BigInteger))
        .subquery("page")
    )
    return _with_operations(page, page.c.create_time.desc(), page.c.name.desc())


LIST = compiled(_listed())


def _for_people() -> Select[tuple[object, ...]]:
    merchants = bindparam("merchants", type_=ARRAY(Text))
    after_time = bindparam("after_time", type_=TIMESTAMP(timezone=True))
    key = tuple_(payments.c.create_time, payments.c.merchant, payments.c.name)
    after = tuple_(
        after_time, bindparam("after_merchant", type_=Text), bindparam("after_name", type_=Text)
    )
    page = (
        select(payments)
        .where(
            payments.c.attention.is_not(None),
            or_(merchants.is_(None), payments.c.merchant == func.any(merchants)),
            or_(after_time.is_(None), key > after),
        )
        .order_by(payments.c.create_time, payments.c.merchant, payments.c.name)
        .limit(bindparam("count", type_=BigInteger))
        .subquery("page")
    )
    return _with_operations(page, page.c.create_time, page.c.merchant, page.c.name)


FOR_PEOPLE_PAGE = compiled(_for_people())


def _disputes() -> Select[tuple[object, ...]]:
    """A page of disputes, each with its payment and the operations of that."""
    merchants, states, stages = (
        bindparam(name, type_=ARRAY(Text)) for name in ("merchants", "states", "stages")
    )
    account = bindparam("account", type_=Text)
    due, after_due = (
        bindparam(name, type_=TIMESTAMP(timezone=True)) for name in ("due_before", "after_due")
    )
    d = disputes.c
    key = tuple_(d.evidence_due, d.merchant, d.name)
    after = tuple_(
        after_due, bindparam("after_merchant", type_=Text), bindparam("after_name", type_=Text)
    )
    page = (
        select(disputes)
        .where(
            or_(merchants.is_(None), d.merchant == func.any(merchants)),
            or_(states.is_(None), d.state == func.any(states)),
            or_(stages.is_(None), d.stage == func.any(stages)),
            or_(account.is_(None), d.account == account),
            or_(due.is_(None), and_(d.state == OPEN, d.evidence_due < due)),
            or_(after_due.is_(None), key > after),
        )
        .order_by(d.evidence_due, d.merchant, d.name)
        .limit(bindparam("count", type_=BigInteger))
        .subquery("page")
    )
    its = and_(payments.c.merchant == page.c.merchant, payments.c.name == page.c.payment)
    of_payment = and_(
        operations.c.merchant == payments.c.merchant, operations.c.payment == payments.c.name
    )
    return (
        select(page.c.name.label("dispute"), payments, *_OPERATION_COLUMNS)
        .join(payments, its)
        .outerjoin(operations, of_payment)
        .order_by(page.c.evidence_due, page.c.merchant, page.c.name, operations.c.number)
    )


DISPUTES_PAGE = compiled(_disputes())


def to_payments(rows: list[Row], by: str = "name") -> list[Payment]:
    """One payment for all rows with the same `by`, in the order in which those come."""
    parts: dict[str, list[Row]] = {}
    for row in rows:
        parts.setdefault(row[by], []).append(row)
    return [
        to_payment(found[0], [_operation(row) for row in found if row["operation_number"]])
        for found in parts.values()
    ]


def _operation(row: Row) -> Row:
    return {column.name: row[_OPERATION + column.name] for column in operations.c}
