"""
The README says what the code does.
"""

import re
from pathlib import Path

from sinks.metrics import Metrics
from sinks.settings import SinksSettings
from sinks.tables import FILE_TABLE_OF

README = (Path(__file__).parents[3] / "sinks" / "README.md").read_text()


def test_every_setting_is_listed_with_its_default() -> None:
    rows = dict(re.findall(r"^\| `([A-Z_]+)` \| (?:`(.*?)` )?\|", README, re.MULTILINE))
    assert set(rows) == {name.upper() for name in SinksSettings.__annotations__}
    for name, shown in rows.items():
        default = SinksSettings.model_fields[name.lower()].default
        known = default.get_secret_value() if name.endswith("PASSWORD") else default
        assert shown == ("" if known is None else str(known))


def test_every_table_that_files_can_have_is_named() -> None:
    (row,) = re.findall(r"^\| `SINKS_TABLES` \|.*", README, re.MULTILINE)
    assert [name for name in FILE_TABLE_OF.values() if f"`{name}`" not in row] == []


def test_every_metric_is_listed() -> None:
    names = {name for family in Metrics().registry.collect() for name in [family.name]}
    listed = {name.removesuffix("_total") for name in re.findall(r"`(routee_sinks_\w+)`", README)}
    assert listed == names
