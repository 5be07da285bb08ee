"""[core] A ``400`` for a request that cannot be read, with what can be copied from it (RFC 3261 §21.4.1)."""

import re

_REQUEST_LINE = re.compile(r"(?!SIP/2\.0)(?!ACK )[A-Z]{2,20} \S")
_FIELD = re.compile(
    r"^(via|v|from|f|to|t|call-id|i|cseq)[ \t]*:[ \t]*([^\r\n\0]{1,512})\r?$", re.IGNORECASE | re.MULTILINE
)
_NAMES = {"v": "via", "f": "from", "t": "to", "i": "call-id"}
_WRITTEN = {"via": "Via", "from": "From", "to": "To", "call-id": "Call-Id", "cseq": "CSeq"}
_LONGEST_HEAD = 8192


def bad_request(frame: str, reason: str) -> str | None:
    """Return a ``400`` for ``frame``, or None if it does not look like a request that somebody waits for.

    A sender matches an answer by Via and CSeq, so without these it is useless. An ACK is never answered.
    """
    if not _REQUEST_LINE.match(frame):
        return None
    found: dict[str, str] = {}
    for name, value in _FIELD.findall(frame[:_LONGEST_HEAD].partition("\r\n\r\n")[0]):
        lower = name.lower()
        found.setdefault(_NAMES.get(lower, lower), value.strip())
    if "via" not in found or "cseq" not in found:
        return None
    phrase = "".join(char for char in reason if char.isprintable())[:80]
    lines = [f"SIP/2.0 400 Bad Request: {phrase}"]
    lines += [f"{written}: {found[name]}" for name, written in _WRITTEN.items() if name in found]
    return "\r\n".join([*lines, "Content-Length: 0", "", ""])
