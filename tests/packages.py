"""Programs from Debian packages, unpacked in a folder of their own or installed: what `.ci/databases` fetched."""

from __future__ import annotations

import os
import pwd
import shutil
from pathlib import Path

from example_project.processes import ServerError

# The folder that `.ci/databases` unpacks the packages in; without it, what is installed.
ROOT = "TRACK360_PACKAGES"


def program(name: str) -> Path:
    """
    Return where a program of a Debian package is.

    Raises:
        ServerError: It is neither unpacked nor installed.
    """
    roots = [root for root in (os.environ.get(ROOT), "/") if root]
    folders = [f"{root}/{folder}" for root in roots for folder in ("usr/sbin", "usr/bin")]
    found = shutil.which(name, path=os.pathsep.join(folders))
    if found is None:
        message = f"{name} is not installed: run .ci/databases, which fetches what it needs, or install it."
        raise ServerError(message)
    return Path(found)


def environment() -> dict[str, str]:
    """Return an environment in which unpacked programs find their libraries, and nothing of the user's has a say."""
    root = os.environ.get(ROOT, "/")
    libraries = os.pathsep.join(str(folder) for folder in sorted(Path(root).glob("usr/lib/*-linux-gnu*")))
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LC_ALL": "C",
        "TZ": "UTC",
        "LD_LIBRARY_PATH": libraries,
    }


def unprivileged_user() -> pwd.struct_passwd | None:
    """Return who a server runs as when we are root, else None: ourselves."""
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None


def give_to_guest(folder: Path) -> Path:
    """Make a folder that belongs to the server's user."""
    folder.mkdir(mode=0o700)
    user = unprivileged_user()
    if user is not None:
        folder.parent.chmod(0o711)
        os.chown(folder, user.pw_uid, user.pw_gid)
    return folder
