"""How to speak, without loading what speaks."""

from dataclasses import dataclass

_MAX_DIGITS = 10  # Python itself refuses numbers of thousands of digits


@dataclass(frozen=True, slots=True)
class OpusOptions:
    """How we speak Opus: ``bit_rate`` in bit/s (speech wants 24,000 to 48,000).

    ``fec``: each packet also carries the one before, more coarsely, as far as losses make that worth its
    bits. ``dtx``: almost nothing is sent in silence.
    """

    bit_rate: int = 32_000
    fec: bool = True
    dtx: bool = False

    def for_peer(self, fmtp: str) -> "OpusOptions":
        """Return what suits a far end that describes its decoder so (RFC 7587 §6.1)."""
        wants = dict(item.strip().partition("=")[::2] for item in fmtp.split(";"))
        limit = wants.get("maxaveragebitrate", "")
        is_limit = limit.isdecimal() and len(limit) <= _MAX_DIGITS
        bit_rate = min(self.bit_rate, max(int(limit), 6000)) if is_limit else self.bit_rate
        return OpusOptions(
            bit_rate, self.fec and wants.get("useinbandfec") == "1", self.dtx or wants.get("usedtx") == "1"
        )
