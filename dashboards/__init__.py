"""Grafana dashboards as code: described once, generated as JSON, run against a real Prometheus, drawn as SVG."""
