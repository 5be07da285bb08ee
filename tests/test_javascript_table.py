"""docs/javascript-to-python.md: complete, and each name and each test in it exists."""

import ast
import inspect
import re
from collections.abc import Iterator
from functools import cache

import pytest

import coordinator
from coordinator.sound import DeviceManager
from shared.conference import Conference
from shared.messages import Replied
from shared.phone import EVENTS
from shared.sound import Sound

from .sources import ROOT

TABLE = ROOT / "docs" / "javascript-to-python.md"

#: The public members of the package, as its type declarations of 2.1.18 and 2.5.4 list them.
MEMBERS = {
    "WebPhoneOptions": "sipInfo instanceId debug sipClient deviceManager autoAnswer webRtcSessionFactory",
    "WebPhone": "start dispose call callSessions sipInfo sipClient deviceManager autoAnswer options disposed",
    "SipInfo": "authorizationId domain outboundProxy outboundProxyBackup username password stunServers",
    "SipClient": "start connect register unregister toggleBackupOutboundProxy request reply send dispose "
    "disposed wsc sipInfo instanceId",
    "CallSession": "callId sessionId partyId remoteNumber localNumber isConference state direction webPhone "
    "sipMessage localPeer remotePeer localTag remoteTag rtcPeerConnection mediaStream audioElement "
    "inputDeviceId outputDeviceId init changeInputDevice changeOutputDevice transfer warmTransfer "
    "completeWarmTransfer hangup "
    "startRecording stopRecording flip park hold unhold mute unmute sendDtmf reInvite handleReInvite dispose",
    "InboundCallSession": "rcApiCallInfo confirmReceive answer decline toVoicemail forward startReply reply",
    "ReplyOptions": "type direction delay unit",
    "OutboundCallSession": "call cancel",
    "DeviceManager": "getInputDeviceId getOutputDeviceId",
    "WebRtcSession": "createOffer createAnswer applyAnswer changeInputDevice changeOutputDevice setMuted "
    "sendDtmf dispose",
    "EventEmitter": "on once off emit removeAllListeners",
}
OTHERS = {"new WebPhone", "DummySipClient", "RcMessage"}
JS_EVENTS = (
    "inboundCall outboundCall ringing answered disposed failed mediaStreamSet inboundMessage outboundMessage"
)

_SPAN = re.compile(r"`([^`]+)`")
_NAME = re.compile(r"(?:[A-Z]\w*)(?:\.\w+)?(?:\(\w+=\))?|join")
_EVENT = re.compile(r"event `(\w+)`")


def rows() -> Iterator[tuple[str, str, str]]:
    """Yield the three cells of each row."""
    for line in TABLE.read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and len(cells) == 3 and not set(line) <= set("|-") and cells[2] != "Test":
            yield cells[0], cells[1], cells[2]


def namespace() -> dict[str, object]:
    """Return what the names in the table begin with."""
    found = {name: getattr(coordinator, name) for name in coordinator.__all__}
    return found | {
        "Conference": Conference,
        "DeviceManager": DeviceManager,
        "Replied": Replied,
        "Sound": Sound,
    }


@cache
def known_tests(path: str) -> set[str]:
    """Return the names of the tests in a file."""
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    return {node.name for node in functions if node.name.startswith("test_")}


def exists(name: str) -> bool:
    """Return whether ``Kind``, ``Kind.name`` or ``Kind.name(argument=)`` is there."""
    dotted, _, argument = name.rstrip(")=").partition("(")
    kind, _, member = dotted.partition(".")
    subject = namespace().get(kind)
    if subject is None:
        return False
    if member:
        is_field = member in getattr(subject, "__annotations__", {}) or member == "status"
        if not hasattr(subject, member):
            return is_field
        subject = getattr(subject, member)
    return not argument or argument in inspect.signature(subject).parameters  # type: ignore[arg-type]


def test_every_public_member_of_the_package_has_a_row() -> None:
    first = [cells[0] for cells in rows()]
    named = {span.removesuffix("()") for cell in first for span in _SPAN.findall(cell)}
    members = {f"{kind}.{member}" for kind, names in MEMBERS.items() for member in names.split()}
    assert (members | OTHERS) - named == set()
    assert set(JS_EVENTS.split()) - {name for cell in first for name in _EVENT.findall(cell)} == set()


@pytest.mark.parametrize(("javascript", "python", "test"), list(rows()))
def test_each_name_and_each_test_of_a_row_exists(javascript: str, python: str, test: str) -> None:
    names = [span for span in _SPAN.findall(python) if _NAME.fullmatch(span)]
    events = _EVENT.findall(python)
    assert names or events or python.startswith(("none", "nothing")), python
    assert [name for name in names if not exists(name)] == []
    assert [event for event in events if event not in EVENTS] == []
    [reference] = _SPAN.findall(test)
    path, _, function = reference.partition("::")
    assert function in known_tests(path), reference


def test_a_name_that_is_not_there_would_be_noticed() -> None:
    assert not exists("Call.sing")
    assert not exists("Call.reply(loudly=)")
    assert not exists("Nobody.call")
    assert exists("Call.reply(kind=)")
