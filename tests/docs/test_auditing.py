"""The recipe of docs/auditing.md, as it stands there."""

import re
import sqlite3
from pathlib import Path

import pytest

from loadtest.measure.ledger import Ledger, OrderState
from loadtest.measure.run_result import RESULT, Arrivals, RunInfo, RunResult, Transactions
from loadtest.run_audit import audit_apart

GUIDE = Path(__file__).parents[2] / "docs" / "auditing.md"
BLOCKS = dict(re.findall(r"```python\n# (\w+\.py)\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL))


def test_the_class_of_the_recipe_audits_what_its_script_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shop_audit.py").write_text(BLOCKS["shop_audit.py"], encoding="utf-8")
    info = RunInfo(id="r1", plan="shop", started_at="", duration_s=1, seed=1, versions={}, machine={})
    RunResult(run=info, arrivals=Arrivals(started=3), transactions=Transactions(count=3)).write(
        tmp_path / RESULT
    )
    ledger = Ledger(tmp_path / "ledger", "r1", "w")
    keys = []
    for _ in range(3):
        number, key = ledger.intend()
        ledger.settle(number, OrderState.ACKNOWLEDGED)
        keys.append(key)
    ledger.close()
    with sqlite3.connect(tmp_path / "shop.db") as database:
        database.executescript("CREATE TABLE sales (key TEXT); CREATE TABLE stock (units INTEGER)")
        database.executemany("INSERT INTO sales VALUES (?)", [(keys[0],), (keys[1],), (keys[1],)])
        database.execute("INSERT INTO stock VALUES (-1)")
    database.close()
    audit = audit_apart(tmp_path, "shop_audit:ShopAudit")
    assert (audit.acknowledged, audit.stored, audit.lost, audit.duplicated) == (3, 2, 1, 1)
    assert audit.problems == ["1 products have fewer than no units"]


def test_the_script_of_the_recipe_is_a_script() -> None:
    compile(BLOCKS["shop.py"], "shop.py", "exec")
