import pytest

import adjointbench as ab
from adjointbench.suite.measuring.measure import measure_ladder
from adjointbench.suite.measuring.names import (
    get_problem,
    join_name,
    problem_name,
    split_list,
    split_name,
)


@pytest.mark.parametrize(
    ("text", "name", "settings"),
    [
        ("linear", "linear", {}),
        ("van_der_pol(mu=1e3)", "van_der_pol", {"mu": 1000.0}),
        ("brusselator(n=3, t_end=1.0)", "brusselator", {"n": 3, "t_end": 1.0}),
        ("cvodes-adjoint(solver=cvodes-gmres)", "cvodes-adjoint", {"solver": "cvodes-gmres"}),
        ("robertson(save_at=[1.0, 2.0])", "robertson", {"save_at": [1.0, 2.0]}),
        (" two_spirals( dtype='float64' ) ", "two_spirals", {"dtype": "float64"}),
        ("x(a='1, 2', b=None)", "x", {"a": "1, 2", "b": None}),
    ],
)
def test_a_name_is_taken_apart_and_put_together(text, name, settings):
    assert split_name(text) == (name, settings)
    assert split_name(join_name(name, settings)) == (name, settings)


def test_text_is_quoted_only_where_it_must_be():
    assert join_name("m", {"solver": "cvodes-gmres"}) == "m(solver=cvodes-gmres)"
    assert split_name(join_name("m", {"a": "None", "b": "x y"})) == ("m", {"a": "None", "b": "x y"})


@pytest.mark.parametrize("text", ["", "a b", "f(1)", "f(a=)", "f(a=1", "f(**x)", "f(a=1)(b=2)"])
def test_what_is_no_name_is_refused(text):
    with pytest.raises(ValueError, match=r"KEY=VALUE"):
        split_name(text)


def test_commas_between_settings_separate_no_names():
    text = "linear, brusselator(n=3, t_end=1.0),,van_der_pol(mu=10.0)"
    assert split_list(text) == ("linear", "brusselator(n=3, t_end=1.0)", "van_der_pol(mu=10.0)")


def test_a_problem_has_one_name():
    for text in ("van_der_pol(mu=1000)", "van_der_pol(mu=1e3)", "van_der_pol(mu=1e3, t_end=None)"):
        assert problem_name(get_problem(text)) == "van_der_pol(mu=1000.0)"
    assert problem_name(get_problem("brusselator(n=5)")) == "brusselator"
    assert problem_name(ab.problems.get("linear")) == "linear"
    own = ab.Problem(
        name="own",
        rhs=lambda t, y, p: -y,
        y0=[1.0],
        params={"k": [1.0]},
        t_span=(0.0, 1.0),
        loss=lambda ys, p: ys.sum(),
    )
    assert problem_name(own) == "own"


def test_rows_carry_the_names_with_their_settings():
    problem = get_problem("linear(saves=4)")
    (row,) = measure_ladder(problem, "scipy-forward(solver=rk45)", (1e-4,), budget_s=0.01)
    assert (row.problem, row.method) == ("linear(saves=4)", "scipy-forward(solver=rk45)")
    assert row.solver == "rk45"
    assert row.status == "ok"
