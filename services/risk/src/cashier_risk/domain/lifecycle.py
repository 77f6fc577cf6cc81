"""The machines of this service: none yet, because assessments and outcomes are written once."""

from typing import Any, Final

from cashier_common.statetable import StateTable

TABLES: Final[tuple[StateTable[Any, Any], ...]] = ()
"""The review case will be the first one."""
