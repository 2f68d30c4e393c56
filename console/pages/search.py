"""
Search: what became of an SMS, by number, message id, SMS id or label.
"""

from time import monotonic
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from console.pages.site import Look, Site
from console.safety.masking import masked_number
from console.tables.clickhouse import Row, Rows
from console.tables.messages import kind_of, may_be_id, spellings

_MOST: Final = 200


class SearchPage:
    """The page of search, and of its results."""

    def __init__(self, site: Site) -> None:
        self._site = site

    async def __call__(self, request: Request) -> Response:
        """Show the field, and the messages that were found, or these as CSV."""
        asked = request.query_params.get("q", "").strip()[:_MOST]
        look = self._site.look(request, "search")
        if not asked:
            return self._site.page(
                look, "search.html", "search", asked="", shown="", found=None, kind="", took=0, count=0
            )
        began = monotonic()
        kind, found = await self._found(look, asked)
        took = round((monotonic() - began) * 1000)
        if request.query_params.get("csv") == "messages":
            cells = (self._cells(look, row) for row in found or [])
            # One of several questions may have had no answer.
            missing = None if found else next(iter(look.troubles.values()), None)
            return self._site.sheet("messages", _HEADS, cells, missing)
        return self._site.page(
            look,
            "search.html",
            "search",
            asked=asked,
            shown=asked if look.unmasked or kind != "number" else masked_number("".join(asked.split())) or asked,
            found=found,
            kind=kind,
            took=took,
            count=await look.part("count", self._site.sources.messages.count()) or 0,
        )

    async def _found(self, look: Look, asked: str) -> tuple[str, Rows | None]:
        """Return the kind of the question, and the messages found; a text that is no id is a label."""
        messages, kind = self._site.sources.messages, kind_of(asked)
        if kind == "number":
            found = await look.part("search", messages.to_number(spellings(asked)))
        elif kind == "id":
            found = await look.part("search", messages.of_id(asked))
        else:
            found = await look.part("search", messages.labelled(asked))
        if found == [] and kind == "number" and may_be_id(asked):
            with_id = await look.part("with id", messages.of_id(asked))
            if with_id:  # its beginning is of digits only
                return "id", with_id
        if found == [] and kind != "label":  # a label may be of digits, or look like an id
            labelled = await look.part("labelled", messages.labelled(asked))
            return ("label", labelled) if labelled else (kind, found)
        return kind, found

    def _cells(self, look: Look, row: Row) -> list[object]:
        return [
            row["first_seen"],
            row["message_status"] or row["status"],
            look.words(row["campaign_name"]),
            look.number(row["recipient"]),
            look.words(row["sender"]),
            row["country"],
            row["operator"],
            row["seen"],
            row["parts"],
            row["final_at"],
            row["detailed_status"],
            row["price"],
            row["message_id"],
        ]


_HEADS: Final = (
    *("First seen (UTC)", "Status", "Campaign", "Recipient", "Sender", "Country", "Operator", "Parts seen", "Parts"),
    *("Final at (UTC)", "Reason", "Price", "Message id"),
)
