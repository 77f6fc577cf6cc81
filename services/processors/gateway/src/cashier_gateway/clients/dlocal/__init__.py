"""dLocal: payins and payouts of its accounts, over its JSON APIs."""
