"""
The connections in the cluster: those of the pipeline are allowed, and no others.
"""

from itertools import product
from typing import Any, Final

import pytest

from tests.containers.manifests import resources, workloads
from tests.containers.network_policies import OUTSIDE, Pod, Policies, pod

_POLICIES: Final[list[dict[str, Any]]] = [each for each in resources() if each["kind"] == "NetworkPolicy"]
_READER: Final = {"routee-callbacks/reader": "yes"}
_OURS: Final = {
    name: pod(name, "routee")
    for name in ("ingest", "backfill", "streams", "sinks-clickhouse", "sinks-files", "console")
}
_OTHERS: Final = {
    "internet": pod("controller", "ingress-nginx"),
    "monitoring": pod("prometheus", "monitoring"),
    "reader": pod("dashboard", "shop", labels=_READER, of_namespace=True),
    "pod beside a reader": Pod("shop", {}, _READER),
    "pod that calls itself a reader": pod("dashboard", "other", labels=_READER),
    "stranger of the namespace": pod("anything", "routee"),
    "kafka": pod("kafka", "kafka"),
    "clickhouse": pod("clickhouse", "clickhouse"),
    "dns": pod("coredns", "kube-system", labels={"k8s-app": "kube-dns"}),
    "pod beside dns": pod("anything", "kube-system"),
    "routee": pod("routee", OUTSIDE),
}
_PODS: Final[dict[str, Pod]] = _OURS | _OTHERS
_PORTS: Final = {
    "ingest": (8080, 9101),
    "backfill": (9105,),
    "console": (8090, 9106),
    "streams": (6066, 9103),
    "sinks-clickhouse": (9102,),
    "sinks-files": (9102,),
    "kafka": (9092, 9093),
    "clickhouse": (8123, 8443, 9000),
    "dns": (53, 443),
    "pod beside dns": (53,),
    "routee": (80, 443),
    "pod beside a reader": (443, 6066),
    "stranger of the namespace": (443, 6066, 8080, 9101),
}
_NEEDED: Final = {
    ("internet", "ingest", 8080),
    ("streams", "streams", 6066),
    ("reader", "streams", 6066),
    ("monitoring", "ingest", 9101),
    ("monitoring", "backfill", 9105),
    ("internet", "console", 8090),
    ("monitoring", "console", 9106),
    ("console", "streams", 6066),
    ("console", "clickhouse", 8123),
    ("console", "clickhouse", 8443),
    ("console", "ingest", 9101),
    ("console", "sinks-clickhouse", 9102),
    ("console", "sinks-files", 9102),
    ("console", "streams", 9103),
    ("console", "backfill", 9105),
    ("backfill", "routee", 443),
    ("monitoring", "streams", 9103),
    ("monitoring", "sinks-clickhouse", 9102),
    ("monitoring", "sinks-files", 9102),
    *((name, "kafka", 9092) for name in _OURS),
    *((name, "dns", 53) for name in _OURS),
    ("sinks-clickhouse", "clickhouse", 8123),
    ("sinks-clickhouse", "clickhouse", 8443),
}


def let_out(policies: list[dict[str, Any]]) -> set[tuple[str, str, int]]:
    """Every connection that a pod of the namespace may begin."""
    judge = Policies("routee", policies)
    ours = [name for name, one in _PODS.items() if one.namespace == "routee"]
    return {
        (source, target, port)
        for source, target in product(ours, _PORTS)
        for port in _PORTS[target]
        if judge.let_out(_PODS[source], _PODS[target], port)
    }


def let_in(policies: list[dict[str, Any]]) -> set[tuple[str, str, int]]:
    """Every connection that a pod of the namespace takes."""
    judge = Policies("routee", policies)
    ours = [name for name, one in _PODS.items() if one.namespace == "routee"]
    return {
        (source, target, port)
        for source, target in product(_PODS, ours)
        for port in _PORTS[target]
        if judge.let_in(_PODS[source], _PODS[target], port)
    }


def test_what_the_pipeline_needs_is_let_out_and_nothing_else() -> None:
    assert let_out(_POLICIES) == {each for each in _NEEDED if each[0] in _OURS}


def test_what_the_pipeline_needs_is_let_in_and_nothing_else() -> None:
    assert let_in(_POLICIES) == {each for each in _NEEDED if each[1] in _OURS}


def test_names_are_looked_up_by_udp() -> None:
    assert Policies("routee", _POLICIES).let_out(_PODS["ingest"], _PODS["dns"], 53, "UDP")


@pytest.mark.parametrize("missing", _POLICIES, ids=[each["metadata"]["name"] for each in _POLICIES])
def test_no_policy_can_be_left_out(missing: dict[str, Any]) -> None:
    """Without the denial a pod that is not ours may do anything; without another one, something needed is closed."""
    others = [each for each in _POLICIES if each is not missing]
    assert (let_out(others), let_in(others)) != (let_out(_POLICIES), let_in(_POLICIES))


def test_every_workload_and_every_port_of_it_is_judged_here() -> None:
    found = {
        workload["metadata"]["name"]: tuple(
            port["containerPort"] for port in workload["spec"]["template"]["spec"]["containers"][0]["ports"]
        )
        for workload in workloads()
    }
    assert found == {name: _PORTS[name] for name in _OURS}
    for workload in workloads():
        labels = workload["spec"]["template"]["metadata"]["labels"]
        assert labels == dict(_OURS[workload["metadata"]["name"]].labels)
