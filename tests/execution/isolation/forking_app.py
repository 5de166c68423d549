"""A node whose handlers fork in every way there is. Who passes which point is noted in a ledger: `what pid`.

It runs on the loop that its first argument names, as `run_node` does or as an application might.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from ironforge import Context, Forge
from ironforge.logs.setup import configure_logging
from ironforge.runtime.node import run_node, serve
from ironforge.settings import load

LEDGER = os.open(os.environ["LEDGER"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
forge = Forge()


def note(what: str, pid: int = 0) -> None:
    os.write(LEDGER, f"{what} {pid or os.getpid()}\n".encode())


def fork(then: str) -> None:
    """Returns in the parent. The child does what `then` says, which may be to return as well."""
    if pid := os.fork():
        note("forked", pid)
        return
    note("began")
    match then:
        case "exit":
            sys.exit(7)
        case "raise":
            raise RuntimeError("in the child")
        case "stay":
            note("holds " + json.dumps(descriptors()))
            time.sleep(600)


def descriptors() -> list[str]:
    """What leads to others."""
    links = [link.readlink().name for link in Path("/proc/self/fd").iterdir() if link.exists()]
    return [name for name in links if name.startswith("socket:")]


@forge.job("on_loop")
async def on_loop(then: str) -> str:
    fork(then)
    note("went on")
    return "done"


@forge.job("then_waits")
async def then_waits(then: str) -> str:
    fork(then)
    await asyncio.sleep(0)
    note("went on")
    return "done"


@forge.job("in_task")
async def in_task(then: str) -> str:
    async def part() -> None:
        fork(then)
        await asyncio.sleep(0)

    await asyncio.gather(part(), asyncio.sleep(0.01))
    note("went on")
    return "done"


@forge.job("in_pool")
async def in_pool(then: str) -> str:
    await asyncio.to_thread(fork, then)
    note("went on")
    return "done"


@forge.job("in_thread")
def in_thread(then: str) -> str:
    fork(then)
    note("went on")
    return "done"


@forge.job("in_own_thread")
async def in_own_thread(then: str) -> str:
    thread = threading.Thread(target=fork, args=(then,))
    thread.start()
    await asyncio.to_thread(thread.join)
    note("went on")
    return "done"


@forge.job("multiprocessing")
async def by_multiprocessing(then: str) -> str:
    context = multiprocessing.get_context("fork")
    process = context.Process(target=_target, args=(then,), daemon=False)
    process.start()
    note("forked", process.pid or 0)
    note("went on")
    return "done"


def _target(then: str) -> None:
    note("began")
    if then == "stay":
        time.sleep(600)


@forge.job("multiprocessing_result")
def multiprocessing_result() -> int:
    """Without a Pool: its own threads and its forks may wait for each other for ever, in any program."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    processes = [context.Process(target=theirs.send, args=(number,)) for number in (1, 2, 3)]
    for process in processes:
        process.start()
    theirs.close()
    total = sum(ours.recv() for _ in processes)
    for process in processes:
        process.join()
    return total


@forge.job("process_pool")
async def process_pool() -> list[int]:
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        calls = [asyncio.get_running_loop().run_in_executor(pool, abs, number) for number in (-1, -2, -3)]
        return list(await asyncio.gather(*calls))


@forge.job("subprocess")
async def by_subprocess() -> str:
    """With a function that runs between fork and exec."""
    process = await asyncio.create_subprocess_exec(
        "echo", "hello", stdout=asyncio.subprocess.PIPE, preexec_fn=lambda: os.setpgid(0, 0)
    )
    return (await process.communicate())[0].decode().strip()


@forge.job("blocking_subprocess")
def by_blocking_subprocess() -> str:
    command = ["echo", "hello"]
    return subprocess.run(command, stdout=subprocess.PIPE, preexec_fn=os.setsid, check=True).stdout.decode().strip()


@forge.job("asyncio_in_child")
async def asyncio_in_child() -> str:
    async def later() -> str:
        await asyncio.sleep(0.01)
        return "on a loop of its own"

    ours, theirs = os.pipe()
    if os.fork() == 0:
        os.write(theirs, asyncio.run(later()).encode())
        os._exit(0)
    os.close(theirs)
    return (await asyncio.to_thread(os.read, ours, 100)).decode()


@forge.job("orphan")
async def orphan() -> list[int]:
    """Leaves a process behind that has lost its parent; the exit codes of two children that are waited for."""
    await asyncio.to_thread(subprocess.run, ["sh", "-c", "sleep 0.1 &"], check=True)
    waited = await asyncio.to_thread(subprocess.run, ["sh", "-c", "sleep 0.1; exit 3"], check=False)
    process = await asyncio.create_subprocess_exec("sh", "-c", "sleep 0.1; exit 4")
    return [waited.returncode, await process.wait()]


@forge.job("next")
async def next_one(context: Context) -> str:
    return context.id


@forge.job("sit")
async def sit(where: str) -> None:
    note("sits")
    match where:
        case "to_thread":
            await asyncio.to_thread(time.sleep, 600)
        case "thread":
            thread = threading.Thread(target=time.sleep, args=(600,))
            thread.start()
            await asyncio.sleep(600)
        case "process":
            process = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(600,))
            process.start()
            note("began", process.pid or 0)
            await asyncio.sleep(600)


@forge.job("ignore_cancellation")
async def ignore_cancellation() -> None:
    note("sits")
    while True:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(600)


@forge.job("block")
async def block(when: str) -> None:
    note("sits")
    try:
        await asyncio.sleep(0 if when == "running" else 600)
    finally:
        time.sleep(600)  # noqa: ASYNC251 - this is the fault


@forge.job("sit_in_thread")
def sit_in_thread() -> None:
    note("sits")
    time.sleep(600)


if __name__ == "__main__":
    if sys.argv[1] == "uvloop":
        sys.exit(run_node(forge))
    settings = load()
    configure_logging(settings)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    sys.exit(asyncio.run(serve(forge, settings)))
