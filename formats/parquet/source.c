/* Parquet files as one table: engine/vec/scan.h over cursors, a morsel a row group, or a
 * million rows of a larger one. */
#include "formats/parquet/scan_int.h"

#include <pthread.h>
#include <string.h>

#define PIECE_ROWS (UINT64_C(1) << 20) /* rows of a morsel at most */

struct parquet_table {
    struct weir_account *account;
    struct weir_parquet_file **files;
    size_t file_count;
};

struct piece {
    uint32_t file;
    size_t group;
    struct parquet_rows rows;
};

struct weir_scan {
    pthread_mutex_t lock;
    struct parquet_kit *kits; /* that no morsel uses */
    uint32_t leaf_count;      /* of the file with the most */
    struct parquet_table *table;
    struct weir_account *account;
    struct weir_parquet_read read;
    struct weir_scan_counters counters;
    struct piece *pieces;
    size_t piece_count;
};

struct weir_morsel {
    struct weir_scan *scan;
    struct weir_parquet_cursor *cursor;
    struct parquet_kit *kit;
    size_t file;
};

static const struct weir_type *table_schema(void *self)
{
    return weir_parquet_file_type(((struct parquet_table *)self)->files[0]);
}

static uint64_t table_rows(void *self, bool *ret_exact)
{
    struct parquet_table *table = self;
    uint64_t rows = 0;
    for (size_t i = 0; i < table->file_count; i++)
        rows += weir_parquet_file_rows(table->files[i]);
    *ret_exact = true;
    return rows;
}

/* ---- bounds
 * ----------------------------------------------------------------------------------------------
 */

/* Where in a file a column of the table's schema lies; PARQUET_NO_LEAF if it has none. */
static uint32_t column_leaf(const struct weir_parquet_file *file, const struct weir_type *schema,
                            uint32_t column, struct weir_arena *arena)
{
    struct weir_type one = {
        .id = WEIR_STRUCT, .child_count = 1, .children = &schema->children[column]};
    const struct weir_type **targets;
    struct parquet_plan *plan;
    bool *levels;
    size_t leaves = (size_t)file->meta.leaf_count + 1;
    if (weir_arena_zero(arena, leaves, sizeof *targets, &targets, NULL) != WEIR_OK ||
        weir_arena_zero(arena, leaves, sizeof *levels, &levels, NULL) != WEIR_OK ||
        parquet_plan_make(arena, &file->meta, &one, NULL, &plan, targets, levels, NULL) != WEIR_OK)
        return PARQUET_NO_LEAF;
    return plan->leaf;
}

static bool table_bounds(void *self, uint32_t column, struct weir_arena *arena,
                         struct weir_vector *ret_lower, struct weir_vector *ret_upper,
                         uint64_t *ret_null_count)
{
    struct parquet_table *table = self;
    const struct weir_type *schema = table_schema(self), *type = &schema->children[column].type;
    struct weir_parquet_statistics all = {0}, one;
    bool met = false;
    if (weir_type_is_nested(type->id) || type->id == WEIR_FLOAT || type->id == WEIR_DOUBLE)
        return false; /* NaN may hide behind the bounds of floats */
    for (size_t f = 0; f < table->file_count; f++) {
        const struct weir_parquet_file *file = table->files[f];
        uint32_t leaf = column_leaf(file, schema, column, arena);
        if (leaf == PARQUET_NO_LEAF)
            return false;
        for (size_t g = 0; g < file->meta.group_count; g++) {
            if (parquet_statistics_make(file, g, leaf, type, arena, &one, NULL) != WEIR_OK ||
                !one.has_lower || !one.has_upper || !one.has_null_count)
                return false;
            if (!met || parquet_value_compare(&one.lower, &all.lower) < 0)
                all.lower = one.lower;
            if (!met || parquet_value_compare(&one.upper, &all.upper) > 0)
                all.upper = one.upper;
            all.null_count += one.null_count;
            met = true;
        }
    }
    if (!met)
        return false;
    *ret_lower = all.lower;
    *ret_upper = all.upper;
    *ret_null_count = all.null_count;
    return true;
}

/* ---- scans
 * -----------------------------------------------------------------------------------------------
 */

static void scan_close(struct weir_scan *scan)
{
    if (!scan)
        return;
    while (scan->kits) {
        struct parquet_kit *kit = scan->kits;
        scan->kits = kit->next;
        parquet_kit_free(kit);
    }
    pthread_mutex_destroy(&scan->lock);
    weir_free(scan->pieces);
    weir_free(scan);
}

static uint64_t piece_count(uint64_t rows)
{
    return rows / PIECE_ROWS + (rows % PIECE_ROWS != 0 || rows == 0);
}

/* Large row groups are cut, so that several threads can read them. */
static void add_pieces(struct weir_scan *scan, size_t file, size_t group, uint64_t rows)
{
    uint64_t count = piece_count(rows);
    for (uint64_t i = 0; i < count; i++)
        scan->pieces[scan->piece_count++] = (struct piece){
            .file = (uint32_t)file,
            .group = group,
            .rows = {i * PIECE_ROWS, i + 1 == count ? UINT64_MAX : (i + 1) * PIECE_ROWS}};
}

/* Row groups that statistics do not exclude; with nothing to filter, as many as the limit needs. */
static void scan_plan(struct weir_scan *scan, const struct weir_scan_request *request)
{
    bool limited = request->limit >= 0 && !request->filter && request->predicate_count == 0;
    uint64_t rows = 0;
    for (size_t f = 0; f < scan->table->file_count; f++) {
        const struct weir_parquet_file *file = scan->table->files[f];
        bool met = false;
        for (size_t g = 0; g < file->meta.group_count; g++) {
            if (limited && rows >= (uint64_t)request->limit)
                break;
            if (weir_parquet_group_excluded(file, g, &scan->read)) {
                scan->counters.row_groups_skipped++;
                scan->counters.rows_skipped += file->meta.groups[g].row_count;
                continue;
            }
            add_pieces(scan, f, g, file->meta.groups[g].row_count);
            rows += file->meta.groups[g].row_count;
            met = true;
        }
        if (met)
            scan->counters.files_read++;
        else
            scan->counters.files_skipped++;
    }
}

static weir_status scan_open(void *self, struct weir_context *context, struct weir_account *account,
                             const struct weir_scan_request *request, struct weir_scan **ret_scan,
                             struct weir_error *reterr)
{
    struct parquet_table *table = self;
    struct weir_scan *scan;
    size_t pieces = 0;
    WEIR_TRY(weir_alloc_zero(account, 1, sizeof *scan, &scan, reterr));
    pthread_mutex_init(&scan->lock, NULL);
    for (size_t f = 0; f < table->file_count; f++) {
        const struct file_meta *meta = &table->files[f]->meta;
        for (size_t g = 0; g < meta->group_count; g++)
            pieces += piece_count(meta->groups[g].row_count);
        scan->leaf_count = meta->leaf_count > scan->leaf_count ? meta->leaf_count
                                                               : scan->leaf_count;
    }
    scan->table = table;
    scan->account = account;
    scan->read = (struct weir_parquet_read){.wanted = request->wanted,
                                            .predicates = request->predicates,
                                            .predicate_count = request->predicate_count,
                                            .filter = request->filter,
                                            .batch_rows = request->batch_rows,
                                            .counters = &scan->counters};
    weir_status status = weir_alloc_zero(account, pieces + 1, sizeof *scan->pieces, &scan->pieces,
                                         reterr);
    if (status != WEIR_OK) {
        scan_close(scan);
        return status;
    }
    scan_plan(scan, request);
    *ret_scan = scan;
    return WEIR_OK;
}

static size_t scan_morsels(const struct weir_scan *scan)
{
    return scan->piece_count;
}

static weir_status name_file(const struct weir_scan *scan, size_t file, weir_status status,
                             struct weir_error *reterr)
{
    const char *name = scan->table->files[file]->source.name;
    if (status != WEIR_OK && name)
        weir_error_prefix(reterr, "%.300s", name);
    else if (status != WEIR_OK && scan->table->file_count > 1)
        weir_error_prefix(reterr, "file %zu", file);
    return status;
}

static void morsel_close(struct weir_morsel *morsel)
{
    if (!morsel)
        return;
    weir_parquet_cursor_free(morsel->cursor);
    if (morsel->kit) {
        pthread_mutex_lock(&morsel->scan->lock);
        morsel->kit->next = morsel->scan->kits;
        morsel->scan->kits = morsel->kit;
        pthread_mutex_unlock(&morsel->scan->lock);
    }
    weir_free(morsel);
}

static weir_status take_kit(struct weir_scan *scan, struct parquet_kit **ret_kit,
                            struct weir_error *reterr)
{
    pthread_mutex_lock(&scan->lock);
    struct parquet_kit *kit = scan->kits;
    if (kit)
        scan->kits = kit->next;
    pthread_mutex_unlock(&scan->lock);
    if (!kit)
        return parquet_kit_new(scan->account, scan->leaf_count, ret_kit, reterr);
    *ret_kit = kit;
    return WEIR_OK;
}

static weir_status morsel_open(struct weir_scan *scan, size_t index,
                               struct weir_morsel **ret_morsel, struct weir_error *reterr)
{
    const struct piece *piece = &scan->pieces[index];
    struct weir_morsel *morsel;
    WEIR_TRY(weir_alloc_zero(scan->account, 1, sizeof *morsel, &morsel, reterr));
    morsel->scan = scan;
    morsel->file = piece->file;
    weir_status status = take_kit(scan, &morsel->kit, reterr);
    if (status == WEIR_OK)
        status = name_file(scan, piece->file,
                           parquet_cursor_open(scan->account, scan->table->files[piece->file],
                                               piece->group, piece->rows, &scan->read, morsel->kit,
                                               &morsel->cursor, reterr),
                           reterr);
    if (status != WEIR_OK || !morsel->cursor) {
        morsel_close(morsel);
        morsel = NULL;
    }
    if (status == WEIR_OK)
        *ret_morsel = morsel;
    return status;
}

static weir_status morsel_next(struct weir_morsel *morsel, struct weir_arena *arena,
                               struct weir_batch *ret_batch, bool *ret_end,
                               struct weir_error *reterr)
{
    weir_status status = weir_parquet_cursor_next(morsel->cursor, arena, ret_batch, ret_end,
                                                  reterr);
    bool files = status == WEIR_CORRUPT || status == WEIR_NO_MEMORY || status == WEIR_IO;
    return files ? name_file(morsel->scan, morsel->file, status, reterr) : status;
}

static const struct weir_scan_counters *scan_counters(const struct weir_scan *scan)
{
    return &scan->counters;
}

/* ---- life
 * ------------------------------------------------------------------------------------------------
 */

static void table_free(void *self)
{
    struct parquet_table *table = self;
    if (!table)
        return;
    for (size_t i = 0; i < table->file_count; i++)
        weir_parquet_file_free(table->files[i]);
    weir_free(table->files);
    weir_free(table);
}

static const struct weir_table_source_operations table_operations = {.kind = "parquet",
                                                                     .schema = table_schema,
                                                                     .row_count = table_rows,
                                                                     .bounds = table_bounds,
                                                                     .open = scan_open,
                                                                     .morsel_count = scan_morsels,
                                                                     .morsel_open = morsel_open,
                                                                     .morsel_next = morsel_next,
                                                                     .morsel_close = morsel_close,
                                                                     .counters = scan_counters,
                                                                     .close = scan_close,
                                                                     .free = table_free};

/* The first file's columns can be read of every other. */
static weir_status check_files(struct weir_account *account, struct weir_parquet_file **files,
                               size_t count, struct weir_error *reterr)
{
    struct weir_parquet_read read = {.wanted = weir_parquet_file_type(files[0])};
    struct weir_arena arena;
    weir_status status = WEIR_OK;
    weir_arena_init(&arena, account);
    for (size_t i = 1; i < count && status == WEIR_OK; i++) {
        weir_arena_reset(&arena);
        status = parquet_read_check(&arena, files[i], &read, reterr);
        if (status != WEIR_OK)
            weir_error_prefix(reterr, "file %zu", i);
    }
    weir_arena_done(&arena);
    return status;
}

weir_status weir_parquet_table_source(struct weir_context *context, struct weir_account *account,
                                      struct weir_parquet_file **files, size_t file_count,
                                      struct weir_table_source *ret_source,
                                      struct weir_error *reterr)
{
    struct parquet_table *table;
    if (file_count == 0)
        return weir_fail(reterr, WEIR_USAGE, "a table of no files");
    WEIR_TRY(check_files(account, files, file_count, reterr));
    WEIR_TRY(weir_alloc_zero(account, 1, sizeof *table, &table, reterr));
    table->account = account;
    weir_status status = weir_alloc_zero(account, file_count, sizeof *table->files, &table->files,
                                         reterr);
    if (status != WEIR_OK) {
        weir_free(table);
        return status;
    }
    memcpy(table->files, files, file_count * sizeof *files);
    table->file_count = file_count;
    *ret_source = (struct weir_table_source){&table_operations, table};
    return WEIR_OK;
}
