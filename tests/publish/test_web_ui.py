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

SITE = "http://localhost"
BAD = {"message": "the peak is odd", "field": "peak_tps", "expected": "", "nearest": ""}


class Locust:
    """Locust's app as far as the guard is concerned: an index, a start, and CORS for everyone."""

    def __init__(self, folder: Path, token: str = "", login: web_ui.Login = lambda view: view) -> None:
        self.started: list[dict[str, str]] = []
        self.asked: list[tuple[str, float]] = []
        self.app = flask.Flask(__name__)
        CORS(self.app)
        locust = flask.Blueprint("locust", __name__)
        locust.add_url_rule("/", "index", lambda: "<html><body>form</body></html>")
        locust.add_url_rule("/swarm", "swarm", self.swarm, methods=["POST"])
        locust.add_url_rule("/stop", "stop", lambda: "stopped", methods=["POST"])
        self.app.register_blueprint(locust)
        web_ui.install(
            self.app,
            prefix="",
            view=self.view,
            check_start=lambda form: BAD if form.get("peak_tps") == "odd" else None,
            own_fields=["basket_size"],
            reports=lambda: {"run-1": folder},
            login=login,
            token=token,
        )

    def swarm(self) -> flask.Response:
        self.started.append(dict(flask.request.form))
        return flask.jsonify({"success": True})

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


def test_locusts_page_leads_to_ours(client: FlaskClient) -> None:
    assert 'href="/peak/"' in client.get("/").get_data(as_text=True)


def test_our_page_runs_no_script_but_its_own(client: FlaskClient) -> None:
    answer = client.get("/peak")
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
    assert {client.get(path).status_code for path in ("/peak/", "/peak/live", "/peak/assets/peak.js")} == {
        302
    }
    assert client.get("/peak/health").status_code == 200
