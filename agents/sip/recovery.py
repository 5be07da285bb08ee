"""[core] When to connect to the phone service again, and to which of its two proxies.

The pause after a failure doubles from :data:`FIRST_PAUSE` to :data:`LONGEST_PAUSE`, with jitter, so that a
thousand phones that lost one server do not come back in step. It is short again only once a connection has
proved itself by a registration: a server that accepts and hangs up is not run at. Where there is a backup,
each failure goes on with the other proxy, which is tried at once.

A connection that was good and is lost is made anew at once. So is any when the surroundings have changed: the
computer slept, or has another address.
"""

from collections.abc import Callable

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
#: How long the backup is used before the first proxy is looked at again, in seconds.
AWAY_TIME = 300.0
_LONGEST_WISH = 3_600.0


class Recovery:
    """The decisions for one line.

    Args:
        has_backup: Whether there is a second proxy.
        jitter: Returns a random number from a half of its argument to all of it.
    """

    def __init__(self, *, has_backup: bool, jitter: Callable[[float], float], now: float) -> None:
        self.uses_backup = False
        self._has_backup, self._jitter = has_backup, jitter
        self._failures = 0
        self._is_settled = False
        self._attempt_at = now
        self._wished_at = {False: now, True: now}  # not before, as a proxy has asked (Retry-After)
        self._away_since = now

    def next_attempt(self) -> float:
        """Return when to connect, to :attr:`uses_backup`."""
        return max(self._attempt_at, self._wished_at[self.uses_backup])

    def opened(self, now: float) -> None:
        """Take that there is a connection."""
        self._is_settled = False
        self._away_since = now

    def settled(self) -> None:
        """Take that the phone is registered over it."""
        self._is_settled, self._failures = True, 0

    def failed(self, now: float, retry_after: float | None = None) -> None:
        """Take that none could be made, or that the proxy wants none for ``retry_after`` seconds."""
        if retry_after is not None:
            self._wished_at[self.uses_backup] = now + min(retry_after, _LONGEST_WISH)
        self._failures += 1
        rounds = self._failures
        if self._has_backup:
            self.uses_backup = not self.uses_backup
            rounds //= 2
        pause = FIRST_PAUSE * 2 ** min(rounds - 1, 16)
        self._attempt_at = now if rounds == 0 else now + self._jitter(min(pause, LONGEST_PAUSE))

    def lost(self, now: float) -> None:
        """Take that the connection has ended."""
        if not self._is_settled:
            self.failed(now)
            return
        self._is_settled = False
        self._attempt_at = now

    def hurry(self, now: float) -> None:
        """Take that the surroundings have changed: what failed before may work now."""
        self._failures = 0
        self._attempt_at = now
        self._is_settled = True  # if the connection ends now, that is no fault of the proxy's

    def refused(self, now: float, retry_after: float | None) -> bool:
        """Take that the registrar behind the proxy cannot serve (5xx); return whether to go to the other one.

        ``retry_after`` is when this one is worth another try. The connection is to be ended then.
        """
        if not self._has_backup or self._wished_at[not self.uses_backup] > now:
            return False
        self._wished_at[self.uses_backup] = now + min(retry_after or FIRST_PAUSE, _LONGEST_WISH)
        self.uses_backup = not self.uses_backup
        self._is_settled = True  # the other proxy has done nothing wrong yet
        return True

    def home_at(self) -> float | None:
        """Return when to look at the first proxy again; None while it is in use."""
        if not self.uses_backup:
            return None
        return max(self._away_since + AWAY_TIME, self._wished_at[False])

    def still_away(self, now: float) -> None:
        """Take that the first proxy could not be gone back to yet."""
        self._away_since = now

    def went_home(self, now: float) -> None:
        """Take that there is a connection to the first proxy, to be used from now on."""
        self.uses_backup, self._failures, self._attempt_at = False, 0, now
        self._is_settled = True
