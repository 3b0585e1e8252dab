"""Our options on Locust's command line and in its form."""

from argparse import Namespace

import pytest
from locust.argument_parser import LocustArgumentParser, setup_parser_arguments

from loadtest.configuration.config_error import ConfigError
from loadtest.configuration.run_config import RunConfig
from loadtest.plan.plan_file import shipped_plans
from loadtest.plugin.options import add_options, config_of, sources_of


@pytest.fixture
def parser() -> LocustArgumentParser:
    made = LocustArgumentParser()
    add_options(made, "smoke")
    return made


def options(parser: LocustArgumentParser, *flags: str) -> Namespace:
    parsed: Namespace = parser.parse_args(list(flags))
    return parsed


def from_form(parser: LocustArgumentParser, given: Namespace, form: dict[str, str]) -> RunConfig:
    every = Namespace(**vars(locusts_own()) | vars(given))
    return config_of(every, sources_of(parser, given), form)


def locusts_own() -> Namespace:
    own = LocustArgumentParser()
    setup_parser_arguments(own)
    parsed: Namespace = own.parse_args([])
    return parsed


def test_the_form_offers_the_shipped_plans_as_a_list(parser: LocustArgumentParser) -> None:
    choices = parser.args_included_in_web_ui["plan"].choices
    assert list(choices) == shipped_plans()


def test_the_command_line_takes_a_file_besides(parser: LocustArgumentParser) -> None:
    assert options(parser, "--plan", "mine.toml").plan == "mine.toml"


def test_the_form_shows_what_a_run_is_made_of_and_no_secret(parser: LocustArgumentParser) -> None:
    assert set(parser.args_included_in_web_ui) - {"help"} == {
        "plan",
        "peak_tps",
        "duration",
        "time_scale",
        "seed",
    }


def test_the_forms_fields_win_over_the_command_line_and_empty_ones_mean_the_plans_own(
    parser: LocustArgumentParser,
) -> None:
    given = options(parser, "--peak-tps", "70")
    assert from_form(parser, given, {"peak_tps": "30", "plan": "step"}).plan.peak_tps == 30
    assert from_form(parser, given, {"peak_tps": ""}).plan.peak_tps == 50
    assert given.peak_tps == "70"


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"plan": "smoek"}, 'unknown plan "smoek" (did you mean smoke?)'),
        ({"peak_tps": "lots"}, "--peak-tps: expected a number above 0, got 'lots'"),
        ({"peak_tps": "-1"}, "--peak-tps: expected a number above 0"),
        ({"duration": "soon"}, "--duration: "),
        ({"time_scale": "0"}, "--time-scale: expected a number above 0"),
        ({"seed": "1.5"}, "--seed: expected a whole number"),
    ],
)
def test_a_bad_field_is_named_with_what_was_expected(
    parser: LocustArgumentParser, form: dict[str, str], message: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        from_form(parser, options(parser), form)
    assert message in str(refused.value)
    assert refused.value.field in form
