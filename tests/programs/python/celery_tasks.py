"""The tasks of celery_app.py, and the application that its worker runs; the server's URL is in the environment."""

import os

from celery import Celery

URL = os.environ["RINGSTONE_URL"]
app = Celery("tasks", broker=f"{URL}/0", backend=f"{URL}/1")
app.conf.update(
    broker_connection_retry_on_startup=True,
    broker_transport_options={"visibility_timeout": 60, "priority_steps": [0, 5, 9]},
    result_extended=True,
    result_expires=600,
    task_acks_late=True,
    task_track_started=True,
    worker_prefetch_multiplier=1,
    worker_send_task_events=True,
)


@app.task
def add(x, y):
    return x + y


@app.task
def total(numbers):
    return sum(numbers)


@app.task
def fails(text):
    raise ValueError(text)


@app.task(bind=True, max_retries=5)
def flaky(self, times):
    if self.request.retries < times:
        raise self.retry(countdown=0.05)
    return self.request.retries


@app.task(bind=True)
def halfway(self):
    self.update_state(state="HALFWAY", meta={"done": 50})
    return self.AsyncResult(self.request.id).info


@app.task(ignore_result=True)
def quiet(key):
    app.backend.client.incr(key)


@app.task(rate_limit="20/s")
def limited(n):
    return n
