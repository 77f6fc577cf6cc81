"""Makes the processors settle, with mistakes, and lets recon find them: those and no others."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cashier.recon.v1 import exception_pb2, recon_service_pb2
from cashier_mesh.demo.books import Books
from cashier_mesh.demo.localstripe import Localstripe
from cashier_mesh.demo.sandbox import Anomaly, Merchant, Operator, SettlementFile

MISTAKES: Mapping[str, Mapping[str, int]] = {
    "sandbox-us": {"omit": 1, "alter_amount": 1},
    "sandbox-eu": {"duplicate": 1, "fee_off": 1},
    "sandbox-latam": {"unknown_charge": 1},
    "sandbox-global": {"omit": 1, "duplicate": 1},
}
# What recon has to call a mistake of the sandbox.
MEANING = {
    "omit": "MISSING_IN_SETTLEMENT",
    "alter_amount": "AMOUNT_MISMATCH",
    "duplicate": "DUPLICATE_SETTLEMENT",
    "unknown_charge": "ORPHAN_SETTLEMENT",
    "fee_off": "FEE_VARIANCE",
}
# What is not in a file today is missing only when it is overdue: no account here settles later.
LATER = timedelta(days=10)
IMPORTED = recon_service_pb2.Statement.STATE_IMPORTED
COMPLETE = recon_service_pb2.Run.STATE_COMPLETE


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What came of it. `problems` are sentences; empty when recon found what there was to find."""

    files: int
    lines: int
    matched: int
    made: list[Anomaly]
    found: list[exception_pb2.ReconException]
    """Exceptions that the runs of this demo found first."""
    problems: list[str]


async def settle(
    merchants: Sequence[Merchant],
    operator: Operator,
    localstripe: Localstripe | None,
    books: Books,
    *,
    name: str,
) -> Reconciled:
    """Issue, import and match; `name` makes the runs of this demo its own."""
    before = await operator.anomalies()
    for merchant in merchants:
        wanted = MISTAKES.get(merchant.account, {})
        fits = await operator.unsettled(merchant.account) > sum(wanted.values())
        await operator.settle(merchant.account, wanted if fits else {})
    files = [file for merchant in merchants for file in await merchant.settlement_files()]
    files += await _exports(localstripe)
    problems: list[str] = []
    lines = 0
    for file in files:
        statement = await books.import_file(file)
        lines += statement.line_count
        if statement.state != IMPORTED or statement.rejected_line_count:
            problems.append(
                f"{file.name} was not imported whole: {statement.rejected_line_count} rows were "
                f"rejected, {statement.detail or 'none kept apart'}"
            )
    accounts = sorted({file.account for file in files})
    runs = [
        await books.run(f"demo-run-{name}-today", cutoff=None, accounts=accounts),
        await books.run(
            f"demo-run-{name}-later", cutoff=datetime.now(UTC) + LATER, accounts=accounts
        ),
    ]
    problems += [
        f"{run.name} ended {recon_service_pb2.Run.State.Name(run.state)}: a difference has no name"
        for run in runs
        if run.state != COMPLETE
    ]
    made, found = await operator.anomalies(), await books.exceptions()
    names = {run.name for run in runs}
    return Reconciled(
        files=len(files),
        lines=lines,
        matched=sum(run.matched_count for run in runs),
        made=made[len(before) :],
        found=[one for one in found if one.run in names],
        problems=problems + unexplained(made, found),
    )


def unexplained(
    made: Iterable[Anomaly], found: Iterable[exception_pb2.ReconException]
) -> list[str]:
    """Mistakes that recon missed or called otherwise, and exceptions without a mistake."""
    wanted = Counter((one.account, MEANING[one.kind], one.source) for one in made)
    seen = Counter((one.processor_account, one.type, one.statement_reference) for one in found)
    missed = [
        f"the file of {account} has a mistake about {source} that recon did not call {kind}"
        for account, kind, source in sorted((wanted - seen).elements())
    ]
    surplus = [
        f"recon found {kind} about {source or 'no reference'} at {account}, and no mistake was "
        "made there"
        for account, kind, source in sorted((seen - wanted).elements())
    ]
    return missed + surplus


async def _exports(localstripe: Localstripe | None) -> list[SettlementFile]:
    files = []
    for account in localstripe.accounts if localstripe else ():
        content = await localstripe.export(account) if localstripe else None
        if content:
            files.append(SettlementFile(account, f"{account}-balance-transactions.csv", content))
    return files
