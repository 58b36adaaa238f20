"""What Kubernetes says about rollouts that nobody announced."""

from collections.abc import Mapping
from typing import Any, Final, cast
from urllib.parse import quote

from watchdog.discovery.changes import KUBERNETES, Reading, State, Version
from watchdog.discovery.kinds import DiscovererKind, Sought
from watchdog.ports.clock import Clock
from watchdog.ports.errors import TargetError
from watchdog.ports.kinds import Target
from watchdog.targets.kubernetes import AbsentError, ForbiddenError, KubernetesTarget

REVISION: Final = "deployment.kubernetes.io/revision"
"""The annotation that counts the rollouts of a deployment; scaling it leaves the number as it is."""

DIGEST: Final = 19
"""How much of an image's digest is shown: `sha256:` and 12 digits."""


class KubernetesDiscoverer:
    """Reads deployments of one namespace, each by its name, so that the verb `get` on those is all that it needs."""

    def __init__(self, target: KubernetesTarget, clock: Clock, deployments: tuple[str, ...]) -> None:
        self._target = target
        self._clock = clock
        self._deployments = deployments

    async def read(self) -> Reading:
        """One look.

        Raises:
            TargetError: The server cannot be reached, does not take the token, or makes no sense.
        """
        versions: set[Version] = set()
        unread: dict[str, str] = {}
        for name in self._deployments:
            place = f"{self._target.namespace}/{name}"
            path = f"/apis/apps/v1/namespaces/{self._target.namespace}/deployments/{quote(name, safe='')}"
            try:
                versions.add(self._version(place, await self._target.get(path, f"deployments.apps {name}")))
            except (ForbiddenError, AbsentError) as error:
                unread[place] = str(error)
        return Reading(self._clock.now(), frozenset(versions), unread=unread)

    def _version(self, place: str, said: Any) -> Version:
        try:
            return version_of(place, said)
        except (LookupError, TypeError, ValueError, AttributeError):
            raise TargetError(f"{self._target.place} answers for {place} with what is no Deployment.") from None


def version_of(place: str, deployment: Mapping[str, Any]) -> Version:
    """Where a deployment stands.

    Raises:
        LookupError, TypeError, ValueError, AttributeError: It is none.
    """
    metadata, spec = deployment["metadata"], deployment["spec"]
    image = str(spec["template"]["spec"]["containers"][0]["image"])
    revision = (metadata.get("annotations") or {}).get(REVISION) or f"generation {int(metadata['generation'])}"
    return Version(KUBERNETES, place, str(revision), tag_of(image), _state(deployment), heads=True)


def tag_of(image: str) -> str:
    """The tag of an image, the beginning of its digest when it has none, or what is taken without either."""
    name, _, digest = image.partition("@")
    _, colon, tag = name.rpartition("/")[2].partition(":")
    return tag if colon else digest[:DIGEST] or "latest"


def _state(deployment: Mapping[str, Any]) -> State:
    """Over when the controller has seen the newest template, every pod is of it, and none of an older one is left."""
    status = deployment.get("status") or {}
    wanted = int(deployment["spec"].get("replicas", 1))
    updated = int(status.get("updatedReplicas") or 0)
    seen = int(status.get("observedGeneration") or 0) >= int(deployment["metadata"]["generation"])
    if seen and updated >= wanted and int(status.get("replicas") or 0) <= updated:
        return State.APPLIED
    reasons = (one.get("reason") for one in status.get("conditions") or ())
    return State.FAILED if seen and "ProgressDeadlineExceeded" in reasons else State.BEGUN


def _build(target: Target, clock: Clock, sought: Sought) -> KubernetesDiscoverer:
    return KubernetesDiscoverer(cast("KubernetesTarget", target), clock, sought.deployments)


KIND = DiscovererKind(_build, takes="deployments", needed=True)
