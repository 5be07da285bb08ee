"""All phones of the service, by instance and by connection: sends what they want sent, and lets time pass.

What happens to a phone makes it dirty; :meth:`PhoneBook.pump` drains the dirty ones until none is left.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Protocol

from agents.sip.dialog import Endpoint
from shared.log import log

from .accounts import NumberPlan
from .pace import Cancel, Pace
from .phone_leg import PhoneLeg
from .phones import Exchange, Phone
from .registrar import Binding, Registrar

_TICK_AT_LEAST = 3600.0
_TIMER_PAUSE = 0.02


class Service(Exchange, Protocol):
    """The service, as its phone book uses it."""

    plan: NumberPlan
    registrar: Registrar

    @property
    def address(self) -> str:
        """Host and port of the WebSockets."""

    def drain_registrar(self) -> None:
        """Do what the registrar wants done."""


class PhoneBook:
    """Makes a phone when its instance registers, and forgets it when nothing is left of it."""

    def __init__(self, service: Service, pace: Pace) -> None:
        self._service, self._pace = service, pace
        self._phones: dict[tuple[str, str], Phone] = {}
        self._by_flow: dict[str, Phone] = {}
        self._dirty: set[Phone] = set()
        self._pumping = False
        self._timer: Cancel | None = None
        self._is_timer_due = False

    def at(self, flow: str) -> Phone | None:
        """Return who has registered on a flow."""
        return self._by_flow.get(flow)

    def reached(self, binding: Binding) -> Phone:
        """Return the phone of a binding, which can be reached on its flow from now on."""
        key = (binding.extension, binding.instance_id)
        if key not in self._phones:
            self._phones[key] = self._make(binding)
        phone = self._phones[key]
        before = self._by_flow.get(binding.flow)
        if before is not None and before is not phone:
            before.flow_closed(binding.flow)
        self._by_flow[binding.flow] = phone
        phone.reached(binding)
        return phone

    def flow_closed(self, flow: str) -> None:
        """Tell whoever had registered on it."""
        phone = self._by_flow.pop(flow, None)
        if phone is not None:
            phone.flow_closed(flow)
        self.pump()
        self._forget_idle()

    def legs_of(self, extension: str) -> list[PhoneLeg]:
        """Return what the phones of an extension have of calls."""
        phones = [phone for phone in self._phones.values() if phone.extension == extension]
        return [leg for phone in phones for leg in phone.legs.values()]

    def reachable(self, extension: str) -> list[Phone]:
        """Return the phones of an extension that can be called now."""
        self._service.registrar.tick(self._pace.now())
        bindings = self._service.registrar.bindings(extension)
        return [self._phones[extension, binding.instance_id] for binding in bindings if binding.reachable]

    def unreachable(self, extension: str) -> set[str]:
        """Return the registered instances whose connection is gone."""
        bindings = self._service.registrar.bindings(extension)
        return {binding.instance_id for binding in bindings if not binding.reachable}

    def changed(self, phone: Phone) -> None:
        """Drain a phone's effects soon."""
        is_first = not self._dirty
        self._dirty.add(phone)
        if is_first and not self._pumping:
            asyncio.get_running_loop().call_soon(self.pump)

    def pump(self) -> None:
        """Drain all that has effects, until nobody has any; then set the clock."""
        if self._pumping:
            return
        self._pumping = True
        try:
            while self._dirty:
                phone = self._dirty.pop()
                _guarded(phone, phone.drain)
        finally:
            self._pumping = False
        if not self._is_timer_due:
            # Looking at every phone's deadline is not for every message.
            self._is_timer_due = True
            asyncio.get_running_loop().call_later(_TIMER_PAUSE, self._set_timer)

    def forget(self) -> None:
        """Know no phone any more, as a service that starts anew."""
        self._phones.clear()
        self._by_flow.clear()
        self._dirty.clear()

    def close(self) -> None:
        """Let no more time pass."""
        self._is_timer_due = True
        if self._timer is not None:
            self._timer()
            self._timer = None

    def _make(self, binding: Binding) -> Phone:
        address = self._service.address
        endpoint = Endpoint(address, f"<sip:service@{address};transport=wss>", "sharedline-simulator")
        subscriber = self._service.plan.subscribers[binding.extension]
        return Phone(self._service, subscriber, binding.instance_id, endpoint)

    def _set_timer(self) -> None:
        self._is_timer_due = False
        if self._timer is not None:
            self._timer()
            self._timer = None
        times = [phone.next_deadline() for phone in self._phones.values()]
        times.append(self._service.registrar.next_deadline())
        at = min((time for time in times if time is not None), default=None)
        if at is not None:
            delay = min(max(at - self._pace.now(), 0.0), _TICK_AT_LEAST)
            self._timer = self._pace.later(delay, self._tick)

    def _tick(self) -> None:
        now = self._pace.now()
        self._service.registrar.tick(now)
        self._service.drain_registrar()
        for phone in list(self._phones.values()):
            self._dirty.add(phone)
            _guarded(phone, partial(phone.tick, now))
        self.pump()
        self._forget_idle()

    def _forget_idle(self) -> None:
        for key, phone in list(self._phones.items()):
            if phone.is_idle and self._service.registrar.binding(*key) is None:
                del self._phones[key]


def _guarded(phone: Phone, action: Callable[[], None]) -> None:
    """Do what concerns one phone. What goes wrong stays with it."""
    try:
        action()
    except Exception:
        log.exception("phone.crashed", extension=phone.extension)
