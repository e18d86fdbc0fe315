/* Models checked offline: each is bound over empty tables of the declared types, and its gates over
 * an empty table of its own. */
#include "scheduler/promote/model_int.h"
#include "scheduler/query/rows_source.h"

#include <string.h>

struct checking {
    struct weir_context *context;
    const struct weir_pipeline *pipeline;
    struct weir_arena arena;
    struct weir_query_session *session;
    struct weir_query_name *names; /* tables known so far */
    struct weir_table_source *sources;
    size_t count;
    void (*report)(void *argument, const struct weir_error *error);
    void *argument;
    size_t problems;
};

static void tell(struct checking *checking, weir_status status, const struct weir_error *error)
{
    if (status == WEIR_OK)
        return;
    checking->problems++;
    checking->report(checking->argument, error);
}

static weir_status add_table(struct checking *checking, const char *name,
                             const struct weir_type *type, struct weir_error *reterr)
{
    struct weir_table_source *source = &checking->sources[checking->count];
    WEIR_TRY(query_rows_new(&checking->context->memory, type, source, reterr));
    checking->names[checking->count++] = (struct weir_query_name){.name = name, .source = source};
    return WEIR_OK;
}

static weir_status ingested(struct checking *checking, const struct weir_table_config *table,
                            struct weir_error *reterr)
{
    struct weir_shape shape;
    WEIR_TRY(weir_shape_make(&checking->arena, table, NULL, &shape, reterr));
    return add_table(checking, table->name, &shape.write, reterr);
}

static weir_status bind_gates(struct checking *checking, const struct weir_model_config *model,
                              struct weir_error *reterr)
{
    for (size_t i = 0; i < model->gate_count; i++) {
        struct weir_operator *root;
        weir_status status = weir_query_plan(checking->session, &checking->arena,
                                             model->gates[i].bad_rows, &root, NULL, reterr);
        if (status != WEIR_OK) {
            weir_error_prefix(reterr, "%s: expect %s", model->gates[i].location,
                              model->gates[i].name);
            return status;
        }
    }
    return WEIR_OK;
}

/* delete_when and order_by are SQL over the model's columns. */
static weir_status bind_terms(struct checking *checking, const struct weir_model_config *model,
                              struct weir_error *reterr)
{
    struct weir_operator *root;
    char *text;
    for (size_t i = 0; i < model->order_count + (model->delete_when != NULL); i++) {
        bool order = i < model->order_count;
        WEIR_TRY(weir_arena_print(&checking->arena, &text, reterr,
                                  "SELECT 1 FROM \"%s\".\"%s\" %s %s", model->table.layer,
                                  model->table.short_name, order ? "ORDER BY" : "WHERE",
                                  order ? model->order_by[i] : model->delete_when));
        weir_status status = weir_query_plan(checking->session, &checking->arena, text, &root, NULL,
                                             reterr);
        if (status != WEIR_OK) {
            weir_error_prefix(reterr, "%s: %s", model->table.location,
                              order ? "order_by" : "delete_when");
            return status;
        }
    }
    return WEIR_OK;
}

static weir_status bind_table(struct checking *checking, const struct weir_model_config *model,
                              const struct weir_operator *root, struct weir_error *reterr)
{
    struct weir_type columns;
    struct weir_shape shape;
    uint32_t *keys;
    struct weir_table_config table = model->table;
    WEIR_TRY(model_columns(model, &root->type, &checking->arena, &columns, reterr));
    WEIR_TRY(model_keys(model, &columns, &checking->arena, &keys, reterr));
    table.columns = columns;
    WEIR_TRY(weir_shape_make(&checking->arena, &table, NULL, &shape, reterr));
    for (size_t i = 0; i < checking->count; i++)
        WEIR_TRY(model_mode_fits(model, root, checking->names[i].source, checking->names[i].name,
                                 reterr));
    WEIR_TRY(add_table(checking, model->table.name, &columns, reterr));
    weir_query_names_set(checking->session, checking->names, checking->count);
    WEIR_TRY(bind_terms(checking, model, reterr));
    return bind_gates(checking, model, reterr);
}

/* A name that the SQL does not read would never make it due. */
static weir_status check_drivers(const struct weir_model_config *model,
                                 const struct model_sources *sources, struct weir_error *reterr)
{
    for (size_t i = 0; i < model->driven_count; i++) {
        bool read = false;
        for (size_t k = 0; k < sources->table_count; k++)
            read |= strcmp(model->driven_by[i], sources->tables[k]) == 0;
        if (!read)
            return weir_fail(reterr, WEIR_USAGE, "%s: driven_by: the SQL does not read %s",
                             model->table.location, model->driven_by[i]);
    }
    return WEIR_OK;
}

static weir_status check_model(struct checking *checking, const struct weir_model_config *model,
                               struct weir_error *reterr)
{
    struct weir_operator *root;
    struct model_sources sources;
    if (!model->sql)
        return WEIR_OK; /* told already */
    if (model->files)   /* the files may not be here: what is declared must do */
        return model->table.columns.child_count
                   ? add_table(checking, model->table.name, &model->table.columns, reterr)
                   : weir_fail(reterr, WEIR_USAGE, "%s: columns are missing",
                               model->table.location);
    WEIR_TRY(model_sources(checking->pipeline, model, &checking->arena, &sources, reterr));
    WEIR_TRY(check_drivers(model, &sources, reterr));
    weir_query_names_set(checking->session, checking->names, checking->count);
    WEIR_TRY(model_failed(
        model,
        weir_query_plan(checking->session, &checking->arena, model->sql, &root, NULL, reterr),
        reterr));
    if (model->mode == WEIR_MODEL_VIEW) {
        checking->names[checking->count++] = (struct weir_query_name){.name = model->table.name,
                                                                      .sql = model->sql};
        return WEIR_OK;
    }
    return bind_table(checking, model, root, reterr);
}

static weir_status check_all(struct checking *checking, struct weir_error *reterr)
{
    const struct weir_pipeline *pipeline = checking->pipeline;
    size_t room = pipeline->table_count + pipeline->model_count + 1, *order;
    struct weir_query_options options = {.context = checking->context};
    WEIR_TRY(
        weir_arena_zero(&checking->arena, room, sizeof *checking->names, &checking->names, reterr));
    WEIR_TRY(weir_arena_zero(&checking->arena, room, sizeof *checking->sources, &checking->sources,
                             reterr));
    WEIR_TRY(weir_query_session_new(&options, &checking->session, reterr));
    for (size_t i = 0; i < pipeline->table_count; i++)
        if (ingested(checking, &pipeline->tables[i], reterr) != WEIR_OK)
            return WEIR_OK; /* told by the check of tables */
    WEIR_TRY(weir_models_order(pipeline, &checking->arena, &order, reterr));
    for (size_t i = 0; i < pipeline->model_count; i++) {
        struct weir_error error = {0};
        weir_status status = check_model(checking, &pipeline->models[order[i]], &error);
        tell(checking, status, &error);
    }
    return WEIR_OK;
}

size_t weir_models_check(struct weir_context *context, const struct weir_pipeline *pipeline,
                         void (*report)(void *argument, const struct weir_error *error),
                         void *argument)
{
    struct checking checking = {
        .context = context, .pipeline = pipeline, .report = report, .argument = argument};
    struct weir_error error = {0};
    if (pipeline->model_count == 0)
        return 0;
    weir_arena_init(&checking.arena, &context->memory);
    tell(&checking, check_all(&checking, &error), &error);
    weir_query_session_free(checking.session);
    for (size_t i = 0; i < checking.count; i++)
        if (checking.names[i].source)
            checking.sources[i].operations->free(checking.sources[i].self);
    weir_arena_done(&checking.arena);
    return checking.problems;
}
