/* Which column of a plan is never above a column of one of its tables: the start of the hour or the
 * day that a row's time is in. Asked of the physical plan, as reach.c; whoever is not sure says no.
 */
#include "engine/sql/sql.h"

#include <string.h>

struct flooring {
    struct weir_arena *arena;
    const struct weir_table_source *source;
    const char *column;
    int depth;
};

/* *ret_text: SQL over the table's own row, or NULL: no such column. */
static weir_status floor_of(struct flooring *flooring, const struct weir_operator *step,
                            uint32_t column, char **ret_text, struct weir_error *reterr);

static weir_status quoted(struct weir_arena *arena, const char *name, char **ret_text,
                          struct weir_error *reterr)
{
    char *text;
    size_t used = 0;
    WEIR_TRY(weir_arena_zero(arena, 2 * strlen(name) + 3, 1, &text, reterr));
    text[used++] = '"';
    for (; *name; name++) {
        if (*name == '"')
            text[used++] = '"';
        text[used++] = *name;
    }
    text[used] = '"';
    *ret_text = text;
    return WEIR_OK;
}

static bool is_time(enum weir_type_id id)
{
    return id == WEIR_DATE || id == WEIR_TIMESTAMP || id == WEIR_TIMESTAMPTZ;
}

/* The unit of date_trunc, as it is written; NULL: not known before it runs. */
static weir_status unit_of(struct flooring *flooring, const struct weir_node *node, char **ret_unit,
                           struct weir_error *reterr)
{
    *ret_unit = NULL;
    if (node->kind != WEIR_NODE_CONSTANT || node->type.id != WEIR_STRING || !node->value.offsets)
        return WEIR_OK;
    const uint8_t *bytes = node->value.values;
    size_t size = (size_t)(node->value.offsets[1] - node->value.offsets[0]);
    for (size_t i = 0; i < size; i++)
        if (bytes[node->value.offsets[0] + i] < 'A' || bytes[node->value.offsets[0] + i] > 'z')
            return WEIR_OK;
    return weir_arena_copy(flooring->arena, bytes + node->value.offsets[0], size, ret_unit, reterr);
}

static weir_status floor_of_node(struct flooring *flooring, const struct weir_operator *below,
                                 const struct weir_node *node, char **ret_text,
                                 struct weir_error *reterr)
{
    char *inner, *unit;
    const char *type = node->type.id == WEIR_DATE        ? "date"
                       : node->type.id == WEIR_TIMESTAMP ? "timestamp"
                                                         : "timestamptz";
    *ret_text = NULL;
    if (node->kind == WEIR_NODE_COLUMN)
        return floor_of(flooring, below, node->index, ret_text, reterr);
    if (node->kind == WEIR_NODE_CAST && !node->try && is_time(node->type.id) &&
        is_time(node->arguments[0]->type.id)) {
        WEIR_TRY(floor_of_node(flooring, below, node->arguments[0], &inner, reterr));
        return inner ? weir_arena_print(flooring->arena, ret_text, reterr, "CAST(%s AS %s)", inner,
                                        type)
                     : WEIR_OK;
    }
    if (node->kind != WEIR_NODE_CALL || strcmp(node->function->name, "date_trunc") != 0 ||
        node->argument_count != 2)
        return WEIR_OK;
    WEIR_TRY(unit_of(flooring, node->arguments[0], &unit, reterr));
    WEIR_TRY(floor_of_node(flooring, below, node->arguments[1], &inner, reterr));
    return unit && inner ? weir_arena_print(flooring->arena, ret_text, reterr,
                                            "date_trunc('%s', %s)", unit, inner)
                         : WEIR_OK;
}

static uint32_t scans(const struct weir_operator *step, const struct weir_table_source *source)
{
    uint32_t count = step->kind == WEIR_OP_SCAN && step->source == source;
    for (uint32_t i = 0; i < step->child_count; i++)
        count += scans(step->children[i], source);
    return count;
}

/* Each branch that reads the table must have it there, and the same: the text is for all rows. */
static weir_status floor_of_union(struct flooring *flooring, const struct weir_operator *step,
                                  uint32_t column, char **ret_text, struct weir_error *reterr)
{
    char *found = NULL, *text;
    *ret_text = NULL;
    for (uint32_t i = 0; i < step->child_count; i++) {
        if (!scans(step->children[i], flooring->source))
            continue;
        WEIR_TRY(floor_of(flooring, step->children[i], column, &text, reterr));
        if (!text || (found && strcmp(found, text) != 0))
            return WEIR_OK;
        found = text;
    }
    *ret_text = found;
    return WEIR_OK;
}

/* The table may be read on that side only: rows of the other would come along unseen. */
static weir_status floor_of_join(struct flooring *flooring, const struct weir_operator *step,
                                 uint32_t column, char **ret_text, struct weir_error *reterr)
{
    uint32_t left = step->children[0]->type.child_count, side = 0;
    if (step->join == WEIR_JOIN_RIGHT_SEMI || step->join == WEIR_JOIN_RIGHT_ANTI)
        side = 1;
    else if (column >= left && step->join != WEIR_JOIN_MARK) {
        side = 1;
        column -= left;
    }
    *ret_text = NULL;
    if (column >= step->children[side]->type.child_count ||
        scans(step->children[1 - side], flooring->source))
        return WEIR_OK;
    return floor_of(flooring, step->children[side], column, ret_text, reterr);
}

/* Else a row's value may rest on rows of any other time. */
static bool is_partition(const struct weir_operator *step, uint32_t column)
{
    for (uint32_t i = 0; i < step->partition_count; i++)
        if (step->partition_columns[i] == column)
            return true;
    return false;
}

static weir_status floor_of(struct flooring *flooring, const struct weir_operator *step,
                            uint32_t column, char **ret_text, struct weir_error *reterr)
{
    weir_status status = WEIR_OK;
    *ret_text = NULL;
    if (flooring->depth == 500)
        return WEIR_OK;
    flooring->depth++;
    switch (step->kind) {
    case WEIR_OP_SCAN:
        if (step->source == flooring->source &&
            strcmp(step->type.children[column].name, flooring->column) == 0 &&
            is_time(step->type.children[column].type.id))
            status = quoted(flooring->arena, flooring->column, ret_text, reterr);
        break;
    case WEIR_OP_PROJECT:
        status = floor_of_node(flooring, step->children[0], step->expressions[column], ret_text,
                               reterr);
        break;
    case WEIR_OP_AGGREGATE:
        if (column < step->expression_count && step->set_count <= 1)
            status = floor_of_node(flooring, step->children[0], step->expressions[column], ret_text,
                                   reterr);
        break;
    case WEIR_OP_FILTER:
    case WEIR_OP_SORT:
    case WEIR_OP_SHARED:
        if (step->kind != WEIR_OP_SORT || step->limit < 0)
            status = floor_of(flooring, step->children[0], column, ret_text, reterr);
        break;
    case WEIR_OP_WINDOW:
        if (is_partition(step, column))
            status = floor_of(flooring, step->children[0], column, ret_text, reterr);
        break;
    case WEIR_OP_JOIN: status = floor_of_join(flooring, step, column, ret_text, reterr); break;
    case WEIR_OP_UNION_ALL:
        status = floor_of_union(flooring, step, column, ret_text, reterr);
        break;
    case WEIR_OP_LIMIT: /* which rows there are rests on all of them */
    case WEIR_OP_VALUES:
    case WEIR_OP_SET:
    case WEIR_OP_UNNEST:
    case WEIR_OP_RECURSIVE:
    case WEIR_OP_WORKING: break;
    }
    flooring->depth--;
    return status;
}

weir_status weir_sql_floor(struct weir_arena *arena, const struct weir_operator *root,
                           const struct weir_table_source *source, const char *name,
                           uint32_t column, char **ret_text, struct weir_error *reterr)
{
    struct flooring flooring = {arena, source, name, 0};
    return floor_of(&flooring, root, column, ret_text, reterr);
}
