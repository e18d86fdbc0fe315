/* Sessions: names to sources, statements to rows. */
#include "scheduler/query/query.h"

#include "engine/base/text.h"
#include "engine/exec/aggregate.h"
#include "engine/exec/spill.h"
#include "scheduler/query/files_int.h"
#include "scheduler/query/iceberg_scan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct known { /* a table that was asked for: opened once a session */
    char *key;
    struct weir_table_source source;
    struct known *next;
};

struct weir_query_session {
    struct weir_query_options options;
    struct weir_account account;
    struct weir_arena arena; /* names and known tables */
    struct weir_spill *spill;
    struct known *known;
    const struct weir_query_name *names;
    size_t name_count;
};

/* ---- the lake's tables ---- */

static weir_status version_options(const struct weir_table_name *name,
                                   struct weir_iceberg_options *options, struct weir_error *reterr)
{
    int64_t micros;
    int32_t days;
    if (name->version) {
        options->has_snapshot_id = weir_text_int64(name->version, strlen(name->version),
                                                   &options->snapshot_id);
        if (!options->has_snapshot_id)
            options->ref = name->version;
    }
    if (!name->timestamp)
        return WEIR_OK;
    const char *text = name->timestamp;
    size_t size = strlen(text);
    if (weir_text_date(text, size, &days))
        micros = days * 86400000000LL;
    else if (!weir_text_timestamptz(text, size, &micros) &&
             !weir_text_timestamp(text, size, &micros))
        return weir_fail(reterr, WEIR_USAGE, "FOR TIMESTAMP AS OF '%s': give 2026-11-23 10:00:00",
                         text);
    options->has_as_of = true;
    options->as_of_ms = micros / 1000;
    return WEIR_OK;
}

static weir_status open_table(struct weir_query_session *session,
                              const struct weir_iceberg_options *options, const char *metadata,
                              struct weir_table_source *ret_source, struct weir_error *reterr)
{
    struct weir_context *context = session->options.context;
    return metadata
               ? weir_iceberg_metadata_source(context, &session->account, options, metadata,
                                              ret_source, reterr)
               : weir_iceberg_source_open(context, &session->account, options, ret_source, reterr);
}

/* NOT_FOUND: there is no such table. That it lacks the version is an error of the statement's. */
static weir_status open_version(struct weir_query_session *session,
                                const struct weir_iceberg_options *options, const char *metadata,
                                struct weir_table_source *ret_source, struct weir_error *reterr)
{
    struct weir_iceberg_options head = {
        .catalog = options->catalog, .table = options->table, .store = options->store};
    struct weir_table_source source;
    weir_status status = open_table(session, options, metadata, ret_source, reterr);
    if (status != WEIR_NOT_FOUND ||
        !(options->has_snapshot_id || options->has_as_of || options->ref) ||
        open_table(session, &head, NULL, &source, NULL) != WEIR_OK)
        return status;
    source.operations->free(source.self);
    return WEIR_USAGE;
}

static weir_status lake_table(struct weir_query_session *session,
                              const struct weir_table_name *name,
                              struct weir_table_source *ret_source, struct weir_error *reterr)
{
    const struct weir_query_options *own = &session->options;
    struct weir_iceberg_options options = {.catalog = own->catalog};
    char table[512] = "";
    size_t parts = name->part_count;
    if (!own->catalog || !own->store)
        return weir_fail(reterr, WEIR_NOT_FOUND, "no lake is open: there are only files");
    options.store = *own->store;
    const char *metadata = parts > 1 && weir_iceberg_is_metadata_table(name->parts[parts - 1])
                               ? name->parts[parts - 1]
                               : NULL;
    WEIR_TRY(version_options(name, &options, reterr));
    for (int with = 1; with >= 0; with--) { /* bronze.files may be a table of that name */
        if (with && !metadata)
            continue;
        table[0] = 0;
        for (size_t i = 0; i < parts - (with ? 1 : 0); i++)
            snprintf(table + strlen(table), sizeof table - strlen(table), "%s%s", i ? "." : "",
                     name->parts[i]);
        options.table = table;
        weir_status status = open_version(session, &options, with ? metadata : NULL, ret_source,
                                          reterr);
        if (status != WEIR_NOT_FOUND || !with)
            return status;
    }
    return WEIR_OK;
}

static weir_status key_of(struct weir_query_session *session, const struct weir_table_name *name,
                          char **ret_key, struct weir_error *reterr)
{
    char text[4096] = "";
    for (size_t i = 0; i < name->part_count; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", i ? "\x01" : "",
                 name->parts[i]);
    return weir_arena_print(&session->arena, ret_key, reterr, "%s\x02%s\x02%s", text,
                            name->version ? name->version : "",
                            name->timestamp ? name->timestamp : "");
}

/* ---- names of the caller's ---- */

void weir_query_names_set(struct weir_query_session *session, const struct weir_query_name *names,
                          size_t count)
{
    session->names = names;
    session->name_count = count;
}

void weir_query_now_set(struct weir_query_session *session, int64_t now_micros)
{
    session->options.now_micros = now_micros;
}

static const struct weir_query_name *given_name(const struct weir_query_session *session,
                                                const struct weir_table_name *name)
{
    for (size_t i = 0; i < session->name_count; i++) {
        const char *left = session->names[i].name;
        bool same = !name->is_path && !name->version && !name->timestamp;
        for (size_t p = 0; same && p < name->part_count; p++) {
            size_t size = strlen(name->parts[p]);
            same = (p == 0 || *left++ == '.') && strncmp(left, name->parts[p], size) == 0;
            left += same ? size : 0;
        }
        if (same && !*left)
            return &session->names[i];
    }
    return NULL;
}

static weir_status find_view(void *self, const struct weir_table_name *name, const char **ret_sql,
                             struct weir_error *reterr)
{
    const struct weir_query_name *given = given_name(self, name);
    (void)reterr;
    *ret_sql = given ? given->sql : NULL;
    return WEIR_OK;
}

static weir_status find_table(void *self, const struct weir_table_name *name,
                              const struct weir_table_source **ret_source,
                              struct weir_error *reterr)
{
    struct weir_query_session *session = self;
    struct known *known;
    char *key;
    const struct weir_query_name *given = given_name(session, name);
    if (given && given->source) {
        *ret_source = given->source;
        return WEIR_OK;
    }
    WEIR_TRY(key_of(session, name, &key, reterr));
    for (known = session->known; known; known = known->next)
        if (strcmp(known->key, key) == 0) {
            *ret_source = &known->source;
            return WEIR_OK;
        }
    WEIR_TRY(weir_arena_zero(&session->arena, 1, sizeof *known, &known, reterr));
    if (name->is_path)
        WEIR_TRY(weir_query_files(session->options.context, &session->account,
                                  session->options.store, session->options.files, name->parts[0],
                                  &known->source, reterr));
    else
        WEIR_TRY(lake_table(session, name, &known->source, reterr));
    known->key = key;
    known->next = session->known;
    session->known = known;
    *ret_source = &known->source;
    return WEIR_OK;
}

static weir_status lake_tables(struct weir_query_session *session, struct weir_arena *arena,
                               const char ***ret_names, size_t *ret_count,
                               struct weir_error *reterr)
{
    static const char *const layers[] = {"bronze", "silver", "gold"};
    const struct weir_catalog *catalog = session->options.catalog;
    const char **all = NULL;
    size_t all_count = 0;
    for (size_t l = 0; catalog && l < sizeof layers / sizeof *layers; l++) {
        char **names;
        const char **grown;
        size_t count;
        WEIR_TRY(
            catalog->operations->list(catalog->self, layers[l], arena, &names, &count, reterr));
        WEIR_TRY(weir_arena_zero(arena, all_count + count + 1, sizeof *grown, &grown, reterr));
        if (all_count)
            memcpy(grown, all, all_count * sizeof *grown);
        for (size_t i = 0; i < count; i++)
            grown[all_count++] = names[i];
        all = grown;
    }
    *ret_names = all;
    *ret_count = all_count;
    return WEIR_OK;
}

weir_status weir_query_names(struct weir_query_session *session, struct weir_arena *arena,
                             const char ***ret_names, size_t *ret_count, struct weir_error *reterr)
{
    const char **tables, **all;
    size_t count, functions, aggregates;
    const struct weir_function *const *function = weir_function_all(&functions);
    const struct weir_aggregate_function *const *aggregate = weir_aggregate_all(&aggregates);
    WEIR_TRY(lake_tables(session, arena, &tables, &count, reterr));
    WEIR_TRY(weir_arena_zero(arena, count + functions + aggregates + 1, sizeof *all, &all, reterr));
    for (size_t i = 0; i < count; i++)
        all[i] = tables[i];
    for (size_t i = 0; i < functions; i++)
        all[count++] = function[i]->name;
    for (size_t i = 0; i < aggregates; i++)
        all[count++] = aggregate[i]->name;
    *ret_names = all;
    *ret_count = count;
    return WEIR_OK;
}

static const char *refused_column(void *self, const struct weir_table_source *source,
                                  const char *path)
{
    (void)self;
    return weir_iceberg_refused(source, path);
}

static const char *near_table(void *self, const char *name)
{
    struct weir_query_session *session = self;
    const char *best = NULL, **names;
    size_t distance = 4, count;
    if (lake_tables(session, &session->arena, &names, &count, NULL) != WEIR_OK)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        const char *dot = strrchr(names[i], '.'), *last = dot ? dot + 1 : names[i];
        if (weir_text_distance(last, name) < distance) {
            best = names[i];
            distance = weir_text_distance(last, name);
        }
    }
    return best;
}

/* ---- sessions ---- */

weir_status weir_query_session_new(const struct weir_query_options *options,
                                   struct weir_query_session **ret_session,
                                   struct weir_error *reterr)
{
    struct weir_query_session *session;
    WEIR_TRY(weir_alloc_zero(&options->context->memory, 1, sizeof *session, &session, reterr));
    session->options = *options;
    weir_account_init(&session->account, &options->context->memory, "query", options->memory_limit);
    session->account.context = options->context; /* Ctrl-C ends an expression too */
    weir_arena_init(&session->arena, &session->account);
    if (options->spill_folder) {
        weir_status status = weir_spill_new(&session->account, options->spill_folder,
                                            options->spill_limit, &session->spill, reterr);
        if (status != WEIR_OK) {
            weir_query_session_free(session);
            return status;
        }
    }
    *ret_session = session;
    return WEIR_OK;
}

void weir_query_session_free(struct weir_query_session *session)
{
    if (!session)
        return;
    for (struct known *known = session->known; known; known = known->next)
        known->source.operations->free(known->source.self);
    weir_spill_free(session->spill);
    weir_arena_done(&session->arena);
    weir_free(session);
}

/* ---- statements ---- */

static weir_status placed(const char *text, int location, weir_status status,
                          struct weir_buffer *excerpt, struct weir_error *reterr)
{
    int line, column;
    if (location < 0)
        return status;
    weir_sql_place(text, location, &line, &column);
    weir_error_prefix(reterr, "%d:%d", line, column);
    if (excerpt)
        (void)!weir_sql_excerpt(text, location, excerpt, NULL);
    return status;
}

/* The plan's lines as rows of one column. */
static weir_status give_lines(struct weir_query_session *session, const struct weir_buffer *text,
                              const struct weir_query_result *result, struct weir_error *reterr)
{
    struct weir_field field = {.name = "plan", .type = {.id = WEIR_STRING}};
    struct weir_type type = {.id = WEIR_STRUCT, .child_count = 1, .children = &field};
    const char *line = (const char *)text->data, *end = line + text->size;
    WEIR_AUTO(weir_arena) arena;
    weir_arena_init(&arena, &session->account);
    WEIR_TRY(result->begin(result->self, &type, reterr));
    while (line < end) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        size_t size = (size_t)((stop ? stop : end) - line);
        struct weir_node *value;
        WEIR_TRY(weir_node_text(&arena, line, size, &value, reterr));
        value->value.kind = WEIR_FLAT;
        struct weir_batch batch = {.type = &type, .count = 1, .columns = &value->value};
        WEIR_TRY(result->batch(result->self, &batch, reterr));
        line += size + 1;
    }
    return WEIR_OK;
}

struct counting {
    const struct weir_query_result *result;
    uint64_t rows;
    bool silent;
};

static weir_status count_batch(void *self, const struct weir_batch *batch,
                               struct weir_error *reterr)
{
    struct counting *counting = self;
    counting->rows += batch->count;
    return counting->silent ? WEIR_OK
                            : counting->result->batch(counting->result->self, batch, reterr);
}

static weir_status execute(struct weir_query_session *session, struct weir_sql_plan *plan,
                           const struct weir_query_result *result, uint64_t *ret_rows,
                           int *location, struct weir_error *reterr)
{
    struct counting counting = {.result = result, .silent = plan->kind != WEIR_SQL_QUERY};
    struct weir_result_sink sink = {count_batch, &counting};
    struct weir_exec_options options = {.context = session->options.context,
                                        .account = &session->account,
                                        .spill = session->spill,
                                        .batch_rows = session->options.batch_rows,
                                        .force = session->options.force,
                                        .timed = plan->kind == WEIR_SQL_EXPLAIN_ANALYZE,
                                        .progress = session->options.progress,
                                        .progress_self = session->options.progress_self};
    if (plan->kind == WEIR_SQL_QUERY)
        WEIR_TRY(result->begin(result->self, &plan->root->type, reterr));
    if (plan->kind != WEIR_SQL_EXPLAIN)
        WEIR_TRY(weir_execute(&options, plan->root, &sink, location, reterr));
    *ret_rows = counting.rows;
    if (plan->kind == WEIR_SQL_QUERY)
        return WEIR_OK;
    WEIR_AUTO(weir_buffer) text = {.account = &session->account};
    WEIR_TRY(weir_sql_explain(plan->root, plan->kind == WEIR_SQL_EXPLAIN_ANALYZE, &text, reterr));
    return give_lines(session, &text, result, reterr);
}

static struct weir_sql_catalog catalog_of(struct weir_query_session *session)
{
    return (struct weir_sql_catalog){.table = find_table,
                                     .view = find_view,
                                     .refused = refused_column,
                                     .nearest = near_table,
                                     .self = session};
}

static struct weir_sql_options options_of(struct weir_query_session *session,
                                          const struct weir_sql_catalog *catalog)
{
    return (struct weir_sql_options){
        .catalog = catalog,
        .now_micros = session->options.now_micros ? session->options.now_micros
                                                  : weir_now_ms(session->options.context) * 1000,
        .unoptimized = session->options.unoptimized};
}

static weir_status plan_text(struct weir_query_session *session, struct weir_arena *arena,
                             const char *text, struct weir_sql_plan *ret_plan, int *ret_location,
                             struct weir_error *reterr)
{
    struct weir_sql_catalog catalog = catalog_of(session);
    struct weir_sql_options options = options_of(session, &catalog);
    return weir_sql_plan(arena, text, &options, ret_plan, ret_location, reterr);
}

static struct weir_query_statistics statistics_of(const struct weir_query_session *session,
                                                  uint64_t rows)
{
    return (struct weir_query_statistics){
        .rows = rows,
        .memory_peak = atomic_load(&session->account.peak),
        .bytes_spilled = session->spill ? weir_spill_bytes(session->spill) : 0};
}

weir_status weir_query_run(struct weir_query_session *session, const char *text,
                           const struct weir_query_result *result,
                           struct weir_query_statistics *ret_statistics,
                           struct weir_buffer *ret_excerpt, struct weir_error *reterr)
{
    struct weir_arena arena;
    struct weir_sql_plan plan;
    uint64_t rows = 0;
    int location = -1;
    weir_arena_init(&arena, &session->account);
    weir_status status = plan_text(session, &arena, text, &plan, &location, reterr);
    if (status == WEIR_OK)
        status = execute(session, &plan, result, &rows, &location, reterr);
    if (status != WEIR_OK)
        status = placed(text, location, status, ret_excerpt, reterr);
    weir_arena_done(&arena);
    if (status == WEIR_OK && ret_statistics)
        *ret_statistics = statistics_of(session, rows);
    return status;
}

weir_status weir_query_plan(struct weir_query_session *session, struct weir_arena *arena,
                            const char *text, struct weir_operator **ret_root,
                            struct weir_buffer *ret_excerpt, struct weir_error *reterr)
{
    struct weir_sql_plan plan;
    int location = -1;
    weir_status status = plan_text(session, arena, text, &plan, &location, reterr);
    if (status != WEIR_OK)
        return placed(text, location, status, ret_excerpt, reterr);
    if (plan.kind != WEIR_SQL_QUERY)
        return weir_fail(reterr, WEIR_USAGE, "EXPLAIN is no query here");
    *ret_root = plan.root;
    return WEIR_OK;
}

weir_status weir_query_lineage(struct weir_query_session *session, struct weir_arena *arena,
                               const char *text, struct weir_lineage *ret_lineage,
                               struct weir_error *reterr)
{
    struct weir_sql_catalog catalog = catalog_of(session);
    struct weir_sql_options options = options_of(session, &catalog);
    int location = -1;
    weir_status status = weir_sql_lineage(arena, text, &options, ret_lineage, &location, reterr);
    return status == WEIR_OK ? status : placed(text, location, status, NULL, reterr);
}

weir_status weir_query_execute(struct weir_query_session *session, struct weir_operator *root,
                               const struct weir_query_result *result,
                               struct weir_query_statistics *ret_statistics,
                               struct weir_error *reterr)
{
    struct weir_sql_plan plan = {WEIR_SQL_QUERY, root};
    uint64_t rows = 0;
    int location;
    WEIR_TRY(execute(session, &plan, result, &rows, &location, reterr));
    if (ret_statistics)
        *ret_statistics = statistics_of(session, rows);
    return WEIR_OK;
}
