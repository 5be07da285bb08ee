"""[core] The registrar: who can be reached where (RFC 3261 §10.3 and the real service's instance rules).

The first REGISTER of a connection is challenged; a refresh on the same one is believed; an unregistration is
challenged again. One instance too many is refused without a challenge. A binding belongs to an instance id:
registering it on a new connection replaces the old flow. A flow that closes leaves its binding there until it
expires, but nothing can reach it.

Messages go in by :meth:`Registrar.register`, answers and ledger entries come out by ``effects()``.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from agents.sip.address import NameAddr, Uri, parse_contacts
from agents.sip.message import Request, Response, make_response
from shared.errors import SipError

from .accounts import NumberPlan, Subscriber
from .gate import Gate, Refusal, Verdict

_LONGEST = 3600


@dataclass(frozen=True, slots=True)
class Limits:
    """Times in seconds; see :class:`~agents.pbx.settings.SimulatorSettings`."""

    expiry: float = 60.0
    min_expiry: float = 0.0
    max_instances: int = 5


@dataclass(frozen=True, slots=True)
class Binding:
    """One instance of an extension. ``reachable``: the flow is open. It was registered as a device's."""

    extension: str
    instance_id: str
    contact: Uri
    flow: str
    via_host: str
    expires_at: float
    reachable: bool = True
    authorization_id: str = ""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who registered on a flow, and until when; a flow that was replaced keeps its identity."""

    extension: str
    instance_id: str
    via_host: str
    expires_at: float
    authorization_id: str


@dataclass(frozen=True, slots=True)
class Reply:
    """Effect: send ``response`` on ``flow``."""

    flow: str
    response: Response


@dataclass(frozen=True, slots=True)
class Note:
    """Effect: write it into the ledger."""

    event: str
    facts: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Reached:
    """Effect: an instance can be reached on a new flow, so its calls can go on there."""

    binding: Binding


Effect = Reply | Note | Reached


@dataclass(slots=True)
class _Asked:
    """A REGISTER, read. ``contact`` is None where nothing is to be changed (§10.3 step 6)."""

    request: Request
    flow: str
    via_host: str
    username: str | None
    contact: NameAddr | None = None
    everything: bool = False
    instance_id: str = ""
    expires: int = 0

    @property
    def removes(self) -> bool:
        return self.everything or (self.contact is not None and self.expires == 0)


@dataclass(slots=True)
class Registrar:
    """All bindings of all extensions. ``new_id`` makes tags."""

    domain: str
    plan: NumberPlan
    gate: Gate
    new_id: Callable[[], str]
    limits: Limits = Limits()
    _bindings: dict[str, dict[str, Binding]] = field(default_factory=dict)
    _identities: dict[str, Identity] = field(default_factory=dict)
    _effects: list[Effect] = field(default_factory=list)
    _due: float = math.inf  # before that, nothing expires

    def effects(self) -> list[Effect]:
        """Drain what the shell must do, in order. Call after every input."""
        effects, self._effects = self._effects, []
        return effects

    def register(self, request: Request, flow: str, now: float, *, refusal: Refusal | None = None) -> None:
        """Answer a REGISTER that came in on ``flow``. A ``refusal`` is the answer, and nothing changes."""
        self.tick(now)
        asked = _Asked(request, flow, request.via.sent_by, None)
        try:
            self._read(asked)
        except SipError as exc:
            self._answer(asked, 400, _phrase(exc.reason))
            return
        if refusal is not None:
            self._answer(asked, refusal.status, refusal.reason, headers=refusal.headers)
        elif Uri.parse(request.uri).host.lower() != self.domain:
            self._answer(asked, 404)
        elif self._is_refresh(asked, now):
            identity = self._identities[flow]
            self._bind(asked, identity.extension, identity.authorization_id, now)
        else:
            self._effects.append(Reply(flow, make_response(request, 100)))
            self._authenticate(asked, now)

    def flow_closed(self, flow: str, now: float) -> list[Binding]:
        """Return the bindings that cannot be reached from now on."""
        self.tick(now)
        self._identities.pop(flow, None)
        self.gate.forget(flow)
        lost = [binding for binding in self._all() if binding.flow == flow and binding.reachable]
        for binding in lost:
            self._bindings[binding.extension][binding.instance_id] = replace(binding, reachable=False)
        for binding in lost:
            self._note("BINDING_UNREACHABLE", binding, reason="flow closed")
        return lost

    def tick(self, now: float) -> None:
        """Let bindings expire. Harmless to call early or twice."""
        if now < self._due:
            return
        for binding in [binding for binding in self._all() if binding.expires_at <= now]:
            del self._bindings[binding.extension][binding.instance_id]
            self._note("BINDING_EXPIRED", binding)
        for flow in [flow for flow, identity in self._identities.items() if identity.expires_at <= now]:
            del self._identities[flow]
        self._due = min(self._times(), default=math.inf)

    def next_deadline(self) -> float | None:
        """Return when to call :meth:`tick`, or None while there is no timer."""
        return min(self._times(), default=None)

    def expire(self, extension: str, instance_id: str) -> bool:
        """Drop a binding as if its time were over. False if there is none."""
        binding = self._bindings.get(extension, {}).pop(instance_id, None)
        if binding is None:
            return False
        self._identities.pop(binding.flow, None)
        self._note("BINDING_EXPIRED", binding, reason="by control")
        return True

    def forget(self, reason: str) -> None:
        """Drop all bindings, as a service does that starts anew."""
        for binding in self._all():
            del self._bindings[binding.extension][binding.instance_id]
            self._note("BINDING_REMOVED", binding, reason=reason)
        self._identities.clear()

    def bindings(self, extension: str) -> list[Binding]:
        """Return the bindings of an extension, oldest first, unreachable ones included."""
        return list(self._bindings.get(extension, {}).values())

    def binding(self, extension: str, instance_id: str) -> Binding | None:
        """Return the binding of one instance."""
        return self._bindings.get(extension, {}).get(instance_id)

    def identity(self, flow: str) -> Identity | None:
        """Return who is registered on ``flow``; None if nobody, who may not call then."""
        return self._identities.get(flow)

    def counts(self, extension: str) -> dict[str, int]:
        """Return ``bindings`` and ``reachable`` for a ledger entry."""
        bindings = self.bindings(extension)
        return {"bindings": len(bindings), "reachable": sum(binding.reachable for binding in bindings)}

    def _times(self) -> Iterator[float]:
        for binding in self._all():
            yield binding.expires_at
        for identity in self._identities.values():
            yield identity.expires_at

    def _all(self) -> list[Binding]:
        return [binding for bindings in self._bindings.values() for binding in bindings.values()]

    def _read(self, asked: _Asked) -> None:
        request = asked.request
        Uri.parse(request.uri)
        asked.username = request.to.uri.user
        contacts = parse_contacts(request.headers.get_all("Contact"))
        general = _seconds(request.headers.get("Expires"))
        if contacts == "*":
            if general != 0:
                raise SipError("Contact: * needs Expires: 0")
            asked.everything = True
        elif len(contacts) > 1:
            raise SipError("more than one Contact")
        elif contacts:
            asked.contact = contacts[0]
            own = _seconds(contacts[0].param("expires"))
            wanted = own if own is not None else general
            asked.expires = int(self.limits.expiry) if wanted is None else wanted
            instance = (contacts[0].param("+sip.instance") or "").strip("<>")
            asked.instance_id = instance.removeprefix("urn:uuid:") or str(contacts[0].uri)

    def _is_refresh(self, asked: _Asked, now: float) -> bool:
        identity = self._identities.get(asked.flow)
        if identity is None or asked.removes or identity.expires_at <= now:
            return False
        subscriber = self.plan.by_username(asked.username or "")
        known = subscriber is not None and subscriber.extension.number == identity.extension
        return known and asked.contact is not None and asked.instance_id == identity.instance_id

    def _authenticate(self, asked: _Asked, now: float) -> None:
        request = asked.request
        given = request.headers.get("Authorization")
        verdict, authorization_id = self.gate.check(given, request, asked.flow, now)
        subscriber = self.plan.by_authorization_id(authorization_id)
        claimed = self.plan.by_username(asked.username or "")
        if verdict is Verdict.MISSING and claimed and self._is_one_too_many(asked, claimed.extension.number):
            # Before any challenge: the SDKs up to 2.4.4 take a 603 as the first answer only.
            self._answer(asked, 603, "Too Many Contacts")
        elif verdict in (Verdict.MISSING, Verdict.STALE):
            challenge = self.gate.challenge(asked.flow, now, stale=verdict is Verdict.STALE)
            self._answer(asked, 401, headers=[("Www-Authenticate", challenge)])
        elif verdict is Verdict.WRONG or subscriber is None or subscriber.username != asked.username:
            self._answer(asked, 403)
        else:
            self._authenticated(asked, subscriber, now)

    def _authenticated(self, asked: _Asked, subscriber: Subscriber, now: float) -> None:
        extension = subscriber.extension.number
        if asked.removes:
            self._unbind(asked, extension)
        elif asked.contact is None:
            self._answer(asked, 200, headers=self._contacts(extension, now))
        else:
            self._bind(asked, extension, subscriber.authorization_id, now)

    def _bind(self, asked: _Asked, extension: str, authorization_id: str, now: float) -> None:
        bindings = self._bindings.setdefault(extension, {})
        known = bindings.get(asked.instance_id)
        assert asked.contact is not None
        if asked.expires < self.limits.min_expiry:
            minimum = ("Min-Expires", str(int(self.limits.min_expiry)))
            self._answer(asked, 423, headers=[minimum], extension=extension)
            return
        if self._is_one_too_many(asked, extension):
            self._answer(asked, 603, "Too Many Contacts", extension=extension)
            return
        granted = min(asked.expires, self.limits.expiry, _LONGEST)
        until = now + granted
        binding = Binding(
            extension,
            asked.instance_id,
            asked.contact.uri,
            asked.flow,
            asked.via_host,
            until,
            authorization_id=authorization_id,
        )
        bindings[asked.instance_id] = binding
        self._identities[asked.flow] = Identity(
            extension, asked.instance_id, asked.via_host, until, authorization_id
        )
        contact = ("Contact", f"<{asked.contact.uri}>;expires={int(granted)}")
        self._due = min(self._due, now + granted)
        self._answer(asked, 200, headers=[contact], extension=extension, expires=granted)
        self._note_bound(binding, known)

    def _is_one_too_many(self, asked: _Asked, extension: str) -> bool:
        bindings = self._bindings.get(extension, {})
        is_new = asked.contact is not None and not asked.removes and asked.instance_id not in bindings
        return is_new and len(bindings) >= self.limits.max_instances

    def _note_bound(self, binding: Binding, known: Binding | None) -> None:
        if known is None:
            self._note("BINDING_ADDED", binding)
        elif known.flow != binding.flow:
            self._note("BINDING_REPLACED", binding, reason=f"was on {known.flow}")
        else:
            self._note("BINDING_REFRESHED", binding)
        if known is None or known.flow != binding.flow:
            self._effects.append(Reached(binding))

    def _unbind(self, asked: _Asked, extension: str) -> None:
        bindings = self._bindings.get(extension, {})
        going = list(bindings.values()) if asked.everything else []
        known = bindings.get(asked.instance_id)
        # A process that was replaced says goodbye for itself only: its successor's binding stays.
        if known and asked.contact and (known.flow == asked.flow or known.contact.same_as(asked.contact.uri)):
            going = [known]
        for binding in going:
            del bindings[binding.instance_id]
        self._identities.pop(asked.flow, None)
        contact = [("Contact", f"<{asked.contact.uri}>;expires=0")] if asked.contact else []
        self._answer(asked, 200, headers=contact, extension=extension, expires=0)
        for binding in going:
            self._note("BINDING_REMOVED", binding)

    def _contacts(self, extension: str, now: float) -> list[tuple[str, str]]:
        return [
            ("Contact", f"<{binding.contact}>;expires={int(binding.expires_at - now)}")
            for binding in self.bindings(extension)
        ]

    def _answer(
        self,
        asked: _Asked,
        status: int,
        reason: str | None = None,
        *,
        headers: list[tuple[str, str]] | None = None,
        extension: str | None = None,
        expires: float | None = None,
    ) -> None:
        request = asked.request
        response = make_response(request, status, reason, to_tag=self.new_id(), headers=headers or [])
        self._effects.append(Reply(asked.flow, response))
        if extension is None and (subscriber := self.plan.by_username(asked.username or "")):
            extension = subscriber.extension.number
        facts: dict[str, Any] = {
            "direction": "in",
            "status": status,
            "reason": response.reason,
            "extension": extension,
            "instance_id": asked.instance_id or None,
            "via_host": asked.via_host,
            "flow": asked.flow,
            "call_id": request.call_id,
            "cseq": request.cseq.number,
            "expires": expires,
        }
        facts |= self.counts(extension) if extension else {}
        self._effects.append(Note("UNREGISTER" if asked.removes else "REGISTER", facts))

    def _note(self, event: str, binding: Binding, *, reason: str | None = None) -> None:
        facts: dict[str, Any] = {
            "extension": binding.extension,
            "instance_id": binding.instance_id,
            "via_host": binding.via_host,
            "flow": binding.flow,
            "reason": reason,
        }
        self._effects.append(Note(event, facts | self.counts(binding.extension)))


def _seconds(text: str | None) -> int | None:
    """Return an expiry; None for what is absent or unreadable, which §10.3 treats as a default."""
    text = (text or "").strip()
    return min(int(text[:10]), 2**31) if text.isascii() and text.isdecimal() else None


def _phrase(reason: str) -> str:
    """Return a reason phrase that says what is wrong and cannot break out of its line."""
    return "Bad Request: " + "".join(char for char in reason if char.isprintable())[:80]
