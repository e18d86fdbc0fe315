/* JSON records to columns, with no tree in between. RFC 8259, strict; semantics in README.md.
 *
 * A decoder is compiled from a schema once and used by one thread at a time; make one per worker.
 */
#ifndef WEIR_FORMATS_JSON_JSON_H
#define WEIR_FORMATS_JSON_JSON_H

#include "engine/base/context.h"
#include "engine/vec/decode.h"

enum weir_unknown_fields { WEIR_UNKNOWN_IGNORE, WEIR_UNKNOWN_QUARANTINE, WEIR_UNKNOWN_EVOLVE };
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

/* With EVOLVE: fields seen so far that the schema lacks, with the type they suggest (dotted path of
 * the parent, name, type); in first-seen order below each parent; left out while only null, or
 * types that exclude each other, were seen. The array lives in the decoder until the next decode.
 */
struct weir_json_unknown {
    const char *parent_path, *name;
    struct weir_type type;
};
const struct weir_json_unknown *weir_json_unknowns(const struct weir_json_decoder *decoder,
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
