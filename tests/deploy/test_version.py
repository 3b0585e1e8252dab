"""The release: one version wherever it is held, and a dated section of the changelog for it."""

import re
import tomllib

import pytest

from tests.target_service.service_process import ROOT

VERSION: str = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
MANIFESTS = [ROOT / "docker-compose.yml", *sorted((ROOT / "deploy").rglob("*.yaml"))]


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_manifest_runs_the_image_of_this_release(path: str) -> None:
    text = (ROOT / path).read_text()
    tags = re.findall(r"image: singlesday(?:-locust)?:(\S+)|newTag: (\S+)", text)
    assert {first or second for first, second in tags} <= {VERSION}


def test_the_changelog_has_a_dated_section_for_this_release_and_room_above_it() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert headings[0] == "[Unreleased]"
    assert re.fullmatch(rf"\[{re.escape(VERSION)}\] - \d{{4}}-\d\d-\d\d", headings[1])


def test_the_documentation_names_this_release_where_it_names_one() -> None:
    text = (ROOT / "docs" / "recipes.md").read_text()
    assert set(re.findall(r"singlesday:(\d\S*)", text)) == {VERSION}
