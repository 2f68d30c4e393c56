"""
NetworkPolicies as Kubernetes reads them: a pod that any of them selects may do only things that one of them allows.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

OUTSIDE: Final = ""
"""Stands for the namespace of everything outside of the cluster, which policies know by its address."""

_OPPOSITE: Final = {"Ingress": "from", "Egress": "to"}


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod by what policies know of it: its namespace, the labels of both."""

    namespace: str
    labels: Mapping[str, str]
    namespace_labels: Mapping[str, str]


def pod(name: str, namespace: str, *, labels: Mapping[str, str] | None = None, of_namespace: bool = False) -> Pod:
    """Return a pod with its usual labels, and with others; with `of_namespace` its namespace has these others, too."""
    own = {"kubernetes.io/metadata.name": namespace}
    return Pod(
        namespace,
        {"app.kubernetes.io/name": name, **(labels or {})},
        own | (dict(labels or {}) if of_namespace else {}),
    )


class Policies:
    """The policies of one namespace."""

    def __init__(self, namespace: str, policies: Iterable[dict[str, Any]]) -> None:
        self._namespace = namespace
        self._policies = [policy["spec"] for policy in policies]

    def let_out(self, source: Pod, target: Pod, port: int, protocol: str = "TCP") -> bool:
        """Return whether a pod of the namespace may begin this connection."""
        return self._passes("Egress", source, target, port, protocol)

    def let_in(self, source: Pod, target: Pod, port: int, protocol: str = "TCP") -> bool:
        """Return whether a pod of the namespace takes this connection."""
        return self._passes("Ingress", target, source, port, protocol)

    def _passes(self, direction: str, here: Pod, peer: Pod, port: int, protocol: str) -> bool:
        selecting = [
            spec
            for spec in self._policies
            if direction in spec["policyTypes"] and _selects(spec["podSelector"], here.labels)
        ]
        rules = [rule for spec in selecting for rule in spec.get(direction.lower(), ())]
        return not selecting or any(
            any(self._is_peer(each, peer) for each in rule[_OPPOSITE[direction]])
            and any(_has_port(each, port, protocol) for each in rule["ports"])
            for rule in rules
        )

    def _is_peer(self, rule: dict[str, Any], peer: Pod) -> bool:
        if "ipBlock" in rule:
            return peer.namespace == OUTSIDE
        if "namespaceSelector" in rule:
            in_namespace = _selects(rule["namespaceSelector"], peer.namespace_labels)
        else:
            in_namespace = peer.namespace == self._namespace
        return in_namespace and _selects(rule.get("podSelector", {}), peer.labels)


def _has_port(rule: dict[str, Any], port: int, protocol: str) -> bool:
    return bool(rule["protocol"] == protocol and rule["port"] <= port <= rule.get("endPort", rule["port"]))


def _selects(selector: dict[str, Any], labels: Mapping[str, str]) -> bool:
    return all(labels.get(name) == value for name, value in selector.get("matchLabels", {}).items()) and all(
        labels.get(each["key"]) in each["values"] for each in selector.get("matchExpressions", ())
    )
