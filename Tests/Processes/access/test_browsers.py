"""A page of another site, in a real Chromium, can change and read nothing of a shop that its victim's browser can reach."""

import contextlib
import http.server
import json
import threading
import urllib.parse
from pathlib import Path

from Tests.kontor_testing.case import ServerCase
from Tests.kontor_testing.http_client import Client
from Tests.kontor_testing.programs import run_program
from Tests.kontor_testing.virtual_environment import installed

_HERE = Path(__file__).parent
_ATTACKS = 12
_SECONDS = 240


class _EvilPage(http.server.BaseHTTPRequestHandler):
    """A page that runs what its URL says behind the question mark, once it is there."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        script = urllib.parse.unquote(self.path.partition("?")[2])
        self.wfile.write(f"<!doctype html><body><script>{script}</script></body>".encode())

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def _evil_site():
    """The port of a site of the attacker's."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _EvilPage) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


class BrowserTests(ServerCase):
    async def assert_safe(self, server, port: int):
        """All attacks on one port of a shop."""
        self.require("chromium", "chromedriver")
        programs = await installed("browsers", _HERE / "requirements-browsers.txt")
        client = Client(server.port)
        things = await self.sold_something(client)
        before = [await client.get(f"/payment/find_user/{things['user']}"), await client.get(f"/orders/find/{things['order']}")]
        with _evil_site() as evil:
            code, output = await run_program(
                _SECONDS, programs / "python", _HERE / "attacks.py", evil, port, things["user"], things["item"])
        self.assertEqual(code, 0, output)
        found = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
        attacks = {line["attack"]: line["learned"] for line in found if "attack" in line}
        self.assertGreaterEqual(len(attacks), _ATTACKS, output)
        credit = before[0].json()["credit"]
        worked = []
        for line in found:
            if line.get("credit", credit) != credit:
                worked.append(line["attack"])
                credit = line["credit"]
        self.assertEqual(worked, [])
        self.assertEqual({name: learned for name, learned in attacks.items() if learned is not None}, {})
        after = [await client.get(f"/payment/find_user/{things['user']}"), await client.get(f"/orders/find/{things['order']}")]
        self.assertEqual([answer.json() for answer in after], [answer.json() for answer in before])
        own = [line for line in found if "own" in line]
        self.assertEqual([line["own"] for line in own], ["127.0.0.1", "localhost"])
        for line in own:
            self.assertEqual(line["title"], "Kontor API")
            self.assertEqual((await client.get(f"/stock/find/{line['made']}")).status, 200, "the shop's own page may write")
        self.report(f"{len(attacks)} attacks: nothing was changed or read; the shop's own page works")

    async def test_no_page_of_another_site_does_anything_on_the_public_port(self):
        server = await self.started_server()
        await self.assert_safe(server, server.port)

    async def test_no_page_of_another_site_does_anything_on_the_operators_port(self):
        server = await self.started_server()
        await self.assert_safe(server, server.internal_port)
