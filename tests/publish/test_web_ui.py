"""The guard in front of Locust's web UI, and the page's routes, on a bare app that stands for Locust's."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import flask
import pytest
from flask.testing import FlaskClient
from flask_cors import CORS

from loadtest.publish import web_ui
from loadtest.publish.live import Live
from loadtest.publish.series import Sheet
from loadtest.publish.start_page import PlanChoice, Preview, StartPage

HOSTILE = "<script>alert('x')</script>"
SITE = "http://localhost"
BAD = {"message": "the peak is odd", "field": "peak_tps", "expected": "", "nearest": ""}


class Locust:
    """Locust's app as far as the guard is concerned: an index, a start, and CORS for everyone."""

    def __init__(self, folder: Path, token: str = "", login: web_ui.Login = lambda view: view) -> None:
        self.started: list[dict[str, str]] = []
        self.asked: list[tuple[str, float]] = []
        self.previewed: list[dict[str, str]] = []
        self.app = flask.Flask(__name__)
        CORS(self.app)
        locust = flask.Blueprint("locust", __name__)
        locust.add_url_rule("/", "index", lambda: "<html><head></head><body>form</body></html>")
        locust.add_url_rule("/swarm", "swarm", self.swarm, methods=["POST"])
        locust.add_url_rule("/stop", "stop", lambda: "stopped", methods=["POST"])
        self.app.register_blueprint(locust)
        web_ui.install(
            self.app,
            prefix="",
            views=web_ui.Views(
                live=self.view,
                state=lambda: "idle",
                endpoint=lambda name: Sheet(end_s=1) if name == "GET /" else None,
                reports=lambda: {"run-1": folder},
                start=lambda: StartPage(
                    plans=[PlanChoice(name="smoke", description=HOSTILE)], values={"host": HOSTILE}
                ),
                preview=self.preview,
            ),
            check_start=lambda form: BAD if form.get("peak_tps") == "odd" else None,
            own_fields=["basket_size"],
            login=login,
            token=token,
        )

    def swarm(self) -> flask.Response:
        self.started.append(dict(flask.request.form))
        return flask.jsonify({"success": True})

    def preview(self, form: Mapping[str, str]) -> Preview:
        self.previewed.append(dict(form))
        return Preview(effects={"seed": "none"})

    def view(self, run_id: str, since_s: float) -> Live:
        self.asked.append((run_id, since_s))
        return Live(state="idle")


@pytest.fixture
def locust(tmp_path: Path) -> Locust:
    (tmp_path / "report.html").write_text("<p>a report</p>")
    return Locust(tmp_path)


@pytest.fixture
def client(locust: Locust) -> FlaskClient:
    return locust.app.test_client()


def post(client: FlaskClient, form: Mapping[str, str], **headers: str) -> Any:
    return client.post("/swarm", data=form, headers=headers)


def test_a_good_start_reaches_locust(client: FlaskClient, locust: Locust) -> None:
    assert post(client, {"plan": "smoke", "user_count": "0"}).json == {"success": True}
    assert locust.started == [{"plan": "smoke", "user_count": "0"}]


@pytest.mark.parametrize("kind", ["application/json", "text/plain", ""])
def test_a_start_whose_body_is_no_form_starts_nothing(client: FlaskClient, locust: Locust, kind: str) -> None:
    said: Any = client.post("/swarm", data=b'{"plan": "smoke"}', content_type=kind).json
    assert (said["success"], locust.started) == (False, [])
    assert "the fields of the form" in said["message"]


def test_a_start_without_any_field_plays_what_was_configured(client: FlaskClient, locust: Locust) -> None:
    assert client.post("/swarm").json == {"success": True}
    assert locust.started == [{}]


def test_an_argument_of_the_scripts_own_reaches_locust(client: FlaskClient, locust: Locust) -> None:
    assert post(client, {"plan": "smoke", "basket_size": "7"}).json == {"success": True}
    assert locust.started == [{"plan": "smoke", "basket_size": "7"}]


def test_a_bad_start_is_answered_with_its_reason_and_never_reaches_locust(
    client: FlaskClient, locust: Locust
) -> None:
    assert post(client, {"peak_tps": "odd"}).json == {"success": False, **BAD}
    assert locust.started == []


@pytest.mark.parametrize("field", ["allow_host", "out", "run_dir", "singlesday_plan", "web_token"])
def test_options_that_the_form_does_not_show_cannot_be_set(
    client: FlaskClient, locust: Locust, field: str
) -> None:
    answer = post(client, {"plan": "smoke", field: "x"}).json
    assert (answer["success"], answer["field"]) == (False, field)
    assert answer["message"] == f"{field}: is not a field of this form"
    assert locust.started == []


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://localhost:1234", "https://localhost.evil"]
)
def test_a_start_from_another_site_is_refused(client: FlaskClient, locust: Locust, origin: str) -> None:
    assert post(client, {"plan": "smoke"}, Origin=origin).status_code == 403
    assert client.post("/stop", headers={"Origin": origin}).status_code == 403
    assert locust.started == []


def test_a_start_from_our_own_page_is_let_through(client: FlaskClient) -> None:
    assert post(client, {"plan": "smoke"}, Origin=SITE).status_code == 200


def test_another_sites_name_pointed_at_this_machine_gets_nothing(client: FlaskClient) -> None:
    for path in ("/", "/peak/", "/peak/live", "/peak/runs/run-1/report.html"):
        assert client.get(path, headers={"Host": "evil.example"}).status_code == 421


def test_no_answer_is_offered_to_other_origins(client: FlaskClient) -> None:
    answer = client.get("/", headers={"Origin": "http://evil.example"})
    assert not [name for name, _ in answer.headers if name.startswith("Access-Control-")]


def test_the_root_is_our_start_page_and_locusts_own_is_a_click_away_and_leads_back(
    client: FlaskClient,
) -> None:
    text = client.get("/").get_data(as_text=True)
    assert 'id="start"' in text
    assert 'href="/peak/locust"' in text
    assert HOSTILE not in text
    locust = client.get("/peak/locust").get_data(as_text=True)
    assert locust.startswith('<html><head><base href="/">')
    assert "form" in locust
    assert 'href="/peak/"' in locust


def test_a_preview_is_made_of_the_forms_fields_and_starts_nothing(
    client: FlaskClient, locust: Locust
) -> None:
    answer = client.post("/peak/preview", data={"plan": "smoke"})
    assert answer.get_json()["effects"] == {"seed": "none"}
    assert (locust.previewed, locust.started) == ([{"plan": "smoke"}], [])
    assert client.post("/peak/preview", headers={"Origin": "http://evil.example"}).status_code == 403


def test_an_endpoint_has_charts_or_is_unknown(client: FlaskClient) -> None:
    assert client.get("/peak/endpoint?name=GET /").get_json()["end_s"] == 1
    assert client.get("/peak/endpoint?name=GET /other").status_code == 404


@pytest.mark.parametrize("path", ["/", "/peak"])
def test_our_pages_run_no_script_but_their_own(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
    text = answer.get_data(as_text=True)
    assert "<script>" not in text
    assert " style=" not in text
    for name in web_ui.ASSETS:
        assert client.get(f"/peak/assets/{name}").status_code == 200
    assert client.get("/peak/assets/report.js").status_code == 404


def test_the_page_asks_for_what_it_does_not_know_yet(client: FlaskClient, locust: Locust) -> None:
    assert client.get("/peak/live?run=run-1&since=12.5").get_json()["state"] == "idle"
    client.get("/peak/live?since=nonsense")
    assert locust.asked == [("run-1", 12.5), ("", 0.0)]


def test_only_reports_of_this_sessions_runs_are_served(client: FlaskClient) -> None:
    assert client.get("/peak/runs/run-1/report.html").get_data(as_text=True) == "<p>a report</p>"
    for path in ("/peak/runs/run-2/report.html", "/peak/runs/../report.html", "/peak/runs/run-1/result.json"):
        assert client.get(path).status_code == 404


def test_with_a_token_nobody_gets_anything_without_it(tmp_path: Path) -> None:
    client = Locust(tmp_path, token="secret").app.test_client()
    assert client.get("/").status_code == 401
    assert client.get("/", auth=("anyone", "wrong")).status_code == 401
    assert client.get("/", auth=("anyone", "secret"), headers={"Host": "load.example"}).status_code == 200
    assert client.get("/peak/health").status_code == 200


def test_with_locusts_own_login_our_pages_are_behind_it_too(tmp_path: Path) -> None:
    def login(_: object) -> Callable[[], flask.Response]:
        return lambda: flask.Response("log in first", 302)

    client = Locust(tmp_path, login=login).app.test_client()
    assert {
        client.get(path).status_code
        for path in ("/", "/peak/", "/peak/live", "/peak/assets/live.js", "/peak/locust")
    } == {302}
    assert client.get("/peak/health").status_code == 200
