"""Money: a signed count of an asset's minor units, so that no amount is ever without a unit."""

from dataclasses import dataclass


class AssetMismatchError(ValueError):
    """Two amounts of different assets met in one sum."""

    def __init__(self, left: str, right: str) -> None:
        super().__init__(f"cannot combine {left} with {right}: convert through a position account")


@dataclass(frozen=True, slots=True, order=False)
class Money:
    """A signed count of an asset's minor units; never a float, never unitless."""

    minor: int
    asset: str

    def __post_init__(self) -> None:
        if type(self.minor) is not int:  # bool and float must not slip in
            raise TypeError(f"minor units must be int, got {self.minor!r}")

    def __add__(self, other: "Money") -> "Money":
        self._require_same_asset(other)
        return Money(self.minor + other.minor, self.asset)

    def __sub__(self, other: "Money") -> "Money":
        self._require_same_asset(other)
        return Money(self.minor - other.minor, self.asset)

    def __neg__(self) -> "Money":
        return Money(-self.minor, self.asset)

    def __lt__(self, other: "Money") -> bool:
        self._require_same_asset(other)
        return self.minor < other.minor

    def __le__(self, other: "Money") -> bool:
        self._require_same_asset(other)
        return self.minor <= other.minor

    def allocate(self, *weights: int) -> list["Money"]:
        """Split without losing a unit: what division leaves goes to the first shares.

        Weights are non-negative integers with a positive sum; the shares add up to this amount,
        for negative amounts too.
        """
        total = sum(weights)
        if total <= 0 or any(weight < 0 for weight in weights):
            raise ValueError(f"weights must be non-negative with a positive sum, got {weights}")
        sign = -1 if self.minor < 0 else 1
        size = abs(self.minor)
        shares = [size * weight // total for weight in weights]
        takers = [i for i, weight in enumerate(weights) if weight]
        for i in range(size - sum(shares)):
            shares[takers[i % len(takers)]] += 1
        return [Money(sign * share, self.asset) for share in shares]

    def basis_points(self, bps: int) -> "Money":
        """`bps` hundredths of a percent of this amount, half a unit rounded away from zero."""
        sign = -1 if self.minor * bps < 0 else 1
        return Money(sign * ((abs(self.minor * bps) + 5_000) // 10_000), self.asset)

    def _require_same_asset(self, other: "Money") -> None:
        if self.asset != other.asset:
            raise AssetMismatchError(self.asset, other.asset)
