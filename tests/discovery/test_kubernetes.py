"""Rollouts, on a double that answers like an API server."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.discovery.conftest import Beats
from watchdog.discovery.changes import Change, State
from watchdog.discovery.kinds import Sought
from watchdog.discovery.kubernetes import KIND, KubernetesDiscoverer, tag_of, version_of
from watchdog.discovery.releases import release_of
from watchdog.discovery.watch import Watch
from watchdog.model.time import SECOND
from watchdog.ports.errors import TargetError
from watchdog.ports.kinds import Duration
from watchdog.ports.secrets import KnownSecret
from watchdog.servers.process import free_port
from watchdog.targets import kubernetes
from watchdog.targets.http import MAX_BODY
from watchdog.targets.kubernetes import KubernetesOptions, KubernetesTarget


@dataclass
class Cluster:
    """Deployments of the namespace `shop`, by name.

    Attributes:
        says: A status and body for everything, in place of the deployments.
    """

    deployments: dict[str, dict[str, Any]] = field(default_factory=dict)
    forbidden: set[str] = field(default_factory=set)
    says: tuple[int, bytes] | None = None
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    token: str = "let-me-in"
    url: str = ""

    def rolled_out(self, name: str, tag: str, revision: int, **status: int) -> None:
        """A deployment of two pods, whose rollout is over unless the status says otherwise."""
        over = {"observedGeneration": revision, "replicas": 2, "updatedReplicas": 2}
        self.deployments[name] = {
            "metadata": {
                "name": name,
                "generation": revision,
                "annotations": {"deployment.kubernetes.io/revision": str(revision)},
            },
            "spec": {
                "replicas": 2,
                "template": {"spec": {"containers": [{"image": f"registry:5000/shop/{name}:{tag}"}]}},
            },
            "status": over | status,
        }

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append((request.method, request.path, request.headers.get("Authorization", "")))
        name = request.match_info["name"]
        if self.says is not None:
            return web.Response(status=self.says[0], body=self.says[1])
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return web.json_response({"kind": "Status", "code": 401, "message": "Unauthorized"}, status=401)
        if name in self.forbidden:
            return web.json_response({"kind": "Status", "code": 403, "reason": "Forbidden"}, status=403)
        if name not in self.deployments:
            return web.json_response({"kind": "Status", "code": 404, "reason": "NotFound"}, status=404)
        return web.json_response({"kind": "Deployment", "apiVersion": "apps/v1", **self.deployments[name]})


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    made = Cluster()
    app = web.Application()
    app.router.add_get("/apis/apps/v1/namespaces/shop/deployments/{name}", made.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


@pytest.fixture
async def target(cluster: Cluster) -> AsyncIterator[KubernetesTarget]:
    options = KubernetesOptions(url=cluster.url, token=KnownSecret("let-me-in\n"), namespace="shop")
    made = KubernetesTarget("cluster", options)
    yield made
    await made.close()


@pytest.fixture
def watch(target: KubernetesTarget, clock: Beats) -> Watch:
    return Watch(KIND.build(target, clock, Sought(deployments=("api", "worker"))))


async def test_a_rollout_is_under_way_until_every_pod_is_new_and_gives_the_versions_of_the_code(
    cluster: Cluster, watch: Watch
) -> None:
    cluster.rolled_out("api", "v1", 1)
    cluster.rolled_out("worker", "w1", 4)
    assert await watch.look() == ()
    assert await watch.look() == ()
    cluster.rolled_out("api", "v2", 2, observedGeneration=1)
    [begun] = await watch.look()
    assert (begun.tool, begun.place, begun.change) == ("kubernetes", "shop/api", Change.BEGUN)
    assert (begun.since, begun.at) == (2 * SECOND, 3 * SECOND)
    found = release_of([begun], "found-1")
    assert found is not None
    assert (found.migrations, found.old_version, found.new_version) == ((), "v1", "v2")
    assert watch.last is not None
    assert not watch.last.is_quiet
    for status in ({"updatedReplicas": 1, "replicas": 3}, {"updatedReplicas": 2, "replicas": 3}):
        cluster.rolled_out("api", "v2", 2, **status)
        assert await watch.look() == ()
        assert not watch.last.is_quiet
    cluster.rolled_out("api", "v2", 2)
    [over] = await watch.look()
    assert over.change is Change.APPLIED
    assert watch.last.is_quiet


async def test_scaling_is_no_rollout(cluster: Cluster, watch: Watch) -> None:
    cluster.rolled_out("api", "v1", 1)
    cluster.rolled_out("worker", "w1", 4)
    await watch.look()
    scaled = cluster.deployments["api"]
    scaled["metadata"]["generation"], scaled["spec"]["replicas"] = 2, 5
    assert await watch.look() == ()
    assert watch.last is not None
    assert watch.last.is_quiet
    scaled["status"] |= {"observedGeneration": 2, "replicas": 5, "updatedReplicas": 5}
    assert await watch.look() == ()


async def test_a_rollout_that_is_stuck_has_failed(cluster: Cluster, watch: Watch) -> None:
    cluster.rolled_out("api", "v1", 1)
    cluster.rolled_out("worker", "w1", 4)
    await watch.look()
    cluster.rolled_out("api", "v2", 2, updatedReplicas=1)
    cluster.deployments["api"]["status"]["conditions"] = [
        {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}
    ]
    [failed] = await watch.look()
    assert (failed.change, failed.versions, failed.gone) == (Change.FAILED, ("v2",), ("v1",))


async def test_only_what_is_named_is_asked_for_with_the_token(cluster: Cluster, watch: Watch) -> None:
    cluster.rolled_out("api", "v1", 1)
    cluster.rolled_out("worker", "w1", 1)
    await watch.look()
    at = "/apis/apps/v1/namespaces/shop/deployments"
    assert cluster.asked == [("GET", f"{at}/{name}", "Bearer let-me-in") for name in ("api", "worker")]


async def test_what_is_forbidden_or_not_there_is_named_and_hides_nothing_else(cluster: Cluster, watch: Watch) -> None:
    cluster.rolled_out("api", "v1", 1)
    cluster.forbidden.add("worker")
    await watch.look()
    assert "forbids to `get` deployments.apps worker in namespace shop (403)" in watch.unread["shop/worker"]
    assert "must allow the verb `get`" in watch.unread["shop/worker"]
    cluster.rolled_out("api", "v2", 2)
    assert [one.versions for one in await watch.look()] == [("v2",)]
    cluster.forbidden.clear()
    await watch.look()
    assert "has no deployments.apps worker in namespace shop (404)" in watch.unread["shop/worker"]
    cluster.rolled_out("worker", "w1", 1)
    assert await watch.look() == (), "what can be read now may have stood there for years"


async def test_a_token_that_is_not_taken_is_said_with_what_it_was_for(cluster: Cluster, watch: Watch) -> None:
    cluster.token = "another"
    with pytest.raises(TargetError, match=r"does not take the token \(401\) to `get` deployments.apps api") as refused:
        await watch.look()
    assert "let-me-in" not in str(refused.value)


@pytest.mark.parametrize(
    ("says", "error", "retryable"),
    [
        ((200, b"<html>"), "what is no JSON", False),
        ((200, b"[" * 100_000), "what is no JSON", False),
        ((200, b"{}"), "what is no Deployment", False),
        ((200, b"[]"), "what is no Deployment", False),
        ((200, b'{"metadata": {}, "spec": {"template": {"spec": {"containers": []}}}}'), "no Deployment", False),
        ((200, b"x" * (MAX_BODY + 1)), "more than", False),
        ((503, b""), "answers 503", True),
        ((429, b""), "answers 429", True),
        ((302, b""), "answers 302", False),
    ],
)
async def test_an_answer_that_makes_no_sense_is_an_error_of_the_target(
    cluster: Cluster, watch: Watch, says: tuple[int, bytes], error: str, *, retryable: bool
) -> None:
    cluster.says = says
    with pytest.raises(TargetError, match=error) as raised:
        await watch.look()
    assert raised.value.retryable is retryable


async def test_a_server_that_is_away_or_silent_is_an_error_in_time(clock: Beats) -> None:
    options = KubernetesOptions(url=f"http://127.0.0.1:{free_port()}", token=KnownSecret("t"))
    gone = KubernetesTarget("cluster", options)
    with pytest.raises(TargetError, match="does not answer"):
        await KubernetesDiscoverer(gone, clock, ("api",)).read()
    await gone.close()


async def test_a_silent_server_is_given_up(clock: Beats) -> None:
    held = asyncio.Event()

    async def hold(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await held.wait()
        writer.close()

    async with await asyncio.start_server(hold, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        timeout = Duration(SECOND // 10)
        silent = KubernetesTarget("cluster", KubernetesOptions(url=url, token=KnownSecret("t"), timeout=timeout))
        with pytest.raises(TargetError, match="broke off"):
            await KubernetesDiscoverer(silent, clock, ("api",)).read()
        await silent.close()
        held.set()


async def test_certificates_that_cannot_be_read_are_named(tmp_path: Path, clock: Beats) -> None:
    for path in (tmp_path / "none.crt", tmp_path / "empty.crt"):
        if path.name == "empty.crt":
            path.write_text("")
        options = KubernetesOptions(url="https://127.0.0.1:1", token=KnownSecret("t"), ca=str(path))
        target = KubernetesTarget("cluster", options)
        with pytest.raises(TargetError, match=f"cannot be read from {path}"):
            await KubernetesDiscoverer(target, clock, ("api",)).read()
        await target.close()


@pytest.mark.parametrize(
    ("image", "tag"),
    [
        ("shop/api:v2", "v2"),
        ("registry:5000/shop/api", "latest"),
        ("registry:5000/shop/api:1.2.3", "1.2.3"),
        ("api", "latest"),
        ("shop/api@sha256:0123456789abcdef0123", "sha256:0123456789ab"),
        ("shop/api:v2@sha256:0123456789abcdef0123", "v2"),
    ],
)
def test_the_version_is_the_images_tag(image: str, tag: str) -> None:
    assert tag_of(image) == tag


def test_without_a_revision_the_generation_tells_rollouts_apart() -> None:
    bare = json.loads(
        '{"metadata": {"generation": 7}, "spec": {"template": {"spec": {"containers": [{"image": "api:v1"}]}}}}'
    )
    version = version_of("shop/api", bare)
    assert (version.key, version.state) == ("generation 7", State.BEGUN)
    done = bare | {"status": {"observedGeneration": 7, "updatedReplicas": 1, "replicas": 1}}
    assert version_of("shop/api", done).state is State.APPLIED


@pytest.mark.parametrize(
    ("url", "namespace", "complaint"),
    [
        ("https://10.0.0.1:6443", "shop", None),
        ("http://127.0.0.1:8001", "shop", None),
        ("http://10.0.0.1:8001", "shop", "url: would send the token in the clear"),
        ("10.0.0.1", "shop", "url: is no address"),
        ("https://10.0.0.1", "Shop", "namespace: is no name"),
        ("https://10.0.0.1", "a/../../secrets", "namespace: is no name"),
    ],
)
def test_options_that_cannot_work_are_complained_of(url: str, namespace: str, complaint: str | None) -> None:
    options = KubernetesOptions(url=url, token=KnownSecret("t"), namespace=namespace)
    said = list(kubernetes.KIND.complaints(options))
    assert [one.startswith(complaint or "") for one in said] == ([True] if complaint else [])
