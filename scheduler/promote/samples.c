/* What of a model's values may be shown, and kept as bounds: by the classes of its columns.
 *
 * A sample of rows that broke a gate shows a value only if everything it is made of is a column of
 * the candidate without a class. What lineage cannot tell (a column that the pipeline file does not
 * know, SQL that binds only in the lake) is shown only where nothing personal is read at all. */
#include "scheduler/promote/promote_int.h"

#include <string.h>
#include <strings.h>

/* ---- classes of the model ---- */

/* Is anything that the model reads, or makes, of a class? */
static bool reads_personal(const struct promotion *promotion)
{
    const struct weir_pipeline *pipeline = promotion->options->pipeline;
    for (size_t i = 0; i < pipeline->table_count + pipeline->model_count; i++) {
        const struct weir_table_config *table =
            i < pipeline->table_count ? &pipeline->tables[i]
                                      : &pipeline->models[i - pipeline->table_count].table;
        const struct weir_graph_table *traced = promotion->graph
                                                    ? weir_graph_find(promotion->graph, table->name)
                                                    : NULL;
        bool read = table == &promotion->model->table;
        for (size_t k = 0; k < promotion->reads.table_count; k++)
            read |= strcmp(promotion->reads.tables[k], table->name) == 0;
        for (uint32_t c = 0; read && traced && c < traced->column_count; c++)
            if (traced->columns[c].class_ != WEIR_CLASS_NONE)
                return true;
        for (size_t c = 0; !promotion->graph && c < table->column_config_count; c++)
            if (strcmp(table->column_configs[c].class_name, "none") != 0)
                return true; /* of whatever table: its lineage is not known */
    }
    return false;
}

static const struct weir_column_config *declared(const struct weir_table_config *table,
                                                 const char *column)
{
    for (size_t i = 0; i < table->column_config_count; i++)
        if (strcasecmp(table->column_configs[i].path, column) == 0)
            return &table->column_configs[i];
    return NULL;
}

/* The run's, with this model in it, or one of its own. */
static weir_status open_graph(struct promotion *promotion, struct weir_error *reterr)
{
    struct weir_context *context = promotion->lake->context;
    struct weir_graph **shared = promotion->options->graph;
    if (shared && *shared) {
        WEIR_TRY(weir_graph_extend(*shared, promotion->model, reterr));
        promotion->graph = *shared;
        promotion->graph_shared = true;
        return WEIR_OK;
    }
    WEIR_TRY(weir_graph_new(context, promotion->options->pipeline, promotion->model,
                            &promotion->graph, reterr));
    promotion->graph_shared = shared != NULL;
    if (shared)
        *shared = promotion->graph;
    return WEIR_OK;
}

weir_status promotion_classes(struct promotion *promotion, struct weir_error *reterr)
{
    const struct weir_model_config *model = promotion->model;
    struct weir_column_config *configs;
    struct weir_error error = {0};
    uint32_t count = promotion->columns.child_count;
    weir_status status = open_graph(promotion, &error);
    if (status != WEIR_OK && status != WEIR_USAGE) {
        if (reterr)
            *reterr = error;
        return status;
    }
    if (status == WEIR_OK)
        promotion->traced = weir_graph_find(promotion->graph, model->table.name);
    bool personal = reads_personal(promotion);
    WEIR_TRY(weir_arena_zero(&promotion->arena, count + 1, sizeof *configs, &configs, reterr));
    for (uint32_t i = 0; i < count; i++) {
        const char *name = promotion->columns.children[i].name;
        const struct weir_column_config *config = declared(&model->table, name);
        const struct weir_graph_column *column = promotion->traced
                                                     ? weir_graph_column(promotion->traced, name)
                                                     : NULL;
        if (config)
            configs[i] = *config;
        configs[i].path = name;
        if (!config || !config->bounds_given)
            configs[i].bounds = column ? column->bounds : !personal;
        if (!configs[i].class_name)
            configs[i].class_name = "none";
    }
    promotion->config.column_configs = configs;
    promotion->config.column_config_count = count;
    return WEIR_OK;
}

/* ---- samples ---- */

/* The name between `quote`s, those in it doubled. */
static weir_status quoted(struct weir_arena *arena, const char *name, char quote, char **ret_text,
                          struct weir_error *reterr)
{
    char *text;
    size_t used = 0, size = strlen(name);
    WEIR_TRY(weir_arena_zero(arena, 2 * size + 3, 1, &text, reterr));
    text[used++] = quote;
    for (size_t i = 0; i < size; i++) {
        if (name[i] == quote)
            text[used++] = quote;
        text[used++] = name[i];
    }
    text[used] = quote;
    *ret_text = text;
    return WEIR_OK;
}

/* What the table's own name stands for in the session. */
static weir_status candidate_source(struct promotion *promotion,
                                    const struct weir_table_source **ret_source,
                                    struct weir_error *reterr)
{
    struct weir_lineage lineage;
    char *layer, *name, *text;
    struct weir_arena *arena = &promotion->arena;
    WEIR_TRY(quoted(arena, promotion->model->table.layer, '"', &layer, reterr));
    WEIR_TRY(quoted(arena, promotion->model->table.short_name, '"', &name, reterr));
    WEIR_TRY(weir_arena_print(arena, &text, reterr, "SELECT * FROM %s.%s", layer, name));
    WEIR_TRY(weir_query_lineage(promotion->session, arena, text, &lineage, reterr));
    *ret_source = lineage.column_count && lineage.columns[0].use_count
                      ? lineage.columns[0].uses[0].source
                      : NULL;
    return WEIR_OK;
}

static bool may_show(const struct promotion *promotion, const struct weir_lineage_column *column,
                     const struct weir_table_source *candidate)
{
    bool personal = reads_personal(promotion);
    for (uint32_t i = 0; i < column->use_count; i++) {
        const struct weir_lineage_use *use = &column->uses[i];
        const struct weir_graph_column *known = promotion->traced && use->source == candidate
                                                    ? weir_graph_column(promotion->traced,
                                                                        use->column)
                                                    : NULL;
        bool shown = known ? known->class_ == WEIR_CLASS_NONE : !personal;
        if (weir_lineage_is_value(use->kind) && !shown)
            return false;
    }
    return true;
}

static weir_status sample_statement(struct promotion *promotion, const char *bad_rows,
                                    char **ret_text, struct weir_error *reterr)
{
    struct weir_arena *arena = &promotion->arena;
    const struct weir_table_source *candidate;
    struct weir_lineage lineage;
    char none[] = "", *list = none, *key, *column;
    WEIR_TRY(candidate_source(promotion, &candidate, reterr));
    WEIR_TRY(weir_query_lineage(promotion->session, arena, bad_rows, &lineage, reterr));
    for (uint32_t i = 0; i < lineage.column_count; i++) {
        const char *name = lineage.columns[i].name;
        bool shown = may_show(promotion, &lineage.columns[i], candidate);
        WEIR_TRY(quoted(arena, name, '\'', &key, reterr));
        WEIR_TRY(quoted(arena, name, '"', &column, reterr));
        WEIR_TRY(weir_arena_print(arena, &list, reterr, "%s%s%s: %s", list, i ? ", " : "", key,
                                  shown ? column : "'***'"));
    }
    return weir_arena_print(arena, ret_text, reterr,
                            "SELECT to_json({%s}) FROM (%s) weir_b LIMIT %d", list, bad_rows,
                            GATE_SAMPLE_ROWS);
}

weir_status promotion_sample(struct promotion *promotion, const char *bad_rows, json_t *ret_rows,
                             struct weir_error *reterr)
{
    char *text;
    struct path_set rows;
    WEIR_TRY(sample_statement(promotion, bad_rows, &text, reterr));
    WEIR_TRY(statement_texts(promotion, text, &rows, reterr));
    for (size_t i = 0; i < rows.count; i++) {
        json_t *row = json_loads(rows.paths[i], 0, NULL);
        if (row)
            json_array_append_new(ret_rows, row);
    }
    return WEIR_OK;
}
