import numpy as np
import pytest

from lstm_bench.data.forecasting.options import SeriesOptions
from lstm_bench.data.forecasting.read import read_series
from lstm_bench.errors import DatasetError


def _read(tmp_path, text, name="series.csv", **options):
    (tmp_path / name).write_text(text, encoding="utf-8")
    options = SeriesOptions(file=name, horizon=2, **options)
    return read_series(options, tmp_path)


def test_read_series_long_table_aligns_series_on_one_axis(tmp_path):
    text = (
        "unique_id,ds,y\na,2020-01-02,2\nb,2020-01-03,30\na,2020-01-01,1\n"
        "a,2020-01-04,4\nb,2020-01-04,\n"
    )
    found = _read(tmp_path, text)
    assert found.times == ("2020-01-01", "2020-01-02", "2020-01-03", "2020-01-04")
    a, b = found.series
    assert (a.name, a.first, b.name, b.first) == ("a", 0, "b", 2)
    # A row that is not there and an empty cell are missing values alike.
    np.testing.assert_array_equal(a.values, [1, 2, np.nan, 4])
    np.testing.assert_array_equal(b.values, [30, np.nan])
    assert (found.rows["n_read"], found.notes) == (5, ())


def test_read_series_one_column_with_dates_as_numbers(tmp_path):
    text = "date,co2\n19991225,3\n20000108,\n20000101,4\n20000115,?\n20000122,5\n"
    found = _read(tmp_path, text)
    assert found.times[0] == "19991225"
    assert found.times[-1] == "20000122"
    (one,) = found.series
    np.testing.assert_array_equal(one.values, [3, 4, np.nan, np.nan, 5])
    # As numbers the first two are 8,876 apart, as dates a week.
    assert found.notes == ()


def test_read_series_notes_gaps_of_times(tmp_path):
    found = _read(tmp_path, "t,y\n1,1\n2,1\n3,2\n9,3\n10,3\n")
    assert "1 gap of more than 1.6 times the usual distance" in found.notes[0]
    assert "the first after 3" in found.notes[0]


def test_read_series_names_bad_rows_or_drops_them(tmp_path):
    text = "ds,y\n1,1\n2,high\n3,5\nlater,3\n3,6\n"
    with pytest.raises(DatasetError) as error:
        _read(tmp_path, text)
    message = str(error.value)
    assert "line 3: a value that is no number ('high')" in message
    assert "line 5: no step: expected a number or an ISO date ('later')" in message
    assert "line 6: two rows for one step of a series (3)" in message
    found = _read(tmp_path, text, on_bad_rows="drop")
    np.testing.assert_array_equal(found.series[0].values, [1, np.nan, 5])
    assert found.rows["n_dropped"] == 3


def test_read_series_asks_which_column_has_the_values(tmp_path):
    with pytest.raises(DatasetError, match="name it with value"):
        _read(tmp_path, "ds,load,wind\n1,2,3\n2,3,4\n")
    found = _read(tmp_path, "ds,load,wind\n1,2,3\n2,3,4\n", value="wind")
    np.testing.assert_array_equal(found.series[0].values, [3, 4])
    with pytest.raises(DatasetError, match="did you mean 'wind'"):
        _read(tmp_path, "ds,load,wind\n1,2,3\n2,3,4\n", value="wnd")


TSF = """# a comment
@relation test
@attribute series_name string
@attribute start_timestamp date
@frequency {frequency}
@horizon 6
@missing true
@equallength false
@data
T1:1972-01-01 00-00-00:1,2,3,4
T2:1972-{month}-01 00-00-00:5,?,7
"""


@pytest.mark.parametrize(
    ("frequency", "month", "firsts", "times"),
    [
        ("monthly", "03", (0, 2), ("1972-01", "1972-05")),
        ("quarterly", "07", (0, 2), ("1972-01", "1973-01")),
        # Without a known frequency, the last values are aligned.
        ("sometimes", "07", (0, 1), ("1", "4")),
    ],
)
def test_read_tsf_aligns_by_start(tmp_path, frequency, month, firsts, times):
    text = TSF.format(frequency=frequency, month=month)
    found = _read(tmp_path, text, "a.tsf")
    assert tuple(one.first for one in found.series) == firsts
    assert [one.name for one in found.series] == ["T1", "T2"]
    np.testing.assert_array_equal(found.series[1].values, [5, np.nan, 7])
    assert (found.times[0], found.times[-1]) == times


def test_read_tsf_names_bad_lines(tmp_path):
    text = TSF.format(frequency="monthly", month="03")
    with pytest.raises(DatasetError) as error:
        _read(tmp_path, text + "T3:1,2\nT4:1972-01-01 00-00-00:1,x\n", "a.tsf")
    assert "line 12: another number of attributes" in str(error.value)
    assert "line 13: a value that is no number ('x')" in str(error.value)
    with pytest.raises(DatasetError, match="expected a header that ends with @data"):
        _read(tmp_path, "@relation x\n", "b.tsf")
