/* Files of a table written anew with some of their rows: SQL over one file of the snapshot, deletes
 * in place applied, into the same writer as promotions have. */
#include "scheduler/query/iceberg_scan.h"
#include "scheduler/query/query.h"
#include "scheduler/upkeep/upkeep_int.h"
#include "scheduler/window/table_writer.h"

#include <stdlib.h>
#include <string.h>

#define WRITERS_MAX 4096 /* files in one piece of work */

struct upkeep_rewriter {
    const struct weir_upkeep_options *options;
    struct weir_lake *lake;
    struct weir_arena arena, piece; /* as long as the rewriter; until the next begin */
    struct weir_shape shape;
    struct weir_table_config config;
    char *location, *column_list;
    struct weir_table_source source;
    struct weir_query_session *session;
    struct weir_query_name name;
    const char *wanted; /* the file that the source shows now */
    struct weir_table_writer **writers;
    size_t writer_count;
    struct upkeep_rewritten rewritten;
    struct weir_row_hash hash;
};

static bool wants(void *self, const char *location)
{
    const struct upkeep_rewriter *rewriter = self;
    return strcmp(rewriter->wanted, location) == 0;
}

/* "a", "b": all columns, in the table's order. */
static weir_status list_columns(struct upkeep_rewriter *rewriter, struct weir_error *reterr)
{
    WEIR_AUTO(weir_buffer) text = {.account = rewriter->arena.account};
    for (uint32_t i = 0; i < rewriter->shape.write.child_count; i++) {
        WEIR_TRY(weir_buffer_print(&text, reterr, "%s\"", i ? ", " : ""));
        for (const char *at = rewriter->shape.write.children[i].name; *at; at++)
            WEIR_TRY(weir_buffer_print(&text, reterr, *at == '"' ? "\"\"" : "%c", *at));
        WEIR_TRY(weir_buffer_print(&text, reterr, "\""));
    }
    return weir_arena_copy(&rewriter->arena, text.data, text.size, &rewriter->column_list, reterr);
}

static weir_status open_source(struct upkeep_rewriter *rewriter, const struct weir_table *table,
                               int64_t snapshot_id, struct weir_error *reterr)
{
    struct weir_context *context = rewriter->lake->context;
    const struct weir_pipeline *pipeline = rewriter->options->pipeline;
    struct weir_iceberg_options options = {.metadata_location = table->metadata_location,
                                           .store = rewriter->lake->store,
                                           .has_snapshot_id = true,
                                           .snapshot_id = snapshot_id,
                                           .current_schema = true,
                                           .wants = wants,
                                           .wants_self = rewriter,
                                           .wanted_rows = 100000 /* a guess */};
    struct weir_query_options query = {.context = context,
                                       .catalog = &rewriter->lake->catalog,
                                       .store = &rewriter->lake->store,
                                       .memory_limit = pipeline->memory_limit,
                                       .spill_folder = pipeline->spill_dir,
                                       .spill_limit = pipeline->spill_limit,
                                       .now_micros = weir_now_ms(context) * 1000};
    WEIR_TRY(
        weir_iceberg_source_open(context, &context->memory, &options, &rewriter->source, reterr));
    WEIR_TRY(weir_query_session_new(&query, &rewriter->session, reterr));
    rewriter->name = (struct weir_query_name){.name = "weir.file", .source = &rewriter->source};
    weir_query_names_set(rewriter->session, &rewriter->name, 1);
    return WEIR_OK;
}

static weir_status rewriter_open(struct upkeep_rewriter *rewriter, const struct weir_table *table,
                                 int64_t snapshot_id, struct weir_error *reterr)
{
    const char *location = weir_metadata_location(table->metadata);
    rewriter->config = *rewriter->options->table;
    WEIR_TRY(weir_shape_of_table(&rewriter->arena, table->metadata, &rewriter->shape, reterr));
    WEIR_TRY(
        weir_arena_copy(&rewriter->arena, location, strlen(location), &rewriter->location, reterr));
    WEIR_TRY(weir_arena_zero(&rewriter->arena, WRITERS_MAX, sizeof(*rewriter->writers),
                             &rewriter->writers, reterr));
    WEIR_TRY(list_columns(rewriter, reterr));
    return open_source(rewriter, table, snapshot_id, reterr);
}

weir_status upkeep_rewriter_new(const struct weir_upkeep_options *options,
                                const struct weir_table *table, int64_t snapshot_id,
                                struct upkeep_rewriter **ret_rewriter, struct weir_error *reterr)
{
    struct upkeep_rewriter *rewriter;
    struct weir_account *account = &options->lake->context->memory;
    WEIR_TRY(weir_alloc_zero(account, 1, sizeof *rewriter, &rewriter, reterr));
    rewriter->options = options;
    rewriter->lake = options->lake;
    weir_arena_init(&rewriter->arena, account);
    weir_arena_init(&rewriter->piece, account);
    weir_status status = rewriter_open(rewriter, table, snapshot_id, reterr);
    if (status != WEIR_OK)
        upkeep_rewriter_free(rewriter);
    else
        *ret_rewriter = rewriter;
    return status;
}

static void forget(struct upkeep_rewriter *rewriter)
{
    for (size_t i = 0; i < rewriter->writer_count; i++)
        weir_table_writer_free(rewriter->writers[i]);
    rewriter->writer_count = 0;
    json_decref(rewriter->rewritten.receipts);
    rewriter->rewritten = (struct upkeep_rewritten){0};
    rewriter->hash = (struct weir_row_hash){0};
}

void upkeep_rewriter_begin(struct upkeep_rewriter *rewriter)
{
    forget(rewriter);
    weir_arena_reset(&rewriter->piece);
}

void upkeep_rewriter_free(struct upkeep_rewriter *rewriter)
{
    if (!rewriter)
        return;
    forget(rewriter);
    weir_query_session_free(rewriter->session);
    if (rewriter->source.operations)
        rewriter->source.operations->free(rewriter->source.self);
    weir_arena_done(&rewriter->piece);
    weir_arena_done(&rewriter->arena);
    weir_free(rewriter);
}

/* ---- bounds that stay off ---- */

static bool has_bound(const struct weir_data_file *file, int32_t id)
{
    for (size_t i = 0; i < file->lower_count; i++)
        if (file->lower[i].id == id)
            return true;
    return false;
}

/* Are there values of it? Where nobody counted: yes. */
static bool has_values(const struct weir_data_file *file, int32_t id)
{
    int64_t values = -1, nulls = 0;
    for (size_t i = 0; i < file->value_count_count; i++)
        values = file->value_counts[i].id == id ? file->value_counts[i].count : values;
    for (size_t i = 0; i < file->null_count_count; i++)
        nulls = file->null_counts[i].id == id ? file->null_counts[i].count : nulls;
    return values < 0 || values > nulls;
}

/* One that has a leaf with values and without bounds, outside of lists and maps, whose leaves have
 * none in any case. */
static bool is_hidden(const struct weir_data_file *file, const struct weir_field *field)
{
    if (field->type.id == WEIR_LIST || field->type.id == WEIR_MAP)
        return false;
    if (field->type.child_count == 0)
        return !has_bound(file, field->id) && has_values(file, field->id);
    for (uint32_t i = 0; i < field->type.child_count; i++)
        if (is_hidden(file, &field->type.children[i]))
            return true;
    return false;
}

/* What the pipeline file says of the columns, and what the file itself tells: a model's classes
 * come from its lineage, and are known in its promotion alone. */
static weir_status hide(struct upkeep_rewriter *rewriter, const struct weir_data_file *file,
                        struct weir_table_config **ret_config, struct weir_error *reterr)
{
    const struct weir_type *write = &rewriter->shape.write;
    size_t count = rewriter->config.column_config_count;
    struct weir_column_config *columns;
    struct weir_table_config *config;
    WEIR_TRY(weir_arena_zero(&rewriter->piece, count + write->child_count + 1, sizeof *columns,
                             &columns, reterr));
    WEIR_TRY(weir_arena_zero(&rewriter->piece, 1, sizeof *config, &config, reterr));
    if (count)
        memcpy(columns, rewriter->config.column_configs, count * sizeof *columns);
    for (uint32_t i = 0; i < write->child_count; i++)
        if (is_hidden(file, &write->children[i]))
            columns[count++] = (struct weir_column_config){.path = write->children[i].name,
                                                           .class_name = "none"};
    *config = rewriter->config;
    config->column_configs = columns;
    config->column_config_count = count;
    *ret_config = config;
    return WEIR_OK;
}

/* ---- rows ---- */

static weir_status begin_result(void *self, const struct weir_type *type, struct weir_error *reterr)
{
    (void)self, (void)type, (void)reterr;
    return WEIR_OK;
}

static weir_status write_batch(void *self, const struct weir_batch *batch,
                               struct weir_error *reterr)
{
    return weir_table_writer_add(self, batch, reterr);
}

static weir_status count_batch(void *self, const struct weir_batch *batch,
                               struct weir_error *reterr)
{
    (void)reterr;
    *(int64_t *)self += batch->count;
    return WEIR_OK;
}

static weir_status keep_files(struct upkeep_rewriter *rewriter,
                              const struct weir_table_files *files, struct weir_error *reterr)
{
    struct upkeep_rewritten *kept = &rewriter->rewritten;
    if (kept->file_count + files->count > kept->file_capacity) {
        size_t capacity = 2 * (kept->file_count + files->count) + 16;
        struct weir_data_file *larger;
        WEIR_TRY(weir_arena_zero(&rewriter->piece, capacity, sizeof *larger, &larger, reterr));
        if (kept->file_count)
            memcpy(larger, kept->files, kept->file_count * sizeof *larger);
        kept->files = larger;
        kept->file_capacity = capacity;
    }
    for (size_t i = 0; i < files->count; i++) {
        const struct weir_data_file *file = &files->files[i];
        kept->files[kept->file_count++] = *file;
        json_array_append_new(kept->receipts,
                              json_pack("{s:s, s:I, s:I, s:s}", "path", file->path, "rows",
                                        (json_int_t)file->record_count, "size",
                                        (json_int_t)file->file_size, "digest", files->digests[i]));
    }
    kept->rows += files->rows;
    weir_row_hash_merge(&rewriter->hash, &files->hash);
    return WEIR_OK;
}

static weir_status run(struct upkeep_rewriter *rewriter, const struct weir_data_file *file,
                       const char *columns, const char *condition,
                       const struct weir_query_result *result, struct weir_error *reterr)
{
    WEIR_AUTO(weir_buffer) text = {.account = rewriter->arena.account};
    rewriter->wanted = file->path;
    WEIR_TRY(
        weir_buffer_print(&text, reterr, "SELECT %s FROM weir.file WHERE %s", columns, condition));
    weir_status status = weir_query_run(rewriter->session, (const char *)text.data, result, NULL,
                                        NULL, reterr);
    if (status != WEIR_OK)
        weir_error_prefix(reterr, "%s", file->path);
    return status;
}

weir_status upkeep_rewriter_add(struct upkeep_rewriter *rewriter, const struct weir_data_file *file,
                                const char *condition, struct weir_error *reterr)
{
    struct weir_table_config *config;
    struct weir_table_files files;
    struct weir_table_writer *writer;
    if (!rewriter->rewritten.receipts && !(rewriter->rewritten.receipts = json_array()))
        return weir_fail(reterr, WEIR_NO_MEMORY, "no memory for a receipt");
    if (rewriter->writer_count == WRITERS_MAX)
        return weir_fail(reterr, WEIR_INTERNAL, "more than %d files in one piece", WRITERS_MAX);
    WEIR_TRY(hide(rewriter, file, &config, reterr));
    struct weir_table_writer_options options = {
        .lake = rewriter->lake,
        .table = config,
        .shape = &rewriter->shape,
        .table_location = rewriter->location,
        .attempt = weir_snapshot_id(rewriter->lake->context, NULL)};
    WEIR_TRY(weir_table_writer_new(&options, &writer, reterr));
    rewriter->writers[rewriter->writer_count++] = writer;
    struct weir_query_result result = {begin_result, write_batch, writer};
    WEIR_TRY(run(rewriter, file, rewriter->column_list, condition, &result, reterr));
    WEIR_TRY(weir_table_writer_finish(writer, &files, reterr));
    return keep_files(rewriter, &files, reterr);
}

weir_status upkeep_rewriter_count(struct upkeep_rewriter *rewriter,
                                  const struct weir_data_file *file, const char *condition,
                                  int64_t *ret_rows, struct weir_error *reterr)
{
    struct weir_query_result result = {begin_result, count_batch, ret_rows};
    *ret_rows = 0;
    return run(rewriter, file, "1", condition, &result, reterr);
}

weir_status upkeep_rewriter_end(struct upkeep_rewriter *rewriter,
                                const struct upkeep_rewritten **ret_rewritten,
                                struct weir_error *reterr)
{
    if (!rewriter->rewritten.receipts && !(rewriter->rewritten.receipts = json_array()))
        return weir_fail(reterr, WEIR_NO_MEMORY, "no memory for a receipt");
    weir_row_hash_print(&rewriter->hash, rewriter->rewritten.hash);
    *ret_rewritten = &rewriter->rewritten;
    return WEIR_OK;
}
