"""What the story prints: a line for each thing observed, the figures, and what was not observed."""

from collections.abc import Callable, Sequence

from shared.clock import boottime

from .view import View

_TITLE_WIDTH = 11


def ms(seconds: float) -> str:
    """Return a time for people: ``8.3 ms``, ``210 ms``, ``1.4 s``."""
    if seconds >= 1.0:
        return f"{seconds:.1f} s"
    return f"{seconds * 1000:.1f} ms" if seconds < 0.1 else f"{seconds * 1000:.0f} ms"


def spread(times: Sequence[float]) -> str:
    """Return the first and the last of some times: ``8.3-9.1 ms``, or one if they read the same."""
    first, last = ms(min(times)), ms(max(times))
    if first == last:
        return first
    return f"{first.split()[0]}-{last}" if first.split()[1] == last.split()[1] else f"{first}-{last}"


def version(view: View) -> str:
    """Return the version of what a window shows: epoch and sequence."""
    return f"{view.version.epoch}.{view.version.sequence}"


class Report:
    """Writes by ``write``, a line at a time, each with the time since the beginning."""

    def __init__(self, write: Callable[[str], object], *, now: Callable[[], float] = boottime) -> None:
        self._write, self._now = write, now
        self._began = now()
        self._figures: dict[str, str] = {}
        self._observed = 0

    def observed(self, title: str, text: str) -> None:
        """Tell what was seen."""
        self._line(title, text)

    def figure(self, name: str, value: str) -> None:
        """Keep a measured figure for the end. What was measured twice is told twice."""
        before = self._figures.get(name)
        self._figures[name] = value if before is None else f"{before}, then {value}"

    def step_done(self) -> None:
        """Count a step of which all was observed."""
        self._observed += 1

    def failed(self, title: str, reason: str, not_reached: Sequence[str]) -> None:
        """Tell which step was not observed, and which were not even tried."""
        self._line("NOT SEEN", f"{title}: {reason}")
        if not_reached:
            self._line("NOT TRIED", ", ".join(not_reached))

    def close(self, steps: int) -> None:
        """Tell the figures, and how many of the steps were observed."""
        width = max((len(name) for name in self._figures), default=0)
        for name, value in self._figures.items():
            self._write(f"{'':12}{name:<{width}}  {value}")
        verdict = "every step observed" if self._observed == steps else "NOT every step observed"
        self._line("", f"{self._observed} of {steps} steps: {verdict}")

    def _line(self, title: str, text: str) -> None:
        self._write(f"{self._now() - self._began:7.3f} s  {title:<{_TITLE_WIDTH}} {text}".rstrip())
