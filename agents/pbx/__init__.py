"""The simulated phone service: registrar, calls, robots with real sound, and the ledger that tests count.

``async with Simulator(SimulatorSettings(directory=...)) as simulator:`` runs one in this process;
``python -m agents.pbx`` and ``python -m coordinator simulator`` run one by itself. The files:

* pure: :mod:`.registrar`, :mod:`.gate` (digest), :mod:`.accounts` (number plan), :mod:`.salvage`
* shells: :mod:`.server` (WebSocket), :mod:`.control` (HTTP), :mod:`.robots` (sound), :mod:`.ledger`
* :mod:`.calls` joins legs to calls; :mod:`.service` joins all of these
"""
