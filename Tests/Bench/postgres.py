"""PostgreSQL with one stored procedure for each checkout: the usual way to do it in one database, without HTTP. Durable.

A cluster of its own in a new directory, on a Unix socket. The schema is what a good one for this load would be: an order has its lines
in its row, rows that change are not indexed, and pages have room for new versions (fillfactor), so that updates stay on their page.
"""

import asyncio
import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from Tests.Bench.runs import Figure, Meter, best

_ITEMS, _USERS, _ORDERS = 1_000, 100_000, 500_000
_STOCK, _CREDIT = 1_000_000_000, 1_000_000_000
_PATIENCE_SECONDS = 90

_SCHEMA = """
create table item(id int primary key, stock bigint not null, price bigint not null) with (fillfactor = 20);
create table account(id int primary key, credit bigint not null) with (fillfactor = 50);
create table orders(id int primary key, account int not null, items int[] not null, units int not null, total bigint not null,
    paid boolean not null) with (fillfactor = 60);

create procedure checkout(wanted int) language plpgsql as $$
declare
    found_order record;
    wanted_item int;
begin
    select account, items, units, total, paid into found_order from orders where id = wanted for update;
    if not found then raise exception 'unknown order %', wanted; end if;
    if found_order.paid then return; end if;
    -- Sorted by id: checkouts that want the same items do not lock each other out.
    foreach wanted_item in array found_order.items loop
        update item set stock = stock - found_order.units where id = wanted_item and stock >= found_order.units;
        if not found then raise exception 'out of stock: %', wanted_item; end if;
    end loop;
    update account set credit = credit - found_order.total where id = found_order.account and credit >= found_order.total;
    if not found then raise exception 'out of credit: %', found_order.account; end if;
    update orders set paid = true where id = wanted;
end $$;
"""

# Each client takes orders that no other one takes.
_SCRIPT = """\\set place :place + 1
\\set wanted :first + :place * :clients + :client_id
call checkout(:wanted);
"""


class Postgres:
    """One cluster, from initdb to its removal."""

    def __init__(self):
        self._directory = Path(tempfile.mkdtemp(prefix="kontor-postgres-"))
        self._data = self._directory / "data"
        # PostgreSQL refuses to run as root.
        self._user = "postgres" if os.getuid() == 0 else None
        if self._user:
            os.chown(self._directory, pwd.getpwnam(self._user).pw_uid, pwd.getpwnam(self._user).pw_gid)
        self._process = None

    def _command(self, name: str, *arguments) -> list:
        versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3].split(".")[0]))
        program = str(versions[-1]) if versions else name
        prefix = ["setpriv", f"--reuid={self._user}", f"--regid={self._user}", "--clear-groups", "--"] if self._user else []
        return [*prefix, program, *map(str, arguments)]

    def _run(self, name: str, *arguments, text: str = None) -> str:
        run = subprocess.run(
            self._command(name, *arguments), cwd=self._directory, input=text or "", capture_output=True, text=True,
            timeout=_PATIENCE_SECONDS)
        if run.returncode != 0:
            raise AssertionError(f"{name} ended with {run.returncode}:\n{run.stdout[-1000:]}{run.stderr[-1000:]}")
        return run.stdout

    async def start(self):
        self._run("initdb", "-D", self._data, "-U", "bench", "-A", "trust", "-E", "UTF8", "--no-locale")
        log = open(self._directory / "log", "wb")
        options = {
            "listen_addresses": "", "unix_socket_directories": self._directory, "fsync": "on", "synchronous_commit": "on",
            "full_page_writes": "on", "shared_buffers": "1GB", "max_wal_size": "8GB", "checkpoint_timeout": "30min",
            "max_connections": "300",
        }
        words = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        self._process = subprocess.Popen(
            self._command("postgres", "-D", self._data, *words), cwd=self._directory, stdin=subprocess.DEVNULL, stdout=log,
            stderr=log)
        for _ in range(200):
            if self._process.poll() is not None:
                raise AssertionError(f"postgres ended:\n{(self._directory / 'log').read_text()[-2000:]}")
            if (self._directory / ".s.PGSQL.5432").exists() and subprocess.run(
                    self._command("pg_isready", "-h", self._directory), cwd=self._directory, capture_output=True, timeout=10).returncode == 0:
                return
            await asyncio.sleep(0.05)
        raise AssertionError("postgres did not become ready within 10 s")

    def stop(self):
        """A fast shutdown; nothing of it is kept."""
        if self._process and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.send_signal(signal.SIGQUIT)
                self._process.wait(20)
        shutil.rmtree(self._directory, ignore_errors=True)

    def sql(self, text: str) -> str:
        return self._run("psql", "-h", self._directory, "-U", "bench", "-d", "postgres", "-v", "ON_ERROR_STOP=1", "-qAt", text=text)

    def fill(self, is_hot: bool):
        """Unpaid orders: of two random items, or of two units of one item that all of them want."""
        lines = "array[0], 2" if is_hot else (
            f"(select array_agg(wanted order by wanted) from (select distinct unnest(array[floor(random() * {_ITEMS})::int, "
            f"floor(random() * {_ITEMS})::int]) as wanted where number >= 0) as pair), 1")
        self.sql(f"""
            drop table if exists item, account, orders; drop procedure if exists checkout;
            {_SCHEMA}
            insert into item select number, {_STOCK}, 1 from generate_series(0, {_ITEMS - 1}) as number;
            insert into account select number, {_CREDIT} from generate_series(0, {_USERS - 1}) as number;
            insert into orders select number, floor(random() * {_USERS})::int, {lines}, 2, false
                from generate_series(0, {_ORDERS - 1}) as number;
            update orders set total = cardinality(items) * units where total <> cardinality(items) * units;
            vacuum analyze; checkpoint;""")

    def bench(self, key: str, clients: int, seconds: float, rate: float = None) -> Figure:
        """One run over orders that none before it has used, and the books after it."""
        first = int(self.sql("select coalesce(max(id), -1) + 1 from orders where paid"))
        before = int(self.sql("select count(*) from orders where paid"))
        (self._directory / "checkout.sql").write_text(_SCRIPT)
        for old in self._directory.glob("latency.*"):
            old.unlink()
        meter = Meter()
        meter.look()
        output = self._run(
            "pgbench", "-h", self._directory, "-U", "bench", "-n", "-M", "prepared", "-c", clients, "-j", 1, "-T", int(seconds),
            "-D", "place=-1", "-D", f"clients={clients}", "-D", f"first={first}", "-l", "--log-prefix",
            self._directory / "latency", *(("-R", rate) if rate else ()), "-f", self._directory / "checkout.sql", "postgres")
        meter.look()
        transactions = int(re.search(r"transactions actually processed: (\d+)", output)[1])
        failed = re.search(r"number of failed transactions: (\d+)", output)
        if failed and int(failed[1]):
            raise AssertionError(f"pgbench: {failed[0]}")
        paid = int(self.sql("select count(*) from orders where paid")) - before
        if paid != transactions:
            raise AssertionError(f"PostgreSQL has {paid} more paid orders, and answered {transactions} checkouts")
        self._audit()
        latencies = sorted(
            int(line.split()[2]) for path in self._directory.glob("latency.*") for line in path.read_text().splitlines())
        load = f"{int(rate):,}/s, open loop" if rate else f"{clients} connections"
        per_second = float(re.search(r"tps = ([\d.]+)", output)[1])
        return Figure(
            key, per_second, latencies[len(latencies) // 2] / 1_000, latencies[len(latencies) * 99 // 100] / 1_000, load, meter.busy)

    def _audit(self):
        """What is gone is what was sold."""
        sold, gone, charged, spent = map(int, self.sql(f"""
            select (select coalesce(sum(units * cardinality(items)), 0) from orders where paid),
                (select sum({_STOCK} - stock) from item), (select coalesce(sum(total), 0) from orders where paid),
                (select sum({_CREDIT} - credit) from account)""").strip().split("|"))
        if sold != gone or charged != spent:
            raise AssertionError(f"PostgreSQL's books: sold {sold}, gone {gone}; charged {charged}, spent {spent}")


async def postgres(seconds: float, show) -> list:
    database = Postgres()
    try:
        await database.start()
        database.fill(is_hot=False)
        peak = best([show(database.bench("postgres", clients, seconds)) for clients in (16, 64)])
        half = show(database.bench("postgres-half", 64, seconds, rate=peak.per_second / 2))
        database.fill(is_hot=True)
        hot = best([show(database.bench("postgres-hot", clients, seconds)) for clients in (4, 16)])
        return [peak, half, hot]
    finally:
        database.stop()
