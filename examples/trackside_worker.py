"""A worker for Trackside queues, over HTTP, with nothing but Python's standard library (3.9 or newer).

    from trackside_worker import Permanent, Worker

    worker = Worker("exports", concurrency=8)

    @worker.on("pdf.render")
    def render(task):
        for page in range(task.payload["pages"]):
            task.check()                     # raises when the task is called off, braked, lost, or out of time
            task.progress(percent=100 * page / task.payload["pages"])
        return {"ok": True}                  # raise Permanent(...) when another attempt makes no sense

    worker.run()

Tasks are leased with a long poll and settled in batches; leases are extended while functions run, and the orders that
come with it reach the task. With the service away, the worker waits and tries again. SIGTERM or SIGINT: no new tasks,
the running ones have `drain_s` seconds to end, and what is left is given back without costing an attempt.
"""

import contextlib
import http.client
import json
import os
import queue
import random
import signal
import socket
import sys
import threading
import time
import traceback
import urllib.parse

BATCH = 256


class Failed(Exception):
    """The attempt failed, for a reason that needs no traceback."""


class Permanent(Failed):
    """The task failed, and another attempt makes no sense."""


class Stopped(Exception):
    """The task is to end: it is called off, braked or lost, its time is over, or the worker ends."""


class Away(Exception):
    """The service cannot be reached, or asks for patience; `wait` is how long it asked for."""

    def __init__(self, message, wait=None):
        super().__init__(message)
        self.wait = wait


class Task:
    """A task under lease."""

    def __init__(self, worker, leased, lease_ends):
        self._worker = worker
        self.id, self.kind = leased["task_id"], leased["kind"]
        self.payload, self.attempt = leased["payload"], leased["attempt"]
        self.fence = leased["fence"]
        self.next = []
        # Everything else that the service said of it, such as correlation_id, traceparent and user_id.
        self.leased = leased
        self.stop, self.stop_reason = threading.Event(), None
        self.lease_ends = lease_ends
        timeout_ms = leased.get("timeout_ms")
        self.deadline = time.monotonic() + timeout_ms / 1000 if timeout_ms else None

    def check(self):
        """Raises Stopped when the task is to end."""
        if self.stop.is_set():
            raise Stopped(self.stop_reason)

    def progress(self, percent=None, message=None):
        """Tells followers how far the task is; a report that does not arrive is no failure of the task."""
        words = {"fence": self.fence, "percent": percent, "message": message, "lease_ms": self._worker.lease_ms}
        asked = time.monotonic()
        try:
            status, answer = self._worker.service().post(f"/v1/tasks/{self.id}/progress", words)
        except Away:
            return
        self._worker.heard(self, asked, status, answer)

    def enqueue(self, kind, payload, **options):
        """Enqueues a task with the completion of this one: both happen, or neither. `options` are those of an enqueue
        request, such as priority and delay_ms. Answers what later ones name in depends_on to wait for it."""
        self.next.append({"kind": kind, "payload": payload, **options})
        return f"#{len(self.next) - 1}"

    def ending(self):
        """Whether the worker was told to end."""
        return self._worker._stopping.is_set()

    def order(self, reason):
        """Tells the function to stop; the first reason counts."""
        if not self.stop.is_set():
            self.stop_reason = reason
            self.stop.set()


class Service:
    """One connection to the service, kept open; for one thread at a time."""

    def __init__(self, url, timeout):
        parts = urllib.parse.urlsplit(url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(parts.hostname, parts.port, timeout=timeout)
        self._path = parts.path.rstrip("/")
        self._over = False

    def post(self, path, body):
        """The status and the JSON of the answer; Away when there is none, or the service says that it is away."""
        was_open = self._connection.sock is not None
        try:
            headers = {"Content-Type": "application/json"}
            self._connection.request("POST", self._path + path, json.dumps(body), headers)
            response = self._connection.getresponse()
            status, wait, answer = response.status, response.getheader("Retry-After"), response.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            if was_open and not self._over and isinstance(error, (ConnectionError, http.client.BadStatusLine)):
                # Closed while nobody used it. Everything that is said here may be said again.
                return self.post(path, body)
            raise Away(f"{type(error).__name__}: {error}") from error
        if status == 429 or status >= 500:
            raise Away(f"HTTP {status}", int(wait) if wait and wait.isdigit() else None)
        return status, json.loads(answer or "null")

    def hang_up(self):
        """Lets an answer that is on its way arrive, and tells the service not to begin another one."""
        self._over = True
        with contextlib.suppress(OSError, AttributeError):
            self._connection.sock.shutdown(socket.SHUT_WR)


class Worker:
    """Takes tasks of one queue, so many at a time."""

    def __init__(self, queue_name, url=None, concurrency=4, lease_ms=30_000, wait_ms=20_000, drain_s=20.0):
        self.queue_name = queue_name
        self.url = url or os.environ.get("TRACKSIDE_URL") or "http://127.0.0.1:8080"
        self.concurrency = concurrency
        self.lease_ms, self.wait_ms, self.drain_s = lease_ms, wait_ms, drain_s
        # A new name at each start: what an earlier process held is not this one's.
        self.worker_id = f"py-{socket.gethostname()}-{os.getpid()}-{random.randrange(16**6):06x}"
        self._handlers, self._fallback = {}, None
        self._stopping, self._over = threading.Event(), threading.Event()
        self._lock = threading.Lock()
        self._running = {}
        self._free = threading.Semaphore(concurrency)
        self._settled = queue.Queue()
        self._local = threading.local()
        self._lease_line = Service(self.url, timeout=wait_ms / 1000 + 15)

    def on(self, kind):
        """Decorates the function for tasks of this kind."""

        def register(function):
            self._handlers[kind] = function
            return function

        return register

    def otherwise(self, function):
        """Decorates the function for tasks of all other kinds."""
        self._fallback = function
        return function

    def stop(self):
        """Begins to end, as a signal does. May be called from any thread."""
        self._stopping.set()
        self._lease_line.hang_up()

    def run(self):
        """Works until a signal or `stop`. Call it from the main thread."""
        signals = []
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: signals.append(number))
        log(f"{self.worker_id} takes up to {self.concurrency} tasks of {self.queue_name} at {self.url}")
        leaser, _, settler = [start(part) for part in (self._lease, self._extend, self._settle)]
        # A signal comes between any two steps of this thread, so that its handler must not touch a lock.
        while not signals and not self._stopping.is_set():
            time.sleep(0.1)
        self.stop()
        log("stopping: running tasks may end, no new ones begin")
        leaser.join(self.wait_ms / 1000 + 15)
        self._drained(self.drain_s)
        for task in self._held():
            task.order("the worker ends")
        # Who obeys is given back by its own thread; who does not is given back here, and ends with the process.
        self._drained(2)
        for task in self._held():
            self._put("release", task, {})
        self._settled.put(None)
        settler.join(10)
        self._over.set()
        log("stopped")

    def service(self):
        """This thread's own connection."""
        if not hasattr(self._local, "service"):
            self._local.service = Service(self.url, timeout=15)
        return self._local.service

    def heard(self, task, asked, status, answer):
        """Notes what an extension brought: more time, orders, or that the task is another's."""
        if status == 200:
            task.lease_ends = asked + self.lease_ms / 1000
            if "cancel" in answer["orders"]:
                task.order("called off")
            elif "pause" in answer["orders"]:
                task.order("the brake is on")
        elif status in (404, 409):
            task.order("lost")

    def _lease(self):
        backoff = Backoff("cannot lease", self._stopping)
        while not self._stopping.is_set():
            if not self._free.acquire(timeout=0.2):
                continue
            slots = 1
            while slots < BATCH and self._free.acquire(blocking=False):
                slots += 1
            leased = []
            words = {"worker_id": self.worker_id, "max_tasks": slots}
            words.update(lease_ms=self.lease_ms, wait_ms=self.wait_ms)
            try:
                status, answer = self._lease_line.post(f"/v1/queues/{self.queue_name}/lease", words)
                if status != 200:
                    raise SystemExit(f"lease refused: {answer.get('detail')} {answer.get('errors', '')}")
                leased = answer["tasks"]
                backoff.reset()
            except Away as away:
                backoff.wait(away)
            for _ in range(slots - len(leased)):
                self._free.release()
            for one in leased:
                # The poll may have waited for long; the leases began just now.
                task = Task(self, one, time.monotonic() + self.lease_ms / 1000)
                with self._lock:
                    self._running[task.id, task.fence] = task
                if self._stopping.is_set():
                    self._put("release", task, {})
                else:
                    start(self._work, task)

    def _work(self, task):
        function = self._handlers.get(task.kind, self._fallback)
        try:
            if function is None:
                raise Permanent(f"no handler for tasks of kind {task.kind}")
            result = function(task)
            words = {} if result is None else {"result": result}
            if task.next:
                words["enqueue"] = task.next
            json.dumps(words, allow_nan=False)
            self._put("ack", task, words)
        except Stopped:
            self._stopped(task)
        except Failed as error:
            self._put("fail", task, {**words_of(error), "retryable": not isinstance(error, Permanent)})
        except Exception as error:  # noqa: BLE001: whatever a function raises is a failed attempt
            traceback.print_exc()
            self._put("fail", task, words_of(error))

    def _stopped(self, task):
        if task.stop_reason == "lost":
            self._forget(task)
        elif task.stop_reason == "the worker ends" or (task.stop_reason is None and self._stopping.is_set()):
            self._put("release", task, {})
        else:
            # The service knows what it ordered: a task that is called off ends, a braked one loses no attempt.
            self._put("fail", task, {"error": task.stop_reason or "stopped"})

    def _extend(self):
        pause = max(self.lease_ms / 3000, 0.05)
        while not self._over.wait(pause):
            now = time.monotonic()
            for task in self._held():
                if task.deadline is not None and now > task.deadline:
                    task.order(f"timed out after {task.leased['timeout_ms']} ms")
                elif now > task.lease_ends:
                    task.order("lost")
            # What does not stop in time is not held any longer: its lease ends, and another worker takes it.
            overdue = [task for task in self._held() if task.deadline is not None and now > task.deadline + 5]
            tasks = [task for task in self._held() if task.stop_reason != "lost" and task not in overdue]
            for batch in (tasks[at : at + BATCH] for at in range(0, len(tasks), BATCH)):
                words = [{"task_id": task.id, "fence": task.fence, "lease_ms": self.lease_ms} for task in batch]
                try:
                    status, answer = self.service().post("/v1/tasks/extend", {"tasks": words})
                except Away:
                    continue
                for task, verdict in zip(batch, answer["tasks"] if status == 200 else []):
                    self.heard(task, now, verdict.get("problem", {}).get("status", 200), verdict)

    def _settle(self):
        backoff = Backoff("cannot settle", self._over)
        more = True
        while more or not self._settled.empty():
            said = [self._settled.get()]
            while len(said) < BATCH and not self._settled.empty():
                said.append(self._settled.get())
            more = more and None not in said
            for verb in ("ack", "fail", "release"):
                batch = [item for item in said if item is not None and item[0] == verb]
                while batch and not self._over.is_set():
                    batch = self._say(verb, batch, backoff)

    def _say(self, verb, batch, backoff):
        """Settles; answers what has to be said again. Repeating a settlement is safe."""
        words = [{"task_id": task.id, "fence": task.fence, **rest} for _, task, rest in batch]
        try:
            status, answer = self.service().post(f"/v1/tasks/{verb}", {"tasks": words})
        except Away as away:
            backoff.wait(away)
            return batch
        backoff.reset()
        if status != 200 and len(batch) > 1:
            # Too long together, or one of them cannot be read: that is no matter of the others.
            half = len(batch) // 2
            return self._say(verb, batch[:half], backoff) + self._say(verb, batch[half:], backoff)
        again = []
        for item, verdict in zip(batch, answer["tasks"] if status == 200 else [{"problem": answer}]):
            problem = verdict.get("problem", {"status": 200})
            if problem["status"] >= 500:
                again.append(item)
            elif problem["status"] in (400, 413, 422) and verb == "ack":
                reason = problem.get("errors") or problem["title"]
                self._put("fail", item[1], {"error": f"result refused: {reason}", "retryable": False})
            else:
                if "problem" in verdict:
                    log(f"{item[1].id}: {verb}: {problem.get('detail') or problem['title']}")
                self._forget(item[1])
        if again:
            backoff.wait(Away("the store is away"))
        return again

    def _put(self, verb, task, rest):
        self._settled.put((verb, task, rest))

    def _forget(self, task):
        with self._lock:
            known = self._running.pop((task.id, task.fence), None)
        if known is not None:
            self._free.release()

    def _held(self):
        with self._lock:
            return list(self._running.values())

    def _drained(self, seconds):
        ends = time.monotonic() + seconds
        while self._held() and time.monotonic() < ends:
            time.sleep(0.05)


class Backoff:
    """Waits longer and longer while the service is away, and says so once."""

    def __init__(self, what, end):
        self._what, self._end, self._failures = what, end, 0

    def wait(self, away):
        if self._failures == 0 and not self._end.is_set():
            log(f"{self._what}, trying again: {away}")
        self._failures += 1
        longest = min(0.25 * 2**self._failures, 10)
        self._end.wait(max(away.wait or 0, random.uniform(longest / 2, longest)))

    def reset(self):
        if self._failures:
            log("the service is back")
        self._failures = 0


def words_of(error):
    """The error, and its causes from the outermost on."""
    words = []
    while error is not None and len(words) < 10:
        text = str(error) if isinstance(error, Failed) else f"{type(error).__name__}: {error}"
        words.append(text.encode(errors="replace")[:1024].decode(errors="ignore"))
        error = error.__cause__ or error.__context__
    return {"error": words[0], "error_chain": words[1:]}


def start(function, *arguments):
    """A thread; what goes wrong in a way that nobody foresaw ends the program, and the leases end by themselves."""

    def guarded():
        try:
            function(*arguments)
        except SystemExit as end:
            log(end)
            os._exit(1)
        except BaseException:
            traceback.print_exc()
            os._exit(1)

    thread = threading.Thread(target=guarded, daemon=True)
    thread.start()
    return thread


def log(message):
    print(f"worker: {message}", file=sys.stderr, flush=True)
