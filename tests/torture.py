"""Messages of each kind that RFC 4475 collects, in words and numbers of our own: odd ones and broken ones.

Each is text with plain line ends; :func:`frame` makes what a connection would bring. The number before a name
is the section of the RFC that describes the kind.
"""

_TOP = "Via: SIP/2.0/WSS desk.example;branch=z9hG4bK-t{n}\n"
_REST = "From: <sip:carol@desk.example>;tag=c{n}\nTo: <sip:dave@hall.example>\nCall-ID: torture-{n}@desk\n"
_BASE = _TOP + _REST


def _request(
    number: int,
    start: str,
    *,
    top: str = _TOP,
    rest: str = _REST,
    more: str = "",
    cseq: str = "",
    body: str = "",
) -> str:
    cseq = cseq or f"CSeq: 31 {start.split(maxsplit=1)[0]}\n"
    return start + "\n" + (top + rest).replace("{n}", str(number)) + cseq + more + "\n" + body


_SDP = "v=0\no=carol 7 7 IN IP4 192.0.2.7\ns=-\nc=IN IP4 192.0.2.7\nt=0 0\nm=audio 9 UDP/TLS/RTP/SAVPF 0\n"
_SDP_FIELD = "Content-Type: application/sdp\n"
_INVITE = "INVITE sip:dave@hall.example SIP/2.0"
_OPTIONS = "OPTIONS sip:dave@hall.example SIP/2.0"

#: Odd but right: each must be read, and ``ANSWERS`` says what a phone answers.
VALID = {
    "3.1.1.1 folded lines, compact and mixed names, odd spaces": (
        "INVITE sip:dave@hall.example;odd=one SIP/2.0\n"
        "tO :\n sip:dave@hall.example ;   weight   = 77\n"
        'f : "Carol \\\\\\"C\\"" \n  <sip:carol@desk.example>\n ;\n tag = 5gh\n'
        "mAX-fORWARDS: 0067\nI: torture-odd.8@192.0.2.7\nCoNtEnT-LeNgTh   : {length}\n"
        "cSEQ: 0031\n  INVITE\n"
        "viA  : SIP  /   2.0\n /WSS\n    192.0.2.7;branch=older\n"
        "S :\nNeverSeenField:   begins\n goes on\nNobodyKnows: ;,;;,;,,\n"
        "C: application/sdp\nRoute:\n <sip:hop.example;lr;extra=1;flag>\n"
        "v:  SIP  / 2.0  / TCP     reel.example   ;\n  branch  =   z9hG4bKx1  ,\n"
        " SIP  /    2.0   / UDP  192.168.7.7   ; branch=\n z9hG4bKx2\n"
        'm:"Two quotes \\"\\"" <sip:carol@desk.example> ; fresh =\n      value ;\n  other ; q = 0.4\n'
        "\n" + _SDP
    ),
    "3.1.1.2 every character that a token may have": _request(
        2,
        "!odd-Method98_*+`.%almost'~ "
        "sip:9_user.X~(may-be)&so+on$/right?,/;;*:&it+is=9,odd!*pa$s_too.(y)@hall.example SIP/2.0",
        rest='To: "BEL:\\\x07 NUL:\\\0 DEL:\\\x7f" <sip:9_user.X~(may-be)&so@hall.example>\n'
        "From: t-~.!%*_+`' <sip:carol@desk.example>;t-.!%*_+`'~=\";;,@\";tag=_t-~1.!%*+`'\n"
        "Call-ID: odd!%*_+`'~()<>:\\\"/[]?{}\n",
        cseq="CSeq: 31 !odd-Method98_*+`.%almost'~\n",
        more="field-!.%*+_`'~: \ufeff\u5927\u96fb\n",
    ),
    "3.1.1.3 escapes that are right": _request(
        3,
        "INVITE sip:sips%3Adave%40hall.example@hall.example SIP/2.0",
        rest="To: sip:%64av%65@hall.example\nFrom: <sip:room%20seven@desk.example>;tag=c3\nCall-ID: esc\n",
        more=f"Contact: <sip:ca%72ol@desk.example;%6C%72;na%6De=v%61l%25%34%31>\n{_SDP_FIELD}",
        body=_SDP,
    ),
    "3.1.1.4 an escaped NUL in a user part": _request(
        4,
        "REGISTER sip:hall.example SIP/2.0",
        rest="To: sip:ze-%00-ro@hall.example\nFrom: sip:ze-%00-ro@hall.example;tag=c4\nCall-ID: nul\n",
        more="Contact: <sip:%00@desk.example>\nContact: <sip:%00%00@desk.example>\n",
    ),
    "3.1.1.5 percent signs that escape nothing": _request(
        5,
        "INF%4F sip:dave@hall.example SIP/2.0",
        more="Contact: <sip:a@%68.example>\n",
        cseq="CSeq: 5 INF%4F\n",
    ),
    "3.1.1.6 no space between a name and its bracket": _request(
        6,
        _OPTIONS,
        rest="From: carol<sip:carol@desk.example>;tag=c6\nTo: sip:dave@hall.example\nCall-ID: tight\n",
    ),
    "3.1.1.7 very long values": _request(
        7,
        _INVITE,
        rest=f'From: "{"so long " * 40}" <sip:{"carol" * 60}@desk.example>;tag={"9" * 300}\n'
        f"To: <sip:dave@hall.example;extra={'x' * 700}>\nCall-ID: {'long' * 90}\n",
        more="".join(f"Via: SIP/2.0/TCP hop{hop}.example;branch=z9hG4bK{'b' * 99}\n" for hop in range(32))
        + f"{'Long-' * 30}Name: short\n{_SDP_FIELD}",
        body=_SDP,
    ),
    "3.1.1.8 more behind the body than it may have": _request(
        8,
        "MESSAGE sip:dave@hall.example SIP/2.0",
        more="Content-Type: text/plain\nContent-Length: 5\n",
        body="hello" + _request(88, "BYE sip:dave@hall.example SIP/2.0"),
    ),
    "3.1.1.9 semicolons in a user part": _request(9, "OPTIONS sip:dave;ext=7%40home@hall.example SIP/2.0"),
    "3.1.1.10 transports that nobody knows": _request(
        10,
        _OPTIONS,
        more="Via: SIP/2.0/PIGEON roof.example;branch=z9hG4bKp\nVia: SIP/2.0/SCTP 192.0.2.8;branch=z9hG4bKs\n"
        "Via: SIP/2.0/TLS-SCTP x.example;branch=z9hG4bKq\n",
    ),
    "3.1.1.11 a body of several parts, with octets in it": _request(
        11,
        "MESSAGE sip:dave@hall.example SIP/2.0",
        more='Content-Type: multipart/mixed;boundary="7aqZ"\n',
        body="--7aqZ\nContent-Type: text/plain\n\nhi\n--7aqZ\nContent-Type: application/octet-stream\n\n"
        "\x00\x01\ufffd\ufffd\x02\n--7aqZ--\n",
    ),
    "3.1.1.12 a reason in another script": "SIP/2.0 200 = 2**3 * 5**2 \u043d\u043e \u0442\u0440\u0438\n"
    + _BASE.replace("{n}", "12")
    + "CSeq: 31 INVITE\n\n",
    "3.1.1.13 a reason that is empty": "SIP/2.0 180 \n" + _BASE.replace("{n}", "13") + "CSeq: 31 INVITE\n\n",
}

#: Broken: none is read as a message that means something. Requests are refused, responses dropped.
BROKEN = {
    "3.1.2.1 separators with nothing between": _request(
        21, _INVITE, top="Via: SIP/2.0/WSS 192.0.2.7;;,;,,\n", more=_SDP_FIELD, body=_SDP
    ),
    "3.1.2.2 less body than Content-Length": _request(
        22, _INVITE, more=f"{_SDP_FIELD}Content-Length: 7777\n", body=_SDP
    ),
    "3.1.2.3 a negative Content-Length": _request(
        23, _INVITE, more=f"{_SDP_FIELD}Content-Length: -777\n", body=_SDP
    ),
    "3.1.2.4 numbers too large for a request": _request(
        24,
        "REGISTER sip:hall.example SIP/2.0",
        cseq="CSeq: 77777777777777777777 REGISTER\n",
        more="Max-Forwards: 777\nExpires: 88888888888888888888\n"
        "Contact: <sip:c@desk.example>;expires=99999999999\n",
    ),
    "3.1.2.5 numbers too large for a response": "SIP/2.0 503 Service Unavailable\n"
    + _BASE.replace("{n}", "25")
    + 'CSeq: 8888888888888888888 OPTIONS\nRetry-After: 77777777777777777777777\nWarning: 7777 over "all"\n\n',
    "3.1.2.6 a quote that nobody closes": _request(
        26,
        _INVITE,
        rest='From: <sip:carol@desk.example>;tag=c\nTo: "Dave <sip:dave@hall.example>\nCall-ID: q\n',
    ),
    "3.1.2.7 brackets around the Request-URI": _request(27, "INVITE <sip:dave@hall.example> SIP/2.0"),
    "3.1.2.8 a space in the Request-URI": _request(28, "INVITE sip:dave@hall.example; lr SIP/2.0"),
    "3.1.2.9 two spaces in the request line": _request(29, "INVITE  sip:dave@hall.example  SIP/2.0"),
    "3.1.2.10 spaces behind the request line": _request(30, "OPTIONS sip:dave@hall.example SIP/2.0  "),
    "3.1.2.11 header fields in the Request-URI": _request(
        31, "INVITE sip:dave@hall.example?Route=%3Csip:evil.example%3E SIP/2.0"
    ),
    "3.1.2.16 a version that is not ours": _request(36, "OPTIONS sip:dave@hall.example SIP/9.1"),
    "3.1.2.17 one method above, another in CSeq": _request(37, _OPTIONS, cseq="CSeq: 31 INVITE\n"),
    "3.1.2.18 an unknown method, and another in CSeq": _request(
        38, "NEWMETHOD sip:dave@hall.example SIP/2.0", cseq="CSeq: 31 INVITE\n"
    ),
    "3.1.2.19 a status that overflows": "SIP/2.0 4294967496 still standing\n"
    + _BASE.replace("{n}", "39")
    + "CSeq: 31 INVITE\n\n",
    "3.3.1 fields that must be there and are not": "OPTIONS sip:dave@hall.example SIP/2.0\n"
    + _TOP.replace("{n}", "41")
    + "CSeq: 31 OPTIONS\n\n",
    "3.3.2 a scheme that nobody knows": _request(42, "OPTIONS someScheme:of-no-meaning SIP/2.0"),
    "3.3.3 a scheme that is known, but not for calls": _request(
        43, "OPTIONS soap.beep://192.0.2.7:3002 SIP/2.0"
    ),
    "3.3.5 extensions that nobody has": _request(
        45, _OPTIONS, more="Require: wonder, miracle\nProxy-Require: marvel\n"
    ),
    "3.3.6 a description in an unknown form": _request(
        46, _INVITE, more="Content-Type: application/drawing\n", body="<audio/>"
    ),
    "3.3.8 twice what must be there once": _request(
        48, _INVITE, more="Call-ID: another\nCSeq: 32 INVITE\nMax-Forwards: 5\nTo: <sip:eve@hall.example>\n"
    ),
    "3.3.9 two lengths that differ": _request(
        49, _OPTIONS, more="Content-Length: 3\nContent-Length: 5\n", body="hello"
    ),
    "3.3.15 an answer wanted in an unknown form": _request(
        55, _INVITE, more=f"Accept: text/poem\n{_SDP_FIELD}", body=_SDP
    ),
}

#: Between the two: the RFC leaves the choice, or asks that they do no harm.
TOLERATED = {
    "3.1.2.12 a date in a zone that SIP does not have": _request(
        32, _OPTIONS, more="Date: Sat, 07 Feb 2026 07:07:07 EST\n"
    ),
    "3.1.2.13 a contact whose URI needs brackets": _request(
        33, _INVITE, more=f"Contact: sip:carol@desk.example?Route=%3Csip:h%3E\n{_SDP_FIELD}", body=_SDP
    ),
    "3.1.2.14 spaces inside the brackets": _request(
        34,
        _OPTIONS,
        rest='From: <sip:carol@desk.example>;tag=c\nTo: "Dave, D" < sip:dave@hall.example >\nCall-ID: sp\n',
    ),
    "3.1.2.15 a comma in a name without quotes": _request(
        35,
        _OPTIONS,
        rest="From: Desk, Carol <sip:carol@desk.example>;tag=c\nTo: <sip:dave@hall.example>\nCall-ID: dn\n",
    ),
    "3.2.1 a branch that stops behind its cookie": _request(
        40, _OPTIONS, top="Via: SIP/2.0/WSS desk.example;branch=z9hG4bK\n"
    ),
    "3.3.4 schemes that nobody knows in other fields": _request(
        44,
        "REGISTER sip:hall.example SIP/2.0",
        rest="From: <http://desk.example>;tag=c\nTo: isbn:0000000000\nCall-ID: schemes\n",
        more="Contact: <name:Carol>\n",
    ),
    "3.3.7 credentials in an unknown form": _request(
        47, "REGISTER sip:hall.example SIP/2.0", more="Authorization: Handshake firm=yes\n"
    ),
    "3.3.10 an answer that came by broadcast": "SIP/2.0 200 OK\nVia: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bKb1\n"
    "Via: SIP/2.0/UDP 255.255.255.255;branch=z9hG4bKb2\n"
    + _REST.replace("{n}", "50")
    + "CSeq: 31 INVITE\nContact: <sip:dave@hall.example>\n\n",
    "3.3.11 no forward left": _request(51, _OPTIONS, more="Max-Forwards: 0\n"),
    "3.3.12 a parameter of a contact": _request(
        52, "REGISTER sip:hall.example SIP/2.0", more="Contact: <sip:c@desk.example>;unknown=7\n"
    ),
    "3.3.13 a parameter of a contact's URI": _request(
        53, "REGISTER sip:hall.example SIP/2.0", more="Contact: <sip:c@desk.example;unknown>\n"
    ),
    "3.3.14 a header field in a contact's URI": _request(
        54, "REGISTER sip:hall.example SIP/2.0", more="Contact: <sip:c@desk.example?Route=%3Csip:h%3E>\n"
    ),
    "3.4.1 a call as RFC 2543 made them": "INVITE sip:dave@hall.example SIP/2.0\n"
    "Via: SIP/2.0/UDP desk.example\nFrom: sip:carol@desk.example\nTo: sip:dave@hall.example\n"
    f"Call-ID: 2543\nCSeq: 1 INVITE\n{_SDP_FIELD}\n" + _SDP,
}

ALL = {**VALID, **BROKEN, **TOLERATED}


def frame(text: str) -> str:
    """Return what the connection brings: CR LF, and the length where the text has a place for it."""
    head, _, body = text.partition("\n\n")
    body = body.replace("\n", "\r\n")
    head = head.replace("{length}", str(len(body.encode())))
    return head.replace("\n", "\r\n") + "\r\n\r\n" + body
