/* Avro values to columns, with no tree in between: schema resolution of Avro 1.11 with the columns
 * as the reader's schema. Semantics in README.md.
 *
 * A plan is compiled once for each schema that records were written with; a decoder takes records
 * of any number of plans into one batch. */
#ifndef WEIR_FORMATS_AVRO_ROWS_H
#define WEIR_FORMATS_AVRO_ROWS_H

#include "engine/vec/decode.h"
#include "formats/avro/avro.h"

/* Time units of columns that long without a logical type is read into; the values are those of
 * enum weir_time_unit of formats/json. */
struct weir_avro_time {
    int32_t field_id;
    int unit; /* 1 seconds, 2 millis, 3 micros, 4 nanos */
};
/* Another name that a column may have in a writer's schema. */
struct weir_avro_alias {
    int32_t field_id;
    const char *name;
};
/* What a column holds of records whose schema lacks it: JSON, as in the reader's schema. One that
 * is no boolean, number or text, or not of the column's type, counts as none. */
struct weir_avro_default {
    int32_t field_id;
    const char *json;
};
struct weir_avro_plan_options {
    const struct weir_avro_time *times;
    size_t time_count;
    const struct weir_avro_alias *aliases;
    size_t alias_count;
    const struct weir_avro_default *defaults;
    size_t default_count;
};

/* Immutable; used by several threads at once. */
struct weir_avro_plan;

/* How values of `writer` become rows of `columns` (a STRUCT with ids). What the two do not agree on
 * is no error here: records that have such a value are refused. UNSUPPORTED: a schema of more than
 * WEIR_AVRO_TYPES_MAX types once each is counted where it is used. Lives in the arena; writer and
 * columns must outlive it. */
weir_status weir_avro_plan_make(struct weir_arena *arena, const struct weir_avro_type *writer,
                                const struct weir_type *columns,
                                const struct weir_avro_plan_options *options,
                                struct weir_avro_plan **ret_plan,
                                struct weir_error *reterr) WEIR_MUST_CHECK;
/* A field of the writer's that no column takes, at any level; NULL = none. */
const char *weir_avro_plan_unknown(const struct weir_avro_plan *plan);

/* The columns that records of this schema would need: a STRUCT without ids, everything optional.
 * Fields whose values have no one type (unions of several, types that hold themselves) are left
 * out. The names are the schema's. */
weir_status weir_avro_columns(struct weir_arena *arena, const struct weir_avro_type *writer,
                              struct weir_type *ret_type,
                              struct weir_error *reterr) WEIR_MUST_CHECK;

struct weir_avro_record {
    const struct weir_avro_plan *plan;
    struct weir_bytes bytes; /* one value, without framing */
};

struct weir_avro_rows;

/* `columns` must outlive it, and be that of the plans. One thread at a time. */
weir_status weir_avro_rows_new(struct weir_account *account, const struct weir_type *columns,
                               struct weir_avro_rows **ret_rows,
                               struct weir_error *reterr) WEIR_MUST_CHECK;
void weir_avro_rows_free(struct weir_avro_rows *rows); /* NULL-safe */

/* Decodes records[0..count) into one batch. Never fails for what a record holds: that is a refusal.
 * Fails for memory (NO_MEMORY), or USAGE if the records together are more than 512 MiB. Everything
 * returned lives in `arena`; nothing points into the records. */
weir_status weir_avro_rows_decode(struct weir_avro_rows *rows,
                                  const struct weir_avro_record *records, uint32_t count,
                                  struct weir_arena *arena, struct weir_decoded *ret_decoded,
                                  struct weir_error *reterr) WEIR_MUST_CHECK;

/* Where the value that begins at *position ends. CORRUPT: it has no end within the data, or is
 * none of this type. */
weir_status weir_avro_step(const struct weir_avro_type *type, const uint8_t *data, size_t size,
                           size_t *position, struct weir_error *reterr) WEIR_MUST_CHECK;

#endif
