"""A script's own arguments may be called as ours, and are told of where ours are needed."""

import pytest
from locust.argument_parser import LocustArgumentParser

from loadtest.plugin.options import add_options
from loadtest.plugin.same_names import NOT_READ, Names


@pytest.fixture
def parser() -> LocustArgumentParser:
    parser = LocustArgumentParser()
    parser.add_argument("--users", type=int)
    add_options(parser, None)
    return parser


def test_a_script_gets_the_name_that_it_asks_for(parser: LocustArgumentParser) -> None:
    names = Names(parser)
    assert names.taken() == ""
    parser.add_argument("--duration", type=int, default=7)
    parser.add_argument_group("of a shop").add_argument("--seed", type=int, default=42)
    options = parser.parse_args(["--duration", "9"])
    assert (options.duration, options.seed) == (9, 42)
    assert names.taken().startswith("--duration, --seed: the script adds what is an option already")
    assert names.taken(but=NOT_READ) == ""


def test_names_that_are_needed_all_the_same_are_told(parser: LocustArgumentParser) -> None:
    names = Names(parser)
    parser.add_argument("--users")
    parser.add_argument("--console", "--verbosely", action="store_true")
    assert names.taken(but=NOT_READ).startswith("--users, --console: ")


def test_arguments_of_other_names_are_nobodys_business(parser: LocustArgumentParser) -> None:
    names = Names(parser)
    parser.add_argument("-o", "--basket-size", type=int, default=3)
    assert names.taken() == ""
