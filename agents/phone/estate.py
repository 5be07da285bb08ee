"""[core] What a leader leaves behind: all that its successor needs to go on with answered calls.

It goes to candidates only, over a socket of its own: an SDP holds the passwords of the call's sound, and no
window needs it. The leader publishes it before the messages that it describes leave, so a successor is hardly
ever behind the service. One may be all the same: it slept while another led and died. So each epoch has its
own range of CSeq in every dialog, above those of the epochs before: the far end takes what the newest leader
says (it may be higher by more than one), and refuses what one before still sends (RFC 3261 §12.2.2).
"""

import msgspec

from shared.errors import ActionRefused, MessageError, SipError
from shared.messages import Call, CallState, Cause, Snapshot

from .calls import CallRecord
from .term import Term

#: Requests that one leader may send in one dialog: keys by INFO are the most of them.
_CSEQ_RANGE = 1_000


class Legacy(msgspec.Struct, frozen=True, kw_only=True):
    """One answered call. ``session`` is JSON: what :meth:`UserAgent.export_session` returned."""

    call: Call
    session: str
    local_sdp: str
    remote_sdp: str
    is_orphan: bool = False

    def __repr__(self) -> str:
        return f"<Legacy {self.call.call_id}>"


class Estate(msgspec.Struct, frozen=True, kw_only=True):
    """All answered calls of one leader."""

    epoch: int
    calls: tuple[Legacy, ...] = ()


_decoder = msgspec.json.Decoder(Estate)


def decode_estate(frame: bytes) -> Estate:
    """Return the estate in ``frame``, or raise :exc:`MessageError`."""
    try:
        return _decoder.decode(frame)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        # The decoder's own text may quote the frame.
        raise MessageError(f"estate of {len(frame)} bytes: {type(exc).__name__}") from None


def encode_estate(term: Term) -> bytes:
    """Return the frame that holds what would be left if the process died now."""
    calls = [
        Legacy(
            call=record.view,
            session=session,
            local_sdp=record.local_sdp,
            remote_sdp=record.remote_sdp,
            is_orphan=record.is_orphan,
        )
        for record in term.calls.live()
        if record.view.state is CallState.ANSWERED and (session := _export(term, record))
    ]
    return msgspec.json.encode(Estate(epoch=term.epoch, calls=tuple(calls)))


def inherit(term: Term, seed: Snapshot, estate: Estate | None, now: float) -> list[CallRecord]:
    """Take over the calls that windows show; return those whose dialogs were left to us.

    All other calls are lost, and said to be.
    """
    left = {legacy.call.call_id: legacy for legacy in estate.calls} if estate else {}
    known = {call.call_id for call in seed.calls}
    views = [*seed.calls, *(legacy.call for key, legacy in left.items() if key not in known)]
    restored = []
    for view in views:
        record = term.calls.add(CallRecord(view))
        legacy = left.get(view.call_id)
        if view.state.is_final:
            record.removed_at = now + 1.0
            continue
        if estate is not None and legacy is not None and _restore(term, record, legacy, estate.epoch):
            restored.append(record)
        else:
            term.end_call(record, Cause.LOST, now, reason="a process that it needs has died")
    return restored


def _restore(term: Term, record: CallRecord, legacy: Legacy, epoch: int) -> bool:
    try:
        data = msgspec.json.decode(legacy.session)
        data["dialog"]["local_cseq"] += (term.epoch - epoch) * _CSEQ_RANGE
        record.session_id = term.user_agent.restore_session(data)
    except (SipError, msgspec.DecodeError, KeyError, TypeError):
        return False
    record.change(state=CallState.ANSWERED)
    record.local_sdp, record.remote_sdp = legacy.local_sdp, legacy.remote_sdp
    record.is_orphan = legacy.is_orphan
    record.told_muted, record.told_held = record.view.muted, record.view.held
    return True


def _export(term: Term, record: CallRecord) -> str:
    try:
        return msgspec.json.encode(term.user_agent.export_session(record.session_id)).decode()
    except ActionRefused:
        return ""  # it is ending at this moment
