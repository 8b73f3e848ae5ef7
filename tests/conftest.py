"""Settings of JAX for every test, made before anything imports it."""

import os

# Two virtual devices, so that tests can ask for "cpu:1" and look at where results live. The other
# flag, and no optimisation, more than halve the time that tests take, which is that of compiling.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_force_host_platform_device_count=2 --xla_cpu_use_fusion_emitters=false",
)
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
# A dtype that is promoted by accident is an error, in our code and in the equations.
os.environ.setdefault("JAX_NUMPY_DTYPE_PROMOTION", "strict")
