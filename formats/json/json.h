/* JSON records to columns, with no tree in between. RFC 8259, strict; semantics in README.md.
 *
 * A decoder is compiled from a schema once and used by one thread at a time; make one per worker.
 */
#ifndef WEIR_FORMATS_JSON_JSON_H
#define WEIR_FORMATS_JSON_JSON_H

#include "engine/base/context.h"
#include "engine/vec/decode.h"

enum weir_unknown_fields {
    WEIR_UNKNOWN_IGNORE,
    WEIR_UNKNOWN_QUARANTINE, /* refuse the record */
    WEIR_UNKNOWN_EVOLVE,     /* remember what was seen: weir_json_evolved */
    WEIR_UNKNOWN_MARK,       /* say which records have some: weir_json_marks */
};
enum weir_time_unit {
    WEIR_TIME_ISO,
    WEIR_TIME_SECONDS,
    WEIR_TIME_MILLIS,
    WEIR_TIME_MICROS,
    WEIR_TIME_NANOS
};

struct weir_json_options {
    enum weir_unknown_fields unknown_fields;
    /* Per field id (pairs): a time column whose numbers carry this unit. */
    const struct weir_json_time {
        int32_t field_id;
        enum weir_time_unit unit;
    } * times;
    size_t time_count;
};

struct weir_json_decoder;

/* `schema` (a STRUCT with ids) must outlive the decoder. */
weir_status weir_json_decoder_new(struct weir_account *account, const struct weir_type *schema,
                                  const struct weir_json_options *options,
                                  struct weir_json_decoder **ret_decoder,
                                  struct weir_error *reterr) WEIR_MUST_CHECK;
void weir_json_decoder_free(struct weir_json_decoder *decoder); /* NULL-safe */

/* Decodes records[0..count) into one batch. Never fails for what a record holds: that is a refusal.
 * Fails for memory (NO_MEMORY), or USAGE if the records together are more than 512 MiB: columns
 * must stay within int32 offsets. Records need no padding and no NUL. Everything returned lives in
 * `arena`; nothing points into the records. */
weir_status weir_json_decode(struct weir_json_decoder *decoder, const struct weir_bytes *records,
                             uint32_t count, struct weir_arena *arena,
                             struct weir_decoded *ret_decoded,
                             struct weir_error *reterr) WEIR_MUST_CHECK;

/* With EVOLVE: the schema that all of these decoders were made for, with the fields they have seen
 * that it lacks: without ids, behind the others, at every level. Their types hold what was seen:
 * boolean, long (decimal(38,0) beyond 64 bits), double, string, struct, list, map; where kinds of
 * values exclude each other, that of most values. A field that was only null or empty is left out.
 * Does not depend on how the records were dealt out to decoders, but for the order of the new
 * fields. What the decoders saw is gathered in the first. `count` at least 1; lives in `arena`. */
weir_status weir_json_evolved(struct weir_json_decoder *const *decoders, size_t count,
                              struct weir_arena *arena, struct weir_type *ret_type,
                              struct weir_error *reterr) WEIR_MUST_CHECK;

/* With MARK: records of the last decode that became rows and have fields that the schema lacks,
 * with more in them than null and nothing; in the arena of that decode, in order. */
struct weir_json_mark {
    uint32_t record, position; /* of the first such field's name */
    const char *name;          /* as it may be shown */
};
const struct weir_json_mark *weir_json_marks(const struct weir_json_decoder *decoder,
                                             size_t *ret_count);

/* Infers a schema from sample records (`weir init --from`): types that hold every value seen,
 * required where never missing or null, ISO times and UUIDs recognised, objects with more than 64
 * different keys become maps. USAGE if a record is not an object. */
weir_status weir_json_infer(struct weir_arena *arena, const struct weir_bytes *records,
                            size_t count, struct weir_type *ret_schema,
                            struct weir_error *reterr) WEIR_MUST_CHECK;

/* Rows back to JSON (query -o ndjson, tests): one object per row with '\n'. Binary as base64,
 * decimals as numbers. */
weir_status weir_json_write_rows(const struct weir_batch *batch, struct weir_buffer *out,
                                 struct weir_error *reterr) WEIR_MUST_CHECK;

#endif
