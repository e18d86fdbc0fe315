"""Compacts tables of a sqlite catalog by Spark's own procedure: the foreign writer that Weir must step over.

usage: spark_compact.py CATALOG.db WAREHOUSE TABLE...    (S3 by WEIR_S3_ENDPOINT and the AWS_ variables)
Prints one line a table: TABLE rewritten files, added files.
"""

import sys

from spark_session import spark_session


def main():
    catalog, warehouse, *tables = sys.argv[1:]
    session = spark_session(catalog, warehouse)
    for table in tables:
        answer = session.sql(
            f"call weir.system.rewrite_data_files(table => '{table}', options => map('rewrite-all', 'true'))"
        )
        row = answer.collect()[0]
        print(table, row["rewritten_data_files_count"], row["added_data_files_count"])


if __name__ == "__main__":
    main()
