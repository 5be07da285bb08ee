"""What the service and a phone core tell each other of a call: by messages while it rings, by INFO later."""

from typing import Any

import msgspec

from agents.sip.events import DialogRequestReceived
from agents.sip.message import make_response
from agents.sip.ringcentral import AgentMessage, Command
from shared.messages import Request

from .fakes import WALL, Rig
from .talks import Talk

SID = "35464233129848"
P_RC = AgentMessage(
    SID, "{EEB7}", "#996016@sip.test:5060", "16505550100*101", 6, {"Nm": "ADA", "ToNm": "Front Desk"}
)
ATTRIBUTES = ("p-rc-api-call-info", "callAttributes=reject,send-vm")
QUEUE = (
    "p-rc-api-call-info",
    "callAttributes=queue-call,reject;callerIdName=ADA;queueName=Sales=all",
)


def ringing(rig: Rig, *headers: tuple[str, str]) -> tuple[str, str]:
    """Let a call come as the real service brings it; return our call's id and the far end's session."""
    session = rig.ring(headers=[("P-rc", P_RC.encode()), *(headers or (ATTRIBUTES,))])
    rig.sip.clear()
    return rig.call().call_id, session


def closed(**body: str) -> AgentMessage:
    """Return the service's word that it goes on with the call."""
    return AgentMessage(SID, "", "#1@sip.test", "101", Command.SESSION_CLOSE, {"Cln": "800000000101", **body})


def asked(rig: Rig, *, status: int = 200) -> dict[str, Any]:
    """Answer the oldest INFO, and return what it asks for."""
    event = next(event for event in rig.far_events if is_info(event))
    rig.far_events.remove(event)
    rig.far.respond(event.key, make_response(event.request, status), rig.now)
    rig.run()
    content_type = event.request.headers.get("Content-Type")
    if content_type == "application/dtmf-relay":
        return dict(line.split("=") for line in event.request.body.splitlines())
    assert content_type == "application/json;charset=utf-8"
    document: dict[str, Any] = msgspec.json.decode(event.request.body)
    return dict(document["request"])


def is_info(event: object) -> bool:
    return isinstance(event, DialogRequestReceived) and event.request.method == "INFO"


def tell(talk: Talk, reqid: int, command: str, code: int = 0, **result: Any) -> None:
    """Let the service say what became of a request."""
    facts = {"code": code, "description": "Failed" if code else "Succeeded", **result}
    inform(talk, msgspec.json.encode({"response": {"reqid": reqid, "command": command, "result": facts}}))


def inform(talk: Talk, body: bytes) -> None:
    headers = [("Content-Type", "application/json;charset=utf-8")]
    talk.rig.far.request_in_dialog(
        talk.session, "INFO", talk.rig.now, headers=headers, body=body.decode() + "\r\n"
    )
    talk.rig.run()


def ask(rig: Rig, action: Any) -> Request:
    request = rig.ask(action, WALL)
    rig.run()
    return request
