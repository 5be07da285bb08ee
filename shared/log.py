"""The log: library code says ``from shared.log import log``; a program calls :func:`configure_logging` once.

Events go to structlog, which is loaded by the first one that is to be shown: most windows never have one, and
with what it loads besides (``rich``, where that is installed) it would be the largest part of some. A program
that has loaded structlog itself gets every event, and configures it in its own way.
"""

import sys
from typing import TYPE_CHECKING, Literal, TextIO

if TYPE_CHECKING:
    import structlog

Style = Literal["console", "json"]
Level = Literal["debug", "info", "warning", "error"]

_LEVELS: tuple[Level, ...] = ("debug", "info", "warning", "error")


class Log:
    """Tells structlog what happened: an event, and its facts as keywords."""

    def __init__(self) -> None:
        self._style: Style = "console"
        self._level: Level = "warning"
        self._stream: TextIO | None = None

    def debug(self, event: str, **facts: object) -> None:
        """Log what only helps to find a fault."""
        if self._is_wanted("debug"):
            self._structlog().debug(event, **facts)

    def info(self, event: str, **facts: object) -> None:
        """Log what happens in the normal course of things."""
        if self._is_wanted("info"):
            self._structlog().info(event, **facts)

    def warning(self, event: str, **facts: object) -> None:
        """Log what should not happen, and was dealt with."""
        if self._is_wanted("warning"):
            self._structlog().warning(event, **facts)

    def error(self, event: str, **facts: object) -> None:
        """Log what somebody has to put right."""
        self._structlog().error(event, **facts)

    def exception(self, event: str, **facts: object) -> None:
        """Log an error of ours, with the traceback of the exception that is being handled."""
        self._structlog().exception(event, **facts)

    def configure(self, style: Style, level: Level, stream: TextIO | None) -> None:
        """Log events at ``level`` and above to ``stream``, from now on or once there is one."""
        self._style, self._level, self._stream = style, level, stream
        if _is_loaded():
            self._set_up()

    def _is_wanted(self, level: Level) -> bool:
        return _is_loaded() or _LEVELS.index(level) >= _LEVELS.index(self._level)

    def _structlog(self) -> "structlog.typing.FilteringBoundLogger":
        import structlog

        if not structlog.is_configured():
            self._set_up()
        logger: structlog.typing.FilteringBoundLogger = structlog.get_logger()
        return logger

    def _set_up(self) -> None:
        from .log_output import set_up

        set_up(self._style, self._level, self._stream or sys.stderr)


def _is_loaded() -> bool:
    return "structlog" in sys.modules


#: The one of this process.
log = Log()


def configure_logging(
    style: Style = "console", level: Level = "warning", stream: TextIO | None = None
) -> None:
    """Log events at ``level`` and above to ``stream`` (default: standard error)."""
    log.configure(style, level, stream)
