"""The documentation against the code: nothing in it is missing, invented, broken or out of date."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import os
import re
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

import pytest
from django.dispatch import Signal

from tests.forking import WarmProcess
from tests.pages import DOCS, PAGES, ROOT, Block, Page, page
from track360_django import activities, conf, signals, tasks
from track360_django.api import responses
from track360_django.api.responses import Verdict
from track360_django.delivery import retry_policy
from track360_django.management.commands.track360 import SUBCOMMANDS
from track360_django.sandbox.server import SandboxServer
from track360_django.testing import Outbox

PACKAGE: Final = ROOT / "track360_django"
README: Final = Page(ROOT / "README.md")
TUTORIAL: Final = page("tutorial.md")
every_page: Final = pytest.mark.parametrize("each", PAGES, ids=lambda each: each.name)


# The reference names what there is, and nothing else.


def test_settings_page_has_every_setting_with_its_default() -> None:
    """The page of settings lists each setting once, with the default of the code, and no other."""
    listed = [
        (row[0].strip("\\* `"), ast.literal_eval(row[1].strip("`")))
        for row in page("reference/settings.md").rows()
        if re.match(r"`[A-Z_]+`", row[0]) and row[1].startswith("`")
    ]

    assert sorted(name for name, _ in listed) == sorted(conf.names())
    assert dict(listed) == {name: conf.default_of(name) for name in conf.names()}


def test_checks_page_has_every_check_of_the_code() -> None:
    """The page of checks lists each id that the code can report, and no other."""
    listed = [row[0].strip("`") for row in page("reference/checks.md").rows() if row[0].startswith("`")]
    named = re.compile(r"track360_(?:django|sandbox)\.[EW][0-9]{3}")
    numbered = [
        number
        for path in (PACKAGE / "checks").glob("*.py")
        for number in re.findall(r'"([EW][0-9]{3})"', path.read_text())
    ]
    reported = {f"track360_django.{number}" for number in numbered}.union(
        *(named.findall(path.read_text()) for path in PACKAGE.rglob("*.py"))
    )

    assert sorted(listed) == sorted(reported)


def test_api_page_shows_functions_as_they_are() -> None:
    """Each function on the page of the API exists, and has the arguments and defaults that are shown."""
    shown = re.findall(r"^### `(\w+)\.(\w+)(\(.*\))?`$", page("reference/api.md").text, re.MULTILINE)

    for module, name, signature in shown:
        found = getattr(importlib.import_module(f"track360_django.{module}"), name)
        if signature:
            assert _plain_signature(found) == signature
    assert {f"{module}.{name}" for module, name, _ in shown} >= {"customers.report", "activities.report"}


def test_api_page_has_every_signal_and_task() -> None:
    """Signals and Celery tasks on the page of the API are those of the code."""
    listed = {row[0].strip("`") for row in page("reference/api.md").rows()}

    assert {name for name, value in vars(signals).items() if isinstance(value, Signal)} <= listed
    scheduled = {entry["task"] for entry in tasks.BEAT_SCHEDULE.values()}
    assert {name for name in listed if name.startswith("track360_django.tasks.")} == {
        "track360_django.tasks.deliver",
        *scheduled,
    }


def test_api_page_has_every_subcommand_with_its_options() -> None:
    """The table of subcommands has each one of the command, with all of its options."""
    listed = {
        row[0].strip("`"): set(re.findall(r"--[a-z-]+", row[2]))
        for row in page("reference/api.md").rows()
        if len(row) == 3 and row[0].strip("`") in SUBCOMMANDS
    }

    assert listed == {name: _options_of(name) for name in SUBCOMMANDS}


@every_page
def test_subcommands_that_are_named_exist(each: Page) -> None:
    """A page that shows `manage.py track360` shows a subcommand and options that there are."""
    for subcommand, rest in re.findall(r"manage\.py track360 ([a-z]+)([^`\n]*)", each.text):
        assert subcommand in SUBCOMMANDS, subcommand
        assert set(re.findall(r"(?<!\w)--[a-z-]+", rest)) <= _options_of(subcommand)


def _plain_signature(function: Any) -> str:
    signature = inspect.signature(function)
    parameters = [each.replace(annotation=inspect.Parameter.empty) for each in signature.parameters.values()]
    return str(signature.replace(parameters=parameters, return_annotation=inspect.Signature.empty))


def _options_of(subcommand: str) -> set[str]:
    parser = ArgumentParser(add_help=False)
    SUBCOMMANDS[subcommand].add_arguments(parser)
    return {option for action in parser._actions for option in action.option_strings}


# The explanations say what the code does.


def test_answers_page_classifies_each_status_as_the_client() -> None:
    """The table of answers gives each status from 100 to 599 the meaning that the client gives it."""
    words = {
        "accepted": Verdict.ACCEPTED,
        "retry": Verdict.RETRY,
        "pause": Verdict.PAUSE,
        "refused": Verdict.REFUSED,
    }
    told: dict[int, Verdict] = {}
    for statuses, word, *_ in page("explanation/answers.md").rows():
        if not re.search(r"[1-5][0-9]{2}", statuses):
            continue
        for first, last in re.findall(r"([1-5][0-9]{2})(?:\u2013([1-5][0-9]{2}))?", statuses):
            for status in range(int(first), int(last or first) + 1):
                told.setdefault(status, words[word])

    assert told == {status: responses.classify(status)[0] for status in range(100, 600)}


def test_answers_page_has_every_reason_of_the_client() -> None:
    """Each reason that the client gives without a status of its own is explained."""
    source = (PACKAGE / "api" / "client.py").read_text() + (PACKAGE / "api" / "responses.py").read_text()
    reasons = set(re.findall(r'(?:reason=|Verdict\.[A-Z]+, )"([a-z_]+)"', source))

    assert reasons == {
        row[0].strip("`") for row in page("explanation/answers.md").rows() if row[0].startswith("`")
    }


def test_life_of_a_record_tells_the_schedule_of_the_policy() -> None:
    """The waits between attempts are those of the code."""
    *steps, last = (_duration(seconds) for seconds in retry_policy.SCHEDULE_SECONDS)

    assert f"{', '.join(steps)}, then every {last}." in page("explanation/life-of-a-record.md").text


def test_floors_have_every_module() -> None:
    """The table of floors names each module of the package."""
    table = " ".join(row[1] for row in page("explanation/two-journeys.md").rows() if len(row) == 3)
    modules = {path.stem for path in PACKAGE.glob("[a-z]*") if path.suffix == ".py" or path.is_dir()}

    assert set(re.findall(r"`(\w+)`", table)) == modules - {"migrations"}


def test_guarantees_name_tests_that_exist() -> None:
    """Each promise names a test, and each test that is named is in the suite."""
    defined = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^(?:async )?def (test_\w+)", path.read_text(), re.MULTILINE)
    }
    promises = [
        row for row in page("explanation/guarantees.md").rows() if "test_" in row[1] or row[0][-1:] == "."
    ]

    assert promises
    for promise, cell in promises:
        named = re.findall(r"`(test_\w+)`", cell)
        assert named, promise
        assert set(named) <= defined, promise


def test_glossary_has_the_words_of_the_project() -> None:
    """The words that code, tables, admin and pages share are explained, each once, in the order of the alphabet."""
    words = [row[0] for row in page("glossary.md").rows()][2:]

    assert words == sorted(words, key=str.casefold)
    assert set(", ".join(words).split(", ")) >= {
        *("brand", "customer", "activity", "tracking data", "landing", "touch", "attribution"),
        *(
            "attribution window",
            "first touch",
            "last touch",
            "record",
            "delivery",
            "attempt",
            "batch",
            "lease",
        ),
        *(
            "held",
            "pending",
            "delivered",
            "dead",
            "lane",
            "endpoint",
            "dead letter",
            "requeue",
            "prune",
            "sandbox",
        ),
    }


def _duration(seconds: int) -> str:
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


# The pages hang together.


def test_readme_is_short_and_names_both_commands() -> None:
    """The README has at most 120 lines, and the two commands that need no set-up, each on a line of its own."""
    commands = [block.text.strip() for block in README.blocks("console")]

    assert len(README.text.splitlines()) <= 120
    assert "$ python3 manage.py demo" in commands
    assert "$ python3 manage.py test" in commands


@every_page
def test_relative_links_lead_somewhere(each: Page) -> None:
    """A link within the project leads to a file, and its anchor to a heading there."""
    for link in each.links():
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = unquote(link).partition("#")
        target = (each.path.parent / path).resolve() if path else each.path
        assert target.is_relative_to(ROOT), link
        assert target.is_file(), link
        assert not anchor or anchor in Page(target).anchors(), link


def test_index_leads_to_every_page() -> None:
    """No page of the documentation is hidden."""
    linked = {(DOCS / link).resolve() for link in page("index.md").links()}

    assert {path for path in DOCS.rglob("*.md") if path.name != "index.md"} <= linked


@every_page
def test_page_has_one_sentence_on_a_line(each: Page) -> None:
    """A change of one sentence is a change of one line."""
    long = [(number, line) for number, line in each.prose() if re.search(r"[a-zx)][.!?] [A-Zx\[]", line)]

    assert long == []


@every_page
def test_page_belittles_nobody(each: Page) -> None:
    """What is simple to the writer may not be to the reader: words that say so stay out."""
    found = [line for _, line in each.prose() if re.search(r"\b(simply|just|easily|obviously)\b", line)]

    assert found == []


# Code in the documentation runs.


@every_page
def test_python_of_a_page_compiles(each: Page) -> None:
    """Each Python block is Python."""
    for block in each.blocks("python"):
        compile(block.text, f"{each.name}:{block.line}", "exec")


@pytest.mark.parametrize(
    "name",
    [
        "reference/api.md",
        "reference/settings.md",
        "howto/declare-activities.md",
        "howto/install.md",
        "howto/names-and-products.md",
        "howto/privacy.md",
        "howto/report-daily-totals.md",
        "howto/signups.md",
        "howto/spa-and-cdn.md",
        "howto/test-your-host.md",
    ],
)
def test_python_of_a_page_runs(name: str, track360_outbox: Outbox, declarations_are_kept: None) -> None:
    """The Python blocks of a page run one after the other, as a reader would type them."""
    names: dict[str, Any] = {"__name__": "page"}

    for block in page(name).blocks("python"):
        _run(block, name, names)

    assert track360_outbox.deliver().dead == 0


def test_erasure_of_the_privacy_page_erases(track360_outbox: Outbox) -> None:
    """The function of the page removes a customer and what they did, and nobody else."""
    names: dict[str, Any] = {}
    for block in page("howto/privacy.md").blocks("python"):
        _run(block, "howto/privacy.md", names)
    for customer in ("c-1", "c-2"):
        activities.report("Bet", customer=customer, value=5, currency="USD", eventid=f"bet-of-{customer}")

    names["erase"]("default", "c-1")

    assert [customer.customer_id for customer in track360_outbox.customers] == ["c-2"]
    assert [activity.eventid for activity in track360_outbox.activities] == ["bet-of-c-2"]


def test_payloads_are_as_the_page_shows(track360_outbox: Outbox, track360_sandbox: SandboxServer) -> None:
    """Each record on the page of payloads arrives as it is shown, field by field."""
    names: dict[str, Any] = {}
    shown = 0
    for block in page("reference/payloads.md").blocks("python", "json"):
        if block.language == "python":
            _run(block, "reference/payloads.md", names)
            continue
        assert track360_outbox.deliver().delivered
        assert _latest(track360_sandbox) == json.loads(block.text), f"line {block.line}"
        shown += 1
    assert shown == 5


@pytest.fixture
def declarations_are_kept() -> Iterator[None]:
    """Take back what a page declares."""
    before = activities.declarations()
    days = activities.daily_declarations()
    yield
    for daily in activities.daily_declarations():
        if daily not in days:
            activities.unregister_daily(type(daily))
    for declaration in activities.declarations():
        if declaration not in before:
            activities.unregister(declaration.model, type(declaration))


def _run(block: Block, name: str, names: dict[str, Any]) -> None:
    code = compile(block.text, f"{name}:{block.line}", "exec")
    exec(code, names)  # noqa: S102  our own pages


def _latest(sandbox: SandboxServer) -> dict[str, Any]:
    """Return the record that arrived last; the time of a registration that is now is told as such."""
    snapshot = sandbox.store.snapshot()
    calls = [(call.seq, dict(call.record)) for call in (*snapshot.customer_calls, *snapshot.activities)]
    record = max(calls, key=lambda call: call[0])[1]
    return record | {"regtime": "<now>"} if "regtime" in record else record


@pytest.mark.standalone
def test_tests_of_the_testing_page_pass(tmp_path: Path) -> None:
    """The tests that the page shows pass on the example project."""
    first = next(page("howto/test-your-host.md").blocks("python"))
    marked = first.text + "\nimport pytest\n\npytestmark = pytest.mark.django_db\n"
    (tmp_path / "test_page.py").write_text(marked)

    done = _python(
        tmp_path,
        *(
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "--rootdir",
            str(tmp_path),
            "--ds=example_project.settings",
        ),
        DATABASE_URL=f"sqlite:///{tmp_path}/page.sqlite3",
        PYTHONPATH=str(ROOT),
    )

    assert "3 passed" in done


@pytest.mark.standalone
def test_tutorial_ends_with_the_delivered_deposit(tmp_path: Path) -> None:
    """Followed step by step, the tutorial prints what it shows and delivers the deposit."""
    folder = tmp_path / "mybrand"
    folder.mkdir()
    with SandboxServer(token="sandbox-token") as sandbox, WarmProcess() as python:
        reader = Reader(folder, sandbox, python)
        for block in TUTORIAL.blocks():
            reader.follow(block)

        alex = sandbox.store.customer("1")
        deposit = sandbox.store.activities("Deposit")[0]

    assert alex is not None
    assert alex["tracking_data"] == "2001_1000_abcdefg"
    assert (deposit["eventid"], deposit["Value"], deposit["customerid"]) == ("TX-1", "250.00", "1")
    assert reader.compared >= 6


class Reader:
    """Follows the tutorial in an empty folder; the sandbox and the browser are ours, all else is as printed."""

    def __init__(self, folder: Path, sandbox: SandboxServer, python: WarmProcess) -> None:
        self._folder = folder
        self._sandbox = sandbox
        self._python = python
        self.compared = 0

    def follow(self, block: Block) -> None:
        """Do what one block says."""
        if block.language == "console":
            for command, output in re.findall(r"^\$ (.+)\n((?:(?!\$ ).*\n)*)", block.text, re.MULTILINE):
                self._type(command, output)
            return
        named = re.match(r"(?:# |<!-- )([\w./]+)(, at the end)?", block.text)
        assert named, f"line {block.line} does not say which file it is"
        if named[1] == "shell":
            self._manage("shell", "-c", block.text)
            return
        path = self._folder / named[1]
        path.parent.mkdir(exist_ok=True)
        path.write_text((path.read_text() if named[2] else "") + block.text)

    def _type(self, command: str, output: str) -> None:
        match command.split():
            case ["django-admin", *arguments]:
                self._run("-m", "django", *arguments, ".")
            case ["python", "manage.py", "runserver"]:
                self._manage("shell", "-c", VISIT)
            case ["python", "manage.py", "track360", "sandbox"]:
                pass
            case ["python", "manage.py", *arguments]:
                said = self._manage(*arguments)
                if output:
                    self.compared += 1
                    assert _timeless(said) == _timeless(output)
            case ["curl", *_]:
                self._sandbox.fail(**json.loads(re.findall("'({.*})'", command)[0]))

    def _manage(self, *arguments: str) -> str:
        return self._run("manage.py", *arguments)

    def _run(self, *arguments: str) -> str:
        output, errors = (self._folder.with_name(name) for name in ("output", "errors"))
        environment = _without_this_run(TRACK360_BASE_URL=self._sandbox.url)
        code = self._python.run(
            *arguments, output=output, errors=errors, folder=self._folder, environment=environment
        )
        assert code == 0, output.read_text() + errors.read_text()
        return output.read_text()


# What the reader does in a browser.
VISIT: Final = """
from django.test import Client

browser = Client(SERVER_NAME="localhost")
assert browser.get("/?tracking_data=2001_1000_abcdefg").status_code == 200
form = {"username": "alex", "password1": "a-long-and-unlikely-password", "password2": "a-long-and-unlikely-password"}
assert browser.post("/signup/", form).content == b"Welcome, alex."
"""


def _python(folder: Path, *arguments: str, **environment: str) -> str:
    """Run Python in a folder without this suite's settings, and return what it printed."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=_without_this_run(**environment),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _without_this_run(**variables: str) -> dict[str, str]:
    """Return the environment without this suite's settings, and with other variables."""
    of_this_run = {"DJANGO_SETTINGS_MODULE", "DATABASE_URL", "CELERY_BROKER_URL"}
    return {name: value for name, value in os.environ.items() if name not in of_this_run} | variables


def _timeless(text: str) -> list[str]:
    return re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "<time>", text).splitlines()
