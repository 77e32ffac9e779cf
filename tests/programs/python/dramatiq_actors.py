"""Dramatiq: workers that are threads here, retries, results, a rate limiter, a barrier, delayed messages; its broker is all Lua."""

import threading

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import GroupCallbacks
from dramatiq.rate_limits import Barrier, BucketRateLimiter, ConcurrentRateLimiter, WindowRateLimiter
from dramatiq.rate_limits.backends import RedisBackend
from dramatiq.results import ResultFailure, Results
from dramatiq.results.backends import RedisBackend as ResultBackend
from outcome import URL, done, refused, tell, until

broker = RedisBroker(url=URL)
limits = RedisBackend(url=URL)
broker.add_middleware(Results(backend=ResultBackend(url=URL)))
broker.add_middleware(GroupCallbacks(limits))
dramatiq.set_broker(broker)
LIMIT_MS = 30_000
seen, guard = [], threading.Lock()


@dramatiq.actor(store_results=True)
def add(x, y):
    return x + y


@dramatiq.actor(store_results=True, max_retries=3, min_backoff=10, max_backoff=20)
def flaky(key, times):
    with guard:
        seen.append(key)
        tries = seen.count(key)
    if tries <= times:
        raise ValueError(f"try {tries}")
    return tries


@dramatiq.actor(store_results=True, max_retries=0)
def fails():
    raise ValueError("no")


@dramatiq.actor
def noted(text):
    with guard:
        seen.append(text)


def main():
    messages = [add.send(n, n) for n in range(50)]
    tell("queued", broker.client.llen("dramatiq:default"))
    worker = dramatiq.Worker(broker, worker_threads=4, worker_timeout=50)
    worker.start()
    tell("results", sum(m.get_result(block=True, timeout=LIMIT_MS) for m in messages))
    tell("retried", flaky.send("f", 2).get_result(block=True, timeout=LIMIT_MS))
    tell("failed", refused(ResultFailure, fails.send().get_result, block=True, timeout=LIMIT_MS))
    tell("piped", (add.message(1, 2) | add.message(3) | add.message(4)).run().get_result(block=True, timeout=LIMIT_MS))
    group = dramatiq.group([add.message(n, 1) for n in range(8)])
    group.add_completion_callback(noted.message("group"))
    tell("group", sorted(group.run().get_results(block=True, timeout=LIMIT_MS)))
    until(lambda: "group" in seen, "the group's callback")
    noted.send_with_options(args=("later",), delay=100)
    until(lambda: "later" in seen, "a delayed message")
    broker.join("default", timeout=LIMIT_MS)
    worker.join()
    worker.stop()
    tell("nothing waits", [broker.client.llen("dramatiq:default"), broker.client.llen("dramatiq:default.DQ")])
    tell("no longer held", broker.client.hlen("dramatiq:default.msgs"))

    for kind, options in [(ConcurrentRateLimiter, {"limit": 2, "ttl": 60_000}), (BucketRateLimiter, {"limit": 2, "bucket": 600_000}), (WindowRateLimiter, {"limit": 2, "window": 600})]:
        limiter = kind(limits, kind.__name__, **options)
        with limiter.acquire(raise_on_failure=False) as a, limiter.acquire(raise_on_failure=False) as b, limiter.acquire(raise_on_failure=False) as c:
            inside = [a, b, c]
        with limiter.acquire(raise_on_failure=False) as after:
            tell(kind.__name__, [inside, after])
    barrier = Barrier(limits, "barrier", ttl=60_000)
    tell("barrier", [barrier.create(3), barrier.create(3), barrier.wait(block=False), barrier.wait(block=False), barrier.wait(block=False)])
    noted.send("never")
    broker.flush_all()
    tell("flushed", broker.client.llen("dramatiq:default"))
    broker.close()
    done()


main()
