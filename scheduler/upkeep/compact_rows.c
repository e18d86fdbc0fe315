/* Rows of a group's files to new files: read as queries read them, so that deletes are applied and
 * columns of older schemas are what they are now, and written as windows and promotions write. */
#include "scheduler/upkeep/compact_int.h"

#include "engine/base/limits.h"
#include "formats/codec/codec.h"
#include "scheduler/query/iceberg_scan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- how files are written ---- */

static weir_status dotted_path(struct weir_arena *arena, const struct weir_type *type, int32_t id,
                               const char *before, const char **ret_path, struct weir_error *reterr)
{
    for (uint32_t i = 0; i < type->child_count && !*ret_path; i++) {
        const struct weir_field *field = &type->children[i];
        char *path;
        WEIR_TRY(weir_arena_print(arena, &path, reterr, "%s%s%s", before, *before ? "." : "",
                                  field->name));
        if (field->id == id)
            *ret_path = path;
        else if (field->type.id == WEIR_STRUCT)
            WEIR_TRY(dotted_path(arena, &field->type, id, path, ret_path, reterr));
    }
    return WEIR_OK;
}

/* All columns that the table has, whatever the pipeline file says of them by now. */
static weir_status make_shape(struct compaction *compaction, struct weir_error *reterr)
{
    const struct weir_metadata *metadata = compaction->table->metadata;
    const struct weir_partition_spec *spec = weir_metadata_spec(metadata);
    struct weir_shape *shape = &compaction->shape;
    *shape = (struct weir_shape){.schema = *weir_metadata_schema(metadata), .spec = spec};
    shape->decode = shape->write = shape->schema.root;
    WEIR_TRY(weir_arena_zero(&compaction->arena, spec->field_count + 1,
                             sizeof *shape->partition_paths, &shape->partition_paths, reterr));
    for (size_t i = 0; i < spec->field_count; i++) {
        const char **path = &shape->partition_paths[i];
        WEIR_TRY(dotted_path(&compaction->arena, &shape->write, spec->fields[i].source_id, "", path,
                             reterr));
        if (!*path)
            return weir_fail(reterr, WEIR_UNSUPPORTED,
                             "%s: partition field %s is of a column that is not there any more",
                             compaction->name, spec->fields[i].name);
    }
    return WEIR_OK;
}

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
    WEIR_TRY(make_shape(compaction, reterr));
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

static weir_status copy_morsel(struct compaction *compaction, struct weir_scan *scan, size_t index,
                               struct weir_table_writer *writer, struct weir_arena *arena,
                               struct weir_error *reterr)
{
    const struct weir_table_source_operations *operations = compaction->source.operations;
    struct weir_morsel *morsel;
    bool end = false;
    WEIR_TRY(operations->morsel_open(scan, index, &morsel, reterr));
    weir_status status = WEIR_OK;
    while (morsel && status == WEIR_OK && !end) {
        struct weir_batch batch;
        weir_arena_reset(arena);
        status = operations->morsel_next(morsel, arena, &batch, &end, reterr);
        if (status == WEIR_OK && !end)
            status = weir_table_writer_add(writer, &batch, reterr);
        if (status == WEIR_OK)
            status = weir_context_check(compaction->lake->context, reterr);
    }
    operations->morsel_close(morsel);
    return status;
}

static weir_status copy_rows(struct compaction *compaction, struct weir_table_writer *writer,
                             struct weir_error *reterr)
{
    struct weir_context *context = compaction->lake->context;
    const struct weir_table_source_operations *operations = compaction->source.operations;
    struct weir_scan_request request = {
        .wanted = &compaction->shape.write, .batch_rows = WEIR_BATCH_ROWS, .limit = -1};
    struct weir_scan *scan;
    WEIR_TRY(operations->open(compaction->source.self, context, &context->memory, &request, &scan,
                              reterr));
    struct weir_arena arena;
    weir_arena_init(&arena, &context->memory);
    weir_status status = WEIR_OK;
    for (size_t i = 0; status == WEIR_OK && i < operations->morsel_count(scan); i++)
        status = copy_morsel(compaction, scan, i, writer, &arena, reterr);
    weir_arena_done(&arena);
    operations->close(scan);
    return status;
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
    WEIR_TRY(copy_rows(compaction, ret_written->writer, reterr));
    return weir_table_writer_finish(ret_written->writer, &ret_written->files, reterr);
}
