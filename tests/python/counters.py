"""How often each tool has been called and has completed, in this process and in the journal.

`--journal FILE` appends a line for each event, so that a test can read what several processes have
done without a call of its own.
"""

import json
import os
import sys
from collections import Counter

requests: Counter[str] = Counter()
commits: Counter[str] = Counter()


def flag(name: str) -> str | None:
    """The value of a flag of the command line, `--name VALUE` or `--name=VALUE`."""
    words = sys.argv[1:]
    for at, word in enumerate(words):
        if word.startswith(f"{name}="):
            return word.partition("=")[2]
        if word == name:
            return words[at + 1]
    return None


JOURNAL = flag("--journal")


def request(name: str, key: str | None) -> None:
    """Counts a call of a tool as it arrives."""
    _count("request", requests, name, key)


def commit(name: str, key: str | None = None) -> None:
    """Counts the effect of a tool, its last deed."""
    _count("commit", commits, name, key)


def _count(event: str, counter: Counter[str], name: str, key: str | None) -> None:
    counter[name] += 1
    if key is not None:
        counter[f"{name}:{key}"] += 1
    if JOURNAL:
        line = json.dumps({"event": event, "name": name, **({} if key is None else {"key": key})})
        # A short line is appended in one piece, whoever else writes.
        journal = os.open(JOURNAL, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(journal, f"{line}\n".encode())
        finally:
            os.close(journal)
