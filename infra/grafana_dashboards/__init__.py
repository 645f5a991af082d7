"""The dashboards and alert rules of Grafana: ``python -m infra.grafana_dashboards`` writes the files of them."""
