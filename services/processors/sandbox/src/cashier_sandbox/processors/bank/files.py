"""`POST /ach/files/{id}`: a file is taken once, whole or not at all; its entries wait to settle."""

from __future__ import annotations

from dataclasses import asdict
from hashlib import sha256
from typing import Any

from aiohttp import web

from cashier_nacha import FileRefused, parse
from cashier_nacha.records import BatchHeader, File
from cashier_nacha.records import Entry as FileEntry
from cashier_nacha.transaction_codes import TRANSACTION_CODES, Direction, Purpose
from cashier_sandbox.domain.bank import Standing
from cashier_sandbox.domain.conditions import Ask, Operation
from cashier_sandbox.domain.entry import Draft, Entry, Kind
from cashier_sandbox.flows.close_key import close_key
from cashier_sandbox.flows.desk import Desk, not_found
from cashier_sandbox.flows.perform import Order, perform
from cashier_sandbox.flows.refusals import Code, Refused, invalid
from cashier_sandbox.http.answers import answer
from cashier_sandbox.http.fields import is_key
from cashier_sandbox.processors.bank.script import plan_of

CURRENCY = "USD"
BODY_MAX_BYTES = 4 * 1024 * 1024
# An originator's own names of its entries; they are the ledger's ids, so that files line up.
_KINDS = {"ch_": Kind.CHARGE, "re_": Kind.REFUND, "po_": Kind.PAYOUT}


async def post_file(desk: Desk, request: web.Request) -> web.Response:
    """Take a file; one with a known name or known content is refused, whatever it was called."""
    name, content = _name(request), await request.read()
    digest = sha256(content).hexdigest()
    _refuse_known(desk, name, digest)
    order = Order(
        key=name,
        fingerprint=digest,
        ask=Ask(operation=Operation.FILE, token="", currency=CURRENCY, amount=0),
    )
    done = await perform(desk, order, lambda _: _draft(desk, name, digest, content))
    if done.replayed:
        raise _duplicate(name)
    return answer(file_json(desk, desk.book.bank.files[name]), status=201)


async def get_file(desk: Desk, request: web.Request) -> web.Response:
    """Show a file; one that is not there may still be on its way: `close` makes that final."""
    found = desk.book.bank.files.get(_name(request))
    if found is None:
        raise not_found("file", "of that name")
    return answer(file_json(desk, found))


async def close_file(desk: Desk, request: web.Request) -> web.Response:
    """Show the file of this name, or see to it that none is ever taken under it."""
    name = _name(request)
    close_key(desk, name)
    found = desk.book.bank.files.get(name)
    return answer(
        file_json(desk, found) if found else {"object": "file", "id": name, "status": "closed"}
    )


async def get_entry(desk: Desk, request: web.Request) -> web.Response:
    """Where an entry stands, by its trace number."""
    bank = desk.book.bank
    found = bank.entries.get(bank.by_trace.get(request.match_info["trace"], ""))
    if found is None:
        raise not_found("entry", "with that trace number")
    return answer(
        {
            "object": "entry",
            "trace": found.trace,
            "individual_id": found.id,
            "file": found.file,
            "amount": found.amount,
            "status": found.standing,
            "has_settled": found.has_settled,
            "return_code": found.code or None,
            "return_trace": found.return_trace or None,
        }
    )


def file_json(desk: Desk, entry: Entry) -> dict[str, Any]:
    """A file with its totals."""
    rows = entry.detail["entries"]
    waits = any(
        desk.book.bank.entries[row["ach"]["id"]].standing is Standing.PENDING for row in rows
    )
    debits = sum(row["ach"]["amount"] for row in rows if row["kind"] == Kind.CHARGE)
    return {
        "object": "file",
        "id": entry.id,
        "status": "accepted" if waits else "processed",
        "sha256": entry.detail["sha256"],
        "entries": len(rows),
        "debits": debits,
        "credits": sum(row["ach"]["amount"] for row in rows) - debits,
        "created_at": entry.at,
    }


def _name(request: web.Request) -> str:
    name = request.match_info["id"]
    if not is_key(name):
        raise invalid("id", "a file's id has 1 to 64 visible ASCII characters")
    return name


def _refuse_known(desk: Desk, name: str, digest: str) -> None:
    bank = desk.book.bank
    known = bank.files.get(name)
    if known is not None and known.detail["sha256"] != digest:
        raise Refused(Code.IDEMPOTENCY_MISMATCH, f"file {name} was taken with another content")
    if digest in bank.hashes:
        raise _duplicate(bank.hashes[digest])


def _duplicate(name: str) -> Refused:
    return Refused(Code.DUPLICATE, f"this content was taken before, as file {name}")


def _draft(desk: Desk, name: str, digest: str, content: bytes) -> Draft:
    _refuse_known(desk, name, digest)
    try:
        file = parse(content)
    except FileRefused as refused:
        raise invalid("body", str(refused)) from refused
    rows = list(_rows(desk, file))
    if not rows:
        raise invalid("body", "the file has no entry")
    return Draft(
        account=desk.account.name,
        kind=Kind.ACH_FILE,
        id=name,
        key=name,
        currency=CURRENCY,
        detail={"fingerprint": digest, "sha256": digest, "entries": rows},
    )


def _rows(desk: Desk, file: File) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    seen = set(desk.book.bank.entries)
    traces = set(desk.book.bank.by_trace)
    for batch in file.batches:
        header = batch.header
        for entry in batch.entries:
            if not isinstance(header, BatchHeader) or not isinstance(entry, FileEntry):
                raise invalid("body", "international batches are not taken here")
            code = TRANSACTION_CODES[entry.transaction_code]
            if entry.verdict or code.purpose is not Purpose.LIVE or not entry.amount:
                raise invalid("body", f"entry {entry.trace} moves no money")
            if entry.individual_id in seen or entry.trace in traces:
                raise Refused(Code.DUPLICATE, f"entry {entry.trace} was taken before")
            seen.add(entry.individual_id)
            traces.add(entry.trace)
            rows.append(_row(desk, header, entry))
    return rows


def _row(desk: Desk, header: BatchHeader, entry: FileEntry) -> dict[str, Any]:
    kind, charge = _kind(desk, entry)
    token = desk.book.bank.tokens.get(entry.account)
    plan = plan_of(entry.account, entry.routing, entry.amount, token)
    return {
        "kind": kind,
        "charge": charge or (entry.individual_id if kind is Kind.CHARGE else ""),
        "reference": _words(entry)[0] or entry.individual_id,
        "plan": asdict(plan) if plan else None,
        "ach": {
            "id": entry.individual_id,
            "amount": entry.amount,
            "trace": entry.trace,
            "transaction_code": entry.transaction_code,
            "routing": entry.routing,
            "account": entry.account,
            "individual_name": entry.individual_name,
            "company": {
                "company_name": header.company_name,
                "company_id": header.company_id,
                "entry_class": header.entry_class,
                "description": header.description,
                "odfi": header.odfi,
            },
        },
    }


def _kind(desk: Desk, entry: FileEntry) -> tuple[Kind, str]:
    """A debit is a charge; a credit is the refund of a charge that it names, or a payout."""
    kind = _KINDS.get(entry.individual_id[:3])
    is_debit = TRANSACTION_CODES[entry.transaction_code].direction is Direction.DEBIT
    if kind is None or is_debit != (kind is Kind.CHARGE):
        raise invalid(
            "body",
            f"entry {entry.trace}: individual_id must begin with ch_ (debit), re_ or po_ (credit)",
        )
    if kind is not Kind.REFUND:
        return kind, ""
    named = _words(entry)[1]
    charge = desk.book.charges.get(named)
    if charge is None or charge.refundable < entry.amount:
        raise invalid("body", f"entry {entry.trace}: it gives back more than is left of its charge")
    return kind, charge.id


def _words(entry: FileEntry) -> tuple[str, str]:
    """The originator's reference, and the entry that a credit gives back, from the addenda."""
    text = entry.addenda[0].text[:80] if entry.addenda else ""
    words = [*text.split(), "", ""]
    return words[0], words[1]
