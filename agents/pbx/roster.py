"""What there is of one kind, by its name, for whoever asks for it."""

from typing import Generic, TypeVar

from shared.errors import ActionRefused

T = TypeVar("T")


class Roster(Generic[T]):
    """Things of one ``kind``, oldest first."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._all: dict[str, T] = {}

    def __len__(self) -> int:
        return len(self._all)

    def add(self, name: str, one: T) -> None:
        """Note one more."""
        self._all[name] = one

    def remove(self, name: str) -> None:
        """Forget one; harmless twice."""
        self._all.pop(name, None)

    def all(self) -> list[T]:
        """Return them."""
        return list(self._all.values())

    def get(self, name: str) -> T:
        """Return one.

        Raises:
            ActionRefused: If there is none of that name.
        """
        if name not in self._all:
            raise ActionRefused("no_such_call", f"there is no {self._kind} {name!r}")
        return self._all[name]
