"""The suites in test/, run against this shop, and judged."""
