"""The form of the log, with redaction as the first processor: what must not be seen never gets past it."""

import logging
import re
from collections.abc import MutableMapping
from typing import Any, Literal, TextIO

import structlog

_SECRET_KEY = re.compile(
    r"pass(word|wd)?$|secret|token|authorization|nonce|response$|key$|pwd$|ufrag", re.IGNORECASE
)
_SECRET_TEXT = re.compile(
    r"(?P<sip>(?:Proxy-)?Authorization:\s*)[^\r\n]+"
    r"|(?P<param>\b(?:nonce|cnonce|response|password|access_token)[\"']?\s*[=:]\s*)"
    r"(?:\"[^\"]*\"|'[^']*'|[^\s,;&]+)"
    r"|(?P<bearer>\bBearer\s+)[^\s\"',;]+"
    r"|(?P<ice>a=(?:ice-ufrag|ice-pwd|crypto):)[^\r\n]+",
    re.IGNORECASE,
)
REDACTED = "[redacted]"


def redact_text(text: str) -> str:
    """Return ``text`` without credentials: digest values, passwords, ICE and SRTP secrets."""
    return _SECRET_TEXT.sub(lambda match: next(filter(None, match.groups())) + REDACTED, text)


def redact(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Structlog processor: hide what is secret by its name or by its text, at any depth."""
    for key, value in event.items():
        event[key] = REDACTED if _SECRET_KEY.search(key) else _clean(value)
    return event


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, bytes):
        return redact_text(value.decode("utf-8", "replace"))
    if isinstance(value, dict):
        return {
            key: REDACTED if _SECRET_KEY.search(str(key)) else _clean(item) for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_clean(item) for item in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return redact_text(str(value))


def set_up(
    style: Literal["console", "json"], level: Literal["debug", "info", "warning", "error"], stream: TextIO
) -> None:
    """Have structlog write events at ``level`` and above to ``stream``."""
    renderer: structlog.typing.Processor
    if style == "json":
        renderer = structlog.processors.JSONRenderer()
    else:
        renderer = structlog.dev.ConsoleRenderer(colors=stream.isatty())
    structlog.configure(
        processors=[
            redact,
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            # Once more, for what the steps above added: a traceback may quote a secret.
            redact,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(file=stream),
        cache_logger_on_first_use=False,
    )
