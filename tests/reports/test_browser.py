"""The page in a real browser: at the widths of a phone and of a desk, in light and in dark."""

import itertools
import json
import shutil
import time
from pathlib import Path

import pytest
from synthetic import (
    checkpoint_rows,
    peer_rows,
    rows,
    scaling_rows,
    stiff_rows,
    write_asv,
    write_rows,
)
from synthetic_trainings import RUNS, write_run

from adjointbench.reports import build_report

webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium, of the extra dev")

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)
DRIVER = shutil.which("chromedriver") or ""
pytestmark = pytest.mark.skipif(
    not (BROWSER and DRIVER),
    reason="needs Chromium and its driver: apt-get install chromium chromium-driver",
)

RTOLS = (1e-3, 1e-6, 1e-9)

CLAIM = {
    "study": "claims",
    "problem": "claim 4",
    "number": "4",
    "method": "",
    "device": "cpu",
    "status": "ok",
    "quick": True,
    "figures": {
        "error": "ValueError",
        "reverse_raises": 1.0,
        "forward_error": 0.0,
        "open_solver_error": 0.0,
    },
}


@pytest.fixture(scope="module")
def page(tmp_path_factory, worker_id):
    """A page with everything on it, built by the first of the processes that run tests."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "browser"
    built = folder / "built"
    try:
        folder.mkdir()
    except FileExistsError:
        deadline = time.monotonic() + 300
        while not built.exists():
            assert time.monotonic() < deadline, "another process did not come to build the page"
            time.sleep(0.2)
        return Path(built.read_text())
    built.write_text(str(build(folder)))
    return Path(built.read_text())


def build(root):
    ladders = [r for r in (*rows(), *peer_rows(), *stiff_rows()) if r["rtol"] in RTOLS]
    studies = [*scaling_rows(), *checkpoint_rows(), CLAIM]
    results = root / "results"
    write_rows(results / "box" / "aaaaaaaa-rows.jsonl", [*ladders, *studies])
    write_asv(results, {"timing.Gradient.time_gradient": [1e-3], "counts.broken": [None]})
    for regularizer, runs in RUNS.items():
        for seed, run in enumerate(runs):
            write_run(results / "runs" / regularizer / f"seed{seed}", regularizer, seed, *run)
    return build_report([results], root / "report", say=pytest.fail)


@pytest.fixture(scope="module")
def browser():
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.ChromeService(executable_path=DRIVER)
    started = webdriver.Chrome(options=options, service=service)
    yield started
    started.quit()


def show(browser, page, width=1400, scheme="light"):
    """Open the page as a screen of that width shows it."""
    screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    browser.get(page.as_uri())
    return browser.execute_script


def test_no_script_fails_and_no_request_leaves_the_page(browser, page):
    browser.get_log("browser"), browser.get_log("performance")
    show(browser, page)
    assert browser.get_log("browser") == []
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [m["params"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    asked = {s["request"]["url"].partition("#")[0] for s in sent}
    assert asked == {page.as_uri()}


@pytest.mark.parametrize("width", [400, 1400])
def test_nothing_is_cut_off(browser, page, width):
    run = show(browser, page, width)
    run("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    assert run("return innerWidth") == width
    assert run("return document.documentElement.scrollWidth") <= width
    # What is wider than its box can be scrolled there.
    wider = run("""
        return [...document.querySelectorAll("main *, header *, footer *")].filter((e) => {
          const box = e.getBoundingClientRect();
          return box.width && box.right > innerWidth + 1
            && !e.closest(".wide, .links, pre, .hidden, caption, .panel");
        }).map((e) => e.outerHTML.slice(0, 120))""")
    assert wider == []
    clipped = run("""
        return [...document.querySelectorAll(".wide")].filter(
          (e) => e.scrollWidth > e.clientWidth && getComputedStyle(e).overflowX !== "auto"
        ).length""")
    assert clipped == 0
    # Tables of words stand as blocks where there is no room for columns.
    squeezed = run("""
        return [...document.querySelectorAll(".wide")].filter(
          (e) => e.querySelector("table.stacks") && e.scrollWidth > e.clientWidth + 1
        ).map((e) => e.ariaLabel)""")
    assert width > 700 or squeezed == []
    assert run("return document.querySelectorAll('#peers table.stacks').length") == run(
        "return document.querySelectorAll('#peers table').length"
    )


def column(run, heading):
    """The sort keys of the column of the table of Lotka–Volterra."""
    return run(
        """
        const table = document.querySelector("#lotka_volterra table");
        const names = [...table.tHead.rows[0].cells].map((c) => c.textContent.trim());
        const index = names.indexOf(arguments[0]);
        return [...table.tBodies[0].rows].map((r) => r.cells[index].dataset.sort);""",
        heading,
    )


def click(browser, run, heading):
    run(
        """
        const table = document.querySelector("#lotka_volterra table");
        const found = [...table.tHead.querySelectorAll("button")];
        found.find((b) => b.textContent.trim() === arguments[0]).click();""",
        heading,
    )
    # The library sorts a moment after the click.
    browser.execute_async_script("setTimeout(arguments[0], 50)")


def test_tables_sort_by_the_number_both_ways_and_dashes_last(browser, page):
    run = show(browser, page)
    before = column(run, "time")
    numbers = sorted(float(key) for key in before if key)
    dashes = [""] * (len(before) - len(numbers))
    assert len(numbers) > 3
    assert dashes, "a table with a dash shows more"
    click(browser, run, "time")
    assert [key and float(key) for key in column(run, "time")] == numbers + dashes
    state = "return document.querySelector('#lotka_volterra th[aria-sort]').ariaSort"
    assert run(state) == "ascending"
    click(browser, run, "time")
    assert [key and float(key) for key in column(run, "time")] == numbers[::-1] + dashes
    assert run(state) == "descending"


def test_tables_filter_by_words(browser, page):
    run = show(browser, page)
    found = run("""
        const bar = document.querySelector("#lotka_volterra .filter");
        const field = bar.querySelector("input");
        field.value = "JAX- forw";
        field.dispatchEvent(new Event("input"));
        const rows = [...document.querySelector("#lotka_volterra tbody").rows];
        const shown = rows.filter((r) => r.getBoundingClientRect().height);
        return [shown.map((r) => r.cells[0].textContent), rows.length, bar.textContent];""")
    names, total, said = found
    assert names == ["jax-forward"]
    assert f"1 of {total} lines" in said


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_what_is_behind_it(browser, page, scheme):
    """At least the contrast that WCAG asks for at level AA, of all text outside of figures."""
    run = show(browser, page, scheme=scheme)
    assert run("return matchMedia('(prefers-color-scheme: dark)').matches") == (scheme == "dark")
    poor = run("""
        const brush = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
        const rgb = (colour) => {
          brush.clearRect(0, 0, 1, 1);
          brush.fillStyle = colour; brush.fillRect(0, 0, 1, 1);
          return [...brush.getImageData(0, 0, 1, 1).data];
        };
        const light = (c) => {
          const [r, g, b] = c.map((v) => {
            v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
          });
          return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        const behind = (e) => {
          for (; e; e = e.parentElement) {
            const colour = rgb(getComputedStyle(e).backgroundColor);
            if (colour[3] > 200) return colour;
          }
          return [255, 255, 255, 255];
        };
        const seen = new Map();
        const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
        while (walker.nextNode()) {
          const e = walker.currentNode.parentElement;
          if (!walker.currentNode.data.trim() || e.closest("svg, script, style")) continue;
          const pair = [rgb(getComputedStyle(e).color), behind(e)].map(light);
          const ratio = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
          seen.set(ratio, e.outerHTML.slice(0, 100));
        }
        return [...seen].filter(([ratio]) => ratio < 4.5);""")
    assert poor == []


def test_names_are_unique_links_lead_somewhere_and_headings_are_in_order(browser, page):
    run = show(browser, page)
    names = run("return [...document.querySelectorAll('[id]')].map((e) => e.id)")
    assert len(names) == len(set(names))
    links = run("""return [...document.querySelectorAll('a[href^="#"]')].map(
        (a) => decodeURIComponent(a.getAttribute('href').slice(1)))""")
    assert len(links) > 10
    assert set(links) <= set(names)
    levels = run(
        "return [...document.querySelectorAll('h1, h2, h3, h4')].map((e) => +e.tagName[1])"
    )
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(below - above <= 1 for above, below in itertools.pairwise(levels))


def test_a_link_opens_what_it_leads_to(browser, page):
    run = show(browser, page)
    last = run("""
        const sections = [...document.querySelectorAll("section.problem")];
        const folded = sections.filter((s) => s.querySelector("details.folded:not([open])"));
        return folded[0].id;""")
    run("document.querySelector(`nav a[href='#${CSS.escape(arguments[0])}']`).click()", last)
    browser.execute_async_script("setTimeout(arguments[0], 50)")
    assert run("return document.getElementById(arguments[0]).querySelector('details').open", last)


def test_verdicts_and_statuses_have_colours_of_their_own(browser, page):
    run = show(browser, page)
    colours = run("""
        return ["td.verdict[data-value='holds']", "td.verdict[data-value='not measured here']",
                "td.status[data-value='max_steps']"].map(
          (selector) => getComputedStyle(document.querySelector(selector)).color)""")
    assert len(set(colours)) == 3


def test_every_figure_says_what_one_sees_and_brings_its_data_and_command(browser, page):
    figures = show(browser, page)("""
        return [...document.querySelectorAll("figure")].map((f) => [
          f.querySelector("figcaption").textContent, f.querySelector("[role=img]").ariaLabel,
          f.querySelector("a[download]")?.href ?? "",
          f.querySelector("code")?.textContent ?? ""])""")
    assert len(figures) > 12
    for caption, label, data, command in figures:
        assert len(label) > 40, caption
        assert label != caption
        assert data.startswith("data:text/csv"), caption
        assert "adjointbench report" in command, caption
    files = {file.name for file in (page.parent / "figures").glob("*.csv")}
    assert len(files) == len(figures)


def test_the_page_stays_light(page):
    assert page.stat().st_size < 3e6
