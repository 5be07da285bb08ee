"""What each target begins with: the golden messages, the odd ones of RFC 4475, and some of their parts."""

from pathlib import Path

from agents.sip.message import parse

from ..sip_pair import OFFER
from ..torture import ALL, frame

_WIRE = Path(__file__).parents[1] / "wire"


def seeds(target: str) -> list[str]:
    """Return texts to begin with."""
    golden = [path.read_text("utf-8").replace("\n", "\r\n") for path in sorted(_WIRE.glob("*.txt"))]
    if target in ("message", "phone"):
        return [*golden, *map(frame, ALL.values())]
    if target == "sdp":
        return [message.body for message in map(parse, golden) if message.body.startswith("v=0")]
    if target == "xml":
        texts = [message.headers.get("P-rc") or message.body for message in map(parse, golden)]
        return [text for text in texts if text.startswith("<Msg>")]
    if target == "leader":
        return [*_INFOS, *_RESULTS, OFFER]
    return _CHALLENGES if target == "challenge" else _INFOS


_CHALLENGES = [
    'Digest realm="sip.test", nonce="bm9uY2U="',
    'Digest realm="sip.test", nonce="n", algorithm=SHA-256-sess, qop="auth,auth-int", stale=true, opaque=""',
    'Digest realm="a", nonce="1", Basic realm="b", Digest realm="sip.test",nonce="2", algorithm=SHA-512-256',
    'Digest username="u", realm="r", nonce="n", uri="sip:h", response="0", qop=auth, nc=00000001, cnonce="c"',
]
_INFOS = [
    '{"request":{"reqid":2,"command":"callflip","target":"+16505550101"}}',
    '{"response":{"reqid":2,"command":"callpark","result":{"code":0,"park extension":"801"}}}',
]
_RESULTS = [
    '{"response":{"reqid":1,"command":"startcallrecord","result":{"code":0,"description":"Succeeded"}}}',
    '{"response":{"reqid":2,"command":"callflip","result":{"code":0,"number":"+1650","target":"1650"}}}',
    '{"response":{"reqid":3,"command":"callpark","result":{"code":-5,"description":"no"}}}',
    "SIP/2.0 200 OK\r\n",
    "SIP/2.0 486 Busy Here\r\n",
]
