"""The main job on real input: a table of payments, an outage, settlement, books that agree."""
