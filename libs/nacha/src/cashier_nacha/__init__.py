"""Files of the US clearing house: read strictly, written exactly."""

from cashier_nacha.faults import FileRefused, Quirk, RecordRefused
from cashier_nacha.parse import parse
from cashier_nacha.write import write

__all__ = ["FileRefused", "Quirk", "RecordRefused", "parse", "write"]
