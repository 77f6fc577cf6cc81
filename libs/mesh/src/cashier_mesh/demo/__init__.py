"""The main job on real input: a table of payments, an outage, settlement, books that agree.

`payments.csv` ships with it, `recipe.py` makes it, and `--file` takes another one of its columns:

- `amount` in major units; `country` of the customer and the issuer; `method` card or stablecoin.
- `tokens` as `account=token`, one per processor account that may take the payment. The sandbox's
  tokens are in its README; `pm_card_visa` and `pm_card_chargeCustomerFail` become PaymentMethods
  that are made at localstripe before the run.
- `send`: `once`, `twice` (again after the answer), `at_once` (five times at the same moment), or
  `other_amount` (again with one minor unit more, which has to be refused), always with one key.
- `metadata` as `name=value;name=value`; a row whose metadata has a card number has to be refused.
- `note` is what a person calls this sort of row; `--payments 60` keeps some of every sort.
"""
