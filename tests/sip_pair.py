"""Join two SIP cores by a wire of text, with a clock that only moves when a test says so."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Protocol, TypeVar

from agents.sip.authentication import Authenticator
from agents.sip.dialog import Endpoint
from agents.sip.digest import Credentials, make_challenge
from agents.sip.message import Message, Request, Response, parse
from agents.sip.sessions import Sessions
from agents.sip.transaction import Send

OFFER = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=sendrecv\r\n"
ANSWER = OFFER.replace("o=- 1 1", "o=- 2 1")
HELD = OFFER.replace("sendrecv", "sendonly").replace("1 1 IN", "1 2 IN")
CHALLENGE = ("Proxy-Authenticate", make_challenge("sip.test", "n1", qop="auth"))

T = TypeVar("T")


def id_factory(prefix: str) -> Callable[[], str]:
    """Return a factory of ids that are the same in every run."""
    numbers: Iterator[int] = count(1)
    return lambda: f"{prefix}{next(numbers)}"


def new_sessions(name: str, **options: Any) -> Sessions:
    """Return the session layer of an end called ``name``."""
    host = f"{name}.invalid"
    return Sessions(Endpoint(host, f"<sip:{name}@{host};transport=wss>"), new_id=id_factory(name), **options)


class Core(Protocol):
    """What both kinds of end have in common."""

    def tick(self, now: float) -> None: ...
    def next_deadline(self) -> float | None: ...
    def effects(self) -> list[Any]: ...
    def receive(self, message: Any, now: float) -> None: ...


@dataclass
class End:
    """One end of the wire: its core, what it reported and what it sent."""

    core: Any
    takes_text: bool = False
    events: list[Any] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)  # "INVITE", "100 INVITE", ...
    frames: list[str] = field(default_factory=list)

    def take(self, kind: type[T]) -> T:
        """Return the next event, which must be of ``kind``."""
        assert self.events, f"no event, wanted {kind.__name__}"
        event = self.events.pop(0)
        assert isinstance(event, kind), event
        return event


class Pair:
    """Two ends and the wire between them. ``cut`` drops all frames that ``drops`` says."""

    def __init__(self, left: End, right: End) -> None:
        self.left, self.right, self.now = left, right, 1000.0
        self.drops: Callable[[Message], bool] = lambda _: False

    def run(self) -> None:
        """Carry frames to and fro until both ends are silent."""
        while any([self._drain(self.left, self.right), self._drain(self.right, self.left)]):
            pass

    def wait(self, seconds: float) -> None:
        """Let time pass, stopping at each deadline of either end."""
        self.run()
        end_at = self.now + seconds
        while True:
            deadlines = [
                at for end in (self.left, self.right) if (at := end.core.next_deadline()) is not None
            ]
            self.now = min([*deadlines, end_at])
            self.left.core.tick(self.now)
            self.right.core.tick(self.now)
            self.run()
            if self.now >= end_at:
                return

    def _drain(self, source: End, sink: End) -> bool:
        effects = source.core.effects()
        for effect in effects:
            if not isinstance(effect, Send):
                source.events.append(effect)
                continue
            source.sent.append(f"{effect.status} {effect.method}" if effect.status else effect.method)
            source.frames.append(effect.text)
            message = parse(effect.text)
            if not self.drops(message):
                sink.core.receive(effect.text if sink.takes_text else message, self.now)
        return bool(effects)


def pair_of_sessions(**options: Any) -> tuple[Pair, End, End]:
    """Return a caller and a callee; ``options`` are the callee's."""
    left, right = End(new_sessions("alice")), End(new_sessions("bob", **options))
    return Pair(left, right), left, right


def start_call(pair: Pair, sdp: str = OFFER, **options: Any) -> str:
    """Let the left end call the right one; return the left session's id."""
    session_id: str = pair.left.core.invite(
        "sip:bob@bob.invalid",
        from_="<sip:alice@sip.test>",
        to="<sip:bob@sip.test>",
        sdp=sdp,
        now=pair.now,
        **options,
    )
    pair.run()
    return session_id


def established_call(pair: Pair) -> tuple[str, str]:
    """Return both session ids of a call that is up, with all events so far taken."""
    left_id = start_call(pair)
    right_id: str = pair.right.events[-1].session_id
    pair.right.core.answer(right_id, ANSWER, pair.now)
    pair.run()
    pair.left.events.clear()
    pair.right.events.clear()
    pair.left.sent.clear()
    pair.right.sent.clear()
    return left_id, right_id


def pair_with_password() -> tuple[Pair, End, End]:
    """Return a caller that can answer challenges, and a callee."""
    authenticator = Authenticator(Credentials("me", "s3cr3t"), realm="sip.test", new_id=id_factory("auth"))
    left, right = End(new_sessions("alice", authenticator=authenticator)), End(new_sessions("bob"))
    return Pair(left, right), left, right


def is_answer(status: int, method: str, message: Message) -> bool:
    return isinstance(message, Response) and message.status == status and message.cseq.method == method


def only_frame(end: End) -> Request:
    """Return the only request that an end wants to send, undelivered."""
    (send,) = (effect for effect in end.core.effects() if isinstance(effect, Send))
    assert isinstance(send.message, Request)
    return send.message
