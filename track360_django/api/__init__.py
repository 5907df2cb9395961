"""Track360 on the wire: payloads, products, currencies, client, transport, responses. Nothing here imports Django."""
