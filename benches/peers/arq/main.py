"""arq beside Trackside: the program that `cargo xtask peers` runs for it; its words are those of ../README.md.

Settings: the queue is asked every 10 ms instead of every 500, results are not kept, and finished jobs are not logged.
There is no bulk call: a thousand calls at once are the nearest.
"""

import asyncio
import importlib.metadata
import json
import os
import sys
import time

from arq import create_pool
from arq.connections import RedisSettings
from arq.worker import Worker, func

SETTINGS = RedisSettings.from_dsn(os.environ.get("PEERS_REDIS_URL", "redis://"))
IN_FLIGHT = 64
BULK = 1000
REST = 0.01
POLL = 0.01


async def noop(_, body):
    pass


def payload(number):
    """200 bytes of JSON."""
    return {"number": f"{number:08}", "text": "x" * 169}


def dumps(value):
    return json.dumps(value, separators=(",", ":")).encode()


def worker(function, concurrency, **more):
    return Worker(
        [function],
        redis_settings=SETTINGS,
        max_jobs=concurrency,
        poll_delay=POLL,
        keep_result=0,
        log_results=False,
        job_serializer=dumps,
        job_deserializer=json.loads,
        **more,
    )


def versions():
    found = {name: importlib.metadata.version(name) for name in ["arq", "redis", "hiredis"]}
    return found | {"python": sys.version.split()[0]}


async def enqueue(mode, count):
    pool = await create_pool(SETTINGS, job_serializer=dumps, job_deserializer=json.loads)

    async def lane(first, step):
        for number in range(first, count, step):
            await pool.enqueue_job("noop", payload(number))

    begun = time.perf_counter()
    if mode == "one":
        await lane(0, 1)
    elif mode == "flight":
        await asyncio.gather(*(lane(first, IN_FLIGHT) for first in range(IN_FLIGHT)))
    elif mode == "bulk":
        for first in range(0, count, BULK):
            numbers = range(first, min(count, first + BULK))
            await asyncio.gather(*(pool.enqueue_job("noop", payload(number)) for number in numbers))
    else:
        raise SystemExit(f"no way to enqueue is called {mode}")
    seconds = time.perf_counter() - begun
    await pool.aclose()
    return {"seconds": seconds}


def work(concurrency):
    asyncio.set_event_loop(asyncio.new_event_loop())
    worker(noop, concurrency).run()


async def pickup(samples):
    """Microseconds from the call that enqueues to the start of the handler, one job at a time, in one process."""
    starts = asyncio.Queue()

    async def note(_, body):
        starts.put_nowait(time.perf_counter())

    pool = await create_pool(SETTINGS, job_serializer=dumps, job_deserializer=json.loads)
    idle = worker(func(note, name="note"), 16, handle_signals=False)
    working = asyncio.create_task(idle.async_run())
    micros = []
    # The first one is for the connections.
    for number in range(samples + 1):
        begun = time.perf_counter()
        await pool.enqueue_job("note", payload(number))
        at = await starts.get()
        if number > 0:
            micros.append(max(0, round((at - begun) * 1e6)))
        await asyncio.sleep(REST)
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    await pool.aclose()
    return {"pickup_us": micros}


def main():
    match sys.argv[1:]:
        case ["versions"]:
            answer = versions()
        case ["enqueue", mode, count]:
            answer = asyncio.run(enqueue(mode, int(count)))
        case ["work", concurrency]:
            return work(int(concurrency))
        case ["pickup", samples]:
            answer = asyncio.run(pickup(int(samples)))
        case _:
            raise SystemExit("versions | enqueue one|flight|bulk <count> | work <concurrency> | pickup <samples>")
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
