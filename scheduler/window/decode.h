/* Records of a run to a batch, in the format of their source; what is kept of a refused one.
 * Private to the room: ingest.c calls it, decode.c (JSON) and decode_*.c are behind it.
 *
 * A decoder belongs to one slot, and is used by one thread at a time. */
#ifndef WEIR_SCHEDULER_WINDOW_DECODE_H
#define WEIR_SCHEDULER_WINDOW_DECODE_H

#include "engine/vec/decode.h"
#include "formats/avro/rows.h"
#include "formats/csv/csv.h"
#include "scheduler/window/ingest.h"

/* ---- what the records of one file have in common ---- */

enum layout_cast { /* from the type in a Parquet file to the column's; what does not fit is refused
                    */
                   CAST_NONE,
                   CAST_NARROW, /* long to int */
                   CAST_FLOAT,  /* double to float, rounded */
                   CAST_AS_UTC, /* timestamp to timestamptz */
                   CAST_UNIT,   /* whole numbers of the column's `unit` to a time */
};

/* Made by the file's reader, used by all slots; lives until the file's runs are flushed. */
struct weir_layout {
    uint64_t number;     /* of the layout: a decoder made for another one is made anew */
    const char *unknown; /* a field that no column takes, as it may be shown; NULL = none */
    /* CSV */
    struct weir_csv_dialect dialect;
    uint32_t *fields;         /* by column */
    struct weir_bytes header; /* the record of names; empty without one */
    /* Parquet */
    struct weir_type wanted; /* what is read, column by column */
    struct weir_type names;  /* the same, with the names that the file has */
    enum layout_cast *casts; /* by column */
    int *units;              /* by column: enum weir_time_unit of formats/json */
    /* Parquet, Avro: the file's own columns, as they would be declared */
    const struct weir_type *found;
    /* Avro */
    const struct weir_avro_plan *plan;
    struct weir_bytes schema; /* text */
};

/* The layout of a CSV file of this header (data NULL: the source's files have none). DECISION: a
 * column's name is there twice; CORRUPT: no header. */
weir_status layout_csv(struct weir_arena *arena, const struct weir_table_config *table,
                       const struct weir_type *columns, struct weir_bytes header,
                       struct weir_layout *ret_layout, struct weir_error *reterr) WEIR_MUST_CHECK;
void layout_dialect(const struct weir_source_config *source, struct weir_csv_dialect *ret_dialect);

/* The layout of a Parquet file with these columns. DECISION: a column is of a type that the table's
 * cannot be read from. */
weir_status layout_parquet(struct weir_arena *arena, const struct weir_table_config *table,
                           const struct weir_type *columns, const struct weir_type *file,
                           struct weir_layout *ret_layout,
                           struct weir_error *reterr) WEIR_MUST_CHECK;

/* The layout of records of this Avro schema. CORRUPT: it is none. UNSUPPORTED. The text is copied.
 */
weir_status layout_avro(struct weir_arena *arena, const struct weir_table_config *table,
                        const struct weir_type *columns, struct weir_bytes schema, bool of_last,
                        struct weir_layout *ret_layout, struct weir_error *reterr) WEIR_MUST_CHECK;

/* ---- decoders ---- */

struct schemas;

struct decode_options {
    struct weir_account *account;
    const struct weir_table_config *table;
    const struct weir_type *columns; /* a STRUCT with ids */
    struct schemas *schemas;         /* of Avro records of Kafka; NULL: none */
};

/* The records of a run that have a value. */
struct decode_input {
    const struct weir_run *run;
    const struct weir_bytes *raw;
    const uint32_t *record; /* raw[i] is run->records[record[i]] */
    uint32_t count;
};

struct decoder;

/* A record that became a row and has a field that no column takes. */
struct decode_mark {
    uint32_t input, position;
    const char *name;
};

struct decoder_operations {
    weir_status (*decode)(struct decoder *decoder, const struct decode_input *input,
                          struct weir_arena *arena, struct weir_decoded *ret_decoded,
                          struct weir_error *reterr);
    /* unknown_fields: evolve. Of the last decode, ascending; in its arena. May be NULL. */
    weir_status (*marks)(struct decoder *decoder, const struct decode_input *input,
                         const struct weir_decoded *decoded, struct weir_arena *arena,
                         const struct decode_mark **ret_marks, size_t *ret_count,
                         struct weir_error *reterr);
    /* Remembers the fields of these records. */
    weir_status (*find)(struct decoder *decoder, const struct decode_input *input,
                        struct weir_arena *arena, struct weir_error *reterr);
    /* The columns with all that these decoders found behind them. */
    weir_status (*evolved)(struct decoder *const *decoders, size_t count, struct weir_arena *arena,
                           struct weir_type *ret_type, struct weir_error *reterr);
    /* Bytes from which one record alone can be decoded again; NULL: as it came. */
    weir_status (*letter)(struct decoder *decoder, const struct weir_run *run, uint32_t record,
                          struct weir_arena *arena, struct weir_bytes *ret_raw,
                          struct weir_error *reterr);
    void (*free)(struct decoder *decoder);
};

struct decoder {
    const struct decoder_operations *operations;
    struct decode_options options;
    bool found; /* find was called */
};

/* Of the format of the table's source. */
weir_status decoder_new(const struct decode_options *options, struct decoder **ret_decoder,
                        struct weir_error *reterr) WEIR_MUST_CHECK;
void decoder_free(struct decoder *decoder); /* NULL-safe */

/* The formats. */
weir_status decoder_json(const struct decode_options *options, struct decoder **ret_decoder,
                         struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status decoder_csv(const struct decode_options *options, struct decoder **ret_decoder,
                        struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status decoder_parquet(const struct decode_options *options, struct decoder **ret_decoder,
                            struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status decoder_avro(const struct decode_options *options, struct decoder **ret_decoder,
                         struct weir_error *reterr) WEIR_MUST_CHECK;

/* Every record refused as unknown_field: the file has a field that no column takes. */
weir_status decode_refuse_all(const struct decode_input *input, const struct weir_type *columns,
                              const char *unknown, struct weir_arena *arena,
                              struct weir_decoded *ret_decoded,
                              struct weir_error *reterr) WEIR_MUST_CHECK;

/* The column whose other name this is; NULL = none. */
const struct weir_field *decode_aliased(const struct weir_table_config *table,
                                        const struct weir_type *columns, const char *name);
/* enum weir_time_unit of a column's `unit`; WEIR_TIME_ISO without one. */
int decode_unit(const struct weir_table_config *table, const char *path);

/* Fields that the second struct has and the first lacks, at every level, go behind the first's;
 * a type that holds both where they differ, else one of them, whichever comes first. */
weir_status decode_unite(struct weir_arena *arena, struct weir_type *into,
                         const struct weir_type *from, struct weir_error *reterr) WEIR_MUST_CHECK;
/* As columns that are found are declared: without ids, optional, whole numbers long. */
void decode_loosen(struct weir_type *type);
/* The first field, at any level, that `type` has and `columns` lack; NULL = none. */
const char *decode_unknown(const struct weir_type *columns, const struct weir_type *type);

#endif
