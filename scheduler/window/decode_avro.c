/* Avro records: values of container files, whose schema stands in the file's header, and records
 * of Kafka that name theirs. What is kept of a file's refused record is a container file of its
 * own. */
#include "scheduler/window/decode.h"
#include "scheduler/window/schemas.h"

#include "formats/json/json.h"

#include <string.h>

struct avro_records {
    struct decoder decoder;
    struct weir_avro_rows *rows;
    struct weir_arena arena; /* of `found` */
    struct weir_type found;  /* STRUCT; no fields: nothing */
    /* Of the last decode: by input, NULL where it was refused at once. */
    const struct weir_layout **layouts;
};

/* ---- layouts ---- */

static weir_status plan_options(struct weir_arena *arena, const struct weir_table_config *table,
                                const struct weir_type *columns,
                                struct weir_avro_plan_options *ret_options,
                                struct weir_error *reterr)
{
    struct weir_avro_time *times;
    struct weir_avro_alias *aliases;
    size_t count = 0, alias_count = 0;
    for (size_t i = 0; i < table->column_config_count; i++)
        alias_count += table->column_configs[i].alias_count;
    WEIR_TRY(weir_arena_zero(arena, alias_count + 1, sizeof *aliases, &aliases, reterr));
    alias_count = 0;
    WEIR_TRY(weir_arena_zero(arena, table->column_config_count + 1, sizeof *times, &times, reterr));
    for (size_t i = 0; i < table->column_config_count; i++) {
        const char *path = table->column_configs[i].path;
        const struct weir_field *field = weir_type_by_path(columns, path);
        int unit = decode_unit(table, path);
        if (field && unit != WEIR_TIME_ISO)
            times[count++] = (struct weir_avro_time){field->id, unit};
        for (size_t n = 0; field && n < table->column_configs[i].alias_count; n++)
            aliases[alias_count++] = (struct weir_avro_alias){field->id,
                                                              table->column_configs[i].aliases[n]};
    }
    struct weir_avro_default *defaults;
    size_t default_count = 0;
    WEIR_TRY(weir_arena_zero(arena, table->default_count + 1, sizeof *defaults, &defaults, reterr));
    for (size_t i = 0; i < table->default_count; i++) {
        const char *name = table->defaults[i].name;
        const struct weir_field *field = weir_type_child(columns, name, strlen(name));
        if (field)
            defaults[default_count++] = (struct weir_avro_default){field->id,
                                                                   table->defaults[i].json};
    }
    *ret_options = (struct weir_avro_plan_options){.times = times,
                                                   .time_count = count,
                                                   .aliases = aliases,
                                                   .alias_count = alias_count,
                                                   .defaults = defaults,
                                                   .default_count = default_count};
    return WEIR_OK;
}

weir_status layout_avro(struct weir_arena *arena, const struct weir_table_config *table,
                        const struct weir_type *columns, struct weir_bytes schema, bool of_last,
                        struct weir_layout *ret_layout, struct weir_error *reterr)
{
    struct weir_layout layout = {0};
    struct weir_avro_plan_options options;
    struct weir_avro_type *writer;
    struct weir_avro_plan *plan;
    struct weir_type *found;
    char *text;
    WEIR_TRY(weir_arena_copy(arena, schema.data, schema.size, &text, reterr));
    WEIR_TRY(weir_avro_schema_parse(arena, text, schema.size, &writer, reterr));
    if (of_last && writer->kind == WEIR_AVRO_UNION)
        writer = writer->fields[writer->field_count - 1].type;
    WEIR_TRY(plan_options(arena, table, columns, &options, reterr));
    WEIR_TRY(weir_avro_plan_make(arena, writer, columns, &options, &plan, reterr));
    WEIR_TRY(weir_arena_zero(arena, 1, sizeof *found, &found, reterr));
    WEIR_TRY(weir_avro_columns(arena, writer, found, reterr));
    decode_loosen(found);
    layout.plan = plan;
    layout.unknown = weir_avro_plan_unknown(plan);
    layout.found = found;
    layout.schema = (struct weir_bytes){(const uint8_t *)text, schema.size};
    *ret_layout = layout;
    return WEIR_OK;
}

/* ---- what is kept ---- */

static const uint8_t kept_sync[16] = {'w', 'e', 'i', 'r'};

static weir_status avro_letter(struct decoder *decoder, const struct weir_run *run, uint32_t record,
                               struct weir_arena *arena, struct weir_bytes *ret_raw,
                               struct weir_error *reterr)
{
    struct weir_bytes value = run->records[record].value;
    struct weir_avro_writer writer = {0};
    char *copy;
    if (!run->layout) {
        *ret_raw = value;
        return WEIR_OK;
    }
    WEIR_AUTO(weir_buffer) out = {.account = arena->account};
    weir_status status = weir_avro_writer_begin(
        &writer, &out, (const char *)run->layout->schema.data, NULL, 0, false, kept_sync, reterr);
    if (status == WEIR_OK)
        status = weir_buffer_append(&writer.block, value.data, value.size, reterr);
    if (status == WEIR_OK)
        status = weir_avro_writer_record(&writer, reterr);
    if (status == WEIR_OK)
        status = weir_avro_writer_finish(&writer, reterr);
    weir_avro_writer_done(&writer);
    if (status == WEIR_OK)
        status = weir_arena_copy(arena, out.data, out.size, &copy, reterr);
    if (status == WEIR_OK)
        *ret_raw = (struct weir_bytes){(const uint8_t *)copy, out.size};
    return status;
}

/* The record in a container file of one, and its schema. CORRUPT: it is none. */
static weir_status open_kept(struct avro_records *self, struct weir_bytes raw,
                             struct weir_arena *arena, const struct weir_layout **ret_layout,
                             struct weir_bytes *ret_value, struct weir_error *reterr)
{
    const struct decode_options *options = &self->decoder.options;
    struct weir_avro_blocks *blocks;
    struct weir_bytes values;
    struct weir_layout *layout;
    uint64_t count = 0;
    size_t head, size = 0;
    char *copy;
    WEIR_TRY(weir_arena_zero(arena, 1, sizeof *layout, &layout, reterr));
    WEIR_TRY(
        weir_avro_blocks_open(options->account, raw.data, raw.size, true, &blocks, &head, reterr));
    weir_status status = weir_avro_blocks_next(blocks, raw.data + head, raw.size - head, true,
                                               &values, &count, &size, reterr);
    if (status == WEIR_OK)
        status = layout_avro(arena, options->table, options->columns,
                             weir_avro_blocks_schema(blocks), false, layout, reterr);
    if (status == WEIR_OK)
        status = weir_arena_copy(arena, values.data, values.size, &copy, reterr);
    weir_avro_blocks_free(blocks);
    WEIR_TRY(status);
    *ret_layout = layout;
    *ret_value = (struct weir_bytes){(const uint8_t *)copy, values.size};
    return WEIR_OK;
}

/* ---- decoding ---- */

/* One call of decode: records with a plan, and those that are refused for want of one. */
struct sorting {
    struct avro_records *self;
    struct weir_arena *arena;
    struct weir_avro_record *records;
    uint32_t *input; /* of each record */
    uint32_t count;
    struct weir_refusal *refusals;
    uint32_t refusal_count;
};

static weir_status refuse(struct sorting *sorting, uint32_t input, enum weir_reason reason,
                          const char *text, struct weir_error *reterr)
{
    char *message;
    WEIR_TRY(weir_arena_copy(sorting->arena, text, strlen(text), &message, reterr));
    sorting->refusals[sorting->refusal_count++] = (struct weir_refusal){input, reason, UINT32_MAX,
                                                                        message};
    return WEIR_OK;
}

/* Confluent's framing: a zero, the schema's id in four bytes, the highest first, the value. */
#define FRAME_SIZE 5

static weir_status open_frame(struct sorting *sorting, uint32_t input,
                              const struct weir_layout **ret_layout, struct weir_bytes *value,
                              struct weir_error *reterr)
{
    const uint8_t *at = value->data;
    const char *why;
    if (value->size == 0)
        return refuse(sorting, input, WEIR_REASON_EMPTY, "no bytes", reterr);
    if (value->size < FRAME_SIZE || at[0] != 0)
        return refuse(sorting, input, WEIR_REASON_SYNTAX,
                      "no zero and schema id in front of the value", reterr);
    uint32_t id = (uint32_t)at[1] << 24 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 8 | at[4];
    WEIR_TRY(schemas_find(sorting->self->decoder.options.schemas, id, ret_layout, &why, reterr));
    if (!*ret_layout)
        return refuse(sorting, input, WEIR_REASON_SCHEMA, why, reterr);
    *value = (struct weir_bytes){at + FRAME_SIZE, value->size - FRAME_SIZE};
    return WEIR_OK;
}

static weir_status find_layout(struct sorting *sorting, const struct decode_input *input,
                               uint32_t i, const struct weir_layout **ret_layout,
                               struct weir_bytes *ret_value, struct weir_error *reterr)
{
    struct weir_error error = {0};
    *ret_layout = input->run->layout;
    *ret_value = input->raw[i];
    if (*ret_layout)
        return WEIR_OK;
    if (input->run->origin.topic)
        return open_frame(sorting, i, ret_layout, ret_value, reterr);
    weir_status status = open_kept(sorting->self, input->raw[i], sorting->arena, ret_layout,
                                   ret_value, &error);
    if (status == WEIR_CORRUPT || status == WEIR_UNSUPPORTED)
        return refuse(sorting, i, WEIR_REASON_SCHEMA, error.text, reterr);
    if (status != WEIR_OK && reterr)
        *reterr = error;
    return status;
}

static weir_status sort_one(struct sorting *sorting, const struct decode_input *input, uint32_t i,
                            struct weir_error *reterr)
{
    struct avro_records *self = sorting->self;
    const struct weir_layout *layout;
    struct weir_bytes value;
    char *message;
    WEIR_TRY(find_layout(sorting, input, i, &layout, &value, reterr));
    if (!layout)
        return WEIR_OK;
    if (layout->unknown && self->decoder.options.table->unknown_fields == WEIR_UNKNOWN_QUARANTINE) {
        WEIR_TRY(weir_arena_print(sorting->arena, &message, reterr, "unknown field \"%s\"",
                                  layout->unknown));
        return refuse(sorting, i, WEIR_REASON_UNKNOWN_FIELD, message, reterr);
    }
    self->layouts[i] = layout;
    sorting->input[sorting->count] = i;
    sorting->records[sorting->count++] = (struct weir_avro_record){layout->plan, value};
    return WEIR_OK;
}

static weir_status avro_decode(struct decoder *decoder, const struct decode_input *input,
                               struct weir_arena *arena, struct weir_decoded *ret_decoded,
                               struct weir_error *reterr)
{
    struct avro_records *self = (struct avro_records *)decoder;
    struct sorting sorting = {.self = self, .arena = arena};
    uint32_t *source;
    size_t room = (size_t)input->count + 1;
    WEIR_TRY(weir_arena_alloc(arena, room * sizeof *sorting.records, &sorting.records, reterr));
    WEIR_TRY(weir_arena_alloc(arena, room * sizeof *sorting.input, &sorting.input, reterr));
    WEIR_TRY(weir_arena_alloc(arena, room * sizeof *sorting.refusals, &sorting.refusals, reterr));
    WEIR_TRY(weir_arena_zero(arena, room, sizeof *self->layouts, &self->layouts, reterr));
    for (uint32_t i = 0; i < input->count; i++)
        WEIR_TRY(sort_one(&sorting, input, i, reterr));
    WEIR_TRY(weir_avro_rows_decode(self->rows, sorting.records, sorting.count, arena, ret_decoded,
                                   reterr));
    WEIR_TRY(weir_arena_alloc(arena, room * sizeof *source, &source, reterr));
    for (uint32_t i = 0; i < ret_decoded->batch.count; i++)
        source[i] = sorting.input[ret_decoded->source[i]];
    for (uint32_t i = 0; i < ret_decoded->refusal_count; i++) {
        struct weir_refusal refusal = ret_decoded->refusals[i];
        uint32_t from = refusal.record;
        refusal.record = sorting.input[from];
        refusal.position += (uint32_t)(input->raw[refusal.record].size -
                                       sorting.records[from].bytes.size);
        sorting.refusals[sorting.refusal_count++] = refusal;
    }
    ret_decoded->source = source;
    ret_decoded->refusals = sorting.refusals;
    ret_decoded->refusal_count = sorting.refusal_count;
    return WEIR_OK;
}

/* ---- fields that no column takes ---- */

static weir_status avro_marks(struct decoder *decoder, const struct decode_input *input,
                              const struct weir_decoded *decoded, struct weir_arena *arena,
                              const struct decode_mark **ret_marks, size_t *ret_count,
                              struct weir_error *reterr)
{
    struct avro_records *self = (struct avro_records *)decoder;
    bool evolve = decoder->options.table->unknown_fields == WEIR_UNKNOWN_EVOLVE;
    struct decode_mark *marks;
    size_t count = 0;
    WEIR_TRY(weir_arena_alloc(arena, ((size_t)decoded->batch.count + 1) * sizeof *marks, &marks,
                              reterr));
    for (uint32_t i = 0; evolve && i < decoded->batch.count; i++) {
        const struct weir_layout *layout = self->layouts[decoded->source[i]];
        if (layout->unknown)
            marks[count++] = (struct decode_mark){decoded->source[i], UINT32_MAX, layout->unknown};
    }
    *ret_marks = marks;
    *ret_count = count;
    return WEIR_OK;
}

static weir_status avro_find(struct decoder *decoder, const struct decode_input *input,
                             struct weir_arena *arena, struct weir_error *reterr)
{
    struct avro_records *self = (struct avro_records *)decoder;
    struct sorting sorting = {.self = self, .arena = arena};
    const struct weir_layout *layout, *last = NULL;
    struct weir_bytes value;
    WEIR_TRY(weir_arena_alloc(arena, ((size_t)input->count + 1) * sizeof *sorting.refusals,
                              &sorting.refusals, reterr));
    for (uint32_t i = 0; i < input->count; i++) {
        WEIR_TRY(find_layout(&sorting, input, i, &layout, &value, reterr));
        if (layout && layout != last)
            WEIR_TRY(decode_unite(&self->arena, &self->found, layout->found, reterr));
        last = layout;
    }
    return WEIR_OK;
}

static weir_status avro_evolved(struct decoder *const *decoders, size_t count,
                                struct weir_arena *arena, struct weir_type *ret_type,
                                struct weir_error *reterr)
{
    *ret_type = (struct weir_type){.id = WEIR_STRUCT};
    for (size_t i = 0; i < count; i++)
        WEIR_TRY(
            decode_unite(arena, ret_type, &((struct avro_records *)decoders[i])->found, reterr));
    return WEIR_OK;
}

static void avro_free(struct decoder *decoder)
{
    struct avro_records *self = (struct avro_records *)decoder;
    weir_avro_rows_free(self->rows);
    weir_arena_done(&self->arena);
    weir_free(self);
}

static const struct decoder_operations avro_operations = {.decode = avro_decode,
                                                          .marks = avro_marks,
                                                          .find = avro_find,
                                                          .evolved = avro_evolved,
                                                          .letter = avro_letter,
                                                          .free = avro_free};

weir_status decoder_avro(const struct decode_options *options, struct decoder **ret_decoder,
                         struct weir_error *reterr)
{
    struct avro_records *self;
    WEIR_TRY(weir_alloc_zero(options->account, 1, sizeof *self, &self, reterr));
    self->decoder = (struct decoder){.operations = &avro_operations, .options = *options};
    self->found.id = WEIR_STRUCT;
    weir_arena_init(&self->arena, options->account);
    weir_status status = weir_avro_rows_new(options->account, options->columns, &self->rows,
                                            reterr);
    if (status != WEIR_OK)
        avro_free(&self->decoder);
    else
        *ret_decoder = &self->decoder;
    return status;
}
