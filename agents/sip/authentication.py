"""[core] Answer the challenges of servers, on behalf of one account (RFC 3261 §22).

**Only our own realm is answered.** Anyone on the way of a request can challenge it, and each answer is a hash
of the password that can be guessed at leisure, or passed on to the real server if the challenger chose the
nonce. So a challenge counts only if its realm is the account's domain; for any other one the password is not
used, and the request fails with the challenge's status.
"""

import re
from collections.abc import Callable

from .digest import Challenge, Credentials, authorize, choose_challenge, parse_authorization
from .message import Request, Response
from .ringcentral import digest_uri, is_dialect

_BRANCH = re.compile(r";branch=[^;]*")
_HEADERS = {401: ("Www-Authenticate", "Authorization"), 407: ("Proxy-Authenticate", "Proxy-Authorization")}

#: A server that calls each nonce stale must not keep us busy for ever.
MAX_ATTEMPTS = 3
#: Nonces whose use is counted: of a registrar and some proxies, each of which may let it be used for long.
_MOST_NONCES = 8


class Authenticator:
    """Makes the second attempt of a request that was challenged.

    ``is_ringcentral`` tells whether the challenge answered last was in that service's form.
    """

    def __init__(self, credentials: Credentials, *, realm: str, new_id: Callable[[], str]) -> None:
        self._credentials, self._realm, self._new_id = credentials, realm, new_id
        self._counts: dict[str, tuple[int, str]] = {}  # by nonce: how often it was answered, and its cnonce
        self.is_ringcentral = False

    def retry(self, request: Request, response: Response) -> Request | None:
        """Return ``request`` with an answer to the challenge in ``response``, or None if there is no use.

        It is a new request: its CSeq is one higher and its branch new (§8.1.3.5). There is no use if the
        realm is not ours, no challenge can be answered, or the server has refused this very password.
        """
        if response.status not in _HEADERS:
            return None
        challenge_name, answer_name = _HEADERS[response.status]
        challenge = choose_challenge(response.headers.get_all(challenge_name), realm=self._realm)
        if challenge is None or not self._may_answer(request, answer_name, challenge):
            return None
        self.is_ringcentral = is_dialect(challenge)
        again = Request(request.method, request.uri, request.headers.copy(), request.body)
        via = _BRANCH.sub(f";branch=z9hG4bK-{self._new_id()}", again.headers.get_all("Via")[0])
        again.headers.set("Via", via)
        again.headers.set("CSeq", f"{request.cseq.number + 1} {request.method}")
        again.headers.remove(answer_name)
        again.headers.add(answer_name, self._answer(challenge, again))
        return again

    def _may_answer(self, request: Request, name: str, challenge: Challenge) -> bool:
        before = request.headers.get(name)
        if before is None:
            return True
        return challenge.is_stale and parse_authorization(before).nonce != challenge.nonce

    def _answer(self, challenge: Challenge, request: Request) -> str:
        # All requests with one nonce have one cnonce: -sess hashes the first one only (RFC 7616 §3.4.2).
        count, cnonce = self._counts.pop(challenge.nonce, (0, ""))
        cnonce = cnonce or self._new_id()
        self._counts[challenge.nonce] = count + 1, cnonce
        if len(self._counts) > _MOST_NONCES:
            del self._counts[next(iter(self._counts))]
        return authorize(
            challenge,
            self._credentials,
            method=request.method,
            uri=digest_uri(challenge, request, self._realm),
            cnonce=cnonce,
            nc=count + 1,
            body=request.body,
        )
