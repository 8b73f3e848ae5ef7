"""Names, settings and discovery of the zoo."""

import subprocess
import sys

import numpy as np
import pytest

from adjointbench import problems
from adjointbench.problems import registry
from adjointbench.problems.problem import Problem


def test_names_are_sorted_and_complete():
    assert list(problems.names()) == sorted(problems.names())
    zoo = {
        *("linear", "lotka_volterra", "adaptive_ad_trap", "van_der_pol", "pendulum", "lorenz"),
        *("heat_equation", "robertson", "cubic_spiral", "two_spirals"),
    }
    assert zoo <= set(problems.names())


def test_names_by_stiffness_and_tag():
    stiff, other = problems.names(stiff=True), problems.names(stiff=False)
    assert "robertson" in stiff
    assert sorted((*stiff, *other)) == list(problems.names())
    assert problems.names(tag="stiff") == stiff
    assert problems.names(tag="classifier") == ("digits", "mnist", "two_spirals")
    assert problems.names(stiff=True, tag="neural") == ("stiff_neural_ode",)


def test_unknown_names_come_with_close_matches():
    with pytest.raises(ValueError, match=r"'lotkavolterra' is not known; did you mean 'lotka_vol"):
        problems.get("lotkavolterra")
    with pytest.raises(ValueError, match="'rober' is not known; did you mean 'robertson'"):
        problems.entry("rober")
    with pytest.raises(ValueError, match=r"known: .*'?classifier"):
        problems.names(tag="chess")


def test_unknown_settings_come_with_close_matches():
    with pytest.raises(ValueError, match=r"'t_edn' is not known; did you mean 't_end'\? known"):
        problems.get("lorenz", t_edn=1.0)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("van_der_pol", {"mu": -1.0}, r"mu=-1.0 must be positive"),
        ("van_der_pol", {"mu": "1"}, r"mu='1' must be a number"),
        ("heat_equation", {"n": 2.5}, r"n=2.5 must be a whole number"),
        ("heat_equation", {"n": 0}, r"n=0 must be at least 1"),
        ("two_spirals", {"layers": 0}, r"layers=0 must be at least 1"),
        ("lotka_volterra", {"loss": "max"}, r"loss='max' is not known; known: sum"),
        ("lotka_volterra", {"loss": 1}, r"loss=1 must be a string"),
        ("two_spirals", {"dtype": np.int32}, r"dtype='int32' must be 'float32' or 'float64'"),
        ("two_spirals", {"dtype": "single precision"}, r"dtype='single precision' must be"),
        ("robertson", {"save_at": [2.0, 1.0]}, r"save_at must increase strictly"),
    ],
)
def test_settings_that_make_no_sense(name, settings, message):
    with pytest.raises(ValueError, match=message):
        problems.get(name, **settings)


def test_settings_are_kept_in_a_form_for_json():
    assert problems.get("van_der_pol", mu=np.float64(3)).settings == {"mu": 3.0, "t_end": None}
    assert problems.get("two_spirals", dtype=np.float32).settings["dtype"] == "float32"
    saves = problems.get("robertson", save_at=(1.0, 10.0)).settings["save_at"]
    assert saves == [1.0, 10.0]


@pytest.fixture
def empty_zoo(monkeypatch):
    monkeypatch.setattr(registry, "_ENTRIES", {})


def decay(*, rate: float = 0.5) -> Problem:
    """Decay."""
    return Problem(
        name="decay",
        rhs=lambda t, y, p: -p["rate"] * y,
        y0=[1.0],
        params={"rate": rate},
        t_span=(0.0, 1.0),
        loss=lambda ys, p: ys.sum(),
        stiff=rate > 100.0,
    )


@pytest.mark.usefixtures("empty_zoo")
def test_a_factory_decides_on_stiffness_by_its_arguments():
    factory = registry.register(tags=("small",))(decay)
    assert factory().tags == ("small",)
    assert factory(rate=1e3).tags == ("stiff", "small")
    assert factory(rate=1e3).stiff
    assert factory(rate=2.0).settings == {"rate": 2.0}


@pytest.mark.usefixtures("empty_zoo")
def test_one_name_one_module():
    registry.register()(decay)

    def other(*, rate: float = 0.5) -> Problem: ...

    other.__name__, other.__module__ = "decay", "elsewhere"
    with pytest.raises(ValueError, match="'decay' is already defined in"):
        registry.register()(other)


@pytest.mark.usefixtures("empty_zoo")
def test_arguments_of_a_factory_need_a_published_default():
    def positional(rate=0.5) -> Problem: ...

    def without_default(*, rate) -> Problem: ...

    for factory in (positional, without_default):
        with pytest.raises(ValueError, match="must be keyword-only and have a default"):
            registry.register()(factory)


def test_the_zoo_loads_no_framework():
    code = (
        "import sys, adjointbench\n"
        "for name in adjointbench.problems.names(): adjointbench.problems.get(name).reference\n"
        "heavy = {'jax', 'torch', 'scipy', 'pandas', 'matplotlib'}\n"
        "print(*sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("\n", "")
