"""Our dashboards as Python: one file each, over `grafana.py`. `../make.py` writes the JSON that people import."""
