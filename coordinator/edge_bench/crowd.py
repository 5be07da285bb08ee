"""What a crowd costs: five hundred registered phones, and ten thousand connections without a word."""

import contextlib
import socket

from shared.clock import monotonic

from ..bench.report import MemoryRow, Row, timed
from .servers import Server
from .wire import LeanPhone

_INSTANCES = 5


def measure_crowd(server: Server, silent: int) -> list[Row | MemoryRow]:
    """Return what the registered phones and the silent connections take.

    ``refresh_among_500`` is a REGISTER of one of them, ``refresh_in_storm`` while others connect.
    """
    before = server.resident_mb()
    phones = []
    for account in server.accounts:
        for number in range(_INSTANCES):
            phone = LeanPhone(account, f"{account.authorization_id}-{number}").connect()
            phone.register()  # at once: who is not registered makes room for others
            phones.append(phone)
    grown = server.resident_mb() - before
    used = server.processor_time()
    times = [_refresh(phone) for phone in phones]
    share = (server.processor_time() - used) / len(phones)
    rows: list[Row | MemoryRow] = [
        MemoryRow(name="registered_mb", n=len(phones), mb=round(grown, 1)),
        timed("refresh_among_500", times),
        timed("refresh_cpu", [share] * len(phones)),
    ]
    rows += _storm(server, phones, silent)
    for phone in phones:
        phone.close()
    return rows


def _refresh(phone: LeanPhone) -> float:
    began = monotonic()
    phone.register()
    return monotonic() - began


def _storm(server: Server, phones: list[LeanPhone], silent: int) -> list[Row | MemoryRow]:
    """Connect without a word, and let a registered phone register again after every twentieth."""
    before, host_port = server.resident_mb(), server.accounts[0].outbound_proxy.rpartition(":")
    strangers, times, sizes = [], [], []
    for number in range(silent):
        # The service closes the oldest. Its room is taken by the next.
        with contextlib.suppress(OSError):
            strangers.append(socket.create_connection((host_port[0], int(host_port[2])), timeout=5))
        if number % 20 == 0:
            times.append(_refresh(phones[number // 20 % len(phones)]))
            sizes.append(server.resident_mb())
    for stranger in strangers:
        stranger.close()
    return [
        timed("refresh_in_storm", times),
        MemoryRow(name="silent_mb", n=silent, mb=round(max(sizes) - before, 1)),
    ]
