"""A shop that is asked by GraphQL. What goes wrong stands in an answer of status 200, as GraphQL has it.

Started by `python examples/graphql/server.py PORT`.
"""

import sys

from aiohttp import web
from graphql import build_schema, graphql_sync

SCHEMA = build_schema("""
    type Product { sku: String!, cents: Int! }
    type Query { product(sku: String!): Product }
    type Mutation { order(sku: String!): ID }
""")


class Shop:
    """The resolvers of the schema's fields."""

    def product(self, _: object, sku: str) -> dict[str, object]:
        """One product; not every name is one's."""
        if not sku.startswith("sku-"):
            raise LookupError(f"there is no {sku}")
        return {"sku": sku, "cents": 1999}

    def order(self, _: object, sku: str) -> str:
        """The id of a new order."""
        return f"order of {sku}"


async def ask(request: web.Request) -> web.Response:
    """Answer one query."""
    asked = await request.json()
    answer = graphql_sync(SCHEMA, asked["query"], Shop(), variable_values=asked.get("variables"))
    return web.json_response(answer.formatted)


if __name__ == "__main__":
    app = web.Application()
    app.router.add_post("/graphql", ask)
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None)
