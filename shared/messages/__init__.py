"""[core] The schema of all that crosses a process boundary inside a group.

Add fields with a default; never rename, retype or remove one. Tags are written by hand, so that renaming a
class does not change the wire.

====================  =========================  ==================================================
kind                  way                        socket
====================  =========================  ==================================================
:class:`Snapshot`     leader -> every window     XPUB -> SUB, one frame, conflated
:data:`ToLeader`      window, host -> leader     DEALER -> ROUTER
:data:`FromLeader`    leader -> window, host     ROUTER -> DEALER
====================  =========================  ==================================================
"""

from .actions import (
    Action,
    Answer,
    CompleteTransfer,
    Decline,
    Dial,
    Hangup,
    Hold,
    Mute,
    SendDtmf,
    Transfer,
    Unhold,
    Unmute,
)
from .base import Version, Wire
from .codec import MAX_FRAME_BYTES, decode_from_leader, decode_snapshot, decode_to_leader, encode
from .envelopes import (
    ApplyAnswer,
    Attach,
    CloseMedia,
    Detach,
    Done,
    FromLeader,
    HostAttach,
    MakeAnswer,
    MakeOffer,
    MediaChanged,
    MediaCommand,
    MediaDone,
    PlayDtmf,
    Refused,
    Reply,
    Request,
    Resync,
    ShapeMedia,
    ToLeader,
)
from .state import (
    Call,
    CallState,
    Cause,
    Direction,
    MediaState,
    Outcome,
    Problem,
    Registration,
    RegistrationState,
    Snapshot,
    Window,
)

__all__ = [
    "MAX_FRAME_BYTES",
    "Action",
    "Answer",
    "ApplyAnswer",
    "Attach",
    "Call",
    "CallState",
    "Cause",
    "CloseMedia",
    "CompleteTransfer",
    "Decline",
    "Detach",
    "Dial",
    "Direction",
    "Done",
    "FromLeader",
    "Hangup",
    "Hold",
    "HostAttach",
    "MakeAnswer",
    "MakeOffer",
    "MediaChanged",
    "MediaCommand",
    "MediaDone",
    "MediaState",
    "Mute",
    "Outcome",
    "PlayDtmf",
    "Problem",
    "Refused",
    "Registration",
    "RegistrationState",
    "Reply",
    "Request",
    "Resync",
    "SendDtmf",
    "ShapeMedia",
    "Snapshot",
    "ToLeader",
    "Transfer",
    "Unhold",
    "Unmute",
    "Version",
    "Window",
    "Wire",
    "decode_from_leader",
    "decode_snapshot",
    "decode_to_leader",
    "encode",
]
