"""Django: its cache over django-redis and over its own backend, sessions in the cache, many threads, locks."""

from concurrent.futures import ThreadPoolExecutor

import django
from django.conf import settings
from outcome import URL, done, refused, tell, until

settings.configure(
    CACHES={
        "default": {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": f"{URL}/1",
            "KEY_PREFIX": "site",
            "OPTIONS": {"COMPRESSOR": "django_redis.compressors.zlib.ZlibCompressor"},
        },
        "plain": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": f"{URL}/2"},
    },
    SESSION_ENGINE="django.contrib.sessions.backends.cache",
    INSTALLED_APPS=["django.contrib.sessions"],
)
django.setup()

from django.contrib.sessions.backends.cache import SessionStore  # noqa: E402
from django.core.cache import caches  # noqa: E402


def both(name, cache):
    tell(name, [cache.set("a", {"b": [1, 2.5, None]}, 100), cache.get("a"), cache.get("none", "other")])
    tell(f"{name}: add", [cache.add("a", 1), cache.add("new", 1, 100), cache.get("new")])
    cache.set_many({f"key{i}": "value " * i for i in range(50)}, 100)
    tell(f"{name}: many", {k: len(v) for k, v in cache.get_many(["key1", "key49", "none"]).items()})
    cache.set("n", 5)
    tell(f"{name}: counted", [cache.incr("n"), cache.incr("n", 10), cache.decr("n", 3), cache.get("n")])
    tell(f"{name}: counts nothing", refused(ValueError, cache.incr, "nothing"))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: cache.incr("n"), range(200)))
    tell(f"{name}: counted by threads", cache.get("n"))
    tell(f"{name}: touched", [cache.touch("a", 500), cache.touch("none", 5), cache.has_key("a"), "none" in cache])
    tell(f"{name}: computed", [cache.get_or_set("lazy", lambda: 7, 100), cache.get_or_set("lazy", lambda: 8, 100)])
    tell(f"{name}: versions", [cache.set("v", 2, version=2), cache.get("v"), cache.get("v", version=2), cache.incr_version("v", version=2), cache.get("v", version=3)])
    cache.set("brief", 1, 0.05 if name == "django-redis" else 1)
    until(lambda: cache.get("brief") is None, "expiry")
    cache.delete_many(["key1", "key2"])
    tell(f"{name}: deleted", [cache.delete("a"), cache.delete("a"), cache.get("key1"), cache.get("key3") is not None])


def main():
    cache, plain = caches["default"], caches["plain"]
    both("django-redis", cache)
    both("django", plain)
    cache.set("forever", 1, None)
    cache.set("timed", 1, 300)
    tell("lives", [cache.ttl("forever"), 0 < cache.ttl("timed") <= 300, cache.ttl("none"), cache.persist("timed"), cache.ttl("timed"), cache.expire("timed", 50), cache.ttl("timed")])
    tell("keys", [sorted(cache.keys("key*"))[:3], len(list(cache.iter_keys("key*", itersize=7))), cache.delete_pattern("key*"), cache.keys("key*")])
    tell("not exists", [cache.set("nx", 1, nx=True), cache.set("nx", 2, nx=True)])
    tell("sets", [cache.sadd("s", 1, 2, 3), cache.scard("s"), sorted(cache.smembers("s")), cache.sismember("s", 2)])
    tell("hashes", [cache.hset("h", "f", {"x": 1}), cache.hget("h", "f") if hasattr(cache, "hget") else cache.hlen("h"), cache.hkeys("h")])
    total = {"n": 0}

    def locked(_):
        with cache.lock("guard", timeout=20, sleep=0.005):
            total["n"] += 1
            return total["n"]

    with ThreadPoolExecutor(4) as pool:
        tell("locked", sorted(pool.map(locked, range(20))))

    session = SessionStore()
    session["user"] = "anna"
    session.set_expiry(600)
    session.save()
    again = SessionStore(session_key=session.session_key)
    tell("session", [again["user"], again.get_expiry_age(), session.exists(session.session_key)])
    old = again.session_key
    again.cycle_key()
    tell("a new key", [old != again.session_key, again.exists(old), SessionStore(session_key=again.session_key)["user"]])
    again.flush()
    tell("gone", SessionStore(session_key=old).load())
    cache.clear()
    plain.clear()
    tell("cleared", [cache.keys("*"), plain.get("n")])
    done()


main()
