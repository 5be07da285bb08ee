"""Names that nobody can guess and nobody makes twice."""

import os


def new_id(size_bytes: int) -> str:
    """Return so many random bytes in hexadecimal digits."""
    # As secrets.token_hex does; but that module loads OpenSSL's digests, half a megabyte in each window.
    return os.urandom(size_bytes).hex()


def chance() -> float:
    """Return a number from 0 to 1, so that not all processes do the same at the same time."""
    return int(new_id(4), 16) / 0x1_0000_0000
