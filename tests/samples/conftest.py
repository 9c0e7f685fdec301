"""The samples are packages of their own: their tests run where they are installed, not here."""

collect_ignore_glob = ["*/tests/*"]
