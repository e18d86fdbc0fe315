/* Rows in memory as a table source. A morsel is one decoded batch. */
#include "scheduler/query/rows_source.h"

#include <string.h>

#include "engine/base/limits.h"
#include "formats/json/json.h"

struct rows {
    struct weir_account *account;
    struct weir_arena arena;
    struct weir_type schema;
    struct weir_batch *batches;
    size_t batch_count, batch_capacity;
    uint64_t row_count;
};

struct weir_scan {
    const struct rows *rows;
    struct weir_account *account;
    struct weir_scan_request request;
};

struct weir_morsel {
    const struct weir_scan *scan;
    const struct weir_batch *batch;
    uint32_t at;
};

/* ---- making --------------------------------------------------------------------------------- */

static weir_status decode_some(struct rows *rows, struct weir_json_decoder *decoder,
                               const struct weir_bytes *records, uint32_t count,
                               struct weir_error *reterr)
{
    struct weir_decoded decoded;
    WEIR_TRY(weir_json_decode(decoder, records, count, &rows->arena, &decoded, reterr));
    if (decoded.refusal_count)
        return weir_fail(reterr, WEIR_CORRUPT, "row %llu: %s",
                         (unsigned long long)(rows->row_count + decoded.refusals[0].record),
                         decoded.refusals[0].message);
    rows->batches[rows->batch_count++] = decoded.batch;
    rows->row_count += decoded.batch.count;
    return WEIR_OK;
}

static weir_status decode_all(struct rows *rows, struct weir_json_decoder *decoder,
                              const struct weir_buffer *lines, struct weir_error *reterr)
{
    struct weir_bytes *records;
    const uint8_t *at = lines->data, *end = lines->size ? at + lines->size : at;
    size_t count = 0;
    for (size_t i = 0; i < lines->size; i++)
        count += lines->data[i] == '\n';
    WEIR_TRY(weir_arena_zero(&rows->arena, count / WEIR_BATCH_ROWS + 1, sizeof *rows->batches,
                             &rows->batches, reterr));
    WEIR_TRY(weir_arena_zero(&rows->arena, WEIR_BATCH_ROWS, sizeof *records, &records, reterr));
    for (uint32_t used = 0; at < end || used;) {
        if (used == WEIR_BATCH_ROWS || at == end) {
            WEIR_TRY(decode_some(rows, decoder, records, used, reterr));
            used = 0;
            continue;
        }
        const uint8_t *stop = memchr(at, '\n', (size_t)(end - at));
        stop = stop ? stop : end;
        records[used++] = (struct weir_bytes){at, (size_t)(stop - at)};
        at = stop == end ? end : stop + 1;
    }
    return WEIR_OK;
}

/* ---- the source's functions ----------------------------------------------------------------- */

static const struct weir_type *rows_schema(void *self)
{
    struct rows *rows = self;
    return &rows->schema;
}

static uint64_t rows_row_count(void *self, bool *ret_exact)
{
    struct rows *rows = self;
    *ret_exact = true;
    return rows->row_count;
}

static weir_status rows_open(void *self, struct weir_context *context, struct weir_account *account,
                             const struct weir_scan_request *request, struct weir_scan **ret_scan,
                             struct weir_error *reterr)
{
    struct weir_scan *scan;
    WEIR_TRY(weir_alloc_zero(account, 1, sizeof *scan, &scan, reterr));
    *scan = (struct weir_scan){self, account, *request};
    *ret_scan = scan;
    return WEIR_OK;
}

static size_t rows_morsel_count(const struct weir_scan *scan)
{
    return scan->rows->batch_count;
}

static weir_status rows_morsel_open(struct weir_scan *scan, size_t index,
                                    struct weir_morsel **ret_morsel, struct weir_error *reterr)
{
    struct weir_morsel *morsel;
    WEIR_TRY(weir_alloc_zero(scan->account, 1, sizeof *morsel, &morsel, reterr));
    *morsel = (struct weir_morsel){scan, &scan->rows->batches[index], 0};
    *ret_morsel = morsel;
    return WEIR_OK;
}

/* The part of a nested vector that is wanted; fields by name. */
static weir_status project(struct weir_arena *arena, const struct weir_type *wanted,
                           struct weir_vector *vector, struct weir_error *reterr)
{
    struct weir_vector *children;
    if (wanted->child_count == 0)
        return WEIR_OK;
    WEIR_TRY(weir_arena_zero(arena, wanted->child_count, sizeof *children, &children, reterr));
    for (uint32_t i = 0; i < wanted->child_count; i++) {
        const char *name = wanted->children[i].name;
        for (uint32_t j = 0; j < vector->type->child_count; j++)
            if (strcmp(vector->type->children[j].name, name) == 0)
                children[i] = vector->children[j];
        if (!children[i].type)
            return weir_fail(reterr, WEIR_USAGE, "there is no column %.100s", name);
        WEIR_TRY(project(arena, &wanted->children[i].type, &children[i], reterr));
    }
    vector->children = children;
    vector->type = wanted;
    return WEIR_OK;
}

static weir_status rows_morsel_next(struct weir_morsel *morsel, struct weir_arena *arena,
                                    struct weir_batch *ret_batch, bool *ret_end,
                                    struct weir_error *reterr)
{
    const struct weir_scan_request *request = &morsel->scan->request;
    const struct weir_batch *batch = morsel->batch;
    struct weir_vector all = {
        .type = batch->type, .count = batch->count, .children = batch->columns};
    WEIR_TRY(project(arena, request->wanted, &all, reterr));
    struct weir_batch view = {request->wanted, batch->count, all.children};
    while (morsel->at < batch->count) {
        uint32_t count = batch->count - morsel->at, *rows;
        if (request->batch_rows && count > request->batch_rows)
            count = request->batch_rows;
        WEIR_TRY(weir_arena_alloc(arena, ((size_t)count + 1) * sizeof *rows, &rows, reterr));
        for (uint32_t i = 0; i < count; i++)
            rows[i] = morsel->at + i;
        morsel->at += count;
        struct weir_selection selection = {count, rows};
        struct weir_batch part;
        WEIR_TRY(weir_batch_gather(arena, &view, &selection, &part, reterr));
        if (request->filter) {
            WEIR_TRY(
                request->filter->select(request->filter->self, &part, arena, &selection, reterr));
            WEIR_TRY(weir_batch_gather(arena, &part, &selection, &part, reterr));
        }
        part.type = request->wanted;
        part.count = selection.count;
        if (part.count == 0)
            continue;
        *ret_batch = part;
        *ret_end = false;
        return WEIR_OK;
    }
    *ret_batch = (struct weir_batch){.type = request->wanted};
    *ret_end = true;
    return WEIR_OK;
}

static void rows_morsel_close(struct weir_morsel *morsel)
{
    weir_free(morsel);
}

static void rows_close(struct weir_scan *scan)
{
    weir_free(scan);
}

static void rows_free(void *self)
{
    struct rows *rows = self;
    if (!rows)
        return;
    weir_arena_done(&rows->arena);
    weir_free(rows);
}

static const struct weir_table_source_operations operations = {
    .kind = "values",
    .schema = rows_schema,
    .row_count = rows_row_count,
    .open = rows_open,
    .morsel_count = rows_morsel_count,
    .morsel_open = rows_morsel_open,
    .morsel_next = rows_morsel_next,
    .morsel_close = rows_morsel_close,
    .close = rows_close,
    .free = rows_free,
};

weir_status query_rows_source(struct weir_account *account, const struct weir_type *schema,
                              const struct weir_buffer *lines, struct weir_table_source *ret_source,
                              struct weir_error *reterr)
{
    struct rows *rows;
    struct weir_json_decoder *decoder = NULL;
    struct weir_json_options options = {0};
    int32_t last = 0;
    weir_status status;
    WEIR_TRY(weir_alloc_zero(account, 1, sizeof *rows, &rows, reterr));
    rows->account = account;
    weir_arena_init(&rows->arena, account);
    WEIR_TRY_OUT(status, weir_type_copy(&rows->arena, schema, &rows->schema, reterr));
    weir_type_assign_ids(&rows->schema, &last);
    WEIR_TRY_OUT(status, weir_json_decoder_new(account, &rows->schema, &options, &decoder, reterr));
    WEIR_TRY_OUT(status, decode_all(rows, decoder, lines, reterr));
    *ret_source = (struct weir_table_source){&operations, rows};
out:
    weir_json_decoder_free(decoder);
    if (status != WEIR_OK)
        rows_free(rows);
    return status;
}

weir_status query_rows_new(struct weir_account *account, const struct weir_type *schema,
                           struct weir_table_source *ret_source, struct weir_error *reterr)
{
    static const struct weir_buffer none;
    return query_rows_source(account, schema, &none, ret_source, reterr);
}

weir_status query_rows_add(struct weir_table_source *source, const struct weir_batch *batch,
                           struct weir_error *reterr)
{
    struct rows *rows = source->self;
    struct weir_batch copy;
    if (batch->count == 0)
        return WEIR_OK;
    if (rows->batch_count >= rows->batch_capacity) {
        struct weir_batch *larger;
        size_t capacity = rows->batch_capacity ? 2 * rows->batch_capacity : 16;
        WEIR_TRY(weir_arena_zero(&rows->arena, capacity, sizeof *larger, &larger, reterr));
        if (rows->batch_count)
            memcpy(larger, rows->batches, rows->batch_count * sizeof *larger);
        rows->batches = larger;
        rows->batch_capacity = capacity;
    }
    WEIR_TRY(weir_batch_gather(&rows->arena, batch, NULL, &copy, reterr));
    copy.type = &rows->schema;
    for (uint32_t i = 0; i < rows->schema.child_count; i++)
        weir_vector_retype(&copy.columns[i], &rows->schema.children[i].type);
    rows->batches[rows->batch_count++] = copy;
    rows->row_count += copy.count;
    return WEIR_OK;
}
