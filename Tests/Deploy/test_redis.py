"""Redis as deploy/redis/start makes it: what each of its users may do, and that a replica follows with rights to nothing else."""

import hashlib
import re
import tempfile
import unittest
from pathlib import Path

from Tests.Deploy.podman import Podman
from Tests.kontor_testing.polling import eventually_blocking
from Tests.kontor_testing.programs import REPOSITORY, run

IMAGE = "docker.io/library/redis:7.2-bookworm"
NAMES = ("one", "two")
# Each of these would give more than the shop's data, or take all of them at once.
_FORBIDDEN = (
    "acl list", "acl setuser x on", "config set save 1", "config rewrite", "flushall", "flushdb", "swapdb 0 1", "keys *",
    "randomkey", "monitor", "shutdown", "replicaof no one", "psync ? -1", "sync", "replconf ack 1", "save", "bgsave",
    "bgrewriteaof", "script flush", "function list", "module list", "client list", "client kill type normal",
    "slowlog get", "latency doctor", "memory doctor", "cluster nodes", "cluster failover", "cluster reset",
    "migrate h 1 k 0 1", "restore k 0 x", "dump k", "rename a b", "copy a b", "append k v", "sort k", "object encoding k",
    "publish a b", "subscribe a")


class RedisUserTests(unittest.TestCase):
    """Two nodes of a cluster, a master and its replica."""

    @classmethod
    def setUpClass(cls):
        cls.podman = Podman()
        cls.addClassCleanup(cls.podman.close)
        cls.podman.make_standins()
        cls.podman("network", "create", "nodes")
        scratch = tempfile.TemporaryDirectory(prefix="kontor-redis-")
        cls.addClassCleanup(scratch.cleanup)
        # Who is 999 in the container reads them.
        Path(scratch.name).chmod(0o755)
        paths = [Path(scratch.name) / name for name in ("admin", "password")]
        run(REPOSITORY / "deploy/make-secrets", *paths)
        cls.admin, cls.kontor = (path.read_text() for path in paths)
        for name in NAMES:
            cls.podman(
                "run", "-d", "--name", name, "--network", "nodes", "--network-alias", "nodes", "--user", "redis", "--read-only",
                "-v", f"{REPOSITORY}/deploy/redis:/etc/kontor-redis:ro", "-v", f"{scratch.name}:/run/secrets/redis:ro",
                "-v", f"data-{name}:/data", "-e", "REDIS_PASSWORD_FILE=/run/secrets/redis/password",
                "-e", "REDIS_ADMIN_PASSWORD_FILE=/run/secrets/redis/admin",
                "-e", "REDIS_CLUSTER=yes", "-e", "REDIS_PEERS=nodes", IMAGE, "sh", "/etc/kontor-redis/start")
        for name in NAMES:
            eventually_blocking(lambda: cls.ask(name, "ping") == "PONG", f"an answer of {name}")
        cls.ask("one", "cluster addslotsrange 0 16383")
        address = cls.podman.inspect("one")["NetworkSettings"]["Networks"]["nodes"]["IPAddress"]
        cls.ask("two", f"cluster meet {address} 6379")
        identity = cls.ask("one", "cluster myid")
        eventually_blocking(lambda: cls.ask("two", f"cluster replicate {identity}") == "OK", "a replica")
        eventually_blocking(
            lambda: cls.follows("two") and "cluster_state:ok" in cls.ask("one", "cluster info"), "a replica that follows")

    @classmethod
    def ask(cls, node: str, words: str, user: str = "admin", password: str = None) -> str:
        """What the node answers to the words, told by the user."""
        password = password or {"admin": cls.admin, "kontor": cls.kontor}[user]
        return cls.podman(
            "exec", "-e", f"REDISCLI_AUTH={password}", node, "redis-cli", "--user", user, "--no-auth-warning", *words.split(),
            check=False).replace("\r", "").strip()

    @classmethod
    def follows(cls, node: str) -> bool:
        return "role:slave" in (text := cls.ask(node, "info replication")) and "master_link_status:up" in text

    def assert_refused(self, words: str, user: str, password: str = None):
        self.assertIn("NOPERM", self.ask("one", words, user, password), f"{user}: {words}")

    def readable(self) -> str:
        """The password that kontor can read."""
        name, password = self.ask("one", "config get masterauth", "kontor").split()
        self.assertEqual(name, "masterauth")
        return password

    def test_what_kontor_can_read_of_the_settings_opens_no_admin(self):
        password = self.readable()
        for user in ("admin", "kontor", "default"):
            self.assertIn("WRONGPASS", self.ask("one", "ping", user, password), user)
        settings = self.ask("one", "config get *", "kontor")
        self.assertIn("maxmemory-policy", settings)
        for secret in (self.admin, hashlib.sha256(self.admin.encode()).hexdigest()):
            self.assertNotIn(secret, settings)

    def test_who_has_the_password_of_replication_can_follow_and_nothing_else(self):
        password = self.readable()
        self.assertEqual(self.ask("one", "ping", "replication", password), "PONG")
        for words in (
            "get k", "set k v", "scan 0", "dbsize", "info", "config get *", "cluster slots", "eval return(1) 0", "command count",
            *(words for words in _FORBIDDEN if words.split()[0] not in ("psync", "replconf")),
        ):
            self.assert_refused(words, "replication", password)

    def test_kontor_has_the_commands_that_it_uses_and_no_others(self):
        for words in _FORBIDDEN:
            self.assert_refused(words, "kontor")
        for words in (
            "set {0}k v", "mget {0}k", "mset {0}k v", "zadd {0}z 0 a", "zrangebylex {0}z - +", "zrem {0}z a", "scan 0", "dbsize", "time",
            "wait 0 1", "asking", "config get appendonly", "client setname x", "cluster slots", "cluster info", "info",
            "eval return(redis.call('get',KEYS[1])) 1 {0}k", "del {0}k",
        ):
            self.assertNotRegex(self.ask("one", words, "kontor"), "^(?:NOPERM|ERR)", words)
        # redis-cli begins with HELLO and AUTH, which nobody needs a right for.
        self.assertIn(self.podman(
            "exec", "-e", f"REDISCLI_AUTH={self.kontor}", "one", "redis-cli", "-3", "--user", "kontor", "--no-auth-warning",
            "get", "{0}none").strip(), ("(nil)", ""))
        text = (REPOSITORY / "deploy/redis/start").read_text()
        rights = " ".join(re.search(r"user kontor .* ~\* ([^\"]*?)\nmaxmemory", text)[1].replace("\\\n", " ").split())
        self.assertIn(f"`{rights}`", (REPOSITORY / "docs/services.md").read_text().replace("\\|", "|"), "the docs say the same")

    def test_replicas_follow_as_the_user_replication_also_after_a_failover(self):
        roles = {"one": "two", "two": "one"}
        master = next(name for name in NAMES if not self.follows(name))
        for master in (master, roles[master]):
            replica = roles[master]
            self.assertIn(" user=replication ", self.ask(master, "client list type replica"))
            self.assertEqual(self.ask(master, "set k v"), "OK")
            # Of a replica that follows from now on.
            self.assertEqual(self.ask(master, "get k"), "v")
            self.assertEqual(self.ask(replica, "cluster failover"), "OK")
            eventually_blocking(lambda: self.follows(master), f"{master} following {replica}")

    def test_a_replica_introduces_the_user_to_a_master_of_the_release_before(self):
        master = next(name for name in NAMES if not self.follows(name))
        [replica] = {*NAMES} - {master}
        self.assertEqual(self.ask(master, "acl deluser replication"), "1")
        self.ask(master, "client kill type replica")
        eventually_blocking(
            lambda: " user=replication " in self.ask(master, "client list type replica"), "a replica that follows again")
        eventually_blocking(lambda: self.follows(replica), "its link")
