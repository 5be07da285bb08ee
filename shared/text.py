"""[core] Texts of strangers, made fit to be shown: callers choose their names, and terminals obey some."""

import re

#: Tabs and all that ends a line.
_SPACE = re.compile("[\t\n\v\f\r\x85\u2028\u2029]+")
#: What terminals obey (C0, DEL, C1) or turns the direction of all that follows; halves of surrogate pairs.
_HARMFUL = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def readable(text: str, longest: int = 256) -> str:
    """Return somebody else's text as one line of ``longest`` characters at most, none of which is a control.

    Every script stays whole: joiners (Persian, Hindi, emoji), wide spaces, and marks of direction, which
    reach no further than the next letter.
    """
    if text.isascii() and text.isprintable():
        return text[:longest]
    return _HARMFUL.sub("", _SPACE.sub(" ", text[: 4 * longest])).strip()[:longest]
