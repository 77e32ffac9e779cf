"""RQ: workers in processes of their own, results, failures, retries, dependencies, a scheduler, callbacks, registries."""

from datetime import timedelta

from outcome import URL, Worker, done, tell, until
from redis import Redis
from rq import Callback, Queue, Retry
from rq.job import Job, JobStatus
from rq.registry import FailedJobRegistry, FinishedJobRegistry, ScheduledJobRegistry
from rq.worker import Worker as RqWorker

import rq_jobs

CLI = ["-c", "from rq.cli import main; main()"]
WORKER = [*CLI, "worker", "--url", URL, "--with-scheduler", "--quiet", "high", "low"]


def ended(*jobs):
    until(lambda: all(job.get_status() in (JobStatus.FINISHED, JobStatus.FAILED, JobStatus.STOPPED) for job in jobs), "jobs")
    return [job.return_value() for job in jobs]


def main():
    redis = Redis.from_url(URL)
    high, low = Queue("high", connection=redis), Queue("low", connection=redis)
    jobs = [low.enqueue(rq_jobs.square, n, job_id=f"square-{n}") for n in range(10)]
    many = high.enqueue_many([Queue.prepare_data(rq_jobs.square, (n,), job_id=f"many-{n}") for n in range(5)])
    tell("queued", [low.count, high.count, low.job_ids, low.get_job_position("square-4")])
    front = low.enqueue(rq_jobs.square, 99, at_front=True, job_id="front")
    tell("at the front", low.job_ids[0])
    low.remove("square-9")
    tell("removed", low.count)
    with Worker(*WORKER), Worker(*WORKER):
        tell("results", ended(*jobs[:9], *many, front))
        failed = low.enqueue(rq_jobs.fails, "no")
        ended(failed)
        tell("failed", [failed.get_status(), failed.latest_result().exc_string.splitlines()[-1]])
        tell("the registry of failures", FailedJobRegistry(queue=low).get_job_ids() == [failed.id])
        retried = low.enqueue(rq_jobs.fails_at_first, 2, retry=Retry(max=3))
        tell("retried", ended(retried))
        waits = low.enqueue(rq_jobs.fails_at_first, 1, retry=Retry(max=2, interval=1))
        tell("retried later", ended(waits))
        parents = [high.enqueue(rq_jobs.square, n) for n in (3, 4)]
        child = low.enqueue(rq_jobs.sum_of_dependencies, depends_on=parents)
        tell("dependent", ended(child))
        told = low.enqueue(rq_jobs.square, 2, on_success=Callback(rq_jobs.reported))
        lost = low.enqueue(rq_jobs.fails, "x", on_failure=Callback(rq_jobs.reported))
        ended(told, lost)
        until(lambda: redis.llen("reports") == 2, "reports")
        tell("reports", sorted(redis.lrange("reports", 0, -1)))
        later = low.enqueue_in(timedelta(seconds=1), rq_jobs.square, 7)
        tell("scheduled", [later.get_status(), later.id in ScheduledJobRegistry(queue=low)])
        tell("and run", ended(later))
        meta = low.enqueue(rq_jobs.remembers, "this")
        ended(meta)
        tell("meta", Job.fetch(meta.id, connection=redis).meta)
        tell("finished", len(FinishedJobRegistry(queue=high)))
        failed.requeue()
        until(lambda: failed.get_status() == JobStatus.FAILED, "a failure again")
        workers = RqWorker.all(connection=redis)
        tell("workers", [len(workers), sorted(w.queue_names() for w in workers)[0]])
        tell("expire", 0 < redis.ttl(f"rq:job:{child.id}") <= 500)
    until(lambda: not RqWorker.all(connection=redis), "workers that left")
    tell("empty", [low.empty(), low.count, low.delete(delete_jobs=True)])
    done()


main()
