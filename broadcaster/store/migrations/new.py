"""Write the migration from the newest one to what tables.py says now, for a person to read and mend.

python broadcaster/store/migrations/new.py 0003 "Subscribers know their language" [NEW TABLES ONLY …]
"""

import sys
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine


def write(number: str, what: str, *tables: str) -> None:
    """Bring an empty database to the newest migration, compare it with the tables, write down the difference."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    with create_engine("sqlite://").begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        config.attributes["tables"] = tables
        command.revision(config, message=what, autogenerate=True, rev_id=number)


if __name__ == "__main__":
    write(*sys.argv[1:])
