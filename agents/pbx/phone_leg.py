"""The end of a call that a phone has: a leg on one side, a SIP session of its phone on the other."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from agents.sip import events as sip
from agents.sip.message import make_response
from agents.sip.reason import make_reason
from agents.sip.ringcentral import Command
from shared.errors import SipError
from shared.log import log

from .dialect import Caller, CallName
from .dialog_leg import DialogLeg
from .legs import Ends
from .sounds import Anchored
from .views import LegView

if TYPE_CHECKING:
    from agents.media.base import MediaState

    from .phones import Phone


FLOW_FAILED = 430
"""What a call is told about a phone that rang and lost its connection (RFC 5626 §11)."""

ANSWERED_ELSEWHERE = "answered elsewhere"
"""The reason to end a leg with when another phone has the call."""


class PhoneLeg(DialogLeg):
    """The end of a call that a phone has. Its phone makes a caller's, and a call a callee's."""

    def __init__(
        self,
        phone: "Phone",
        call_id: CallName,
        *,
        is_caller: bool,
        session_id: str = "",
        sip_call_id: str = "",
    ) -> None:
        super().__init__(phone, session_id)
        self.ends: Ends | None = None
        self.sip_call_id = sip_call_id or phone.exchange.new_id()
        self.call_id = call_id
        self.is_caller = is_caller
        self.place = 1 if is_caller else 2
        """Its number among the parties of the call."""

        self.replaces = ""
        """The Replaces header of its INVITE."""

        self.name = f"{phone.extension}-{(session_id or phone.exchange.new_id())[:6]}"
        self.call_name: str | None = None
        self.number = phone.extension
        self.who = Caller("", "")
        """Who calls, as a callee's phone sees it."""

        self.state = "ringing"
        self.holds = False
        self.adrift_until: float | None = None

    def partner_is(self, state: "MediaState", *, holds: bool) -> None:
        """Do nothing: a phone hears how it is."""

    async def rename(self, call_id: CallName) -> None:
        """Let its phone know the call by another name from now on: a re-INVITE of the same sound.

        Raises:
            CallFailed: The phone does not want that.
        """
        self.call_id = call_id
        if isinstance(self.sound, Anchored):
            await self.sound.line.meet(await self.ask(self.sound.line.again()))

    # -- what the call wants; see Leg

    def ring(self) -> None:
        """Send the INVITE, as soon as there is something to offer."""
        (self.sound or self.sound_here()).offer(self._invite)

    def progress(self, then: Callable[[], None]) -> None:
        """Send 183 with the call's names, and with what is heard until the answer."""
        sound = self.sound or self.sound_here()

        def described(status: int, sdp: str) -> None:
            headers = [self.call_id.api_ids(self.place)]
            self._do(lambda now: self._sessions.progress(self.session_id, 183, now, sdp=sdp, headers=headers))
            if status < 300:
                then()
            else:
                self._fail(status)

        sound.early(self.offered, described)

    def answer(self) -> None:
        """Send 200."""
        sound = self.sound or self.sound_here()

        def described(status: int, sdp: str) -> None:
            if self.state != "ringing":
                return
            if status >= 300:
                self._fail(status)
                return
            self.state = "answered"
            headers = [self.call_id.api_ids(self.place)]
            self._do(lambda now: self._sessions.answer(self.session_id, sdp, now, headers=headers))

        sound.final(self.offered, described)

    def reject(self, status: int, reason: str) -> None:
        """Send a final failure; its reason phrase is the standard one, which the SDKs compare."""
        log.info("leg.rejected", leg=self.name, status=status, reason=reason)
        self.state = "ended"
        self.close_sound()
        self._do(lambda now: self._sessions.reject(self.session_id, status, now))

    def reoffer(self, sdp: str) -> None:
        """Send a re-INVITE, with the call's names; one that cannot be sent fails at once."""
        headers = [self.call_id.api_ids(self.place)]
        if self.phone.flow is None or not self._do(
            lambda now: self._sessions.reinvite(self.session_id, sdp, now, headers=headers)
        ):
            self.reoffer_done(480, "")

    def acknowledge(self, sdp: str) -> None:
        """Send the ACK of the phone's 200, with the answer to its offer."""
        self._do(lambda _now: self._sessions.acknowledge(self.session_id, sdp))

    def reanswer(self, status: int, sdp: str) -> None:
        """Answer the phone's re-INVITE."""
        if status < 300:
            self._do(lambda now: self._sessions.accept_reinvite(self.session_id, sdp, now))
        else:
            self._do(lambda now: self._sessions.reject_reinvite(self.session_id, status, now))

    def end(self, reason: str) -> None:
        """Send BYE, CANCEL or a refusal, as its state demands."""
        elsewhere = reason == ANSWERED_ELSEWHERE
        if elsewhere:
            self.phone.tell(self.call_id, Command.ALREADY_PROCESSED)
        headers = [make_reason(200, "Call completed elsewhere")] if elsewhere else []
        self.state = "ended"
        self.adrift_until = None
        self.close_sound()
        if self.session_id:
            self._hang_up(headers)

    def _hang_up(self, headers: list[tuple[str, str]]) -> None:
        self._do(lambda now: self._sessions.hangup(self.session_id, now, headers=headers, status=480))

    def give_up(self, reason: str) -> None:
        """Tell the phone, which rings, that the service goes on with the call (Cmd 9); then CANCEL."""
        self.phone.tell(self.call_id, Command.SESSION_CLOSE, then=lambda: self.end(reason))

    def confirm(self) -> None:
        """Tell the phone that answered that the service knows (Cmd 7)."""
        self.phone.tell(self.call_id, Command.ALREADY_PROCESSED)

    def view(self) -> LegView:
        """Return what can be seen of it."""
        return LegView(
            leg=self.name,
            kind="phone",
            number=self.phone.extension,
            owner=self.phone.instance_id,
            state=self.state,
            call_id=self.sip_call_id,
            held=self.holds,
            adrift=self.adrift_until is not None,
        )

    # -- connections come and go

    def unsettle(self, reason: str) -> None:
        """Start the grace: whoever held the call's end may be gone."""
        if self.state == "answered" and self.adrift_until is None:
            self.adrift_until = self.phone.exchange.now() + self.phone.exchange.flow_grace
            self._record("LEG_ADRIFT", reason=reason)
            self.phone.exchange.changed(self.phone)

    def settle(self) -> None:
        """Take that the phone has spoken in the call's dialog over its newest connection."""
        if self.adrift_until is not None:
            self.adrift_until = None
            self._record("LEG_CONTINUED")

    def grace_over(self) -> None:
        """Find out whether the phone still has the call."""
        self.adrift_until = None
        if self.phone.flow is None:
            self.end("connection lost")
            self._tell(lambda ends: ends.ended(self, "connection lost"))
        else:
            self._request("OPTIONS")

    # -- what happens at the phone

    def happened(self, event: sip.SessionEvent) -> None:
        """Take an event of its session."""
        handler = self._HANDLERS.get(type(event))
        if handler is not None:
            handler(self, event)

    def _progressed(self, _event: sip.SessionProgress) -> None:
        self._tell(lambda ends: ends.ringing(self))

    def _answered(self, event: sip.SessionAnswered) -> None:
        self.state = "answered"
        if self.sound is not None:
            self.sound.met(event.sdp, self._unusable)
        self._tell(lambda ends: ends.answered(self))

    def _confirmed(self, event: sip.SessionConfirmed | sip.ReinviteConfirmed) -> None:
        if event.sdp and self.sound is not None:  # the answer to an offer of ours in a 200
            self.sound.met(event.sdp, self._unusable)

    def _ended(self, event: sip.SessionEnded) -> None:
        was, self.state, self.adrift_until = self.state, "ended", None
        self.close_sound()
        self.phone.legs.pop(self.session_id, None)
        self._dialog_over()
        if was == "ended":  # by the call itself
            if event.cause == "local_bye" and not self.is_caller:
                self.phone.tell(self.call_id, Command.SERVER_FREE_RESOURCES)
        elif was == "ringing" and not self.is_caller:
            status = FLOW_FAILED if event.cause == "transport" else event.status or 480
            self._tell(lambda ends: ends.refused(self, status, event.reason or event.cause))
        else:
            self._tell(lambda ends: ends.ended(self, event.cause))
        self.ends = None  # which has it among its legs: such circles wait for the garbage collector

    def _reoffered(self, event: sip.ReinviteReceived) -> None:
        held = event.direction in ("sendonly", "inactive")
        if held != self.holds:
            self.holds = held
            self._record("LEG_HELD" if held else "LEG_UNHELD")
        self._tell(lambda ends: ends.sounds(self))
        if self.sound is not None:
            self.sound.reoffered(event.sdp, self.reanswer)
        else:
            self.reanswer(488, "")

    def _reanswered(self, event: sip.ReinviteDone) -> None:
        self.reoffer_done(event.status, event.sdp)

    def _requested(self, event: sip.DialogRequestReceived) -> None:
        request = event.request
        if request.method == "REFER" and self.ends is not None:
            self.ends.referred(self, request, lambda status: self._respond(event, status))
            return
        known = request.method in ("INFO", "MESSAGE", "NOTIFY", "OPTIONS")
        self._respond(event, 200 if known else 501)
        if request.method == "INFO" and self.ends is not None:
            self.ends.informed(self, request.body)

    def _respond(self, event: sip.DialogRequestReceived, status: int) -> None:
        response = make_response(event.request, status)
        self._do(lambda now: self._sessions.respond(event.key, response, now))

    _HANDLERS: ClassVar[dict[type, Callable[[Any, Any], None]]] = {
        sip.SessionProgress: _progressed,
        sip.SessionAnswered: _answered,
        sip.SessionConfirmed: _confirmed,
        sip.SessionEnded: _ended,
        sip.ReinviteReceived: _reoffered,
        sip.ReinviteConfirmed: _confirmed,
        sip.ReinviteDone: _reanswered,
        sip.DialogRequestReceived: _requested,
        sip.DialogRequestDone: DialogLeg._asked,
    }

    def _sound_changed(self) -> None:
        self._tell(lambda ends: ends.sounds(self))

    def _key_pressed(self, key: str) -> None:
        self._tell(lambda ends: ends.pressed(self, key))

    def _unknown_there(self) -> None:
        self.end("call unknown to the phone")
        self._tell(lambda ends: ends.ended(self, "call unknown to the phone"))

    # -- the parts

    def _invite(self, status: int, offer: str) -> None:
        """Send a called phone the INVITE, unless the call has changed its mind meanwhile."""
        if self.state == "ended":
            return
        try:
            if status >= 300:
                raise SipError("there is no sound to offer")
            self.session_id = self.phone.invite(
                self.call_id, self.who, offer, self.sip_call_id, place=self.place
            )
        except SipError as exc:
            log.warning("leg.not_offered", leg=self.name, reason=exc.reason)
            self.state = "ended"
            self.close_sound()
            self._tell(lambda ends: ends.refused(self, 488, "it cannot be offered"))
            return
        self.phone.legs[self.session_id] = self

    def _unusable(self, reason: str) -> None:
        """End it: the phone has answered with what cannot be heard."""
        if self.state != "ended":
            self.end(reason)
            self._tell(lambda ends: ends.ended(self, f"no usable sound: {reason}"))

    def _fail(self, status: int) -> None:
        """Refuse a caller whose offer cannot be used."""
        if self.state == "ringing":
            self.reject(status, "its offer cannot be used")
            self._tell(lambda ends: ends.ended(self, f"{status} its offer cannot be used"))

    def _tell(self, news: Callable[[Ends], None]) -> None:
        if self.ends is not None:
            news(self.ends)
