"""The asv benchmarks: one file a concern.

Each runs over problems, methods and devices. The first ``track_`` figure of a method on a problem
measures its ladder of tolerances, in a process that is killed when its time is over; the others of
the same run of asv read those rows, which are kept beside asv's results, for work–precision
diagrams. So a method that fails is a row with a status and a ``track_`` figure with a finite cap,
a combination that makes no sense is skipped, and a benchmark that asv calls *failed* is broken.
``docs/asv.md`` shows asv's commands. Environment variables:

``ADJOINTBENCH_QUICK=1``, ``ADJOINTBENCH_FULL=1``
    The quick part, or everything, in place of a moderate part.
``ADJOINTBENCH_PROBLEMS``, ``ADJOINTBENCH_METHODS``, ``ADJOINTBENCH_DEVICES``
    Names between commas: only these. Settings may follow a name, as in
    ``van_der_pol(mu=1000.0)`` or ``jax-discrete(solver=kvaerno5)``.
``ADJOINTBENCH_SCALING``
    Sizes of the scaling study between commas, 0 for none; where problems are named, it is not
    measured unless sizes are.
``ADJOINTBENCH_MACHINE``
    The name of this machine in results, in place of its host's.
``ADJOINTBENCH_CLAIMS``
    Numbers of claims between commas, ``R1`` … for red flags, 0 for none; where problems are named,
    none are measured unless numbers are.
``ADJOINTBENCH_ROWS``
    An absolute path: measured rows are taken from this file, and missing ones added to it. By
    default they go to ``.asv/results/<machine>/<commit>-rows.jsonl``, where those of an earlier run
    are replaced as they are measured anew.
"""
