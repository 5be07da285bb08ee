"""The service's REST API, as far as a phone needs it: login with a JWT, provisioning, call control.

:mod:`.client` is what programs use; :mod:`.documents` is what it reads, :mod:`.wire` how it asks.
"""
