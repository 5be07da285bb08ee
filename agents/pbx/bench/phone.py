"""Phones for measuring: real signalling, and sound that is counted and timed instead of played."""

import asyncio
import contextlib
import secrets
from collections import deque
from collections.abc import Callable
from typing import Any, Self

from agents.media import sdp
from agents.media.base import FRAME_BYTES, FRAME_SECONDS
from agents.media.codec import make_encoder
from agents.media.files import read_wav
from agents.media.link import Link, open_link
from agents.media.options import OpusOptions
from agents.media.rtp import RtpPacket
from agents.media.specs import GREETING
from agents.sip import events as sip
from agents.sip.registration import RegistrationChanged
from agents.sip.transaction import Send
from agents.sip.transport import SipSocket
from agents.sip.user_agent import UserAgent
from shared.clock import monotonic
from shared.config import Account
from shared.errors import MediaError, ServiceUnreachable

_WITHIN = 20.0
_TICK = 0.05


def speech() -> list[bytes]:
    """Return some seconds of speech as Opus packets, each of them different from all others."""
    pcm = read_wav(GREETING)
    encoder = make_encoder("opus", OpusOptions())
    frames = (pcm[at : at + FRAME_BYTES] for at in range(0, len(pcm) - FRAME_BYTES, FRAME_BYTES))
    return list(dict.fromkeys(packet for packet in map(encoder.encode, frames) if packet))


class Sound:
    """One end of a call: sends packets in time, and says when those of the other end came."""

    def __init__(self, packets: list[bytes]) -> None:
        self.sent = self.received = 0
        self.delays: list[float] = []
        self.partner: Sound | None = None
        self.is_heard = asyncio.Event()
        self._packets = packets
        self._sent_at: dict[bytes, float] = {}
        self._ssrc, self._payload_type = secrets.randbits(32), 111
        self._clock: asyncio.Task[None] | None = None
        self._link: Link | None = None

    async def offer(self) -> str:
        """Return an offer."""
        self._link = await self._open(offering=True)
        return sdp.write_offer(self._link.describe(self._ssrc, "bench"), session_id=1, version=1)

    async def apply(self, answer: str) -> None:
        """Connect with whoever answered."""
        assert self._link is not None
        await self._start(self._link, sdp.parse(answer))

    async def answer(self, offer: str) -> str:
        """Return an answer, and connect."""
        remote = sdp.parse(offer)
        self._link = await self._open(offering=False)
        self._link.setup = "active"
        text = sdp.write_answer(
            self._link.describe(self._ssrc, "bench"), remote, session_id=1, version=1, setup="active"
        )
        await self._start(self._link, remote)
        return text

    async def close(self) -> None:
        """Fall silent."""
        if self._clock is not None:
            self._clock.cancel()
            await asyncio.gather(self._clock, return_exceptions=True)
        if self._link is not None:
            await self._link.close()
        self.partner = None

    async def _open(self, *, offering: bool) -> Link:
        return await open_link(
            lambda _link: True,
            offering=offering,
            addresses=("127.0.0.1",),
            dead_after=30.0,
            on_packet=self._took,
            on_report=lambda _report: None,
            on_state=self._changed,
        )

    async def _start(self, link: Link, remote: sdp.RemoteAudio) -> None:
        self._payload_type = remote.audio_codec().payload_type
        await link.start(remote, within=_WITHIN)

    def _changed(self, state: str) -> None:
        if state == "connected" and self._clock is None:
            self._clock = asyncio.create_task(self._run())

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + secrets.randbelow(20) / 1000
        while self._link is not None:
            due += FRAME_SECONDS
            await asyncio.sleep(max(due - loop.time(), 0))
            payload = self._packets[self.sent % len(self._packets)]
            packet = RtpPacket(
                self._payload_type, self.sent % (1 << 16), self.sent * 960 % (1 << 32), self._ssrc, payload
            )
            self._sent_at[payload] = loop.time()
            self._link.post(packet.encode())
            self.sent += 1

    def _took(self, data: bytes) -> None:
        packet = RtpPacket.decode(data)
        if packet is None or self.partner is None:
            return
        sent_at = self.partner._sent_at.get(packet.payload)
        if sent_at is not None:
            self.received += 1
            self.delays.append(asyncio.get_running_loop().time() - sent_at)
            self.is_heard.set()


class BenchPhone:
    """One registration with many calls."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self.core = UserAgent(
            account,
            instance_id=secrets.token_hex(8),
            new_id=lambda: secrets.token_hex(8),
            now=monotonic(),
        )
        self._events: deque[Any] = deque()
        self._news = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._socket = await SipSocket.connect(self._account)
        self._tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._tick())]
        self.core.connected(monotonic())
        await self._flush()
        changed = await self.wait(RegistrationChanged, lambda event: event.state in ("registered", "failed"))
        if changed.state != "registered":
            raise ServiceUnreachable("the phone could not register")
        return self

    async def __aexit__(self, *_exc_info: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._socket.close()

    async def dial(self, number: str, sound: Sound) -> str:
        """Call a number, and return the session's id."""
        offer = await sound.offer()
        session: str = await self._do(lambda now: self.core.invite(number, offer, now=now))
        return session

    async def take(self, sound: Sound) -> str:
        """Answer the next call that comes, and return its session's id."""
        call: sip.InviteReceived = await self.wait(sip.InviteReceived)
        answer = await sound.answer(call.sdp)
        await self._do(lambda now: self.core.answer(call.session_id, answer, now))
        return call.session_id

    async def connect(self, session: str, sound: Sound) -> None:
        """Wait for the answer to a call, and connect its sound."""
        answered = await self.wait(sip.SessionAnswered, lambda event: event.session_id == session)
        await sound.apply(answered.sdp)

    async def hang_up(self, session: str) -> None:
        """End a call."""
        await self._do(lambda now: self.core.hangup(session, now))
        await self.wait(sip.SessionEnded, lambda event: event.session_id == session)

    async def inform(self, session: str, body: str) -> None:
        """Send an INFO."""
        headers = [("Content-Type", "application/json;charset=utf-8")]
        await self._do(
            lambda now: self.core.request_in_dialog(session, "INFO", now, headers=headers, body=body)
        )

    async def wait(self, kind: Any, matches: Callable[[Any], bool] = lambda _event: True) -> Any:
        """Return the first event of a kind that matches, which nobody has waited for before.

        Raises:
            TimeoutError: There is none.
        """
        async with asyncio.timeout(_WITHIN):
            while True:
                for event in self._events:
                    if isinstance(event, kind) and matches(event):
                        self._events.remove(event)
                        return event
                self._news.clear()
                await self._news.wait()

    def forget(self) -> None:
        """Drop what nobody has waited for."""
        self._events.clear()

    async def _do(self, command: Callable[[float], Any]) -> Any:
        result = command(monotonic())
        await self._flush()
        return result

    async def _flush(self) -> None:
        for effect in self.core.effects():
            if isinstance(effect, Send):
                with contextlib.suppress(ServiceUnreachable):
                    await self._socket.send(effect.text)
            else:
                self._events.append(effect)
        self._news.set()

    async def _read(self) -> None:
        with contextlib.suppress(ServiceUnreachable):
            async for frame in self._socket:
                self.core.receive(frame, monotonic())
                await self._flush()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK)
            self.core.tick(monotonic())
            await self._flush()


async def connected(ada: BenchPhone, bob: BenchPhone, packets: list[bytes]) -> "Pair":
    """Have two phones call each other, and return when each hears the other.

    Raises:
        MediaError: They do not.
    """
    pair = Pair(ada, bob, Sound(packets), Sound(packets))
    pair.near.partner, pair.far.partner = pair.far, pair.near
    pair.sessions = (await ada.dial("102", pair.near), await bob.take(pair.far))
    await ada.connect(pair.sessions[0], pair.near)
    try:
        async with asyncio.timeout(_WITHIN):
            await asyncio.gather(pair.near.is_heard.wait(), pair.far.is_heard.wait())
    except TimeoutError as exc:
        raise MediaError("the two ends of a call do not hear each other") from exc
    return pair


class Pair:
    """One call with both of its ends."""

    def __init__(self, ada: BenchPhone, bob: BenchPhone, near: Sound, far: Sound) -> None:
        self._ada, self._bob, self.near, self.far = ada, bob, near, far
        self.sessions = ("", "")

    async def end(self) -> None:
        """Hang up."""
        near, far = self.sessions
        await self._ada.hang_up(near)
        await self._bob.wait(sip.SessionEnded, lambda event: event.session_id == far)
        await asyncio.gather(self.near.close(), self.far.close())

    async def record(self) -> None:
        """Have it recorded."""
        await self._ada.inform(self.sessions[0], '{"request":{"reqid":1,"command":"startcallrecord"}}')
