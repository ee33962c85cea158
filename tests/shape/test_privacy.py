"""No file in git names a package registry or a path of an author's machine."""

import re

import pytest

from tests.shape.codebase import files, name_of

# Each is written in pieces, so that this file does not contain it.
REGISTRIES = [
    "py" + "pi.org",
    "python" + "hosted.org",
    "npm" + "js.org",
    "npm" + "js.com",
    "crates" + ".io",
    "proxy.golang" + ".org",
    "artifact" + "ory",
    "jf" + "rog",
    "/sim" + "ple/",
    "index" + "-url",
]
HOMES = [
    "/ho" + "me/[a-z]",
    "/Us" + "ers/[A-Za-z]",
    "/ro" + "ot/",
    r"[A-Z]:\\Us" + "ers",
    "/wo" + "rk/",
    "\\.py" + "env",
]


@pytest.mark.parametrize("pattern", [*map(re.escape, REGISTRIES), *HOMES])
def test_no_file_in_git_names_a_registry_or_a_path_of_a_machine(pattern: str) -> None:
    found = re.compile(pattern.encode())

    assert [] == [name_of(path) for path in files() if found.search(path.read_bytes())]
