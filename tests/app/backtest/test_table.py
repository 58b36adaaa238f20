import math
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.app.backtest.conftest import Write
from watchdog.app.backtest import table as module
from watchdog.app.backtest.errors import InputError
from watchdog.app.backtest.table import Counts, read_table
from watchdog.model.signals import Histogram, SignalId, SignalKind
from watchdog.model.time import SECOND

KINDS = {
    "requests": SignalKind.COUNTER,
    "errors": SignalKind.COUNTER,
    "latency": SignalKind.DISTRIBUTION,
    "queue": SignalKind.GAUGE,
}


def test_columns_become_samples(write: Write) -> None:
    path = write('time,requests,errors{pod="a",status="500"},queue\n100,5,1,-3\n\n110.5,6,,4\n')
    found = read_table(path, KINDS)
    assert list(found.times) == [100 * SECOND, 110_500_000_000]
    assert found.signals == {"requests", "errors", "queue"}
    first, second = list(found.samples(0)), list(found.samples(1))
    errors = SignalId("errors", (("pod", "a"), ("status", "500")))
    assert {one.signal: one.value for one in first} == {SignalId("requests"): 5, errors: 1, SignalId("queue"): -3}
    assert {one.signal for one in second} == {SignalId("requests"), SignalId("queue")}


def test_buckets_become_a_histogram_whatever_their_order(write: Write) -> None:
    header = 'latency_bucket{le="+Inf"},"latency_bucket{le=""0.1""}",latency_sum,latency_count,latency_bucket{le="1"}'
    found = read_table(write(f"time,{header}\n100,9,2,3.5,9,7\n105,,,,,\n"), KINDS)
    [sample] = found.samples(0)
    assert isinstance(sample.value, Histogram)
    assert (sample.value.bounds, sample.value.counts) == ((0.1, 1.0, math.inf), (2, 7, 9))
    assert list(found.samples(1)) == []


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("", 1, "is empty"),
        ("\n\n", 1, "is empty"),
        ("time,requests\n", 1, "no row"),
        ("time\n100\n", 1, "one column"),
        ("time;requests\n100;5\n", 1, "separate time and series by commas"),
        ("100,5\n105,6\n", 1, "put a header above it"),
        ("requests,errors\n100,5\n", 1, "put the time there"),
        ("time,reqests\n100,5\n", 1, "`requests`"),
        ("time,requests,requests\n100,5,5\n", 1, "stands twice"),
        ("time,re quests\n100,5\n", 1, "is no series"),
        ("time,latency\n100,5\n", 1, "give its buckets"),
        ('time,latency_bucket{le="1"}\n100,5\n', 1, "+Inf"),
        ('time,latency_bucket{le="x"}\n100,5\n', 1, "without a number"),
        ("time,latency_bucket\n100,5\n", 1, "without a number"),
        ('time,latency_bucket{le="+Inf"},latency_bucket{le="inf"}\n100,5,5\n', 1, "bucket that stands twice"),
        ("time,requests\n100,5\n105\n", 3, "1 cells under 2 columns"),
        ("time,requests\n100,5\n105,6,7\n", 3, "3 cells under 2 columns"),
        ("time,requests\n100,5\n105,NaN\n", 3, "`requests`: `NaN` is no finite number"),
        ("time,requests\n100,5\n105,inf\n", 3, "no finite number"),
        ("time,requests\n100,5\n105,1e999\n", 3, "no finite number"),
        ("time,requests\n100,5\n105,1_0\n", 3, "no finite number"),
        ("time,requests\n100,5\n105,a lot\n", 3, "no finite number"),
        ("time,requests\n100,-5\n105,6\n", 2, "negative"),
        ("time,requests\n100,5\n95,6\n", 3, "time goes back"),
        ("time,requests\n100,5\n100,6\n", 3, "time stands still"),
        ("time,requests\nnoon,5\n", 2, "`noon` is no time"),
        ('time,latency_bucket{le="1"},latency_bucket{le="+Inf"}\n100,5,4\n', 2, "falls with rising bounds"),
        ('time,latency_bucket{le="1"},latency_bucket{le="+Inf"}\n100,,4\n', 2, "1 of its 2 buckets"),
        ('time,requests\n100,"5\n', 2, "this is not CSV"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(write: Write, text: str, line: int, said: str) -> None:
    path = write(text)
    with pytest.raises(InputError) as caught:
        read_table(path, KINDS)
    assert str(caught.value).startswith(f"{path}:{line}: ")
    assert said in str(caught.value)


def test_a_file_in_another_encoding_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    path.write_bytes("time,requests\n100,5\n105,6\xa0\n".encode("latin-1"))
    with pytest.raises(InputError, match=r"history.csv:3: the file is not UTF-8"):
        read_table(path, KINDS)


def test_a_byte_order_mark_is_no_part_of_the_header(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    path.write_bytes("time,requests\r\n100,5\r\n".encode("utf-8-sig"))
    assert list(read_table(path, KINDS).times) == [100 * SECOND]


def test_a_cell_without_end_is_refused(write: Write) -> None:
    with pytest.raises(InputError, match=r":2: this is not CSV: field larger"):
        read_table(write("time,requests\n100," + "9" * 200_000 + "\n"), KINDS)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read: No such file"):
        read_table(tmp_path / "nowhere.csv", KINDS)
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        read_table(tmp_path, KINDS)


def test_what_is_too_large_is_refused(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write("time,requests\n" + "".join(f"{100 + step},5\n" for step in range(50)))
    monkeypatch.setattr(module, "MOST_CELLS", 20)
    with pytest.raises(InputError, match=r":22: there are more than 20 cells"):
        read_table(path, KINDS)
    monkeypatch.setattr(module, "MOST_BYTES", 100)
    with pytest.raises(InputError, match="larger than"):
        read_table(path, KINDS)
    monkeypatch.setattr(module, "MOST_COLUMNS", 1)
    with pytest.raises(InputError, match="more than 1"):
        read_table(write("time,requests\n100,5\n"), KINDS)


def test_a_column_can_be_passed_over(write: Write) -> None:
    path = write("time,note,requests\n100,deploy,5\n")
    with pytest.raises(InputError, match=r"column 2, `note`, is no signal"):
        read_table(path, KINDS)
    assert read_table(path, KINDS, ignore=frozenset({"note"})).signals == {"requests"}


def counts_a_row(write: Write) -> Path:
    rows = [f"{100 + 5 * step},{40 + step % 7},{step % 2}\n" for step in range(40)]
    return write("time,requests,errors\n" + "".join(rows))


def totals(path: Path, counts: Counts) -> list[float]:
    found = read_table(path, KINDS, counts=counts)
    return [float(one.value) for index in range(3) for one in found.samples(index) if one.signal.name == "requests"]  # type: ignore[arg-type]


def test_counts_since_the_row_before_are_seen_and_said(write: Write) -> None:
    path = counts_a_row(write)
    assert totals(path, Counts.AUTO) == totals(path, Counts.INCREMENT) == [40, 81, 123]
    assert totals(path, Counts.TOTAL) == [40, 41, 42]
    [note] = read_table(path, KINDS).notes
    assert "--counts increment" in note
    assert read_table(path, KINDS, counts=Counts.TOTAL).notes == ()


def test_a_counter_that_is_reset_now_and_then_stays_a_total(write: Write) -> None:
    rows = [f"{100 + 5 * step},{step % 20}\n" for step in range(200)]
    found = read_table(write("time,requests\n" + "".join(rows)), KINDS)
    assert found.notes == ()
    assert [one.value for one in found.samples(7)] == [7]


def test_counters_that_never_move_are_pointed_at(write: Write) -> None:
    [note] = read_table(write("time,requests\n100,50\n105,50\n110,50\n"), KINDS).notes
    assert note.startswith("requests is 50 in every row")
    assert read_table(write("time,requests,errors\n100,50,3\n105,90,3\n"), KINDS).notes == ()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
@given(st.text(alphabet='time,requests"{}=\n\r;0123456789.-+eE\x00 NaN', max_size=80))
def test_no_text_is_more_than_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "any.csv"
    path.write_bytes(("time,requests\n" + text).encode())
    try:
        read_table(path, KINDS)
    except InputError as error:
        assert str(error).startswith(str(path))  # noqa: PT017  # most texts are refused, some are not
