# pragma version 0.4.3
# pragma evm-version paris
"""
@title A six-decimal ERC-20 for development: stands in for USDC on a local chain.
@notice Never deployed anywhere else; whoever deploys it owns the whole supply.
"""

from ethereum.ercs import IERC20

implements: IERC20

PAYEES_MAX: constant(uint256) = 100

name: public(String[32])
symbol: public(String[8])
decimals: public(constant(uint8)) = 6
totalSupply: public(uint256)
balanceOf: public(HashMap[address, uint256])
allowance: public(HashMap[address, HashMap[address, uint256]])


@deploy
def __init__(name: String[32], symbol: String[8], supply: uint256):
    self.name = name
    self.symbol = symbol
    self.totalSupply = supply
    self.balanceOf[msg.sender] = supply
    log IERC20.Transfer(sender=empty(address), receiver=msg.sender, value=supply)


@external
def transfer(receiver: address, amount: uint256) -> bool:
    self._move(msg.sender, receiver, amount)
    return True


@external
def transferFrom(owner: address, receiver: address, amount: uint256) -> bool:
    self.allowance[owner][msg.sender] -= amount
    self._move(owner, receiver, amount)
    return True


@external
def approve(spender: address, amount: uint256) -> bool:
    self.allowance[msg.sender][spender] = amount
    log IERC20.Approval(owner=msg.sender, spender=spender, value=amount)
    return True


# Several payments in one transaction: their logs differ only in their ordinal.
@external
def transferToMany(receivers: DynArray[address, PAYEES_MAX], amount: uint256) -> bool:
    for receiver: address in receivers:
        self._move(msg.sender, receiver, amount)
    return True


@internal
def _move(owner: address, receiver: address, amount: uint256):
    self.balanceOf[owner] -= amount
    self.balanceOf[receiver] += amount
    log IERC20.Transfer(sender=owner, receiver=receiver, value=amount)
