"""Certificates and kubeconfigs of one control plane, made by an authority of its own and valid for a year."""

import base64
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFETIME: Final = timedelta(days=365)
ADMINS: Final = "system:masters"
LOOPBACK: Final = x509.IPAddress(IPv4Address("127.0.0.1"))

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, both PEM."""

    certificate: bytes
    key: bytes

    def write(self, folder: Path, name: str) -> None:
        """Write NAME.crt and NAME.key, readable by the owner only."""
        write_private(folder / f"{name}.crt", self.certificate)
        write_private(folder / f"{name}.key", self.key)

    @classmethod
    def read(cls, folder: Path, name: str) -> "Pair":
        """What `write` wrote."""
        return cls((folder / f"{name}.crt").read_bytes(), (folder / f"{name}.key").read_bytes())


@dataclass(frozen=True, slots=True)
class Authority:
    """Signs certificates; `pair` is its own."""

    pair: Pair

    @classmethod
    def new(cls, name: str, *, rsa_key: bool = False, host: str = "") -> "Authority":
        """A self-signed authority. Kueue's rotator keeps only one with an RSA key and a host name of its choice."""
        key: Key = rsa.generate_private_key(65537, 2048) if rsa_key else _curve_key()
        subject = _name(name)
        builder = _builder(subject, subject, key.public_key())
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        builder = builder.add_extension(_usage(signs_certificates=True), critical=True)
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        if host:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        return cls(_pair(builder.sign(key, hashes.SHA256()), key))

    def server(self, *hosts: str) -> Pair:
        """A server's certificate for `hosts` and 127.0.0.1."""
        names: list[x509.GeneralName] = [x509.DNSName(host) for host in hosts]
        names.append(LOOPBACK)
        return self._sign(_name(hosts[0]), ExtendedKeyUsageOID.SERVER_AUTH, names)

    def client(self, user: str, groups: Sequence[str] = ()) -> Pair:
        """A client's certificate: CN is the user, each O a group."""
        return self._sign(_name(user, groups), ExtendedKeyUsageOID.CLIENT_AUTH, [])

    def _sign(self, subject: x509.Name, purpose: x509.ObjectIdentifier, names: list[x509.GeneralName]) -> Pair:
        own = x509.load_pem_x509_certificate(self.pair.certificate)
        own_key = load_pem_private_key(self.pair.key, None)
        if not isinstance(own_key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
            raise TypeError(f"an authority's key is EC or RSA, not {type(own_key).__name__}")
        key = _curve_key()
        builder = _builder(subject, own.subject, key.public_key())
        builder = builder.add_extension(_usage(signs_certificates=False), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(own_key.public_key())
        builder = builder.add_extension(issuer, critical=False)  # Python 3.13 refuses a chain without it
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return _pair(builder.sign(own_key, hashes.SHA256()), key)


def new_signing_pair() -> Pair:
    """A key pair that signs service-account tokens; `certificate` holds the public key."""
    key = _curve_key()
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return Pair(public, _key_pem(key))


def kubeconfig(server: str, authority: bytes, user: str, credentials: Pair | str, namespace: str = "default") -> bytes:
    """A kubeconfig (JSON, which is YAML) for `user` with a client certificate, or with a bearer token."""
    if isinstance(credentials, Pair):
        secret = {
            "client-certificate-data": _base64(credentials.certificate),
            "client-key-data": _base64(credentials.key),
        }
    else:
        secret = {"token": credentials}
    cluster = {"server": server, "certificate-authority-data": _base64(authority)}
    context = {"cluster": "lab", "user": user, "namespace": namespace}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "lab", "cluster": cluster}],
        "users": [{"name": user, "user": secret}],
        "contexts": [{"name": "lab", "context": context}],
        "current-context": "lab",
    }
    return json.dumps(document, indent=1).encode() + b"\n"


def decoded(said: str) -> bytes:
    """The bytes of a kubeconfig's ``...-data``."""
    return base64.b64decode(said)


def write_private(path: Path, content: bytes) -> None:
    """Write `path`, readable by the owner only from its first byte on, whole or not at all."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
    scratch.rename(path)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey
) -> x509.CertificateBuilder:
    start = datetime.now(UTC) - timedelta(minutes=5)  # noqa: TID251 - certificates are dated by the machine's clock
    return x509.CertificateBuilder(
        issuer_name=issuer,
        subject_name=subject,
        public_key=key,
        serial_number=x509.random_serial_number(),
        not_valid_before=start,
        not_valid_after=start + LIFETIME,
    )


def _name(common: str, organisations: Sequence[str] = ()) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, name) for name in organisations]
    return x509.Name([*attributes, x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _curve_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _pair(certificate: x509.Certificate, key: Key) -> Pair:
    return Pair(certificate.public_bytes(Encoding.PEM), _key_pem(key))


def _key_pem(key: Key) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
