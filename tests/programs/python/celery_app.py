"""Celery: a worker of two processes, results, failures, retries, groups, chords, chains, countdowns, revocation, inspection."""

import os

from outcome import URL, Worker, done, refused, tell, until

os.environ["RINGSTONE_URL"] = URL
from celery import chain, chord, group  # noqa: E402
from celery_tasks import add, app, fails, flaky, halfway, limited, quiet, total  # noqa: E402

LIMIT_S = 30
WORKER = ["-m", "celery", "-A", "celery_tasks", "worker", "-c", "2", "-l", "WARNING", "-n", "w1@here"]


def main():
    waiting = [add.delay(i, i) for i in range(20)]
    with app.connection_for_read() as connection:
        tell("length", connection.default_channel.client.llen("celery"))
    with Worker(*WORKER):
        tell("results", [r.get(LIMIT_S) for r in waiting])
        tell("state", sorted({r.state for r in waiting}))
        tell("failure", refused(ValueError, fails.delay("no").get, LIMIT_S))
        failed = fails.delay("again")
        tell("failed", [failed.get(LIMIT_S, propagate=False), failed.state, "ValueError" in failed.traceback])
        tell("retries", flaky.delay(3).get(LIMIT_S))
        tell("too many retries", refused(Exception, flaky.apply_async((9,)).get, LIMIT_S).split(":")[0])
        tell("group", group(add.s(i, 1) for i in range(10))().get(LIMIT_S))
        tell("chain", chain(add.s(1, 2), add.s(3), add.s(4))().get(LIMIT_S))
        tell("chord", chord((add.s(i, i) for i in range(25)), total.s())().get(LIMIT_S))
        nested = chain(group(add.s(1, 1), add.s(2, 2)), total.s(), add.s(100))
        tell("a group in a chain", nested().get(LIMIT_S))
        tell("a chord that fails", refused(Exception, chord([add.s(1, 1), fails.s("part")], total.s())().get, LIMIT_S).split(":")[0])
        tell("later", add.apply_async((2, 3), countdown=0.2).get(LIMIT_S))
        tell("with a priority", [add.apply_async((n, 0), priority=n).get(LIMIT_S) for n in (9, 5, 0)])
        tell("progress", halfway.delay().get(LIMIT_S))
        for _ in range(5):
            quiet.delay("quiet")
        until(lambda: app.backend.client.get("quiet") == b"5", "five tasks without results")
        revoked = add.apply_async((0, 0), countdown=2)
        revoked.revoke()
        tell("limited", sorted(r.get(LIMIT_S) for r in [limited.delay(n) for n in range(6)]))
        tell("expired", refused(Exception, add.apply_async((1, 1), expires=-1).get, LIMIT_S))
        tell("revoked", [refused(Exception, revoked.get, LIMIT_S), revoked.state])
        stats = until(lambda: app.control.inspect(timeout=2).stats(), "a worker that answers")
        tell("inspected", [sorted(stats), stats["w1@here"]["pool"]["max-concurrency"]])
        tell("ping", app.control.ping(timeout=2))
        tell("registered", sorted(t for t in app.control.inspect(timeout=2).registered()["w1@here"] if "celery_tasks" in t))
        result = add.delay(40, 2)
        tell("stored", [result.get(LIMIT_S), app.AsyncResult(result.id).args, app.AsyncResult(result.id).name])
        ttl = app.backend.client.ttl(app.backend.get_key_for_task(result.id))
        tell("results expire", 500 < ttl <= 600)
        result.forget()
        tell("forgotten", app.AsyncResult(result.id).state)
    with app.connection_for_read() as connection:
        tell("nothing waits", connection.default_channel.client.llen("celery"))
        add.delay(1, 1)
        tell("purged", app.control.purge())
    done()


main()
