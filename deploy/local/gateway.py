"""Makes the configuration of the gateway (nginx) from its template, for `make up` and for the tests."""

import grp
import json
import os
import pwd
import resource
from pathlib import Path

TEMPLATE = Path(__file__).with_name("gateway_nginx.conf")
# The prefix of a service's paths, which is the name of its upstream, and the service.
PREFIXES = {"orders": "order", "payment": "payment", "stock": "stock"}

# The end of its name in Problem.swift, the status, whether to come back, and what a person is told.
_PROBLEMS = {
    "malformed": ("malformed-http", 400, "Malformed HTTP", "What was received is not an HTTP/1.1 request. Nothing was begun."),
    "unknown": (
        "unknown-route", 404, "Unknown route",
        "There is no such path. /docs shows people those that there are, and /openapi.json programs."),
    "wrong_method": ("wrong-method", 405, "Wrong method", "No path has this method."),
    "slow": ("request-timeout", 408, "Request too slow", "The request did not arrive in time. Nothing was begun; send it again."),
    "body_too_large": (
        "body-too-large", 413, "Body too large",
        "The body has more than 65536 bytes. Nothing was begun, and no route needs it."),
    "path_too_long": ("path-too-long", 414, "Path too long", "The path is longer than 2048 bytes. Nothing was begun."),
    "headers_too_large": (
        "headers-too-large", 431, "Headers too large", "The headers have more than 16384 bytes. Nothing was begun."),
    "not_ready": ("not-ready", 503, "Not ready", "One of the three services cannot take requests now. Try again in a moment."),
}
_READ_UNAVAILABLE = (
    "read-unavailable", 503, "Cannot be read now", "The service could not be reached. Nothing was changed; read again.")
_OUTCOME_UNKNOWN = (
    "outcome-unknown", 504, "Outcome unknown",
    "The service did not answer, so nobody knows whether this was done. Repeat the same request to learn it.")


def _problem(kind: str, status: int, title: str, detail: str) -> str:
    """The body, quoted for nginx."""
    body = json.dumps({"type": f"/problems/{kind}", "title": title, "status": status, "detail": detail}, separators=(",", ":"))
    assert "'" not in body and "$" not in body
    return f"'{body}'"


def _problem_location(name: str) -> str:
    """By a path, not by a name: a request that nginx could not read has none, and cannot go to a named location."""
    kind, status, title, detail = _PROBLEMS[name]
    retry = "            add_header Retry-After 1 always;\n" if status == 503 else ""
    return (
        f"        location = /_problem/{name} {{\n            internal;\n            default_type application/problem+json;\n{retry}"
        f"            return {status} {_problem(kind, status, title, detail)};\n        }}")


def _upstream(name: str, addresses: list, failures: int) -> str:
    """Who hangs gets no more requests than hang there already (least_conn), and who fails is left alone for a second."""
    servers = "\n".join(f"        server {address} max_fails={failures} fail_timeout=1s;" for address in addresses)
    return (
        f"    upstream {name} {{\n        zone {name} 64k;\n        least_conn;\n{servers}\n"
        f"        keepalive 512;\n        keepalive_requests 1000000000;\n        keepalive_timeout 60s;\n    }}")


# Whatever nginx says by itself but 502. A location that has an error_page of its own inherits none, so all are repeated there.
_ERRORS = """\
            error_page 400 = /_problem/malformed;
            error_page 404 = /_problem/unknown;
            error_page 405 = /_problem/wrong_method;
            error_page 408 = /_problem/slow;
            error_page 413 = /_problem/body_too_large;
            error_page 414 = /_problem/path_too_long;
            error_page 494 = /_problem/headers_too_large;
            error_page 500 503 504 = @unreachable;"""

# batch_init is sent once, to whom can be connected to, and takes as long as it takes.
_SERVICE = """\
        location ~ ^/@NAME@/batch_init/ {
            proxy_next_upstream error;
            proxy_read_timeout 3600s;
            proxy_pass http://@NAME@;
        }
        location /@NAME@/ {
@ERRORS@
            error_page 418 = @@NAME@_patient;
            error_page 502 = @@NAME@_again;
            if ($is_patient) { return 418; }
            proxy_set_header Connection "";
            proxy_set_header Host $host;
            proxy_set_header Idempotency-Key $idempotency_key;
            proxy_pass http://@NAME@;
        }
        location @@NAME@_again {
            proxy_set_header Connection "";
            proxy_set_header Host $host;
            proxy_set_header Idempotency-Key $idempotency_key;
            proxy_pass http://@NAME@_any;
        }
        location @@NAME@_patient {
@ERRORS@
            error_page 502 = @@NAME@_again;
            proxy_next_upstream error http_502 http_503 http_429 non_idempotent;
            proxy_read_timeout 31s;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
            proxy_set_header Idempotency-Key $idempotency_key;
            proxy_pass http://@NAME@;
        }"""


def configuration(
    directory, port: int, ready_port: int, replicas: dict, address: str = "127.0.0.1", workers="1", log_level: str = "error"
) -> str:
    """The text of nginx.conf.

    `replicas` has the addresses (host:port) of each service, by its name: order, payment, stock. `ready_port` is a second port
    on loopback, where the gateway asks itself. `directory` is where it keeps its files.
    """
    most = max(map(len, replicas.values()))
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    values = {
        # nginx started by root would make its workers somebody who cannot see a private directory.
        "USER": f"user {pwd.getpwuid(0).pw_name} {grp.getgrgid(0).gr_name};" if os.getuid() == 0 else "",
        "WORKERS": str(workers),
        # Two for each request, and what else is open. The system may grant fewer files; nginx raises its own limit to what it may.
        "CONNECTIONS": str(min(8_192, files)),
        "FILES": str(files),
        "LOG_LEVEL": log_level,
        "DIRECTORY": str(directory),
        "ADDRESS": address,
        "PORT": str(port),
        "READY_PORT": str(ready_port),
        "READ_TIMEOUT": "5500ms" if most == 1 else "2600ms",
        "UPSTREAMS": "\n".join(
            text for prefix, service in PREFIXES.items()
            for text in (
                _upstream(prefix, replicas[service], failures=3), _upstream(f"{prefix}_any", replicas[service], failures=0))),
        "SERVICES": "\n".join(_SERVICE.replace("@NAME@", prefix) for prefix in PREFIXES),
        "ERRORS": _ERRORS,
        "PROBLEMS": "\n".join(map(_problem_location, _PROBLEMS)),
        "READ_UNAVAILABLE": _problem(*_READ_UNAVAILABLE),
        "OUTCOME_UNKNOWN": _problem(*_OUTCOME_UNKNOWN),
    }
    text = TEMPLATE.read_text()
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text


def write_configuration(directory, *arguments, **options) -> Path:
    """Writes nginx.conf into the directory, which is made if it is not there; returns its path."""
    directory = Path(directory).absolute()
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "nginx.conf"
    path.write_text(configuration(directory, *arguments, **options))
    return path


def command(configuration_path) -> list:
    """What runs the gateway in the foreground."""
    return ["nginx", "-p", str(Path(configuration_path).parent), "-c", str(configuration_path), "-g", "daemon off;"]
