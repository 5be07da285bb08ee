"""P7: no secret reaches any log, trace or snapshot."""

import re
from pathlib import Path

from .evidence import Evidence
from .verdict import Breaches, Verdict, plural, undecided

#: What is a secret by its form, wherever it comes from.
_FORMS = {
    "a digest response": re.compile(rb"""\bresponse=["']?[0-9a-f]{32,}"""),
    "an ICE password": re.compile(rb"a=ice-pwd:[^\s\[]"),
    "an SRTP key": re.compile(rb"a=crypto:[^\s\[]"),
    "a bearer token": re.compile(rb"Bearer [A-Za-z0-9._~+/-]{8,}"),
    "a private key": re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
}


def judge(evidence: Evidence) -> Verdict:
    """Search all files that are not there to hold secrets."""
    if not evidence.files:
        return undecided("P7", "there is no file to search")
    breaches = Breaches("P7")
    for path in evidence.files:
        _search(evidence, path, breaches)
    return breaches.verdict(
        f"{plural(len(evidence.files), 'file')} searched for {plural(len(evidence.secrets), 'known secret')} "
        f"and for {len(_FORMS)} forms of others"
    )


def _search(evidence: Evidence, path: Path, breaches: Breaches) -> None:
    for number, line in enumerate(path.read_bytes().split(b"\n"), start=1):
        found = [what for secret, what in evidence.secrets.items() if secret.encode() in line]
        found += [what for what, form in _FORMS.items() if form.search(line)]
        for what in found:
            # The line itself is not quoted: it holds the secret.
            where = f"{path.relative_to(evidence.directory)}:{number}"
            breaches.add(f"{what} is in {where}")
