"""Where the sound of a phone's leg has its other end.

At the service (:class:`Anchored`), or at the phone of the other leg (:class:`Direct`, for who asks for that).

A leg hands its phone's descriptions to its sound, and is given what to send; ``then`` is called with a status
and a description, at once or a moment later.
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from agents.media.loading import preload
from shared.errors import MediaError, SharedlineError, SipError
from shared.log import log

from .media.board import Board
from .reoffers import answer_for, fragment

if TYPE_CHECKING:
    from agents.media.base import MediaState

    from .settings import SimulatorSettings


Then = Callable[[int, str], None]


class Sound(Protocol):
    """What a leg asks of its sound."""

    def early(self, offer: str, then: Then) -> None:
        """Describe what the caller may hear before the answer; ``""`` if nothing."""

    def final(self, offer: str, then: Then) -> None:
        """Describe what the caller gets with the answer; an offer, if it made none (``""``)."""

    def offer(self, then: Then) -> None:
        """Describe what a called phone is offered."""

    def met(self, sdp: str, failed: Callable[[str], None]) -> None:
        """Take the phone's answer to our offer; ``failed`` is told why it cannot be used."""

    def reoffered(self, sdp: str, then: Then) -> None:
        """Answer the phone's wish to change the sound."""

    def reanswered(self, status: int, sdp: str) -> None:
        """Take the phone's answer to a change that was asked for by :meth:`Direct.reoffered`."""

    def close(self) -> None:
        """End it; harmless twice."""


class Anchored:
    """Sound that ends at the service.

    Args:
        changed: Told each state of the connection. pressed: Told each key of the phone. asks: Wants the
        phone's offer, where it would make one to a called phone; ``acknowledge`` takes the answer,
            which is empty if there can be none.
    """

    def __init__(
        self,
        board: Board,
        settings: "SimulatorSettings",
        *,
        changed: "Callable[[MediaState], None]",
        pressed: Callable[[str], None],
        acknowledge: Callable[[str], None],
        asks: bool = False,
    ) -> None:
        preload()  # large: not before there is a call
        from .media.line import Line

        self.line: Line = Line(board, addresses=settings.media_addresses, dead_after=settings.flow_grace)
        self.line.on_state, self.line.on_key = changed, pressed
        self._board, self._acknowledge, self._asks = board, acknowledge, asks
        self._first: asyncio.Task[str] | None = None

    def early(self, offer: str, then: Then) -> None:
        """Answer the caller's offer now."""
        if not offer:
            then(200, "")
            return
        self._first = asyncio.create_task(self.line.answer(offer, early=True))
        self._board.spawn(_told(self._first, then))

    def final(self, offer: str, then: Then) -> None:
        """Give the answer of before; make an offer where the caller has made none."""
        first = self._first
        if first is None:
            first = asyncio.create_task(self.line.answer(offer) if offer else self.line.offer())
        self._board.spawn(_told(first, then))

    def offer(self, then: Then) -> None:
        """Offer a new connection, or nothing."""
        if self._asks:
            then(200, "")
            return
        self._board.spawn(_told(asyncio.create_task(self.line.offer()), then))

    def met(self, sdp: str, failed: Callable[[str], None]) -> None:
        """Connect with the phone that has answered."""
        asked, self._asks = self._asks, False
        self._board.spawn(self._take_offer(sdp, failed) if asked else self._meet(sdp, failed))

    def reoffered(self, sdp: str, then: Then) -> None:
        """Follow the phone to another direction, or to another process; without an offer, make one."""
        work = self.line.answer(sdp) if sdp else self.line.offer()
        self._board.spawn(_told(asyncio.create_task(work), then))

    def reanswered(self, status: int, sdp: str) -> None:
        """Do nothing: it asks for no change by itself."""

    def close(self) -> None:
        """Close the line."""
        self._board.spawn(self.line.close())

    async def _take_offer(self, sdp: str, failed: Callable[[str], None]) -> None:
        try:
            answer = await self.line.answer(sdp)
        except SharedlineError as exc:
            self._acknowledge("")
            failed(str(exc))
        else:
            self._acknowledge(answer)

    async def _meet(self, sdp: str, failed: Callable[[str], None]) -> None:
        try:
            await self.line.meet(sdp)
        except SharedlineError as exc:
            failed(str(exc))


async def _told(work: asyncio.Task[str], then: Then) -> None:
    try:
        text = await work
    except SharedlineError as exc:
        log.warning("sound.refused", reason=str(exc))
        then(500 if isinstance(exc, MediaError) else 488, "")
    else:
        then(200, text)


class Direct:
    """Sound that goes to another phone: descriptions are passed on.

    Hold is between a phone and the service all the same: a new description with the ICE user fragment of the
    old one is answered here, and the other phone notices nothing. Another fragment is another place, and is
    passed on.

    Args:
        text: What the phone has said so far.
        ask: Offers the phone another sound.
    """

    def __init__(self, text: str, ask: Callable[[str], None]) -> None:
        self.text = text
        self.partner: Direct | None = None
        self._ask = ask
        self._version = 0  # how often we have spoken for it
        self._asking: Then | None = None

    def join(self, partner: "Direct") -> None:
        """Let two sounds be each other's other end."""
        self.partner, partner.partner = partner, self

    def early(self, offer: str, then: Then) -> None:
        """Nothing is heard before the answer."""
        then(200, "")

    def final(self, offer: str, then: Then) -> None:
        """Give what the other phone has said."""
        then(200, self.partner.text) if self.partner is not None else then(480, "")

    def offer(self, then: Then) -> None:
        """Give what the caller has offered."""
        then(200, self.partner.text) if self.partner is not None else then(480, "")

    def met(self, sdp: str, failed: Callable[[str], None]) -> None:
        """Keep it for the caller."""
        self.text = sdp

    def reoffered(self, sdp: str, then: Then) -> None:
        """Answer a change of direction here; pass a change of place on to the other end."""
        other = self.partner
        if other is None or self._asking is not None or other._asking is not None:
            then(491, "")
            return
        is_same_place, self.text = fragment(self.text) == fragment(sdp), sdp
        if is_same_place:
            then(*other._spoken_for(sdp))
        else:
            other._asking = then
            other._ask(sdp)

    def reanswered(self, status: int, sdp: str) -> None:
        """Hand the answer to who asked."""
        asking, self._asking = self._asking, None
        self.text = sdp or self.text
        if asking is not None:
            asking(status if sdp or status >= 300 else 488, sdp)

    def close(self) -> None:
        """Part from the other end."""
        if self.partner is not None:
            self.partner.partner = None
            self.partner = None

    def _spoken_for(self, offer: str) -> tuple[int, str]:
        try:
            answer = answer_for(self.text, offer, self._version + 1)
        except SipError as exc:
            log.warning("sound.reoffer_refused", reason=exc.reason)
            return 488, ""
        self._version += 1
        return 200, answer
