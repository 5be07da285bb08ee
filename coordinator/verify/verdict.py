"""What the checker says of one promise."""

from collections.abc import Sequence
from dataclasses import dataclass

from .evidence import Fact

#: Lines of proof that are kept of a broken promise.
_MOST_PROOF = 5


@dataclass(frozen=True, slots=True)
class Verdict:
    """``is_kept`` is None where the files do not tell; ``proof`` are the lines that show a breach."""

    promise: str
    is_kept: bool | None
    text: str
    proof: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """Return the verdict in one line, and the proof in more."""
        word = {True: "passed", False: "VIOLATED", None: "not decidable from these files"}[self.is_kept]
        return [f"{self.promise} {word}: {self.text}", *(f"   {line}" for line in self.proof)]


@dataclass(slots=True)
class Breaches:
    """Collects what breaks a promise."""

    promise: str
    texts: list[str]
    proof: list[str]

    def __init__(self, promise: str) -> None:
        self.promise, self.texts, self.proof = promise, [], []

    def add(self, text: str, *facts: Fact) -> None:
        """Note a breach, and the lines that prove it."""
        self.texts.append(text)
        self.proof += [str(fact) for fact in facts]

    def verdict(self, kept: str) -> Verdict:
        """Return the verdict; ``kept`` says what was seen if there is no breach."""
        if not self.texts:
            return Verdict(self.promise, True, kept)
        more = f" (and {len(self.texts) - 1} more)" if len(self.texts) > 1 else ""
        return Verdict(self.promise, False, self.texts[0] + more, tuple(self.proof[:_MOST_PROOF]))


def undecided(promise: str, missing: str) -> Verdict:
    """Return that the files do not tell, and what is missing."""
    return Verdict(promise, None, missing)


def plural(count: int, noun: str, nouns: str = "") -> str:
    """Return ``1 call``, ``2 calls``."""
    return f"{count} {noun if count == 1 else nouns or noun + 's'}"


def within(at: float, times: Sequence[float], before: float, after: float) -> bool:
    """Return whether one of ``times`` is from ``before`` seconds before ``at`` to ``after`` after it."""
    return any(at - before <= time <= at + after for time in times)
