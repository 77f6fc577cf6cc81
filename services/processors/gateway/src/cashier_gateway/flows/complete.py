"""Find what an operation acts on and through which account, and refuse what that one cannot do."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from cashier_common.errors import FieldInvalid
from cashier_gateway.domain.call import Call, Command, Kind, Request
from cashier_gateway.domain.payer import check_payer
from cashier_gateway.flows.ports import Book, Terminal

# The field of the request that names what each kind acts on.
TARGET_FIELDS: Final = {
    Kind.CAPTURE: "authorization",
    Kind.VOID: "authorization",
    Kind.REFUND: "capture",
}
_OPENS: Final = frozenset({Kind.AUTHORIZE, Kind.PAYOUT})
_SHOWN_MAX_CHARS: Final = 64


async def complete(
    command: Command, book: Book, terminals: Mapping[str, Terminal]
) -> tuple[Command, Terminal]:
    """The command with its account and the processor's references, and where it goes.

    AccountNotEligible, AssetUnknown or FieldInvalid; nothing is written.
    """
    request = command.request
    if request.kind in _OPENS:
        terminal = terminals.get(command.account)
        if terminal is None:
            raise FieldInvalid(
                "processor_account", command.account, "an account that ListCapabilities names"
            )
        terminal.account.check(
            merchant=command.merchant, method=request.method, amount=command.amount
        )
        terminal.account.check_installments(request.installments)
        if terminal.account.payer_required:
            check_payer(command.payer, request.customer_country)
        else:  # nobody keeps what nobody needs
            command = replace(command, payer=None)
        if request.kind is Kind.PAYOUT:
            terminal.account.need("payout")
        elif not request.capture:
            terminal.account.need("manual_capture")
        return command, terminal
    target = await book.find(merchant=command.merchant, operation=request.target)
    completed = _pointed_at(command, target)
    terminal = terminals.get(completed.account)
    if terminal is None:
        raise FieldInvalid(
            TARGET_FIELDS[request.kind], request.target, "of an account that this rail still has"
        )
    terminal.account.check_open()
    if request.kind is Kind.REFUND:
        terminal.account.need("refund")
    elif request.kind is Kind.CAPTURE and target is not None and command.amount != target.amount:
        terminal.account.need("partial_capture")
        if not request.final:
            terminal.account.need("multiple_capture")
    return completed, terminal


def _pointed_at(command: Command, target: Call | None) -> Command:
    """The command with what its target's row knows; FieldInvalid where that cannot be acted on."""
    request, field = command.request, TARGET_FIELDS[command.request.kind]
    shown = request.target[:_SHOWN_MAX_CHARS]
    if target is None or target.request is None:
        raise FieldInvalid(field, shown, "an operation of this merchant that this rail has sent")
    acted_on = target.request
    if request.kind is Kind.REFUND:
        if not _captured(acted_on):
            raise FieldInvalid(field, shown, "an operation that captured money")
        root = target.reference if acted_on.capture else acted_on.authorization_reference
    else:
        if acted_on.kind is not Kind.AUTHORIZE:
            raise FieldInvalid(field, shown, "an authorization")
        root = target.reference
    if not root or not target.reference:
        raise FieldInvalid(
            field, shown, "an operation whose reference at the processor is known: look it up first"
        )
    if command.amount.asset != target.amount.asset:
        raise FieldInvalid(
            "amount.asset_code", command.amount.asset, f"{target.amount.asset}, as in {field}"
        )
    if request.kind is not Kind.REFUND and command.amount.minor > target.amount.minor:
        raise FieldInvalid(
            "amount.minor", str(command.amount.minor),
            f"at most the {target.amount.minor} that were authorized",
        )  # fmt: skip
    return replace(
        command,
        account=target.account,
        request=replace(
            request, authorization_reference=root, target_reference=target.reference
        ),
    )  # fmt: skip


def _captured(request: Request) -> bool:
    return request.kind is Kind.CAPTURE or (request.kind is Kind.AUTHORIZE and request.capture)
