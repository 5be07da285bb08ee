"""[core] A dialog: what two user agents remember of each other (RFC 3261 §12).

A dialog is plain, frozen data. It can leave its process by :meth:`Dialog.export` and go on in another one:
whoever holds it can send the next request, if nobody else has sent one since.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from shared.errors import SipError

from .address import NameAddr, Uri
from .message import Headers, Request, Response

# Requests that tell the peer where to send its next one (§12.2, RFC 3311, RFC 6665).
_WITH_CONTACT = frozenset({"INVITE", "UPDATE", "REFER", "SUBSCRIBE", "NOTIFY"})
#: Those that move the peer, if they are answered with 2xx (§12.2, RFC 3311 §5).
REFRESHING = frozenset({"INVITE", "UPDATE"})


@dataclass(frozen=True, slots=True)
class Endpoint:
    """How we call ourselves on one connection.

    ``sent_by`` is host[:port] of our Via, ``contact`` a whole Contact value.
    """

    sent_by: str
    contact: str
    user_agent: str = "sharedline"
    transport: str = "WSS"

    def via(self, branch_id: str) -> str:
        """Return a Via value of a new transaction; ``branch_id`` must never have been used (§8.1.1.7)."""
        return f"SIP/2.0/{self.transport} {self.sent_by};branch=z9hG4bK-{branch_id}"


@dataclass(frozen=True, slots=True)
class Dialog:
    """The state of §12.1, at one of its ends.

    ``local`` and ``remote`` are the two name-addrs, tags included, as they stand in From and To of what we
    send. ``remote_cseq`` is None until the peer sends a request. ``is_caller`` tells who sent the INVITE.
    """

    call_id: str
    local: str
    remote: str
    local_cseq: int
    remote_cseq: int | None
    remote_target: str
    route_set: tuple[str, ...]
    is_caller: bool

    @classmethod
    def from_response(cls, invite: Request, response: Response) -> "Dialog":
        """Return the caller's side, made by a response with a To tag (§12.1.2)."""
        remote = str(response.headers.get("To"))
        return cls(
            call_id=invite.call_id,
            local=str(invite.headers.get("From")),
            remote=remote,
            local_cseq=invite.cseq.number,
            remote_cseq=None,
            # A 2xx without Contact breaks the RFC; the address called is the best guess left.
            remote_target=_target(response) or str(NameAddr.parse(remote).uri),
            route_set=tuple(reversed(_routes(response))),
            is_caller=True,
        )

    @classmethod
    def from_request(cls, invite: Request, *, local_tag: str, first_cseq: int) -> "Dialog":
        """Return the callee's side, made by our first response with ``local_tag`` (§12.1.1).

        Our first request in the dialog carries ``first_cseq``.
        """
        remote = str(invite.headers.get("From"))
        return cls(
            call_id=invite.call_id,
            local=f"{invite.headers.get('To')};tag={local_tag}",
            remote=remote,
            local_cseq=first_cseq - 1,
            remote_cseq=invite.cseq.number,
            remote_target=_target(invite) or str(NameAddr.parse(remote).uri),
            route_set=tuple(_routes(invite)),
            is_caller=False,
        )

    @property
    def local_tag(self) -> str:
        """Our tag."""
        return NameAddr.parse(self.local).tag or ""

    @property
    def remote_tag(self) -> str:
        """The peer's tag; "" for a peer older than RFC 3261 (§12.1.1)."""
        return NameAddr.parse(self.remote).tag or ""

    def request(
        self,
        method: str,
        endpoint: Endpoint,
        branch_id: str,
        *,
        headers: Iterable[tuple[str, str]] = (),
        body: str = "",
    ) -> tuple["Dialog", Request]:
        """Return our next request in the dialog, and the dialog after it (§12.2.1.1)."""
        after = replace(self, local_cseq=self.local_cseq + 1)
        request = self._make(method, endpoint, branch_id, after.local_cseq)
        for name, value in headers:
            request.headers.add(name, value)
        request.body = body
        return after, request

    def ack(self, invite: Request, endpoint: Endpoint, branch_id: str) -> Request:
        """Return the ACK of a 2xx to our ``invite``, with the credentials of that (§13.2.2.4)."""
        request = self._make("ACK", endpoint, branch_id, invite.cseq.number)
        for name in ("Authorization", "Proxy-Authorization"):
            for value in invite.headers.get_all(name):
                request.headers.add(name, value)
        return request

    def numbered(self, request: Request) -> tuple["Dialog", Request]:
        """Return the dialog after a second attempt, and that with a number of its own.

        Others may have been sent since the first one, so it is not that one's number and one (§12.2.1.1).
        """
        after = replace(self, local_cseq=self.local_cseq + 1)
        request.headers.set("CSeq", f"{after.local_cseq} {request.method}")
        return after, request

    def received(self, request: Request) -> "Dialog | None":
        """Return the dialog after a request from the peer; None if out of order (§12.2.2: answer 500).

        Raises:
            SipError: If it would move the peer to an address that cannot be read.
        """
        number = request.cseq.number
        if self.remote_cseq is not None and number < self.remote_cseq:
            return None
        if request.method in REFRESHING:
            _target(request)  # to be refused at once, and not when somebody has said yes
        return replace(self, remote_cseq=number)

    def refreshed(self, message: Request | Response) -> "Dialog":
        """Return the dialog with the peer's address from ``message``, if that names one (§12.2.1.2).

        ``message`` is a 2xx to one of :data:`REFRESHING`, or the request itself once it is answered with 2xx:
        what is refused changes nothing (RFC 6141 §4).
        """
        target = _target(message)
        return self if target is None else replace(self, remote_target=target)

    def export(self) -> dict[str, Any]:
        """Return the dialog as text, numbers, lists and None, for :meth:`restore`. It holds no secret."""
        exported: dict[str, Any] = msgspec.to_builtins(self)
        return exported

    @classmethod
    def restore(cls, data: Mapping[str, Any]) -> "Dialog":
        """Return the dialog that :meth:`export` wrote; raises :exc:`SipError` if it is none.

        Surplus fields are ignored: a later version of the program may have written it.
        """
        try:
            dialog = msgspec.convert(data, cls)
        except msgspec.ValidationError as exc:
            raise SipError(f"not an exported dialog: {exc}") from exc
        if dialog.local_cseq < 0 or (dialog.remote_cseq or 0) < 0:
            raise SipError("not an exported dialog: a CSeq is negative")
        for address in (dialog.local, dialog.remote, *dialog.route_set):
            NameAddr.parse(address)
        Uri.parse(dialog.remote_target)
        return dialog

    def _make(self, method: str, endpoint: Endpoint, branch_id: str, cseq: int) -> Request:
        uri, routes = self.remote_target, list(self.route_set)
        if routes and NameAddr.parse(routes[0]).uri.param("lr") is None:
            # A strict router of RFC 2543 wants to be the Request-URI itself.
            uri, routes = str(NameAddr.parse(routes[0]).uri), [*routes[1:], f"<{uri}>"]
        headers = Headers([("Via", endpoint.via(branch_id))])
        for route in routes:
            headers.add("Route", route)
        headers.add("Max-Forwards", "70")
        headers.add("From", self.local)
        headers.add("To", self.remote)
        headers.add("Call-Id", self.call_id)
        headers.add("CSeq", f"{cseq} {method}")
        if method in _WITH_CONTACT:
            headers.add("Contact", endpoint.contact)
        headers.add("User-Agent", endpoint.user_agent)
        return Request(method, uri, headers)


def _routes(message: Request | Response) -> list[str]:
    """Return the hops to name; raise :exc:`SipError` now if one cannot be read, and not when we hang up."""
    routes = message.headers.get_list("Record-Route")
    for route in routes:
        NameAddr.parse(route)
    return routes


def _target(message: Request | Response) -> str | None:
    contacts = message.headers.get_list("Contact")
    if not contacts:
        return None
    uri: Uri = NameAddr.parse(contacts[0]).uri
    return str(uri)
