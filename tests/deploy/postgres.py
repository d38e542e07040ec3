"""A PostgreSQL of the tests' own, of the programs that pgserver's wheel bundles."""

from __future__ import annotations

import csv
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from tests.deploy.schedules import until


class Postgres:
    """Listens on a socket in a folder of its own, and lets in whoever may enter that: no port, no password.

    Of pgserver only the programs are used. Its Python, where it is root, adds a user to the machine, and opens to all
    users every folder above the data and above itself. PostgreSQL refuses to be root, so here it is `nobody` then, on a
    copy that `nobody` can reach. The folder is not pytest's, since root's is closed to others, and a socket's path has
    at most 107 bytes.
    """

    def __init__(self, packages: Path) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="winnow-pg-"))
        self.as_whom: dict[str, Any] = {}
        self.server: subprocess.Popen[bytes] | None = None
        try:
            for name in ("pgserver/pginstall", "pgserver.libs"):  # a program looks for its libraries beside it
                shutil.copytree(packages / name, self.folder / name)
            self._hand_over()
            self._start()
        except BaseException:
            self.stop()
            raise

    def _hand_over(self) -> None:
        if os.geteuid() != 0:
            return
        nobody = pwd.getpwnam("nobody")
        self.as_whom = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        for path in (self.folder, *self.folder.rglob("*")):
            os.chown(path, nobody.pw_uid, nobody.pw_gid, follow_symlinks=False)

    def _program(self, name: str) -> str:
        return str(self.folder / "pgserver/pginstall/bin" / name)

    def _start(self) -> None:
        data, environment = self.folder / "data", {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}
        made = subprocess.run(
            [self._program("initdb"), "-D", data, "--username=airflow", "--auth=trust", "--encoding=UTF8"],
            cwd=self.folder, env=environment, capture_output=True, text=True, check=False, **self.as_whom,
        )
        assert made.returncode == 0, made.stdout + made.stderr
        with (self.folder / "log").open("wb") as said:
            self.server = subprocess.Popen(
                [self._program("postgres"), "-D", data, "-k", self.folder, "-c", "listen_addresses="],
                cwd=self.folder, env=environment, stdout=said, stderr=said, start_new_session=True, **self.as_whom,
            )
        until(self._is_up, seconds=60)

    def _is_up(self) -> bool:
        assert self.server is not None and self.server.poll() is None, (self.folder / "log").read_text()
        return self._psql("postgres", "select 1").returncode == 0

    def stop(self) -> None:
        if self.server is not None:
            self.server.send_signal(signal.SIGINT)  # "fast": ends the sessions that are open
            self.server.wait(60)
        shutil.rmtree(self.folder)

    def _psql(self, base: str, query: str, *, run: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self._program("psql"), "--no-psqlrc", "--quiet", "--csv", "--tuples-only", "--set=ON_ERROR_STOP=1",
             f"--set=run={run}", f"--host={self.folder}", "--username=airflow", f"--dbname={base}"],
            input=query, capture_output=True, text=True, check=False,
        )

    def ask(self, base: str, query: str, *, run: str = "") -> list[list[str]]:
        """`:'run'` in the query stands for `run`."""
        done = self._psql(base, query, run=run)
        assert done.returncode == 0, done.stderr
        return list(csv.reader(done.stdout.splitlines()))

    def new_base(self) -> str:
        ((number,),) = self.ask("postgres", "select count(*) from pg_database")
        self.ask("postgres", f"create database base_{number}")
        return f"base_{number}"

    def address(self, base: str) -> str:
        """As SQLAlchemy takes it."""
        return f"postgresql+psycopg2://airflow@/{base}?host={self.folder}"
