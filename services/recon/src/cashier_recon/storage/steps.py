"""Idempotency keys and steps: what every unit that a caller started writes beside its work."""

from collections.abc import Mapping

from cashier_common.db import requests
from cashier_common.db.audit import STEP, audit_tables, step_params
from cashier_common.db.transaction import UnitOfWork, compiled
from cashier_common.db.types import insert_many
from cashier_recon.flows.ports import Key
from cashier_recon.storage.tables import METADATA

SCOPE = "recon"  # keys are scoped by merchant elsewhere; statements and runs belong to none
_steps = audit_tables(METADATA).steps
STEP_COLUMNS = tuple(column.key for column in _steps.c if column.key != "record_time")
STEPS = compiled(insert_many(_steps, *STEP_COLUMNS))


class KeyWrites:
    """The part of a unit that remembers who asked for what."""

    _tx: UnitOfWork

    async def claimed(self, key: Key) -> str | None:
        """The resource that the key made before; IdempotencyKeyReused for another request."""
        earlier = await requests.find(
            self._tx.read_one, merchant=SCOPE, key=key.key, fingerprint=key.fingerprint
        )
        return earlier.resource if earlier else None

    def claim(self, key: Key, resource: str) -> None:
        """Collect the claim; a concurrent twin loses here."""
        requests.claim(
            self._tx,
            merchant=SCOPE,
            key=key.key,
            method=key.method,
            fingerprint=key.fingerprint,
            resource=resource,
        )

    def add_step(
        self,
        *,
        subject: str,
        version: int,
        actor: str,
        action: str,
        after: str,
        payload: Mapping[str, object],
        before: str = "",
        merchant: str = "",
        traceparent: str = "",
    ) -> None:
        """One row of the audit record."""
        self._tx.write(
            STEP,
            expect=1,
            refusal=None,
            **step_params(
                merchant=merchant,
                subject=subject,
                version=version,
                actor=actor,
                action=action,
                before_state=before,
                after_state=after,
                payload=payload,
                traceparent=traceparent,
            ),
        )
