"""The nearest examples: what is near, in which order, in which place, and how long a question may take."""

from __future__ import annotations

import csv
import json
import time
from pathlib import Path

import pytest

from logos_shift_openai.core.config import Examples
from logos_shift_openai.core.config_reading import config_from
from logos_shift_openai.core.examples import (
    BadIndexError,
    Example,
    ExampleIndex,
    example_of,
    index_bytes,
    name_of,
    read_index,
    with_examples,
)
from logos_shift_openai.core.strict import ConfigError
from logos_shift_openai.lab import data

SOME = [
    Example("Where is my card?", "card_arrival"),
    Example("My card has not arrived yet", "card_arrival"),
    Example("How do I top up?", "top_up"),
    Example("Which currencies do you take? \u2028 €", "currencies"),
]


def test_what_shares_rare_words_is_near():
    """The rarest shared words count most; what shares none is not given, however many are asked for."""
    index = ExampleIndex(SOME)
    assert index.nearest("has my CARD arrived", 2) == [SOME[1], SOME[0]]
    assert index.nearest("top", 5) == [SOME[2]]
    assert index.nearest("", 5) == index.nearest("??", 5) == index.nearest("zebra", 5) == []
    assert index.nearest("card", 0) == []
    assert ExampleIndex([]).nearest("card", 3) == []


def test_a_file_is_its_content():
    """Read back whole, the same bytes each time; another content or format is refused."""
    content = index_bytes(SOME)
    assert content == index_bytes(iter(SOME))
    index = read_index(content, name_of(content))
    assert index.nearest("currencies", 1) == [SOME[3]]
    for bad in (
        b"",
        b"{}",
        b"[1]\n",
        b"\xff",
        content.replace(b"/1", b"/2"),
        content + b'["x"]\n',
        content + b"[1,2]\n",
    ):
        with pytest.raises(BadIndexError):
            read_index(bad, name_of(bad))
    with pytest.raises(BadIndexError, match="not the one"):
        read_index(content + b" ", name_of(content))


def test_rounds_stand_between_the_system_text_and_the_rest():
    """The nearest last; the caller's list stays as it is."""
    index = ExampleIndex(SOME)
    parts = [{"type": "text", "text": "has my card"}, {"type": "text", "text": "arrived"}]
    chat = [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": parts}]
    before = json.dumps(chat)
    got = with_examples(chat, index, 2)
    assert [one["role"] for one in got] == ["developer", "user", "assistant", "user", "assistant", "user"]
    assert (got[1]["content"], got[3]["content"]) == ("Where is my card?", "My card has not arrived yet")
    assert json.dumps(chat) == before
    for empty in ([], [{"role": "system", "content": "x"}], [{"role": "user", "content": None}]):
        with pytest.raises(ValueError, match="no question"):
            with_examples(empty, index, 2)


def test_only_chats_of_one_round_in_text_are_examples():
    """Others are left out."""
    user, answer = {"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}
    assert example_of({"messages": [{"role": "system", "content": "s"}, user, answer]}) == Example("q", "a")
    for messages in ([user], [user, answer, user, answer], [user, {**answer, "content": None}], None, [1, 2], [answer]):
        assert example_of({"messages": messages}) is None


def rows():
    """10,000 questions: the whole Banking77 where it lies beside us, else the shipped rows over and over, told apart."""
    path = Path(__file__).parents[3] / "shared" / "data" / "banking77" / "train.csv"
    if path.exists():
        with path.open(encoding="utf-8", newline="") as file:
            return [Example(row["text"], row["category"]) for row in csv.DictReader(file)][:10_000]
    shipped = data.rows("train")
    return [
        Example(f"{text} {place // 7}", answer) for place in range(10_000) for text, answer in [shipped[place % 1_403]]
    ]


def test_a_question_looks_at_a_bounded_number_of_entries(monkeypatch):
    """However common its words are: the time of a question does not grow with the examples."""
    looked = 0

    class Counting(list):
        def __getitem__(self, place):
            nonlocal looked
            found = super().__getitem__(place)
            looked += len(found)
            return found

    index = ExampleIndex(rows())
    index._postings = {word: Counting(found) for word, found in index._postings.items()}
    for text, _ in data.rows("test"):
        looked = 0
        assert len(index.nearest(text, 4)) == 4
        assert looked <= 2_500


def test_what_is_near_has_the_same_answer_most_of_the_time():
    """Of the shipped held-out questions at least .8 have the answer of their nearest example."""
    index = ExampleIndex([Example(*row) for row in data.rows("train")])
    held = data.rows("test")
    right = sum(index.nearest(text, 1)[0].answer == answer for text, answer in held)
    assert right / len(held) >= 0.8


def test_the_config_is_strict_about_examples():
    """Path and fault of what is wrong."""
    experiment = {"key": "e", "match": {"model": "m"}, "candidate": {"model": "c"}, "share": 5, "salt": "s"}

    def read(examples, **more):
        one = {**experiment, "candidate": {"model": "c", "examples": examples, **more}}
        return config_from({"version": 1, "experiments": [one]}).experiments[0].candidate.examples

    name = "0a" * 32
    assert read({"index": name, "count": 4}) == Examples(name, 4)
    for bad, said in (
        ({"index": name}, "count: missing"),
        ({"index": "../x", "count": 4}, "index: .*SHA-256"),
        ({"index": name.upper(), "count": 4}, "index: .*SHA-256"),
        ({"index": name, "count": 0}, r"count: 0 is not in 1\.\.32"),
        ({"index": name, "count": True}, "count: true"),
        ({"index": name, "count": 1, "url": "http://x"}, "url: not known"),
    ):
        with pytest.raises(ConfigError, match=r"experiments\[0\].candidate.examples\." + said):
            read(bad)
    with pytest.raises(ConfigError, match="chat completions alone"):
        read({"index": name, "count": 4}, endpoints=["responses"])


if __name__ == "__main__":
    asked = [text for text, _ in data.rows("test")]
    started = time.process_time()
    made = ExampleIndex(rows())
    built = time.process_time() - started
    spent = []
    for one in asked * 5:
        started = time.process_time()
        made.nearest(one, 4)
        spent.append((time.process_time() - started) * 1000)
    spent.sort()
    middle, late = spent[len(spent) // 2], spent[int(len(spent) * 0.99)]
    print(f"{len(made)} examples: built in {built:.2f} s, a question {middle:.3f} ms, p99 {late:.3f} ms (CPU)")
