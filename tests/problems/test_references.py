"""The certified references: up to date, in agreement, and equal to what is known elsewhere."""

import dataclasses
import json

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.linalg import expm

from adjointbench import problems
from adjointbench.problems import reference as reference_module
from adjointbench.problems.reference import references, write_reference

STORED = [(name, r) for name in problems.names() for r in references(name)]
IDS = [f"{name}-{r.settings}" for name, r in STORED]

#: References whose two computations cannot agree to 1e-8 in double precision, and what they
#: agree to: the Lorenz gradient has grown by exp(0.9 * 20), about 1e8, at the end.
LESS = {("lorenz", 20.0): 1e-5}


@pytest.mark.parametrize("name", problems.names())
def test_every_problem_is_certified_at_its_defaults(name):
    assert problems.get(name).reference is not None


@pytest.mark.parametrize(("name", "stored"), STORED, ids=IDS)
def test_the_definition_has_not_changed(name, stored):
    """Fails where a problem was changed without a new reference: run `adjointbench certify`."""
    problem = problems.get(name, **stored.settings)
    assert problem.definition_hash() == stored.definition_hash, (
        f"{name} is no longer what was certified; run: {stored.command} --write"
    )
    assert problem.reference is stored


@pytest.mark.parametrize(("name", "stored"), STORED, ids=IDS)
def test_two_computations_agree(name, stored):
    assert stored.agreement <= LESS.get((name, stored.settings.get("t_end")), 1e-8)
    first, second = stored.computations
    assert (first["method"], first["solver"]) != (second["method"], second["solver"])
    relative = abs(first["loss"] - second["loss"]) / abs(first["loss"])
    assert relative <= stored.agreement
    assert stored.loss == first["loss"]


@pytest.mark.parametrize(("name", "stored"), STORED, ids=IDS)
def test_differences_of_the_loss_confirm_it(name, stored):
    assert stored.confirmed_to <= 1e-5
    assert stored.loss_disagreement <= 10 * max(stored.loss_error, stored.agreement, 1e-7)
    # A direction of one entry, two of each other array, and two solves to begin with.
    sizes = [value.size for value in (*stored.dparams.values(), stored.dy0)]
    least = 2 + 4 * sum(min(size, 2) for size in sizes)
    assert least <= stored.loss_computation["solves"] <= 2 + 32 * sum(min(s, 2) for s in sizes)


@pytest.mark.parametrize(("name", "stored"), STORED, ids=IDS)
def test_shapes_and_values_fit_the_problem(name, stored):
    problem = problems.get(name, **stored.settings)
    assert list(stored.dparams) == list(problem.params)
    for key, value in problem.params.items():
        assert stored.dparams[key].shape == value.shape
        assert np.isfinite(stored.dparams[key]).all()
    assert stored.dy0.shape == problem.y0.shape
    assert np.isfinite(stored.dy0).all()
    assert {"python", "numpy", "scipy", "jax"} <= stored.versions.keys()


GOLDEN = [
    # From elsewhere: SUNDIALS' example set-up, arXiv:2406.09699, SciPy's Radau on the forward
    # sensitivity equations; with the digits to be trusted.
    ("lotka_volterra", {}, "p", [-4.09621299, -0.50940881, -1.14583489, -1.80432787], 7),
    (
        "lotka_volterra",
        {"loss": "squared_distance"},
        "p",
        [0.62196159, 0.0680014, 0.16917646, 0.27256069],
        7,
    ),
    ("lotka_volterra", {"loss": "squared_distance"}, "y0", [0.29959951, -0.01415182], 7),
    ("adaptive_ad_trap", {}, "a", 212.710425217, 12),
    ("van_der_pol", {"mu": 1e3}, "mu", 5.1519e-4, 5),
    ("robertson", {}, "k", [-3.43781691, -2.27961424e-9, 1.36776641e-5], 7),
]


@pytest.mark.parametrize(("name", "settings", "key", "golden", "digits"), GOLDEN)
def test_golden_values(name, settings, key, golden, digits):
    stored = problems.get(name, **settings).reference
    found = stored.dy0 if key == "y0" else stored.dparams[key]
    np.testing.assert_allclose(found, golden, rtol=0.6 * 10.0 ** (1 - digits))


@pytest.mark.parametrize("name", problems.names(tag="closed-form"))
def test_the_reference_is_the_closed_form(name):
    problem = problems.get(name)
    loss, dparams, dy0 = problem.exact(problem.params, problem.y0)
    np.testing.assert_allclose(problem.reference.loss, loss, rtol=1e-10)
    for found, exact in (
        (problem.reference.dy0, dy0),
        *((problem.reference.dparams[key], value) for key, value in dparams.items()),
    ):
        np.testing.assert_allclose(found, exact, rtol=1e-10)


def test_trap_reference_is_the_closed_form():
    """Linearised about the equilibrium: d(y1 + y2)/da = 2 - 2 cos t, and a rotation in y0."""
    problem = problems.get("adaptive_ad_trap")
    cos, sin = np.cos(problem.save_at), np.sin(problem.save_at)
    stored = problem.reference
    np.testing.assert_allclose(stored.loss, 2.0 * len(problem.save_at), rtol=1e-14)
    np.testing.assert_allclose(stored.dparams["a"], np.sum(2.0 - 2.0 * cos), rtol=1e-12)
    np.testing.assert_allclose(stored.dy0, [np.sum(cos + sin), np.sum(cos - sin)], rtol=1e-11)


def test_pendulum_reference_sees_gravity_over_length_alone():
    problem = problems.get("pendulum")
    logarithmic = {k: float(problem.params[k] * v) for k, v in problem.reference.dparams.items()}
    assert abs(logarithmic["gravity"] + logarithmic["length"]) <= 1e-12 * logarithmic["gravity"]


@pytest.mark.parametrize("n", [8, 32, 128])
def test_heat_reference_is_that_of_the_matrix_exponential(n):
    """u' = A u + s: u(T) = E u0 + A^-1 (E - 1) s with E = exp(A T), and A is symmetric."""
    problem = problems.get("heat_equation", n=n)
    p, one, end = problem.merged(), np.eye(n), problem.t_span[1]
    a = problem.jacobian(np.asarray(0.0), problem.y0, p)
    flow = expm(a * end)
    response = np.linalg.solve(a, flow - one)
    distance = flow @ problem.y0 + response @ p["source"] - p["target"]
    stored = problem.reference
    np.testing.assert_allclose(stored.loss, distance @ distance / (2 * (n + 1)), rtol=1e-10)
    for found, exact in (
        (stored.dy0, flow @ distance / (n + 1)),
        (stored.dparams["source"], response @ distance / (n + 1)),
    ):
        np.testing.assert_allclose(found, exact, atol=1e-10 * np.max(np.abs(exact)), rtol=0)


def test_robertson_reference_does_not_depend_on_the_unit_of_time():
    """Rates times c with the time divided by c: Σ k dL/dk = T dL/dT = T y1'(T)."""
    problem = problems.get("robertson")
    stored = problem.reference
    step = 1e-3
    around = [problems.get("robertson", t_end=1e4 * (1 + s)) for s in (-step, step)]

    def y1(p):
        y = solve_ivp(
            lambda t, y: p.rhs(t, y, p.merged()),
            p.t_span,
            p.y0,
            method="Radau",
            rtol=1e-9,
            atol=1e-14,
            jac=lambda t, y: p.jacobian(t, y, p.merged()),
        ).y
        return y[0, -1]

    slope = (y1(around[1]) - y1(around[0])) / (2 * step)
    np.testing.assert_allclose(np.sum(problem.params["k"] * stored.dparams["k"]), slope, rtol=1e-5)


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    monkeypatch.setattr(reference_module, "_FOLDER", tmp_path)


@pytest.mark.usefixtures("scratch")
def test_references_are_written_and_read_back():
    original = dict(zip(IDS, STORED, strict=True))
    first, second = (r for name, r in original.values() if name == "lotka_volterra")
    problem = problems.get("lotka_volterra")
    assert problem.reference is None
    write_reference(first)
    write_reference(second)
    found = references("lotka_volterra")
    assert sorted(r.settings["loss"] for r in found) == ["squared_distance", "sum"]
    for field in dataclasses.fields(first):
        stored = next(r for r in found if r.settings == first.settings)
        if field.name == "dparams":
            assert np.array_equal(stored.dparams["p"], first.dparams["p"])
        else:
            assert np.array_equal(getattr(stored, field.name), getattr(first, field.name))
    assert problem.reference is not None
    write_reference(dataclasses.replace(first, date="2000-01-01"))
    found = references("lotka_volterra")
    assert len(found) == 2
    assert "2000-01-01" in [r.date for r in found]


def test_other_values_have_no_reference():
    problem = problems.get("lotka_volterra")
    changed = dataclasses.replace(problem, params={"p": problem.params["p"] * 1.01})
    assert changed.reference is None
    assert dataclasses.replace(problem, loss=lambda ys, p: ys.sum()).reference is None
    assert problem.with_dtype("float32").reference is None


@pytest.mark.usefixtures("scratch")
def test_a_file_of_before_can_be_read(tmp_path):
    stored = dataclasses.replace(
        STORED[0][1], loss_disagreement=None, loss_error=None, loss_computation=None
    )
    path = write_reference(stored)
    records = json.loads(path.read_text(encoding="utf-8"))
    kept = {key: value for key, value in records[0].items() if not key.startswith("loss_")}
    path.write_text(json.dumps([kept]), encoding="utf-8")
    (found,) = references(stored.problem)
    assert (found.loss, found.confirmed_to) == (stored.loss, None)


def test_only_names_can_be_stored():
    stored = problems.get("linear").reference
    with pytest.raises(ValueError, match="cannot name a file"):
        write_reference(dataclasses.replace(stored, problem="../linear"))
