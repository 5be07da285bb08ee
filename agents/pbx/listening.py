"""Sockets that listen: those of the WebSockets, and of the HTTP ports."""

import socket

from shared.errors import ConfigError


def listen(host: str, port: int, *, backlog: int, remedy: str) -> socket.socket:
    """Return a socket that listens and does not block. ``port`` 0 is any; ``backlog``: who may wait.

    Raises:
        ConfigError: If the port is taken or the address is not ours; the text ends with ``remedy``.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.socket(family, socket.SOCK_STREAM)
    except OSError as exc:
        raise _cannot_listen(host, port, exc, remedy) from exc
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(backlog)
    except OSError as exc:
        listener.close()
        raise _cannot_listen(host, port, exc, remedy) from exc
    listener.setblocking(False)
    return listener


def _cannot_listen(host: str, port: int, error: OSError, remedy: str) -> ConfigError:
    return ConfigError(f"cannot listen on {host} port {port}: {error.strerror or error}; {remedy}")
