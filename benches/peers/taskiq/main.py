"""taskiq beside Trackside: the program that `cargo xtask peers` runs for it; its words are those of ../README.md.

Settings: the broker on streams, the only one of taskiq-redis that acknowledges; a hundred messages are read at a time,
and uvloop runs the event loop, as its own command line does. The stream is not trimmed, because trimming loses messages
that nobody has read yet. There is no bulk call: a thousand calls at once are the nearest.
"""

import asyncio
import importlib.metadata
import json
import os
import signal
import sys
import time

import uvloop
from taskiq.api import run_receiver_task
from taskiq_redis import RedisStreamBroker

IN_FLIGHT = 64
BULK = 1000
REST = 0.01

broker = RedisStreamBroker(os.environ.get("PEERS_REDIS_URL", "redis://"))
starts = asyncio.Queue()


@broker.task(task_name="noop")
async def noop(body):
    pass


@broker.task(task_name="note")
async def note(body):
    starts.put_nowait(time.perf_counter())


def payload(number):
    """200 bytes of JSON."""
    return {"number": f"{number:08}", "text": "x" * 169}


def versions():
    names = ["taskiq", "taskiq-redis", "redis", "hiredis", "uvloop"]
    return {name: importlib.metadata.version(name) for name in names} | {"python": sys.version.split()[0]}


async def enqueue(mode, count):
    await broker.startup()

    async def lane(first, step):
        for number in range(first, count, step):
            await noop.kiq(payload(number))

    begun = time.perf_counter()
    if mode == "one":
        await lane(0, 1)
    elif mode == "flight":
        await asyncio.gather(*(lane(first, IN_FLIGHT) for first in range(IN_FLIGHT)))
    elif mode == "bulk":
        for first in range(0, count, BULK):
            numbers = range(first, min(count, first + BULK))
            await asyncio.gather(*(noop.kiq(payload(number)) for number in numbers))
    else:
        raise SystemExit(f"no way to enqueue is called {mode}")
    seconds = time.perf_counter() - begun
    await broker.shutdown()
    return {"seconds": seconds}


async def work(concurrency):
    await broker.startup()
    working = asyncio.create_task(run_receiver_task(broker, max_async_tasks=concurrency))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, working.cancel)
    await asyncio.gather(working, return_exceptions=True)


async def pickup(samples):
    """Microseconds from the call that enqueues to the start of the handler, one job at a time, in one process."""
    await broker.startup()
    working = asyncio.create_task(run_receiver_task(broker, max_async_tasks=16))
    micros = []
    # The first one is for the connections.
    for number in range(samples + 1):
        begun = time.perf_counter()
        await note.kiq(payload(number))
        at = await starts.get()
        if number > 0:
            micros.append(max(0, round((at - begun) * 1e6)))
        await asyncio.sleep(REST)
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    return {"pickup_us": micros}


def main():
    match sys.argv[1:]:
        case ["versions"]:
            answer = versions()
        case ["enqueue", mode, count]:
            answer = uvloop.run(enqueue(mode, int(count)))
        case ["work", concurrency]:
            return uvloop.run(work(int(concurrency)))
        case ["pickup", samples]:
            answer = uvloop.run(pickup(int(samples)))
        case _:
            raise SystemExit("versions | enqueue one|flight|bulk <count> | work <concurrency> | pickup <samples>")
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
