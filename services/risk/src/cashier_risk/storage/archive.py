"""Reads what was kept."""

from typing import Final

from sqlalchemy import bindparam, select

from cashier_common.db.engine import Database
from cashier_common.db.transaction import compiled
from cashier_risk.domain.assessment import Assessment
from cashier_risk.storage.rows import assessment_of
from cashier_risk.storage.tables import assessments, outcomes, rule_sets

ASSESSMENT: Final = compiled(select(assessments).where(assessments.c.name == bindparam("of_name")))
OUTCOME_FINGERPRINT: Final = compiled(
    select(outcomes.c.fingerprint).where(
        outcomes.c.merchant == bindparam("of_merchant"), outcomes.c.key == bindparam("of_key")
    )
)
RULE_DOCUMENT: Final = compiled(
    select(rule_sets.c.document).where(rule_sets.c.version == bindparam("of_version"))
)


class DatabaseArchive:
    """The archive on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def assessment(self, name: str) -> Assessment | None:
        row = await self._database.fetch_one(ASSESSMENT, of_name=name)
        return None if row is None else assessment_of(row)

    async def outcome_fingerprint(self, merchant: str, key: str) -> bytes | None:
        row = await self._database.fetch_one(OUTCOME_FINGERPRINT, of_merchant=merchant, of_key=key)
        return None if row is None else bytes(row["fingerprint"])

    async def rule_document(self, version: str) -> str | None:
        row = await self._database.fetch_one(RULE_DOCUMENT, of_version=version)
        return None if row is None else str(row["document"])
