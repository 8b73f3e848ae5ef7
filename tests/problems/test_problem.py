"""What a Problem makes of its arguments, and what it refuses."""

import array_api_compat
import numpy as np
import pytest

import adjointbench as ab

DECAY = {
    "name": "decay",
    "rhs": lambda t, y, p: -p["k"] * y,
    "y0": np.array([1.0]),
    "params": {"k": np.array([0.5])},
    "t_span": (0.0, 2.0),
    "save_at": np.array([1.0, 2.0]),
    "loss": lambda ys, p: (ys**2).sum(),
}


def make(**changes):
    return ab.Problem(**(DECAY | changes))


def test_the_example_of_the_documentation():
    problem = make()
    assert problem.dtype == np.float64
    assert (problem.n_states, problem.n_params) == (1, 1)
    assert problem.t_span == (0.0, 2.0)
    assert problem.constants == {}
    assert problem.reference is None
    assert "decay" in repr(problem)


def test_integers_and_python_numbers_become_float64():
    problem = make(y0=[1, 2], params={"k": 3, "m": [[1, 2], [3, 4]]})
    assert problem.y0.dtype == problem.params["k"].dtype == np.float64
    assert problem.params["k"].shape == ()
    assert problem.params["m"].shape == (2, 2)
    assert problem.n_params == 5


def test_numbers_take_the_dtype_of_the_arrays():
    problem = make(y0=np.float32([1.0]), params={"k": 0.5}, constants={"c": [1.5], "n": 2})
    assert problem.params["k"].dtype == problem.constants["c"].dtype == np.float32
    assert problem.constants["n"].dtype.kind == "i"


def test_constants_keep_integers_and_booleans():
    constants = {"labels": [0, 1], "mask": [True, False], "grid": np.array([0.5])}
    problem = make(constants=constants)
    assert problem.constants["labels"].dtype.kind == "i"
    assert problem.constants["mask"].dtype == bool
    assert list(problem.merged()) == ["k", "labels", "mask", "grid"]


def test_every_array_and_time_is_in_the_dtype_of_the_problem():
    single = np.float32
    problem = make(
        y0=single([1.0]), params={"k": single(0.5)}, t_span=(0.0, 0.1), save_at=[0.05, 0.1]
    )
    assert problem.save_at.dtype == problem.dtype == single
    assert problem.save_at[-1] == problem.t_span[1] == float(single(0.1))


def test_saves_the_end_of_the_span_by_default():
    assert make(save_at=None).save_at.tolist() == [2.0]


@pytest.mark.parametrize("shape", [(), (3,), (4, 2), (2, 3, 2)])
def test_state_of_any_shape(shape):
    problem = make(y0=np.ones(shape), params={"k": 0.5})
    assert problem.y0.shape == shape
    assert problem.n_states == np.prod(shape, dtype=int)


def test_no_parameters():
    assert make(rhs=lambda t, y, p: -y, params={}).n_params == 0


def test_keeps_copies_of_what_it_got():
    y0 = np.array([1.0])
    problem = make(y0=y0)
    y0[0] = 7.0
    assert problem.y0[0] == 1.0


def test_numbers_that_are_not_finite_are_a_matter_of_solving():
    make(rhs=lambda t, y, p: p["k"] / (y - 1.0), loss=lambda ys, p: np.log(ys - 1.0).sum())


def test_discontinuities_are_sorted_and_each_is_kept_once():
    assert make(discontinuities=[2.0, 1.5, 0.5, 0.5, 0.0]).discontinuities == (0.0, 0.5, 1.5, 2.0)


def test_jumps():
    problem = make(jump_times=[0.5, 2], jump=lambda i, t, y, p: y + 1.0)
    assert problem.jump_times == (0.5, 2.0)


def test_with_dtype_changes_every_floating_array():
    problem = make(constants={"grid": [0.5], "labels": [1]}).with_dtype("float32")
    assert problem.dtype == problem.constants["grid"].dtype == np.float32
    assert problem.save_at.dtype == problem.params["k"].dtype == np.float32
    assert problem.constants["labels"].dtype.kind == "i"


def two_dimensional(values):
    return lambda t, y, p: np.asarray(values, dtype=np.float64)


WRONG = {
    # argument, value and remedy each must be in the message
    "name-empty": ({"name": ""}, r"name='' must be a non-empty string"),
    "name-number": ({"name": 3}, r"name=3"),
    "tags-string": ({"tags": "stiff"}, r"tags='stiff' is one string; pass a tuple"),
    "y0-nan": ({"y0": [np.nan]}, r"y0=.*nan.* must be finite"),
    "y0-infinite": ({"y0": [np.inf]}, r"y0=.*inf.* must be finite"),
    "y0-empty": ({"y0": []}, r"y0 has shape \(0,\)"),
    "y0-ragged": ({"y0": [[1.0], [1.0, 2.0]]}, r"y0 cannot be made a NumPy array"),
    "y0-text": ({"y0": ["a"]}, r"y0 has dtype <U1; pass float32 or float64"),
    "y0-complex": ({"y0": [1j]}, r"y0 has dtype complex128; .* real and imaginary"),
    "y0-half": ({"y0": np.float16([1.0])}, r"y0 has dtype float16; pass float32 or float64"),
    "y0-bool": ({"y0": [True]}, r"y0 has dtype bool; pass numbers"),
    "params-nan": ({"params": {"k": np.nan}}, r"params\['k'\]=.*nan.* must be finite"),
    "params-list": ({"params": [0.5]}, r"params=\[0.5\] must be a dict"),
    "params-names": ({"params": {1: 0.5}}, r"a name in params=1 must be a non-empty string"),
    "constants-array": ({"constants": np.ones(2)}, r"constants=.* must be a dict"),
    "constants-text": ({"constants": {"c": "x"}}, r"constants\['c'\] has dtype"),
    "clash": ({"constants": {"k": 1}}, r"params and constants both have 'k'; .* rename"),
    "dtypes-y0": ({"y0": np.float32([1.0])}, r"one dtype, got y0: float32, params\['k'\]: float64"),
    "dtypes-constants": (
        {"constants": {"c": np.float32([1.0])}},
        r"one dtype, got .*constants\['c'\]: float32; convert",
    ),
    "span-zero": ({"t_span": (1.0, 1.0)}, r"t_span=\(1.0, 1.0\) has length zero"),
    "span-backwards": ({"t_span": (2.0, 0.0)}, r"t_span=\(2.0, 0.0\) must increase; .* -t"),
    "span-infinite": ({"t_span": (0.0, np.inf)}, r"t_span=.*inf.* must be finite"),
    "span-three": ({"t_span": (0.0, 1.0, 2.0)}, r"t_span=.* must be two times"),
    "span-number": ({"t_span": 2.0}, r"t_span=2.0 must be a list of times"),
    "saves-empty": ({"save_at": []}, r"save_at is empty; pass at least one time"),
    "saves-equal": ({"save_at": [1.0, 1.0]}, r"save_at must increase strictly, got 1.0 after 1.0"),
    "saves-order": ({"save_at": [2.0, 1.0]}, r"save_at must increase strictly, got 1.0 after 2.0"),
    "saves-after": ({"save_at": [1.0, 2.5]}, r"save_at has 2.5 outside t_span=\(0.0, 2.0\)"),
    "saves-before": ({"save_at": [-1.0, 2.0]}, r"save_at has -1.0 outside"),
    "saves-nan": ({"save_at": [np.nan]}, r"save_at=.*nan.* must be finite"),
    "saves-shape": ({"save_at": [[1.0]]}, r"save_at=.* its shape is \(1, 1\)"),
    "discontinuities": ({"discontinuities": [3.0]}, r"discontinuities has 3.0 outside"),
    "jumps-order": ({"jump_times": [1.0, 0.5]}, r"jump_times must increase strictly"),
    "jumps-outside": ({"jump_times": [2.5]}, r"jump_times has 2.5 outside"),
    "jumps-start": ({"jump_times": [0.0]}, r"jump_times=\[0.0\] has the start .* into y0"),
    "jump-missing": ({"jump_times": [1.0]}, r"jump_times is given without jump; pass both"),
    "jump-alone": (
        {"jump": lambda i, t, y, p: y},
        r"jump is given without jump_times; pass both",
    ),
    "jump-shape": (
        {"jump_times": [1.0], "jump": lambda i, t, y, p: y[0]},
        r"jump returned shape \(\); it must be \(1,\)",
    ),
    "jump-raises": (
        {"jump_times": [0.5, 1.0], "jump": lambda i, t, y, p: [y][i]},
        r"jump raised IndexError",
    ),
    "rhs-none": ({"rhs": None}, r"rhs=None must be a function"),
    "rhs-shape": (
        {"rhs": lambda t, y, p: np.zeros(2)},
        r"rhs returned shape \(2,\); it must be \(1,\), the shape of y0",
    ),
    "rhs-scalar": ({"rhs": lambda t, y, p: y[0]}, r"rhs returned shape \(\)"),
    "rhs-dtype": (
        {"rhs": lambda t, y, p: y.astype(np.float32)},
        r"rhs returned dtype float32 for a problem in float64; .*xp.asarray",
    ),
    "rhs-list": (
        {"rhs": lambda t, y, p: [1.0, y[0]]},
        r"rhs returned shape \(2,\); it must be \(1,\), the shape of y0",
    ),
    "rhs-ragged": (
        {"rhs": lambda t, y, p: [y[0], np.ones(2)]},
        r"the components of the returned list have different shapes: \(\), \(2,\)",
    ),
    "rhs-text": ({"rhs": lambda t, y, p: "y"}, r"rhs returned a str, not a NumPy array"),
    "rhs-missing-name": (
        {"rhs": lambda t, y, p: p["q"] * y},
        r"rhs raised KeyError on NumPy arrays: 'q'; write it in the Python array API",
    ),
    "rhs-not-numpy": (
        {"rhs": lambda t, y, p: y.of_no_framework},
        r"rhs raised AttributeError on NumPy arrays",
    ),
    "loss-vector": ({"loss": lambda ys, p: ys[-1]}, r"loss returned shape \(1,\); .* a scalar"),
    "loss-none-returned": (
        {"loss": lambda ys, p: None},
        r"loss returned a NoneType, not a NumPy array",
    ),
    "loss-integer": (
        {"loss": lambda ys, p: (ys > 0).sum()},
        r"loss returned dtype int64 for a problem in float64",
    ),
    "loss-none": ({"loss": None}, r"loss=None must be a function"),
    "jacobian-shape": (
        {"jacobian": two_dimensional([[1.0, 0.0]])},
        r"jacobian returned shape \(1, 2\); it must be \(1, 1\), \(n, n\) with n = y0.size",
    ),
    "jacobian-number": ({"jacobian": 1.0}, r"jacobian=1.0 must be a function"),
}


@pytest.mark.parametrize("case", WRONG)
def test_refuses(case):
    changes, message = WRONG[case]
    with pytest.raises(ValueError, match=message):
        make(**changes)


def test_jacobian_of_a_batched_state_is_of_the_flattened_state():
    problem = make(
        y0=np.ones((3, 2)),
        params={"k": 0.5},
        jacobian=lambda t, y, p: -p["k"] * array_api_compat.array_namespace(y).eye(6),
    )
    assert problem.jacobian is not None
