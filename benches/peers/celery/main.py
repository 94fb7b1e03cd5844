"""Celery beside Trackside: the program that `cargo xtask peers` runs for it; its words are those of ../README.md.

Settings: `acks_late`, so that a job survives the process that runs it, as everywhere in the comparison; results are
ignored, nothing is sent to other workers, prefetching is wide. The pool is prefork with at most as many processes as
are of use here: a process is a place, and 16 or 64 of them do less than 4.
"""

import importlib.metadata
import json
import os
import subprocess
import sys
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import redis
from celery import Celery, group
from celery.platforms import SecurityWarning

URL = os.environ.get("PEERS_REDIS_URL", "")
IN_FLIGHT = 64
BULK = 1000
REST = 0.01
MOST_PROCESSES = 4
PICKUPS = "pickups"

# Whether this runs as root is no part of the comparison.
warnings.filterwarnings("ignore", category=SecurityWarning)

app = Celery("peers", broker=URL)
app.conf.update(
    task_ignore_result=True,
    task_acks_late=True,
    task_store_errors_even_if_ignored=False,
    task_publish_retry=False,
    task_send_sent_event=False,
    worker_send_task_events=False,
    worker_prefetch_multiplier=64,
    broker_connection_retry_on_startup=True,
    broker_pool_limit=IN_FLIGHT,
)


@app.task(name="noop")
def noop(body):
    pass


@app.task(name="note")
def note(body):
    at = time.time_ns()
    connection().rpush(PICKUPS, at)


_connection = None


def connection():
    global _connection
    if _connection is None:
        _connection = redis.Redis.from_url(URL)
    return _connection


def payload(number):
    """200 bytes of JSON."""
    return {"number": f"{number:08}", "text": "x" * 169}


def versions():
    names = ["celery", "kombu", "redis", "hiredis"]
    found = {name: importlib.metadata.version(name) for name in names}
    return found | {"python": sys.version.split()[0]}


def enqueue(mode, count):
    noop.apply_async((payload(0),))
    connection().delete("celery")
    begun = time.perf_counter()
    if mode == "one":
        with app.producer_or_acquire() as producer:
            for number in range(count):
                noop.apply_async((payload(number),), producer=producer)
    elif mode == "flight":
        with ThreadPoolExecutor(IN_FLIGHT) as pool:
            for sent in pool.map(lambda number: noop.apply_async((payload(number),)), range(count)):
                assert sent.id
    elif mode == "bulk":
        with app.producer_or_acquire() as producer:
            for first in range(0, count, BULK):
                signatures = (noop.s(payload(number)) for number in range(first, min(count, first + BULK)))
                group(signatures).apply_async(producer=producer)
    else:
        raise SystemExit(f"no way to enqueue is called {mode}")
    return {"seconds": time.perf_counter() - begun}


def work(concurrency):
    processes = min(concurrency, MOST_PROCESSES)
    app.worker_main(
        ["worker", "--pool=prefork", f"--concurrency={processes}", "--loglevel=ERROR", "-Ofair"]
        + ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    )


def pickup(samples):
    """Microseconds from the call that enqueues to the start of the handler, one job at a time; the worker is a process
    of its own, and both read the clock of the machine."""
    worker = subprocess.Popen([sys.executable, __file__, "work", "16"], stdout=subprocess.DEVNULL)
    micros = []
    try:
        with app.producer_or_acquire() as producer:
            # The first one is for the start of the worker.
            for number in range(samples + 1):
                begun = time.time_ns()
                note.apply_async((payload(number),), producer=producer)
                noted = connection().blpop([PICKUPS], timeout=60)
                if noted is None:
                    raise SystemExit("the worker did not start the job")
                if number > 0:
                    micros.append(max(0, (int(noted[1]) - begun) // 1000))
                time.sleep(REST)
    finally:
        worker.terminate()
        worker.wait()
    return {"pickup_us": micros}


def main():
    match sys.argv[1:]:
        case ["versions"]:
            answer = versions()
        case ["enqueue", mode, count]:
            answer = enqueue(mode, int(count))
        case ["work", concurrency]:
            return work(int(concurrency))
        case ["pickup", samples]:
            answer = pickup(int(samples))
        case _:
            raise SystemExit("versions | enqueue one|flight|bulk <count> | work <concurrency> | pickup <samples>")
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
