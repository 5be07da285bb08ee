"""[core] Who hears whom: the parties of a call, a conference or a supervised call, by their roles.

Everybody who talks is heard by all others, but nobody hears who is on hold from there. Whoever is left with
nobody but such hears music. A supervisor hears all; heard is one who whispers by the agent alone, one who
barges in by all, and one who monitors by nobody.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

from .tones import music
from .voices import Voice

Role = Literal["talks", "monitors", "whispers", "barges"]


class Party(Voice, Protocol):
    """One end, with a mouth and ears."""

    def hear(self, voices: tuple[Voice, ...]) -> None:
        """Hear these from now on; none is silence."""

    def press(self, key: str, by: Voice) -> None:
        """Take a key that ``by``, who is heard, has pressed."""


@dataclass(slots=True)
class _Seat:
    role: Role
    agent: Party | None
    holds: bool = False

    def is_heard_by(self, party: Party) -> bool:
        if self.holds or self.role == "monitors":
            return False
        return self.role != "whispers" or self.agent is party

    @property
    def talks(self) -> bool:
        return self.role in ("talks", "barges")


class Room:
    """The parties of one conversation. ``has_music``: who is held hears it; not so in a conference."""

    def __init__(self, *, has_music: bool = True) -> None:
        self._has_music = has_music
        self._seats: dict[Party, _Seat] = {}
        self._alone: Voice | None = None

    def __len__(self) -> int:
        return len(self._seats)

    def __contains__(self, party: object) -> bool:
        return party in self._seats

    @property
    def alone(self) -> Voice | None:
        """What somebody hears while nobody else is here: ringback, music, or nothing."""
        return self._alone

    @alone.setter
    def alone(self, voice: Voice | None) -> None:
        self._alone = voice
        self.update()

    def add(self, party: Party, role: Role = "talks", *, agent: Party | None = None) -> None:
        """Let a party in, or change its role. ``agent``: who hears a whisper."""
        holds = party in self._seats and self._seats[party].holds
        self._seats[party] = _Seat(role, agent, holds)
        self.update()

    def remove(self, party: Party) -> None:
        """Let a party go, who hears nobody then; harmless twice."""
        if self._seats.pop(party, None) is not None:
            party.hear(())
            self.update()

    def hold(self, party: Party, on: bool) -> None:
        """Take that a party holds the others, or is back."""
        if party in self._seats:
            self._seats[party].holds = on
            self.update()

    def clear(self) -> None:
        """Let all go."""
        for party in list(self._seats):
            self.remove(party)

    def pressed(self, by: Party, key: str) -> None:
        """Pass a key on to all who hear ``by``."""
        seat = self._seats.get(by)
        if seat is None:
            return
        for party in [other for other in self._seats if other is not by and seat.is_heard_by(other)]:
            party.press(key, by)  # who may let somebody go, or in

    def speakers(self) -> Iterator[Voice]:
        """Return whom a recording has: all who talk and do not hold."""
        return (party for party, seat in self._seats.items() if seat.talks and not seat.holds)

    def heard_by(self, party: Party) -> tuple[Voice, ...]:
        """Return whom a party hears."""
        others = [(other, seat) for other, seat in self._seats.items() if other is not party]
        talkers = [seat for _other, seat in others if seat.talks]
        voices: tuple[Voice, ...] = tuple([other for other, seat in others if seat.is_heard_by(party)])
        if not talkers and self._alone is not None:
            return (self._alone, *voices)
        if talkers and self._has_music and all(seat.holds for seat in talkers):
            return (music(), *voices)
        return voices

    def update(self) -> None:
        """Let everybody hear whom they are to hear."""
        for party in self._seats:
            party.hear(self.heard_by(party))
