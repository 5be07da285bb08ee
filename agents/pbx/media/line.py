"""The service's side of one phone's sound: a WebRTC connection that hears whom it is told to hear.

A line outlives its connections, as :class:`agents.media.webrtc.WebRtcSession` does: an offer with new ICE
credentials gives it a new one under the same voices. Unlike a session it has no clock of its own, and passes
the packets of the only line that it hears on as they are, where both speak Opus.
"""

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import replace

from agents.media import sdp
from agents.media.base import MediaState
from agents.media.link import Link, open_link
from agents.media.rtcp import Reports, goodbye
from agents.media.rtp import RtpPacket
from agents.media.streams import ReceiveStream
from agents.sip.sdp import Sdp
from shared.clock import wall
from shared.errors import MediaError

from .board import Board
from .mixing import mix
from .outbound import Outbound
from .voices import Voice

_CONNECT_SECONDS = 15.0
_EARLY_SECONDS = 900.0  # a phone that is told before the answer may not listen before it
_REPORT_TICKS = 100


class Line:
    """One phone's sound at the service. Belongs to the event loop of its board.

    Args:
        board: Whose clock it follows.
        addresses: Local addresses to send and receive on; None: all of this machine's.
        dead_after: Seconds without any packet until a connection has failed.
    """

    def __init__(self, board: Board, *, addresses: tuple[str, ...] | None, dead_after: float) -> None:
        self.state: MediaState = "new"
        self.on_state: Callable[[MediaState], None] = lambda _state: None
        self.on_key: Callable[[str], None] = lambda _key: None
        """Told once a key that the phone presses, whoever hears it."""

        self._board, self._addresses, self._dead_after = board, addresses, dead_after
        self._link: Link | None = None
        self._offered: Link | None = None
        self._out: Outbound | None = None
        self._in: ReceiveStream | None = None
        self._codecs: dict[int, sdp.Codec] = {}
        self._hears: tuple[Voice, ...] = ()
        self._followers: dict[Line, None] = {}
        self._phone_holds = self._ended = False
        self._frame, self._framed_at = b"", -1
        self._description = ""
        self._session_id, self._version = secrets.randbits(62), 0
        self._ssrc, self._cname = secrets.randbits(32), secrets.token_hex(8)
        self._reports = Reports(self._cname)
        self._turn = asyncio.Lock()  # one offer or answer at a time

    # -- descriptions

    async def offer(self) -> str:
        """Return an offer of a new connection.

        Raises:
            MediaError: No socket can be opened, or the line is closed.
        """
        async with self._turn:
            if self._offered is not None:
                await self._offered.close()
            self._offered = await self._new_link(offering=True)
            return self._describe(self._offered)

    async def meet(self, answer: str) -> None:
        """Take the phone's answer to the newest offer; without one open, only its direction counts.

        Raises:
            SipError: It cannot be used.
            MediaError: The line is closed.
        """
        remote = sdp.parse(answer)
        async with self._turn:
            link, self._offered = self._offered, None
            if link is not None:
                await self._use(link, remote, remote.codecs + sdp.OFFERED, _CONNECT_SECONDS)
            else:
                self._phone_holds = remote.direction in ("sendonly", "inactive")

    async def answer(self, offer: str, *, early: bool = False) -> str:
        """Return the answer to the phone's offer: on the same connection if it kept its ICE user fragment.

        ``early``: the phone may not look at it for a while, until the call is answered. It is left to its own
        checks then: ours would be long tired of it.

        Raises:
            SipError: The offer cannot be used.
            MediaError: No socket can be opened, or the line is closed.
        """
        remote = sdp.parse(offer)
        async with self._turn:
            link = self._link
            is_same = link is not None and link.remote is not None and link.remote.ufrag == remote.ufrag
            if link is not None and is_same and self.state not in ("failed", "closed"):
                self._phone_holds = remote.direction in ("sendonly", "inactive")
                return self._describe(link, remote)
            link = await self._new_link(offering=False)
            link.setup = "passive" if remote.setup == "active" else "active"
            text = self._describe(link, remote)
            quiet = replace(remote, candidates=()) if early else remote
            await self._use(link, quiet, remote.codecs, _EARLY_SECONDS if early else _CONNECT_SECONDS)
            return text

    def again(self) -> str:
        """Return an offer of the same connection, for a re-INVITE that changes nothing in the sound."""
        if not self._description:
            raise MediaError("the line has no connection that could be offered again")
        self._version += 1
        text = Sdp.parse(self._description).with_direction("sendrecv").with_version(self._version)
        lines = ("a=setup:actpass" if line.startswith("a=setup:") else line for line in text.lines)
        return Sdp(tuple(lines)).encode()

    async def close(self) -> None:
        """Say goodbye and free everything; harmless twice."""
        if self._ended:
            return
        self._set_state("closed")
        self._ended = True
        self.hear(())
        self._board.remove(self)
        async with self._turn:
            links, self._link, self._offered = (self._link, self._offered), None, None
            if links[0] is not None and self._out is not None:
                links[0].post(goodbye(self._ssrc))
            for link in links:
                if link is not None:
                    await link.close()
        self._followers.clear()
        # Codecs hold memory that the garbage collector does not see: part the circles that they are in.
        self._in = self._out = None
        self.on_state, self.on_key = (lambda _state: None), (lambda _key: None)

    # -- whom it hears, and what it says

    def hear(self, voices: tuple[Voice, ...]) -> None:
        """Let the phone hear these from now on; none is silence."""
        for voice in self._hears:
            if isinstance(voice, Line):
                voice._followers.pop(self, None)
        self._hears = voices if not self._ended else ()
        for voice in self._hears:
            if isinstance(voice, Line):
                voice._followers[self] = None

    def frame(self, tick: int) -> bytes:
        """Return what the phone says at this tick."""
        if self._framed_at != tick and self._in is not None and self.state == "connected":
            self._frame, self._framed_at = self._in.step(), tick
        return self._frame if self._framed_at == tick else b""

    def press(self, key: str, by: Voice) -> None:
        """Let the phone hear a key that ``by`` has pressed, unless its packets come here as they are."""
        out = self._out
        if out is not None and out.event_rate_hz is not None and not self._relays(by):
            out.dtmf.enqueue(key, out.event_rate_hz)

    def step(self, tick: int) -> None:
        """Send the frame of this tick, if it is ours to make."""
        link, out = self._link, self._out
        if link is None or out is None or self.state != "connected":
            return
        if (tick + self._ssrc) % _REPORT_TICKS == 0 and self._in is not None:
            link.post(self._reports.write(out, self._in.report, wall()))
        if not out.dtmf.is_sending and (self._phone_holds or self._is_relaying):
            out.skip(1)
        else:
            packet = out.step(mix(voice.frame(tick) for voice in self._hears))
            if packet is not None:
                link.post(packet)

    @property
    def _is_relaying(self) -> bool:
        """Whether there is nothing to make here: nobody is heard, or one whose packets come as they are."""
        return not self._hears or self._relays(self._hears[0])

    def _relays(self, voice: Voice) -> bool:
        """Return whether the packets of ``voice`` can be passed on as they are."""
        if len(self._hears) != 1 or voice is not self._hears[0] or not isinstance(voice, Line):
            return False
        ours, theirs = self._out, voice._out
        if ours is None or theirs is None or self._phone_holds:
            return False
        return ours.is_opus and theirs.is_opus and ours.event_rate_hz == theirs.event_rate_hz

    def _passed_on(self, voice: "Line", packet: RtpPacket, codec: sdp.Codec) -> None:
        if self._out is None or self._link is None or not self._relays(voice) or self._out.dtmf.is_sending:
            return
        is_key = codec.name.lower() == "telephone-event"
        if (is_key and codec.rate_hz == self._out.event_rate_hz) or codec.name.lower() == "opus":
            relayed = self._out.relay(packet, is_key=is_key)
            if relayed is not None:
                self._link.post(relayed)

    def _received(self, data: bytes) -> None:
        packet = RtpPacket.decode(data)
        codec = self._codecs.get(packet.payload_type) if packet is not None else None
        if packet is None or codec is None or self._in is None:
            return
        self._in.receive(packet, asyncio.get_running_loop().time())
        for follower in tuple(self._followers):
            follower._passed_on(self, packet, codec)

    # -- connections

    async def _new_link(self, *, offering: bool) -> Link:
        self._check_open()
        link = await open_link(
            lambda link: self._link is link,
            offering=offering,
            addresses=self._addresses,
            dead_after=self._dead_after,
            on_packet=self._received,
            on_report=lambda data: self._reports.read(data, self._ssrc, wall()),
            on_state=self._link_changed,
        )
        if self._ended:
            await link.close()
            self._check_open()
        return link

    async def _use(
        self, link: Link, remote: sdp.RemoteAudio, codecs: tuple[sdp.Codec, ...], within: float
    ) -> None:
        try:
            out = Outbound(remote, self._ssrc)
        except BaseException:
            await link.close()
            raise
        old, self._link, self._out = self._link, link, out
        self._codecs = {codec.payload_type: codec for codec in codecs}
        self._in = ReceiveStream(codecs, self._pressed)
        self._phone_holds = remote.direction in ("sendonly", "inactive")
        self._set_state("connecting")
        await link.start(remote, within=within)
        if old is not None:
            await old.close()

    def _describe(self, link: Link, remote: sdp.RemoteAudio | None = None) -> str:
        local = link.describe(self._ssrc, self._cname)
        self._version += 1
        if remote is None:
            text = sdp.write_offer(local, session_id=self._session_id, version=self._version)
        else:
            text = sdp.write_answer(
                local, remote, session_id=self._session_id, version=self._version, setup=link.setup
            )
        self._description = text
        return text

    def _link_changed(self, state: str) -> None:
        if state == "connected":
            self._board.add(self)
            self._set_state("connected")
        else:
            self._set_state("closed" if state == "gone" else "failed")

    def _set_state(self, state: MediaState) -> None:
        if state != self.state and not self._ended:
            self.state = state
            if state != "connected":
                self._board.remove(self)
            self.on_state(state)

    def _pressed(self, key: str) -> None:
        self.on_key(key)

    def _check_open(self) -> None:
        if self._ended:
            raise MediaError("the line is closed")
