"""What the service does wrong on purpose: each fault is listed, ends by itself, and is in the ledger."""

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

from shared.clock import monotonic
from shared.errors import ActionRefused, ConfigError

from .fault_orders import (
    Answer,
    AnyOrder,
    Clock,
    Delay,
    FaultView,
    HalfOpen,
    RefuseConnections,
    RefuseTls,
    RestAnswer,
)
from .gate import Refusal
from .roster import Roster

if TYPE_CHECKING:
    from .service import Simulator

_MOST = 32
_LISTEN_AGAIN = 0.5


@dataclass(slots=True)
class _Fault:
    name: str
    order: AnyOrder
    ends_at: float
    timer: asyncio.TimerHandle
    applied: int = 0


class Faults:
    """All faults that are in force, oldest first. Use it on the service's event loop."""

    def __init__(self, service: "Simulator") -> None:
        self._service = service
        self._faults: Roster[_Fault] = Roster("fault")
        self._count = 0

    # -- for the control API

    def set(self, order: AnyOrder) -> FaultView:
        """Begin a fault. It replaces one of the same kind that cannot be there twice.

        Raises:
            ActionRefused: There is no such flow or extension, or there are too many faults.
        """
        self._check(order)
        for fault in [fault for fault in self._faults.all() if _excludes(order, fault.order)]:
            self._end(fault.name, "replaced")
        if len(self._faults) >= _MOST:
            raise ActionRefused("wrong_state", f"there are {_MOST} faults: clear one first")
        self._count += 1
        name = f"x{self._count}"
        timer = asyncio.get_running_loop().call_later(order.seconds, self._end, name, "time over")
        fault = _Fault(name, order, monotonic() + order.seconds, timer)
        self._faults.add(name, fault)
        self._service.ledger.record("FAULT_SET", fault=name, kind=_kind(order), reason=_words(order))
        self._apply()
        return _view(fault)

    def all(self) -> list[FaultView]:
        """Return those in force, oldest first."""
        return [_view(fault) for fault in self._faults.all()]

    def clear(self, name: str) -> None:
        """End a fault; raises :exc:`ActionRefused` if there is none of that name."""
        self._end(name, "by control")

    def clear_all(self) -> None:
        """End all faults."""
        for fault in self._faults.all():
            self._end(fault.name, "by control")

    # -- for the service

    def refusal(self, method: str, extension: str | None, flow: str, call_id: str) -> Refusal | None:
        """Return how a request must be refused; None if it need not. It counts as applied."""
        for fault in reversed(self._faults.all()):
            order = fault.order
            if not isinstance(order, Answer) or order.method != method:
                continue
            if order.extension in (None, extension):
                self._strike(fault, flow=flow, call_id=call_id, method=method, status=order.status)
                return Refusal(order.status, order.reason, self._headers(order, flow))
        return None

    def rest(self) -> RestAnswer | None:
        """Return how the REST side must answer a request; None as it is asked. It counts as applied."""
        for fault in self._faults.all():
            if isinstance(fault.order, RestAnswer):
                self._strike(fault, status=fault.order.status)
                return fault.order
        return None

    def flow_opened(self, flow: str) -> None:
        """Let a fault of all connections be one of the new one, too."""
        self._service.server.flows[flow].delay = self._delay(flow)

    def flow_closed(self, flow: str) -> None:
        """End the faults of a connection that is gone."""
        for fault in self._faults.all():
            if isinstance(fault.order, HalfOpen | Delay) and fault.order.flow == flow:
                self._end(fault.name, "flow closed")

    # -- the parts

    def _check(self, order: AnyOrder) -> None:
        flow = order.flow if isinstance(order, HalfOpen | Delay) else None
        if flow is not None and flow not in self._service.server.flows:
            raise ActionRefused("no_such_call", f"there is no flow {flow!r}")
        extension = order.extension if isinstance(order, Answer) else None
        if extension is not None and extension not in self._service.plan.subscribers:
            raise ActionRefused("no_such_call", f"there is no extension {extension!r}")

    def _end(self, name: str, reason: str) -> None:
        fault = self._faults.get(name)
        self._faults.remove(name)
        fault.timer.cancel()
        self._service.ledger.record(
            "FAULT_CLEARED", fault=name, kind=_kind(fault.order), reason=reason, count=fault.applied
        )
        self._apply()

    def _strike(self, fault: _Fault, **facts: str | int) -> None:
        fault.applied += 1
        self._service.ledger.record("FAULT_APPLIED", fault=fault.name, kind=_kind(fault.order), **facts)
        if isinstance(fault.order, Answer | RestAnswer) and fault.applied == fault.order.count:
            self._end(fault.name, "used up")

    def _headers(self, order: Answer, flow: str) -> list[tuple[str, str]]:
        headers = []
        if order.status in (401, 407):
            name = "Www-Authenticate" if order.status == 401 else "Proxy-Authenticate"
            headers.append((name, self._service.gate.challenge(flow, self._service.now())))
        if order.retry_after is not None:
            headers.append(("Retry-After", str(order.retry_after)))
        if order.min_expires is not None:
            headers.append(("Min-Expires", str(order.min_expires)))
        return headers

    def _apply(self) -> None:
        """Bring the service into the state that the faults in force ask for."""
        orders = [fault.order for fault in self._faults.all()]
        frozen = {order.flow for order in orders if isinstance(order, HalfOpen)}
        for flow in list(self._service.server.flows.values()):
            flow.delay = self._delay(flow.name)
            if (flow.name in frozen) is not flow.is_frozen:
                flow.thaw() if flow.is_frozen else flow.freeze()
        self._service.server.door.refuses_tls = any(isinstance(order, RefuseTls) for order in orders)
        self._service.pace.factor = next((order.factor for order in orders if isinstance(order, Clock)), 1.0)
        self.listen()

    def listen(self) -> None:
        """Have the service listen unless a fault forbids it."""
        is_shut = any(isinstance(fault.order, RefuseConnections) for fault in self._faults.all())
        try:
            self._service.restarts.listen(not is_shut)
        except ConfigError:
            # Somebody took the port meanwhile. It is ours again as soon as it is free.
            asyncio.get_running_loop().call_later(_LISTEN_AGAIN, self.listen)

    def _delay(self, flow: str) -> float:
        delays = [fault.order for fault in self._faults.all() if isinstance(fault.order, Delay)]
        return max((order.ms for order in delays if order.flow in (None, flow)), default=0) / 1000


def _excludes(new: AnyOrder, old: AnyOrder) -> bool:
    """Return whether there can be only one of the two."""
    if type(new) is not type(old) or isinstance(new, Answer):
        return False
    # Of delays and half-open connections there is one for each flow.
    return getattr(new, "flow", None) == getattr(old, "flow", None)


def _kind(order: AnyOrder) -> str:
    return str(order.__struct_config__.tag)


def _words(order: AnyOrder) -> str | None:
    """Return what a line of the ledger says of it."""
    match order:
        case HalfOpen():
            return order.flow
        case Delay():
            return f"{order.ms} ms on {order.flow or 'all flows'}"
        case Answer():
            times = "always" if order.count is None else f"{order.count} times"
            return f"{order.status} to {order.method}, {times}"
        case RestAnswer():
            return f"{order.status}, {'always' if order.count is None else f'{order.count} times'}"
        case Clock():
            return f"{order.factor:g} times as fast"
        case RefuseTls() | RefuseConnections():
            return None
        case _:
            assert_never(order)


def _view(fault: _Fault) -> FaultView:
    left = max(fault.ends_at - monotonic(), 0.0)
    return FaultView(id=fault.name, order=fault.order, ends_in=round(left, 3), applied=fault.applied)
