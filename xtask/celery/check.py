"""Has real Celery work as the user that `trackside acl print` makes, and asks the server what it has refused.

The server stands in CHECK_ADMIN_URL, the user in CHECK_CELERY_URL; the file with the rules is the argument.
"""

import os
import subprocess
import sys

import redis
from celery import chain, chord, group

from app import add, app, second_try, total

PATIENCE = 60


def start(*words):
    return subprocess.Popen([sys.executable, "-m", "celery", "-A", "app", *words, "-l", "WARNING"])


def events(count):
    """What workers say of themselves: beat makes a task each second, so there is always something to hear."""
    seen = []
    with app.connection_for_read() as connection:
        receiver = app.events.Receiver(connection, handlers={"*": lambda event: seen.append(event["type"])})
        receiver.capture(limit=count, timeout=PATIENCE, wakeup=True)
    return seen


def work():
    assert add.delay(2, 3).get(timeout=PATIENCE) == 5
    assert add.apply_async((1, 2), priority=9).get(timeout=PATIENCE) == 3
    assert add.apply_async((1, 2), countdown=1).get(timeout=PATIENCE) == 3
    assert second_try.delay(7).get(timeout=PATIENCE) == 7
    assert chain(add.s(1, 2), add.s(3)).apply_async().get(timeout=PATIENCE) == 6
    assert chord((add.s(i, i) for i in range(4)), total.s())().get(timeout=PATIENCE) == 12
    assert group(add.s(i, 1) for i in range(3))().get(timeout=PATIENCE) == [1, 2, 3]
    add.apply_async((1, 2), countdown=600).revoke()
    done = add.delay(1, 2)
    done.get(timeout=PATIENCE)
    done.forget()
    inspect = app.control.inspect(timeout=5)
    assert inspect.ping() and inspect.stats() and inspect.active_queues()
    assert len(events(5)) >= 5
    app.control.purge()


def main():
    admin = redis.Redis.from_url(os.environ["CHECK_ADMIN_URL"], decode_responses=True)
    with open(sys.argv[1], encoding="utf-8") as rules:
        for line in rules:
            admin.execute_command(*line.split())
    admin.acl_log_reset()
    workers = [start("worker", "-c", "2", "-E"), start("beat")]
    try:
        work()
        assert admin.hexists("redbeat:tick", "meta"), "RedBeat has made no task"
    finally:
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.wait(timeout=PATIENCE)
    refused = admin.acl_log()
    for entry in refused:
        print(entry)
    print(f"{len(refused)} commands refused")
    sys.exit(1 if refused else 0)


if __name__ == "__main__":
    main()
