"""One Spark session for the judges: Iceberg's runtime, no network, little memory; the catalog is called `weir`."""

import os
import pathlib

from pyspark.sql import SparkSession

JARS = (
    pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    / "weir"
    / "spark"
    / "lib"
)


def spark_session(catalog, warehouse):
    """`catalog`: path of a sqlite catalog file, made when it is not there; or the http address of a REST catalog."""
    wanted = ("iceberg-spark-runtime", "iceberg-aws-bundle", "sqlite-jdbc")
    jars = ",".join(str(jar) for jar in JARS.glob("*.jar") if jar.name.startswith(wanted))
    settings = {
        "spark.jars": jars,
        "spark.driver.memory": "2g",
        "spark.ui.enabled": "false",
        "spark.sql.shuffle.partitions": "2",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.sql.session.timeZone": "UTC",
        "spark.driver.extraJavaOptions": "-Duser.timezone=UTC",
        "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
        "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
        "spark.sql.catalog.weir": "org.apache.iceberg.spark.SparkCatalog",
        "spark.sql.catalog.weir.warehouse": warehouse,
        **where(catalog),
        "spark.sql.catalog.weir.cache-enabled": "false",
        **s3("spark.sql.catalog.weir."),
    }
    builder = SparkSession.builder.master("local[2]").appName("weir-judge")
    for name, value in settings.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    return session


def where(catalog):
    prefix = "spark.sql.catalog.weir."
    if catalog.startswith("http"):
        return {prefix + "type": "rest", prefix + "uri": catalog}
    return {
        prefix + "type": "jdbc",
        prefix + "uri": f"jdbc:sqlite:{catalog}",
        prefix + "jdbc.schema-version": "V1",
    }


def s3(prefix):
    endpoint = os.environ.get("WEIR_S3_ENDPOINT")
    if not endpoint:
        return {}
    return {
        prefix + "io-impl": "org.apache.iceberg.aws.s3.S3FileIO",
        prefix + "s3.endpoint": endpoint,
        prefix + "s3.path-style-access": "true",
        prefix + "client.region": os.environ.get("AWS_REGION", "us-east-1"),
        prefix + "s3.access-key-id": os.environ["AWS_ACCESS_KEY_ID"],
        prefix + "s3.secret-access-key": os.environ["AWS_SECRET_ACCESS_KEY"],
    }
