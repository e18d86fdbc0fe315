"""Spark at work on a table that Weir fills: rows of its own, which have negative ids, and compactions.

usage: spark_meanwhile.py CATALOG WAREHOUSE TABLE ROUNDS    (S3 by WEIR_S3_ENDPOINT and the AWS_ variables)
Prints how many of its writes and compactions landed; those that lost a race are not tried again.
"""

import sys

from spark_session import spark_session


def tried(call):
    try:
        call()
        return 1
    except Exception as error:  # a lost race, whatever class Spark wraps it in
        if "Commit" not in str(error) and "conflict" not in str(error).lower():
            raise
        return 0


def main():
    catalog, warehouse, table, rounds = sys.argv[1:]
    session = spark_session(catalog, warehouse)
    written = compacted = 0
    for number in range(1, int(rounds) + 1):
        row = f"INSERT INTO weir.{table} SELECT -{number}, 'spark', 0.5D, _source_file FROM weir.{table} LIMIT 1"
        written += tried(lambda: session.sql(row))
        call = f"call weir.system.rewrite_data_files(table => '{table}', options => map('rewrite-all', 'true'))"
        compacted += tried(lambda: session.sql(call).collect())
    print(written, compacted)


if __name__ == "__main__":
    main()
