"""Certificates that a test makes with openssl: authorities, and what they sign, also with times in the past."""

import subprocess
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import NamedTuple

_CONFIGURATION = """
[ca]
default_ca = this
[this]
database = {directory}/index.txt
new_certs_dir = {directory}
rand_serial = yes
default_md = sha256
policy = any
email_in_dn = no
unique_subject = no
copy_extensions = none
[any]
commonName = supplied
[authority]
basicConstraints = critical,CA:true
keyUsage = critical,keyCertSign
subjectKeyIdentifier = hash
[leaf]
basicConstraints = CA:false
subjectAltName = {names}
"""


class Pair(NamedTuple):
    """The files of a certificate and its key."""

    certificate: Path
    key: Path

    @property
    def options(self) -> list:
        """What `kontor serve` needs of it."""
        return ["--tls-cert", self.certificate, "--tls-key", self.key]

    def replace_by(self, other: "Pair"):
        """Puts another pair in this one's place, each file at once, as renewals do."""
        for mine, new in zip(self, other):
            fresh = mine.with_suffix(".new")
            fresh.write_bytes(new.read_bytes())
            fresh.rename(mine)


class Authority:
    """An authority with a directory of its own, and what it signs there."""

    def __init__(self, directory, name: str = "authority"):
        self._directory = Path(directory)
        self._directory.mkdir(parents=True)
        (self._directory / "index.txt").touch()
        self.certificate = self._directory / "ca.pem"
        self._key = self._new_key("ca")
        configuration = self._configure("localhost")
        _openssl("req", "-new", "-x509", "-key", self._key, "-subj", f"/CN={name}", "-days", 3650, "-config", configuration,
                 "-extensions", "authority", "-out", self.certificate, configuration=configuration)

    def sign(self, name: str, names: str = "DNS:localhost,IP:127.0.0.1", days: float = 30, age: float = 1) -> Pair:
        """Signs a certificate that ends in so many days and began so many days ago."""
        key = self._new_key(name)
        request, certificate = self._directory / f"{name}.csr", self._directory / f"{name}.pem"
        configuration = self._configure(names)
        _openssl("req", "-new", "-key", key, "-subj", f"/CN={name}", "-out", request, configuration=configuration)
        _openssl("ca", "-batch", "-notext", "-config", configuration, "-cert", self.certificate, "-keyfile", self._key,
                 "-in", request, "-out", certificate, "-startdate", _time(-age), "-enddate", _time(days), "-extensions", "leaf",
                 configuration=configuration)
        return Pair(certificate, key)

    def self_signed(self, name: str, names: str = "DNS:localhost,IP:127.0.0.1") -> Pair:
        """A certificate that nobody else has signed."""
        key, certificate = self._new_key(name), self._directory / f"{name}.pem"
        configuration = self._configure(names)
        _openssl("req", "-new", "-x509", "-key", key, "-subj", f"/CN={name}", "-days", 30, "-config", configuration,
                 "-extensions", "leaf", "-out", certificate, configuration=configuration)
        return Pair(certificate, key)

    def _new_key(self, name: str) -> Path:
        path = self._directory / f"{name}.key"
        _openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", path)
        return path

    def _configure(self, names: str) -> Path:
        path = self._directory / "openssl.cnf"
        path.write_text(
            _CONFIGURATION.format(directory=self._directory, names=names) + "\n[req]\ndistinguished_name = dn\n[dn]\n")
        return path


def _time(days: float) -> str:
    return (datetime.now(timezone.utc) + timedelta(days=days)).strftime("%Y%m%d%H%M%SZ")


def _openssl(*words, configuration: Path = None):
    environment = {"OPENSSL_CONF": str(configuration)} if configuration else None
    done = subprocess.run(
        ["openssl", *map(str, words)], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise AssertionError(f"openssl {words[0]}: {done.stderr}")
