"""Runs the command line as users do: as a process, with its exit code, its output and its signals."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path
from typing import Any, Self

from tests.support import fork_server
from tests.support.waiting import PATIENCE_SECONDS, eventually

IRONFORGE = (sys.executable, "-m", "ironforge")


def environment(**settings: str) -> dict[str, str]:
    """Ours without any setting, and with these: `url="…"` becomes IRONFORGE_URL."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("IRONFORGE_")}
    given = {f"IRONFORGE_{name.upper()}": value for name, value in settings.items()}
    # Whom a process trusts is read as it starts, which takes a tenth of a second for a whole system's authorities.
    own = {"SSL_CERT_FILE": os.devnull}
    return {**own, **inherited, "PYTHONPATH": str(Path(__file__).parents[2]), **given}


def ironforge(
    *arguments: str, cwd: Path | None = None, stdin: bytes = b"", **settings: str
) -> subprocess.CompletedProcess[str]:
    code, out, err = fork_server.run(
        [*arguments],
        stdin=stdin,
        cwd=cwd or Path.cwd(),
        environment=environment(**settings),
        timeout_seconds=PATIENCE_SECONDS,
    )
    assert b"Traceback" not in err
    return subprocess.CompletedProcess([*IRONFORGE, *arguments], code, out.decode(), err.decode())


def processes_with(text: str) -> list[str]:
    """Command lines of all processes that mention `text`."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if text in line:
                found.append(line)
    return found


class Service:
    """A command that keeps running; use it as a context manager."""

    PROGRAM: tuple[str, ...] = IRONFORGE

    def __init__(self, *arguments: str, cwd: Path | None = None, **settings: str) -> None:
        self._process = fork_server.popen(
            [*self.PROGRAM, *arguments],
            cwd=cwd,
            env=environment(**settings),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            text=True,
        )
        self.pid = self._process.pid
        self.stdout: list[str] = []
        self.stderr: list[str] = []
        self._readers = [
            threading.Thread(target=lines.extend, args=(stream,), daemon=True)
            for lines, stream in ((self.stdout, self._process.stdout), (self.stderr, self._process.stderr))
        ]
        for reader in self._readers:
            reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._process.poll() is None:
            self.signal(signal.SIGTERM)
        try:
            self.ended()
        finally:
            self._process.kill()

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def signal(self, number: signal.Signals) -> None:
        """To the whole process group, as a terminal does for Ctrl-C."""
        os.killpg(self.pid, number)

    def ended(self) -> int:
        code = self._process.wait(PATIENCE_SECONDS)
        for reader in self._readers:
            reader.join()
        for stream in (self._process.stdout, self._process.stderr):
            assert stream is not None
            stream.close()
        return code

    def logged(self, text: str) -> str:
        """The first line on stderr with this text, once it is there."""
        return eventually(lambda: next((line for line in list(self.stderr) if text in line), ""), text)


class Dev(Service):
    """`ironforge dev` on a free port; `url` once it is ready."""

    def __init__(self, folder: Path, *arguments: str, **settings: str) -> None:
        super().__init__("dev", *arguments, "--port", "0", "--data-dir", str(folder / "data"), cwd=folder, **settings)
        self.url = self._ready()

    def ironforge(self, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[str]:
        return ironforge(*arguments, stdin=stdin, url=self.url)

    def json(self, *arguments: str) -> Any:
        done = self.ironforge(*arguments, "--json")
        assert done.returncode == 0
        assert done.stderr == ""
        return json.loads(done.stdout)

    def get(self, path: str) -> bytes:
        with urllib.request.urlopen(self.url + path, timeout=PATIENCE_SECONDS) as answer:
            return bytes(answer.read())

    def submit(self, kind: str, payload: object = None, **options: object) -> str:
        """As a service in any language does: by HTTP."""
        body = json.dumps({"kind": kind, "payload": payload, **options}).encode()
        request = urllib.request.Request(self.url + "/jobs", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
            return str(json.load(answer)["id"])

    def status(self, job_id: str) -> str:
        return str(json.loads(self.get(f"/jobs/{job_id}"))["status"])

    def becomes(self, job_id: str, status: str) -> None:
        eventually(lambda: self.status(job_id) == status, f"job {job_id} to be {status}")

    def _ready(self) -> str:
        def url() -> str:
            assert self._process.poll() is None, "".join(self.stderr)
            found = re.search(r"ready at (\S+).*Ctrl-C", "".join(list(self.stdout)), re.DOTALL)
            return found[1] if found else ""

        return str(eventually(url, "the banner"))
