/* Models checked offline: each is bound over empty tables of the declared types, and its gates over
 * an empty table of its own; classes of columns, and what sinks may receive, by lineage. */
#include "scheduler/promote/graph_int.h"
#include "scheduler/sink/sink.h"

#include <string.h>

struct checking {
    const struct weir_pipeline *pipeline;
    struct weir_graph *graph;
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

static weir_status bind_gates(struct checking *checking, const struct weir_model_config *model,
                              struct weir_error *reterr)
{
    for (size_t i = 0; i < model->gate_count; i++) {
        struct weir_operator *root;
        weir_status status = weir_query_plan(checking->graph->session, &checking->graph->arena,
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
        WEIR_TRY(weir_arena_print(&checking->graph->arena, &text, reterr,
                                  "SELECT 1 FROM \"%s\".\"%s\" %s %s", model->table.layer,
                                  model->table.short_name, order ? "ORDER BY" : "WHERE",
                                  order ? model->order_by[i] : model->delete_when));
        weir_status status = weir_query_plan(checking->graph->session, &checking->graph->arena,
                                             text, &root, NULL, reterr);
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
    WEIR_TRY(model_columns(model, &root->type, &checking->graph->arena, &columns, reterr));
    WEIR_TRY(model_keys(model, &columns, &checking->graph->arena, &keys, reterr));
    table.columns = columns;
    WEIR_TRY(weir_shape_make(&checking->graph->arena, &table, NULL, &shape, reterr));
    for (size_t i = 0; i < checking->graph->name_count; i++)
        WEIR_TRY(model_mode_fits(model, root, checking->graph->names[i].source,
                                 checking->graph->names[i].name, reterr));
    weir_status status = graph_add(checking->graph, model, &columns, reterr);
    if (status != WEIR_OK) { /* others that read it are checked all the same */
        (void)!graph_name(checking->graph, model->table.name, &columns, NULL);
        return status;
    }
    WEIR_TRY(graph_name(checking->graph, model->table.name, &columns, reterr));
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

/* The files may not be here: what is declared must do. */
static weir_status check_files(struct checking *checking, const struct weir_model_config *model,
                               struct weir_error *reterr)
{
    if (model->table.columns.child_count == 0)
        return weir_fail(reterr, WEIR_USAGE, "%s: columns are missing", model->table.location);
    WEIR_TRY(graph_add(checking->graph, model, &model->table.columns, reterr));
    return graph_name(checking->graph, model->table.name, &model->table.columns, reterr);
}

static weir_status check_model(struct checking *checking, const struct weir_model_config *model,
                               struct weir_error *reterr)
{
    struct weir_graph *graph = checking->graph;
    struct weir_operator *root;
    struct model_sources sources;
    if (!model->sql)
        return WEIR_OK; /* told already */
    if (model->files)
        return check_files(checking, model, reterr);
    WEIR_TRY(model_sources(checking->pipeline, model, &graph->arena, &sources, reterr));
    WEIR_TRY(check_drivers(model, &sources, reterr));
    graph_names(graph);
    WEIR_TRY(model_failed(
        model, weir_query_plan(graph->session, &graph->arena, model->sql, &root, NULL, reterr),
        reterr));
    if (model->mode != WEIR_MODEL_VIEW)
        return bind_table(checking, model, root, reterr);
    WEIR_TRY(graph_add(graph, model, &root->type, reterr));
    graph->names[graph->name_count++] = (struct weir_query_name){.name = model->table.name,
                                                                 .sql = model->sql};
    return WEIR_OK;
}

/* What sinks say of tables' columns, and what of these they may receive. */
static void check_sinks(struct checking *checking)
{
    const struct weir_pipeline *pipeline = checking->pipeline;
    graph_names(checking->graph);
    for (size_t i = 0; i < pipeline->sink_count; i++) {
        struct weir_error error = {0};
        const struct weir_sink_config *sink = &pipeline->sinks[i];
        if (sink->from && weir_graph_find(checking->graph, sink->from->name))
            tell(checking,
                 weir_sink_bind(sink, checking->graph->session, &checking->graph->arena, NULL,
                                &error),
                 &error);
    }
    checking->problems += weir_graph_check_sinks(checking->graph, pipeline, checking->report,
                                                 checking->argument);
}

static weir_status check_all(struct checking *checking, struct weir_error *reterr)
{
    const struct weir_pipeline *pipeline = checking->pipeline;
    size_t *order;
    WEIR_TRY(weir_models_order(pipeline, &checking->graph->arena, &order, reterr));
    for (size_t i = 0; i < pipeline->model_count; i++) {
        struct weir_error error = {0};
        weir_status status = check_model(checking, &pipeline->models[order[i]], &error);
        tell(checking, status, &error);
    }
    check_sinks(checking);
    checking->problems += weir_graph_check_ages(checking->graph, pipeline, checking->report,
                                                checking->argument);
    return WEIR_OK;
}

size_t weir_models_check(struct weir_context *context, const struct weir_pipeline *pipeline,
                         void (*report)(void *argument, const struct weir_error *error),
                         void *argument, struct weir_graph **ret_graph)
{
    struct checking checking = {.pipeline = pipeline, .report = report, .argument = argument};
    struct weir_error error = {0};
    *ret_graph = NULL;
    if (graph_begin(context, pipeline, &checking.graph, &error) != WEIR_OK)
        return 0; /* told by the check of tables */
    tell(&checking, check_all(&checking, &error), &error);
    *ret_graph = checking.graph;
    return checking.problems;
}
