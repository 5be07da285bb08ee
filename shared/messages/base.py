"""[core] What every message has in common."""

from typing import Annotated, NamedTuple

import msgspec

#: What is kept for long, or travels in each snapshot, must be short: a frame that says otherwise is dropped.
Name = Annotated[str, msgspec.Meta(max_length=64)]


class Version(NamedTuple):
    """Order of snapshots: a later leader's first one beats any sequence of an earlier leader."""

    epoch: int
    sequence: int


class Wire(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type"):
    """Base of everything that is sent."""
