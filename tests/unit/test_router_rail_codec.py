"""What a rail's refusal proves: about this request always, about an earlier one never."""

from dataclasses import replace

import grpc
import pytest

from cashier_common.errors import FieldInvalid, OperationFenced, StoreUnavailable
from cashier_common.rpc.status import to_status
from cashier_router.clients.rail_codec import unanswered
from cashier_router.domain.lifecycle import OperationEvent
from tests.support.router_values import a_payment

E = OperationEvent
DETAILS = "grpc-status-details-bin"
GONE = FieldInvalid("processor_account", "x", "an account that ListCapabilities names")


def refused(refusal) -> grpc.aio.AioRpcError:
    status = to_status(refusal, "gateway.cashier")
    trailing = grpc.aio.Metadata((DETAILS, status.SerializeToString()))
    code = next(c for c in grpc.StatusCode if c.value[0] == status.code)
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), trailing, status.message)


def bare(code: grpc.StatusCode) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), "connection reset")


@pytest.mark.parametrize("refusal", [StoreUnavailable(), GONE], ids=["store away", "account gone"])
def test_a_refusal_is_not_sent_for_the_first_sender_and_a_doubt_for_whoever_took_over(refusal):
    first = a_payment().operation(1)
    second = replace(first, lease_epoch=2)

    assert E.FAIL_UNSENT is unanswered(first, refused(refusal)).event
    assert E.LOSE_TRACK is unanswered(second, refused(refusal)).event


@pytest.mark.parametrize(
    "code",
    [
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
    ],
)
def test_a_status_without_our_own_word_is_a_doubt(code):
    assert E.LOSE_TRACK is unanswered(a_payment().operation(1), bare(code)).event


def test_a_fenced_operation_is_a_doubt_that_the_look_up_ends():
    error = refused(OperationFenced(operation="payments/pay_x/operations/1"))

    assert E.LOSE_TRACK is unanswered(a_payment().operation(1), error).event
