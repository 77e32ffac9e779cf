"""Scripts in Lua that others wrote: rate limits by limits, locks by redis-py and python-redis-lock; sessions of Flask."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

import redis
import redis.asyncio
import redis_lock
from flask import Flask, session
from flask_session import Session
from limits import parse, storage, strategies
from limits.aio import storage as aio_storage
from limits.aio import strategies as aio_strategies
from outcome import PORT, URL, done, refused, tell, until
from redis.exceptions import LockError, LockNotOwnedError


def limits():
    store = storage.storage_from_string(URL)
    kinds = [strategies.FixedWindowRateLimiter, strategies.MovingWindowRateLimiter, strategies.SlidingWindowCounterRateLimiter]
    hour, few = parse("5/hour"), parse("2/second")
    for kind in kinds:
        limiter, name = kind(store), kind.__name__
        with ThreadPoolExecutor(8) as pool:
            passed = sum(pool.map(lambda _: limiter.hit(hour, name, "anna"), range(30)))
        stats = limiter.get_window_stats(hour, name, "anna")
        tell(name, [passed, limiter.test(hour, name, "anna"), limiter.test(hour, name, "bob"), stats.remaining, stats.reset_time > time.time()])
        tell(f"{name}: cost", [limiter.hit(hour, name, "carl", cost=4), limiter.hit(hour, name, "carl", cost=4), limiter.hit(hour, name, "carl")])
        while limiter.hit(few, name, "dora"):
            pass
        until(lambda: limiter.hit(few, name, "dora"), "another second")  # noqa: B023
        limiter.clear(hour, name, "anna")
        tell(f"{name}: cleared", limiter.hit(hour, name, "anna"))
    tell("check", [store.check(), store.reset() > 0])


async def limits_of_tasks():
    store = aio_storage.RedisStorage(f"async+{URL}", implementation="redispy")
    limiter = aio_strategies.MovingWindowRateLimiter(store)
    hits = await asyncio.gather(*(limiter.hit(parse("7/hour"), "tasks") for _ in range(25)))
    tell("limits of tasks", sum(hits))


def locks():
    client = redis.Redis(port=PORT)
    inside = {"now": 0, "most": 0}

    def enter():
        inside["now"] += 1
        inside["most"] = max(inside["most"], inside["now"])
        time.sleep(0.001)
        inside["now"] -= 1

    def by_redis_py(_):
        with client.lock("guard", timeout=20, sleep=0.003):
            enter()

    def by_redis_lock(_):
        with redis_lock.Lock(client, "queue", expire=20):
            enter()

    for way in (by_redis_py, by_redis_lock):
        inside.update(now=0, most=0)
        with ThreadPoolExecutor(6) as pool:
            list(pool.map(way, range(30)))
        tell(way.__name__, inside)

    lock = client.lock("one", timeout=10)
    tell("taken", [lock.acquire(blocking=False), client.lock("one").acquire(blocking=False), lock.locked(), lock.owned()])
    tell("longer", [lock.extend(50), lock.reacquire(), 5 < client.ttl("one") <= 10, lock.extend(30, replace_ttl=True), client.ttl("one") > 20])
    client.set("one", "somebody else")
    tell("lost", [refused(LockNotOwnedError, lock.release), refused(LockError, client.lock("none").release)])
    brief = client.lock("brief", timeout=0.05)
    brief.acquire()
    until(lambda: client.lock("brief", timeout=5).acquire(blocking=False), "the end of a lock")
    tell("ended by itself", refused(LockNotOwnedError, brief.release))

    renewed = redis_lock.Lock(client, "renewed", expire=1, auto_renewal=True)
    with renewed:
        time.sleep(1.3)
        tell("renewed", [client.exists("lock:renewed"), redis_lock.Lock(client, "renewed").acquire(blocking=False)])
    waits = redis_lock.Lock(client, "renewed", expire=5)
    tell("released", [waits.acquire(timeout=2), waits.release()])
    tell("not taken", refused(redis_lock.NotAcquired, redis_lock.Lock(client, "other").release))
    redis_lock.reset_all(client)
    tell("reset", client.keys("lock:*"))


async def locks_of_tasks():
    client = redis.asyncio.Redis(port=PORT)
    order = []

    async def one(n):
        async with client.lock("tasks", timeout=20, sleep=0.003):
            order.append(("in", n))
            await asyncio.sleep(0.001)
            order.append(("out", n))

    await asyncio.gather(*(one(n) for n in range(20)))
    alone = all(a[1] == b[1] for a, b in zip(order[::2], order[1::2], strict=True))
    tell("locks of tasks", [len(order), alone])
    await client.aclose()


def sessions():
    app = Flask("sessions")
    client = redis.Redis(port=PORT)
    app.config.update(SESSION_TYPE="redis", SESSION_REDIS=client, PERMANENT_SESSION_LIFETIME=600)
    Session(app)

    @app.get("/visit/<name>")
    def visit(name):
        session.setdefault("names", []).append(name)
        session.modified = True
        return session["names"]

    @app.get("/leave")
    def leave():
        session.clear()
        return []

    anna, bob = app.test_client(), app.test_client()
    tell("visits", [anna.get("/visit/a").json, bob.get("/visit/b").json, anna.get("/visit/c").json])
    keys = client.keys("session:*")
    tell("stored", [len(keys), all(500 < client.ttl(key) <= 600 for key in keys)])
    tell("left", [anna.get("/leave").json, anna.get("/visit/d").json, bob.get("/visit/e").json])


limits()
asyncio.run(limits_of_tasks())
locks()
asyncio.run(locks_of_tasks())
sessions()
done()
