import pytest
from pretended import CODE

from adjointbench.suite.cluster import members, pool


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    """Nothing is waited for that a pretended cluster does at once, nor the hash of the code."""
    monkeypatch.setattr(members, "LOOK_S", 0.0)
    monkeypatch.setattr(pool, "_TICK_S", 0.01)
    monkeypatch.setattr(members, "code_hash", lambda: CODE)
