"""[core] What the service writes into its own requests: caller identity, call names and agent documents.

The oldest SDK splits header lines at every ``": "`` and the documents are header values, so that no name may
contain it; and names of calls have only the characters that the SDKs' expressions find.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from agents.sip.address import NameAddr, Uri
from agents.sip.dialog import Endpoint
from agents.sip.message import Headers, Request
from agents.sip.ringcentral import AGENT_CONTENT_TYPE, AgentMessage, Command

from .accounts import Subscriber, canonical

_SERVICE = "#996016"
_SEPARATOR = re.compile(":+ ")


def has_to_tag(request: Request) -> bool:
    """Return whether a request belongs to a dialog, even if its To cannot be read."""
    return ";tag=" in (request.headers.get("To") or "").lower().replace(" ", "")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, and how, as the called party sees it. ``number`` is as dialled; ``name`` may be empty.

    ``queue``: the name of the call queue that was called. ``answer_after``: the phone is to answer by itself,
    so many milliseconds after it was rung (the SDKs take it for such, whatever their manual says).
    """

    number: str
    name: str
    queue: str = ""
    answer_after: int | None = None

    @property
    def public_number(self) -> str:
        """A full number with its ``+``; an extension as it is."""
        return f"+{canonical(self.number)}" if len(self.number) >= 10 else self.number


@dataclass(frozen=True, slots=True)
class CallName:
    """What the service's REST API and its agent documents call one call. ``token`` is hexadecimal."""

    token: str

    @property
    def session_id(self) -> str:
        """The telephony session's id."""
        return f"s-{self.token}"

    def api_ids(self, party: int) -> tuple[str, str]:
        """Return the header that names the call; party 1 is the caller, 2 the callee."""
        return ("p-rc-api-ids", f"party-id={self.party_id(party)};session-id={self.session_id}")

    def party_id(self, party: int) -> str:
        """Return a party's id; it ends with one digit, as the SDKs want it, also of the tenth."""
        more = f"z{party // 10}" if party > 9 else ""
        return f"p-{self.token}{more}-{party % 10}"

    @property
    def sid(self) -> str:
        """What agent documents call it: digits."""
        return str(int(self.token, 16) % 10**14).zfill(14)


def clean(text: str) -> str:
    """Return a display name that no reader of headers can take for anything else."""
    printable = "".join(char for char in text if char.isprintable())
    return _SEPARATOR.sub(" ", printable).strip(": ")[:64]


def invitation(
    name: CallName,
    caller: Caller,
    callee: Subscriber,
    *,
    domain: str,
    request_id: str,
    place: int = 2,
) -> tuple[NameAddr, NameAddr, list[tuple[str, str]]]:
    """Return From, To and the further headers of an INVITE to one of the callee's phones.

    ``place``: which party of the call that phone is.
    """
    from_ = NameAddr(Uri("sip", caller.public_number, domain), clean(caller.name))
    to = NameAddr(Uri("sip", callee.username, domain))
    document = AgentMessage(
        sid=name.sid,
        request_id=request_id,
        sender=f"{_SERVICE}@{domain}:5060",
        recipient=callee.username,
        command=Command.INCOMING_CALL,
        body={
            "SrvLvl": "-149699523",
            "SrvLvlExt": "406",
            "Phn": caller.public_number,
            "Nm": clean(caller.name),
            "ToPhn": f"+{callee.extension.direct_number}",
            "ToNm": clean(callee.extension.display_name),
            "RecUrl": "",
        },
    )
    call_info = f"<{name.sid}@{domain}>;purpose=info"
    headers = [
        name.api_ids(place),
        ("p-rc-api-call-info", _attributes(caller)),
        ("P-rc", document.encode()),
    ]
    if caller.answer_after is not None:
        headers.append(("Alert-Info", "Auto Answer"))
        call_info += f";Answer-After={caller.answer_after}"
    return from_, to, [*headers, ("Call-Info", call_info)]


def _attributes(caller: Caller) -> str:
    """Return what a phone may do with the call, and for a queue's what it is to show."""
    if not caller.queue:
        return "callAttributes=reject,send-vm"
    queue, name = (clean(text.replace(";", " ")) for text in (caller.queue, caller.name))
    shown = "displayInfo=queueName;displayInfoSub=callerIdName"
    return f"callAttributes=queue-call,reject;callerIdName={name};{shown};queueName={queue}"


def agent_message(
    name: CallName,
    callee: Subscriber,
    command: Command,
    *,
    target: str,
    domain: str,
    endpoint: Endpoint,
    new_id: str,
    cseq: int,
    body: Mapping[str, str] | None = None,
) -> Request:
    """Return a one-way MESSAGE to a phone about a call.

    ``new_id`` is fresh; it becomes branch, tag and Call-Id. ``body`` adds to, or replaces, attributes of Bdy.
    """
    document = AgentMessage(
        sid=name.sid,
        request_id="",
        sender=f"{_SERVICE}@{domain}:5060",
        recipient=f"{callee.username}@{domain}:5060",
        command=command,
        body={"Cln": callee.authorization_id, "IP": "4294967295", "Sts": "0", "CtrlCln": "", **(body or {})},
    )
    headers = Headers(
        [
            ("Via", endpoint.via(new_id)),
            ("Max-Forwards", "70"),
            ("From", f"<sip:%23996016@{domain}>;tag={new_id}"),
            ("To", f"<sip:{callee.username}@{domain}>"),
            ("Call-Id", f"{new_id}-message"),
            ("CSeq", f"{cseq} MESSAGE"),
            ("User-Agent", endpoint.user_agent),
            ("Content-Type", AGENT_CONTENT_TYPE),
        ]
    )
    return Request("MESSAGE", target, headers, document.encode() + "\r\n")


def refer_report(status: int, reason: str) -> tuple[list[tuple[str, str]], str]:
    """Return headers and body of a NOTIFY about a transfer (RFC 3515 §2.4.4, RFC 3420)."""
    state = "active;expires=60" if status < 200 else "terminated;reason=noresource"
    headers = [
        ("Event", "refer"),
        ("Subscription-State", state),
        ("Content-Type", "message/sipfrag;version=2.0"),
    ]
    return headers, f"SIP/2.0 {status} {reason}\r\n"
