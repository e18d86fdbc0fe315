/* Tables of a pipeline and what their columns are made of, bound over empty tables. */
#include "scheduler/promote/graph_int.h"

#include <string.h>
#include <strings.h>

/* ---- looking ---- */

size_t weir_graph_count(const struct weir_graph *graph)
{
    return graph->count;
}

const struct weir_graph_table *weir_graph_at(const struct weir_graph *graph, size_t index)
{
    return &graph->tables[index];
}

const struct weir_graph_table *weir_graph_find(const struct weir_graph *graph, const char *name)
{
    for (size_t i = 0; i < graph->count; i++)
        if (strcmp(graph->tables[i].name, name) == 0)
            return &graph->tables[i];
    return NULL;
}

const struct weir_graph_column *weir_graph_column(const struct weir_graph_table *table,
                                                  const char *name)
{
    for (uint32_t i = 0; i < table->column_count; i++)
        if (strcasecmp(table->columns[i].name, name) == 0)
            return &table->columns[i];
    return NULL;
}

weir_status weir_graph_path(const struct weir_graph_table *table, uint32_t column,
                            struct weir_buffer *out, struct weir_error *reterr)
{
    for (;;) {
        const struct weir_graph_column *at = &table->columns[column];
        WEIR_TRY(weir_buffer_print(out, reterr, "%s.%s", table->name, at->name));
        if (at->cause == UINT32_MAX)
            return WEIR_OK;
        const struct weir_graph_use *use = &at->uses[at->cause];
        for (unsigned i = 0; i < WEIR_LINEAGE_MASKS; i++)
            if (use->masks & 1U << i)
                WEIR_TRY(weir_buffer_print(out, reterr, " (%s)", weir_lineage_mask_name(i)));
        WEIR_TRY(weir_buffer_print(out, reterr, " <- "));
        table = use->table;
        column = use->column;
    }
}

/* ---- making ---- */

void graph_names(struct weir_graph *graph)
{
    weir_query_names_set(graph->session, graph->names, graph->name_count);
}

weir_status graph_name(struct weir_graph *graph, const char *name, const struct weir_type *columns,
                       struct weir_error *reterr)
{
    struct weir_table_source *source = &graph->sources[graph->name_count];
    WEIR_TRY(query_rows_new(&graph->context->memory, columns, source, reterr));
    graph->names[graph->name_count++] = (struct weir_query_name){.name = name, .source = source};
    graph_names(graph);
    return WEIR_OK;
}

static const struct weir_graph_table *table_of(const struct weir_graph *graph,
                                               const struct weir_table_source *source)
{
    for (size_t i = 0; i < graph->name_count; i++)
        if (graph->names[i].source == source)
            return weir_graph_find(graph, graph->names[i].name);
    return NULL;
}

static weir_status take_uses(struct weir_graph *graph, const struct weir_lineage_use *from,
                             uint32_t count, const struct weir_graph_use **ret, uint32_t *ret_count,
                             struct weir_error *reterr)
{
    struct weir_graph_use *uses;
    uint32_t used = 0;
    WEIR_TRY(weir_arena_zero(&graph->arena, (size_t)count + 1, sizeof *uses, &uses, reterr));
    for (uint32_t i = 0; i < count; i++) {
        const struct weir_graph_table *table = table_of(graph, from[i].source);
        const struct weir_graph_column *column = table ? weir_graph_column(table, from[i].column)
                                                       : NULL;
        if (column)
            uses[used++] = (struct weir_graph_use){table, (uint32_t)(column - table->columns),
                                                   from[i].kind, from[i].masks};
    }
    *ret = uses;
    *ret_count = used;
    return WEIR_OK;
}

static weir_status table_new(struct weir_graph *graph, const struct weir_table_config *config,
                             const struct weir_model_config *model, const struct weir_type *columns,
                             struct weir_graph_table **ret, struct weir_error *reterr)
{
    struct weir_graph_table *table = &graph->tables[graph->count];
    *table = (struct weir_graph_table){.name = config->name,
                                       .layer = config->layer,
                                       .config = config,
                                       .model = model,
                                       .column_count = columns->child_count};
    WEIR_TRY(weir_arena_zero(&graph->arena, (size_t)columns->child_count + 1,
                             sizeof *table->columns, &table->columns, reterr));
    for (uint32_t i = 0; i < columns->child_count; i++) {
        struct weir_graph_column *column = &table->columns[i];
        char *name; /* types may go before the graph does */
        WEIR_TRY(weir_arena_copy(&graph->arena, columns->children[i].name,
                                 strlen(columns->children[i].name), &name, reterr));
        column->name = name;
        column->doc = columns->children[i].doc;
        column->bounds = true;
        column->cause = UINT32_MAX;
        WEIR_TRY(weir_type_copy(&graph->arena, &columns->children[i].type, &column->type, reterr));
    }
    *ret = table;
    return WEIR_OK;
}

static weir_status add_ingested(struct weir_graph *graph, const struct weir_table_config *config,
                                struct weir_error *reterr)
{
    struct weir_shape shape;
    struct weir_graph_table *table;
    WEIR_TRY(weir_shape_make(&graph->arena, config, NULL, &shape, reterr));
    WEIR_TRY(table_new(graph, config, NULL, &shape.write, &table, reterr));
    for (uint32_t i = 0; i < table->column_count; i++)
        WEIR_TRY(class_column(graph, table, &table->columns[i], reterr));
    graph->count++;
    return graph_name(graph, config->name, &shape.write, reterr);
}

weir_status graph_begin(struct weir_context *context, const struct weir_pipeline *pipeline,
                        struct weir_graph **ret_graph, struct weir_error *reterr)
{
    struct weir_graph *graph;
    size_t room = pipeline->table_count + pipeline->model_count + 1;
    struct weir_query_options options = {.context = context};
    WEIR_TRY(weir_alloc_zero(&context->memory, 1, sizeof *graph, &graph, reterr));
    graph->context = context;
    graph->pipeline = pipeline;
    graph->masks = classes_masks(pipeline);
    weir_arena_init(&graph->arena, &context->memory);
    struct weir_arena *arena = &graph->arena;
    weir_status status = weir_arena_zero(arena, room, sizeof *graph->names, &graph->names, reterr);
    if (status == WEIR_OK)
        status = weir_arena_zero(arena, room, sizeof *graph->sources, &graph->sources, reterr);
    if (status == WEIR_OK)
        status = weir_arena_zero(arena, room, sizeof *graph->tables, &graph->tables, reterr);
    if (status == WEIR_OK)
        status = weir_query_session_new(&options, &graph->session, reterr);
    for (size_t i = 0; status == WEIR_OK && i < pipeline->table_count; i++)
        status = add_ingested(graph, &pipeline->tables[i], reterr);
    if (status != WEIR_OK) {
        weir_graph_free(graph);
        return status;
    }
    *ret_graph = graph;
    return WEIR_OK;
}

void weir_graph_free(struct weir_graph *graph)
{
    if (!graph)
        return;
    weir_query_session_free(graph->session);
    for (size_t i = 0; i < graph->name_count; i++)
        if (graph->names[i].source)
            graph->sources[i].operations->free(graph->sources[i].self);
    weir_arena_done(&graph->arena);
    weir_free(graph);
}

static weir_status read_names(struct weir_graph *graph, const struct weir_model_config *model,
                              struct weir_graph_table *table, struct weir_error *reterr)
{
    struct weir_table_name *names;
    const char **reads;
    size_t count, used = 0;
    WEIR_TRY(weir_sql_tables(&graph->arena, model->sql, &names, &count, NULL, reterr));
    WEIR_TRY(weir_arena_zero(&graph->arena, count + 1, sizeof *reads, &reads, reterr));
    for (size_t i = 0; i < count; i++)
        if (names[i].part_count == 2) {
            char *name;
            WEIR_TRY(weir_arena_print(&graph->arena, &name, reterr, "%s.%s", names[i].parts[0],
                                      names[i].parts[1]));
            reads[used++] = name;
        }
    table->reads = reads;
    table->read_count = used;
    return WEIR_OK;
}

/* The query's columns and those declared go by name. */
static weir_status trace_model(struct weir_graph *graph, const struct weir_model_config *model,
                               struct weir_graph_table *table, struct weir_error *reterr)
{
    struct weir_lineage lineage;
    graph_names(graph);
    WEIR_TRY(read_names(graph, model, table, reterr));
    WEIR_TRY(weir_query_lineage(graph->session, &graph->arena, model->sql, &lineage, reterr));
    for (uint32_t i = 0; i < lineage.column_count; i++) {
        struct weir_graph_column *column = (struct weir_graph_column *)(uintptr_t)weir_graph_column(
            table, lineage.columns[i].name);
        if (column && column->use_count == 0)
            WEIR_TRY(take_uses(graph, lineage.columns[i].uses, lineage.columns[i].use_count,
                               &column->uses, &column->use_count, reterr));
    }
    return take_uses(graph, lineage.rows, lineage.row_count, &table->rows, &table->row_count,
                     reterr);
}

weir_status graph_add(struct weir_graph *graph, const struct weir_model_config *model,
                      const struct weir_type *columns, struct weir_error *reterr)
{
    struct weir_graph_table *table;
    WEIR_TRY(table_new(graph, &model->table, model, columns, &table, reterr));
    if (!model->files)
        WEIR_TRY(model_failed(model, trace_model(graph, model, table, reterr), reterr));
    for (uint32_t i = 0; i < table->column_count; i++)
        WEIR_TRY(class_column(graph, table, &table->columns[i], reterr));
    graph->count++;
    return WEIR_OK;
}

/* ---- a whole one ---- */

static weir_status add_model(struct weir_graph *graph, const struct weir_model_config *model,
                             struct weir_error *reterr)
{
    struct weir_operator *root;
    struct weir_type columns = model->table.columns;
    if (!model->sql || (model->files && columns.child_count == 0))
        return WEIR_OK;
    if (!model->files) {
        graph_names(graph);
        WEIR_TRY(model_failed(
            model, weir_query_plan(graph->session, &graph->arena, model->sql, &root, NULL, reterr),
            reterr));
        WEIR_TRY(model_columns(model, &root->type, &graph->arena, &columns, reterr));
    }
    WEIR_TRY(graph_add(graph, model, &columns, reterr));
    if (model->mode != WEIR_MODEL_VIEW)
        return graph_name(graph, model->table.name, &columns, reterr);
    graph->names[graph->name_count++] = (struct weir_query_name){.name = model->table.name,
                                                                 .sql = model->sql};
    return WEIR_OK;
}

/* Marks what a model reads, by way of others too. */
static weir_status mark(struct weir_graph *graph, const struct weir_model_config *model,
                        bool *wanted, struct weir_error *reterr)
{
    const struct weir_pipeline *pipeline = graph->pipeline;
    struct model_sources reads;
    size_t index = (size_t)(model - pipeline->models);
    if (wanted[index] || weir_graph_find(graph, model->table.name))
        return WEIR_OK;
    wanted[index] = true;
    WEIR_TRY(model_sources(pipeline, model, &graph->arena, &reads, reterr));
    for (size_t i = 0; i < reads.table_count + reads.view_count; i++) {
        const struct weir_model_config *other = i < reads.table_count
                                                    ? model_find(pipeline, reads.tables[i])
                                                    : reads.views[i - reads.table_count];
        if (other)
            WEIR_TRY(mark(graph, other, wanted, reterr));
    }
    return WEIR_OK;
}

static weir_status add_models(struct weir_graph *graph, const struct weir_model_config *only,
                              struct weir_error *reterr)
{
    const struct weir_pipeline *pipeline = graph->pipeline;
    bool *wanted;
    if (!graph->order)
        WEIR_TRY(weir_models_order(pipeline, &graph->arena, &graph->order, reterr));
    const size_t *order = graph->order;
    WEIR_TRY(
        weir_arena_zero(&graph->arena, pipeline->model_count + 1, sizeof *wanted, &wanted, reterr));
    if (only)
        WEIR_TRY(mark(graph, only, wanted, reterr));
    for (size_t i = 0; i < pipeline->model_count; i++)
        if (!only || wanted[order[i]])
            WEIR_TRY(add_model(graph, &pipeline->models[order[i]], reterr));
    return WEIR_OK;
}

weir_status weir_graph_extend(struct weir_graph *graph, const struct weir_model_config *model,
                              struct weir_error *reterr)
{
    return add_models(graph, model, reterr);
}

weir_status weir_graph_new(struct weir_context *context, const struct weir_pipeline *pipeline,
                           const struct weir_model_config *only, struct weir_graph **ret_graph,
                           struct weir_error *reterr)
{
    struct weir_graph *graph;
    WEIR_TRY(graph_begin(context, pipeline, &graph, reterr));
    weir_status status = add_models(graph, only, reterr);
    if (status != WEIR_OK) {
        weir_graph_free(graph);
        return status;
    }
    *ret_graph = graph;
    return WEIR_OK;
}
