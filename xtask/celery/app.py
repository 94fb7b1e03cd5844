"""The application of the check: a few tasks, and a task that RedBeat makes each second."""

import os

from celery import Celery

URL = os.environ["CHECK_CELERY_URL"]
app = Celery("app", broker=URL, backend=URL)
app.conf.update(
    broker_connection_retry_on_startup=True,
    broker_transport_options={"priority_steps": [0, 3, 6, 9], "visibility_timeout": 5},
    beat_schedule={"tick": {"task": "app.add", "schedule": 1.0, "args": (1, 1)}},
    beat_scheduler="redbeat.RedBeatScheduler",
    beat_max_loop_interval=1,
    redbeat_redis_url=URL,
    redbeat_lock_timeout=5,
    result_extended=True,
    task_send_sent_event=True,
    task_track_started=True,
    worker_send_task_events=True,
)


@app.task
def add(one, other):
    return one + other


@app.task
def total(numbers):
    return sum(numbers)


@app.task(bind=True, max_retries=2)
def second_try(self, value):
    if self.request.retries == 0:
        raise self.retry(countdown=0.2)
    return value
