"""What is fuzzed: each target takes any text, and raises only if something is wrong with our code.

A refusal by :exc:`SipError` is right; whatever is accepted must come out again as it went in.
"""

import contextlib
from collections.abc import Callable

from agents.pbx.infos import read_request
from agents.sip import digest, ringcentral
from agents.sip.address import parse_contacts
from agents.sip.authentication import Authenticator
from agents.sip.dialog import Dialog
from agents.sip.message import Headers, Message, Request, Response, make_response, parse
from agents.sip.reason import reason_of
from agents.sip.refer import ReferTo, parse_sipfrag
from agents.sip.refusal import objection, refuse
from agents.sip.ringcentral import AgentMessage
from agents.sip.sdp import Sdp, mirror
from agents.sip.user_agent import UserAgent
from shared.errors import ActionRefused, SipError
from shared.messages import Answer, Flip, Park, StartRecording, Transfer

from ..fakes import Rig
from ..sip_pair import OFFER, id_factory
from ..sip_service import ACCOUNT

_US = digest.Credentials("802396666666", "s3cr3t")


def message(text: str) -> None:
    """Read a frame, each of its parts, and what answers it; write it, and read it again."""
    try:
        read = parse(text)
    except SipError as exc:
        answer = refuse(text, exc)
        if answer is not None:
            answer.encode()
        return
    _read_parts(read)
    with contextlib.suppress(SipError):
        again = parse(read.encode())
        assert again.headers.get_all("Via") == read.headers.get_all("Via")
        assert again.body == read.body
        assert again.cseq == read.cseq
    if isinstance(read, Request):
        with contextlib.suppress(SipError):
            objection(read)
        with contextlib.suppress(SipError):
            make_response(read, 200, to_tag="t").encode()
        reason_of(read)


def _read_parts(read: Message) -> None:
    for read_part in (
        lambda: read.via.branch,
        lambda: read.from_.tag,
        lambda: str(read.to),
        lambda: parse_contacts(read.headers.get_all("Contact")),
        lambda: read.headers.get_list("Accept"),
        lambda: ReferTo.parse(read.headers.get("Refer-To") or ""),
        lambda: (
            Dialog.restore(Dialog.from_request(read, local_tag="t", first_cseq=1).export())
            if isinstance(read, Request)
            else None
        ),
    ):
        with contextlib.suppress(SipError):
            read_part()
    ringcentral.api_ids(read.headers)
    ringcentral.call_info(read.headers)
    ringcentral.call_message(read.headers)
    parse_sipfrag(read.body)


def challenge(text: str) -> None:
    """Read challenges and answers to them, and answer one as a phone would."""
    for part in digest.split_challenges(text):
        with contextlib.suppress(SipError):
            assert digest.parse_challenge(part).realm is not None
    with contextlib.suppress(SipError):
        digest.parse_authorization(text)
    chosen = digest.choose_challenge([text], realm="sip.test")
    if chosen is not None:
        header = digest.authorize(chosen, _US, method="INVITE", uri="sip:b@sip.test", cnonce="c0")
        answer = digest.parse_authorization(header)
        assert (answer.realm, answer.nonce) == ("sip.test", chosen.nonce)
        assert _US.password not in header.replace(chosen.nonce, "").replace(chosen.opaque or "", "")
    request = Request("INVITE", "sip:b@sip.test", Headers(_FIELDS))
    response = Response(407, "", Headers([("Proxy-Authenticate", text)]))
    authenticator = Authenticator(_US, realm="sip.test", new_id=lambda: "x")
    again = authenticator.retry(request, response)
    if again is not None:
        with contextlib.suppress(SipError):
            again.encode()


_FIELDS = [
    ("Via", "SIP/2.0/WSS a.invalid;branch=z9hG4bK-1"),
    ("From", "<sip:a@sip.test>;tag=1"),
    ("To", "<sip:b@sip.test>"),
    ("Call-Id", "c"),
    ("CSeq", "1 INVITE"),
]


def sdp(text: str) -> None:
    """Read a description, change what we change, and read it again."""
    try:
        read = Sdp.parse(text)
    except SipError:
        return
    assert Sdp.parse(read.encode()) == read
    assert mirror(mirror(read.direction)) == read.direction
    read.payloads()
    assert read.has_ice in (True, False)
    assert read.has_candidates in (True, False)
    read.attribute("fingerprint")
    with contextlib.suppress(SipError):
        assert read.with_direction("inactive").direction == "inactive"
    with contextlib.suppress(SipError):
        assert read.with_version(7).version == 7


def xml(text: str) -> None:
    """Read an agent document; what is accepted is written as one that means the same."""
    try:
        read = AgentMessage.parse(text)
    except SipError:
        return
    header = Headers([("P-rc", read.encode())])
    again = AgentMessage.parse(header.get("P-rc") or "")
    assert again.command == read.command
    read.reply(17, {"Cln": "1"}).encode()


def info(text: str) -> None:
    """Read the JSON of an INFO."""
    asked = read_request(text)
    assert asked is None or isinstance(asked.command, str)


def phone(text: str) -> None:
    """Give frames, parted by a form feed, to a phone that has called, is called, and has hung up."""
    core = UserAgent(ACCOUNT, instance_id="i", new_id=id_factory("id"), now=0.0)
    core.connected(0.0)
    core.effects()
    core.receive(_REGISTERED, 0.1)
    if core.registration_state == "registered":
        core.invite("102", OFFER, now=0.2)
    now = 1.0
    for frame in text.split("\f"):
        core.receive(frame, now)
        for effect in core.effects():
            assert "s3cr3t" not in getattr(effect, "text", "")
        now += 1.0
        core.tick(now)
    core.disconnected(now)
    core.tick(now + 100)
    core.effects()


def leader(text: str) -> None:
    """Give a text as the body of all that a call's far end can send to a leader that has asked it for things.

    Whoever asked gets one answer, whatever the text is.
    """
    rig = Rig()
    session = rig.ring()
    call_id = rig.call().call_id
    rig.do(Answer(call_id=call_id))
    asked = [
        rig.ask(action)
        for action in (
            StartRecording(call_id=call_id),
            Flip(call_id=call_id, target="101"),
            Park(call_id=call_id),
            Transfer(call_id=call_id, target="102"),
        )
    ]
    rig.run()
    for method in ("INFO", "INFO", "INFO", "NOTIFY", "UPDATE", "INFO", "MESSAGE"):
        with contextlib.suppress(SipError, ActionRefused):  # it cannot be sent, or the call is over
            rig.far.request_in_dialog(session, method, rig.now, body=text)
        rig.run()
    with contextlib.suppress(SipError, ActionRefused):
        rig.far.reinvite(session, text, rig.now)
    rig.run()
    rig.wait(100)
    for request in asked:
        assert rig.answer_to(request) is not None


_REGISTERED = (
    "SIP/2.0 200 OK\r\nVia: SIP/2.0/WSS id1.invalid;branch=z9hG4bK-id5\r\n"
    "From: <sip:16505550100*101@sip.test>;tag=id4\r\nTo: <sip:16505550100*101@sip.test>;tag=s\r\n"
    "Call-Id: id3\r\nCSeq: 1 REGISTER\r\nExpires: 60\r\n\r\n"
)

TARGETS: dict[str, Callable[[str], None]] = {
    "message": message,
    "challenge": challenge,
    "sdp": sdp,
    "xml": xml,
    "info": info,
    "phone": phone,
    "leader": leader,
}
