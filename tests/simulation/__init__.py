"""A world in virtual time in which the real router and gateway live through every disaster.

Ten minutes are enough to know it. Read in this order:

1. `loop.py`: an event loop whose clock jumps to the next timer, and *processes*. Each step of a
   task carries the context of its process, so a dead process's steps are dropped (SIGKILL, exactly
   at an await) and a stopped one's are put aside until it wakes up (SIGSTOP). Nothing of a dead
   process is ever written; what it had put on the network still arrives.
2. `database.py`: a PostgreSQL in memory: units of work that happen as a whole, row locks that
   others wait for, a commit whose answer is lost, a restart. `router_book.py`, `router_store.py`,
   `gateway_book.py` and `inbox.py` are the ports of the two services on it: compare-and-set on
   version, state and lease epoch, unique keys, the partial unique index on live references, the
   CHECKs, the database's clock for leases.
3. `network.py`: calls from process to process that are delayed, lost before or after, doubled, or
   held for minutes. The router's real `RailClients` and the gateway's real servicer speak over it,
   so codecs, deadlines and statuses are theirs. `faults.py` says how often what happens.
4. `processor.py` and `adapter.py`: processors with a ledger of their own, which is the truth, and
   four kinds of doors; they decline, stay pending, ask the payer, answer a wrong amount, tell late
   or never. They do not add sums up: that no payment is captured or refunded too much is our work.
5. `services.py` composes real flows and workers as `app.py` does; `merchants.py` has the callers,
   `people.py` the operators; `world.py` puts it all together and lets it go wrong by a seed.
6. `checker.py` holds the world that has come to rest against money-safety.md §7.

Real are the flows, workers, domains, codecs and clients of router and gateway. Imitated are what
they stand on: databases, network, risk, processors' adapters, and time.

The tests: `test_seeds.py` (hundreds of stories per seed), `test_points.py` (one story, a death or a
stop before each of its steps), `test_storm.py` (a hundred captures and refunds at once),
`test_ablation.py` (with a safety switched off the checker must find the damage).

A failing seed prints the command that replays it:

    CASHIER_SIMULATION_SEED=… python -m pytest tests/simulation/test_seeds.py -k asked_for

A seed that found a bug goes to `seeds.txt` when the bug is mended. `make test-long` takes many
seeds and every point. The simulation knows one asset, one rail, no 3DS data and no disputes.
"""
