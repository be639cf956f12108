"""Bodies: packed with dictionaries, kept in the database, and read back the same; `test_store_s3` has the other store."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

import pytest
from sqlalchemy import func, select, update

from logos_shift_openai.server import zstd
from logos_shift_openai.server.calls import find_call
from logos_shift_openai.server.dictionaries import FIRST_AT, due, train, train_due
from logos_shift_openai.server.ingest import ingest
from logos_shift_openai.server.store import codec as codec_module
from logos_shift_openai.server.store.codec import Codec
from logos_shift_openai.server.store.database import Store, StoreError, open_store
from logos_shift_openai.server.store.schema import call_bodies, dictionaries

if TYPE_CHECKING:
    from sqlalchemy import Connection

NOW = 1_764_000_000_000


def asked(number: int) -> dict[str, Any]:
    system = "You answer questions of the shop's customers, shortly and in full sentences. "
    return {
        "model": "m",
        "messages": [{"role": "system", "content": system * 3}, {"role": "user", "content": str(number**9)}],
    }


def request_of(store: Store, call_id: str) -> Any:
    with store.reading() as connection:
        found = find_call(connection, call_id)
    assert found is not None
    return found["request"]


def mean_size(store: Store) -> float:
    with store.reading() as connection:
        return float(connection.scalar(select(func.avg(func.length(call_bodies.c.data)))) or 0)


def test_a_dataset_gets_its_dictionary_when_it_has_grown(any_store: Store, lines: Any, take: Any) -> None:
    """Bodies from before it and after it are read alike, and those after it are smaller."""
    take(*(lines.call(id=f"a{n}", dataset="sales", request=asked(n)) for n in range(FIRST_AT - 1)))
    assert due(any_store) == {}
    before = mean_size(any_store)
    take(lines.call(id="last", dataset="sales", request=asked(1)), lines.call(dataset="other"))
    assert due(any_store) == {"sales": FIRST_AT}
    train_due(any_store, NOW)
    assert due(any_store) == {}
    with any_store.reading() as connection:
        assert connection.scalars(select(dictionaries.c.dataset)).all() == ["sales"]
    take(*(lines.call(id=f"b{n}", dataset="sales", request=asked(n)) for n in range(50)))
    with any_store.reading() as connection:
        after = connection.scalar(
            select(func.avg(func.length(call_bodies.c.data))).where(call_bodies.c.call_id.like("b%"))
        )
    assert after is not None
    assert float(after) < before / 2
    assert request_of(any_store, "a7") == asked(7)
    assert request_of(any_store, "b7") == asked(7)


def test_another_process_reads_what_a_dictionary_packed(target: Any, lines: Any) -> None:
    """A store opened anew knows no dictionary yet, and finds it by the number in the body."""
    store = open_store(target)
    ingest(store, [lines.call(id=f"a{n}", request=asked(n)) for n in range(FIRST_AT)], NOW)
    train_due(store, NOW)
    ingest(store, [lines.call(id="b", request=asked(3))], NOW)
    other = open_store(target)
    assert request_of(other, "b") == asked(3)
    other.close()
    store.close()


def test_a_frame_is_kept_without_what_all_begin_with(any_store: Store, lines: Any, take: Any) -> None:
    """And one that has it, as they once had, is read alike, packed with a dictionary or without."""
    take(*(lines.call(id=f"a{n}", request=asked(n)) for n in range(FIRST_AT)))
    train_due(any_store, NOW)
    take(lines.call(id="b", request=asked(3)))
    magic = b"\x28\xb5\x2f\xfd"
    with any_store.writing() as connection:
        for name in ("a3", "b"):
            mine = call_bodies.c.call_id == name
            data = connection.scalar(select(call_bodies.c.data).where(mine))
            assert data is not None
            assert not data.startswith(magic[:1])
            connection.execute(update(call_bodies).where(mine).values(data=magic + data))
    assert request_of(any_store, "a3") == request_of(any_store, "b") == asked(3)


def test_too_few_samples_give_no_dictionary(any_store: Store, lines: Any, take: Any) -> None:
    """It is no fault; bodies are packed without."""
    take(lines.call(id="a", dataset="sales"))
    assert train(any_store, "sales", 1, NOW) is None
    with pytest.raises(ValueError, match="not known here"), any_store.reading() as connection:
        Codec().unpack(connection, "lz4", b"")


@pytest.mark.parametrize("kept", [True, False])
def test_both_ways_of_unpacking_give_the_same(monkeypatch: pytest.MonkeyPatch, kept: bool) -> None:
    """With decompressors that are kept, where their library is there, and with the standard library's."""
    if kept:
        pytest.importorskip("zstandard")
    else:
        monkeypatch.setattr(codec_module, "zstandard", None)
    body = json.dumps(asked(7)).encode()
    codec, connection = Codec(), cast("Connection", None)
    packed = codec.pack("sales", body)
    unsized = zstd.ZstdCompressor()
    streamed = unsized.compress(body, zstd.ZstdCompressor.FLUSH_BLOCK) + unsized.flush()
    for frame in (packed, packed, streamed):
        assert codec.unpack(connection, "zstd", frame) == body
    for broken in (packed[:-1], packed + b"x", packed + packed):
        with pytest.raises(zstd.ZstdError):
            codec.unpack(connection, "zstd", broken)


def test_a_body_elsewhere_is_a_fault_with_its_place(any_store: Store, lines: Any, take: Any) -> None:
    """Without the store it lies in, the message says where that is."""
    take(lines.call(id="a"))
    with any_store.writing() as connection:
        connection.execute(call_bodies.update().values(data=None, place="b/1:0:9"))
    with pytest.raises(StoreError, match="b/1:0:9: set LOGOS_SHIFT_BODIES_URL"):
        request_of(any_store, "a")


def test_numbers_and_letters_of_a_body_stay_as_they_came(any_store: Store) -> None:
    """A body is never parsed on its way in; what JSON cannot hold reads as null."""
    body = '{"n":[1e999,12345678901234567890123,1.10,-0.0],"t":"\\u00e9\\ud83d\\ude00\u2028"}'
    line = f'{{"v":1,"kind":"call","id":"a","at":1,"endpoint":"responses","request":{body}}}'.encode()
    assert ingest(any_store, [line], NOW).new == 1
    found = request_of(any_store, "a")
    assert json.dumps(found["n"]) == "[null, 12345678901234567890123, 1.1, -0.0]"
    assert found["t"] == "\u00e9\U0001f600\u2028"
