"""cashews beside Trackside: the program that `cargo xtask peers --caches` runs for it; its words are those of ../README.md.

Copies in the process are those of its client-side caching; values are pickled, its default; loaders are kept apart by its lock.
"""

import asyncio
import importlib.metadata
import json
import os
import sys
import time

import uvloop
from cashews import Cache

URL = os.environ.get("PEERS_REDIS_URL", "redis://")
KEY = "peers:1"
TTL = 300
LOAD = 0.1


def value():
    """A KiB of JSON."""
    return {"number": "00000001", "text": "x" * 990}


def versions():
    found = {name: importlib.metadata.version(name) for name in ["cashews", "redis", "hiredis", "uvloop"]}
    return found | {"python": sys.version.split()[0]}


async def timed(call, places, count):
    """So many calls by so many callers, each of which waits for its answers."""
    times = []

    async def caller(calls):
        for _ in range(calls):
            begun = time.perf_counter()
            await call()
            times.append(time.perf_counter() - begun)

    await caller(100)
    times.clear()
    begun = time.perf_counter()
    await asyncio.gather(*(caller(count // places) for _ in range(places)))
    seconds = time.perf_counter() - begun
    times.sort()
    at = lambda part: times[int(len(times) * part)] * 1e6
    return {"calls_per_s": len(times) / seconds, "p50_us": at(0.5), "p99_us": at(0.99)}


async def cache(what, places, count):
    store = Cache()
    store.setup(URL, client_side=what in ("memory", "load"))
    await store.init()
    await store.set(KEY, value(), expire=TTL)

    @store(ttl=TTL, key="peers:load", lock=True)
    async def loaded():
        return value()

    async def hit():
        assert (await store.get(KEY))["number"] == "00000001"

    async def load():
        assert (await loaded())["number"] == "00000001"

    async def put():
        await store.set(KEY, value(), expire=TTL)

    calls = {"memory": hit, "redis": hit, "load": load, "set": put}
    answer = await timed(calls[what], places, count)
    await store.close()
    return answer


async def stampede(callers, at):
    store = Cache()
    store.setup(URL, client_side=True)
    await store.init()
    loads = 0

    @store(ttl=TTL, key="peers:cold", lock=True)
    async def load():
        nonlocal loads
        loads += 1
        await asyncio.sleep(LOAD)
        return value()

    await asyncio.sleep(max(0, at - time.time()))
    await asyncio.gather(*(load() for _ in range(callers)))
    await store.close()
    return {"loads": loads}


def main():
    match sys.argv[1:]:
        case ["versions"]:
            answer = versions()
        case ["stampede", callers, at]:
            answer = uvloop.run(stampede(int(callers), float(at)))
        case ["cache", what, places, count]:
            answer = uvloop.run(cache(what, int(places), int(count)))
        case _:
            raise SystemExit("versions | cache memory|redis|load|set <places> <count> | stampede <callers> <at>")
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
