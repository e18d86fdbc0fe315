/* Would these records become rows? The decoders of ingest say, for each table of the source; the
 * rows are thrown away, but for what names tenant, device, boot and sequence. */
#include "scheduler/gateway/gateway_int.h"

#include "engine/base/text.h"
#include "scheduler/window/decode.h"
#include "scheduler/window/shape.h"

#include <stdlib.h>
#include <string.h>

enum { ROWS = 2048 };

struct checker {
    struct checker *next;
    size_t count;
    struct decoder *decoders[]; /* by table */
};

/* ---- sources ---- */

weir_status source_init(struct source *source, struct weir_account *account,
                        const struct weir_pipeline *pipeline, const char *name,
                        struct weir_error *reterr)
{
    weir_arena_init(&source->arena, account);
    pthread_mutex_init(&source->lock, NULL);
    atomic_init(&source->position, -1);
    for (size_t i = 0; i < pipeline->source_count; i++)
        if (strcmp(pipeline->sources[i].name, name) == 0)
            source->config = &pipeline->sources[i];
    WEIR_TRY(weir_arena_zero(&source->arena, pipeline->table_count + 1, sizeof(*source->tables),
                             &source->tables, reterr));
    WEIR_TRY(weir_arena_zero(&source->arena, pipeline->table_count + 1, sizeof *source->columns,
                             &source->columns, reterr));
    for (size_t i = 0; i < pipeline->table_count; i++) {
        const struct weir_table_config *table = &pipeline->tables[i];
        struct weir_shape shape;
        if (table->source != source->config)
            continue;
        WEIR_TRY(weir_shape_make(&source->arena, table, NULL, &shape, reterr));
        source->columns[source->table_count] = shape.decode;
        source->tables[source->table_count++] = table;
    }
    if (source->table_count == 0)
        return weir_fail(reterr, WEIR_USAGE,
                         "gateway: no table is filled from source %s: nothing says what its "
                         "records look like",
                         name);
    return WEIR_OK;
}

static void checker_free(struct checker *checker)
{
    for (size_t i = 0; checker && i < checker->count; i++)
        decoder_free(checker->decoders[i]);
    weir_free(checker);
}

void source_done(struct source *source)
{
    while (source->idle) {
        struct checker *checker = source->idle;
        source->idle = checker->next;
        checker_free(checker);
    }
    pthread_mutex_destroy(&source->lock);
    weir_arena_done(&source->arena);
}

static weir_status checker_take(struct source *source, struct weir_account *account,
                                struct checker **ret_checker, struct weir_error *reterr)
{
    pthread_mutex_lock(&source->lock);
    struct checker *checker = source->idle;
    if (checker)
        source->idle = checker->next;
    pthread_mutex_unlock(&source->lock);
    if (checker) {
        *ret_checker = checker;
        return WEIR_OK;
    }
    size_t size = sizeof *checker + source->table_count * sizeof(struct decoder *);
    WEIR_TRY(weir_alloc_zero(account, 1, size, &checker, reterr));
    for (size_t i = 0; i < source->table_count; i++) {
        struct decode_options options = {account, source->tables[i], &source->columns[i]};
        weir_status status = decoder_new(&options, &checker->decoders[i], reterr);
        if (status != WEIR_OK) {
            checker_free(checker);
            return status;
        }
        checker->count++;
    }
    *ret_checker = checker;
    return WEIR_OK;
}

static void checker_give(struct source *source, struct checker *checker)
{
    pthread_mutex_lock(&source->lock);
    checker->next = source->idle;
    source->idle = checker;
    pthread_mutex_unlock(&source->lock);
}

/* ---- what a row says of itself ---- */

static struct weir_bytes text_at(const struct weir_batch *batch, const char *column, uint32_t row,
                                 struct weir_arena *arena)
{
    const struct weir_vector *vector = column ? weir_batch_column(batch, column) : NULL;
    char *text;
    if (!vector || vector->kind != WEIR_FLAT || !weir_vector_valid(vector, row))
        return (struct weir_bytes){NULL, 0};
    if (vector->type->id == WEIR_STRING) {
        int32_t from = vector->offsets[row];
        return (struct weir_bytes){(const uint8_t *)vector->values + from,
                                   (size_t)(vector->offsets[row + 1] - from)};
    }
    if ((vector->type->id != WEIR_INT && vector->type->id != WEIR_LONG) ||
        weir_arena_alloc(arena, 24, &text, NULL) != WEIR_OK)
        return (struct weir_bytes){NULL, 0};
    int64_t value = vector->type->id == WEIR_INT ? ((const int32_t *)vector->values)[row]
                                                 : ((const int64_t *)vector->values)[row];
    return (struct weir_bytes){(const uint8_t *)text, weir_print_int64(text, value)};
}

static void mark(struct weir_bytes *into, struct weir_bytes text)
{
    if (!into->data && text.data && text.size <= GATEWAY_HEADER_SIZE_MAX &&
        !memchr(text.data, 0, text.size))
        *into = text;
}

struct checking {
    const struct check_options *options;
    struct weir_arena *arena;
    struct check_result *result;
    const char *table;
    uint32_t base; /* record number of the chunk's first */
};

static void refuse(struct checking *checking, uint32_t record, const char *reason,
                   uint32_t position, const char *message)
{
    struct check_result *result = checking->result;
    if (result->bad[record])
        return; /* the first table's word */
    result->bad[record] = true;
    result->refused[result->refused_count++] = (struct refused){record, position, reason, message,
                                                                checking->table};
}

static void look_at_rows(struct checking *checking, const struct weir_decoded *decoded)
{
    const struct weir_gateway_config *config = checking->options->config;
    const char *tenant = checking->options->tenant;
    const struct weir_batch *batch = &decoded->batch;
    const struct weir_vector *column = tenant ? weir_batch_column(batch, config->tenant) : NULL;
    bool judged = column && column->type->id == WEIR_STRING;
    for (uint32_t row = 0; row < batch->count; row++) {
        uint32_t record = checking->base + decoded->source[row];
        struct marks *marks = &checking->result->marks[record];
        mark(&marks->device, text_at(batch, config->device, row, checking->arena));
        mark(&marks->boot, text_at(batch, config->boot, row, checking->arena));
        mark(&marks->sequence, text_at(batch, config->sequence, row, checking->arena));
        if (!judged)
            continue;
        struct weir_bytes text = text_at(batch, config->tenant, row, checking->arena);
        if (text.data && text.size == strlen(tenant) && memcmp(text.data, tenant, text.size) == 0)
            continue;
        refuse(checking, record, "tenant", UINT32_MAX, "the record is of another tenant");
        checking->result->foreign = true;
    }
}

static weir_status check_chunk(struct checking *checking, struct decoder *decoder,
                               const struct weir_bytes *records, uint32_t count,
                               struct weir_error *reterr)
{
    struct weir_decoded decoded;
    struct decode_input input = {.raw = records, .count = count};
    WEIR_TRY(decoder->operations->decode(decoder, &input, checking->arena, &decoded, reterr));
    for (uint32_t i = 0; i < decoded.refusal_count; i++) {
        const struct weir_refusal *refusal = &decoded.refusals[i];
        refuse(checking, checking->base + refusal->record, weir_reason_name(refusal->reason),
               refusal->position, refusal->message);
    }
    look_at_rows(checking, &decoded);
    return WEIR_OK;
}

static weir_status check_all(struct source *source, struct checker *checker,
                             struct checking *checking, const struct weir_bytes *records,
                             uint32_t count, struct weir_error *reterr)
{
    for (uint32_t i = 0; i < count; i++)
        if (records[i].size > checking->options->config->record_limit)
            refuse(checking, i, "too_large", UINT32_MAX, "the record is larger than record_limit");
    for (size_t t = 0; t < source->table_count; t++) {
        checking->table = source->tables[t]->name;
        for (uint32_t from = 0; from < count; from += ROWS) {
            checking->base = from;
            WEIR_TRY(check_chunk(checking, checker->decoders[t], records + from,
                                 count - from < ROWS ? count - from : ROWS, reterr));
        }
    }
    return WEIR_OK;
}

static int by_record(const void *a, const void *b)
{
    uint32_t left = ((const struct refused *)a)->record,
             right = ((const struct refused *)b)->record;
    return (left > right) - (left < right);
}

weir_status source_check(struct source *source, struct weir_account *account,
                         const struct check_options *options, const struct weir_bytes *records,
                         uint32_t count, struct weir_arena *arena, struct check_result *ret_result,
                         struct weir_error *reterr)
{
    struct check_result result = {0};
    struct checking checking = {options, arena, &result, source->tables[0]->name, 0};
    struct checker *checker;
    WEIR_TRY(weir_arena_zero(arena, count + 1, sizeof *result.refused, &result.refused, reterr));
    WEIR_TRY(weir_arena_zero(arena, count + 1, sizeof *result.bad, &result.bad, reterr));
    WEIR_TRY(weir_arena_zero(arena, count + 1, sizeof *result.marks, &result.marks, reterr));
    WEIR_TRY(checker_take(source, account, &checker, reterr));
    weir_status status = check_all(source, checker, &checking, records, count, reterr);
    checker_give(source, checker);
    if (status != WEIR_OK)
        return status;
    if (result.refused_count > 1)
        qsort(result.refused, result.refused_count, sizeof *result.refused, by_record);
    *ret_result = result;
    return WEIR_OK;
}
