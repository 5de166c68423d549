"""Runs a page of the manual as its reader does, block by block, in a folder of its own.

What stands behind the language of a block says what is done with it:

    sh                  runs to its end, with exit code 0
    sh service          keeps running: it becomes ready, and ends before the next service and at the end of the page
    python              runs to its end, with exit code 0
    python shop.py      is saved under this name first; so is toml shop.toml
    js                  runs to its end, where there is a Node.js
    json, toml          can be read
    python celery, …    belongs to the other tool of this name; Python is compiled, all else is shown only
"""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
import tomllib
import urllib.request
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Final, NamedTuple, Self

from tests.cli.kit import Service, environment
from tests.support.waiting import PATIENCE_SECONDS, eventually

ROOT: Final = Path(__file__).parents[2]
MANUAL: Final = ROOT / "ironforge" / "docs"
BLOCK: Final = re.compile(r"^```(\w*) ?([^\n]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
SHOWN_ONLY: Final = {("", ""), ("acl", ""), ("ruby", ""), ("ts", "bullmq")}
SHELL: Final = ("/bin/sh", "-eu", "-c")
READY: Final = re.compile(
    r'ready at (?P<dev>\S+).*Ctrl-C|api is (listening|starting)", "url": "(?P<api>[^"]+)|(?P<node>node is running)',
    re.DOTALL,
)
API: Final = "http://127.0.0.1:3000"
_COMMANDS: Final = "submit|jobs|dlq|queues|kinds|limits|schedules|workflows|stats|nodes"
CALLS: Final = re.compile(rf"{API}|\bClient\(|\bironforge ({_COMMANDS})\b")
REDIS: Final = "redis://localhost:6379"
# Where a reader of these pages finds what belongs to IronForge, and what a test does in a smaller size.
HERE: Final = {
    "scripts/dev": "ironforge dev",
    ".venv/bin/": "",
    "--jobs 50000": "--jobs 3000",
    "ironforge verify": "ironforge verify --seconds 1 --rate 50 --lease-seconds 1",
}


class Block(NamedTuple):
    language: str
    more: str
    text: str


def section(page: Path, heading: str = "") -> list[Block]:
    """The blocks below a heading of the second level, up to the next one; or those of the whole page."""
    text = page.read_text(encoding="utf-8")
    if heading:
        text = text.split(f"\n{heading}", 1)[1].split("\n## ", 1)[0]
    return [Block(*match.groups()) for match in BLOCK.finditer(text)]


class Command(Service):
    """The last command of a text in the language of the shell keeps running."""

    PROGRAM = SHELL

    def ready(self) -> str:
        """Where its API is; empty for a node alone."""
        is_node = " node " in self._process.args[-1]

        def found() -> re.Match[str] | None:
            assert self.running, "".join(self.stderr)
            matches = READY.finditer("".join([*self.stdout, *self.stderr]))
            # With an API the node is there first.
            return next((match for match in matches if is_node or not match["node"]), None)

        match = eventually(found, "the service")
        url = str(match["dev"] or match["api"] or "")
        # The parent of several API processes says where they will be before any of them is.
        eventually(lambda: not url or is_ready(url), f"{url} to be ready")
        return url


def is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=PATIENCE_SECONDS):
            return True
    except OSError:
        return False


class Reader:
    """`redis_url` empty: `ironforge dev` brings a server of its own, as it does for a new user."""

    def __init__(self, folder: Path, redis_url: str = "") -> None:
        self._folder = folder
        self._redis_url = redis_url
        self._running = ExitStack()
        self._url = ""
        self.service: Command
        # An answer that refuses is an error here, and not the output of a command that went well.
        (folder / ".curlrc").write_text("fail-with-body\n", encoding="utf-8")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._running.close()

    @property
    def url(self) -> str:
        """Of the API that the page has started, or of one that is started for it now."""
        if not self._url:
            self._start("ironforge dev")
        return self._url

    def read(self, blocks: Iterable[Block]) -> list[str]:
        """What each of those that end printed."""
        return [output for block in blocks if (output := self._do(block)) is not None]

    def _do(self, block: Block) -> str | None:
        match block:
            case ("sh", "service", text):
                self._running.close()
                self._start(text)
            case ("sh", "", text):
                return self._run([*SHELL, self._shell(text)])
            case ("python", "", text):
                return self._run([sys.executable, "-"], text)
            case ("python" | "toml", name, text) if name.endswith((".py", ".toml")):
                (self._folder / name).write_text(text, encoding="utf-8")
            case ("python", _, text):
                ast.parse(text)
            case ("js", "", text):
                node = shutil.which("node")
                return self._run([node, "--input-type=module"], text) if node else None
            case ("json", "", text):
                json.loads(text)
            case ("toml", "", text):
                tomllib.loads(text)
            case _:
                assert block[:2] in SHOWN_ONLY
        return None

    def _start(self, text: str) -> None:
        settings = {"http_port": "0", "node_http_port": "0", "data_dir": str(self._folder / "data")}
        text = self._shell(text)
        self.service = self._running.enter_context(
            Command(text, cwd=self._folder, redis_url=self._redis_url, **settings)
        )
        self._url = self.service.ready()

    def _run(self, program: list[str], stdin: str = "") -> str:
        url = self.url if CALLS.search(program[-1] + stdin) else ""
        done = subprocess.run(
            [argument.replace(API, url) for argument in program],
            input=stdin.replace(API, url),
            cwd=self._folder,
            env={**environment(url=url, redis_url=self._redis_url), "CURL_HOME": str(self._folder)},
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{stdin or program[-1]}\n{done.stdout}{done.stderr}"
        return done.stdout

    def _shell(self, text: str) -> str:
        for written, here in {**HERE, REDIS: self._redis_url}.items():
            text = text.replace(written, here)
        return f"PATH={Path(sys.executable).parent}:$PATH\n{text}"
