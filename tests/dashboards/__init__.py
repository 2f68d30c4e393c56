"""
The dashboards as code: what they show, the JSON for Grafana, and pictures of them.
"""
