/* The sources of a promotion: their heads, what changed since, and the names statements use. */
#include "connectors/file/file_source.h"
#include "scheduler/promote/promote_int.h"
#include "scheduler/query/iceberg_scan.h"

#include <stdlib.h>
#include <string.h>

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool has_path(void *self, const char *location)
{
    const struct path_set *set = self;
    return bsearch(&location, set->paths, set->count, sizeof *set->paths, by_text) != NULL;
}

/* ---- heads ---- */

static weir_status open_rows(struct promotion *promotion, const struct weir_table *table,
                             int64_t snapshot_id, const struct path_set *only, uint64_t rows,
                             bool file_column, struct weir_table_source *ret_rows,
                             struct weir_error *reterr)
{
    struct weir_context *context = promotion->lake->context;
    struct weir_iceberg_options options = {.metadata_location = table->metadata_location,
                                           .store = promotion->lake->store,
                                           .has_snapshot_id = true,
                                           .snapshot_id = snapshot_id,
                                           .current_schema = true,
                                           .file_column = file_column,
                                           .wanted_rows = rows};
    if (only) {
        options.wants = has_path;
        options.wants_self = (void *)(uintptr_t)only;
    }
    return weir_iceberg_source_open(context, &context->memory, &options, ret_rows, reterr);
}

/* A source that is not there yet is waited for; one that was promoted from and is there no more is
 * somebody's mistake, or a catalog that was lost. */
static weir_status ask_vanished(struct promotion *promotion, const char *name,
                                struct weir_error *reterr)
{
    const char *key;
    json_t *was, *reached = json_object_get(promotion->truth, "sources");
    json_object_foreach(reached, key, was)
    {
        const char *table = json_string_value(json_object_get(was, "table"));
        if (!table || strcmp(table, name) != 0)
            continue;
        weir_status status = weir_fail(reterr, WEIR_DECISION,
                                       "%s: %s, which it was promoted from, is not in the catalog "
                                       "any more",
                                       promotion->model->table.name, name);
        weir_error_hint(reterr,
                        "bring the table back; or make it anew and then this one, by weir "
                        "promote %s --rebuild",
                        promotion->model->table.name);
        return status;
    }
    return WEIR_OK;
}

static weir_status load_source(struct promotion *promotion, struct source *source,
                               struct weir_error *reterr)
{
    struct weir_catalog *catalog = &promotion->lake->catalog;
    weir_status status = catalog->operations->load(catalog->self, source->name, &source->table,
                                                   reterr);
    if (status == WEIR_NOT_FOUND)
        WEIR_TRY(ask_vanished(promotion, source->name, reterr));
    if (status != WEIR_OK) {
        weir_error_prefix(reterr, "%s", source->name);
        return status;
    }
    const char *uuid = weir_metadata_uuid(source->table->metadata);
    char *key; /* outlives this load of the table */
    WEIR_TRY(weir_arena_copy(&promotion->arena, uuid, strlen(uuid), &key, reterr));
    source->key = key;
    if (!weir_metadata_ref(source->table->metadata, "main", &source->to))
        return weir_fail(reterr, WEIR_DECISION, "branch main of %s is gone", source->name);
    WEIR_TRY(closed_read(promotion, source, reterr));
    return pins_seen(promotion, source, reterr);
}

weir_status promotion_read(struct promotion *promotion, struct weir_error *reterr)
{
    for (size_t i = 0; i < promotion->source_count; i++) {
        struct source *source = &promotion->sources[i];
        if (source->table && !source->at_to.operations)
            WEIR_TRY(open_rows(promotion, source->table, source->to, NULL, 0, false, &source->at_to,
                               reterr));
    }
    return WEIR_OK;
}

static bool drives(const struct weir_model_config *model, const char *name)
{
    for (size_t i = 0; i < model->driven_count; i++)
        if (strcmp(model->driven_by[i], name) == 0)
            return true;
    return model->driven_count == 0;
}

/* A source of files: known by the listing of its files. */
static weir_status list_files(struct promotion *promotion, const char *pattern,
                              struct weir_error *reterr)
{
    struct source *source = &promotion->sources[0];
    struct weir_file_source files = {promotion->lake->context,
                                     promotion->has_files_store ? &promotion->files_store : NULL};
    struct weir_file_entry *entries;
    size_t count;
    char *key, *digest, hex[33];
    WEIR_AUTO(weir_buffer) text = {.account = &promotion->lake->context->memory};
    WEIR_TRY(weir_file_list(&files, pattern, &promotion->arena, &entries, &count, reterr));
    if (count == 0)
        return weir_fail(reterr, WEIR_NOT_FOUND, "no file matches %s", promotion->model->files);
    for (size_t i = 0; i < count; i++)
        WEIR_TRY(weir_buffer_print(&text, reterr, "%s\n%llu\n%s\n", entries[i].path,
                                   (unsigned long long)entries[i].size, entries[i].etag));
    weir_digest(text.data, text.size, hex);
    WEIR_TRY(weir_arena_print(&promotion->arena, &digest, reterr, "%s", hex));
    WEIR_TRY(
        weir_arena_print(&promotion->arena, &key, reterr, "files:%s", promotion->model->files));
    *source = (struct source){
        .name = promotion->model->files, .key = key, .to_files = digest, .drives = true};
    promotion->source_count = 1;
    return WEIR_OK;
}

weir_status promotion_open(struct promotion *promotion, struct weir_error *reterr)
{
    const struct weir_model_config *model = promotion->model;
    const struct weir_pipeline *pipeline = promotion->options->pipeline;
    struct weir_query_options options = {.context = promotion->lake->context,
                                         .catalog = &promotion->lake->catalog,
                                         .store = &promotion->lake->store,
                                         .memory_limit = pipeline->memory_limit,
                                         .spill_folder = pipeline->spill_dir,
                                         .spill_limit = pipeline->spill_limit,
                                         /* now() is one time in all statements of a promotion */
                                         .now_micros = weir_now_ms(promotion->lake->context) *
                                                       1000};
    char pattern[1024];
    if (model->files)
        WEIR_TRY(weir_files_store(promotion->lake->context, pipeline, model->files,
                                  &promotion->has_files_store, &promotion->files_store, pattern,
                                  reterr));
    if (promotion->has_files_store)
        options.files = &promotion->files_store;
    WEIR_TRY(weir_query_session_new(&options, &promotion->session, reterr));
    if (model->files)
        return list_files(promotion, promotion->has_files_store ? pattern : model->files, reterr);
    WEIR_TRY(model_sources(pipeline, model, &promotion->arena, &promotion->reads, reterr));
    for (size_t i = 0; i < promotion->reads.table_count; i++) {
        struct source *source = &promotion->sources[promotion->source_count++];
        source->name = promotion->reads.tables[i];
        source->drives = drives(model, source->name);
        WEIR_TRY(load_source(promotion, source, reterr));
    }
    return WEIR_OK;
}

static void free_rows(struct weir_table_source *rows)
{
    if (rows->operations)
        rows->operations->free(rows->self);
    rows->operations = NULL;
}

void promotion_close(struct promotion *promotion)
{
    weir_table_writer_free(promotion->writer);
    weir_table_writer_free(promotion->aside.writer);
    weir_table_free(promotion->aside.table);
    json_decref(promotion->aside.gone);
    weir_table_writer_free(promotion->late.writer);
    weir_table_free(promotion->late.table);
    if (!promotion->graph_shared)
        weir_graph_free(promotion->graph);
    weir_query_session_free(promotion->session);
    for (size_t i = 0; i < promotion->source_count; i++) {
        struct source *source = &promotion->sources[i];
        free_rows(&source->at_to);
        free_rows(&source->at_from);
        free_rows(&source->added);
        free_rows(&source->removed);
        weir_table_free(source->table);
    }
    for (size_t i = 0; i < promotion->kept_count; i++)
        free_rows(&promotion->kept[i]);
    json_decref(promotion->truth);
    weir_table_free(promotion->table);
    if (promotion->has_files_store)
        promotion->files_store.operations->free(promotion->files_store.self);
    weir_arena_done(&promotion->arena);
}

/* ---- changes ---- */

static weir_status paths_of(struct promotion *promotion, const struct weir_manifest_entry *entries,
                            size_t count, struct path_set *ret_set, struct weir_error *reterr)
{
    const char **paths;
    WEIR_TRY(weir_arena_zero(&promotion->arena, count + 1, sizeof *paths, &paths, reterr));
    for (size_t i = 0; i < count; i++)
        paths[i] = entries[i].file.path;
    qsort(paths, count, sizeof *paths, by_text);
    *ret_set = (struct path_set){paths, count};
    return WEIR_OK;
}

/* Where rows were deleted in place, a file that both have may have changed: then all of them count,
 * and equal rows cancel. */
static weir_status source_difference(struct promotion *promotion, struct source *source,
                                     struct weir_error *reterr)
{
    struct weir_difference *difference = &source->difference;
    weir_status status = weir_snapshot_difference(promotion->lake, source->table->metadata,
                                                  source->from, source->to, &promotion->arena,
                                                  difference, reterr);
    if (status == WEIR_NOT_FOUND) {
        status = weir_fail(reterr, WEIR_DECISION,
                           "%s: what was promoted last (snapshot %lld of %s) has been expired",
                           promotion->model->table.name, (long long)source->from, source->name);
        weir_error_hint(reterr, "weir promote %s --rebuild makes the table anew",
                        promotion->model->table.name);
    }
    WEIR_TRY(status);
    bool whole = difference->deletes;
    WEIR_TRY(paths_of(promotion, difference->added, difference->added_count, &source->added_paths,
                      reterr));
    WEIR_TRY(paths_of(promotion, difference->removed, difference->removed_count,
                      &source->removed_paths, reterr));
    if (whole || difference->added_count)
        WEIR_TRY(open_rows(promotion, source->table, source->to,
                           whole ? NULL : &source->added_paths, (uint64_t)difference->added_rows,
                           false, &source->added, reterr));
    if (source->from && (whole || difference->removed_count))
        WEIR_TRY(open_rows(promotion, source->table, source->from,
                           whole ? NULL : &source->removed_paths,
                           (uint64_t)difference->removed_rows, false, &source->removed, reterr));
    if (source->from)
        WEIR_TRY(open_rows(promotion, source->table, source->from, NULL, 0, false, &source->at_from,
                           reterr));
    return WEIR_OK;
}

weir_status promotion_differences(struct promotion *promotion, struct weir_error *reterr)
{
    for (size_t i = 0; i < promotion->source_count; i++)
        if (promotion->sources[i].changed && promotion->sources[i].table)
            WEIR_TRY(source_difference(promotion, &promotion->sources[i], reterr));
    return WEIR_OK;
}

/* ---- names ---- */

static void add_name(struct promotion *promotion, const char *name, const char *sql,
                     const struct weir_table_source *rows)
{
    promotion->names[promotion->name_count++] = (struct weir_query_name){name, sql, rows};
}

/* Rows of weir.{these}_{i} without those of weir.{those}_{i}. */
static weir_status without_sql(struct weir_arena *arena, size_t index, const char *these,
                               bool has_these, const char *those, bool has_those, char **ret_sql,
                               struct weir_error *reterr)
{
    if (!has_these)
        return weir_arena_print(arena, ret_sql, reterr, "SELECT * FROM weir.to_%zu WHERE false",
                                index);
    if (!has_those)
        return weir_arena_print(arena, ret_sql, reterr, "SELECT * FROM weir.%s_%zu", these, index);
    return weir_arena_print(arena, ret_sql, reterr,
                            "SELECT * FROM weir.%s_%zu EXCEPT ALL SELECT * FROM weir.%s_%zu", these,
                            index, those, index);
}

/* What retention dropped did not go; what is late did not come. */
static weir_status counted_sql(struct weir_arena *arena, const char *rows, const char *condition,
                               bool holds, char **ret_sql, struct weir_error *reterr)
{
    if (!condition)
        return weir_arena_print(arena, ret_sql, reterr, "%s", rows);
    return weir_arena_print(arena, ret_sql, reterr, "SELECT * FROM (%s) weir_s WHERE (%s) IS %s",
                            rows, condition, holds ? "TRUE" : "NOT TRUE");
}

/* SQL over weir.added_{i}, weir.removed_{i}, weir.to_{i}; NULL when the source stands for itself.
 */
static weir_status variant_sql(struct promotion *promotion, size_t index, enum variant variant,
                               char **ret_sql, struct weir_error *reterr)
{
    const struct source *source = &promotion->sources[index];
    struct weir_arena *arena = &promotion->arena;
    bool added = source->added.operations != NULL, removed = source->removed.operations != NULL;
    const char *dropped = source->horizon.late ? source->horizon.late : source->horizon.dropped;
    char *came, *went, *rows;
    *ret_sql = NULL;
    WEIR_TRY(without_sql(arena, index, "added", added, "removed", removed, &rows, reterr));
    if (variant == VARIANT_LATE)
        return counted_sql(arena, rows, source->horizon.late, true, ret_sql, reterr);
    WEIR_TRY(counted_sql(arena, rows, source->horizon.late, false, &came, reterr));
    WEIR_TRY(without_sql(arena, index, "removed", removed, "added", added, &rows, reterr));
    WEIR_TRY(counted_sql(arena, rows, dropped, false, &went, reterr));
    if (variant == VARIANT_ADDED)
        *ret_sql = came;
    if (variant == VARIANT_WENT)
        *ret_sql = went;
    if (variant == VARIANT_TOUCHED)
        return weir_arena_print(arena, ret_sql, reterr, "(%s) UNION ALL (%s)", came, went);
    if (variant == VARIANT_EVER && removed)
        return weir_arena_print(arena, ret_sql, reterr,
                                "SELECT * FROM weir.to_%zu UNION ALL SELECT * FROM "
                                "weir.removed_%zu",
                                index, index);
    return WEIR_OK;
}

static weir_status name_source(struct promotion *promotion, size_t index, enum variant variant,
                               struct weir_error *reterr)
{
    const struct source *source = &promotion->sources[index];
    char *sql, *name;
    WEIR_TRY(variant_sql(promotion, index, variant, &sql, reterr));
    const struct weir_table_source *rows = variant == VARIANT_FROM && source->at_from.operations
                                               ? &source->at_from
                                               : &source->at_to;
    add_name(promotion, source->name, sql, sql ? NULL : rows);
    if (!sql)
        return WEIR_OK;
    const struct {
        const char *prefix;
        const struct weir_table_source *rows;
    } parts[] = {{"weir.to", &source->at_to},
                 {"weir.added", &source->added},
                 {"weir.removed", &source->removed}};
    for (size_t i = 0; i < 3; i++) {
        if (!parts[i].rows->operations)
            continue;
        WEIR_TRY(
            weir_arena_print(&promotion->arena, &name, reterr, "%s_%zu", parts[i].prefix, index));
        add_name(promotion, name, NULL, parts[i].rows);
    }
    return WEIR_OK;
}

/* Names that stay from statement to statement stand at the end of the list: kept tables. They are
 * moved behind the sources each time. */
weir_status promotion_names(struct promotion *promotion, size_t at, enum variant one,
                            enum variant before, enum variant behind, struct weir_error *reterr)
{
    struct weir_query_name kept[PROMOTION_KEPT_MAX];
    size_t kept_count = 0;
    for (size_t i = 0; i < promotion->name_count; i++)
        for (size_t k = 0; k < promotion->kept_count; k++)
            if (promotion->names[i].source == &promotion->kept[k])
                kept[kept_count++] = promotion->names[i];
    promotion->name_count = 0;
    if (promotion->model->files)
        promotion->source_count = promotion->source_count ? 1 : 0;
    else
        for (size_t i = 0; i < promotion->source_count; i++)
            WEIR_TRY(name_source(promotion, i, i == at ? one : i < at ? before : behind, reterr));
    for (size_t i = 0; i < promotion->reads.view_count; i++)
        add_name(promotion, promotion->reads.views[i]->table.name, promotion->reads.views[i]->sql,
                 NULL);
    add_name(promotion, "weir.model", promotion->model->sql, NULL);
    for (size_t i = 0; i < kept_count; i++)
        add_name(promotion, kept[i].name, NULL, kept[i].source);
    weir_query_names_set(promotion->session, promotion->names, promotion->name_count);
    return WEIR_OK;
}

weir_status promotion_target(struct promotion *promotion, const char *name,
                             const struct path_set *only, struct weir_error *reterr)
{
    return promotion_rows(promotion, name, promotion->table, promotion->head, only, reterr);
}

weir_status promotion_rows(struct promotion *promotion, const char *name,
                           const struct weir_table *table, int64_t snapshot_id,
                           const struct path_set *only, struct weir_error *reterr)
{
    struct weir_table_source *rows = &promotion->kept[promotion->kept_count];
    WEIR_TRY(open_rows(promotion, table, snapshot_id, only, only ? 100000 : 0 /* a guess */, true,
                       rows, reterr));
    promotion->kept_count++;
    add_name(promotion, name, NULL, rows);
    weir_query_names_set(promotion->session, promotion->names, promotion->name_count);
    return WEIR_OK;
}
