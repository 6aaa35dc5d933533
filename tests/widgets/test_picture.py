"""The picture: what it shows, in which shapes, and that no text in it is ever more than text."""

from __future__ import annotations

import itertools
import re
import time
from xml.etree import ElementTree as ET

import lineage_graphs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aaiclick_ext.errors import PictureError
from aaiclick_ext.untrusted import shortened, visible
from aaiclick_ext.widgets.picture import LABEL_COLUMNS, MAX_NODES, lineage_dot, lineage_svg
from aaiclick_ext.widgets.svg import ATTRIBUTES, ELEMENTS, cleaned

SVG = "{http://www.w3.org/2000/svg}"

HOSTILE = [
    "<script>alert(1)</script>",
    "<b>bold</b>",
    "<<table><tr><td>x</td></tr></table>>",
    "<img src=x onerror=alert(1)>",
    "javascript:alert(1)",
    "]]><script>1</script><![CDATA[",
    "<!-- --><!DOCTYPE x [<!ENTITY e 'x'>]>",
    '"; URL="javascript:alert(1)"; x="',
    '", href="http://evil", label="',
    r"\N \G \E \T \H \L \l \r \n",
    "\\",
    '\\"',
    '\\\\"',
    "\\\n",
    "&lt;b&gt; &amp;amp; &#60;",
    "&",
    "a\x00b\x1b]8;;http://evil\x07c",
    "line one\nline two\r\n",
    "\u202ereversed\u202c \u2066x\u2069",
    "\ud800 lone",
    "{a|b|<port>c}",
    "n0 -> n1 [URL=x]",
    "url(#evil)",
    "größe 漢字 🛩️ עברית العربية",
    "e\u0301\u0301\u0301",
    "   ",
    "",
    "x" * 5_000,
    "漢" * 500,
    "%n %s {0} ${x}",
]
ANY_TEXT = st.text(st.characters(), max_size=60) | st.sampled_from(HOSTILE)


def hostile(text: str) -> lineage_graphs.OplogGraph:
    """Return a graph with one text wherever a text can be."""
    events = [
        lineage_graphs.event(text, "read_csv", variable_names=(text,), params={text: text}),
        lineage_graphs.event("view_h", text, {text: text}, variable_names=(text, text),
                             sql_template=text, cell_source=text, params={"x": text},
                             result_schema={text: text}),
        lineage_graphs.event("fetch_h", "data", {"source": "view_h"}, status="error", error=text),
    ]  # fmt: skip
    return lineage_graphs.graph("view_h", events, text)


def assert_only_allowed(svg: str) -> ET.Element:
    """Parse a picture and check every element and attribute of it."""
    root = ET.fromstring(svg)
    for element in root.iter():
        assert element.tag.removeprefix(SVG) in ELEMENTS
        assert set(element.attrib) <= ATTRIBUTES
        for name, value in element.attrib.items():
            assert name == "aria-label" or not re.search(r":|url\(", value, re.IGNORECASE)
    return root


def node(root: ET.Element, id_: str) -> ET.Element:
    """Return the group of one node."""
    return next(g for g in root.iter(f"{SVG}g") if g.get("id") == id_)


def texts(group: ET.Element) -> list[str]:
    """Return the lines that a group shows."""
    return [line.text or "" for line in group.iter(f"{SVG}text")]


@pytest.mark.parametrize("name", ["flights", "arrays", "inserts", "aged"])
def test_pictures_are_as_they_were(name: str, snapshot):
    graph = getattr(lineage_graphs, name)()
    snapshot(f"{name}.svg", lineage_svg(graph))
    snapshot(f"{name}.dot", lineage_dot(graph))


def test_the_picture_is_deterministic():
    assert lineage_svg(lineage_graphs.flights()) == lineage_svg(lineage_graphs.flights())


def test_kinds_and_states_differ_without_colour():
    looks = {}
    dots = [lineage_dot(g()) for g in (lineage_graphs.flights, lineage_graphs.aged)]
    for line in "\n".join(dots).splitlines():
        if match := re.search(r'class="(kind[^"]*)"', line):
            shape = re.search(r"shape=(\w+)", line)[1]
            style = re.search(r'style="?([\w,]+)', line)[1]
            looks[match[1].replace(" root", "")] = (
                shape, "dashed" in style, "bold" in style, "peripheries=2" in line
            )  # fmt: skip
    assert len(looks) == 9
    alike = [v for v in looks.values() if list(looks.values()).count(v) > 1]
    assert alike == []


def test_a_node_says_what_it_is():
    root = assert_only_allowed(lineage_svg(lineage_graphs.flights()))
    said = [texts(g) for g in root.iter(f"{SVG}g") if "node" in g.get("class", "")]
    assert ["create_from_value", "flights [2]", "336,776 rows · alive"] in said
    assert ["read_parquet", "weather [2]", "26,115 rows · dropped"] in said
    assert ["filter", "late [5] · view"] in said
    assert ["to_pandas", "[12] · 16 rows"] in said
    assert ["copy", "[13] · failed"] in said
    assert ["foreign table", "shop.carriers", "alive"] in said


def test_edges_say_roles_that_are_not_simply_source():
    root = assert_only_allowed(lineage_svg(lineage_graphs.arrays()))
    edges = [texts(g) for g in root.iter(f"{SVG}g") if g.get("class") == "edge"]
    assert sorted(t[0].strip() for t in edges if t) == ["left", "right"]


def test_small_graphs_run_across_and_deep_ones_down():
    assert "rankdir=LR" in lineage_dot(lineage_graphs.arrays())
    assert "rankdir=TB" in lineage_dot(lineage_graphs.flights())


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text(text: str):
    dot = lineage_dot(hostile(text))
    for attribute in ("URL", "href", "tooltip", "target", "image", "shapefile"):
        assert not re.search(rf"\b{attribute}=", re.sub(r'"(\\.|[^"\\])*"', '""', dot))
    assert "=<" not in re.sub(r'"(\\.|[^"\\])*"', '""', dot), "an HTML-like label"
    assert_only_allowed(lineage_svg(hostile(text)))


@given(ANY_TEXT)
@settings(max_examples=150, deadline=None)
def test_any_text_comes_out_as_it_went_in(text: str):
    events = [lineage_graphs.event("view_x", f"o{text}o")]
    root = assert_only_allowed(lineage_svg(lineage_graphs.graph("view_x", events)))
    expected = shortened(visible(f"o{text}o"), LABEL_COLUMNS)
    assert texts(node(root, "n0"))[0].replace("\xa0", " ") == expected.replace("\xa0", " ")
    label = node(root, "n0").get("aria-label")
    assert label == f"{visible(f'o{text}o')}, view"


@given(ANY_TEXT, ANY_TEXT)
@settings(max_examples=60, deadline=None)
def test_any_name_and_role_makes_a_picture(name: str, role: str):
    events = [
        lineage_graphs.event("aai_t_1_a_1", "read_csv", variable_names=(name,), rows=3),
        lineage_graphs.event("view_x", "join", {role: "aai_t_1_a_1"}, execution_count=1),
    ]
    assert_only_allowed(lineage_svg(lineage_graphs.graph("view_x", events)))


INPUTS = st.dictionaries(st.sampled_from(["source", "left", "right", "x"]), st.integers(0, 11))


@given(st.lists(INPUTS, min_size=1, max_size=12))
@settings(max_examples=100, deadline=None)
def test_any_graph_is_drawn_whole(steps: list[dict[str, int]]):
    """Diamonds, self joins, inserts into an ancestor: cycles too."""
    events = [
        lineage_graphs.event(f"aai_t_1_a_{n}", "step", {r: f"aai_t_1_a_{i}" for r, i in s.items()})
        for n, s in enumerate(steps)
    ]
    graph = lineage_graphs.graph("aai_t_1_a_0", events)
    root = assert_only_allowed(lineage_svg(graph))
    groups = [g.get("class", "") for g in root.iter(f"{SVG}g")]
    assert sum("kind-" in c for c in groups) == len(graph.nodes)
    assert groups.count("edge") == len(graph.edges)


def test_the_cleaning_takes_out_what_is_not_allowed():
    dirty = """<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"
      onload="alert(1)" style="x" width="10pt"><script>1</script><style>*{}</style>
      <g id="n0" class="node"><a xlink:href="javascript:1"><text>x</text></a>
      <foreignObject><b>1</b></foreignObject><image href="http://evil/x.png"/>
      <use href="#n0"/><animate attributeName="href"/><path d="M0,0" fill="url(#x)"/>
      <set attributeName="onmouseover"/><text fill="http://evil" x="1">kept</text></g></svg>"""
    root = assert_only_allowed(cleaned(dirty, {}, "all"))
    assert [e.tag.removeprefix(SVG) for e in root.iter()] == ["svg", "g", "path", "text"]
    assert texts(root) == ["kept"]
    assert root.get("width") == "10"


def test_a_thousand_nodes_are_drawn_while_one_waits():
    graph = lineage_graphs.chain(1000)
    lineage_svg(lineage_graphs.arrays())  # Graphviz is loaded
    started = time.perf_counter()
    root = assert_only_allowed(lineage_svg(graph))
    took_s = time.perf_counter() - started
    assert sum("kind-" in g.get("class", "") for g in root.iter(f"{SVG}g")) == 1000
    assert took_s < 10, f"{took_s:.1f} s"


def test_a_table_that_every_step_uses_is_referred_to():
    tables = ["aai_t_1_a_1", *(f"view_{n}" for n in range(80))]
    events = [lineage_graphs.event(tables[0], "read_csv", variable_names=("base",))]
    for before, table in itertools.pairwise(tables):
        inputs = {"left": before, "right": tables[0]}
        events.append(lineage_graphs.event(table, "join", inputs))
    started = time.perf_counter()
    root = assert_only_allowed(lineage_svg(lineage_graphs.graph(tables[-1], events)))
    assert time.perf_counter() - started < 5  # 30 s without references
    references = [g for g in root.iter(f"{SVG}g") if "of-n0" in g.get("class", "").split()]
    assert len(references) > 60
    assert {t for g in references for t in texts(g)} == {"↑ base"}


def test_too_many_nodes_are_refused_with_a_way_out():
    with pytest.raises(PictureError, match="--depth"):
        lineage_dot(lineage_graphs.chain(MAX_NODES + 1))


def test_a_way_too_long_for_graphviz_is_said_in_a_line():
    with pytest.raises(PictureError, match=r"too long for Graphviz; ask for a smaller --depth$"):
        lineage_svg(lineage_graphs.chain(2000))
    assert "<svg" in lineage_svg(lineage_graphs.arrays())
