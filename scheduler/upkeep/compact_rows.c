/* Rows of a group's files to new files: read as queries read them, so that deletes are applied and
 * columns of older schemas are what they are now, and written as windows and promotions write. */
#include "scheduler/upkeep/compact_int.h"

#include "engine/base/limits.h"
#include "formats/codec/codec.h"
#include "scheduler/query/iceberg_scan.h"
#include "scheduler/query/query.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- how files are written ---- */

static bool says_bounds(const struct weir_table_config *table, const char *column)
{
    for (size_t i = 0; i < table->column_config_count; i++)
        if (strcmp(table->column_configs[i].path, column) == 0)
            return table->column_configs[i].bounds_given;
    return false;
}

/* Columns that a model has from personal ones: the table itself says so. */
static weir_status add_classes(struct compaction *compaction, struct weir_error *reterr)
{
    const struct weir_type *columns = &compaction->shape.write;
    struct weir_table_config *config = &compaction->config;
    struct weir_column_config *configs;
    size_t count = config->column_config_count;
    WEIR_TRY(weir_arena_zero(&compaction->arena, count + columns->child_count + 1, sizeof *configs,
                             &configs, reterr));
    if (count)
        memcpy(configs, config->column_configs, count * sizeof *configs);
    for (uint32_t i = 0; i < columns->child_count; i++) {
        char key[600];
        snprintf(key, sizeof key, "weir.class.%s", columns->children[i].name);
        const char *class_name = weir_metadata_property(compaction->table->metadata, key);
        if (class_name && strcmp(class_name, "personal") == 0 &&
            !says_bounds(config, columns->children[i].name))
            configs[count++] = (struct weir_column_config){.path = columns->children[i].name,
                                                           .class_name = "personal"};
    }
    config->column_configs = configs;
    config->column_config_count = count;
    return WEIR_OK;
}

/* What is written once and read often is worth zstd, whatever windows are written with. */
static weir_status make_config(struct compaction *compaction, struct weir_error *reterr)
{
    struct weir_table_config *config = &compaction->config;
    *config = *compaction->options->table;
    if (config->codec != WEIR_CODEC_ZSTD) {
        config->codec = WEIR_CODEC_ZSTD;
        config->codec_level = 0;
    }
    config->file_size = compaction->target / 2 * 3; /* as large as groups are made */
    return add_classes(compaction, reterr);
}

weir_status compact_rows_begin(struct compaction *compaction, struct weir_error *reterr)
{
    WEIR_TRY(weir_shape_of_table(&compaction->arena, compaction->table->metadata,
                                 &compaction->shape, reterr));
    return make_config(compaction, reterr);
}

void compact_rows_end(struct compaction *compaction)
{
    if (compaction->source.operations)
        compaction->source.operations->free(compaction->source.self);
    compaction->source.operations = NULL;
}

/* ---- rows ---- */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool is_wanted(void *self, const char *location)
{
    const struct compaction *compaction = self;
    return bsearch(&location, compaction->wanted, compaction->wanted_count, sizeof location,
                   by_text) != NULL;
}

static weir_status want(struct compaction *compaction, const struct compact_group *group,
                        struct weir_error *reterr)
{
    const char **paths;
    WEIR_TRY(weir_arena_zero(&compaction->arena, group->count + 1, sizeof *paths, &paths, reterr));
    for (size_t i = 0; i < group->count; i++)
        paths[i] = group->files[i]->file.path;
    qsort(paths, group->count, sizeof *paths, by_text);
    compaction->wanted = paths;
    compaction->wanted_count = group->count;
    return WEIR_OK;
}

/* The table at the head that was planned with; opened once for all groups of a slice. */
static weir_status open_source(struct compaction *compaction, struct weir_error *reterr)
{
    struct weir_context *context = compaction->lake->context;
    struct weir_iceberg_options options = {
        .metadata_location = compaction->table->metadata_location,
        .store = compaction->lake->store,
        .has_snapshot_id = true,
        .snapshot_id = compaction->head,
        .current_schema = true,
        .wants = is_wanted,
        .wants_self = compaction};
    if (compaction->source.operations)
        return WEIR_OK;
    return weir_iceberg_source_open(context, &context->memory, &options, &compaction->source,
                                    reterr);
}

struct placed { /* a path and its place in the group */
    const char *path;
    size_t at;
};

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct placed *)a)->path, ((const struct placed *)b)->path);
}

struct numbered { /* a morsel and its file's place */
    size_t morsel, at;
};

static int by_place(const void *a, const void *b)
{
    const struct numbered *one = a, *other = b;
    if (one->at != other->at)
        return one->at < other->at ? -1 : 1;
    return (one->morsel > other->morsel) - (one->morsel < other->morsel);
}

/* The scan goes by the manifests, in which the newest file comes first. */
weir_status compact_rows_morsels(struct compaction *compaction, const struct compact_group *group,
                                 struct weir_scan *scan, size_t **ret_morsels, size_t *ret_count,
                                 struct weir_error *reterr)
{
    struct weir_arena *arena = &compaction->arena;
    struct placed *places;
    struct numbered *numbers;
    size_t *morsels, count = compaction->source.operations->morsel_count(scan);
    WEIR_TRY(weir_arena_zero(arena, group->count + 1, sizeof *places, &places, reterr));
    WEIR_TRY(weir_arena_zero(arena, count + 1, sizeof *numbers, &numbers, reterr));
    WEIR_TRY(weir_arena_zero(arena, count + 1, sizeof *morsels, &morsels, reterr));
    for (size_t i = 0; i < group->count; i++)
        places[i] = (struct placed){group->files[i]->file.path, i};
    qsort(places, group->count, sizeof *places, by_path);
    for (size_t i = 0; i < count; i++) {
        struct placed wanted = {.path = weir_iceberg_morsel_file(scan, i)};
        const struct placed *found = bsearch(&wanted, places, group->count, sizeof *places,
                                             by_path);
        numbers[i] = (struct numbered){i, found ? found->at : group->count};
    }
    qsort(numbers, count, sizeof *numbers, by_place);
    for (size_t i = 0; i < count; i++)
        morsels[i] = numbers[i].morsel;
    *ret_morsels = morsels;
    *ret_count = count;
    return WEIR_OK;
}

weir_status compact_rows_add(struct compaction *compaction, struct compact_written *written,
                             const struct weir_batch *batch, struct weir_error *reterr)
{
    struct weir_batch flat;
    weir_arena_reset(&compaction->flat);
    WEIR_TRY(weir_batch_as_flat(&compaction->flat, batch, &flat, reterr));
    if (written->order)
        WEIR_TRY(compact_digest_add(written->order, &flat, reterr));
    return weir_table_writer_add(written->writer, &flat, reterr);
}

struct copying {
    struct compaction *compaction;
    struct compact_written *written; /* NULL: hash */
    struct weir_row_hash *hash;
    struct weir_arena arena; /* of a batch */
};

static weir_status copy_batch(struct copying *copying, const struct weir_batch *batch,
                              struct weir_error *reterr)
{
    struct weir_batch flat;
    if (copying->written)
        return compact_rows_add(copying->compaction, copying->written, batch, reterr);
    WEIR_TRY(weir_batch_as_flat(&copying->arena, batch, &flat, reterr));
    return weir_row_hash_add(copying->hash, &flat, NULL, &copying->arena, reterr);
}

static weir_status copy_morsel(struct compaction *compaction, struct weir_scan *scan, size_t index,
                               struct copying *copying, struct weir_error *reterr)
{
    const struct weir_table_source_operations *operations = compaction->source.operations;
    struct weir_morsel *morsel;
    bool end = false;
    WEIR_TRY(operations->morsel_open(scan, index, &morsel, reterr));
    weir_status status = WEIR_OK;
    while (morsel && status == WEIR_OK && !end) {
        struct weir_batch batch;
        weir_arena_reset(&copying->arena);
        status = operations->morsel_next(morsel, &copying->arena, &batch, &end, reterr);
        if (status == WEIR_OK && !end)
            status = copy_batch(copying, &batch, reterr);
        if (status == WEIR_OK)
            status = weir_context_check(compaction->lake->context, reterr);
    }
    operations->morsel_close(morsel);
    return status;
}

/* As they lie: file by file. Without files to write they are only
 * added to the hash. */
static weir_status copy_rows(struct compaction *compaction, const struct compact_group *group,
                             struct compact_written *written, struct weir_row_hash *hash,
                             struct weir_error *reterr)
{
    struct weir_context *context = compaction->lake->context;
    const struct weir_table_source_operations *operations = compaction->source.operations;
    struct weir_scan_request request = {
        .wanted = &compaction->shape.write, .batch_rows = WEIR_BATCH_ROWS, .limit = -1};
    struct weir_scan *scan;
    WEIR_TRY(operations->open(compaction->source.self, context, &context->memory, &request, &scan,
                              reterr));
    struct copying copy = {.compaction = compaction, .written = written, .hash = hash};
    weir_arena_init(&copy.arena, &context->memory);
    size_t *morsels, count = 0;
    weir_status status = compact_rows_morsels(compaction, group, scan, &morsels, &count, reterr);
    for (size_t i = 0; status == WEIR_OK && i < count; i++)
        status = copy_morsel(compaction, scan, morsels[i], &copy, reterr);
    weir_arena_done(&copy.arena);
    operations->close(scan);
    return status;
}

/* ---- sorted ---- */

static weir_status put_name(struct weir_buffer *text, const char *name, size_t size,
                            struct weir_error *reterr)
{
    WEIR_TRY(weir_buffer_append(text, "\"", 1, reterr));
    for (size_t i = 0; i < size; i++)
        WEIR_TRY(weir_buffer_print(text, reterr, name[i] == '"' ? "\"\"" : "%c", name[i]));
    return weir_buffer_append(text, "\"", 1, reterr);
}

static weir_status put_path(struct weir_buffer *text, const struct weir_type *columns,
                            const char *path, struct weir_error *reterr)
{
    if (weir_type_child(columns, path, strlen(path))) /* a model's column may have a dot in it */
        return put_name(text, path, strlen(path), reterr);
    for (const char *at = path;; at += strcspn(at, ".") + 1) {
        size_t size = strcspn(at, ".");
        WEIR_TRY(put_name(text, at, size, reterr));
        if (at[size] == '\0')
            return WEIR_OK;
        WEIR_TRY(weir_buffer_append(text, ".", 1, reterr));
    }
}

/* All columns by sort_by; without it by where in Kafka the rows were. */
static weir_status sort_text(struct compaction *compaction, struct weir_buffer *text,
                             struct weir_error *reterr)
{
    static const struct weir_sort_field kafka[] = {
        {.path = "_kafka.topic"}, {.path = "_kafka.partition"}, {.path = "_kafka.offset"}};
    const struct weir_table_config *table = compaction->options->table;
    const struct weir_type *columns = &compaction->shape.write;
    const struct weir_sort_field *fields = table->sort_count ? table->sort_by : kafka;
    size_t count = table->sort_count ? table->sort_count : 3;
    for (uint32_t i = 0; i < columns->child_count; i++) {
        const char *name = columns->children[i].name;
        WEIR_TRY(weir_buffer_print(text, reterr, i ? ", " : "SELECT "));
        WEIR_TRY(put_name(text, name, strlen(name), reterr));
    }
    WEIR_TRY(weir_buffer_print(text, reterr, " FROM weir.rows ORDER BY "));
    for (size_t i = 0; i < count; i++) {
        WEIR_TRY(weir_buffer_print(text, reterr, i ? ", " : ""));
        WEIR_TRY(put_path(text, columns, fields[i].path, reterr));
        WEIR_TRY(weir_buffer_print(text, reterr, "%s NULLS %s", fields[i].descending ? " DESC" : "",
                                   fields[i].nulls_first ? "FIRST" : "LAST"));
    }
    return weir_buffer_append(text, "", 1, reterr);
}

static weir_status nothing_to_begin(void *self, const struct weir_type *type,
                                    struct weir_error *reterr)
{
    (void)self, (void)type, (void)reterr;
    return WEIR_OK;
}

static weir_status write_batch(void *self, const struct weir_batch *batch,
                               struct weir_error *reterr)
{
    struct copying *copying = self;
    return compact_rows_add(copying->compaction, copying->written, batch, reterr);
}

/* As a query sorts: it spills when there are more rows than memory. */
static weir_status sort_rows(struct compaction *compaction, struct compact_written *written,
                             struct weir_error *reterr)
{
    const struct weir_pipeline *pipeline = compaction->options->pipeline;
    struct weir_query_options options = {.context = compaction->lake->context,
                                         .memory_limit = pipeline->memory_limit,
                                         .spill_folder = pipeline->spill_dir,
                                         .spill_limit = pipeline->spill_limit};
    struct weir_query_name name = {.name = "weir.rows", .source = &compaction->source};
    struct copying copying = {.compaction = compaction, .written = written};
    struct weir_query_result result = {nothing_to_begin, write_batch, &copying};
    struct weir_query_session *session;
    WEIR_AUTO(weir_buffer) text = {.account = &compaction->lake->context->memory};
    WEIR_TRY(sort_text(compaction, &text, reterr));
    WEIR_TRY(weir_query_session_new(&options, &session, reterr));
    weir_query_names_set(session, &name, 1);
    weir_status status = weir_query_run(session, (const char *)text.data, &result, NULL, NULL,
                                        reterr);
    weir_query_session_free(session);
    return status;
}

static weir_status write_rows(struct compaction *compaction, const struct compact_group *group,
                              struct compact_written *written, struct weir_error *reterr)
{
    enum compact_order order = COMPACT_TO_BE_SORTED;
    if (!compaction->options->table->sort_count)
        WEIR_TRY(compact_order_rows(compaction, group, written, &order, reterr));
    written->sorted = order == COMPACT_TO_BE_SORTED;
    if (order == COMPACT_AS_IT_LIES)
        return copy_rows(compaction, group, written, NULL, reterr);
    if (order == COMPACT_IN_ORDER)
        return WEIR_OK;
    /* what a sort loses is found by the hash of the rows before it */
    WEIR_TRY(copy_rows(compaction, group, NULL, &written->read, reterr));
    return sort_rows(compaction, written, reterr);
}

weir_status compact_rows_write(struct compaction *compaction, const struct compact_group *group,
                               struct compact_written *ret_written, struct weir_error *reterr)
{
    const struct weir_metadata *metadata = compaction->table->metadata;
    struct weir_table_writer_options options = {
        .lake = compaction->lake,
        .table = &compaction->config,
        .shape = &compaction->shape,
        .table_location = weir_metadata_location(metadata),
        .attempt = weir_snapshot_id(compaction->lake->context, metadata)};
    *ret_written = (struct compact_written){0};
    WEIR_TRY(want(compaction, group, reterr));
    WEIR_TRY(open_source(compaction, reterr));
    WEIR_TRY(weir_table_writer_new(&options, &ret_written->writer, reterr));
    if (group->files[0]->file.spec_id == compaction->shape.spec->id) /* one partition value */
        WEIR_TRY(compact_digest_new(&compaction->lake->context->memory, &compaction->shape.write,
                                    &ret_written->order, reterr));
    WEIR_TRY(write_rows(compaction, group, ret_written, reterr));
    WEIR_TRY(weir_table_writer_finish(ret_written->writer, &ret_written->files, reterr));
    if (!ret_written->sorted)
        ret_written->read = ret_written->files.hash;
    return WEIR_OK;
}
