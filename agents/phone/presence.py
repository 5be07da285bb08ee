"""[core] Which processes are in the group, and which of them can host sound. Times are seconds."""

import msgspec

from shared.messages import Window

#: More processes than this are not a group, but somebody's mistake.
_LIMIT = 1_000


class Presence:
    """Windows by instance id: an instance is here while its window or its media host is heard.

    The host is on a thread of its own, so a window that only blocks is still here.
    """

    def __init__(self, seed: tuple[Window, ...], *, now: float, presence_time: float) -> None:
        self._windows = {window.instance: window for window in seed}
        self._heard = {window.instance: now for window in seed}
        self._hosts: set[str] = set()
        self._presence_time = presence_time

    def has_room(self, instance: str) -> bool:
        """Return whether ``instance`` is here already, or can still come."""
        return instance in self._heard or len(self._heard) < _LIMIT

    def heard(self, window: Window, now: float) -> bool:
        """Note that a window is here; return whether that is news."""
        is_news = self._windows.get(window.instance) != window
        self._windows[window.instance], self._heard[window.instance] = window, now
        return is_news

    def host_attached(self, instance: str, now: float) -> bool:
        """Note that ``instance`` can be given media commands; return whether that is news."""
        is_news = instance not in self._hosts
        self._heard[instance] = now
        self._hosts.add(instance)
        return is_news

    def has_sound(self, instance: str) -> bool:
        """Return whether a call's sound can be at ``instance``, now or once its host has attached."""
        window = self._windows.get(instance)
        return instance in self._hosts or (window is not None and window.media)

    def is_here(self, instance: str) -> bool:
        """Return whether a window is in the group."""
        return instance in self._windows

    def with_sound(self) -> list[str]:
        """Return the instances at which a call's sound can be, in the order of joining."""
        return [instance for instance in self._windows if self.has_sound(instance)]

    def is_attached(self, instance: str) -> bool:
        """Return whether the media host of ``instance`` takes commands now."""
        return instance in self._hosts

    def gone(self, instance: str) -> bool:
        """Note that a process has gone; return whether it was here."""
        self._hosts.discard(instance)
        self._heard.pop(instance, None)
        return self._windows.pop(instance, None) is not None

    def silent(self, now: float) -> list[str]:
        """Return the windows that were not heard for too long."""
        return [instance for instance, at in self._heard.items() if now >= at + self._presence_time]

    def next_deadline(self) -> float | None:
        """Return when the first window is silent for too long, if nobody is heard until then."""
        return min((at + self._presence_time for at in self._heard.values()), default=None)

    def name(self, instance: str) -> str:
        """Return the name people gave a window."""
        window = self._windows.get(instance)
        return window.name if window else instance

    def windows(self) -> tuple[Window, ...]:
        """Return all windows, in the order of joining; ``media`` says who can host sound at this moment."""
        return tuple(
            [
                msgspec.structs.replace(window, media=window.media and self.is_attached(instance))
                for instance, window in self._windows.items()
            ]
        )

    def others(self, instance: str) -> int:
        """Return how many windows there are besides ``instance``."""
        return sum(1 for key in self._windows if key != instance)
