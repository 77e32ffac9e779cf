"""The jobs of rq_app.py."""

import os

FAILURES = "failures"


def square(n):
    return n * n


def fails(text):
    raise ValueError(text)


def fails_at_first(times):
    from rq import get_current_job

    job = get_current_job()
    tries = job.connection.hincrby(FAILURES, job.id, 1)
    if tries <= times:
        raise RuntimeError(f"try {tries}")
    return tries


def sum_of_dependencies():
    from rq import get_current_job

    return sum(job.return_value() for job in get_current_job().fetch_dependencies())


def remembers(text):
    from rq import get_current_job

    job = get_current_job()
    job.meta["text"] = text
    job.save_meta()
    return os.getpid() > 0


def reported(job, connection, *args):
    connection.rpush("reports", f"{job.get_status(refresh=False)}")
