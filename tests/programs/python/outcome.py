"""What the programs share: where the server is, how an outcome is told, and how to wait."""

import json
import subprocess
import sys
import time

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 0
URL = f"redis://127.0.0.1:{PORT}"


def tell(name, value):
    """One line of JSON; bytes as text, sets in order."""

    def plain(v):
        if isinstance(v, bytes):
            return v.decode("utf-8", "backslashreplace")
        if isinstance(v, (set, frozenset)):
            return sorted(v)
        return str(v)

    print(json.dumps([name, value], default=plain, sort_keys=True, separators=(",", ":")), flush=True)


def until(condition, what, limit_s=30):
    """Waits until the condition holds, and gives what it gave."""
    deadline = time.monotonic() + limit_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited in vain: {what}")
        time.sleep(0.01)


def refused(kind, call, *args, **kwargs):
    """The message of what was raised; it must be."""
    try:
        value = call(*args, **kwargs)
    except kind as error:
        return f"{type(error).__name__}: {error}"
    raise AssertionError(f"this was to be refused: {value}")


class Worker:
    """Another process of Python, ended with the block."""

    def __init__(self, *args):
        self.process = subprocess.Popen([sys.executable, *args], stdout=sys.stderr)

    def __enter__(self):
        return self.process

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def done():
    tell("done", True)
