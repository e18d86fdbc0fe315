"""Reads tables by Spark and leaves their rows as plain Parquet for judge.py.

usage: spark_read.py FOLDER NAME=METADATA_LOCATION...    each to FOLDER/NAME
"""

import sys

from spark_session import spark_session


def main():
    folder, *wanted = sys.argv[1:]
    # A catalog of its own: Spark then opens locations by Iceberg's file access, which knows s3://, and not by Hadoop's.
    session = spark_session(f"{folder}/scratch.db", f"{folder}/scratch")
    session.sql("create namespace weir.judged")
    for each in wanted:
        name, location = each.split("=", 1)
        session.sql(
            f"call weir.system.register_table(table => 'judged.t{name}', metadata_file => '{location}')"
        )
        session.table(f"weir.judged.t{name}").write.parquet(f"{folder}/{name}")


if __name__ == "__main__":
    main()
