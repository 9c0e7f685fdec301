"""The use cases, one file per verb group: who may say what, what it becomes, and what is kept of it.

It never imports the engine: the two meet in the store only.
"""
