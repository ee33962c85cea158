"""What the README promises and the code has to keep."""

from tests.shape.codebase import ROOT
from tools.settings_table import table

BEGIN, END = "<!-- settings:begin -->", "<!-- settings:end -->"


def test_the_table_of_settings_is_the_one_that_the_code_gives() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")

    written = readme.partition(BEGIN)[2].partition(END)[0]

    assert table().strip() == written.strip()
