"""What this host's processes count and time, for Prometheus.

Each process writes into files of its own in one folder (sheets.py); whoever is asked for the
figures adds up those of all processes, the dead ones' too. Which series there are stands in
series.py.
"""
