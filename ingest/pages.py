"""
The pages of ingest, on a port of their own: strangers who may reach the port of callbacks read none of them.

With several workers each serves the one socket, and every worker answers for all: a frozen one takes no page away.
"""

from ingest.http.service import Service
from ingest.settings import IngestSettings
from streams.program.listening import Endpoint
from streams.program.pages import Pages, fine, trouble
from streams.program.vitals import Vitals


def pages(service: Service) -> Pages:
    """Return what the pages say."""
    vitals = Vitals("ingest", processes=service.metrics.processes)

    def metrics() -> bytes:
        service.tell_state()
        return service.metrics.render() + vitals.render()

    return Pages(
        live=lambda: fine("ok"),
        ready=lambda: trouble(why) if (why := service.trouble()) else fine("ok"),
        metrics=metrics,
    )


def endpoint(settings: IngestSettings) -> Endpoint:
    """Return where the pages are."""
    return Endpoint("INGEST_ADMIN", settings.ingest_admin_host, settings.ingest_admin_port)
