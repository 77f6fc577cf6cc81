"""What every service answers alike about its record, whichever contract asks."""

import pytest

from cashier.common.v1 import audit_pb2
from cashier.crypto.v1 import crypto_rail_service_pb2
from cashier.gateway.v1 import gateway_service_pb2
from cashier.payments.v1 import payment_admin_service_pb2
from cashier.recon.v1 import recon_service_pb2
from cashier.risk.v1 import risk_admin_service_pb2
from cashier_common.db.audit import SHARD_COUNT, Fault, Finding, Verification
from cashier_common.errors import FieldInvalid
from cashier_common.rpc.record import require_place, verify_audit_log

CONTRACTS = [
    crypto_rail_service_pb2,
    payment_admin_service_pb2,
    recon_service_pb2,
    risk_admin_service_pb2,
]


class Record:
    def __init__(self, *findings):
        self.asked = []
        self.found = Verification(findings=list(findings), checked=7)

    async def verify(self, shard, from_position):
        self.asked.append((shard, from_position))
        return self.found


@pytest.mark.parametrize("contract", CONTRACTS)
async def test_every_contract_is_answered_with_what_was_found(contract):
    record = Record(Finding(Fault.REORDERED, 2, 5, "payments/1", 3, "it does not follow"))
    request = contract.VerifyAuditLogRequest(shard=2, min_position=4)

    answer = await verify_audit_log(request, record.verify, contract.VerifyAuditLogResponse)

    assert [(2, 4)] == record.asked
    assert isinstance(answer, contract.VerifyAuditLogResponse)
    assert 7 == answer.checked_row_count
    told = audit_pb2.AuditFinding(
        kind=audit_pb2.AuditFinding.KIND_REORDERED, shard=2, position=5, subject="payments/1",
        version=3, detail="it does not follow",
    )  # fmt: skip
    assert [told] == list(answer.findings)


async def test_every_kind_of_fault_has_a_word_on_the_wire():
    record = Record(*(Finding(fault, 0, 1, "", 0, "") for fault in Fault))
    api = crypto_rail_service_pb2

    answer = await verify_audit_log(
        api.VerifyAuditLogRequest(), record.verify, api.VerifyAuditLogResponse
    )

    assert len(Fault) == len({finding.kind for finding in answer.findings})


@pytest.mark.parametrize("contract", CONTRACTS)
async def test_without_a_range_everything_is_checked_from_the_start(contract):
    record = Record()

    await verify_audit_log(
        contract.VerifyAuditLogRequest(), record.verify, contract.VerifyAuditLogResponse
    )

    assert [(None, 1)] == record.asked


@pytest.mark.parametrize("contract", CONTRACTS)
@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"shard": -1}, "shard"),
        ({"shard": SHARD_COUNT}, "shard"),
        ({"min_position": -1}, "min_position"),
    ],
)
async def test_a_range_that_cannot_exist_is_refused_and_nothing_is_read(contract, asked, field):
    record = Record()

    with pytest.raises(FieldInvalid) as refused:
        await verify_audit_log(
            contract.VerifyAuditLogRequest(**asked), record.verify, contract.VerifyAuditLogResponse
        )

    assert field == refused.value.field
    assert [] == record.asked


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"shard": -1}, "shard"),
        ({"shard": SHARD_COUNT}, "shard"),
        ({"after_position": -1}, "after_position"),
    ],
)
def test_a_stream_begins_at_a_place_that_can_exist(asked, field):
    with pytest.raises(FieldInvalid) as refused:
        require_place(gateway_service_pb2.StreamOutcomesRequest(**asked))

    assert field == refused.value.field
    require_place(gateway_service_pb2.StreamOutcomesRequest(shard=SHARD_COUNT - 1))
