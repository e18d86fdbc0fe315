/* Every count or size that input can drive, by name. A number here is a promise in docs/limits.md.
 */
#ifndef WEIR_ENGINE_BASE_LIMITS_H
#define WEIR_ENGINE_BASE_LIMITS_H

#define WEIR_BATCH_ROWS 2048  /* rows a batch by default; a run-time value, tests force others */
#define WEIR_CHECK_ROWS 65536 /* rows or elements between two looks at whether to stop */
#define WEIR_RECORD_SIZE_MAX                                                                       \
    (64u << 20) /* bytes of one JSON record; beyond: refused as too_large */
#define WEIR_JSON_DEPTH_MAX           128   /* nesting of a record, known or unknown keys alike */
#define WEIR_CSV_HEADER_SIZE_MAX      (256u << 10) /* bytes of the names at the top of a CSV file */
#define WEIR_SCHEMA_DEPTH_MAX         32    /* nesting of declared types */
#define WEIR_SCHEMA_FIELDS_MAX        10000 /* leaves and inner fields together */
#define WEIR_EVOLVED_FIELDS_MAX       1000 /* fields of a table that unknown_fields: evolve adds to */
#define WEIR_BATCH_BYTES_MAX          (1u << 30) /* bytes of one string vector: int32 offsets must hold */
#define WEIR_LIST_ELEMENTS_MAX        (256u << 20) /* elements of one list vector */
#define WEIR_FIXED_SIZE_MAX           (1u << 20)   /* bytes of one fixed(L) value */
#define WEIR_NAME_SIZE_MAX            255          /* bytes of a table, column or source name */
#define WEIR_PIPELINE_FILE_SIZE_MAX   (4u << 20)   /* bytes of a pipeline file after merging */
#define WEIR_EXPRESSION_SIZE_MAX      (64u << 10)  /* bytes of one SQL expression */
#define WEIR_EXPRESSION_OPERATORS_MAX 5000         /* libpg_query recurses: see libs.md */
#define WEIR_SQL_ROUNDS_MAX           100000       /* rounds of WITH RECURSIVE */
#define WEIR_SQL_SIZE_MAX             (256 << 10)  /* bytes of one SQL statement */
#define WEIR_SQL_VIEW_DEPTH_MAX       32           /* views within views */
#define WEIR_SQL_OPERATORS_MAX        8000 /* words and operators of one: libpg_query recurses */
#define WEIR_METADATA_SIZE_MAX                                                                     \
    (512u << 20)                        /* bytes of a metadata.json, manifest list or manifest */
#define WEIR_AVRO_DEPTH_MAX       64    /* nesting of Avro schemas and values */
#define WEIR_AVRO_TYPES_MAX       20000 /* types of one Avro schema */
#define WEIR_AVRO_SCHEMA_SIZE_MAX (1u << 20) /* bytes of the schema that records are written with */
#define WEIR_SCHEMA_REFERENCES_MAX 100 /* schemas of a registry that one refers to */
#define WEIR_AVRO_FREE_VALUES_MAX (1u << 16) /* Avro values of a file that take no bytes of it */
#define WEIR_TENANTS_MAX          1000       /* lakes of one pipeline file */
#define WEIR_PARTITIONS_OPEN_MAX  1024       /* partition values one window may write */
#define WEIR_ANCESTRY_MAX         1000000    /* snapshots walked back before a loop is assumed */
#define WEIR_OBJECT_NAME_MAX                                                                       \
    1023 /* bytes of an object's name below its store's root; S3 has 1,024 */
#define WEIR_FOLDER_DEPTH_MAX     64       /* folders below each other that a listing walks into */
#define WEIR_LIST_OBJECTS_MAX     10000000 /* objects of one file source listing */
#define WEIR_HTTP_HEADER_SIZE_MAX (64u << 10) /* bytes of all headers of one HTTP answer */
#define WEIR_PARQUET_PAGE_VALUES_MAX                                                               \
    (64u << 20) /* levels of one Parquet page that is read: a few bytes can claim many */
#define WEIR_PARQUET_PAGE_SIZE_MAX (1u << 30) /* decoded bytes of one Parquet page that is read */

/* Between the two passes in which files that nothing reaches are deleted; protocol.md 8. */
#define WEIR_SWEEP_GRACE_MS 259200000LL
/* How exactly the age of refused rows is kept: a file of them goes when its youngest may. */
#define WEIR_QUARANTINE_STEP_MS 3600000LL

#endif
