"""Where no browser is installed: how it is fetched, once, and what is said where it can't be."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from example_project.processes import ServerError
from tests.browser import chromium

pytestmark = pytest.mark.standalone

# Package clients that need no network: one package, which has the browser in it.
APT_GET = """#!/bin/sh
case "$*" in
  *--simulate*) echo "Inst chromium-headless-shell (150 Debian)" ;;
  *download*) echo "$*" >> "${0%/*}/downloads"; : > chromium-headless-shell.deb ;;
esac
"""
DPKG = """#!/bin/sh
/bin/mkdir -p "$3/usr/lib/chromium"
: > "$3/usr/lib/chromium/chromium-headless-shell"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder for a browser, on a machine that has none, and no program but those in `bin` beside it."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path / "chromium"


def write_program(folder: Path, name: str, text: str) -> None:
    """Put a program on the PATH."""
    path = folder.with_name("bin") / name
    path.write_text(text)
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("apt_get", "advice"),
    [(None, "install Chromium or Google Chrome"), ("#!/bin/sh\nexit 100\n", "run `apt-get update` as root")],
    ids=["no-client", "no-network"],
)
def test_browser_that_can_not_be_fetched_leaves_nothing_behind(
    folder: Path, apt_get: str | None, advice: str
) -> None:
    """The reason says what to do, and the folder is gone."""
    if apt_get:
        write_program(folder, "apt-get", apt_get)

    with pytest.raises(ServerError, match=advice):
        chromium.find(folder)

    assert not folder.exists()


def test_browser_that_can_not_be_unpacked_leaves_nothing_behind(folder: Path) -> None:
    """Half a browser is none."""
    write_program(folder, "apt-get", APT_GET)
    write_program(folder, "dpkg", "#!/bin/sh\nexit 1\n")

    with pytest.raises(ServerError, match="could not unpack"):
        chromium.find(folder)

    assert not folder.exists()


def test_browser_is_fetched_once(folder: Path) -> None:
    """Who asks while it is being fetched waits for it; who asks later finds it."""
    write_program(folder, "apt-get", APT_GET)
    write_program(folder, "dpkg", DPKG)

    with ThreadPoolExecutor(3) as pool:
        found = set(pool.map(chromium.find, [folder] * 3))

    assert found == {folder / "root" / "usr" / "lib" / "chromium" / chromium.PACKAGE}
    assert len(folder.with_name("bin").joinpath("downloads").read_text().splitlines()) == 1
