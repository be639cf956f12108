"""Write `docs/settings.md` from the table of settings; `--check` compares instead."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from logos_shift_openai.client.settings import TABLE
from logos_shift_openai.server.notifications import channels

PAGE = Path(__file__).parents[1] / "docs" / "settings.md"

HEAD = """\
# Settings

Arguments of `LogosShift(...)` beat the environment, the environment beats the defaults. A value that cannot be meant
raises `SettingsError` when a client is made; the message names the argument or variable and what it takes.

| argument | environment | takes | default | meaning |
|---|---|---|---|---|
"""

PROVIDERS = """
Providers, one pair of variables each, or `LogosShift(providers={"name": Provider(...)})` or a client of the SDK:

| environment | takes | meaning |
|---|---|---|
| `LOGOS_SHIFT_PROVIDER_<NAME>_BASE_URL` | an http(s) address | an endpoint that a candidate may name as its provider |
| `LOGOS_SHIFT_PROVIDER_<NAME>_API_KEY` | a key | its key; it is sent nowhere else |

"""

PLACES = """
Where the server and the commands keep what they are told, if not in the home folder; the options of `logos-shift serve`
beat these. See [self-hosting.md](self-hosting.md), also for the address and the keys of a bucket:

| environment | takes | meaning |
|---|---|---|
| `LOGOS_SHIFT_DATABASE_URL` | as in `postgresql+psycopg://logos@db/logos` | a PostgreSQL instead of SQLite |
| `LOGOS_SHIFT_BODIES_URL` | `s3://bucket` or `s3://bucket/prefix` | an S3-compatible store for bodies and editions |

"""

CHANNELS = """
Channels that notifications are told on, by `logos-shift serve` or, without a server, by each `logos-shift rollout`; see
[notifications.md](notifications.md). `<NAME>` is yours to choose:

| environment | takes | meaning |
|---|---|---|
"""

TAIL = """
Arguments that have no variable: `user_id` and `metadata` (of calls that name none), `filename` (records are also
appended to this file, a line of JSON each), `providers`.

`redact` also takes a function: it gets `{"request", "response", "metadata"}` and gives what to keep of them, or None to
record nothing. An exception in it drops the record, never the call.

Nothing set at all: calls work exactly as before, records go to the spool in the home folder, and any `logos-shift`
command on that machine takes them in. One log line says so once.

## What models cost

Costs are reckoned from the tokens of an answer, by your own table first and then by the data of the package `genai-
prices`, which comes with the extra `prices` and is read without any network. A provider that you named yourself and the
data do not know has no prices but yours, nor has a tuned model of your own making: what is unknown is said, and is
never 0.

```console
$ logos-shift prices set 'tiny-base:*' --input 0.1 --output 0.4
$ logos-shift prices list gpt-6.1-sol
```

Prices are dollars for a million tokens; `--cached` is for those in that came from a cache. The table lies in the
store, so a server on PostgreSQL is told with `--database-url`.
"""


def page() -> str:
    """Give the whole page."""
    rows = (f"| `{one.argument}` | `{one.variable}` | {one.takes} | {one.default} | {one.meaning} |\n" for one in TABLE)
    ways = (f"| `{channels.PREFIX}<NAME>_{name}` | {takes} | {meaning} |\n" for name, takes, meaning in channels.TABLE)
    parts = (HEAD, *rows, PROVIDERS.rstrip("\n"), "\n", PLACES.rstrip("\n"), "\n", CHANNELS, *ways, TAIL)
    return "".join(parts)


if __name__ == "__main__":
    if "--check" in sys.argv:
        sys.exit(0 if PAGE.read_text(encoding="utf-8") == page() else f"{PAGE} is out of date: run {sys.argv[0]}")
    PAGE.write_text(page(), encoding="utf-8")
