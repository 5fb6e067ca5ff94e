"""JWTs that tests make with openssl, whatever is wrong with them."""

import base64
import hashlib
import hmac
import json
import subprocess
from pathlib import Path


def part(data: bytes) -> str:
    """A part of a JWT: base64url without padding (RFC 7515, 2)."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _body(claims: dict, algorithm: str) -> str:
    return f"{part(json.dumps({'alg': algorithm}).encode())}.{part(json.dumps(claims).encode())}"


class SigningKey:
    """A key of the curve P-256 in a file of its own; `public` is the file with its public half."""

    def __init__(self, path: Path):
        self._path = path
        self.public = path.with_suffix(".pub")
        _openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", path)
        _openssl("pkey", "-in", path, "-pubout", "-out", self.public)

    def sign(self, claims: dict, algorithm: str = "ES256") -> str:
        """A JWT with these claims, signed with ES256 whatever it says of itself."""
        body = _body(claims, algorithm)
        return f"{body}.{part(_raw(_openssl('dgst', '-sha256', '-sign', self._path, text=body.encode())))}"

    def forge(self, claims: dict) -> str:
        """A JWT of who knows the public key alone, and uses it as a secret of HS256."""
        body = _body(claims, "HS256")
        return f"{body}.{part(hmac.new(self.public.read_bytes(), body.encode(), hashlib.sha256).digest())}"


def _raw(der: bytes) -> bytes:
    """The two numbers of a signature, 32 bytes each (RFC 7518, 3.4), of a sequence in DER."""
    numbers, place = b"", 2
    for _ in range(2):
        length = der[place + 1]
        numbers += der[place + 2 : place + 2 + length].lstrip(b"\0").rjust(32, b"\0")
        place += 2 + length
    return numbers


def _openssl(*words, text: bytes = b"") -> bytes:
    return subprocess.run(["openssl", *map(str, words)], input=text, capture_output=True, check=True).stdout
