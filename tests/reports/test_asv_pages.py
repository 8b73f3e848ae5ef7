import json
import math

import pytest
from synthetic import write_asv

from adjointbench.reports.asv_pages import publish, with_figures


def test_benchmarks_without_a_figure_are_left_out(tmp_path):
    values = {"time.some": [1.0], "time.failed": [None], "time.skipped": [math.nan]}
    write_asv(tmp_path, values)
    listed = {name: {"name": name, "version": "1"} for name in (*values, "time.never_run")}
    listed["time.of_another_version"] = {"name": "time.some", "version": "2"}
    kept = with_figures(tmp_path, listed | {"version": 2})
    assert kept == {"time.some": listed["time.some"], "version": 2}


def test_without_results_it_says_what_to_do(tmp_path):
    config = tmp_path / "asv.conf.json"
    config.write_text(json.dumps({"results_dir": "results", "html_dir": "html"}))
    with pytest.raises(ValueError, match="run `make bench` first"):
        publish(config, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()
