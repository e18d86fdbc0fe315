/* Which rows broke a gate: a few of them, as JSON, without values that may name a person.
 *
 * A value is shown when its column is declared without a class of persons, or when the tables that
 * the model reads have a column of that name without one. Whatever else the SQL makes is shown only
 * where nothing personal is read at all: what a name is made of cannot be told by its name. */
#include "scheduler/promote/promote_int.h"

#include <string.h>
#include <strings.h>

enum shown { SHOWN_UNKNOWN, SHOWN_YES, SHOWN_NO };

#define DEPTH_MAX 64 /* models that read models */

static bool is_personal(const struct weir_column_config *column)
{
    return column->class_name && (strcmp(column->class_name, "personal") == 0 ||
                                  strcmp(column->class_name, "pseudonymous") == 0);
}

/* column NULL: is any of them personal? Fields of a struct count for the whole. */
static enum shown declared(const struct weir_table_config *table, const char *column)
{
    enum shown shown = SHOWN_UNKNOWN;
    for (size_t i = 0; i < table->column_config_count; i++) {
        const struct weir_column_config *config = &table->column_configs[i];
        size_t size = strcspn(config->path, ".");
        if (column && (strlen(column) != size || strncasecmp(config->path, column, size) != 0))
            continue;
        if (is_personal(config))
            return SHOWN_NO;
        if (config->class_name)
            shown = SHOWN_YES;
    }
    return shown;
}

static bool has_column(const struct weir_table_config *table, const char *column)
{
    for (uint32_t i = 0; i < table->columns.child_count; i++)
        if (strcasecmp(table->columns.children[i].name, column) == 0)
            return true;
    return false;
}

static weir_status of_model(struct promotion *promotion, const struct weir_model_config *model,
                            const char *column, int depth, enum shown *ret_shown,
                            struct weir_error *reterr);

static weir_status of_table(struct promotion *promotion, const char *name, const char *column,
                            int depth, enum shown *ret_shown, struct weir_error *reterr)
{
    const struct weir_pipeline *pipeline = promotion->options->pipeline;
    const struct weir_model_config *model = model_find(pipeline, name);
    if (model)
        return of_model(promotion, model, column, depth + 1, ret_shown, reterr);
    *ret_shown = SHOWN_UNKNOWN;
    for (size_t i = 0; i < pipeline->table_count; i++) {
        const struct weir_table_config *table = &pipeline->tables[i];
        if (strcmp(table->name, name) != 0)
            continue;
        *ret_shown = declared(table, column);
        if (*ret_shown == SHOWN_UNKNOWN && column && has_column(table, column))
            *ret_shown = SHOWN_YES;
    }
    return WEIR_OK;
}

static weir_status of_model(struct promotion *promotion, const struct weir_model_config *model,
                            const char *column, int depth, enum shown *ret_shown,
                            struct weir_error *reterr)
{
    struct model_sources reads;
    enum shown shown = declared(&model->table, column), one;
    *ret_shown = depth > DEPTH_MAX ? SHOWN_NO : shown;
    if (*ret_shown == SHOWN_NO || (shown == SHOWN_YES && column))
        return WEIR_OK;
    if (model->files && column && has_column(&model->table, column))
        shown = SHOWN_YES;
    WEIR_TRY(model_sources(promotion->options->pipeline, model, &promotion->arena, &reads, reterr));
    for (size_t i = 0; shown != SHOWN_NO && i < reads.table_count; i++) {
        WEIR_TRY(of_table(promotion, reads.tables[i], column, depth, &one, reterr));
        shown = one == SHOWN_UNKNOWN ? shown : one;
    }
    *ret_shown = shown;
    return WEIR_OK;
}

/* What the gate itself counts is no column of the table's. */
static weir_status may_show(struct promotion *promotion, const char *column, bool *ret_may,
                            struct weir_error *reterr)
{
    enum shown shown = SHOWN_YES, any;
    if (weir_type_child(&promotion->columns, column, strlen(column)))
        WEIR_TRY(of_model(promotion, promotion->model, column, 0, &shown, reterr));
    if (shown == SHOWN_UNKNOWN) {
        WEIR_TRY(of_model(promotion, promotion->model, NULL, 0, &any, reterr));
        shown = any;
    }
    *ret_may = shown != SHOWN_NO;
    return WEIR_OK;
}

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

static weir_status sample_statement(struct promotion *promotion, const char *bad_rows,
                                    char **ret_text, struct weir_error *reterr)
{
    struct weir_arena *arena = &promotion->arena;
    struct weir_operator *root;
    char none[] = "", *list = none, *key, *column;
    bool shown;
    WEIR_TRY(weir_query_plan(promotion->session, arena, bad_rows, &root, NULL, reterr));
    for (uint32_t i = 0; i < root->type.child_count; i++) {
        const char *name = root->type.children[i].name;
        WEIR_TRY(may_show(promotion, name, &shown, reterr));
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
