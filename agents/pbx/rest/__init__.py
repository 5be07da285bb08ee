"""The REST side of the simulated service: login, provisioning, and what calls are asked to do from outside.

* pure: :mod:`.tokens` (who may ask), :mod:`.errors` and :mod:`.documents` (what is answered)
* :mod:`.keys`: what a client needs to log in, as files
* :mod:`.office`: what is asked about accounts; about calls :mod:`.call_office`, :mod:`.parties`, :mod:`.legs`
* shells: :mod:`.api` and :mod:`.call_api` (HTTP in, HTTP out), :mod:`.server` (TLS)
"""
