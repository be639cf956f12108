# The HTTP names of whichever client the installed SDK runs on: httpx2 from openai 3 on, httpx before.
# A star import of a package that is not there adds no name, so no version is asked for. With both there
# httpx2 is meant: mypy keeps the first of two equal names and pyright the last, hence three lines.
from httpx2 import *  # type: ignore[import-not-found, unused-ignore]  # isort: skip # noqa: F403
from httpx import *  # type: ignore[import-not-found, assignment, unused-ignore]  # isort: skip # noqa: F403
from httpx2 import *  # type: ignore[import-not-found, unused-ignore]  # isort: skip # noqa: F403
