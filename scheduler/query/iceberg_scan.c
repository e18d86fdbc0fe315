/* The source's functions: opening scans, and morsels. Morsel k of the n that a file was planned to
 * have reads the row groups [k*g/n, (k+1)*g/n) of the g that it turns out to have: no footer is
 * needed for planning, and every row group is in exactly one. */
#include "scheduler/query/iceberg_scan.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "scheduler/query/iceberg_int.h"

struct weir_morsel {
    struct weir_scan *scan;
    struct iceberg_file *file;
    struct iceberg_open *open;
    struct weir_scan_filter filter;
    struct weir_parquet_read read;
    size_t group, group_end;
    struct weir_parquet_cursor *cursor;
};

static const struct weir_type *source_schema(void *self)
{
    struct iceberg_source *source = self;
    return &source->schema.root;
}

static uint64_t source_row_count(void *self, bool *ret_exact)
{
    struct iceberg_source *source = self;
    uint64_t rows = 0;
    bool exact = true;
    if (source->options.wants) {
        *ret_exact = false;
        return source->options.wanted_rows;
    }
    for (size_t i = 0; i < source->manifest_count; i++) {
        const struct weir_manifest *manifest = &source->manifests[i];
        bool live = manifest->added_files != 0 || manifest->existing_files != 0;
        if (manifest->content == 1) {
            exact = exact && !live;
            continue;
        }
        exact = exact && manifest->added_rows >= 0 && manifest->existing_rows >= 0;
        rows += manifest->added_rows > 0 ? (uint64_t)manifest->added_rows : 0;
        rows += manifest->existing_rows > 0 ? (uint64_t)manifest->existing_rows : 0;
    }
    const json_t *total = source->has_snapshot
                              ? json_object_get(source->snapshot.summary, "total-records")
                              : NULL;
    if (rows == 0 && json_is_string(total))
        rows = strtoull(json_string_value(total), NULL, 10);
    *ret_exact = exact;
    return rows;
}

static bool source_bounds(void *self, uint32_t column, struct weir_arena *arena,
                          struct weir_vector *ret_lower, struct weir_vector *ret_upper,
                          uint64_t *ret_null_count)
{
    struct iceberg_source *source = self;
    if (column >= source->schema.root.child_count || iceberg_plan_bounds(source, NULL) != WEIR_OK ||
        !source->bounds[column].known || !source->bounds[column].lower.data)
        return false;
    const struct weir_type *type = &source->schema.root.children[column].type;
    struct weir_vector lower, upper;
    if (weir_value_vector(arena, type, &source->bounds[column].lower, &lower, NULL) != WEIR_OK ||
        weir_value_vector(arena, type, &source->bounds[column].upper, &upper, NULL) != WEIR_OK)
        return false;
    *ret_lower = lower;
    *ret_upper = upper;
    *ret_null_count = source->bounds[column].null_count;
    return true;
}

static void scan_close(struct weir_scan *scan)
{
    if (!scan)
        return;
    for (size_t i = 0; i < scan->file_count; i++)
        pthread_mutex_destroy(&scan->files[i].lock);
    iceberg_deletes_done(scan);
    weir_free(scan->files);
    weir_parquet_pool_free(scan->pool);
    weir_arena_done(&scan->arena);
    weir_free(scan);
}

static weir_status scan_open(void *self, struct weir_context *context, struct weir_account *account,
                             const struct weir_scan_request *request, struct weir_scan **ret_scan,
                             struct weir_error *reterr)
{
    struct weir_scan *scan;
    WEIR_TRY(weir_alloc_zero(account, 1, sizeof *scan, &scan, reterr));
    scan->source = self;
    scan->context = context;
    scan->account = account;
    scan->request = *request;
    weir_arena_init(&scan->arena, account);
    weir_status status = iceberg_plan(scan, reterr);
    if (status == WEIR_OK)
        status = weir_parquet_pool_new(account, &scan->pool, reterr);
    if (status != WEIR_OK) {
        scan_close(scan);
        return status;
    }
    *ret_scan = scan;
    return WEIR_OK;
}

static size_t scan_morsel_count(const struct weir_scan *scan)
{
    return scan->morsel_count;
}

static const struct weir_scan_counters *scan_counters(const struct weir_scan *scan)
{
    return &scan->counters;
}

/* ---- open files ----------------------------------------------------------------------------- */

static weir_status read_object(void *self, uint64_t offset, uint64_t size, struct weir_buffer *out,
                               struct weir_error *reterr)
{
    struct iceberg_open *open = self;
    return open->store.operations->get(open->store.self, open->name, offset, size, out, NULL,
                                       reterr);
}

static void clear_deleted(void *self, uint64_t first, uint32_t count, uint8_t *keep_bits)
{
    weir_row_set_clear(self, first, count, keep_bits);
}

static void file_free(struct iceberg_open *open)
{
    if (!open)
        return;
    weir_parquet_file_free(open->parquet);
    weir_arena_done(&open->arena);
    weir_free(open);
}

static weir_status file_fill(struct weir_scan *scan, struct iceberg_file *file,
                             struct iceberg_open *open, struct weir_error *reterr)
{
    WEIR_TRY(iceberg_locate(scan->source, file->location, &open->arena, &open->store, &open->name,
                            reterr));
    WEIR_TRY(weir_parquet_file_open(
        scan->account, (struct weir_parquet_source){read_object, open, (uint64_t)file->size},
        &open->parquet, reterr));
    atomic_fetch_add(&scan->counters.files_read, 1);
    WEIR_TRY(iceberg_columns_make(scan, file, open, reterr));
    WEIR_TRY(iceberg_deletes_load(scan, file, open, reterr));
    open->rows = (struct weir_row_filter){clear_deleted, &open->deleted};
    return WEIR_OK;
}

static weir_status file_acquire(struct weir_scan *scan, struct iceberg_file *file,
                                struct iceberg_open **ret_open, struct weir_error *reterr)
{
    weir_status status = WEIR_OK;
    pthread_mutex_lock(&file->lock);
    if (!file->open) {
        status = weir_alloc_zero(scan->account, 1, sizeof *file->open, &file->open, reterr);
        if (status == WEIR_OK) {
            weir_arena_init(&file->open->arena, scan->account);
            status = file_fill(scan, file, file->open, reterr);
        }
        if (status != WEIR_OK) {
            file_free(file->open);
            file->open = NULL;
        }
    }
    file->users += status == WEIR_OK;
    *ret_open = file->open;
    pthread_mutex_unlock(&file->lock);
    if (status != WEIR_OK)
        weir_error_prefix(reterr, "%.300s", file->location);
    return status;
}

/* The last morsel of a file takes it along; before that its footer stays for the others, unless
 * nobody reads it now. */
static void file_release(struct iceberg_file *file)
{
    struct iceberg_open *last = NULL;
    pthread_mutex_lock(&file->lock);
    file->users--;
    file->done++;
    if (file->users == 0 && file->done >= file->morsel_count) {
        last = file->open;
        file->open = NULL;
    }
    pthread_mutex_unlock(&file->lock);
    file_free(last);
}

/* ---- morsels -------------------------------------------------------------------------------- */

/* The request's columns out of a batch of the file's; only those of `needs` (NULL: all). `whole`:
 * with the fields that only keys of equality deletes need. */
static weir_status map_batch(struct weir_morsel *morsel, const struct weir_batch *batch,
                             const uint8_t *needs, bool whole, size_t count,
                             struct weir_arena *arena, struct weir_batch *ret_batch,
                             struct weir_error *reterr)
{
    const struct weir_type *wanted = morsel->scan->request.wanted;
    const struct iceberg_columns *columns = &morsel->open->columns;
    struct weir_batch out = {.type = wanted, .count = batch->count};
    WEIR_TRY(weir_arena_zero(arena, count, sizeof *out.columns, &out.columns, reterr));
    for (size_t i = 0; i < count; i++) {
        const struct iceberg_column *column = &columns->columns[i];
        const struct weir_type *type = i < wanted->child_count && !whole ? &wanted->children[i].type
                                       : column->constant
                                           ? column->value.type
                                           : &columns->wanted.children[column->at].type;
        out.columns[i] = (struct weir_vector){.type = type, .count = batch->count};
        if (!needs || weir_bit_get(needs, i))
            WEIR_TRY(iceberg_columns_map(morsel->scan->source, columns, type, i, batch, arena,
                                         &out.columns[i], reterr));
    }
    *ret_batch = out;
    return WEIR_OK;
}

/* The request's filter, and then the equality deletes, over the file's columns. */
static weir_status select_rows(void *self, const struct weir_batch *batch, struct weir_arena *arena,
                               struct weir_selection *ret_selection, struct weir_error *reterr)
{
    struct weir_morsel *morsel = self;
    const struct weir_scan_filter *filter = morsel->scan->request.filter;
    struct weir_selection selection = {.count = batch->count};
    struct weir_batch mapped;
    if (filter) {
        WEIR_TRY(map_batch(morsel, batch, filter->needs, false,
                           morsel->scan->request.wanted->child_count, arena, &mapped, reterr));
        WEIR_TRY(filter->select(filter->self, &mapped, arena, &selection, reterr));
    }
    if (morsel->file->equality_count) {
        uint8_t *keys;
        size_t count = morsel->open->columns.count;
        WEIR_TRY(weir_arena_zero(arena, count / 8 + 8, 1, &keys, reterr));
        for (size_t i = 0; i < morsel->file->equality_count; i++)
            for (size_t j = 0; j < morsel->file->equalities[i]->id_count; j++)
                weir_bit_set(keys, morsel->open->equality_columns[i][j]);
        WEIR_TRY(map_batch(morsel, batch, keys, true, count, arena, &mapped, reterr));
        WEIR_TRY(iceberg_deletes_select(morsel->file, morsel->open, &mapped,
                                        filter ? &selection : NULL, arena, &selection, reterr));
    }
    *ret_selection = selection;
    return WEIR_OK;
}

static void morsel_set_up(struct weir_morsel *morsel, size_t index)
{
    struct weir_scan *scan = morsel->scan;
    struct iceberg_open *open = morsel->open;
    uint64_t groups = weir_parquet_file_group_count(open->parquet),
             at = index - morsel->file->first_morsel, of = morsel->file->morsel_count;
    morsel->group = at * groups / of;
    morsel->group_end = (at + 1) * groups / of;
    morsel->filter = (struct weir_scan_filter){select_rows, morsel, open->columns.needs};
    bool filtered = scan->request.filter || morsel->file->equality_count;
    morsel->read = (struct weir_parquet_read){
        .wanted = &open->columns.wanted,
        .names = open->columns.names.child_count ? &open->columns.names : NULL,
        .predicates = open->columns.predicates,
        .predicate_count = open->columns.predicate_count,
        .filter = filtered ? &morsel->filter : NULL,
        .rows = open->deleted.set_count ? &open->rows : NULL,
        .batch_rows = scan->request.batch_rows,
        .counters = &scan->counters,
        .pool = scan->pool,
    };
}

static struct iceberg_file *file_of(struct weir_scan *scan, size_t morsel)
{
    size_t low = 0, high = scan->file_count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (scan->files[middle].first_morsel <= morsel)
            low = middle;
        else
            high = middle;
    }
    return &scan->files[low];
}

const char *weir_iceberg_morsel_file(struct weir_scan *scan, size_t morsel)
{
    return file_of(scan, morsel)->location;
}

static weir_status scan_morsel_open(struct weir_scan *scan, size_t index,
                                    struct weir_morsel **ret_morsel, struct weir_error *reterr)
{
    struct weir_morsel *morsel;
    WEIR_TRY(weir_alloc_zero(scan->account, 1, sizeof *morsel, &morsel, reterr));
    morsel->scan = scan;
    morsel->file = file_of(scan, index);
    weir_status status = file_acquire(scan, morsel->file, &morsel->open, reterr);
    if (status != WEIR_OK) {
        weir_free(morsel);
        return status;
    }
    morsel_set_up(morsel, index);
    *ret_morsel = morsel;
    return WEIR_OK;
}

static weir_status next_batch(struct weir_morsel *morsel, struct weir_arena *arena,
                              struct weir_batch *batch, bool *ret_end, struct weir_error *reterr)
{
    bool end = true;
    while (end) {
        if (!morsel->cursor && morsel->group == morsel->group_end) {
            *ret_end = true;
            return WEIR_OK;
        }
        if (!morsel->cursor)
            WEIR_TRY(weir_parquet_cursor_open(morsel->scan->account, morsel->open->parquet,
                                              morsel->group++, &morsel->read, &morsel->cursor,
                                              reterr));
        if (!morsel->cursor)
            continue;
        WEIR_TRY(weir_parquet_cursor_next(morsel->cursor, arena, batch, &end, reterr));
        if (end) {
            weir_parquet_cursor_free(morsel->cursor);
            morsel->cursor = NULL;
        }
    }
    *ret_end = false;
    return WEIR_OK;
}

static weir_status morsel_next(struct weir_morsel *morsel, struct weir_arena *arena,
                               struct weir_batch *ret_batch, bool *ret_end,
                               struct weir_error *reterr)
{
    struct weir_batch batch = {0};
    bool end;
    weir_status status = next_batch(morsel, arena, &batch, &end, reterr);
    if (status == WEIR_OK && !end)
        status = map_batch(morsel, &batch, NULL, false, morsel->scan->request.wanted->child_count,
                           arena, &batch, reterr);
    if (status != WEIR_OK) {
        weir_error_prefix(reterr, "%.300s", morsel->file->location);
        return status;
    }
    if (end)
        batch = (struct weir_batch){.type = morsel->scan->request.wanted};
    *ret_batch = batch;
    *ret_end = end;
    return WEIR_OK;
}

static void morsel_close(struct weir_morsel *morsel)
{
    if (!morsel)
        return;
    weir_parquet_cursor_free(morsel->cursor);
    file_release(morsel->file);
    weir_free(morsel);
}

static void source_free(void *self)
{
    iceberg_source_free(self);
}

static const struct weir_table_source_operations operations = {
    .kind = "iceberg",
    .schema = source_schema,
    .row_count = source_row_count,
    .bounds = source_bounds,
    .open = scan_open,
    .morsel_count = scan_morsel_count,
    .morsel_open = scan_morsel_open,
    .morsel_next = morsel_next,
    .morsel_close = morsel_close,
    .counters = scan_counters,
    .close = scan_close,
    .free = source_free,
};

weir_status weir_iceberg_source_open(struct weir_context *context, struct weir_account *account,
                                     const struct weir_iceberg_options *options,
                                     struct weir_table_source *ret_source,
                                     struct weir_error *reterr)
{
    struct iceberg_source *source;
    WEIR_TRY(iceberg_source_new(context, account, options, &source, reterr));
    *ret_source = (struct weir_table_source){&operations, source};
    return WEIR_OK;
}

const char *weir_iceberg_refused(const struct weir_table_source *source, const char *path)
{
    if (source->operations != &operations)
        return NULL;
    const struct iceberg_source *self = source->self;
    for (size_t i = 0; i < self->refusal_count; i++)
        if (strcasecmp(self->refusals[i].path, path) == 0)
            return self->refusals[i].type;
    return NULL;
}
