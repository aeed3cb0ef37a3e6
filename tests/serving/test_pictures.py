"""Pictures in, classes, maps and overlays out: as :class:`ExplainedSession` says them."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest
from served_models import images, picture
from services import model_address

from onnx_reciprocam.runtime import read_image

if TYPE_CHECKING:
    from services import Service

    from onnx_reciprocam import ExplainedSession

TYPES = {".png": "image/png", ".jpg": "image/jpeg", ".webp": "image/webp"}
PREDICTED = ("first", "second", "switch", "static", "best", "coupled")


def ask(service: Service, name: str, verb: str, **how: Any) -> httpx.Response:
    return httpx.post(model_address(service, name, verb), timeout=60, **how)


def as_json(*seeds: int, **parameters: Any) -> dict[str, Any]:
    instances = [{"b64": base64.b64encode(picture(seed)).decode()} for seed in seeds]
    return {"instances": instances, "parameters": parameters}


def check_maps(explained: dict[str, Any], session: ExplainedSession, sent: bytes, **how: Any) -> None:
    want = session.explain_image(sent, **how)
    ranked = want.ranked()
    assert [each["class_id"] for each in explained["maps"]] == want.classes[0, ranked].tolist()
    got = np.array([each["saliency"] for each in explained["maps"]], np.float32)
    np.testing.assert_allclose(got, want.saliency[0, ranked], rtol=0, atol=1e-6)
    assert [each["flat"] for each in explained["maps"]] == [False] * len(ranked)
    assert list(explained["region"].values()) == list(want.views[0].region)
    assert [explained["picture"][side] for side in ("height", "width")] == list(want.views[0].picture.shape[:2])


def check_classes(answer: dict[str, Any], session: ExplainedSession, sent: bytes, **how: Any) -> None:
    want = session.explain_image(sent, **how).top()
    assert [(each["class_id"], each["label"]) for each in answer["classes"]] == [each[:2] for each in want]
    np.testing.assert_allclose([each["score"] for each in answer["classes"]], [each.score for each in want], rtol=1e-5)


@pytest.mark.parametrize("ending", TYPES)
@pytest.mark.parametrize("name", PREDICTED)
def test_a_picture_as_it_is(service: Service, sessions: dict[str, ExplainedSession], name: str, ending: str) -> None:
    sent = picture(1, ending)
    headers = {"content-type": TYPES[ending]}
    predicted = ask(service, name, "predict", content=sent, headers=headers).json()
    explained = ask(service, name, "explain", content=sent, headers=headers).json()
    check_classes(predicted["predictions"][0], sessions[name], sent)
    assert "explanations" not in predicted
    assert explained["predictions"] == predicted["predictions"]
    check_maps(explained["explanations"][0], sessions[name], sent)


@pytest.mark.parametrize("name", PREDICTED)
def test_pictures_as_base64(service: Service, sessions: dict[str, ExplainedSession], name: str) -> None:
    answer = ask(service, name, "explain", json=as_json(1, 2, 3)).json()
    for i, seed in enumerate((1, 2, 3)):
        check_classes(answer["predictions"][i], sessions[name], picture(seed))
        check_maps(answer["explanations"][i], sessions[name], picture(seed))


def test_arrays_as_nested_lists(service: Service, sessions: dict[str, ExplainedSession]) -> None:
    batch = images(2)
    answer = ask(service, "first", "explain", json={"instances": batch.tolist()}).json()
    want = sessions["first"](batch)
    got = np.array([each["maps"][0]["saliency"] for each in answer["explanations"]], np.float32)
    np.testing.assert_allclose(got, want.saliency[:, 0], rtol=0, atol=1e-6)
    assert "region" not in answer["explanations"][0]


@pytest.mark.parametrize(
    "accept", ["image/png", "image/*", "application/json;q=0.5, image/png", "text/html, image/png"]
)
def test_an_overlay(service: Service, sessions: dict[str, ExplainedSession], accept: str) -> None:
    answer = ask(service, "first", "explain", content=picture(4), headers={"accept": accept})
    assert answer.headers["content-type"] == "image/png"
    np.testing.assert_array_equal(read_image(answer.content), sessions["first"].explain_image(picture(4)).overlay())


def test_the_overlay_of_another_rank(service: Service, sessions: dict[str, ExplainedSession]) -> None:
    headers = {"accept": "image/png"}
    answer = ask(service, "best", "explain", content=picture(4), headers=headers, params={"rank": 2})
    np.testing.assert_array_equal(
        read_image(answer.content), sessions["best"].explain_image(picture(4)).overlay(rank=2)
    )
    missing = ask(service, "best", "explain", content=picture(4), headers=headers, params={"rank": 3})
    assert (missing.status_code, missing.json()["error"]) == (
        400,
        "input 'rank': there is no map 3; each image has 3.",
    )


@pytest.mark.parametrize("accept", ["*/*", "application/json", "image/png;q=0, application/json", "text/html"])
def test_json_where_it_is_as_welcome(service: Service, accept: str) -> None:
    answer = ask(service, "first", "explain", content=picture(4), headers={"accept": accept})
    assert answer.headers["content-type"] == "application/json"


def test_classes_of_the_callers_choice(service: Service, sessions: dict[str, ExplainedSession]) -> None:
    sent = picture(5)
    by_query = ask(service, "asked", "explain", content=sent, params={"class_ids": "3,1"}).json()
    by_body = ask(service, "asked", "explain", json=as_json(5, class_ids=[3, 1])).json()
    assert by_query == by_body
    check_maps(by_body["explanations"][0], sessions["asked"], sent, class_ids=[3, 1])
    none = ask(service, "asked", "explain", content=sent)
    assert none.status_code == 400
    assert "hand class_ids" in none.json()["error"]
    predicted = ask(service, "asked", "predict", content=sent).json()
    check_classes(predicted["predictions"][0], sessions["asked"], sent, class_ids=[0])


def test_top_says_how_many_classes(service: Service) -> None:
    assert len(ask(service, "first", "predict", json=as_json(1, top=2)).json()["predictions"][0]["classes"]) == 2
    assert (
        len(ask(service, "first", "predict", content=picture(), params={"top": 3}).json()["predictions"][0]["classes"])
        == 3
    )


def test_the_switch_is_off_for_predictions(service: Service) -> None:
    before = service.metric("reciprocam_maps_total", model="switch")
    ask(service, "switch", "predict", content=picture())
    assert service.metric("reciprocam_maps_total", model="switch") == before
    ask(service, "switch", "explain", content=picture())
    assert service.metric("reciprocam_maps_total", model="switch") == before + 1


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"content": b"no picture"}, "the picture: not a JPEG, PNG or WebP picture"),
        ({"content": picture()[:300]}, "the picture: the picture is truncated"),
        ({"content": b""}, "the picture: not a JPEG, PNG or WebP picture"),
        ({"content": b"{", "headers": {"content-type": "application/json"}}, "the body is no JSON"),
        ({"json": []}, "the body is JSON, but no object"),
        ({"json": {}}, "JSON without a picture"),
        ({"json": {"instances": []}}, "JSON without a picture"),
        ({"json": {"instances": [{"b64": "?"}]}}, "no base64"),
        ({"json": {"instances": [7]}}, "an instance is"),
        ({"json": {"instances": [[1, [2]]]}}, "differ in length"),
        ({"json": {"instances": [["a"]]}}, "takes numbers"),
        ({"json": {"instances": [[1.0]]}}, "input 'image'"),
        ({"json": as_json(1, top=0)}, "parameter 'top' is '0'"),
        ({"json": as_json(1, top=True)}, "parameter 'top' is 'True'"),
        ({"json": as_json(1, class_ids=[])}, "parameter 'class_ids'"),
        ({"json": as_json(1, class_ids=["a"])}, "parameter 'class_ids' is 'a'"),
        ({"json": as_json(1, class_ids=[1])}, "rewrite the original with --classes input"),
        ({"json": {"instances": [""], "parameters": []}}, "'parameters' is an object"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(service: Service, how: dict[str, Any], says: str) -> None:
    answer = ask(service, "first", "explain", **how)
    assert answer.status_code == 400
    assert says in answer.json()["error"]
    assert "\n" not in answer.json()["error"]


def test_an_overlay_is_of_one_picture(service: Service) -> None:
    for body in (as_json(1, 2), {"instances": images(1).tolist()}):
        answer = ask(service, "first", "explain", json=body, headers={"accept": "image/png"})
        assert answer.status_code == 400
        assert "one picture" in answer.json()["error"]


def test_instances_of_different_shapes(service: Service) -> None:
    answer = ask(service, "first", "predict", json={"instances": [images(1)[0].tolist(), [[[1.0]]]]})
    assert answer.status_code == 400


def test_unknown_names(service: Service) -> None:
    answer = ask(service, "fisrt", "predict", content=picture())
    assert answer.status_code == 404
    assert "there is no model 'fisrt'; there are first, second" in answer.json()["error"]
    assert httpx.post(f"{service.url}/v1/models/first:guess").status_code == 405  # KServe has a model's health there
    assert httpx.post(f"{service.url}/v1/model/first").status_code == 404
