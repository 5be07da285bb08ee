"""A call's media over WebRTC: :class:`WebRtcSession`, the real :class:`.base.MediaSession`.

A session outlives its connections: a re-INVITE with new ICE credentials gives it a new :class:`.link.Link`
under the same source, sink, mute and hold. One task is its clock: every 20 ms, by deadline, it sends one
frame and plays one; where packets arrive evenly, each is played as it arrives (:mod:`.playout`).
"""

import asyncio
import secrets
from collections.abc import Callable, Sequence
from typing import TypeVar

import structlog  # noqa: F401 - loaded with the sound: its first warning must not stop it for 50 ms

from shared.clock import monotonic, wall
from shared.errors import MediaError, SipError
from shared.log import log

from . import sdp
from .base import FRAME_SECONDS, MediaState, Sink, Source, StateCallback, ToneCallback
from .dtmf import check_tones
from .handset import Canceller, Handset, Recorder, Volume
from .link import Link, open_link
from .options import OpusOptions
from .playout import Playout
from .quality import Counts
from .rtcp import Reports, goodbye
from .rtp import RtpPacket
from .streams import ReceiveStream, SendStream

CONNECT_SECONDS = 15.0
DEAD_AFTER_SECONDS = 15.0
REPORT_FRAMES = 100
_FIRST_REPORT_FRAME = 25
_MAX_CATCH_UP_FRAMES = 10
_Value = TypeVar("_Value")


def _ignore(_value: object) -> None:
    return None


def _tell(callback: Callable[[_Value], None], value: _Value) -> None:
    """Call a program's callback: what it raises is logged, and does not end the connection that called it."""
    try:
        callback(value)
    except Exception:
        log.exception("media.callback_failed")


class WebRtcSession:
    """One call's sound. See :class:`.base.MediaSession` for what each method promises.

    Args:
        source: Where our sound comes from; closed with the session.
        sink: Where the far end's sound goes; closed with the session.
        addresses: Local addresses to send and receive on, for example ``("127.0.0.1",)``; None: all of this
        machine's,
            and loopback where there is no other.
        stun_servers: ``host:port``; the first is asked for our public address, for at most a second.
        on_state: Called with each new state, from the event loop.
        on_tone: Called once for each key that the far end presses.
        connect_timeout: Seconds until a connection that does not come up has ``failed``.
        dead_after: Seconds without any packet of the far end until the connection has ``failed``; it may take
            half as long again, as consent is asked for at intervals.
        opus: How to speak Opus.
        volume: How loud to say and to play; the caller may change it at any time.
        canceller: Takes the loudspeaker's sound out of the microphone's.
    """

    def __init__(
        self,
        source: Source,
        sink: Sink,
        *,
        addresses: Sequence[str] | None = None,
        stun_servers: Sequence[str] = (),
        on_state: StateCallback | None = None,
        on_tone: ToneCallback | None = None,
        connect_timeout: float = CONNECT_SECONDS,
        dead_after: float = DEAD_AFTER_SECONDS,
        opus: OpusOptions | None = None,
        volume: Volume | None = None,
        canceller: Canceller | None = None,
    ) -> None:
        self.handset = Handset(source, sink, volume=volume, canceller=canceller)
        """Mute, hold, volume, levels, recording."""
        self._opus = opus
        self._addresses, self._stun_servers = addresses, stun_servers
        self._on_state: Callable[[MediaState], None] = on_state or _ignore
        self._on_tone: Callable[[str], None] = on_tone or _ignore
        self._connect_timeout, self._dead_after = connect_timeout, dead_after
        self._state: MediaState = "new"
        self._link: Link | None = None
        self._offered: Link | None = None
        self._send: SendStream | None = None
        self._receive: ReceiveStream | None = None
        self._playout: Playout | None = None
        self._clock: asyncio.Task[None] | None = None
        self._ended = False
        self._is_released = False
        self._closing: asyncio.Task[None] | None = None
        self._far_end_holds = False
        self._local_sdp: str | None = None
        self._offer_like: sdp.RemoteAudio | None = None  # what our newest offer continues
        self._session_id, self._version = secrets.randbits(62), 0
        self._ssrc = secrets.randbits(32)
        self._cname = secrets.token_hex(8)
        self._reports, self._before = Reports(self._cname), Counts()
        # Unix time that is never set back: reports measure the round trip with it.
        self._wall_offset = wall() - monotonic()
        self._tones_sent = asyncio.Event()

    @property
    def state(self) -> MediaState:
        """Where the connection stands."""
        return self._state

    @property
    def local_sdp(self) -> str | None:
        """Our newest description."""
        return self._local_sdp

    @property
    def counts(self) -> Counts:
        """Counters of the whole call, over all its connections."""
        send, receive, before = self._send, self._receive, self._before
        if send is None or receive is None:
            return before
        return self._reports.add_up(before, send, receive)

    async def offer(self, like: str = "") -> str:
        """Return an offer with all candidates."""
        self._check_open()
        before = sdp.parse(like) if like else None
        before_this, self._offered = self._offered, None
        if before_this is not None:
            await before_this.close()
        self._offered = await self._new_link(offering=True)
        self._offer_like = before
        return self._describe(self._offered)

    async def answer(self, offer: str) -> str:
        """Take the far end's offer and return the answer."""
        self._check_open()
        remote = sdp.parse(offer)
        link = self._link
        if link is None or link.remote is None or link.remote.ufrag != remote.ufrag:
            link = await self._new_link(offering=False)
            link.setup = "passive" if remote.setup == "active" else "active"
            text = self._describe(link, remote)
            await self._use(link, remote, offered=False)
            return text
        self._far_end_holds = remote.direction in ("sendonly", "inactive")
        if self._send is not None and self._receive is not None:
            self._send.speak(remote.audio_codec(), remote.event_codec())
            self._receive.understand(remote.codecs)
        return self._describe(link, remote)

    async def apply(self, answer: str) -> None:
        """Take the far end's answer to our newest offer."""
        self._check_open()
        remote = sdp.parse(answer)
        if self._offered is None:
            self._far_end_holds = remote.direction == "inactive" or (
                remote.direction == "sendonly" and not self.handset.held
            )
            if self._send is not None:
                self._send.speak(remote.audio_codec(), remote.event_codec())
            return
        if remote.setup == "actpass":
            raise SipError("the SDP answer leaves the DTLS role open (a=setup:actpass)")
        link, self._offered = self._offered, None
        await self._use(link, remote, offered=True)

    def mute(self, on: bool) -> None:
        """Send silence instead of the source while ``on``."""
        self.handset.muted = on

    def hold(self, on: bool) -> None:
        """While ``on``, no sound passes in either direction."""
        self.handset.held = on

    def record(self, recorder: Recorder | None) -> None:
        """Write both sides of the call into ``recorder`` from now on; None ends that."""
        self._check_open()
        self.handset.record(recorder)

    async def dtmf(self, tones: str) -> None:
        """Send keys; returns when the last one is out."""
        check_tones(tones)
        send = self._send
        if send is None or self._state != "connected":
            raise MediaError("no keys can be sent: the call's sound is not connected")
        if send.event_rate_hz is None:
            raise MediaError("the far end takes no telephone keys (no telephone-event in its SDP)")
        send.dtmf.enqueue(tones, send.event_rate_hz)
        while send.dtmf.is_sending:
            if self._send is not send or self._state != "connected":
                if not send.dtmf.is_waiting:
                    return  # a far end may act on a key as soon as it hears it, and hang up
                raise MediaError(
                    "not all keys were sent: the call's sound has ended or is on another connection"
                )
            self._tones_sent.clear()
            await self._tones_sent.wait()

    async def close(self) -> None:
        """Stop, say goodbye and free everything; whoever gives up waiting for that does not stop it."""
        if self._closing is None:
            self._set_state("closed")
            self._ended = True
            self._closing = asyncio.create_task(self._close(), name="sound-closing")
        try:
            await asyncio.shield(self._closing)
        finally:
            self._release()  # a microphone stays open in no case

    async def _close(self) -> None:
        try:
            await self._stop_clock()
            link, offered, self._link, self._offered = self._link, self._offered, None, None
            if link is not None and self._send is not None:
                link.post(goodbye(self._send.ssrc))
            await asyncio.gather(*(one.close() for one in (link, offered) if one is not None))
        finally:
            self._release()

    def _release(self) -> None:
        if self._is_released:
            return
        self._is_released = True
        self._tones_sent.set()
        self.handset.close()
        # The streams know us: what C code holds for them shall not wait for the garbage collector.
        self._before, self._send, self._receive, self._playout = self.counts, None, None, None

    def _check_open(self) -> None:
        if self._ended:
            raise MediaError("the call's sound is closed; open a new session")

    async def _new_link(self, *, offering: bool) -> Link:
        link = await open_link(
            lambda link: self._link is link,
            offering=offering,
            addresses=self._addresses,
            stun_servers=self._stun_servers,
            dead_after=self._dead_after,
            on_packet=self._packet_received,
            on_report=lambda packet: self._reports.read(packet, self._ssrc, self._now()),
            on_state=self._link_changed,
        )
        await self._check_not_closed_meanwhile(link)
        return link

    def _describe(self, link: Link, remote: sdp.RemoteAudio | None = None) -> str:
        local = link.describe(self._ssrc, self._cname)
        self._version += 1
        if remote is None:
            text = sdp.write_offer(
                local, session_id=self._session_id, version=self._version, like=self._offer_like
            )
        else:
            text = sdp.write_answer(
                local,
                remote,
                session_id=self._session_id,
                version=self._version,
                setup=link.setup,
                held=self.handset.held,
            )
        self._local_sdp = text
        return text

    async def _use(self, link: Link, remote: sdp.RemoteAudio, *, offered: bool) -> None:
        """Make ``link`` the session's connection, in place of an older one."""
        old, self._link = self._link, link
        await self._stop_clock()
        self._before = self.counts
        self._send = SendStream(
            remote.audio_codec(),
            remote.event_codec(),
            ssrc=self._ssrc,
            sequence=secrets.randbits(15),
            timestamp=secrets.randbits(31),
            opus=self._opus,
        )
        codecs = remote.codecs + (sdp.offered(self._offer_like) if offered else ())
        self._receive = ReceiveStream(codecs, lambda tone: _tell(self._on_tone, tone))
        self._playout = Playout(self._receive)
        self._far_end_holds = remote.direction in ("sendonly", "inactive")
        self._set_state("connecting")
        self._tones_sent.set()
        try:
            await link.start(remote, within=self._connect_timeout)
        finally:
            if old is not None:
                await old.close()
        await self._check_not_closed_meanwhile(link)

    async def _check_not_closed_meanwhile(self, link: Link) -> None:
        if self._ended:
            await link.close()
            self._check_open()

    def _set_state(self, state: MediaState) -> None:
        if state != self._state and not self._ended:
            self._state = state
            _tell(self._on_state, state)

    def _link_changed(self, state: str) -> None:
        if state == "connected" and self._clock is None:
            self._clock = asyncio.create_task(self._run_clock(), name="media-clock")
            self._clock.add_done_callback(self._clock_ended)
            self._set_state("connected")
        elif state == "failed":
            self._set_state("failed")
            self._tones_sent.set()
        elif state == "gone":
            self._set_state("closed")
            self._tones_sent.set()

    def _clock_ended(self, clock: asyncio.Task[None]) -> None:
        if not clock.cancelled() and (exc := clock.exception()) is not None:
            self._broke(exc)

    def _broke(self, exc: BaseException) -> None:
        """Fail: a codec that fails must not leave a call that looks alive and is silent."""
        log.error("media.clock_failed", exc_info=exc)
        self._set_state("failed")

    def _packet_received(self, data: bytes) -> None:
        packet = RtpPacket.decode(data)
        if packet is None or self._receive is None:
            return
        now = monotonic()
        self._receive.receive(packet, now)
        if self._state != "connected" or self._playout is None:
            return
        try:
            self._hear(self._playout.arrived(now))
        except Exception as exc:  # as in the clock
            self._broke(exc)

    async def _stop_clock(self) -> None:
        clock, self._clock = self._clock, None
        if clock is not None:
            clock.cancel()
            await asyncio.gather(clock, return_exceptions=True)

    async def _run_clock(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        frames = 0
        while self._state == "connected":
            due += FRAME_SECONDS
            behind = int((loop.time() - due) / FRAME_SECONDS)
            if behind > _MAX_CATCH_UP_FRAMES and self._send is not None:
                # The process was stopped or starved: what was not said in time stays unsaid.
                due += behind * FRAME_SECONDS
                self._send.skip(behind)
                self.handset.skip(behind)
            await asyncio.sleep(max(due - loop.time(), 0))
            self._step()
            frames += 1
            if frames % REPORT_FRAMES == _FIRST_REPORT_FRAME:
                self._report()

    def _step(self) -> None:
        link, send, playout = self._link, self._send, self._playout
        if link is None or send is None or playout is None:
            return
        frame = self.handset.say()
        if self._far_end_holds and not send.dtmf.is_sending:
            send.skip(1)
        else:
            packet = send.step(frame)
            if packet is not None:
                link.post(packet)
        if not send.dtmf.is_sending:
            self._tones_sent.set()
        self._hear(playout.step(monotonic()))
        self.handset.note()

    def _hear(self, frames: list[bytes]) -> None:
        for frame in frames:
            self.handset.hear(frame)

    def _report(self) -> None:
        if self._link is None or self._send is None or self._receive is None:
            return
        if self._reports.loss_there is not None:
            self._send.expect_loss(self._reports.loss_there)
        self._link.post(self._reports.write(self._send, self._receive.report, self._now()))

    def _now(self) -> float:
        return monotonic() + self._wall_offset
