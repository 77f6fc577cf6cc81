"""How well what we depend on is: what it answered lately, a weight, a breaker.

It knows no business: what it watches are opaque names.
`tally` counts, `window` remembers, `weight` and `breaker` judge (all pure); `ward` watches over one
scope in this process, and `monitor` shares and publishes what all replicas saw.
"""
