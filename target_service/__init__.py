"""The order service that the harness hammers by default: durable orders, honest stock, on aiohttp and SQLite.

Start at `supervisor` (processes), then `worker` (one process), `routes` (what it answers),
`orders`, `inventory` and `parcels` (the rules), and `store` (what survives a power cut).
"""
