"""An imitation of dLocal: Payins API 2.1 and Payouts API v3, cards and local methods."""
