"""Bring a run that a crash left behind to its end."""

from cashier_recon.domain.errors import RunInProgress
from cashier_recon.flows.start_run import Reconciler


class UnfinishedRuns:
    """`step` is a worker's: it answers how many runs it finished."""

    def __init__(self, reconciler: Reconciler) -> None:
        self._reconciler = reconciler

    async def step(self) -> int:
        """Finish the RUNNING run that nobody holds; one that somebody carries out is left alone."""
        try:
            return await self._reconciler.resume()
        except RunInProgress:
            return 0
