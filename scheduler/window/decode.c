/* Which decoder a source's records are given to; JSON's, and what the others share. */
#include "scheduler/window/decode.h"

#include "formats/json/json.h"

#include <string.h>

weir_status decoder_new(const struct decode_options *options, struct decoder **ret_decoder,
                        struct weir_error *reterr)
{
    static const struct {
        const char *name;
        weir_status (*make)(const struct decode_options *options, struct decoder **ret_decoder,
                            struct weir_error *reterr);
    } formats[] = {{"json", decoder_json},
                   {"csv", decoder_csv},
                   {"parquet", decoder_parquet},
                   {"avro", decoder_avro}};
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (strcmp(options->table->source->format, formats[i].name) == 0)
            return formats[i].make(options, ret_decoder, reterr);
    return weir_fail(reterr, WEIR_UNSUPPORTED, "%s: records of format %s", options->table->name,
                     options->table->source->format);
}

void decoder_free(struct decoder *decoder)
{
    if (decoder)
        decoder->operations->free(decoder);
}

weir_status decode_refuse_all(const struct decode_input *input, const struct weir_type *columns,
                              const char *unknown, struct weir_arena *arena,
                              struct weir_decoded *ret_decoded, struct weir_error *reterr)
{
    struct weir_refusal *refusals;
    char *message;
    uint32_t *source;
    WEIR_TRY(weir_arena_zero(arena, input->count + 1, sizeof *refusals, &refusals, reterr));
    WEIR_TRY(weir_arena_zero(arena, 1, sizeof *source, &source, reterr));
    WEIR_TRY(weir_arena_print(arena, &message, reterr, "unknown field \"%s\"", unknown));
    for (uint32_t i = 0; i < input->count; i++)
        refusals[i] = (struct weir_refusal){i, WEIR_REASON_UNKNOWN_FIELD, UINT32_MAX, message};
    *ret_decoded = (struct weir_decoded){
        .source = source, .refusals = refusals, .refusal_count = input->count};
    return weir_batch_make(arena, columns, 0, &ret_decoded->batch, reterr);
}

const struct weir_field *decode_aliased(const struct weir_table_config *table,
                                        const struct weir_type *columns, const char *name)
{
    for (size_t i = 0; i < table->column_config_count; i++) {
        const struct weir_column_config *column = &table->column_configs[i];
        for (size_t n = 0; n < column->alias_count; n++)
            if (strcmp(column->aliases[n], name) == 0)
                return weir_type_by_path(columns, column->path);
    }
    return NULL;
}

int decode_unit(const struct weir_table_config *table, const char *path)
{
    static const char *const names[] = {"iso", "seconds", "millis", "micros", "nanos"};
    for (size_t i = 0; i < table->column_config_count; i++) {
        const struct weir_column_config *column = &table->column_configs[i];
        if (column->unit && strcmp(column->path, path) == 0)
            for (int unit = 0; unit < 5; unit++)
                if (strcmp(column->unit, names[unit]) == 0)
                    return unit;
    }
    return WEIR_TIME_ISO;
}

/* ---- JSON ---- */

struct json_records {
    struct decoder decoder;
    struct weir_json_decoder *json;
    struct weir_json_decoder *finder; /* evolve: of records with fields unknown; NULL = none yet */
    struct weir_json_time *times;
};

#define FRAME_SIZE 5

static bool is_framed(const struct weir_bytes *record)
{
    return record->size > FRAME_SIZE && record->data[0] == 0; /* no JSON begins with a zero */
}

/* The records behind their frames. */
static weir_status unframed(const struct decoder *decoder, const struct decode_input *input,
                            struct weir_arena *arena, const struct weir_bytes **ret_records,
                            struct weir_error *reterr)
{
    struct weir_bytes *records;
    *ret_records = input->raw;
    if (!decoder->options.table->source->framed)
        return WEIR_OK;
    WEIR_TRY(weir_arena_alloc(arena, (input->count + 1) * sizeof *records, &records, reterr));
    for (uint32_t i = 0; i < input->count; i++) {
        records[i] = input->raw[i];
        if (is_framed(&records[i])) {
            records[i].data += FRAME_SIZE;
            records[i].size -= FRAME_SIZE;
        }
    }
    *ret_records = records;
    return WEIR_OK;
}

static weir_status json_decode(struct decoder *decoder, const struct decode_input *input,
                               struct weir_arena *arena, struct weir_decoded *ret_decoded,
                               struct weir_error *reterr)
{
    const struct weir_bytes *records;
    WEIR_TRY(unframed(decoder, input, arena, &records, reterr));
    WEIR_TRY(weir_json_decode(((struct json_records *)decoder)->json, records, input->count, arena,
                              ret_decoded, reterr));
    for (uint32_t i = 0; records != input->raw && i < ret_decoded->refusal_count; i++) {
        struct weir_refusal *refusal = /* the arena's, made just now */
            (struct weir_refusal *)(uintptr_t)&ret_decoded->refusals[i];
        if (is_framed(&input->raw[refusal->record]) && refusal->position != UINT32_MAX)
            refusal->position += FRAME_SIZE; /* what is kept of it is the whole record */
    }
    return WEIR_OK;
}

static weir_status json_marks(struct decoder *decoder, const struct decode_input *input,
                              const struct weir_decoded *decoded, struct weir_arena *arena,
                              const struct decode_mark **ret_marks, size_t *ret_count,
                              struct weir_error *reterr)
{
    size_t count;
    struct decode_mark *out;
    const struct weir_json_mark *marks = weir_json_marks(((struct json_records *)decoder)->json,
                                                         &count);
    WEIR_TRY(weir_arena_alloc(arena, (count + 1) * sizeof *out, &out, reterr));
    for (size_t i = 0; i < count; i++)
        out[i] = (struct decode_mark){marks[i].record, marks[i].position, marks[i].name};
    *ret_marks = out;
    *ret_count = count;
    return WEIR_OK;
}

static weir_status json_find(struct decoder *decoder, const struct decode_input *input,
                             struct weir_arena *arena, struct weir_error *reterr)
{
    static const struct weir_json_options options = {.unknown_fields = WEIR_UNKNOWN_EVOLVE};
    struct json_records *self = (struct json_records *)decoder;
    struct weir_decoded ignored;
    if (!self->finder)
        WEIR_TRY(weir_json_decoder_new(decoder->options.account, decoder->options.columns, &options,
                                       &self->finder, reterr));
    const struct weir_bytes *records;
    WEIR_TRY(unframed(decoder, input, arena, &records, reterr));
    return weir_json_decode(self->finder, records, input->count, arena, &ignored, reterr);
}

static weir_status json_evolved(struct decoder *const *decoders, size_t count,
                                struct weir_arena *arena, struct weir_type *ret_type,
                                struct weir_error *reterr)
{
    struct weir_json_decoder **finders;
    WEIR_TRY(weir_arena_zero(arena, count + 1, sizeof(*finders), &finders, reterr));
    for (size_t i = 0; i < count; i++)
        finders[i] = ((struct json_records *)decoders[i])->finder;
    return weir_json_evolved(finders, count, arena, ret_type, reterr);
}

static void json_free(struct decoder *decoder)
{
    struct json_records *self = (struct json_records *)decoder;
    weir_json_decoder_free(self->json);
    weir_json_decoder_free(self->finder);
    weir_free(self->times);
    weir_free(self);
}

static const struct decoder_operations json_operations = {.decode = json_decode,
                                                          .marks = json_marks,
                                                          .find = json_find,
                                                          .evolved = json_evolved,
                                                          .free = json_free};

weir_status decoder_json(const struct decode_options *options, struct decoder **ret_decoder,
                         struct weir_error *reterr)
{
    const struct weir_table_config *table = options->table;
    struct json_records *self;
    size_t count = 0;
    weir_status status;
    WEIR_TRY(weir_alloc_zero(options->account, 1, sizeof *self, &self, reterr));
    self->decoder = (struct decoder){.operations = &json_operations, .options = *options};
    WEIR_TRY_OUT(status, weir_alloc_zero(options->account, table->column_config_count + 1,
                                         sizeof *self->times, &self->times, reterr));
    for (size_t i = 0; i < table->column_config_count; i++) {
        const struct weir_column_config *column = &table->column_configs[i];
        const struct weir_field *field = weir_type_by_path(options->columns, column->path);
        if (column->alias_count) {
            status = weir_fail(reterr, WEIR_USAGE, "%s: column %s: aliases are not for JSON",
                               table->name, column->path);
            goto out;
        }
        if (field && column->unit)
            self->times[count++] = (struct weir_json_time){field->id,
                                                           decode_unit(table, column->path)};
    }
    struct weir_json_options json = {.unknown_fields = table->unknown_fields == WEIR_UNKNOWN_EVOLVE
                                                           ? WEIR_UNKNOWN_MARK
                                                           : table->unknown_fields,
                                     .times = self->times,
                                     .time_count = count};
    WEIR_TRY_OUT(status, weir_json_decoder_new(options->account, options->columns, &json,
                                               &self->json, reterr));
    *ret_decoder = &self->decoder;
    return WEIR_OK;
out:
    json_free(&self->decoder);
    return status;
}
