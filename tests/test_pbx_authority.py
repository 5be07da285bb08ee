import os
import ssl
from pathlib import Path

import pytest
from cryptography import x509

from agents.pbx.authority import server_context
from shared.errors import ConfigError
from shared.files import write_private


def handshake(server: ssl.SSLContext, client: ssl.SSLContext, host: str) -> None:
    """Let two contexts shake hands in memory; raises :exc:`ssl.SSLError` if one does not like the other."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname=host),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    for _ in range(8):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_who_has_the_ca_file_trusts_the_server_by_name_and_by_address(tmp_path: Path, host: str) -> None:
    server = server_context(tmp_path)
    handshake(server, ssl.create_default_context(cafile=str(tmp_path / "ca.pem")), host)


def test_nobody_else_trusts_it_and_it_is_not_valid_for_other_names(tmp_path: Path) -> None:
    server = server_context(tmp_path)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(server, ssl.create_default_context(), "localhost")
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(server, ssl.create_default_context(cafile=str(tmp_path / "ca.pem")), "sip.example.com")


def test_the_authority_is_kept_and_the_servers_certificate_is_new_each_time(tmp_path: Path) -> None:
    server_context(tmp_path)
    authority, server = (tmp_path / "ca.pem").read_bytes(), (tmp_path / "server.pem").read_bytes()
    server_context(tmp_path)

    assert (tmp_path / "ca.pem").read_bytes() == authority
    assert (tmp_path / "server.pem").read_bytes() != server


def test_an_authority_that_was_damaged_is_made_anew(tmp_path: Path) -> None:
    server_context(tmp_path)
    (tmp_path / "ca-key.pem").write_text("no key")
    handshake(
        server_context(tmp_path), ssl.create_default_context(cafile=str(tmp_path / "ca.pem")), "localhost"
    )


def test_private_keys_are_for_their_owner_only(tmp_path: Path) -> None:
    server_context(tmp_path)
    for name in ("ca-key.pem", "server-key.pem"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600


def test_the_server_certificate_cannot_sign_others(tmp_path: Path) -> None:
    server_context(tmp_path)
    certificate = x509.load_pem_x509_certificate((tmp_path / "server.pem").read_bytes())
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_an_old_private_file_is_replaced_with_its_new_mode(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old and longer")
    path.chmod(0o644)
    write_private(path, b"new")

    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["file"]


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="missing"):
        server_context(tmp_path / "missing")
