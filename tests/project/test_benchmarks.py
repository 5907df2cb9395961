"""The benchmarks, as far as no clock is needed: their arithmetic, what they write, and that each of them runs."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Final

import pytest

from benchmarks import report
from benchmarks.api import count_of
from benchmarks.chart import as_svg
from benchmarks.figures import Aim, Result, Spread, compare, percentile, ratio, spread
from benchmarks.stage import Api
from example_project.processes import spawn, wait_until
from tests.pages import DOCS, ROOT, page
from track360_django.api import payloads

SVG: Final = "{http://www.w3.org/2000/svg}"
DRAIN: Final = compare(
    "API latency 0 ms",
    "records/s",
    {"naive": [10.0, 40.0, 20.0], "ours": [5_000.0, 8_000.0, 9_000.0]},
    [("ours", "naive")],
)
RESULT: Final = Result(
    name="drain",
    title="Drain & co",
    comparisons=[DRAIN],
    aims=[Aim(name="fast", figure=450.0, at_least=300.0), Aim(name="lean", figure=1.2, at_most=1.0)],
    facts={"queue": "a<b"},
)
MACHINE: Final = {"cores": "2"}
RUN: Final = {"rounds": 3}


def test_ratio_is_computed_within_each_round() -> None:
    """The middle ratio is that of a round, not the ratio of the middles."""
    found = ratio([5_000.0, 8_000.0, 9_000.0], [10.0, 40.0, 20.0])

    assert found == Spread(least=200.0, median=450.0, most=500.0)
    assert DRAIN.ratios == {"ours / naive": found}


def test_rounds_that_do_not_match_are_refused() -> None:
    """A ratio of contestants with different numbers of rounds is an error."""
    with pytest.raises(ValueError, match="zip"):
        ratio([1.0, 2.0], [1.0])


def test_spread_has_least_middle_and_most() -> None:
    """Rounds come in any order."""
    assert spread([3.0, 1.0, 2.0]) == Spread(least=1.0, median=2.0, most=3.0)


@pytest.mark.parametrize(("percent", "value"), [(50, 50.0), (95, 95.0), (99, 99.0), (100, 100.0)])
def test_percentile_is_a_value_that_was_measured(percent: float, value: float) -> None:
    """So many percent of the values do not exceed it."""
    assert percentile([float(number) for number in range(100, 0, -1)], percent) == value


@pytest.mark.parametrize(
    ("figure", "at_least", "at_most", "is_reached"),
    [
        (300.0, 300.0, None, True),
        (299.0, 300.0, None, False),
        (0.4, None, 0.4, True),
        (0.41, None, 0.4, False),
        (1.0, 0.8, 1.2, True),
        (0.79, 0.8, 1.2, False),
    ],
)
def test_aim_is_reached_within_its_bounds(
    figure: float, at_least: float | None, at_most: float | None, *, is_reached: bool
) -> None:
    """A bound itself is within."""
    assert Aim(name="aim", figure=figure, at_least=at_least, at_most=at_most).is_reached is is_reached


def test_json_has_every_figure_and_verdict() -> None:
    """What is written can be read back."""
    content = json.loads(report.as_json([RESULT], MACHINE, RUN))

    (result,) = content["results"]
    assert (content["machine"], content["run"]) == (MACHINE, RUN)
    assert result["comparisons"][0]["ratios"]["ours / naive"] == {
        "least": 200.0,
        "median": 450.0,
        "most": 500.0,
    }
    assert [aim["is_reached"] for aim in result["aims"]] == [True, False]


def test_chart_is_well_formed_and_its_bars_grow_with_the_figures() -> None:
    """On a logarithmic scale a hundred times as much is two steps more."""
    chart = ET.fromstring(as_svg("Drain & co", [DRAIN]))  # noqa: S314  our own text

    widths = [float(bar.get("width", "")) for bar in chart.iter(f"{SVG}rect")]
    ticks = [float(line.get("x1", "")) for line in chart.iter(f"{SVG}line")]
    step = ticks[1] - ticks[0]
    # 20 and 8,000 are 400 times apart.
    assert widths[1] - widths[0] == pytest.approx(2.602 * step, rel=0.01)
    assert "Drain & co" in {title.text for title in chart.iter(f"{SVG}title")}


def test_page_gets_new_figures_between_its_marks() -> None:
    """What a person wrote around the figures stays."""
    figures = report.as_markdown([RESULT], MACHINE, RUN)

    once = report.insert(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n", figures)

    assert once == f"before\n{figures}\nafter\n"
    assert report.insert(once, figures) == once
    assert "| fast | at least 300 | 450 | reached |" in once
    assert "| lean | at most 1.00 | 1.20 | not reached |" in once


def test_page_without_marks_is_refused() -> None:
    """Figures that have no place are not lost without a sound."""
    with pytest.raises(ValueError, match="no place for figures"):
        report.insert("a page", "figures")


def test_table_shows_figures_ratios_and_aims() -> None:
    """A person sees the spread and whether an aim is reached."""
    text = report.as_text(RESULT)

    assert re.search(r"ours / naive +450 +\(200 … 500\)  ratio", text)
    assert "aim: lean: 1.20, at most 1.00: not reached" in text


def test_page_and_chart_have_the_figures_of_the_json() -> None:
    """The figures of the documentation come from one run."""
    content = json.loads((DOCS / report.JSON_NAME).read_text())
    text = page(report.PAGE_NAME).text
    chart = (DOCS / report.SVG_NAME).read_text()

    for result in content["results"]:
        for aim in result["aims"]:
            verdict = "reached" if aim["is_reached"] else "not reached"
            assert re.search(
                rf"\| {re.escape(aim['name'])} \|.*\| {re.escape(report.number(aim['figure']))} \| {verdict} \|",
                text,
            )
        for comparison in result["comparisons"]:
            for figures in (comparison["figures"], comparison["ratios"]):
                assert all(report.number(each["median"]) in text for each in figures.values())
    (drain,) = [result for result in content["results"] if result["name"] == "drain"]
    medians = [
        each["median"] for comparison in drain["comparisons"] for each in comparison["figures"].values()
    ]
    assert all(f">{median:,.0f}<" in chart for median in medians)


def test_api_server_counts_what_each_contestant_sends() -> None:
    """One activity of ours, one naive record and one item of Segment are one each; customers are none."""
    ours = payloads.to_json({"eventname": "Deposit", "eventid": "1"})

    assert count_of(payloads.to_array([ours, ours])) == 2
    assert count_of(json.dumps([{"eventid": "1"}]).encode()) == 1
    assert count_of(json.dumps({"batch": [{"messageId": "1"}, {"messageId": "2"}]}).encode()) == 2
    assert count_of(b'[{"customerId":"1"}]') == 0


@pytest.mark.standalone
def test_api_server_counts_requests_that_come_in_pieces(tmp_path: Path) -> None:
    """A request is counted when its last byte is there, and the next one may follow on its heels."""
    log = tmp_path / "api.log"
    with spawn([sys.executable, "-m", "benchmarks.api"], log=log, cwd=ROOT) as process:
        wait_until(lambda: log.read_text().endswith("\n"), process, "the API server")
        api = Api(url=log.read_text().strip())
        api.reset(is_noting_arrivals=True)
        body = b'[{"eventid":"a"},{"eventid":"b"}]'
        request = b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        host, port = api.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as connection:
            for piece in (request[:20], request[20:-3], request[-3:] + request):
                connection.sendall(piece)
            assert api.wait(4)
        assert set(api.arrivals()) == {"a", "b"}


def test_help_names_every_benchmark() -> None:
    """`--help` needs no server."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert all(
        name in done.stdout
        for name in ("drain", "producer", "middleware", "search", "growth", "freshness", "import")
    )


@pytest.mark.standalone
def test_benchmarks_run_from_beginning_to_end() -> None:
    """At a tiny scale, those that need no workers start the servers, find their figures and end everything."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "middleware", "search", "--rounds", "1", "--scale", "0.001"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "django-utm-tracker" in done.stdout
    assert "crowded / alone" in done.stdout


@pytest.mark.standalone
def test_import_of_twenty_thousand_lines_is_killed_twice_and_ends_complete() -> None:
    """The benchmark of a million lines, smaller: no line is lost, and the memory is that of a tenth of them."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "import", "--rounds", "1", "--scale", "0.02"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert re.findall(r"(?m)^ *aim: (.*?): .*: (reached|not reached)$", done.stdout) == [
        ("kills before 20,000 lines were read", "reached"),
        ("lines that are missing in the end", "reached"),
        ("lines whose content is not theirs", "reached"),
        ("memory at its peak, 20,000 lines / 2,000 lines", "reached"),
    ]
