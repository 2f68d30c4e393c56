"""
The bill of materials of Kafka's jars; `make sbom` checks its form.
"""

from sandbox.jars import locked_jars
from sandbox.sbom import bill


def test_it_lists_every_locked_jar_with_its_digest() -> None:
    jars = locked_jars()
    components = bill(jars)["components"]
    assert [each["hashes"] for each in components] == [[{"alg": "SHA-256", "content": jar.sha256}] for jar in jars]
    assert [f"{each['group']}:{each['name']}:{each['version']}" for each in components] == [
        jar.coordinates for jar in jars
    ]


def test_scanners_know_a_jar_by_its_package_url() -> None:
    purls = {each["purl"] for each in bill(locked_jars())["components"]}
    assert "pkg:maven/at.yawk.lz4/lz4-java@1.11.2?type=jar" in purls
    assert len(purls) == len(locked_jars())
