/* The columns of every table of a pipeline, before any of them is there: of those that sources fill
 * as declared, of models as their SQL gives them. */
#include "scheduler/promote/model_int.h"
#include "scheduler/query/rows_source.h"

#include <string.h>

struct typing {
    struct weir_context *context;
    struct weir_arena *arena;
    struct weir_query_session *session;
    struct weir_query_name *names; /* tables and views so far */
    struct weir_table_source *rows;
    struct weir_models_table *tables;
    size_t count, row_count;
};

static void all_optional(struct weir_type *type)
{
    for (uint32_t i = 0; i < type->child_count; i++) {
        bool is_key = type->id == WEIR_MAP && i == 0;
        type->children[i].required = is_key;
        all_optional(&type->children[i].type);
    }
}

/* Kept with ids, and stands in for the table in the models behind it. */
static weir_status add_table(struct typing *typing, const struct weir_table_config *config,
                             const struct weir_model_config *model, const struct weir_type *type,
                             struct weir_error *reterr)
{
    struct weir_models_table *table = &typing->tables[typing->count];
    int32_t last = 0;
    *table = (struct weir_models_table){.config = config, .model = model};
    WEIR_TRY(weir_type_copy(typing->arena, type, &table->type, reterr));
    all_optional(&table->type);
    for (uint32_t i = 0; i < table->type.child_count; i++)
        last = table->type.children[i].id > last ? table->type.children[i].id : last;
    if (last == 0)
        weir_type_assign_ids(&table->type, &last);
    struct weir_query_name *name = &typing->names[typing->count++];
    *name = (struct weir_query_name){.name = config->name};
    if (model && model->mode == WEIR_MODEL_VIEW) {
        name->sql = model->sql;
        return WEIR_OK;
    }
    struct weir_table_source *rows = &typing->rows[typing->row_count];
    WEIR_TRY(query_rows_new(&typing->context->memory, &table->type, rows, reterr));
    typing->row_count++;
    name->source = rows;
    return WEIR_OK;
}

static weir_status add_model(struct typing *typing, const struct weir_model_config *model,
                             struct weir_error *reterr)
{
    struct weir_operator *root;
    struct weir_type columns;
    if (model->files && model->table.columns.child_count)
        return add_table(typing, &model->table, model, &model->table.columns, reterr);
    weir_query_names_set(typing->session, typing->names, typing->count);
    WEIR_TRY(model_failed(
        model, weir_query_plan(typing->session, typing->arena, model->sql, &root, NULL, reterr),
        reterr));
    if (model->mode == WEIR_MODEL_VIEW)
        return add_table(typing, &model->table, model, &root->type, reterr);
    WEIR_TRY(model_columns(model, &root->type, typing->arena, &columns, reterr));
    return add_table(typing, &model->table, model, &columns, reterr);
}

static weir_status type_all(struct typing *typing, const struct weir_pipeline *pipeline,
                            struct weir_error *reterr)
{
    size_t room = pipeline->table_count + pipeline->model_count + 1, *order;
    struct weir_query_options options = {.context = typing->context};
    WEIR_TRY(weir_arena_zero(typing->arena, room, sizeof *typing->names, &typing->names, reterr));
    WEIR_TRY(weir_arena_zero(typing->arena, room, sizeof *typing->rows, &typing->rows, reterr));
    WEIR_TRY(weir_arena_zero(typing->arena, room, sizeof *typing->tables, &typing->tables, reterr));
    WEIR_TRY(weir_query_session_new(&options, &typing->session, reterr));
    for (size_t i = 0; i < pipeline->table_count; i++) {
        struct weir_shape shape;
        WEIR_TRY(weir_shape_make(typing->arena, &pipeline->tables[i], NULL, &shape, reterr));
        WEIR_TRY(add_table(typing, &pipeline->tables[i], NULL, &shape.write, reterr));
    }
    WEIR_TRY(weir_models_order(pipeline, typing->arena, &order, reterr));
    for (size_t i = 0; i < pipeline->model_count; i++)
        WEIR_TRY(add_model(typing, &pipeline->models[order[i]], reterr));
    return WEIR_OK;
}

weir_status weir_models_types(struct weir_context *context, const struct weir_pipeline *pipeline,
                              struct weir_arena *arena, struct weir_models_table **ret_tables,
                              size_t *ret_count, struct weir_error *reterr)
{
    struct typing typing = {.context = context, .arena = arena};
    weir_status status = type_all(&typing, pipeline, reterr);
    weir_query_session_free(typing.session);
    for (size_t i = 0; i < typing.row_count; i++)
        typing.rows[i].operations->free(typing.rows[i].self);
    if (status == WEIR_OK) {
        *ret_tables = typing.tables;
        *ret_count = typing.count;
    }
    return status;
}

weir_status weir_models_reads(const struct weir_pipeline *pipeline,
                              const struct weir_model_config *model, struct weir_arena *arena,
                              const char *const **ret_names, size_t *ret_count,
                              struct weir_error *reterr)
{
    struct model_sources *sources;
    WEIR_TRY(weir_arena_zero(arena, 1, sizeof *sources, &sources, reterr));
    WEIR_TRY(model_sources(pipeline, model, arena, sources, reterr));
    *ret_names = sources->tables;
    *ret_count = sources->table_count;
    return WEIR_OK;
}
