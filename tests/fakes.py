"""What drives the phone in tests: a far end that speaks real SIP, media hosts, windows and a clock."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from msgspec import convert

from agents.phone import (
    AnswerAction,
    CommandHost,
    DropLine,
    Estate,
    LeaveEstate,
    PhoneCore,
    SendSip,
    TellWindow,
    decode_estate,
)
from agents.sip.events import ReinviteReceived
from agents.sip.message import Headers, make_response, parse
from agents.sip.message import Request as SipRequest
from agents.sip.ringcentral import AGENT_CONTENT_TYPE, AgentMessage
from agents.sip.transaction import RequestReceived, Send
from shared.config import Account, Settings
from shared.messages import (
    Action,
    Call,
    Done,
    MakeAnswer,
    MakeOffer,
    MediaCommand,
    MediaDone,
    Refused,
    Registration,
    RegistrationState,
    Request,
    Snapshot,
    Version,
    Window,
)

from .sip_pair import ANSWER, OFFER, id_factory, new_sessions

EPOCH = 3
DESK = Window(instance="desk", name="front desk", pid=1, media=True)
KIOSK = Window(instance="kiosk", name="kiosk", pid=2, media=True)
WALL = Window(instance="wall", name="wall board", pid=3)  # without sound

#: With ICE credentials, as every description of a real media host has.
HOST_OFFER = OFFER + "a=ice-ufrag:host\r\na=ice-pwd:hosts-canary-password-0000\r\na=setup:actpass\r\n"
HOST_ANSWER = HOST_OFFER.replace("actpass", "active").replace("- 1 1", "- 7 1")
_EVENTS = "a=rtpmap:101 telephone-event/8000\r\n"
FAR_OFFER = (
    OFFER.replace("SAVPF 111\r\n", "SAVPF 111 101\r\n" + _EVENTS)
    + "a=ice-ufrag:far\r\na=ice-pwd:far-canary-password-000000\r\na=setup:actpass\r\n"
)
FAR_HELD = FAR_OFFER.replace("sendrecv", "sendonly").replace("1 1 IN", "1 2 IN")
FAR_ANSWER = (
    ANSWER.replace("SAVPF 111\r\n", "SAVPF 111 101\r\n" + _EVENTS)
    + "a=ice-ufrag:far\r\na=ice-pwd:far-canary-password-000000\r\na=setup:active\r\n"
)


def account(**changes: Any) -> Account:
    """Return an account of nobody."""
    values: dict[str, Any] = {
        "authorization_id": "800000000101",
        "domain": "sip.test",
        "outbound_proxy": "127.0.0.1:9",
        "username": "16505550100*101",
        "password": "canary-password",
    }
    return Account(**values | changes)


def settings(**changes: Any) -> Settings:
    """Return the default settings, in directories that do not exist."""
    values: dict[str, Any] = {"runtime_dir": "/nonexistent/run", "state_dir": "/nonexistent/state"}
    return Settings(**values | changes)


def snapshot(epoch: int = 1, sequence: int = 1, *calls: Call, leader: str = "desk", **more: Any) -> Snapshot:
    """Return a snapshot of a registered group."""
    facts: dict[str, Any] = {"registration": Registration(state=RegistrationState.REGISTERED)}
    return Snapshot(
        version=Version(epoch, sequence), group="front", leader=leader, calls=calls, **facts | more
    )


_settings = settings  # for where an argument has its name


class Rig:
    """A :class:`PhoneCore` in its world: ``far`` is the service, ``hosts`` answer media commands.

    Nothing happens but by :meth:`run`, which carries messages to and fro until all are silent.
    """

    def __init__(
        self,
        *,
        seed: Snapshot | None = None,
        epoch: int = EPOCH,
        register: bool = True,
        settings: Settings | None = None,
    ) -> None:
        self.now = 1000.0
        self.settings = settings or _settings()
        self.ids = id_factory("id")
        self.core = PhoneCore(
            group="front",
            instance="desk",
            epoch=epoch,
            account=account(),
            sip_instance_id="line",
            settings=self.settings,
            seed=seed,
            new_id=self.ids,
            now=self.now,
            wall_offset=1e9,
        )
        self.epoch = epoch
        self.far = new_sessions("far")
        self.far_events: list[Any] = []
        self.sip: list[str] = []  # methods and statuses that left us
        self.frames: list[str] = []
        self.commands: list[tuple[str, MediaCommand]] = []
        self.replies: list[tuple[str, Done | Refused]] = []
        self.effects: list[Any] = []  # in the order in which the core asked for them
        self.left = self.core.estate()  # what a successor would get if the process died now
        self.dropped: list[str] = []
        self.reinvite_status: int | None = 200  # what the far end says to a re-INVITE; None: nothing yet
        self.reinvite_sdp = FAR_ANSWER
        self.documents: list[AgentMessage] = []  # what we told the service by MESSAGE
        self.message_status: int | None = 200  # what it says to that; None: nothing yet
        self.is_cut = False  # nothing of what we send arrives
        self.host_answers = True
        self.host_error = ""
        self.unanswered: list[tuple[str, MediaCommand]] = []
        self.contact = ""
        self.register_status = 200
        self.register_headers: list[tuple[str, str]] = []
        self.sequence = 0
        for window in (DESK, KIOSK, WALL):
            self.core.window_heard(window, self.now)
            if window.media:
                self.core.host_attached(window.instance, self.now)
        if register:
            self.core.connected(self.now)
            self.run()

    # -- what tests ask --------------------------------------------------------------------------------

    @property
    def snapshot(self) -> Snapshot:
        """The state as windows see it now."""
        return self.core.snapshot(Version(self.epoch, self.sequence))

    def call(self) -> Call:
        """The only call."""
        [call] = self.snapshot.calls
        return call

    def kinds(self) -> list[str]:
        """Return the media commands by name, and forget them."""
        kinds, self.commands = [type(command).__name__ for _, command in self.commands], []
        return kinds

    # -- what happens ----------------------------------------------------------------------------------

    def ask(self, action: Action, window: Window = DESK, **changes: Any) -> Request:
        """Let a window ask for an action, without running."""
        facts: dict[str, Any] = {"epoch": self.epoch, "deadline": self.now + 5, "action_id": self.ids()}
        request = Request(instance=window.instance, action=action, **facts | changes)
        self.core.request(request, self.now)
        return request

    def do(self, action: Action, window: Window = DESK, **changes: Any) -> Done | Refused | None:
        """Let a window ask for an action, run, and return its answer, None if there is none yet."""
        request = self.ask(action, window, **changes)
        self.run()
        return self.answer_to(request)

    def answer_to(self, request: Request) -> Done | Refused | None:
        """Return the only answer to ``request``, None if there is none yet."""
        answers = [reply for _, reply in self.replies if reply.action_id == request.action_id]
        assert len(answers) <= 1, answers
        return answers[0] if answers else None

    def wait(self, seconds: float) -> None:
        """Let time pass, stopping at each deadline."""
        end = self.now + seconds
        while (deadline := self.core.next_deadline()) is not None and deadline <= end:
            self.now = max(self.now, deadline)
            self.core.tick(self.now)
            self.run()
        self.now = end
        self.core.tick(end)
        self.run()

    def ring(self, sdp: str = FAR_OFFER, *, headers: Sequence[tuple[str, str]] = ()) -> str:
        """Let the far end call; return its session's id."""
        session: str = self.far.invite(
            self.contact,
            from_="Ada <sip:+16505550123@sip.test>",
            to="<sip:101@sip.test>",
            sdp=sdp,
            now=self.now,
            headers=headers,
        )
        self.run()
        return session

    def tell(self, document: AgentMessage) -> None:
        """Let the service send us an agent message."""
        fields = {
            "Via": f"SIP/2.0/WSS far.invalid;branch=z9hG4bK-{self.ids()}",
            "From": f"<sip:%23996016@sip.test>;tag={self.ids()}",
            "To": "<sip:101@sip.test>",
            "Call-Id": self.ids(),
            "CSeq": "218000000 MESSAGE",
            "Content-Type": AGENT_CONTENT_TYPE,
        }
        body = document.encode() + "\r\n"
        self.far.request(SipRequest("MESSAGE", self.contact, Headers(fields.items()), body), self.now)
        self.run()

    def pick_up(self) -> str:
        """Let the far end answer our call; return its session's id."""
        session: str = self.far.live()[-1].session_id
        self.far.answer(session, FAR_ANSWER, self.now)
        self.run()
        return session

    def take_over(
        self, *, estate: Estate | Literal["as left"] | None = "as left", predecessor_died: bool = True
    ) -> None:
        """Let the leader's process die or be passed over, and the kiosk lead with what was left to it."""
        if estate == "as left":
            estate = decode_estate(self.left)
        seed, self.epoch = self.snapshot, self.epoch + 1
        self.core = PhoneCore(
            group="front",
            instance=KIOSK.instance,
            epoch=self.epoch,
            account=account(),
            sip_instance_id="line",
            settings=self.settings,
            seed=seed,
            estate=estate,
            predecessor_died=predecessor_died,
            new_id=self.ids,
            now=self.now,
            wall_offset=1e9,
        )
        for window in (KIOSK, WALL):
            self.core.window_heard(window, self.now)
        self.core.host_attached(KIOSK.instance, self.now)
        self.core.connected(self.now)
        self.run()

    def hang_up_far(self, session: str) -> None:
        """Let the far end hang up."""
        self.far.hangup(session, self.now)
        self.run()

    def answer_media(self, *, error: str = "") -> None:
        """Answer all media commands that wait, as their hosts would."""
        waiting, self.unanswered = self.unanswered, []
        for instance, command in waiting:
            self._media_done(instance, command, error)
        self.run()

    def settle_reinvite(self, session: str, status: int | None) -> None:
        """Let the far end accept or refuse our re-INVITE."""
        if status == 200:
            self.far.accept_reinvite(session, self.reinvite_sdp, self.now)
        elif status is not None:
            self.far.reject_reinvite(session, status, self.now)

    def run(self) -> None:
        """Carry messages to and fro until everybody is silent."""
        while self._drain_core() or self._drain_far():
            pass

    # -- inside ----------------------------------------------------------------------------------------

    def _drain_core(self) -> bool:
        effects = self.core.effects(self.now)
        if any(isinstance(effect, SendSip | LeaveEstate) for effect in effects):
            self.left = self.core.estate()
        if self.core.take_changed():
            self.sequence += 1
        for effect in effects:
            self.effects.append(effect)
            match effect:
                case SendSip(text):
                    message = parse(text)
                    self.frames.append(text)
                    line = message.method if isinstance(message, SipRequest) else f"{message.status}"
                    self.sip.append(line if isinstance(message, SipRequest) else f"{line} {effect.method}")
                    if not self.is_cut:
                        self.far.receive(message, self.now)
                case CommandHost(instance, command):
                    self.commands.append((instance, command))
                    self.unanswered.append((instance, command))
                case TellWindow(instance, message):
                    assert isinstance(message, Done | Refused)
                    self.replies.append((instance, message))
                case AnswerAction(instance, action_id, call_id, value):
                    version = Version(self.epoch, self.sequence)
                    done = Done(action_id=action_id, version=version, call_id=call_id, value=value)
                    self.replies.append((instance, done))
                case DropLine(reason):
                    self.dropped.append(reason)
        if effects and self.host_answers:
            self.answer_media(error=self.host_error)
        return bool(effects)

    def _media_done(self, instance: str, command: MediaCommand, error: str) -> None:
        sdps: dict[type, str] = {MakeOffer: HOST_OFFER, MakeAnswer: HOST_ANSWER}
        sdp = sdps.get(type(command), "")
        done = MediaDone(
            epoch=self.epoch, command_id=command.command_id, sdp="" if error else sdp, error=error
        )
        self.core.media_done(done, self.now)

    def _drain_far(self) -> bool:
        effects = self.far.effects()
        for effect in effects:
            if isinstance(effect, Send):
                self.core.received(effect.text, self.now)
            elif isinstance(effect, RequestReceived) and effect.request.method == "MESSAGE":
                self.documents.append(AgentMessage.parse(effect.request.body))
                if self.message_status is not None:
                    self.far.respond(
                        effect.key, make_response(effect.request, self.message_status, to_tag="far"), self.now
                    )
            elif isinstance(effect, RequestReceived) and effect.request.method == "REGISTER":
                self.contact = (effect.request.headers.get("Contact") or "").split(">")[0].lstrip("<")
                contact = effect.request.headers.get("Contact") or ""
                headers = [("Contact", contact), *self.register_headers]
                response = make_response(effect.request, self.register_status, to_tag="far", headers=headers)
                self.far.respond(effect.key, response, self.now)
            else:
                self.far_events.append(effect)
                if isinstance(effect, ReinviteReceived):
                    self.settle_reinvite(effect.session_id, self.reinvite_status)
        return bool(effects)


@dataclass
class FakeAgent:
    """What a :class:`shared.phone.Phone` sits on: a state, and actions that do what the test says."""

    instance: str = "desk"
    snapshot: Snapshot | None = None
    is_stale: bool = False
    asked: list[Action] = field(default_factory=list)
    answer: Callable[[Action], Done] = lambda action: Done(action_id="a", version=Version(1, 1))

    async def perform(self, action: Action, time: float | None = None) -> Done:
        """Note the action, and answer as the test says."""
        self.asked.append(action)
        return self.answer(action)


def a_call(call_id: str = "c1", **facts: Any) -> Call:
    """Return an inbound call that rings."""
    values: dict[str, Any] = {
        "call_id": call_id,
        "direction": "inbound",
        "state": "ringing",
        "remote_number": "+16505550123",
    }
    return convert(values | facts, Call)


def of_kind(changes: Sequence[object]) -> list[str]:
    """Return the names of the classes of ``changes``."""
    return [type(change).__name__ for change in changes]
