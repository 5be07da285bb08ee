"""[core] What a leader leaves behind: all that its successor needs to go on with answered calls.

And to hang up those that are over, where the far end may not have heard of that.

It goes to candidates only, over a socket of its own: an SDP holds the passwords of the call's sound, and no
window needs it. The leader publishes it before the messages that it describes leave, so a successor is hardly
ever behind the service. One may be all the same: it slept while another led and died. So each epoch has its
own range of CSeq in every dialog, above those of the epochs before: the far end takes what the newest leader
says (it may be higher by more than one), and refuses what one before still sends (RFC 3261 §12.2.2).
"""

import contextlib
from typing import Any

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
    """All answered calls of one leader.

    ``owed`` are calls that are over, in JSON as :meth:`agents.sip.owed.Owed.export` returns them: their far
    ends were not told, or nobody can say that they were. It is in no repr, as ``session`` is in none.
    """

    epoch: int
    calls: tuple[Legacy, ...] = ()
    owed: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<Estate of {self.epoch}: {len(self.calls)} calls>"


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
    owed = [msgspec.json.encode(data).decode() for data in term.user_agent.owed.export()]
    return msgspec.json.encode(Estate(epoch=term.epoch, calls=tuple(calls), owed=tuple(owed)))


def inherit(term: Term, seed: Snapshot, estate: Estate | None, now: float) -> list[CallRecord]:
    """Take over the calls that windows show; return those whose dialogs were left to us.

    All other calls are lost, and said to be.
    """
    estate = estate or Estate(epoch=term.epoch)
    left = {legacy.call.call_id: legacy for legacy in estate.calls}
    known = {call.call_id for call in seed.calls}
    views = [*seed.calls, *(legacy.call for key, legacy in left.items() if key not in known)]
    restored = []
    for view in views:
        record = term.calls.add(CallRecord(view))
        legacy = left.get(view.call_id)
        if view.state.is_final:
            record.removed_at = now + 1.0
            if legacy is not None:  # its end was shown, and the dead process may have said no more than that
                _owe(term, legacy.session, estate.epoch, now)
            continue
        if legacy is not None and _restore(term, record, legacy, estate.epoch):
            restored.append(record)
        else:
            term.end_call(record, Cause.LOST, now, reason="a process that it needs has died")
    for session in estate.owed:
        _owe(term, session, estate.epoch, now)
    return restored


def _restore(term: Term, record: CallRecord, legacy: Legacy, epoch: int) -> bool:
    try:
        record.session_id = term.user_agent.restore_session(_decode(legacy.session, term.epoch - epoch))
    except (SipError, ActionRefused):
        return False
    record.change(state=CallState.ANSWERED)
    record.local_sdp, record.remote_sdp = legacy.local_sdp, legacy.remote_sdp
    record.is_orphan = legacy.is_orphan
    record.told_muted, record.told_held = record.view.muted, record.view.held
    return True


def _owe(term: Term, session: str, epoch: int, now: float) -> None:
    with contextlib.suppress(SipError):
        term.user_agent.owed.inherit(_decode(session, term.epoch - epoch), now)


def _decode(session: str, epochs: int) -> dict[str, Any]:
    """Return an exported session, its numbers moved on by so many epochs; raises :exc:`SipError`."""
    try:
        data: dict[str, Any] = msgspec.json.decode(session, type=dict[str, Any])
        data["dialog"]["local_cseq"] += epochs * _CSEQ_RANGE
    except (msgspec.DecodeError, KeyError, TypeError) as exc:
        raise SipError(f"not an exported session: {type(exc).__name__}") from exc
    return data


def _export(term: Term, record: CallRecord) -> str:
    try:
        return msgspec.json.encode(term.user_agent.export_session(record.session_id)).decode()
    except ActionRefused:
        return ""  # it is ending at this moment
