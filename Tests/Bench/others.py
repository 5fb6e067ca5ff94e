"""Two bounds: what a web server needs for an answer that is always the same, and what Redis does with nothing but commits."""

import asyncio
import re
import subprocess
from pathlib import Path

from Tests.Bench.runs import Figure, Meter, figure, kontor_bench
from Tests.kontor_testing.polling import eventually
from Tests.kontor_testing.ports import free_port
from Tests.kontor_testing.proc import cpu_seconds
from Tests.kontor_testing.programs import REPOSITORY
from Tests.kontor_testing.running.processes import ManagedProcess
from Tests.kontor_testing.running.redis_servers import RedisServer

_CONFIGURATION = """
worker_processes 1;
pid {directory}/pid;
error_log {directory}/error.log;
{user}
events {{ worker_connections 4096; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy; fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi; scgi_temp_path {directory}/scgi;
    server {{
        listen 127.0.0.1:{port};
        default_type application/json;
        location / {{ return 200 '{{"stock":1000000000,"price":1}}'; }}
    }}
}}
"""


class ConstantServer(ManagedProcess):
    """nginx, one worker: the generator has the other processor."""

    def __init__(self, directory: Path):
        super().__init__("nginx", directory.with_suffix(".log"))
        self.port = free_port()
        directory.mkdir()
        self._path = directory / "nginx.conf"
        self._path.write_text(_CONFIGURATION.format(directory=directory, port=self.port, user="user root;"))

    def command(self) -> list:
        return ["nginx", "-c", self._path, "-g", "daemon off;"]


async def constant(directory: Path, seconds: float, show) -> list:
    server = ConstantServer(directory / "nginx")
    server.spawn()
    try:
        async def accepts():
            server.assert_runs()
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", server.port)
            except OSError:
                return False
            writer.close()
            return True

        await eventually(accepts, "nginx listening")
        report, meter = await kontor_bench(
            "find", server.port, "--no-initialize", "--no-audit", "--warm-up", 1, "--duration", seconds,
            users={"nginx": lambda: cpu_seconds(*server.group())})
        return [show(figure("nginx", "64 connections", report, meter))]
    finally:
        server.stop()


def commit_script() -> str:
    """As the sources have it."""
    text = (REPOSITORY / "Sources/KontorRedis/Commands/CommitScript.swift").read_text()
    lines = re.search(r'static let source = """\n(.*?)\n\s*"""', text, re.DOTALL)[1].splitlines()
    indent = min(len(line) - len(line.lstrip()) for line in lines if line.strip())
    return "\n".join(line[indent:] for line in lines)


async def script(directory: Path, seconds: float, show) -> list:
    """Commits of new groups of one record each, one or eight in a call, by redis-benchmark: 64 clients, each synced before its answer."""
    server = RedisServer("redis", directory / "redis")
    try:
        await server.start()
        server.ask("SET", "epoch", "e")
        digest = server.ask("SCRIPT", "LOAD", commit_script())
        figures = []
        for groups in (1, 8):
            # Random keys: a group that is there already meets another version, and is not written.
            keys = [f"{groups}:{number}:__rand_int__" for number in range(groups)]
            arguments = [word for _ in keys for word in ("", "h", "v" * 200, "0", "0")]
            call = ["EVALSHA", digest, groups + 1, "epoch", *keys, "e", groups, groups + 1, *arguments]
            answer = server.ask(*call)
            if answer != "1" * groups:
                raise AssertionError(f"the commit script has other arguments now: it answered {answer}")
            figures.append(show(_benchmark(server, call, groups, seconds)))
        return figures
    finally:
        server.stop()


def _benchmark(server: RedisServer, call: list, groups: int, seconds: float) -> Figure:
    """About `seconds` long: the rate of a short run says how many calls that is."""

    def run(count: int):
        output = subprocess.run(
            ["redis-benchmark", "-p", str(server.port), "-c", "64", "-n", str(count), "-r", "2000000000", "--csv",
             *map(str, call)], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=90, check=True).stdout
        # Behind the command's words, which are quoted: rps, average, min, p50, p95, p99, max.
        return [float(field.strip('"')) for field in output.strip().splitlines()[-1].split(",")[-7:]]

    count = int(run(20_000)[0] * seconds)
    meter = Meter({"redis": server.cpu_seconds})
    meter.look()
    found = run(max(10_000, count))
    meter.look()
    per_second = found[0] * groups
    return Figure(
        f"script-{groups}", per_second, found[3], found[5], f"64 connections, {groups} in a call", meter.busy,
        meter.microseconds(per_second))
