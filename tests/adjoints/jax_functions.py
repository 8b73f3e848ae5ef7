"""Functions of three numbers as users of JAX write them, and where they are interesting."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax, nn

#: Ordinary ones, then zeros, ties, the ends of domains, and numbers that functions overflow at.
POINTS = np.array(
    [
        [0.3, 0.5, 0.8],
        [-0.7, 0.2, 1.9],
        [0.0, 0.0, 0.0],
        [1.0, 1.0, -1.0],
        [2.0, -1.0, 2.0],
        [-800.0, 800.0, 0.5],
    ]
)
UNIT = np.eye(3)
KNOTS = np.array([-1.0, -0.7, 0.0, 0.3, 0.9, 2.0, 5.0])
TABLE = np.array([[2.0, 0.0, -1.0], [0.5, 3.0, 1.0]])


@jax.custom_jvp
def with_tangents(x):
    return jnp.sin(x)


@with_tangents.defjvp
def _(primals, tangents):
    (x,), (dx,) = primals, tangents
    return with_tangents(x), 3.0 * with_tangents(x) * dx


@jax.custom_vjp
def with_cotangents(x, y):
    return jnp.sqrt(x * x) * y


with_cotangents.defvjp(
    lambda x, y: (with_cotangents(x, y), (x, y)),
    # At zero the quotient is none.
    lambda kept, g: (jnp.where(kept[0] == 0, 0.0, g * kept[1] / kept[0]), 2.0 * g),
)

ELEMENTWISE = {
    **{name: getattr(jnp, name) for name in ("sqrt", "cbrt", "exp", "exp2", "expm1", "log")},
    **{name: getattr(jnp, name) for name in ("log2", "log1p", "square")},
    **{name: getattr(jnp, name) for name in ("sin", "cos", "tan", "arcsin", "arccos", "arctan")},
    **{name: getattr(jnp, name) for name in ("sinh", "cosh", "tanh", "arcsinh", "arccosh")},
    **{name: getattr(jnp, name) for name in ("arctanh", "abs", "sign", "floor", "ceil", "round")},
    **{name: getattr(nn, name) for name in ("relu", "relu6", "elu", "silu", "gelu", "softplus")},
    **{name: getattr(lax, name) for name in ("rsqrt", "erf", "erfc", "logistic")},
    "round away": lambda x: lax.round(x, lax.RoundingMethod.AWAY_FROM_ZERO) * x,
    "sinc": jnp.sinc,
    "clip": lambda x: jnp.clip(x, -1.0, 1.0),
    "clamp": lambda x: lax.clamp(-1.0, x, 1.0),
    "is finite": lambda x: jnp.where(jnp.isfinite(1.0 / x), x, 0.0),
    "nan to num": lambda x: jnp.nan_to_num(1.0 / x),
    "remainder": lambda x: jnp.mod(x, 0.3) + jnp.fmod(0.7, x),
    "floor divide": lambda x: x // 0.3,
    "powers": lambda x: x**2 + x**3.0 + x**1.5 + jnp.float_power(2.0, x),
    "power of itself": lambda x: x**x,
    "to no power": lambda x: x**0,
    "far power": lambda x: x**20 + 1.0 / x,
    "guarded": lambda x: jnp.where(x > 0, jnp.sqrt(x), 0.0),
    "safely guarded": lambda x: jnp.where(x > 0, jnp.sqrt(jnp.where(x > 0, x, 1.0)), 0.0),
    "held": lambda x: lax.stop_gradient(x) * x,
    "truths": lambda x: ((x > 0) ^ (x >= 0.5) | ~(x != 1.0)) * x,
    "heaviside": lambda x: jnp.heaviside(x, 0.5) * x,
    "recomputed": jax.checkpoint(lambda x: jnp.sin(x) ** 2),
    "own tangents": with_tangents,
    "own cotangents": lambda x: with_cotangents(x, x),
    "gradient": lambda x: jax.grad(lambda x: jnp.sum(nn.relu(x) * jnp.sin(x)))(x),
}
OF_ARRAYS = {
    "largest": lambda x: jnp.max(x) - jnp.min(x * x),
    "larger": lambda x: jnp.maximum(x, x[::-1]) * jnp.minimum(x, 1.0),
    "angles": lambda x: jnp.arctan2(x, jnp.roll(x, 1)) + jnp.hypot(x, jnp.roll(x, 1)),
    "norm": jnp.linalg.norm,
    "spread": lambda x: jnp.std(x) + jnp.mean(x) * jnp.prod(x),
    "log sum": lambda x: nn.logsumexp(x) + jnp.logaddexp(x[0], x[1]),
    "softmax": lambda x: nn.softmax(x) * nn.log_softmax(x),
    "running": lambda x: jnp.cumsum(x) * jnp.cumprod(x)[::-1] + lax.cumsum(x, reverse=True),
    "products": lambda x: TABLE @ x + jnp.einsum("i,ji,k->j", x, TABLE, x),
    "batches": lambda x: jnp.einsum(
        "bi,bij->bj", TABLE * x, jnp.outer(x, x)[:2, :, None] * TABLE[:, None]
    ),
    "system": lambda x: jnp.linalg.solve((jnp.outer(jnp.sin(x), jnp.cos(x)) + 2 * UNIT)[::-1], x),
    "known system": lambda x: jnp.linalg.solve(TABLE @ TABLE.T, x[:2]),
    "inverse": lambda x: jnp.linalg.inv(
        jnp.outer(jnp.sin(x), jnp.cos(x))[:2, :2] + 2 * UNIT[:2, :2]
    ),
    "stencil": lambda x: jnp.convolve(x, np.array([1.0, -2.0, 1.0]), mode="same") * x,
    "any": lambda x: jnp.where(jnp.any(x > 1.0) & jnp.all(x > -1.0), x, 2.0 * x),
    "moved": lambda x: jnp.stack([x[-1], x[0] * x[1]]) @ jnp.tile(x, 2).reshape(3, 2).T,
    "joined": lambda x: jnp.concatenate([jnp.roll(x, 1), jnp.pad(x, (1, 0)), x[::2], jnp.diff(x)]),
    "padded": lambda x: lax.pad(x, x[0], [(-1, 2, 1)]),
    "split": lambda x: jnp.split(jnp.tril(jnp.outer(x, x)), 3)[1] * jnp.arange(3.0),
    "taken": lambda x: x[jnp.array([2, -1, 0])] * jnp.take(x, jnp.array([0, 5, 1])),
    "taken beyond": lambda x: x[jnp.array([0, 7])] * x[0],
    "set": lambda x: x.at[1].set(x[0] * 2.0).at[jnp.array([0, 2])].set(x[1:]),
    "added": lambda x: x.at[jnp.array([0, 2, 0, 7])].add(jnp.arange(4.0) * x[1]).at[1:].set(x[:2]),
    "window": lambda x: lax.dynamic_update_slice(x, lax.dynamic_slice(x, (5,), (2,)), (-1,)),
    "rounds": lambda x: lax.fori_loop(0, 4, lambda i, c: c * 0.5 + x[i % 3], x[0]),
    "scan": lambda x: lax.scan(lambda c, a: (c + a, (c * a, a)), 1.0, x, reverse=True)[1],
    "known rounds": lambda x: lax.fori_loop(0, 100, lambda i, c: c + 0.5**i, 0.0) * x,
    "branch": lambda x: lax.switch(1, [jnp.sin, jnp.cos], x),
    "branches": lambda x: lax.cond(x[0] > 0, lambda x: jnp.sqrt(x[0] * x[2]) * x, jnp.sin, x),
    "one of three": lambda x: lax.switch(
        (x[0] > 0).astype(int) + (x[1] > 0.3), [jnp.log, jnp.cos, lambda x: x], x
    ),
    "branch in branch": lambda x: lax.cond(
        x[0] < 1, lambda x, y: lax.cond(y[1] > 0, jnp.sqrt, jnp.sin, x), lambda x, y: y, x, x * x
    ),
    "branches of integers": lambda x: (
        x[lax.cond(x[0] > 0.4, lambda x: jnp.sum(x > 0.5) + 2, lambda x: 2, x) // 2] ** 2
    ),
    "saturated": lambda x: x * jnp.array([3e9, -3e9, np.nan]).astype(np.int32).astype(float),
    "pieces": lambda x: jnp.piecewise(x, [x > 0.5, x > 1.0], [jnp.sin, jnp.square, 0.5]),
    "select": lambda x: jnp.select([x > 1.5, x[::-1] > 0.3], [x, jnp.exp(-x)], x * x),
    "table": lambda x: jnp.interp(x[0], KNOTS, jnp.sin(KNOTS)) * x,
    "knots": lambda x: jnp.interp(0.3 * x[0], KNOTS[:3], x * x),
    "tables": lambda x: jax.vmap(lambda row: jnp.interp(x[1], KNOTS[:3], row))(TABLE * x),
    "table of all": lambda x: jnp.interp(x, KNOTS, jnp.sin(KNOTS)) * x[(2.0 * x).astype(int)],
    "looked up": lambda x: x[jnp.searchsorted(KNOTS, x[0], method="compare_all") % 3] * x,
    "step by step": lambda x: (
        jnp.asarray(KNOTS)[jnp.floor(x[0] / 0.3).astype(int)] * x[(x[1] / 0.7).astype(int)]
    ),
    "beyond": lambda x: x.at[jnp.array(2.0 * x[1], int)].get(mode="fill", fill_value=7.0) * x,
    "windows": lambda x: lax.reduce_window(x * x, 0.0, lax.add, (2,), (1,), "VALID"),
    "set there": lambda x: x.at[jnp.sum(x > 0)].set(x[0]).at[(x > 0.5).astype(int)].add(x**2),
    "put": lambda x: lax.dynamic_update_slice(x, x[:1] ** 2, (jnp.sum(x > 0) - 1,)),
    "place of": lambda x: x[jnp.argmax(x > 0.4)] + jnp.asarray(jnp.cumsum(x > 0), float),
}
FUNCTIONS = {**ELEMENTWISE, **OF_ARRAYS}
