/* The graph of models, and what can be known of a model before anything is read. */
#include "scheduler/promote/model_int.h"

#include <stdio.h>
#include <string.h>

const struct weir_model_config *model_find(const struct weir_pipeline *pipeline, const char *name)
{
    for (size_t i = 0; i < pipeline->model_count; i++)
        if (strcmp(pipeline->models[i].table.name, name) == 0)
            return &pipeline->models[i];
    return NULL;
}

static bool is_ingested(const struct weir_pipeline *pipeline, const char *name)
{
    for (size_t i = 0; i < pipeline->table_count; i++)
        if (strcmp(pipeline->tables[i].name, name) == 0)
            return true;
    return false;
}

weir_status model_failed(const struct weir_model_config *model, weir_status status,
                         struct weir_error *reterr)
{
    if (status != WEIR_OK)
        weir_error_prefix(reterr, "%s", model->sql_file ? model->sql_file : model->table.location);
    return status;
}

/* ---- what it reads ---- */

static weir_status dotted(struct weir_arena *arena, const struct weir_table_name *name,
                          char **ret_text, struct weir_error *reterr)
{
    char text[1024] = "";
    for (size_t i = 0; i < name->part_count; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", i ? "." : "",
                 name->parts[i]);
    return weir_arena_copy(arena, text, strlen(text), ret_text, reterr);
}

static weir_status tables_of(const struct weir_model_config *model, struct weir_arena *arena,
                             struct weir_table_name **ret_names, size_t *ret_count,
                             struct weir_error *reterr)
{
    int location = -1, line, column;
    weir_status status = weir_sql_tables(arena, model->sql, ret_names, ret_count, &location,
                                         reterr);
    if (status != WEIR_OK && location >= 0) {
        weir_sql_place(model->sql, location, &line, &column);
        weir_error_prefix(reterr, "%d:%d", line, column);
    }
    return model_failed(model, status, reterr);
}

static weir_status add_source(struct model_sources *sources, const char *name,
                              struct weir_error *reterr)
{
    for (size_t i = 0; i < sources->table_count; i++)
        if (strcmp(sources->tables[i], name) == 0)
            return WEIR_OK;
    if (sources->table_count == MODEL_SOURCES_MAX)
        return weir_fail(reterr, WEIR_USAGE, "a model reads more than %d tables",
                         MODEL_SOURCES_MAX);
    sources->tables[sources->table_count++] = name;
    return WEIR_OK;
}

struct collecting {
    const struct weir_pipeline *pipeline;
    struct weir_arena *arena;
    struct model_sources *sources;
};

static weir_status collect(struct collecting *collecting, const struct weir_model_config *model,
                           int depth, struct weir_error *reterr);

/* A table is a source; a view stands for what it reads. */
static weir_status collect_name(struct collecting *collecting,
                                const struct weir_model_config *model, const char *name, int depth,
                                struct weir_error *reterr)
{
    struct model_sources *sources = collecting->sources;
    const struct weir_model_config *other = model_find(collecting->pipeline, name);
    if (other && other->mode == WEIR_MODEL_VIEW) {
        WEIR_TRY(collect(collecting, other, depth + 1, reterr));
        if (sources->view_count == MODEL_SOURCES_MAX)
            return weir_fail(reterr, WEIR_USAGE, "a model reads more than %d views",
                             MODEL_SOURCES_MAX);
        sources->views[sources->view_count++] = other;
        return WEIR_OK;
    }
    if (other || is_ingested(collecting->pipeline, name))
        return add_source(sources, name, reterr);
    weir_status status = weir_fail(reterr, WEIR_USAGE, "there is no table %s in the pipeline file",
                                   name);
    return model_failed(model, status, reterr);
}

static weir_status collect(struct collecting *collecting, const struct weir_model_config *model,
                           int depth, struct weir_error *reterr)
{
    struct weir_table_name *names;
    size_t count;
    if (depth > MODEL_SOURCES_MAX)
        return weir_fail(reterr, WEIR_USAGE, "%s: views that read each other in a circle",
                         model->table.location);
    WEIR_TRY(tables_of(model, collecting->arena, &names, &count, reterr));
    for (size_t i = 0; i < count; i++) {
        char *name;
        WEIR_TRY(dotted(collecting->arena, &names[i], &name, reterr));
        if (names[i].is_path || names[i].version || names[i].timestamp) {
            weir_status status = weir_fail(reterr, WEIR_USAGE,
                                           "%s: a model reads tables as they are", name);
            weir_error_hint(reterr, "make files a table: source: {files: ...} with mode: full");
            return model_failed(model, status, reterr);
        }
        WEIR_TRY(collect_name(collecting, model, name, depth, reterr));
    }
    return WEIR_OK;
}

weir_status model_sources(const struct weir_pipeline *pipeline,
                          const struct weir_model_config *model, struct weir_arena *arena,
                          struct model_sources *ret_sources, struct weir_error *reterr)
{
    struct collecting collecting = {pipeline, arena, ret_sources};
    *ret_sources = (struct model_sources){0};
    if (model->files)
        return WEIR_OK;
    WEIR_TRY(collect(&collecting, model, 0, reterr));
    for (size_t i = 0; i < model->gate_count; i++) {
        const struct weir_gate *gate = &model->gates[i];
        if (gate->on_fail != WEIR_ON_FAIL_QUARANTINE || !gate->other)
            continue;
        weir_status status = collect_name(&collecting, model, gate->other, 0, reterr);
        if (status != WEIR_OK) {
            weir_error_prefix(reterr, "%s: expect %s", gate->location, gate->name);
            return status;
        }
    }
    return WEIR_OK;
}

/* ---- order ---- */

struct ordering {
    const struct weir_pipeline *pipeline;
    struct weir_arena *arena;
    uint8_t *state; /* 0 new, 1 under way, 2 placed */
    size_t *order, count;
};

static weir_status place(struct ordering *ordering, size_t index, struct weir_error *reterr)
{
    const struct weir_model_config *model = &ordering->pipeline->models[index];
    struct weir_table_name *names;
    size_t count;
    if (ordering->state[index] == 2)
        return WEIR_OK;
    if (ordering->state[index] == 1)
        return weir_fail(reterr, WEIR_USAGE, "%s: %s reads itself, by way of other models",
                         model->table.location, model->table.name);
    ordering->state[index] = 1;
    if (!model->files) {
        WEIR_TRY(tables_of(model, ordering->arena, &names, &count, reterr));
        for (size_t i = 0; i < count; i++) {
            char *name;
            WEIR_TRY(dotted(ordering->arena, &names[i], &name, reterr));
            const struct weir_model_config *other = model_find(ordering->pipeline, name);
            if (other)
                WEIR_TRY(place(ordering, (size_t)(other - ordering->pipeline->models), reterr));
        }
    }
    for (size_t i = 0; i < model->gate_count; i++) {
        const struct weir_gate *gate = &model->gates[i];
        const struct weir_model_config *other = gate->on_fail == WEIR_ON_FAIL_QUARANTINE &&
                                                        gate->other
                                                    ? model_find(ordering->pipeline, gate->other)
                                                    : NULL;
        if (other)
            WEIR_TRY(place(ordering, (size_t)(other - ordering->pipeline->models), reterr));
    }
    ordering->state[index] = 2;
    ordering->order[ordering->count++] = index;
    return WEIR_OK;
}

weir_status weir_models_order(const struct weir_pipeline *pipeline, struct weir_arena *arena,
                              size_t **ret_order, struct weir_error *reterr)
{
    struct ordering ordering = {.pipeline = pipeline, .arena = arena};
    size_t count = pipeline->model_count;
    WEIR_TRY(weir_arena_zero(arena, count + 1, 1, &ordering.state, reterr));
    WEIR_TRY(weir_arena_zero(arena, count + 1, sizeof *ordering.order, &ordering.order, reterr));
    for (size_t i = 0; i < count; i++)
        WEIR_TRY(place(&ordering, i, reterr));
    *ret_order = ordering.order;
    return WEIR_OK;
}

weir_status weir_models_views(const struct weir_pipeline *pipeline, struct weir_arena *arena,
                              struct weir_query_name **ret_names, size_t *ret_count,
                              struct weir_error *reterr)
{
    struct weir_query_name *names;
    size_t count = 0;
    WEIR_TRY(weir_arena_zero(arena, pipeline->model_count + 1, sizeof *names, &names, reterr));
    for (size_t i = 0; i < pipeline->model_count; i++)
        if (pipeline->models[i].mode == WEIR_MODEL_VIEW && pipeline->models[i].sql)
            names[count++] = (struct weir_query_name){.name = pipeline->models[i].table.name,
                                                      .sql = pipeline->models[i].sql};
    *ret_names = names;
    *ret_count = count;
    return WEIR_OK;
}

/* ---- columns ---- */

static weir_status differs(const struct weir_model_config *model, const struct weir_field *declared,
                           const struct weir_type *has, struct weir_arena *arena,
                           struct weir_error *reterr)
{
    WEIR_AUTO(weir_buffer) a = {.account = arena->account}, b = {.account = arena->account};
    WEIR_TRY(weir_type_print(has, &a, reterr));
    WEIR_TRY(weir_type_print(&declared->type, &b, reterr));
    return weir_fail(reterr, WEIR_USAGE,
                     "%s: column %s is declared as %s, and the query gives %s: cast it",
                     model->table.location, declared->name, b.data, a.data);
}

static bool can_be(const struct weir_type *from, const struct weir_type *to)
{
    return weir_type_equal(from, to, false) || weir_type_can_widen(from, to) ||
           (!weir_type_is_nested(from->id) && !weir_type_is_nested(to->id));
}

weir_status model_columns(const struct weir_model_config *model, const struct weir_type *result,
                          struct weir_arena *arena, struct weir_type *ret_columns,
                          struct weir_error *reterr)
{
    const struct weir_type *declared = &model->table.columns;
    struct weir_type columns;
    if (declared->child_count) {
        for (uint32_t i = 0; i < declared->child_count; i++) {
            const struct weir_field *field = &declared->children[i],
                                    *has = weir_type_child(result, field->name,
                                                           strlen(field->name));
            if (!has)
                return weir_fail(reterr, WEIR_USAGE,
                                 "%s: column %s is declared, but the query does not give it",
                                 model->table.location, field->name);
            if (!can_be(&has->type, &field->type))
                return differs(model, field, &has->type, arena, reterr);
        }
        return weir_type_copy(arena, declared, ret_columns, reterr);
    }
    WEIR_TRY(weir_type_copy(arena, result, &columns, reterr));
    for (uint32_t i = 0; i < columns.child_count; i++) {
        struct weir_field *field = &columns.children[i];
        field->required = false;
        field->id = 0;
        if (field->type.id == WEIR_INTERVAL)
            return weir_fail(reterr, WEIR_USAGE,
                             "%s: column %s is an interval, which no table can hold: cast it, or "
                             "take extract(epoch from ...)",
                             model->table.location, field->name);
        for (uint32_t j = 0; j < i; j++)
            if (strcmp(columns.children[j].name, field->name) == 0)
                return weir_fail(reterr, WEIR_USAGE, "%s: two columns are named %s",
                                 model->table.location, field->name);
    }
    *ret_columns = columns;
    return WEIR_OK;
}

weir_status model_keys(const struct weir_model_config *model, const struct weir_type *columns,
                       struct weir_arena *arena, uint32_t **ret_numbers, struct weir_error *reterr)
{
    uint32_t *numbers;
    WEIR_TRY(weir_arena_zero(arena, model->key_count + 1, sizeof *numbers, &numbers, reterr));
    for (size_t i = 0; i < model->key_count; i++) {
        const struct weir_field *field = weir_type_child(columns, model->keys[i],
                                                         strlen(model->keys[i]));
        if (!field)
            return weir_fail(reterr, WEIR_USAGE, "%s: the query gives no column %s (%s)",
                             model->table.location, model->keys[i],
                             model->mode == WEIR_MODEL_MERGE ? "unique_key" : "group_by");
        numbers[i] = (uint32_t)(field - columns->children);
    }
    *ret_numbers = numbers;
    return WEIR_OK;
}

weir_status model_mode_fits(const struct weir_model_config *model, const struct weir_operator *root,
                            const struct weir_table_source *source, const char *name,
                            struct weir_error *reterr)
{
    enum weir_reach reach = weir_sql_reach(root, source, NULL, 0);
    if (model->mode != WEIR_MODEL_APPEND || reach <= WEIR_REACH_ROWS)
        return WEIR_OK;
    weir_status status = weir_fail(reterr, WEIR_USAGE,
                                   "%s: mode append needs SQL that makes each row of %s into rows "
                                   "of its own; this one groups, "
                                   "orders or compares rows",
                                   model->table.location, name);
    weir_error_hint(reterr, "use mode: recompute with group_by, merge with unique_key, or full");
    return status;
}
