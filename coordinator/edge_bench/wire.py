"""A phone as lean as can be, so that what is measured is the server: a blocking socket, and SIP as text."""

import base64
import contextlib
import os
import socket
import ssl
from typing import Self

from agents.sip.digest import Credentials, authorize, parse_challenge
from agents.sip.message import Message, Request, Response, make_response, parse
from shared.config import Account

#: Longer than anything here should take, in seconds.
PATIENCE = 20.0
_TEXT, _CLOSE, _PING, _PONG = 0x1, 0x8, 0x9, 0xA

SDP = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n"
    "m=audio 9 UDP/TLS/RTP/SAVPF 111 110\r\nc=IN IP4 127.0.0.1\r\na=mid:0\r\na=sendrecv\r\na=rtcp-mux\r\n"
    "a=rtpmap:111 opus/48000/2\r\na=rtpmap:110 telephone-event/48000\r\na=setup:actpass\r\n"
    "a=ice-ufrag:abcd\r\na=ice-pwd:0123456789abcdef01234567\r\n"
    f"a=fingerprint:sha-256 {':'.join(['AB'] * 32)}\r\n"
)


class LeanPhone:
    """One connection. Methods block, and raise :exc:`OSError` where the server does not answer in time."""

    def __init__(self, account: Account, name: str) -> None:
        self.account, self.name = account, name
        self._aor = f"sip:{account.username}@{account.domain}"
        self._contact = f"<sip:{name}@{name}.invalid;transport=wss>"
        self._cseq = 0
        self._buffer = b""

    def connect(self) -> Self:
        """Connect, and become a WebSocket."""
        host, _, port = self.account.outbound_proxy.rpartition(":")
        plain = socket.create_connection((host, int(port)), timeout=PATIENCE)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        context = ssl.create_default_context(cafile=str(self.account.ca_file))
        self.socket = context.wrap_socket(plain, server_hostname=host)
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(
            f"GET / HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Protocol: sip\r\n\r\n".encode()
        )
        while b"\r\n\r\n" not in self._buffer:
            self._read()
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 101"):
            raise ConnectionError(head.split(b"\r\n")[0].decode("latin-1"))
        return self

    def close(self) -> None:
        """Be gone."""
        with contextlib.suppress(OSError):
            self.socket.close()

    # -- registration

    def register(self, expires: int = 60) -> None:
        """Register with digest, or with ``expires`` 0 unregister."""
        answer = self._register(expires, "")
        if answer.status == 401:
            answer = self._register(expires, self._credentials(answer, "REGISTER"))
        _demand(answer, 200)

    def refresh(self) -> None:
        """Register again; a server may ask for digest again."""
        self.register()

    # -- calls

    def invite(self, number: str, callee: "LeanPhone") -> Response:
        """Call another phone, which answers at once; return the 200."""
        self._call = os.urandom(8).hex()
        first = self._invite(number, "")
        _demand(first, 407)
        self.send(self._request("ACK", f"sip:{number}@{self.account.domain}", to=first.headers.get("To")))
        self._cseq += 1
        self._send_invite(number, self._credentials(first, "INVITE"))
        callee.answer()
        final = self._final("INVITE")
        _demand(final, 200)
        return final

    def answer(self) -> None:
        """Wait for an INVITE, and answer it."""
        invite = self._request_of("INVITE")
        headers = [("Contact", self._contact), ("Content-Type", "application/sdp")]
        self.send(make_response(invite, 200, to_tag="callee", headers=headers, body=SDP).encode())

    def hang_up(self, answered: Response, callee: "LeanPhone") -> None:
        """Confirm the 200, and end the call."""
        routes = [("Route", value) for value in reversed(answered.headers.get_all("Record-Route"))]
        target = (answered.headers.get("Contact") or "").partition("<")[2].partition(">")[0]
        to = answered.headers.get("To")
        self.send(self._request("ACK", target, to=to, headers=routes))
        self._cseq += 1
        self.send(self._request("BYE", target, to=to, headers=routes))
        bye = callee._request_of("BYE")
        callee.send(make_response(bye, 200).encode())
        _demand(self._final("BYE"), 200)

    # -- frames

    def send(self, text: str) -> None:
        """Send a text frame. Its mask is zero: there is no proxy between us that could be fooled."""
        self._send(_TEXT, text.encode())

    def receive(self) -> Message:
        """Return the next SIP message."""
        while True:
            kind, payload = self._frame()
            if kind == _TEXT:
                return parse(payload.decode())
            if kind == _PING:
                self._send(_PONG, payload)
            elif kind == _CLOSE:
                raise ConnectionError(f"the server closed the connection: {payload[2:]!r}")

    def _send(self, kind: int, payload: bytes) -> None:
        size = len(payload)
        length = bytes([0x80 | size]) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
        self.socket.sendall(bytes([0x80 | kind]) + length + bytes(4) + payload)

    def _frame(self) -> tuple[int, bytes]:
        while True:
            if len(self._buffer) >= 2:
                size, head = self._buffer[1], 2
                if size == 126 and len(self._buffer) >= 4:
                    size, head = int.from_bytes(self._buffer[2:4], "big"), 4
                if len(self._buffer) >= head + size and (self._buffer[1] < 126 or head == 4):
                    kind, payload = self._buffer[0] & 0xF, self._buffer[head : head + size]
                    self._buffer = self._buffer[head + size :]
                    return kind, payload
            self._read()

    def _read(self) -> None:
        data = self.socket.recv(65_536)
        if not data:
            raise ConnectionError("the server closed the connection")
        self._buffer += data

    # -- messages

    def _register(self, expires: int, credentials: str) -> Response:
        self._cseq += 1
        self._call = "registration"
        instance = f'{self._contact};+sip.instance="<urn:uuid:{self.name}>";expires={expires}'
        headers = [("Contact", instance)]
        headers += [("Authorization", credentials)] if credentials else []
        to = f"<{self._aor}>"
        self.send(self._request("REGISTER", f"sip:{self.account.domain}", to=to, headers=headers))
        return self._final("REGISTER")

    def _invite(self, number: str, credentials: str) -> Response:
        self._cseq += 1
        self._send_invite(number, credentials)
        return self._final("INVITE")

    def _send_invite(self, number: str, credentials: str) -> None:
        headers = [("Contact", self._contact), ("Content-Type", "application/sdp")]
        headers += [("Proxy-Authorization", credentials)] if credentials else []
        target = f"sip:{number}@{self.account.domain}"
        self.send(self._request("INVITE", target, to=f"<{target}>", headers=headers, body=SDP))

    def _request(
        self,
        method: str,
        target: str,
        *,
        to: str | None,
        headers: list[tuple[str, str]] | None = None,
        body: str = "",
    ) -> str:
        lines = [
            f"{method} {target} SIP/2.0",
            f"Via: SIP/2.0/WSS {self.name}.invalid;branch=z9hG4bK-{self.name}{self._cseq}",
            f"From: <{self._aor}>;tag=lean",
            f"To: {to}",
            f"Call-Id: {self.name}-{self._call}",
            f"CSeq: {self._cseq} {method}",
            "Max-Forwards: 70",
            *(f"{name}: {value}" for name, value in headers or []),
            f"Content-Length: {len(body)}",
        ]
        return "\r\n".join([*lines, "", body])

    def _credentials(self, challenge: Response, method: str) -> str:
        name = "Www-Authenticate" if challenge.status == 401 else "Proxy-Authenticate"
        return authorize(
            parse_challenge(challenge.headers.get(name) or ""),
            Credentials(self.account.authorization_id, self.account.password),
            method=method,
            uri=f"sip:{self.account.domain}",
            cnonce="lean",
        )

    def _final(self, method: str) -> Response:
        while True:
            message = self.receive()
            if isinstance(message, Response) and message.cseq.method == method and message.status >= 200:
                return message

    def _request_of(self, method: str) -> Request:
        while True:
            message = self.receive()
            if isinstance(message, Request) and message.method == method:
                return message


def _demand(answer: Response, status: int) -> None:
    if answer.status != status:
        raise ConnectionError(f"{answer.cseq.method} was answered {answer.status} {answer.reason}")
