"""A cache written by hand with redis-py: the program that `cargo xtask peers --caches` runs for it; its words are those of
../README.md.

`GET`, decode; when there is nothing, load and `SET … EX`. There are no copies in the process, and nothing keeps two loaders apart.
"""

import asyncio
import importlib.metadata
import json
import os
import sys
import time

import redis.asyncio
import uvloop

URL = os.environ.get("PEERS_REDIS_URL", "redis://")
KEY = "peers:1"
TTL = 300
LOAD = 0.1


def value():
    """A KiB of JSON."""
    return {"number": "00000001", "text": "x" * 990}


def versions():
    found = {name: importlib.metadata.version(name) for name in ["redis", "hiredis", "uvloop"]}
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
    pool = redis.asyncio.BlockingConnectionPool.from_url(URL, max_connections=20, timeout=None)
    client = redis.asyncio.Redis(connection_pool=pool)
    await client.set(KEY, json.dumps(value()), ex=TTL)

    async def hit():
        assert json.loads(await client.get(KEY))["number"] == "00000001"

    async def put():
        await client.set(KEY, json.dumps(value()), ex=TTL)

    calls = {"redis": hit, "set": put}
    return await timed(calls[what], places, count) if what in calls else None


async def stampede(callers, at):
    pool = redis.asyncio.BlockingConnectionPool.from_url(URL, max_connections=20, timeout=None)
    client = redis.asyncio.Redis(connection_pool=pool)
    await client.ping()
    loads = 0

    async def ask():
        nonlocal loads
        if await client.get("peers:cold") is None:
            loads += 1
            await asyncio.sleep(LOAD)
            await client.set("peers:cold", json.dumps(value()), ex=TTL)

    await asyncio.sleep(max(0, at - time.time()))
    await asyncio.gather(*(ask() for _ in range(callers)))
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
