"""[core] Changes of an answered call's sound: hold, another connection, and what the far end wants changed.

All are re-INVITEs (RFC 3261 §14), one at a time. A hold keeps the description and changes its direction; a
new connection comes with new ICE credentials, and the window that has the sound describes it.
"""

import contextlib
from functools import partial
from typing import Literal

from agents.sip.events import ReinviteDone, ReinviteReceived
from agents.sip.sdp import Direction as SdpDirection
from agents.sip.sdp import Sdp, direction_of, later, mirror
from shared.errors import ActionRefused, SipError
from shared.messages import CallState, Cause, Hold, MediaDone, Mute, ReInvite, Request, Unhold, Unmute

from .calls import CallRecord
from .checks import require_time
from .hosts import MediaHosts
from .term import Term


class Changes:
    """The changes that are under way are in their calls' records."""

    def __init__(self, term: Term, hosts: MediaHosts) -> None:
        self._term, self._hosts = term, hosts

    # -- ours

    def hold(self, request: Request, action: Hold | Unhold, now: float) -> None:
        """Hold a call, or take it off hold."""
        record, held = self._idle(action.call_id), isinstance(action, Hold)
        if record.view.held == held:
            self._term.acknowledge(request, now, record.call_id)
            return
        if record.is_repeating:
            record.changing = request
            return
        # This may refuse: then nothing has changed.
        self._send(record, reoffer(record.local_sdp, _ours(record, held=held)), now)
        record.changing = request
        if held:
            # The command leaves before the re-INVITE: nothing that is said from now on may reach the far end.
            self.shape(record, held=True, now=now)

    def mute(self, request: Request, action: Mute | Unmute, now: float) -> None:
        """Close or open our microphone; the far end is not told."""
        record, muted = self._term.calls.get(action.call_id, CallState.ANSWERED), isinstance(action, Mute)
        then = partial(self._muted, request, record, muted)
        self._hosts.shape(record, muted=muted, held=record.told_held, then=then, now=now)

    def renew(self, request: Request, action: ReInvite, now: float) -> None:
        """Give a call a new connection for its sound."""
        record = self._idle(action.call_id)
        record.changing = request
        if not record.is_repeating:
            self._offer(record, now)

    def replace(self, record: CallRecord, now: float) -> None:
        """Do the same because the far end's answer does not fit the connection that there is."""
        is_busy = record.changing or record.is_renewing or record.is_repeating
        has_host = self._term.presence.has_sound(record.view.media_host)
        if not is_busy and has_host and record.view.state is CallState.ANSWERED:
            self._offer(record, now)

    def repeat(self, record: CallRecord, now: float) -> None:
        """Tell the far end where we are: the same sound once more."""
        self._send(record, reoffer(record.local_sdp, _ours(record, held=record.view.held)), now)
        record.is_repeating = True

    def shape(self, record: CallRecord, *, held: bool, now: float) -> None:
        """Tell a call's host whether it is held. If it cannot do it, it is gone, and noticed elsewhere."""
        self._hosts.shape(record, muted=record.told_muted, held=held, then=lambda _done, _now: None, now=now)

    def done(self, event: ReinviteDone, record: CallRecord, now: float) -> None:
        """Take the far end's answer to a re-INVITE."""
        request, record.changing = record.changing, None
        is_new = record.is_renewing and record.offered_by == record.view.media_host
        if 200 <= event.status < 300:
            role = dtls_role(record.local_sdp, record.remote_sdp)
            record.local_sdp = newest(record.offered_sdp, record.local_sdp)
            if not is_new:  # on the connection that there is, nobody's role changes
                record.local_sdp = Sdp.parse(record.local_sdp).with_attribute("setup", role).encode()
        record.offered_sdp = ""
        was_repeat, record.is_repeating, record.is_renewing = record.is_repeating, False, False
        if was_repeat:
            if request is not None:
                self._try(request, now)
        elif 200 <= event.status < 300:
            self._accepted(event, record, request, is_new=is_new, now=now)
        elif request is not None:
            self._refused(event, record, request, now)

    # -- the far end's

    def asked(self, event: ReinviteReceived, record: CallRecord, now: float) -> None:
        """Answer the far end's re-INVITE or UPDATE."""
        user_agent = self._term.user_agent
        if not event.sdp:
            record.local_sdp = reoffer(record.local_sdp, _ours(record, held=record.view.held))
            user_agent.accept_reinvite(event.session_id, record.local_sdp, now)
            return
        if not has_audio(event.sdp):
            # The call goes on as it was (RFC 3261 §14.2).
            user_agent.reject_reinvite(event.session_id, 488, now)
            return
        before, record.remote_sdp = record.remote_sdp, event.sdp
        if ice_of(before) != ice_of(event.sdp) or not _may_go_on(record.local_sdp, event.sdp):
            # New ICE credentials need a new connection, so the host answers as if the call was new. It does
            # as well where the far end takes none of the formats any more that we have named.
            host = record.view.media_host
            if record.is_orphan:
                self._silence(record, now)
            self._hosts.answer(host, record, partial(self._reanswered, event, record, before, host), now)
            return
        self._agree(event, record, _same_answer(record, event, before), now)
        self._follow(record, now)

    # -- inside

    def _try(self, request: Request, now: float) -> None:
        """Do what has waited until the far end knew where we are."""
        try:
            require_time(request, now)
            match request.action:
                case Hold() | Unhold():
                    self.hold(request, request.action, now)
                case ReInvite():
                    self.renew(request, request.action, now)
        except ActionRefused as exc:
            self._term.refuse(request, exc, now)

    def _send(self, record: CallRecord, offer: str, now: float) -> None:
        """Offer it to the far end. Until that agrees, the call is as it was; but the version is used up."""
        self._term.user_agent.reinvite(record.session_id, offer, now)
        record.offered_sdp = offer
        record.local_sdp = Sdp.parse(record.local_sdp).with_version(Sdp.parse(offer).version).encode()

    def _idle(self, call_id: str) -> CallRecord:
        record = self._term.calls.get(call_id, CallState.ANSWERED)
        if record.changing or record.is_renewing or record.is_orphan:
            raise ActionRefused("wrong_state", "the call's sound is being changed at this moment")
        return record

    def _offer(self, record: CallRecord, now: float) -> None:
        record.is_renewing, record.offered_by = True, record.view.media_host
        self._hosts.offer(record.offered_by, record, partial(self._offered, record), now)

    def _offered(self, record: CallRecord, done: MediaDone, now: float) -> None:
        if record.view.state.is_final:
            return
        error = ActionRefused("no_media", f"no new connection: {done.error}") if done.error else None
        if error is None:
            sdp = Sdp.parse(done.sdp).continuing(Sdp.parse(record.local_sdp))
            offer = sdp.with_direction(_ours(record, held=record.view.held)).encode()
            try:
                self._send(record, offer, now)
            except ActionRefused as exc:
                error = exc
        if error is not None:
            request, record.changing, record.is_renewing = record.changing, None, False
            if request is not None:
                self._term.refuse(request, error, now)
            if record.is_orphan and done.error and self._term.presence.has_sound(record.offered_by):
                self._term.end_here(record, Cause.LOST, now, reason=f"no sound elsewhere: {done.error}")

    def _accepted(
        self, event: ReinviteDone, record: CallRecord, request: Request | None, *, is_new: bool, now: float
    ) -> None:
        action = request.action if request else None
        held = isinstance(action, Hold) if isinstance(action, Hold | Unhold) else record.view.held
        was_held_there = record.view.held_by_remote
        if not held and event.sdp:
            direction = direction_of(event.sdp)
            self._term.change(record, held_by_remote=direction in ("sendonly", "inactive"))
        self._term.change(record, held=held)
        if is_new:
            record.remote_sdp = event.sdp
            then = partial(self._applied, request, record)
            if record.is_orphan:
                record.is_orphan = False
                self._silence(record, now)
                then = partial(self._moved, request, record)
            self._hosts.apply(record, then, now)
            return
        if (
            was_held_there
            and not record.view.held_by_remote
            and ice_of(event.sdp) == ice_of(record.remote_sdp)
        ):
            record.remote_sdp = event.sdp
            self._follow(record, now)
        if request is not None:
            if not held:
                self.shape(record, held=False, now=now)
            self._term.acknowledge(request, now, record.call_id)

    def _refused(self, event: ReinviteDone, record: CallRecord, request: Request, now: float) -> None:
        if isinstance(request.action, Hold):
            self.shape(record, held=False, now=now)
        if not event.is_answered and event.status != 487:
            text = f"the far end did not answer ({event.reason}); look at the call"
            self._term.refuse(request, ActionRefused("unknown", text), now)
            return
        text = f"the far end refused: {event.status} {event.reason}"
        self._term.refuse(request, ActionRefused("far_end", text, event.status), now)

    def _moved(self, request: Request | None, record: CallRecord, done: MediaDone, now: float) -> None:
        """Take what became of the new sound of a call whose old one had died."""
        self._applied(request, record, done, now)
        if done.error and not record.view.state.is_final:
            self._term.end_here(record, Cause.LOST, now, reason=f"no sound elsewhere: {done.error}")

    def _applied(self, request: Request | None, record: CallRecord, done: MediaDone, now: float) -> None:
        if request is None:
            return
        if done.error:
            self._term.refuse(request, ActionRefused("no_media", done.error), now)
        else:
            self._term.acknowledge(request, now, record.call_id)

    def _reanswered(
        self, event: ReinviteReceived, record: CallRecord, before: str, host: str, done: MediaDone, now: float
    ) -> None:
        if record.view.state.is_final:
            return
        is_agreed = False
        with contextlib.suppress(ActionRefused):  # withdrawn meanwhile, or the connection was lost
            if done.error:
                record.remote_sdp = before
                self._term.user_agent.reject_reinvite(event.session_id, 488, now)
            else:
                answer = Sdp.parse(done.sdp).continuing(Sdp.parse(record.local_sdp)).encode()
                self._agree(event, record, answer, now)
                is_agreed = True
        if is_agreed and host == record.view.media_host:
            record.is_orphan = False  # the far end has a new host's sound without being asked
        elif record.is_orphan:
            self.replace(record, now)  # what we had to say was refused while the far end's turn lasted
        elif not done.error:
            # For this the host has let go of the connection that there was, so the call needs another one.
            record.remote_sdp = ""
            if self._term.is_registered:  # if not, it is done as soon as we are
                self.replace(record, now)

    def _agree(self, event: ReinviteReceived, record: CallRecord, answer: str, now: float) -> None:
        """Accept what the far end wants."""
        self._term.user_agent.accept_reinvite(event.session_id, answer, now)
        record.local_sdp = answer
        self._term.change(record, held_by_remote=event.direction in ("sendonly", "inactive"))

    def _follow(self, record: CallRecord, now: float) -> None:
        """Tell the host what the far end takes on the connection that there is: nothing while it holds us."""
        if not (record.is_renewing or record.is_orphan):  # else a new connection brings its own directions
            self._hosts.apply(record, lambda _done, _now: None, now)

    def _silence(self, record: CallRecord, now: float) -> None:
        """Tell a new host first of a microphone that is not to be heard."""
        record.told_muted = record.view.muted
        self.shape(record, held=record.view.held, now=now)

    def _muted(self, request: Request, record: CallRecord, muted: bool, done: MediaDone, now: float) -> None:
        if done.error:
            record.told_muted = record.view.muted
            self._term.refuse(request, ActionRefused("no_media", done.error), now)
        else:
            self._term.change(record, muted=muted)
            self._term.acknowledge(request, now, record.call_id)


def _ours(record: CallRecord, *, held: bool) -> SdpDirection:
    """Return the direction to offer: who holds a call that the far end holds does not even send (§8.4)."""
    if held:
        return "inactive" if record.view.held_by_remote else "sendonly"
    return "sendrecv"


def reoffer(local_sdp: str, direction: SdpDirection) -> str:
    """Return our description once more, as an offer with this direction (RFC 3264 §8.4, RFC 8842 §5.2)."""
    sdp = Sdp.parse(local_sdp)
    changed = sdp.with_version(sdp.version + 1).with_direction(direction).with_attribute("setup", "actpass")
    return changed.encode()


def newest(offer: str, before: str) -> str:
    """Return an offer that was accepted as it was sent last: above an answer that crossed it."""
    is_crossed = Sdp.parse(before).version > Sdp.parse(offer).version
    return later(offer, before) if is_crossed else offer


def has_audio(sdp: str) -> bool:
    """Whether a text is a description, and of sound."""
    try:
        return bool(Sdp.parse(sdp).audio())
    except SipError:
        return False


def ice_of(sdp: str) -> str:
    """Return the line with the ICE user fragment: another one means another connection; "" if none."""
    return next((line for line in sdp.splitlines() if line.startswith("a=ice-ufrag:")), "")


def _may_go_on(local_sdp: str, offer: str) -> bool:
    return Sdp.parse(local_sdp).shares_sound_with(Sdp.parse(offer))


def dtls_role(local_sdp: str, remote_sdp: str) -> Literal["active", "passive"]:
    """Return our role in the DTLS of the connection that both describe, whoever offered it (RFC 8842 §5)."""
    said = Sdp.parse(local_sdp).attribute("setup")
    is_passive = said == "passive" or (said != "active" and "a=setup:active" in remote_sdp.splitlines())
    return "passive" if is_passive else "active"


def _same_answer(record: CallRecord, event: ReinviteReceived, before: str) -> str:
    """Answer a re-INVITE that changes nothing but the direction: our description again (RFC 3264 §8).

    ``before`` is what the far end has said of the connection so far. A browser refuses another role on it.
    """
    local, remote = Sdp.parse(record.local_sdp), Sdp.parse(event.sdp)
    direction = "inactive" if record.view.held else mirror(event.direction)
    setup = dtls_role(record.local_sdp, before)
    answer = local.with_version(local.version + 1).with_direction(direction).with_attribute("setup", setup)
    return answer.answering(remote).encode()
