import csv
import re
from html.parser import HTMLParser

import pytest
from synthetic import row, write_asv, write_rows

from adjointbench.reports import build_report


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    root = tmp_path_factory.mktemp("results")
    write_rows(root / "box" / "aaaaaaaa-rows.jsonl")
    write_asv(root, {"timing.Gradient.time_gradient": [1e-3], "counts.broken": [None]})
    out = tmp_path_factory.mktemp("report")
    build_report([root], out, say=pytest.fail)
    return out


class Loads(HTMLParser):
    """Collects what a browser would fetch, and checks that tags close."""

    def __init__(self):
        super().__init__()
        self.fetched, self.open = [], []

    def handle_starttag(self, tag, attrs):
        self.fetched += [v for k, v in attrs if k in ("src", "srcset", "data") or tag == "link"]
        if tag not in ("meta", "br", "link", "img", "path", "use", "rect"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in ("path", "use", "rect"):
            assert self.open.pop() == tag


def test_the_page_fetches_nothing(report):
    page = (report / "index.html").read_text()
    loads = Loads()
    loads.feed(page)
    assert loads.fetched == []
    assert loads.open == []
    assert not re.search(r"url\(\s*['\"]?http|@import", page)


def test_the_page_names_what_was_wrong_broken_and_skipped(report):
    page = (report / "index.html").read_text()
    assert "adaptive_ad_trap" in page
    assert "was wrong by more than 10" in page
    assert "max_steps" in page
    assert "asks for an implicit solver" in page
    assert "counts.broken" in page
    assert "A processor" in page
    assert "jax 0.10.2" in page


def test_figures_lie_beside_the_page_and_in_the_markdown(report):
    markdown = (report / "report.md").read_text()
    named = re.findall(r"!\[.*?\]\((.*?)\)", markdown)
    assert len(named) == 3 * 2 + 2 + 1
    for name in named:
        assert (report / name).read_text().startswith("<?xml")


def test_markdown_tables_are_rectangular(report):
    blocks = re.findall(r"(?:^\|.*\|$\n)+", (report / "report.md").read_text(), flags=re.MULTILINE)
    assert len(blocks) > 6
    for block in blocks:
        lines = block.splitlines()
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1
        assert re.fullmatch(r"\|( -+:? \|)+", lines[1])


def test_tables_are_written_as_csv(report):
    tables = {
        name: list(csv.DictReader((report / f"{name}.csv").read_text().splitlines()))
        for name in ("measurements", "summary", "benchmarks")
    }
    assert {name: len(rows) for name, rows in tables.items()} == {
        "measurements": 3 * 6 * 8,
        "summary": 3 * 6,
        "benchmarks": 2,
    }
    assert float(tables["measurements"][0]["rtol"]) == 1e-3
    assert tables["benchmarks"][0]["parameters"] == "lotka_volterra, jax-discrete, cpu"


def test_two_commits_and_two_machines_are_compared(tmp_path):
    for machine in ("a", "b"):
        for commit, factor in (("1" * 40, 1.0), ("2" * 40, 3.0)):
            slower = [row("linear", "jax-discrete", r, seconds=factor) for r in (1e-3, 1e-6)]
            path = tmp_path / machine / f"{commit[:8]}-rows.jsonl"
            write_rows(path, slower, commit=commit, machine=machine)
            write_asv(
                tmp_path,
                {"timing.time": [factor]},
                commit=commit,
                machine=machine,
                date=1000 * factor,
            )
    page = build_report([tmp_path], tmp_path / "out", say=pytest.fail).read_text()
    assert "22222222 against 11111111" in page
    assert "slower" in page
    assert "Time of one gradient on each machine" in page
    assert "figures that changed most" in page


def test_commits_are_ordered_by_date_and_not_by_name(tmp_path):
    write_asv(tmp_path, {"timing.time": [1.0]}, commit="f" * 40, date=1)
    write_asv(tmp_path, {"timing.time": [2.0]}, commit="0" * 40, date=2)
    build_report([tmp_path], tmp_path / "out", say=pytest.fail)
    assert "| ffffffff | 00000000 |" in (tmp_path / "out" / "report.md").read_text()


def test_trouble_is_said_and_shown_and_the_rest_reported(tmp_path):
    good = write_rows(tmp_path / "good.jsonl")
    bad = tmp_path / "bad.json"
    bad.write_text("not JSON")
    said = []
    page = build_report([good, bad, tmp_path / "gone"], tmp_path / "out", say=said.append)
    assert len(said) == 2
    assert "bad.json" in said[0]
    assert "gone: no such file" in said[1]
    text = page.read_text()
    assert "Results that could not be read" in text
    assert "lotka_volterra" in text


def test_nothing_to_report_is_an_error_that_names_the_files(tmp_path):
    with pytest.raises(ValueError, match=r"results: nothing could be read\n.*gone: no such file"):
        build_report([tmp_path / "gone"], tmp_path / "out")


def test_results_of_asv_alone_make_a_report(tmp_path):
    write_asv(tmp_path, {"counts.steps": [12.0]})
    page = build_report([tmp_path], tmp_path / "out", say=pytest.fail)
    assert "counts.steps" in page.read_text()


def test_text_from_results_is_escaped(tmp_path):
    evil = [row("linear", "jax-discrete", 1e-3, status="failed", message="<script>x</script>|")]
    out = tmp_path / "out"
    page = build_report([write_rows(tmp_path / "rows.jsonl", evil)], out, say=pytest.fail)
    assert "<script>x" not in page.read_text()
    assert "\\|" in (out / "report.md").read_text()


def test_a_method_on_another_device_is_a_method_of_its_own(tmp_path):
    rows = [row("linear", "jax-discrete", 1e-3, device=d) for d in ("cpu", "cuda")]
    page = build_report([write_rows(tmp_path / "rows.jsonl", rows)], tmp_path / "out")
    text = page.read_text()
    assert "jax-discrete on cuda" in text
    assert "on cuda on cuda" not in text
