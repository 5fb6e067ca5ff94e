"""The gateway (nginx) for `make up` and for the tests: the configuration is that of deploy/gateway, as in containers."""

import os
import subprocess
from pathlib import Path

CONFIGURE = Path(__file__).resolve().parents[1] / "gateway" / "configure"


def write_configuration(directory, port: int, ready_port: int, replicas: dict, address: str = "127.0.0.1", workers="1") -> Path:
    """Writes nginx.conf and what it includes into the directory, which is made if it is not there; returns its path.

    `replicas` has the addresses (host:port) of each service, by its name: order, payment, stock. `ready_port` is a second port
    on loopback, where the gateway asks itself.
    """
    directory = Path(directory).absolute()
    services = {f"GATEWAY_{service.upper()}": ",".join(addresses) for service, addresses in replicas.items()}
    environment = {
        **os.environ, **services, "GATEWAY_ADDRESS": address, "GATEWAY_PORT": str(port), "GATEWAY_READY_PORT": str(ready_port),
        "GATEWAY_WORKERS": str(workers)}
    subprocess.run([CONFIGURE, directory], env=environment, check=True, timeout=30)
    return directory / "nginx.conf"


def command(configuration_path) -> list:
    """What runs the gateway in the foreground."""
    path = Path(configuration_path)
    return ["nginx", "-e", "stderr", "-p", str(path.parent), "-c", str(path), "-g", "daemon off;"]
