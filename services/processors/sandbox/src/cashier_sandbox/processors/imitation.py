"""What an imitated API consists of, and the names under which accounts choose one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from aiohttp import web

from cashier_sandbox.flows.authenticate import resume as resume_authentications
from cashier_sandbox.flows.deliver_notice import Face
from cashier_sandbox.flows.desk import Desk
from cashier_sandbox.http.dialect import NATIVE, Dialect
from cashier_sandbox.http.fields import BODY_MAX_BYTES
from cashier_sandbox.processors.acs.api import routes as acs_routes
from cashier_sandbox.processors.acs.errors import DIALECT as ACS
from cashier_sandbox.processors.acs.notices import NOTICES as ACS_NOTICES
from cashier_sandbox.processors.adyen.api import routes as adyen_routes
from cashier_sandbox.processors.adyen.errors import ADYEN
from cashier_sandbox.processors.adyen.notices import NOTICES as ADYEN_NOTICES
from cashier_sandbox.processors.bank.api import routes as bank_routes
from cashier_sandbox.processors.bank.files import BODY_MAX_BYTES as BANK_BODY_MAX_BYTES
from cashier_sandbox.processors.bank.notices import NOTICES as BANK_NOTICES
from cashier_sandbox.processors.dlocal.api import routes as dlocal_routes
from cashier_sandbox.processors.dlocal.errors import DIALECT as DLOCAL
from cashier_sandbox.processors.dlocal.notices import NOTICES as DLOCAL_NOTICES
from cashier_sandbox.processors.dlocal.notices import Sign
from cashier_sandbox.processors.dlocal.notices import signer as dlocal_signer
from cashier_sandbox.processors.native.api import routes as native_routes
from cashier_sandbox.processors.native.notices import NOTICES as NATIVE_NOTICES
from cashier_sandbox.processors.stripe.api import routes as stripe_routes
from cashier_sandbox.processors.stripe.errors import DIALECT as STRIPE
from cashier_sandbox.processors.stripe.events import FACE as STRIPE_NOTICES
from cashier_sandbox.processors.stripe.form import BODY_MAX_BYTES as STRIPE_BODY_MAX_BYTES
from cashier_sandbox.processors.vault.api import routes as vault_routes


class Files(Protocol):
    """Where settlement files are kept."""

    def read(self, account: str, name: str) -> bytes:
        """Return a file; FileNotFoundError if it is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Imitation:
    """One HTTP API over the shared flows; `notices` is None where it sends none.

    `signer` makes the signing of notices where the account's name is part of it.
    `keeps_failures`: a failure after the work began is its key's answer for ever.
    """

    routes: Callable[[Desk, Files], list[web.RouteDef]]
    dialect: Dialect = NATIVE
    notices: Face | None = None
    signer: Callable[[str], Sign] | None = None
    keeps_failures: bool = False
    body_max_bytes: int = BODY_MAX_BYTES
    # Sets the timers of what waits, when the port is open.
    resume: Callable[[Desk], None] = lambda _desk: None


IMITATIONS: dict[str, Imitation] = {
    "native": Imitation(routes=native_routes, notices=NATIVE_NOTICES),
    "stripe": Imitation(
        routes=stripe_routes,
        dialect=STRIPE,
        notices=STRIPE_NOTICES,
        keeps_failures=True,
        body_max_bytes=STRIPE_BODY_MAX_BYTES,
    ),
    "3ds": Imitation(
        routes=acs_routes, dialect=ACS, notices=ACS_NOTICES, resume=resume_authentications
    ),
    "vault": Imitation(routes=vault_routes),
    "adyen": Imitation(routes=adyen_routes, dialect=ADYEN, notices=ADYEN_NOTICES),
    "dlocal": Imitation(
        routes=dlocal_routes, dialect=DLOCAL, notices=DLOCAL_NOTICES, signer=dlocal_signer
    ),
    "bank": Imitation(routes=bank_routes, notices=BANK_NOTICES, body_max_bytes=BANK_BODY_MAX_BYTES),
}
