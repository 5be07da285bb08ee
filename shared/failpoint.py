"""Places inside an action where a test may let the process die, as by SIGKILL. Off by default.

``SHAREDLINE_FAILPOINT=sent`` makes a leader that was asked for an action die when it has sent its next SIP
message. The places: ``received`` (the request was read, nothing was done), ``sent`` (a message left for the
service), ``published`` (windows were told the state), ``answered`` (whoever asked was answered).
"""

import os
import signal

POINTS = ("received", "sent", "published", "answered")

_fatal = os.environ.get("SHAREDLINE_FAILPOINT", "")
_was_asked = False


def asked() -> None:
    """Note that this process was asked for an action: from now on its failpoint counts."""
    global _was_asked
    _was_asked = True
    reached("received")


def reached(point: str) -> None:
    """Die here, if that is what the environment says."""
    if _was_asked and point == _fatal:
        os.kill(os.getpid(), signal.SIGKILL)
