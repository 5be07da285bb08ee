"""The sound of one window as a program sees it: ``phone.sound``. Local to its process."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Device:
    """One sound device as the system names it; a default is what ``device`` without a name opens."""

    name: str
    inputs: int
    outputs: int
    is_default_input: bool
    is_default_output: bool


@dataclass(frozen=True, slots=True)
class Levels:
    """How loud it is at this moment, effective, 0 to 1 of full scale."""

    microphone: float
    loudspeaker: float


class Loudness(Protocol):
    """How loud calls are here: 1 as they come, 0 silent, at most 4. Set it at any time, also in a call."""

    microphone: float
    loudspeaker: float


class Recording(Protocol):
    """A WAV file that a call is recorded to."""

    @property
    def path(self) -> str:
        """The file."""

    @property
    def seconds(self) -> float:
        """How much is in it."""

    @property
    def problem(self) -> str:
        """Why it ended before its time (a full disk, a slow one, its longest time); "" if it did not."""

    async def stop(self) -> None:
        """End it; return when the file is whole. Harmless twice."""


class Sound(Protocol):
    """Devices, volume, levels, ringing and recordings of this window."""

    async def devices(self) -> list[Device]:
        """Return the devices that there are at this moment.

        Raises:
            MediaError: There is no PortAudio on this machine; the text says what to install.
        """

    async def use(self, *, microphone: str | None = None, loudspeaker: str | None = None) -> None:
        """Change devices: for calls to come, and in the middle of those that have their sound here.

        Args:
            microphone: ``device``, ``device:PART OF A NAME``, ``wav:FILE``, ``tone:HZ`` …; None: leave it.
            loudspeaker: ``device[:NAME]``, ``wav:FILE`` or ``none``; None: leave it.

        Raises:
            ConfigError, MediaError: It cannot be used, and all is as before; the text lists what there is.
        """

    @property
    def microphone(self) -> str:
        """What the next call will send."""

    @property
    def loudspeaker(self) -> str:
        """What the next call will be heard with."""

    @property
    def volume(self) -> Loudness:
        """How loud calls are here; set its ``microphone`` and ``loudspeaker``."""

    @property
    def level(self) -> Levels:
        """How loud the calls here are at this moment; all zero without one."""

    async def ring_on(self, loudspeaker: str | None) -> None:
        """Ring on this device, which need not be the calls', while an inbound call rings; None: never.

        Raises:
            ConfigError, MediaError: It cannot be used, and all is as before.
        """

    def record(
        self,
        call_id: str,
        path: str | os.PathLike[str],
        *,
        stereo: bool = True,
        longest: float = 4 * 3600.0,
        on_end: Callable[[], object] | None = None,
    ) -> Recording:
        """Record a call that has its sound here: we on the left, the far end on the right.

        Args:
            call_id: The call.
            path: A WAV file, 48 kHz 16 bit; overwritten, and readable by its owner only.
            stereo: False: both sides mixed into one.
            longest: Seconds after which it ends by itself.
            on_end: Called when it ended without being asked to, from another thread.

        Raises:
            MediaError: The call's sound is not here, it is being recorded already, or the file cannot be
            written.
        """
