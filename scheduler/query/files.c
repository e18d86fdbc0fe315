/* FROM 'path': Parquet, NDJSON or CSV files as one table. */
#include "scheduler/query/files_int.h"

#include "connectors/file/file_source.h"
#include "formats/parquet/scan.h"
#include "scheduler/query/text_files.h"

#include <string.h>

#define FILES_MAX  100000 /* of one path */
#define FILES_OPEN 24     /* that keep a descriptor: a process has few (ulimit -n) */

struct opened {
    struct weir_file_source source;
    struct weir_file **files;
    size_t count;
    struct weir_table_source inner;
};

static weir_status read_range(void *self, uint64_t offset, uint64_t size, struct weir_buffer *out,
                              struct weir_error *reterr)
{
    return weir_file_read_at(self, offset, (size_t)size, out, reterr);
}

static bool ends_with(const char *path, const char *end)
{
    size_t size = strlen(path), length = strlen(end);
    return size >= length && strcmp(path + size - length, end) == 0;
}

/* ---- a source that closes its files behind the one of the format ---- */

static void opened_free(struct opened *opened)
{
    if (!opened)
        return;
    if (opened->inner.operations)
        opened->inner.operations->free(opened->inner.self);
    for (size_t i = 0; i < opened->count; i++)
        weir_file_close(opened->files[i]);
    weir_free(opened->files);
    weir_free(opened);
}

static const struct weir_type *files_schema(void *self)
{
    struct opened *opened = self;
    return opened->inner.operations->schema(opened->inner.self);
}

static uint64_t files_rows(void *self, bool *ret_exact)
{
    struct opened *opened = self;
    return opened->inner.operations->row_count(opened->inner.self, ret_exact);
}

static bool files_bounds(void *self, uint32_t column, struct weir_arena *arena,
                         struct weir_vector *ret_lower, struct weir_vector *ret_upper,
                         uint64_t *ret_null_count)
{
    struct opened *opened = self;
    return opened->inner.operations->bounds &&
           opened->inner.operations->bounds(opened->inner.self, column, arena, ret_lower, ret_upper,
                                            ret_null_count);
}

static weir_status files_open(void *self, struct weir_context *context,
                              struct weir_account *account, const struct weir_scan_request *request,
                              struct weir_scan **ret_scan, struct weir_error *reterr)
{
    struct opened *opened = self;
    return opened->inner.operations->open(opened->inner.self, context, account, request, ret_scan,
                                          reterr);
}

static void files_free(void *self)
{
    opened_free(self);
}

static const struct weir_table_source_operations *wrapped(
    const struct weir_table_source_operations *inner, struct weir_table_source_operations *made)
{
    *made = *inner;
    made->schema = files_schema;
    made->row_count = files_rows;
    made->bounds = files_bounds;
    made->open = files_open;
    made->free = files_free;
    return made;
}

/* ---- Parquet ---- */

static weir_status open_parquet(struct weir_context *context, struct weir_account *account,
                                const struct weir_file_entry *entries, struct opened *opened,
                                struct weir_error *reterr)
{
    struct weir_parquet_file **parsed;
    size_t count = opened->count, done = 0;
    weir_status status;
    WEIR_TRY(weir_alloc_zero(account, count + 1, sizeof *parsed, &parsed, reterr));
    for (; done < count; done++) {
        struct weir_parquet_source source = {read_range, opened->files[done],
                                             weir_file_size(opened->files[done]),
                                             entries[done].path};
        status = weir_parquet_file_open(account, source, &parsed[done], reterr);
        if (status != WEIR_OK) {
            weir_error_prefix(reterr, "%s", entries[done].path);
            goto out;
        }
    }
    status = weir_parquet_table_source(context, account, parsed, count, &opened->inner, reterr);
    if (status == WEIR_OK)
        done = 0; /* the source's now */
out:
    for (size_t i = 0; i < done; i++)
        weir_parquet_file_free(parsed[i]);
    weir_free(parsed);
    return status;
}

/* ---- any ---- */

/* What the path's end says; a path that ends in a wildcard: what the first file's does. */
static weir_status open_format(struct weir_context *context, struct weir_account *account,
                               const char *path, const struct weir_file_entry *entries,
                               struct opened *opened, struct weir_error *reterr)
{
    enum query_text_format format = query_text_format_of(path);
    if (format == QUERY_TEXT_NONE)
        format = query_text_format_of(entries[0].path);
    if (ends_with(path, ".parquet") || ends_with(entries[0].path, ".parquet"))
        return open_parquet(context, account, entries, opened, reterr);
    if (format == QUERY_TEXT_NONE)
        return weir_fail(reterr, WEIR_UNSUPPORTED,
                         "'%s': files are read whose name ends in .parquet, .ndjson, .jsonl, "
                         ".json, .csv or .tsv (text also with .gz, .zst or .lz4 behind)",
                         path);
    return query_text_source(account, format, opened->files, entries, opened->count, &opened->inner,
                             reterr);
}

static weir_status open_files(struct opened *opened, struct weir_account *account,
                              const struct weir_file_entry *entries, size_t count,
                              struct weir_error *reterr)
{
    WEIR_TRY(weir_alloc_zero(account, count + 1, sizeof *opened->files, &opened->files, reterr));
    for (; opened->count < count; opened->count++) {
        struct weir_file **file = &opened->files[opened->count];
        WEIR_TRY(weir_file_open(&opened->source, &entries[opened->count], file, reterr));
        if (count > FILES_OPEN)
            weir_file_rest(*file);
    }
    return WEIR_OK;
}

static bool is_below(const struct weir_object_store *store, const char *path)
{
    size_t root = store && store->operations ? strlen(store->root_uri) : 0;
    return root && strncmp(path, store->root_uri, root) == 0 && path[root] == '/';
}

static weir_status place(const struct weir_object_store *store,
                         const struct weir_object_store *more, const char *path,
                         struct weir_file_source *source, const char **ret_pattern,
                         struct weir_error *reterr)
{
    *ret_pattern = path;
    if (strncmp(path, "s3://", 5) != 0)
        return WEIR_OK;
    if (!is_below(store, path) && is_below(more, path))
        store = more;
    size_t root = store && store->operations ? strlen(store->root_uri) : 0;
    if (!is_below(store, path))
        return weir_fail(reterr, WEIR_UNSUPPORTED,
                         "%s is outside of the lake%s%s; only objects below it can be read", path,
                         root ? " " : "", root ? store->root_uri : "");
    source->store = store;
    *ret_pattern = path + root + 1;
    return WEIR_OK;
}

weir_status weir_query_files(struct weir_context *context, struct weir_account *account,
                             const struct weir_object_store *store,
                             const struct weir_object_store *more, const char *path,
                             struct weir_table_source *ret_source, struct weir_error *reterr)
{
    struct weir_table_source_operations *operations;
    struct weir_file_entry *entries;
    struct opened *opened;
    struct weir_arena arena;
    const char *pattern;
    size_t count;
    weir_status status;
    WEIR_TRY(weir_alloc_zero(account, 1, sizeof *opened + sizeof *operations, &opened, reterr));
    operations = (struct weir_table_source_operations *)(opened + 1);
    opened->source.context = context;
    weir_arena_init(&arena, account);
    WEIR_TRY_OUT(status, place(store, more, path, &opened->source, &pattern, reterr));
    WEIR_TRY_OUT(status,
                 weir_file_list(&opened->source, pattern, &arena, &entries, &count, reterr));
    if (count == 0 || count > FILES_MAX) {
        status = count ? weir_fail(reterr, WEIR_UNSUPPORTED, "'%s' matches %zu files, more than %d",
                                   path, count, FILES_MAX)
                       : weir_fail(reterr, WEIR_NOT_FOUND, "no file matches '%s'", path);
        goto out;
    }
    WEIR_TRY_OUT(status, open_files(opened, account, entries, count, reterr));
    WEIR_TRY_OUT(status, open_format(context, account, path, entries, opened, reterr));
    *ret_source = (struct weir_table_source){wrapped(opened->inner.operations, operations), opened};
    opened = NULL;
out:
    opened_free(opened);
    weir_arena_done(&arena);
    return status;
}
