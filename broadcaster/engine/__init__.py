"""The engine carries out what the store holds: it claims deliveries, calls adapters, retries, and writes outcomes.

It never imports the service: the two meet in the store only.
"""
