"""Channel layers of Django Channels, by lists and by publish and subscribe, and the task queue Huey with its schedule."""

import asyncio
import threading

from channels.exceptions import ChannelFull
from channels_redis.core import RedisChannelLayer
from channels_redis.pubsub import RedisPubSubChannelLayer
from huey import PriorityRedisHuey
from huey.exceptions import TaskException
from outcome import URL, done, refused, tell


async def layer_of_lists():
    layer = RedisChannelLayer(hosts=[URL], capacity=5, expiry=60, group_expiry=600)
    await layer.send("work", {"type": "job", "n": 1, "bytes": b"\x00\xff"})
    tell("received", await layer.receive("work"))
    own = [await layer.new_channel("specific") for _ in range(3)]
    waiting = [asyncio.ensure_future(layer.receive(name)) for name in own]
    for n, name in enumerate(own):
        await layer.send(name, {"type": "own", "n": n})
    tell("own channels", [message["n"] for message in await asyncio.gather(*waiting)])
    for name in own:
        await layer.group_add("room", name)
    await layer.group_discard("room", own[1])
    await layer.group_send("room", {"type": "said", "text": "hello"})
    tell("group", [(await layer.receive(own[i]))["text"] for i in (0, 2)])
    for n in range(5):
        await layer.send("full", {"type": "x", "n": n})
    try:
        await layer.send("full", {"type": "x"})
    except ChannelFull:
        tell("full", True)
    tell("in order", [(await layer.receive("full"))["n"] for _ in range(5)])
    await layer.flush()
    await layer.close_pools()


async def layer_of_subscriptions():
    layer = RedisPubSubChannelLayer(hosts=[URL])
    names = [await layer.new_channel() for _ in range(4)]
    for name in names:
        await layer.group_add("room", name)
    await layer.group_send("room", {"type": "said", "text": "hello"})
    tell("subscribed", [(await layer.receive(name))["text"] for name in names])
    await layer.group_discard("room", names[0])
    await layer.group_send("room", {"type": "said", "text": "again"})
    await layer.send(names[0], {"type": "said", "text": "only you"})
    tell("then", [(await layer.receive(name))["text"] for name in names])
    await layer.flush()


def tasks():
    huey = PriorityRedisHuey("tasks", url=URL, blocking=True, store_intermediate_errors=False)
    order, guard, tries = [], threading.Lock(), []

    @huey.task()
    def add(x, y):
        return x + y

    @huey.task(retries=2)
    def flaky():
        tries.append(1)
        if len(tries) < 3:
            raise ValueError("not yet")
        return len(tries)

    @huey.task()
    def fails():
        raise ValueError("no")

    @huey.task()
    def noted(name):
        with guard:
            order.append(name)

    @huey.task()
    @huey.lock_task("alone")
    def locked():
        return huey.is_locked("alone")

    for name, priority in [("low", 1), ("high", 9), ("middle", 5)]:
        noted(name, priority=priority)
    revoked = add(0, 0)
    revoked.revoke()
    tell("pending", [huey.pending_count(), revoked.is_revoked()])
    for _ in range(4):
        huey.execute(huey.dequeue())
    tell("by priority", order)
    consumer = huey.create_consumer(workers=3, periodic=False, initial_delay=0.01, max_delay=0.05, scheduler_interval=0.1)
    consumer.start()
    results = [add(n, n) for n in range(30)]
    tell("results", [r.get(blocking=True, timeout=30) for r in results])
    tell("retried", flaky().get(blocking=True, timeout=30))
    tell("failed", refused(TaskException, fails().get, blocking=True, timeout=30))
    tell("in a line", huey.enqueue(add.s(1, 2).then(add, 3).then(add, 4)).get(blocking=True, timeout=30))
    tell("later", add.schedule((3, 4), delay=1).get(blocking=True, timeout=30))
    tell("locked", locked().get(blocking=True, timeout=30))
    tell("mapped", add.map([(n, 1) for n in range(5)]).get(blocking=True, timeout=30))
    consumer.stop(graceful=True)
    with huey.lock_task("held"):
        tell("locks", huey.is_locked("held"))
    huey.put("key", {"a": 1})
    tell("stored", [huey.get("key", peek=True), huey.get("key"), huey.get("key")])
    tell("flushed", [huey.flush(), huey.pending_count(), huey.scheduled_count()])


asyncio.run(layer_of_lists())
asyncio.run(layer_of_subscriptions())
tasks()
done()
