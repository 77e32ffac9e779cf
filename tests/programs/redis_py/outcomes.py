"""A plugin of pytest: writes what came of each test, a line each, to the file that OUTCOMES names."""

import os
import tracemalloc

outcomes = {}
# The suite has it on for all its run, for nothing that is looked at here, and is half as fast with it.
tracemalloc.start = lambda *_: None


def pytest_runtest_logreport(report):
    known = outcomes.get(report.nodeid, "passed")
    outcomes[report.nodeid] = report.outcome if known == "passed" else known


def pytest_sessionfinish(session, exitstatus):
    with open(os.environ["OUTCOMES"], "w") as file:
        file.writelines(f"{outcome} {test}\n" for test, outcome in outcomes.items())
    if exitstatus == 1:  # Some tests failed: which, is in the file.
        session.exitstatus = 0
