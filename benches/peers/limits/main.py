"""limits beside Trackside: the program that `cargo xtask peers --limits` runs for it; its words are those of ../README.md.

Counts by its sliding window of two counters, which is the nearest to what the others are set to. Three limits are three hits at once.
"""

import asyncio
import importlib.metadata
import itertools
import json
import os
import sys
import time

import uvloop
from limits import RateLimitItemPerMinute
from limits.aio.storage import RedisStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter

URL = os.environ.get("PEERS_REDIS_URL", "redis://")
AMPLE = RateLimitItemPerMinute(1_000_000_000)
SCARCE = RateLimitItemPerMinute(1)
KEYS = 10_000


def versions():
    found = {name: importlib.metadata.version(name) for name in ["limits", "redis", "hiredis", "uvloop"]}
    return found | {"python": sys.version.split()[0]}


async def timed(call, places, count):
    """So many calls by so many callers, each of which waits for its answers."""
    times, numbers = [], itertools.count()

    async def caller(calls):
        for _ in range(calls):
            begun = time.perf_counter()
            await call(next(numbers))
            times.append(time.perf_counter() - begun)

    await caller(100)
    times.clear()
    begun = time.perf_counter()
    await asyncio.gather(*(caller(count // places) for _ in range(places)))
    seconds = time.perf_counter() - begun
    times.sort()
    at = lambda part: times[int(len(times) * part)] * 1e6
    return {"calls_per_s": len(times) / seconds, "p50_us": at(0.5), "p99_us": at(0.99)}


async def limits(what, places, count):
    # A connection for each hit that is on its way.
    storage = RedisStorage("async+" + URL, implementation="redispy", max_connections=256)
    limiter = SlidingWindowCounterRateLimiter(storage)

    async def one(_):
        assert await limiter.hit(AMPLE, "user", "user-4711")

    async def three(_):
        values = [("user", "user-4711"), ("project", "project-42"), ("ip", "203.0.113.9")]
        assert all(await asyncio.gather(*(limiter.hit(AMPLE, *value) for value in values)))

    async def keys(number):
        assert await limiter.hit(AMPLE, "user", f"user-{number % KEYS}")

    async def denied(_):
        await limiter.hit(SCARCE, "scarce", "user-4711")

    calls = {"one": one, "three": three, "keys": keys, "denied": denied}
    return await timed(calls[what], places, count) if what in calls else None


def main():
    match sys.argv[1:]:
        case ["versions"]:
            answer = versions()
        case ["limits", what, places, count]:
            answer = uvloop.run(limits(what, int(places), int(count)))
        case _:
            raise SystemExit("versions | limits one|three|keys|denied|leased <places> <count>")
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
