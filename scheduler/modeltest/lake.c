/* A test's own lake: a folder with a catalog, and rows landed there as they are given, without a
 * source. */
#include "scheduler/modeltest/modeltest_int.h"

#include "connectors/catalog/catalog.h"
#include "connectors/file/local.h"
#include "scheduler/window/table_writer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

weir_status lake_open(struct weir_modeltest *modeltest, const char *folder,
                      struct weir_lake *ret_lake, struct weir_error *reterr)
{
    struct weir_context *context = modeltest->options.context;
    char path[4200], *run_id;
    *ret_lake = (struct weir_lake){.context = context, .config_digest = ""};
    if (mkdir(folder, 0777) != 0)
        return weir_fail(reterr, WEIR_IO, "%s: %s", folder, strerror(errno));
    WEIR_TRY(weir_alloc(&context->memory, 37, &run_id, reterr));
    weir_random_uuid(context, run_id);
    ret_lake->run_id = run_id;
    weir_status status = weir_store_local_new(context, folder, &ret_lake->store, reterr);
    snprintf(path, sizeof path, "%s/catalog.db", folder);
    if (status == WEIR_OK)
        status = weir_catalog_sqlite_new(context, &ret_lake->store, path, "weir",
                                         &ret_lake->catalog, reterr);
    if (status != WEIR_OK)
        weir_lake_close(ret_lake);
    return status;
}

/* The table as it would be, but for how its files are laid out, which no test sees. */
static struct weir_table_config plain(const struct weir_models_table *table,
                                      const struct weir_type *columns)
{
    struct weir_table_config config = *table->config;
    config.columns = *columns;
    config.metadata = false; /* the column of places is one of them, and may be null */
    config.partition_by_count = 0;
    config.sort_count = 0;
    config.bloom_count = 0;
    return config;
}

static void no_ids(struct weir_type *type)
{
    for (uint32_t i = 0; i < type->child_count; i++) {
        type->children[i].id = 0;
        no_ids(&type->children[i].type);
    }
}

static weir_status birth(struct trial *trial, const struct weir_table_config *config,
                         const struct weir_shape *shape, struct weir_table **ret_table,
                         struct weir_error *reterr)
{
    json_t *state = weir_state_new(), *properties = json_pack("{s:s}", "weir.model", "test");
    struct weir_birth birth = {.name = config->name,
                               .schema = &shape->schema,
                               .spec = shape->spec,
                               .properties = properties,
                               .state = state};
    bool made;
    weir_status status = state && properties
                             ? weir_table_create(&trial->lake, &birth, ret_table, &made, reterr)
                             : weir_fail(reterr, WEIR_NO_MEMORY, "no memory for a table");
    json_decref(state);
    json_decref(properties);
    return status;
}

static enum weir_test go(void *self, const json_t *state)
{
    (void)self, (void)state;
    return WEIR_TEST_GO;
}

static weir_status land_files(struct trial *trial, struct weir_table **table,
                              const struct weir_table_files *files, bool only,
                              struct weir_error *reterr)
{
    json_t *truth = NULL, *receipt = json_object();
    enum weir_landing landing;
    weir_status status = weir_truth(&trial->lake.store, &trial->lake.context->memory,
                                    (*table)->metadata, "main", &truth, reterr);
    struct weir_work work = {.kind = "test",
                             .operation = only ? "overwrite" : "append",
                             .epoch = json_integer_value(json_object_get(truth, "epoch")),
                             .test = go,
                             .files = files->files,
                             .file_count = files->count,
                             .replace_all = only,
                             .receipt = receipt};
    if (status == WEIR_OK)
        status = weir_land(&trial->lake, table, &work, &landing, NULL, reterr);
    json_decref(truth);
    json_decref(receipt);
    return status;
}

static weir_status write_rows(struct trial *trial, const struct weir_table_config *config,
                              const struct weir_shape *shape, struct weir_table **table,
                              const struct rows *rows, bool only, struct weir_error *reterr)
{
    struct weir_table_writer_options options = {
        .lake = &trial->lake,
        .table = config,
        .shape = shape,
        .table_location = weir_metadata_location((*table)->metadata),
        .attempt = weir_snapshot_id(trial->lake.context, (*table)->metadata)};
    struct weir_table_writer *writer = NULL;
    struct weir_table_files files = {0};
    weir_status status = WEIR_OK;
    if (rows->count)
        status = weir_table_writer_new(&options, &writer, reterr);
    for (size_t i = 0; status == WEIR_OK && i < rows->batch_count; i++)
        if (rows->batches[i].count)
            status = weir_table_writer_add(writer, &rows->batches[i], reterr);
    if (status == WEIR_OK && writer)
        status = weir_table_writer_finish(writer, &files, reterr);
    if (status == WEIR_OK)
        status = land_files(trial, table, &files, only, reterr);
    weir_table_writer_free(writer);
    return status;
}

weir_status lake_land(struct trial *trial, const struct weir_models_table *table,
                      const struct rows *rows, bool only, struct weir_error *reterr)
{
    struct weir_catalog *catalog = &trial->lake.catalog;
    struct weir_table *there = NULL;
    struct weir_type columns;
    struct weir_shape shape;
    WEIR_TRY(weir_type_copy(&trial->arena, &table->type, &columns, reterr));
    no_ids(&columns);
    struct weir_table_config config = plain(table, &columns);
    weir_status status = catalog->operations->load(catalog->self, config.name, &there, reterr);
    bool made = status == WEIR_NOT_FOUND;
    if (status == WEIR_OK || made)
        status = weir_shape_make(&trial->arena, &config, made ? NULL : there->metadata, &shape,
                                 reterr);
    if (status == WEIR_OK && made)
        status = birth(trial, &config, &shape, &there, reterr);
    if (status == WEIR_OK && (rows->count || (only && !made)))
        status = write_rows(trial, &config, &shape, &there, rows, only && !made, reterr);
    weir_table_free(there);
    return status;
}
