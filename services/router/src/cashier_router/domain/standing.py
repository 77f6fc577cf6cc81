"""How far a dispute has gone and where it stands, as one literal table of stage and state."""

from enum import StrEnum
from typing import Final

from cashier_common.statetable import StateTable


class Stage(StrEnum):
    """How far a dispute has gone, in this order."""

    INQUIRY = "inquiry"
    CHARGEBACK = "chargeback"
    SECOND_CHARGEBACK = "second_chargeback"
    ARBITRATION = "arbitration"


class DisputeState(StrEnum):
    """Where a dispute stands within its stage; what comes later stands later."""

    OPEN = "open"
    CHALLENGED = "challenged"
    ACCEPTED = "accepted"
    WON = "won"
    LOST = "lost"
    CANCELED = "canceled"


class DisputeEvent(StrEnum):
    """What can happen to a dispute. A stage is opened by the first four."""

    INQUIRE = "inquire"
    CHARGE_BACK = "charge_back"
    CHARGE_BACK_AGAIN = "charge_back_again"
    ARBITRATE = "arbitrate"
    CHALLENGE = "challenge"
    ACCEPT = "accept"
    WIN = "win"
    LOSE = "lose"
    CANCEL = "cancel"
    REOPEN = "reopen"


class Standing(StrEnum):
    """Stage and state in one word; NONE before anything was told."""

    NONE = "none"
    INQUIRY_OPEN = "inquiry_open"
    INQUIRY_CHALLENGED = "inquiry_challenged"
    INQUIRY_ACCEPTED = "inquiry_accepted"
    INQUIRY_WON = "inquiry_won"
    INQUIRY_LOST = "inquiry_lost"
    INQUIRY_CANCELED = "inquiry_canceled"
    CHARGEBACK_OPEN = "chargeback_open"
    CHARGEBACK_CHALLENGED = "chargeback_challenged"
    CHARGEBACK_ACCEPTED = "chargeback_accepted"
    CHARGEBACK_WON = "chargeback_won"
    CHARGEBACK_LOST = "chargeback_lost"
    CHARGEBACK_CANCELED = "chargeback_canceled"
    SECOND_CHARGEBACK_OPEN = "second_chargeback_open"
    SECOND_CHARGEBACK_CHALLENGED = "second_chargeback_challenged"
    SECOND_CHARGEBACK_ACCEPTED = "second_chargeback_accepted"
    SECOND_CHARGEBACK_WON = "second_chargeback_won"
    SECOND_CHARGEBACK_LOST = "second_chargeback_lost"
    SECOND_CHARGEBACK_CANCELED = "second_chargeback_canceled"
    ARBITRATION_OPEN = "arbitration_open"
    ARBITRATION_CHALLENGED = "arbitration_challenged"
    ARBITRATION_ACCEPTED = "arbitration_accepted"
    ARBITRATION_WON = "arbitration_won"
    ARBITRATION_LOST = "arbitration_lost"
    ARBITRATION_CANCELED = "arbitration_canceled"

    @property
    def stage(self) -> Stage | None:
        """How far it has gone; None before anything was told."""
        return None if self is Standing.NONE else Stage(self.value.rpartition("_")[0])

    @property
    def state(self) -> DisputeState:
        """Where it stands within its stage."""
        return DisputeState(self.value.rpartition("_")[2])


def standing(stage: Stage, state: DisputeState) -> Standing:
    """Both in one word."""
    return Standing(f"{stage}_{state}")


_G, _S, _E, _N = Stage, DisputeState, DisputeEvent, Standing
OPENING: Final[dict[Stage, DisputeEvent]] = {
    _G.INQUIRY: _E.INQUIRE,
    _G.CHARGEBACK: _E.CHARGE_BACK,
    _G.SECOND_CHARGEBACK: _E.CHARGE_BACK_AGAIN,
    _G.ARBITRATION: _E.ARBITRATE,
}
# What may happen within any stage.
_WITHIN: Final[dict[tuple[DisputeState, DisputeEvent], DisputeState]] = {
    (_S.OPEN, _E.CHALLENGE): _S.CHALLENGED,
    (_S.OPEN, _E.ACCEPT): _S.ACCEPTED,
    (_S.OPEN, _E.WIN): _S.WON,
    (_S.OPEN, _E.LOSE): _S.LOST,
    (_S.OPEN, _E.CANCEL): _S.CANCELED,
    (_S.CHALLENGED, _E.ACCEPT): _S.ACCEPTED,
    (_S.CHALLENGED, _E.WIN): _S.WON,
    (_S.CHALLENGED, _E.LOSE): _S.LOST,
    (_S.CHALLENGED, _E.CANCEL): _S.CANCELED,
    (_S.ACCEPTED, _E.LOSE): _S.LOST,
    (_S.ACCEPTED, _E.CANCEL): _S.CANCELED,
    (_S.LOST, _E.WIN): _S.WON,  # the bank gave in after all
    (_S.LOST, _E.CANCEL): _S.CANCELED,
    (_S.CANCELED, _E.REOPEN): _S.OPEN,
}
DISPUTE: Final[StateTable[Standing, DisputeEvent]] = StateTable(
    name="dispute",
    initial=_N.NONE,
    transitions={
        **{(_N.NONE, event): standing(stage, _S.OPEN) for stage, event in OPENING.items()},
        **{
            (standing(stage, before), event): standing(stage, after)
            for stage in Stage
            for (before, event), after in _WITHIN.items()
        },
        # A further stage may open however the one before stands.
        **{
            (standing(earlier, state), OPENING[later]): standing(later, _S.OPEN)
            for place, earlier in enumerate(Stage)
            for later in list(Stage)[place + 1 :]
            for state in DisputeState
        },
        # Some processors have one word for every chargeback: after a win it is the next one.
        (_N.CHARGEBACK_WON, _E.CHARGE_BACK): _N.SECOND_CHARGEBACK_OPEN,
        (_N.SECOND_CHARGEBACK_WON, _E.CHARGE_BACK): _N.ARBITRATION_OPEN,
    },
)
