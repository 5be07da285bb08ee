"""Bytes that nobody can guess, asked of the system a page at a time: asking takes longer than an id may."""

import base64
import secrets

_PAGE_BYTES = 4096


class Chance:
    """Hands out each byte once."""

    def __init__(self) -> None:
        self._page, self._used = b"", 0

    def take(self, count: int) -> bytes:
        """Return ``count`` bytes, which must be less than a page."""
        if self._used + count > len(self._page):
            self._page, self._used = secrets.token_bytes(_PAGE_BYTES), 0
        self._used += count
        return self._page[self._used - count : self._used]

    def new_id(self) -> str:
        """Return 32 hexadecimal digits."""
        return self.take(16).hex()

    def new_nonce(self) -> str:
        """Return 32 characters of base64, as the real service's nonces have."""
        return base64.urlsafe_b64encode(self.take(24)).decode()
