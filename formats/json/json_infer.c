/* A schema from samples: an empty schema whose every field is unknown. */
#include "formats/json/json_int.h"

#define INFER_RECORDS 2048 /* a call's worth */

static weir_status infer_records(struct weir_json_decoder *decoder,
                                 const struct weir_bytes *records, size_t count,
                                 struct weir_arena *scratch, struct weir_error *reterr)
{
    for (size_t at = 0; at < count;) {
        struct weir_decoded decoded;
        uint32_t step = 0;
        size_t bytes = 0;
        while (at + step < count && step < INFER_RECORDS) {
            bytes += records[at + step].size;
            if (step > 0 && bytes > JSON_INPUT_MAX / 2)
                break;
            step++;
        }
        WEIR_TRY(weir_json_decode(decoder, records + at, step, scratch, &decoded, reterr));
        if (decoded.refusal_count > 0)
            return weir_fail(
                reterr, WEIR_USAGE, "record %zu, byte %u: %s", at + decoded.refusals[0].record + 1,
                decoded.refusals[0].position == UINT32_MAX ? 0 : decoded.refusals[0].position,
                decoded.refusals[0].message);
        weir_arena_reset(scratch);
        at += step;
    }
    return WEIR_OK;
}

weir_status weir_json_infer(struct weir_arena *arena, const struct weir_bytes *records,
                            size_t count, struct weir_type *ret_schema, struct weir_error *reterr)
{
    static const struct weir_type nothing = {.id = WEIR_STRUCT};
    static const struct weir_json_options options = {.unknown_fields = WEIR_UNKNOWN_EVOLVE};
    struct weir_json_decoder *decoder;
    struct weir_arena scratch;
    weir_status status;

    WEIR_TRY(weir_json_decoder_new(arena->account, &nothing, &options, &decoder, reterr));
    weir_arena_init(&scratch, arena->account);
    status = infer_records(decoder, records, count, &scratch, reterr);
    if (status == WEIR_OK)
        status = json_shape_fields(decoder, count, arena, ret_schema, reterr);
    weir_arena_done(&scratch);
    weir_json_decoder_free(decoder);
    return status;
}
