"""`python -m cashier_gateway notices …`: the inbox of webhooks for people at a terminal."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Final, TypeVar

import orjson
import typer

from cashier_common.db.engine import Database
from cashier_common.errors import Refusal, ResourceNotFound
from cashier_common.ids import new_name
from cashier_common.service import sentences
from cashier_common.settings import SettingsRefused, load
from cashier_gateway.accounts_command import OPERATOR_PREFIX, said
from cashier_gateway.flows.handle_notice import HandleNotice, Verb, handle_notice
from cashier_gateway.flows.notice_desk import Filter, KeptLetter, due_of
from cashier_gateway.flows.notice_ports import Due, InboxState
from cashier_gateway.flows.ports import Origin
from cashier_gateway.settings import GatewaySettings
from cashier_gateway.storage.notice_desk import NoticeDesk

ROWS_MAX: Final = 1_000

Result = TypeVar("Result")
Name = Annotated[str, typer.Argument(help="notices/{account}/{event}, as `list` shows it.")]
Operator = Annotated[str, typer.Option(help="Who answers for it; it stands in the record.")]
Reason = Annotated[str, typer.Option(help="Why; it stands in the record.")]
commands = typer.Typer(no_args_is_help=True, help="Read webhooks that came, and take them again.")


@commands.command("list")
def show_list(
    account: Annotated[str, typer.Option(help="Only of this account.")] = "",
    state: Annotated[str, typer.Option(help="WAITING, DONE or DEAD.")] = "",
    result: Annotated[str, typer.Option(help="UNMATCHED, EARLY, APPLIED, …")] = "",
    operation: Annotated[str, typer.Option(help="Only those that name this operation.")] = "",
    limit: Annotated[int, typer.Option(help="At most so many.", min=1, max=ROWS_MAX)] = 50,
) -> None:
    """List webhooks, the newest first."""
    wanted = Filter(account=account, state=state, result=result, operation=operation)
    with sentences():
        for letter in _run(lambda desk: desk.page(wanted, None, limit)):
            typer.echo(_line(letter))


@commands.command()
def show(name: Name) -> None:
    """Show one as JSON."""
    with sentences():
        typer.echo(orjson.dumps(_facts(_run(lambda desk: _found(desk, name)))))


@commands.command()
def reprocess(name: Name, operator: Operator, reason: Reason) -> None:
    """Let the worker take one again, dead or about nothing that we knew: within a second."""
    _handle(Verb.REPROCESS, name, operator, reason)


@commands.command()
def dismiss(name: Name, operator: Operator, reason: Reason) -> None:
    """Put one aside for good."""
    _handle(Verb.DISMISS, name, operator, reason)


def _handle(verb: Verb, name: str, operator: str, reason: str) -> None:
    async def decide(desk: NoticeDesk) -> KeptLetter:
        seen = await _found(desk, name)
        command = HandleNotice(
            verb=verb, name=name, operator=said("operator", operator),
            reason=said("reason", reason), etag=seen.etag, key=new_name("commands", "cmd"),
        )  # fmt: skip
        origin = Origin(OPERATOR_PREFIX + command.operator, traceparent="")
        return await handle_notice(command, desk, origin, _left_to_the_worker)

    with sentences():
        typer.echo(_line(_run(decide)))


async def _left_to_the_worker(due: Due) -> None:
    """Nothing: a letter that waits is taken by whoever works."""


async def _found(desk: NoticeDesk, name: str) -> KeptLetter:
    due = due_of(name)
    letter = None if due is None else await desk.find(due)
    if letter is None:
        raise ResourceNotFound(name=name)
    return letter


def _run(work: Callable[[NoticeDesk], Awaitable[Result]]) -> Result:
    async def on_the_database() -> Result:
        settings = load(GatewaySettings)
        database = await Database.connect(settings.need("database_url"), name="gateway notices")
        try:
            return await work(NoticeDesk(database))
        except Refusal as refusal:
            raise SettingsRefused(str(refusal)) from None
        finally:
            await database.close()

    return asyncio.run(on_the_database())


def _line(letter: KeptLetter) -> str:
    came = letter.received_at.strftime("%Y-%m-%d %H:%M:%SZ")
    detail = letter.notice.detail if letter.notice else "(facts reaped)"
    state = f"{letter.state} {letter.result}".strip()
    return f"{came}  {state}  tries {letter.tries}  {letter.name}  {detail}"


def _facts(letter: KeptLetter) -> dict[str, object]:
    return {
        "name": letter.name,
        "state": letter.state.value,
        "result": letter.result,
        "tries": letter.tries,
        "etag": letter.etag,
        "received_at": letter.received_at,
        "next_at": letter.next_at if letter.state is InboxState.WAITING else None,
        "attempted_at": letter.settled_at,
        "body_sha256": letter.body_hash.hex(),
        "facts": letter.notice.to_json() if letter.notice else None,
    }
