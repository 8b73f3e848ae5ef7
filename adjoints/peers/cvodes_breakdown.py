"""What CasADi says when CVODES or IDAS gives up, by our names."""

from __future__ import annotations

import re

from ..result import status_message

#: Return flags by our names, without the ``CV_`` of CVODES and the ``IDA_`` of IDAS; whatever else
#: they may say is "failed".
FLAGS = {
    "TOO_MUCH_WORK": "max_steps",
    "TOO_MUCH_ACC": "step_too_small",
    **dict.fromkeys(("ERR_FAILURE", "ERR_FAIL"), "step_too_small"),
    **dict.fromkeys(("CONV_FAILURE", "CONV_FAIL", "LINESEARCH_FAIL"), "newton"),
    "LSETUP_FAIL": "linear_solve",
    "LSOLVE_FAIL": "linear_solve",
    **dict.fromkeys(("FIRST_RHSFUNC_ERR", "REPTD_RHSFUNC_ERR", "UNREC_RHSFUNC_ERR"), "nonfinite"),
    **dict.fromkeys(("RHSFUNC_FAIL", "FIRST_RES_FAIL", "REP_RES_ERR", "RES_FAIL"), "nonfinite"),
}

#: What would help where a backward solve breaks down.
BACKWARD = {
    "IDACalcICB": "IDAS found no consistent costates from which to go back; save more often, as "
    "its search starts with a share of the way, or take a method that goes forwards",
    "max_steps": "the backward solve took more than the 500 steps between two checkpoints or saves "
    "that CasADi leaves to CVODES; loosen the tolerances, or save more often",
}


def breakdown(message: str) -> tuple[str, str, str]:
    """Status, phase and a sentence."""
    found = re.search(r'((?:CVode|IDA)\w*) returned "(\w+)"', message)
    if found is None and "rootfinder process failed" in message:
        return "newton", "forward", "no values that fulfil the algebraic equations were found"
    if found is None:
        return "failed", "forward", message.strip().splitlines()[-1]
    function, flag = found.groups()
    status = FLAGS.get(flag.partition("_")[2], "failed")
    phase = "reverse" if function.endswith("B") else "forward"
    sentence = status_message(status, phase)
    if phase == "reverse":
        sentence = BACKWARD.get(function, BACKWARD.get(status, sentence))
    return status, phase, f"{sentence} ({flag})"
