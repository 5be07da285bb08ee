"""[core] What every message has in common."""

from typing import NamedTuple

import msgspec


class Version(NamedTuple):
    """Order of snapshots: a later leader's first one beats any sequence of an earlier leader."""

    epoch: int
    sequence: int


class Wire(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type"):
    """Base of everything that is sent."""
