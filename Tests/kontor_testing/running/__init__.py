"""The processes that tests start: one server, Redis, the gateway, and whole deployments of them."""
