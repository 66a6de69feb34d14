"""Certificates of servers in tests."""

import ssl
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from engine.clock import SystemClock

HERE = "127.0.0.1"
TODAY = (-1, 1)


class Authority:
    """A certificate authority of the test, and what it certified."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "dondoc test CA")])
        self.file = folder / "ca.pem"
        ca = self._certify(self._name, self._key, [], TODAY, authority=True)
        self.file.write_bytes(ca)

    def context(self, *, host: str = HERE, days: tuple[int, int] = TODAY) -> ssl.SSLContext:
        """Return what a server in Python uses; see `certified`."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certified(host, days))
        return context

    def certified(self, host: str = HERE, days: tuple[int, int] = TODAY) -> Path:
        """Return a file with a new key and its certificate, for a host and days from today."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mail")])
        alt: list[x509.GeneralName] = (
            [x509.IPAddress(ip_address(host))] if host[0].isdigit() else [x509.DNSName(host)]
        )
        file = self._folder / f"{host}{days[0]}.pem"
        secret = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        file.write_bytes(secret + self._certify(name, key, alt, days))
        return file

    def _certify(
        self,
        name: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        alt: list[x509.GeneralName],
        days: tuple[int, int],
        *,
        authority: bool = False,
    ) -> bytes:
        today = SystemClock().now()
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(today + timedelta(days=days[0]))
            .not_valid_after(today + timedelta(days=days[1]))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if alt:
            made = made.add_extension(x509.SubjectAlternativeName(alt), critical=False)
        return made.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
