#!/usr/bin/env python3
"""Runs a command for each task of a Trackside queue, with the payload on its standard input:

    worker.py exports -- python3 render.py

What the command prints is the result (JSON, or else text). Exit code 0 completes the task, 65 fails it for good, any
other one is tried again as the task says. TRACKSIDE_TASK_ID, TRACKSIDE_TASK_KIND and TRACKSIDE_TASK_ATTEMPT are set.
The command is killed when its task is called off or braked, out of time, or another worker's by now.

SIGTERM or SIGINT: no new tasks, the running ones have --drain-s seconds to end, and what is left is given back.
To call Python functions instead, see trackside_worker.py, which does the work.
"""

import argparse
import json
import os
import signal
import subprocess

from trackside_worker import Failed, Permanent, Stopped, Worker

EX_DATAERR = 65


def command(arguments):
    """The function that runs a command for each task."""

    def run(task):
        names = {"ID": task.id, "KIND": task.kind, "ATTEMPT": str(task.attempt)}
        environment = {**os.environ, **{f"TRACKSIDE_TASK_{name}": value for name, value in names.items()}}
        pipe = subprocess.PIPE
        pipes = {"stdin": pipe, "stdout": pipe, "stderr": pipe}
        # A session of its own, so that what the command starts ends with it.
        with subprocess.Popen(arguments, env=environment, start_new_session=True, **pipes) as child:
            payload = json.dumps(task.payload).encode()
            while True:
                try:
                    out, err = child.communicate(payload, timeout=0.1)
                    break
                except subprocess.TimeoutExpired:
                    payload = None
                    if task.stop.is_set():
                        os.killpg(child.pid, signal.SIGKILL)
                        child.communicate()
                        raise Stopped(task.stop_reason) from None
        if child.returncode == 0:
            try:
                return json.loads(out) if out.strip() else None
            except ValueError:
                return out.decode(errors="replace").strip()
        if child.returncode < 0 and task.ending():
            # Whoever ends the worker ended the command as well, as systemd does.
            raise Stopped("the worker ends")
        words = err.decode(errors="replace").strip()[-1000:] or f"exit code {child.returncode}"
        raise Permanent(words) if child.returncode == EX_DATAERR else Failed(words)

    return run


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("queue", help="the queue's name")
    parser.add_argument("command", nargs="+", metavar="COMMAND", help="what to run for each task, after --")
    parser.add_argument("--url", help="the service [env: TRACKSIDE_URL] [default: http://127.0.0.1:8080]")
    parser.add_argument("--concurrency", type=int, default=4, metavar="N", help="tasks at a time [default: 4]")
    parser.add_argument("--lease-ms", type=int, default=30_000, metavar="MS", help="[default: 30000]")
    parser.add_argument("--wait-ms", type=int, default=20_000, metavar="MS", help="the long poll [default: 20000]")
    parser.add_argument("--drain-s", type=float, default=20.0, metavar="S", help="time of running tasks at the end [default: 20]")
    given = parser.parse_args()
    worker = Worker(given.queue, given.url, given.concurrency, given.lease_ms, given.wait_ms, given.drain_s)
    worker.otherwise(command(given.command))
    worker.run()


if __name__ == "__main__":
    main()
