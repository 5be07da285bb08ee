"""The Session Initiation Protocol (RFC 3261) without I/O, and RingCentral's dialect of it.

The files are the layers, lowest first:

* :mod:`.grammar`, :mod:`.address`, :mod:`.message`, :mod:`.sdp`, :mod:`.digest`, :mod:`.reason`: text in,
  values out, and back
* :mod:`.transaction`: a request and its answers, timers included (§17)
* :mod:`.dialog`: what two ends remember of each other; plain data that may move between processes (§12)
* :mod:`.session`, :mod:`.sessions`: one INVITE session, and all of a connection's (§13 to §15)
* :mod:`.registration`: the binding at the registrar (§10)
* :mod:`.ringcentral`: what that service does differently
* :mod:`.user_agent`: a phone: one registration and its sessions
* :mod:`.transport`: the only file that does I/O: a WebSocket (RFC 7118)

All but the last are given ``now`` (monotonic seconds) and a factory of ids, and are asked for their
``effects()`` after every call.
"""
