"""What the README tells of the settings is what the code reads."""

from pathlib import Path

from cashier_common.settings import ServiceSettings

README = Path(__file__).resolve().parents[2] / "README.md"


def test_the_readme_shows_the_table_of_settings_as_it_is():
    assert ServiceSettings.describe() in README.read_text(encoding="utf-8")
