"""One DTLS-SRTP connection over ICE, on aiortc's and aioice's transports, without its peer connection.

aiortc's RTCPeerConnection brings a jitter buffer that keeps every delay it ever saw, a thread for each call,
an SDP parser that forgets telephone-event, no loopback and no sha-1. So a link takes the layers below and
overrides, in subclasses, what a phone needs otherwise. Everything here concerns one link; nothing global is
touched.
"""

import asyncio
import contextlib
import hmac
from collections.abc import Callable, Sequence

from aiortc import RTCCertificate, RTCIceTransport
from aiortc.rtcdtlstransport import (
    RTCDtlsFingerprint,
    RTCDtlsParameters,
    RTCDtlsTransport,
    State,
)
from aiortc.rtcicetransport import RTCIceParameters
from aiortc.sdp import candidate_to_sdp
from cryptography.hazmat.primitives import hashes

from shared.errors import MediaError
from shared.log import log

from .ice import IceGatherer, usable_candidates
from .sdp import LocalAudio, RemoteAudio

PacketCallback = Callable[[bytes], None]
LinkCallback = Callable[[str], None]


class _Dtls(RTCDtlsTransport):
    """DTLS that accepts sha-1 fingerprints (the RingCentral edge sends them) and hands over plain packets."""

    def __init__(
        self,
        ice: RTCIceTransport,
        certificate: RTCCertificate,
        on_packet: PacketCallback,
        on_report: PacketCallback,
    ) -> None:
        super().__init__(ice, [certificate])
        self._on_packet, self._on_report = on_packet, on_report

    def let_go(self) -> None:
        """Forget whom packets go to, and what was needed for the connection."""
        self._on_packet = self._on_report = _ignore
        self._task = None
        if self._ssl is not None:
            # pyOpenSSL's helper and the callback in it know each other; its connection keeps the callback.
            with contextlib.suppress(AttributeError):  # elsewhere in another version: the collector will come
                self._ssl.get_context()._verify_helper.callback = None  # type: ignore[union-attr]

    def _validate_peer_identity(self, remoteParameters: RTCDtlsParameters) -> None:  # noqa: N803
        assert self._ssl is not None
        certificate = self._ssl.get_peer_certificate(as_cryptography=True)
        known = [given for given in remoteParameters.fingerprints if given.algorithm in _HASHES]
        # The strongest hash decides (RFC 8122 §5): who adds a weaker one does not weaken the check.
        best = max(known, key=lambda given: _HASHES[given.algorithm].digest_size, default=None)
        digest = certificate.fingerprint(_HASHES[best.algorithm]).hex() if best and certificate else ""
        if not best or not _is_same(best.value.replace(":", "").lower(), digest):
            log.warning("media.fingerprint_mismatched", algorithms=[given.algorithm for given in known])
            self._set_state(State.FAILED)

    async def _handle_rtp_data(self, data: bytes, arrival_time_ms: int) -> None:
        self._on_packet(data)

    async def _handle_rtcp_data(self, data: bytes) -> None:
        self._on_report(data)


_HASHES: dict[str, hashes.HashAlgorithm] = {
    "sha-1": hashes.SHA1(),  # noqa: S303 - all that the RingCentral edge sends
    "sha-256": hashes.SHA256(),
    "sha-384": hashes.SHA384(),
    "sha-512": hashes.SHA512(),
}


def _is_same(given: str, digest: str) -> bool:
    return hmac.compare_digest(given.encode(), digest.encode())


def _ignore(_news: object) -> None:
    return None


async def open_link(
    is_current: "Callable[[Link], bool]",
    *,
    offering: bool,
    addresses: Sequence[str] | None,
    stun_servers: Sequence[str] = (),
    dead_after: float,
    on_packet: PacketCallback,
    on_report: PacketCallback,
    on_state: LinkCallback,
) -> "Link":
    """Return a link whose sockets are open. What it tells counts as long as ``is_current`` says so of it.

    Raises:
        MediaError: No socket can be opened.
    """
    link: Link

    def packet(data: bytes) -> None:
        if is_current(link):
            on_packet(data)

    def report(data: bytes) -> None:
        if is_current(link):
            on_report(data)

    def state(state: str) -> None:
        if is_current(link):
            on_state(state)

    link = Link(
        offering=offering,
        addresses=addresses,
        stun_servers=stun_servers,
        dead_after=dead_after,
        on_packet=packet,
        on_report=report,
        on_state=state,
    )
    try:
        await link.gather()
    except BaseException:
        await link.close()
        raise
    return link


class Link:
    """ICE and DTLS of one offer-answer exchange; SRTP packets in and out. Close it in any case."""

    def __init__(
        self,
        *,
        offering: bool,
        addresses: Sequence[str] | None,
        stun_servers: Sequence[str],
        dead_after: float,
        on_packet: PacketCallback,
        on_report: PacketCallback,
        on_state: LinkCallback,
    ) -> None:
        self._gatherer = IceGatherer(addresses, stun_servers, dead_after)
        self._connection = self._gatherer.connection
        # The offerer controls (RFC 8445 §6.1.1), from before the first check of the far end can arrive.
        self._connection.ice_controlling = offering
        self._offering = offering
        self._ice = RTCIceTransport(self._gatherer)
        self._dtls = _Dtls(self._ice, RTCCertificate.generateCertificate(), on_packet, on_report)
        self._on_state = on_state
        self._task: asyncio.Task[None] | None = None
        self._closed = False
        self.remote: RemoteAudio | None = None
        self.setup = "actpass"  # our DTLS role in SDP terms, once it is known

    @property
    def fingerprint(self) -> str:
        """The sha-256 fingerprint of our certificate."""
        given = self._dtls.getLocalParameters().fingerprints
        return next(item.value for item in given if item.algorithm == "sha-256")

    @property
    def credentials(self) -> tuple[str, str]:
        """Our ICE user fragment and password."""
        return self._connection.local_username, self._connection.local_password

    @property
    def candidates(self) -> tuple[str, ...]:
        """Our candidates as SDP values, best first."""
        found = sorted(self._gatherer.getLocalCandidates(), key=lambda candidate: -candidate.priority)
        return tuple([candidate_to_sdp(candidate) for candidate in found])

    @property
    def address(self) -> tuple[str, int]:
        """Where the default candidate listens."""
        found = max(self._gatherer.getLocalCandidates(), key=lambda candidate: candidate.priority)
        return found.ip, found.port

    def describe(self, ssrc: int, cname: str) -> LocalAudio:
        """Return what a description of ours says of it."""
        ufrag, password = self.credentials
        host, port = self.address
        return LocalAudio(ufrag, password, self.fingerprint, ssrc, cname, self.candidates, host, port)

    async def gather(self) -> None:
        """Open the sockets; raise :exc:`MediaError` if none can be."""
        await self._gatherer.gather()
        if not self._gatherer.getLocalCandidates():
            raise MediaError("no network address to send sound from; check the addresses set for media")

    async def start(self, remote: RemoteAudio, *, within: float) -> None:
        """Begin to connect in the background, for at most ``within`` seconds."""
        self.remote = remote
        self._connection.ice_controlling = self._offering or remote.ice_lite
        is_server = remote.setup == "active" if self._offering else self.setup == "passive"
        self._dtls._set_role("server" if is_server else "client")
        self.setup = "passive" if is_server else "active"
        await self._add_candidates(remote.candidates)
        self._ice.on("statechange", self._changed)
        self._dtls.on("statechange", self._changed)
        self._task = asyncio.create_task(self._connect(remote, within), name="media-connect")

    def post(self, packet: bytes) -> bool:
        """Protect and send an RTP or RTCP packet; False when there is no connection any more."""
        # A coroutine of aiortc's, in which nothing ever waits: no task, and no turn of the event loop.
        sending = self._dtls._send_rtp(packet)
        try:
            sending.send(None)
        except StopIteration:
            return True
        except ConnectionError:
            return False
        sending.close()
        return False

    async def close(self) -> None:
        """Say goodbye (DTLS close_notify) and free the sockets. Returns when nothing of it runs any more."""
        if self._closed:
            return
        self._closed = True
        pump = self._dtls._task
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            pump = pump or self._dtls._task
        await self._dtls.stop()
        await self._ice.stop()
        if pump is not None:
            await asyncio.gather(pump, return_exceptions=True)
        for emitter in (self._dtls, self._ice, self._gatherer):
            emitter.remove_all_listeners()
        self._let_go()

    def _let_go(self) -> None:
        """Part the circles that we are in: what C code holds shall not wait for the garbage collector."""
        self._on_state, self._task = _ignore, None
        self._dtls.let_go()
        self._connection.let_go()

    async def _add_candidates(self, candidates: Sequence[str]) -> None:
        # The list is never declared complete: who sent no candidate at all is found by his own checks.
        for candidate in usable_candidates(candidates):
            await self._ice.addRemoteCandidate(candidate)

    async def _connect(self, remote: RemoteAudio, within: float) -> None:
        given = [RTCDtlsFingerprint(algorithm=name, value=value) for name, value in remote.fingerprints]
        try:
            async with asyncio.timeout(within):
                await self._ice.start(RTCIceParameters(remote.ufrag, remote.password, remote.ice_lite))
                if self._ice.state == "completed":
                    await self._dtls.start(RTCDtlsParameters(fingerprints=given))
        except TimeoutError:
            log.warning("media.connect_timed_out", seconds=within, ice=self._ice.state, dtls=self._dtls.state)
        except Exception:  # what a far end can cause must end in "failed", not in a task that nobody asks
            log.exception("media.connect_failed")
        if self._dtls.state != "connected" and not self._closed:
            self._on_state("failed")

    def _changed(self) -> None:
        if self._closed:
            return
        if self._dtls.state == "connected" and self._ice.state == "completed":
            self._on_state("connected")
        elif self._ice.state == "failed" or self._connection.is_dead:
            self._on_state("failed")
        elif self._dtls.state == "closed":
            self._on_state("gone")
