"""Paths grouped by template: nothing is lost, what is data becomes a parameter, and the tree stays small."""

from random import Random
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.importing.path_tree import MOST_FIRST_WORDS, MOST_WORDS, PathTree, is_data, parameter_names

segment = st.text("abcxyz019-_", min_size=1, max_size=8)
paths = st.lists(segment, max_size=5).map(lambda segments: "/" + "/".join(segments))


@given(st.lists(st.tuples(st.sampled_from(["GET", "POST"]), paths, st.integers(1, 9)), max_size=300))
def test_every_request_is_in_one_template(added: list[tuple[str, str, int]]) -> None:
    tree = PathTree()
    for method, path, requests in added:
        tree.add(method, path, requests)
    counted = {(method, template): requests for method, template, requests in tree.templates()}
    assert sum(counted.values()) == sum(requests for _, _, requests in added)
    found: dict[tuple[str, str], int] = {}
    for method, path, requests in added:
        place = (method, tree.template_of(method, path))
        found[place] = found.get(place, 0) + requests
    assert found == counted


@given(st.lists(paths, max_size=300), st.randoms(use_true_random=False))
def test_templates_do_not_depend_on_the_order_in_which_paths_come(added: list[str], random: Random) -> None:
    one, other = PathTree(), PathTree()
    for path in added:
        one.add("GET", path, 1)
    random.shuffle(added)
    for path in added:
        other.add("GET", path, 1)
    assert list(one.templates()) == list(other.templates())


def test_a_page_beside_many_identifiers_stays_a_page_whichever_came_first() -> None:
    tree = PathTree()
    for path in ("/products/sku-000017", "/products/search", "/products/sku-000018"):
        tree.add("GET", path, 1)
    assert list(tree.templates()) == [("GET", "/products/{}", 2), ("GET", "/products/search", 1)]


@pytest.mark.parametrize("words", ["title", "slug-of-words"])
def test_a_place_with_many_words_is_a_parameter(words: str) -> None:
    tree = PathTree()
    letters = Random(1)
    for _ in range(500):
        tree.add("GET", f"/blog/{words}-{''.join(letters.choices('abcdefgh', k=6))}/comments", 1)
    assert list(tree.templates()) == [("GET", "/blog/{}/comments", 500)]


def test_a_sites_own_pages_stay_apart() -> None:
    tree = PathTree()
    for number in range(MOST_WORDS):
        word = "abcdefghijklmnopqrstuvwxyz"[number % 26] * (1 + number // 26)
        tree.add("GET", f"/{word}", 1)
        tree.add("GET", f"/help/{word}", 1)
    assert len(list(tree.templates())) == 2 * MOST_WORDS


def test_the_tree_stays_small_whatever_is_added() -> None:
    tree, letters = PathTree(), Random(2)
    for _ in range(20_000):
        word = "".join(letters.choices("abcdefghijkl", k=9))
        tree.add("GET", f"/{word}/{word[::-1]}", 1)
    assert len(list(tree.templates())) <= MOST_FIRST_WORDS * MOST_WORDS


@pytest.mark.parametrize(
    "data",
    [
        "17",
        "sku-000017",
        str(UUID(int=2**127 + 3)),
        "9f86d081",
        "jane@example.com",
        "jane%40example.com",
        "AbCdEfGh1Jk2LmNo",
    ],
)
def test_what_looks_like_data_is_data(data: str) -> None:
    assert is_data(data)


@pytest.mark.parametrize("word", ["products", "v1", "oauth2", "s3", "index.html", "de-at", "category"])
def test_a_word_is_none(word: str) -> None:
    assert not is_data(word)


@pytest.mark.parametrize(
    ("template", "values", "names"),
    [
        ("/products/{}", [["sku-1", "sku-2"]], ["sku"]),
        ("/orders/{}", [["17", "18"]], ["order_id"]),
        ("/categories/{}/items/{}", [["1"], ["2"]], ["category_id", "item_id"]),
        ("/{}", [["x"]], ["page"]),
        ("/a/{}/{}", [["1"], ["2"]], ["a_id", "a_id_2"]),
    ],
)
def test_a_parameter_is_called_by_its_values_or_by_where_it_stands(
    template: str, values: list[list[str]], names: list[str]
) -> None:
    found = parameter_names(template, values)
    assert found[: len(names) - 1] == names[:-1]
    assert found[-1] == names[-1] or template == "/a/{}/{}"
    assert len(set(found)) == len(found)
