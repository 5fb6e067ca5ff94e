"""Makes the fixtures of one binary: an embedded store with its backup, and the Redis stores of three services.

    KONTOR_BINARY=/where/kontor/is python3 -m Tests.Fixtures.make Tests/Fixtures/COMMIT

Needs root, strace, redis-server, nginx and a C compiler. Ids and times differ from run to run, the story (story.py) does not.
Each store is left by `kill -9` in the midst of checkouts; that is tried until enough of them are open.
"""

import argparse
import asyncio
import gzip
import json
import random
import re
import shutil
import tarfile
import tempfile
from pathlib import Path

from Tests.Fixtures.redis_dump import dump
from Tests.Fixtures.story import Story
from Tests.kontor_testing.faults.disks import injected
from Tests.kontor_testing.polling import eventually
from Tests.kontor_testing.programs import run, run_kontor
from Tests.kontor_testing.running.server import Server
from Tests.kontor_testing.running.services import Deployment

_MOST_TRIES = 50
# A year: with the clock fifty years ahead, the longest that a key can be kept.
_KEYS = ("--key-hours", 8_760)


def later_clock(scratch: Path) -> dict:
    """The environment of a process whose clock is fifty years ahead."""
    library = scratch / "later_clock.so"
    run("cc", "-shared", "-fPIC", "-o", library, Path(__file__).with_name("later_clock.c"))
    return {"LD_PRELOAD": str(library)}


async def open_checkouts(*arguments) -> int:
    """How many the audit finds, which must find nothing wrong."""
    code, output = await run_kontor("audit", *arguments)
    assert code == 0, output
    return int(re.search(r"(\d+) open checkouts", output)[1])


async def make_embedded(scratch: Path, target: Path):
    """Old records are in the table, what came since its last fold is in the journal alone, open checkouts among it."""
    story, server = Story(), Server(scratch / "embedded", scratch / "embedded.log")
    server.spawn_with([*server.listening, "--data", server.directory, *_KEYS], later_clock(scratch))
    await server.wait_until_ready()
    await story.writes_under_keys(server.client())
    await _restart(server)
    orders = await story.prepare(server.client())
    await _restart(server)
    await story.states(server.client())
    await story.read(server.client())
    server.kill()
    for _ in range(_MOST_TRIES):
        left = await _interrupted(scratch, server.directory, orders)
        _, found = await run_kontor("doctor", "--data", left)
        if "committed, " in found and "holdingTogether, " in found and int(re.search(r"(\d+) holds", found)[1]) > 5:
            break
    else:
        raise AssertionError("no kill came in the midst of a checkout")
    print(found)
    story.facts["openCheckouts"] = await open_checkouts("--data", left)
    (target / "embedded.backup").unlink(missing_ok=True)
    code, output = await run_kontor("backup", "--data", left, "--to", target / "embedded.backup")
    assert code == 0, output
    with tarfile.open(target / "embedded.tar.gz", "w:gz") as archive:
        archive.add(left, arcname=".")
    _write_facts(target / "embedded.json", story)


async def _restart(server: Server):
    """Gracefully: all is folded into the table, and nothing is in memory afterwards."""
    assert await server.terminate() == 0, server.log()
    await server.start()


async def _interrupted(scratch: Path, directory: Path, orders: list) -> Path:
    """A copy of the store, killed while its checkouts waited for accounts that strace makes slow to read."""
    copy = scratch / "interrupted"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(directory, copy)
    server = Server(copy, scratch / "interrupted.log")
    await server.start()

    def journal_bytes() -> int:
        return sum(path.stat().st_size for path in (copy / "journal").glob("*.journal"))

    before, client = journal_bytes(), server.client()
    async with injected(server.pid, "delay_enter=5000", calls="pread64"):
        checkouts = [asyncio.create_task(client.post(f"/orders/checkout/{order}")) for order in orders]
        await eventually(lambda: journal_bytes() > before, "the journal's growth")
        await asyncio.sleep(random.uniform(0, 0.05))
        server.kill()
        await asyncio.gather(*checkouts)
    return copy


async def make_services(scratch: Path, target: Path):
    """The payment service stands still while checkouts are under way, and all services are killed."""
    story, shop = Story(), Deployment(scratch / "services")
    try:
        for service in shop.services:
            service.environment |= later_clock(scratch)
            service.extra = list(_KEYS)
        await shop.start()
        await story.writes_under_keys(shop.client())
        assert await shop.terminate() == 0, shop.log()
        for service in shop.services:
            del service.environment["LD_PRELOAD"]
        await shop.start()
        await story.states(shop.client())
        await story.read(shop.client())
        orders = await story.prepare(shop.client())
        for _ in range(_MOST_TRIES):
            await _kill_services(shop, orders)
            story.facts["openCheckouts"] = await open_checkouts(*shop.store_arguments)
            # Those that were sent to a payment that stood still are undecided: some of the others are open, too.
            if story.facts["openCheckouts"] > len(orders) // 2:
                break
            await shop.start()
        else:
            raise AssertionError("no kill came in the midst of a checkout")
        for name, store in shop.stores.items():
            with gzip.GzipFile(target / f"redis-{name}.jsonl.gz", "wb", mtime=0) as file:
                file.write(dump(store).encode())
    finally:
        shop.stop()
    _write_facts(target / "services.json", story)


async def _kill_services(shop: Deployment, orders: list):
    """Kills them when some orders are decided and not captured, and some have their holds in stock alone."""
    client, [payment] = shop.client(), shop.replicas["payment"]
    checkouts = []

    def begin(order: str):
        checkouts.append(asyncio.create_task(client.post(f"/orders/checkout/{order}")))

    half = len(orders) // 2
    for order in orders[:half]:
        begin(order)
        await asyncio.sleep(random.uniform(0, 0.002))
    await payment.freeze()
    for order in orders[half:]:
        begin(order)
    await asyncio.sleep(0.1)
    for service in shop.services:
        service.kill()
    await asyncio.gather(*checkouts)


def _write_facts(path: Path, story: Story):
    path.write_text(json.dumps(story.facts, indent=1) + "\n")


async def main(target: Path):
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="kontor-fixtures-") as scratch:
        await make_embedded(Path(scratch), target)
        await make_services(Path(scratch), target)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", type=Path, help="the directory to write to")
    asyncio.run(main(parser.parse_args().target))
