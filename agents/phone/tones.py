"""[core] Telephone keys: on the media stream (RFC 4733), or by INFO where the far end takes none there.

What the far end presses comes in the same two ways; either is shown to all windows in the call's state.
"""

import re
from dataclasses import dataclass
from functools import partial

import msgspec

from agents.sip.events import DialogRequestDone, DialogRequestReceived
from agents.sip.sdp import Sdp
from shared.errors import ActionRefused, SipError
from shared.messages import MOST_KEYS, CallState, KeysPressed, MediaDone, Request, SendDtmf

from .calls import CallRecord
from .checks import failure_of
from .hosts import MediaHosts
from .term import Term

_TONES = re.compile(r"[0-9A-Da-d*#]{1,32}")
_HEARD = re.compile(rf"[0-9A-D*#]{{1,{MOST_KEYS}}}")
_SIGNAL = re.compile(r"^Signal\s*=\s*([0-9A-Da-d*#])\s*$", re.MULTILINE | re.IGNORECASE)
_RELAY = "application/dtmf-relay"
_MAX_BODY_CHARS = 200
_DURATION_MS = 160


@dataclass(slots=True)
class _UnderWay:
    request: Request
    record: CallRecord
    rest: str
    request_id: str


class Tones:
    """Keys by INFO that are under way, one sequence a call at most; each key waits for the one before."""

    def __init__(self, term: Term, hosts: MediaHosts) -> None:
        self._term, self._hosts = term, hosts
        self._under_way: dict[str, _UnderWay] = {}  # by call id

    def begin(self, request: Request, action: SendDtmf, now: float) -> None:
        """Send keys, or raise :exc:`ActionRefused`."""
        if not _TONES.fullmatch(action.tones):
            raise ActionRefused("bad_request", f"{action.tones!r} are no tones: 1 to 32 of 0-9 * # A-D")
        record = self._term.calls.get(action.call_id, CallState.ANSWERED)
        tones = action.tones.upper()
        if takes_events(record.remote_sdp):
            self._hosts.play_dtmf(record, tones, partial(self._played, request, record), now)
            return
        if record.call_id in self._under_way:
            raise ActionRefused("wrong_state", "other keys are being sent at this moment")
        request_id = self._send(record, tones[0], now)
        self._under_way[record.call_id] = _UnderWay(request, record, tones[1:], request_id)

    def answered(self, event: DialogRequestDone, record: CallRecord, now: float) -> None:
        """Take the answer to an INFO: the next key, or the end."""
        one = self._under_way.get(record.call_id)
        if one is None or one.request_id != event.request_id:
            return
        if event.status >= 300:
            del self._under_way[record.call_id]
            self._term.refuse(one.request, failure_of(event, "the far end takes no keys"), now)
        elif not one.rest:
            del self._under_way[record.call_id]
            self._term.acknowledge(one.request, now, record.call_id)
        else:
            try:
                one.request_id, one.rest = self._send(record, one.rest[0], now), one.rest[1:]
            except ActionRefused as exc:
                del self._under_way[record.call_id]
                self._term.refuse(one.request, exc, now)

    def heard(self, message: KeysPressed) -> None:
        """Take what a media host says that the far end has pressed since it has the sound."""
        record = self._term.calls.find(message.call_id)
        if record is None or record.view.state.is_final or not _HEARD.fullmatch(message.newest):
            return
        before = record.view.keys
        known = before.host_count if before.host == message.instance else 0
        if message.count > known:
            keys = before.after(message.newest, message.count - known)
            keys = msgspec.structs.replace(keys, host=message.instance, host_count=message.count)
            self._term.change(record, keys=keys)

    def informed(self, event: DialogRequestReceived, record: CallRecord) -> None:
        """Take a request in a call: an INFO may be a key."""
        request = event.request
        kind = (request.headers.get("Content-Type") or "").partition(";")[0].strip().lower()
        if request.method != "INFO" or kind != _RELAY or len(request.body) > _MAX_BODY_CHARS:
            return
        signal = _SIGNAL.search(request.body)
        if signal and not record.view.state.is_final:
            self._term.change(record, keys=record.view.keys.after(signal[1].upper(), 1))

    def _send(self, record: CallRecord, tone: str, now: float) -> str:
        headers = [("Content-Type", _RELAY)]
        body = f"Signal={tone}\r\nDuration={_DURATION_MS}\r\n"
        return self._term.user_agent.request_in_dialog(
            record.session_id, "INFO", now, headers=headers, body=body
        )

    def _played(self, request: Request, record: CallRecord, done: MediaDone, now: float) -> None:
        if done.error:
            self._term.refuse(request, ActionRefused("no_media", done.error), now)
        else:
            self._term.acknowledge(request, now, record.call_id)


def takes_events(sdp: str) -> bool:
    """Return whether a description takes keys on the media stream (RFC 4733); one that is unknown does."""
    try:
        payloads = Sdp.parse(sdp).payloads() if sdp else None
    except SipError:
        return True
    return payloads is None or any(one.encoding.lower() == "telephone-event" for one in payloads)
