"""A phone's leg as far as its sound goes: where that ends, and how it is moved."""

import asyncio
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from agents.sip.statuses import REASONS
from shared.errors import CallFailed

from .media.board import Board
from .settings import SimulatorSettings
from .sounds import Anchored, Direct, Sound

if TYPE_CHECKING:
    from agents.media.base import MediaState

    from .media.room import Party


class SoundingLeg(ABC):
    """The sound of a phone's leg. :class:`~agents.pbx.phone_leg.PhoneLeg` adds the signalling."""

    def __init__(self, board: Board, settings: SimulatorSettings) -> None:
        self.sound: Sound | None = None
        self.offered = ""
        """What a caller has offered; empty if it wants our offer."""

        self.asks = settings.ask_for_offers
        """Whether it is called without an offer, and its phone makes one."""

        self._board, self._settings = board, settings
        self._asked_for: asyncio.Future[tuple[int, str]] | None = None

    @property
    def party(self) -> "Party | None":
        """Its line; None where the sound does not pass the service."""
        return self.sound.line if isinstance(self.sound, Anchored) else None

    @property
    def media_state(self) -> "MediaState":
        """Whether its line is connected."""
        return self.sound.line.state if isinstance(self.sound, Anchored) else "new"

    def sound_here(self) -> Anchored:
        """Return its sound at the service, made now if there is none: of a leg that is not connected yet."""
        if not isinstance(self.sound, Anchored):
            self.close_sound()
            self.sound = self._new_sound()
        return self.sound

    def sound_there(self, partner: "SoundingLeg | None" = None) -> None:
        """Have its sound go to ``partner``'s phone, or whichever phone will answer."""
        self.close_sound()
        self.sound = direct = Direct(self.offered, self.reoffer)
        if partner is not None and isinstance(partner.sound, Direct):
            direct.partner = partner.sound

    @property
    def is_direct(self) -> bool:
        """Whether its sound passes the service by."""
        return isinstance(self.sound, Direct)

    def joined(self, far: object) -> bool:
        """Join its sound with that of ``far``, if both pass the service by; return whether they do."""
        if not isinstance(self.sound, Direct) or not isinstance(far, SoundingLeg):
            return False
        if not isinstance(far.sound, Direct):
            return False
        self.sound.join(far.sound)
        return True

    async def anchor(self) -> None:
        """Have its sound pass the service from now on, if it does not yet.

        Raises:
            CallFailed: The phone does not want that.
            SharedlineError: What it answers cannot be used.
        """
        if isinstance(self.sound, Anchored):
            return
        sound = self._new_sound()
        try:
            await sound.line.meet(await self.ask(await sound.line.offer()))
        except BaseException:
            sound.close()
            raise
        self.close_sound()
        self.sound = sound

    def close_sound(self) -> None:
        """End its sound; harmless twice."""
        sound, self.sound = self.sound, None
        if sound is not None:
            sound.close()

    @abstractmethod
    def reoffer(self, sdp: str) -> None:
        """Send a re-INVITE; its answer comes to :meth:`reoffer_done`."""

    @abstractmethod
    def acknowledge(self, sdp: str) -> None:
        """Send the ACK with our answer to what the phone has offered in its 200."""

    @abstractmethod
    def _sound_changed(self) -> None:
        """Take that its line has connected, failed or closed."""

    @abstractmethod
    def _key_pressed(self, key: str) -> None:
        """Take a key of the phone's."""

    def reoffer_done(self, status: int, sdp: str) -> None:
        """Take the phone's answer to :meth:`reoffer`."""
        asked, self._asked_for = self._asked_for, None
        if asked is None:
            if self.sound is not None:
                self.sound.reanswered(status, sdp)
        elif not asked.done():
            asked.set_result((status, sdp))

    async def ask(self, offer: str) -> str:
        """Offer the phone another sound, and return its answer.

        Raises:
            CallFailed: It does not agree, or cannot be reached.
        """
        if self._asked_for is not None:
            raise CallFailed(491, "Request Pending")
        asked = self._asked_for = asyncio.get_running_loop().create_future()
        self.reoffer(offer)
        status: int
        sdp: str
        status, sdp = await asked
        if status >= 300:
            raise CallFailed(status, REASONS.get(status, "Failed"))
        return sdp

    def _new_sound(self) -> Anchored:
        return Anchored(
            self._board,
            self._settings,
            changed=lambda _state: self._sound_changed(),
            pressed=self._key_pressed,
            acknowledge=self.acknowledge,
            asks=self.asks,
        )
