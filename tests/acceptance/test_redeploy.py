"""Every process is replaced while jobs run and streams are open, with a migration in between."""

from pathlib import Path

from tests.acceptance import redeploy
from tests.acceptance.conftest import MakeSite
from tests.acceptance.processes import LEDGER
from tests.acceptance.redeploy import SETTINGS


def test_a_redeploy_loses_nothing(make_site: MakeSite, tmp_path: Path) -> None:
    # SQLite's turn is `python -m tests.acceptance.redeploy --kind sqlite`, by hand.
    site = make_site("postgres", extra_apps=(LEDGER,), **SETTINGS)
    redeploy.run(site, tmp_path / "next", jobs=20)
