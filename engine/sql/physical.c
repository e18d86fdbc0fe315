/* Logical plans -> operators: numbers become positions, only what is needed is made, conditions of
 * joins become keys, the smaller side is built, and scans learn what they may skip. */
#include "engine/exec/row.h"
#include "engine/sql/physical_int.h"

#include <string.h>

/* ---- positions ---- */

static int position_of(const struct numbers *columns, uint32_t number)
{
    for (uint32_t i = 0; i < columns->count; i++)
        if (columns->items[i] == number)
            return (int)i;
    return -1;
}

/* A copy over positions of `columns`; fields of pruned structs are found by name. */
weir_status place_node(struct physical *physical, const struct numbers *columns,
                       const struct weir_node *node, struct weir_node **ret,
                       struct weir_error *reterr)
{
    struct weir_arena *arena = physical->sql->arena;
    struct weir_node *copy;
    WEIR_TRY(weir_arena_zero(arena, 1, sizeof *copy, &copy, reterr));
    *copy = *node;
    copy->value.type = &copy->type;
    *ret = copy;
    if (node->kind == WEIR_NODE_COLUMN) {
        int at = position_of(columns, node->index);
        if (at < 0)
            return weir_fail(reterr, WEIR_INTERNAL, "column %s#%u is not there",
                             physical->sql->columns[node->index].name, node->index);
        copy->index = (uint32_t)at;
        copy->type = physical->types[node->index];
        return WEIR_OK;
    }
    if (node->kind == WEIR_NODE_LAMBDA) {
        WEIR_TRY(weir_arena_zero(arena, node->capture_count + 1, sizeof *copy->captures,
                                 &copy->captures, reterr));
        for (uint32_t i = 0; i < node->capture_count; i++)
            WEIR_TRY(place_node(physical, columns, node->captures[i], &copy->captures[i], reterr));
        return WEIR_OK;
    }
    WEIR_TRY(weir_arena_zero(arena, node->argument_count + 1, sizeof *copy->arguments,
                             &copy->arguments, reterr));
    for (uint32_t i = 0; i < node->argument_count; i++)
        WEIR_TRY(place_node(physical, columns, node->arguments[i], &copy->arguments[i], reterr));
    if (node->kind == WEIR_NODE_FIELD) {
        const char *name = node->arguments[0]->type.children[node->index].name;
        const struct weir_type *pruned = &copy->arguments[0]->type;
        for (uint32_t i = 0; i < pruned->child_count; i++)
            if (strcmp(pruned->children[i].name, name) == 0) {
                copy->index = i;
                copy->type = pruned->children[i].type;
            }
    }
    return WEIR_OK;
}

static weir_status place_all(struct physical *physical, const struct numbers *columns,
                             const struct nodes *nodes, struct weir_node ***ret,
                             struct weir_error *reterr)
{
    struct weir_node **placed;
    WEIR_TRY(
        weir_arena_zero(physical->sql->arena, nodes->count + 1, sizeof *placed, &placed, reterr));
    for (uint32_t i = 0; i < nodes->count; i++)
        WEIR_TRY(place_node(physical, columns, nodes->items[i], &placed[i], reterr));
    *ret = placed;
    return WEIR_OK;
}

static weir_status place_conjunction(struct physical *physical, const struct numbers *columns,
                                     const struct nodes *nodes, struct weir_node **ret,
                                     struct weir_error *reterr)
{
    struct weir_node *all = NULL;
    for (uint32_t i = 0; i < nodes->count; i++) {
        struct weir_node *one;
        WEIR_TRY(place_node(physical, columns, nodes->items[i], &one, reterr));
        WEIR_TRY(weir_node_and(physical->sql->arena, all, one, &all, reterr));
    }
    *ret = all;
    return WEIR_OK;
}

/* ---- making operators ---- */

weir_status operator_new(struct physical *physical, enum weir_operator_kind kind,
                         const struct numbers *columns, uint32_t child_count, double rows,
                         struct weir_operator **ret, struct weir_error *reterr)
{
    struct weir_arena *arena = physical->sql->arena;
    struct weir_operator *operator;
    WEIR_TRY(weir_arena_zero(arena, 1, sizeof *operator, & operator, reterr));
    operator->kind = kind;
    operator->limit = - 1;
    operator->estimated_rows = rows;
    operator->type.id = WEIR_STRUCT;
    operator->type.child_count = columns->count;
    WEIR_TRY(weir_arena_zero(arena, columns->count + 1, sizeof *operator->type.children,
                             &operator->type.children, reterr));
    for (uint32_t i = 0; i < columns->count; i++) {
        operator->type.children[i].name = physical->sql->columns[columns->items[i]].name;
        operator->type.children[i].type = physical->types[columns->items[i]];
    }
    WEIR_TRY(weir_arena_zero(arena, child_count + 1, sizeof *operator->children,
                             &operator->children, reterr));
    operator->child_count = child_count;
    *ret = operator;
    return WEIR_OK;
}

/* The child's columns in this order, if they are not so already. */
weir_status arrange(struct physical *physical, struct weir_operator **operator,
                    const struct numbers * from, const struct numbers *to,
                    struct weir_error *reterr)
{
    struct weir_operator *project;
    struct nodes nodes = {0};
    if (from->count == to->count &&
        (to->count == 0 || memcmp(from->items, to->items, to->count * sizeof *to->items) == 0))
        return WEIR_OK;
    for (uint32_t i = 0; i < to->count; i++) {
        struct weir_node *node;
        WEIR_TRY(sql_column_node(physical->sql, to->items[i], -1, &node, reterr));
        WEIR_TRY(nodes_add(physical->sql, &nodes, node, reterr));
    }
    WEIR_TRY(operator_new(physical, WEIR_OP_PROJECT, to, 1, (*operator)->estimated_rows, &project,
                          reterr));
    WEIR_TRY(place_all(physical, from, &nodes, &project->expressions, reterr));
    project->expression_count = to->count;
    project->children[0] = *operator;
    *operator= project;
    return WEIR_OK;
}

/* Drops columns that nobody above asks for: before rows are kept. */
static weir_status narrow(struct physical *physical, struct weir_operator **operator,
                          struct numbers * columns, const struct columns *needed,
                          struct weir_error *reterr)
{
    struct numbers kept = {0};
    for (uint32_t i = 0; i < columns->count; i++)
        if (columns_have(needed, columns->items[i]) && !numbers_have(&kept, columns->items[i]))
            WEIR_TRY(numbers_add(physical->sql, &kept, columns->items[i], reterr));
    WEIR_TRY(arrange(physical, operator, columns, &kept, reterr));
    *columns = kept;
    return WEIR_OK;
}

static weir_status need_nodes(struct physical *physical, const struct nodes *nodes,
                              struct columns *needed, struct weir_error *reterr)
{
    for (uint32_t i = 0; i < nodes->count; i++)
        WEIR_TRY(columns_of_node(physical->sql, nodes->items[i], needed, reterr));
    return WEIR_OK;
}

static weir_status copy_set(struct physical *physical, const struct columns *set,
                            struct columns *ret, struct weir_error *reterr)
{
    WEIR_TRY(columns_new(physical->sql, ret, reterr));
    for (uint32_t i = 0; i < set->word_count * 64; i++)
        if (columns_have(set, i))
            WEIR_TRY(columns_add(physical->sql, ret, i, reterr));
    return WEIR_OK;
}

/* Expressions that must be columns below: those that are not are projected first. */
static weir_status as_columns(struct physical *physical, struct weir_operator **operator,
                              struct numbers * columns, struct weir_node *const *nodes,
                              uint32_t count, uint32_t *ret_positions, struct weir_error *reterr)
{
    struct sql *sql = physical->sql;
    struct nodes all = {0};
    struct numbers made = *columns;
    bool extra = false;
    made.items = NULL;
    made.count = made.capacity = 0;
    for (uint32_t i = 0; i < columns->count; i++) {
        struct weir_node *node;
        WEIR_TRY(sql_column_node(sql, columns->items[i], -1, &node, reterr));
        WEIR_TRY(nodes_add(sql, &all, node, reterr));
        WEIR_TRY(numbers_add(sql, &made, columns->items[i], reterr));
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t column = nodes[i]->index;
        if (nodes[i]->kind != WEIR_NODE_COLUMN) {
            WEIR_TRY(physical_column(physical, "key", &nodes[i]->type, &column, reterr));
            WEIR_TRY(nodes_add(sql, &all, nodes[i], reterr));
            WEIR_TRY(numbers_add(sql, &made, column, reterr));
            extra = true;
        }
        int position = position_of(&made, column);
        if (position < 0)
            return weir_fail(reterr, WEIR_INTERNAL, "column %s#%u is not there",
                             sql->columns[column].name, column);
        ret_positions[i] = (uint32_t)position;
    }
    if (!extra)
        return WEIR_OK;
    struct weir_operator *project;
    WEIR_TRY(operator_new(physical, WEIR_OP_PROJECT, &made, 1, (*operator)->estimated_rows,
                          &project, reterr));
    WEIR_TRY(place_all(physical, columns, &all, &project->expressions, reterr));
    project->expression_count = all.count;
    project->children[0] = *operator;
    *operator= project;
    *columns = made;
    return WEIR_OK;
}

weir_status physical_column(struct physical *physical, const char *name,
                            const struct weir_type *type, uint32_t *ret_column,
                            struct weir_error *reterr)
{
    struct weir_type copy = *type, *types;
    uint32_t before = physical->sql->column_count;
    WEIR_TRY(sql_column_new(physical->sql, name, &copy, ret_column, reterr));
    if (before >= physical->type_capacity) {
        uint32_t capacity = (before + 16) * 2;
        WEIR_TRY(weir_arena_zero(physical->sql->arena, capacity, sizeof *types, &types, reterr));
        memcpy(types, physical->types, physical->type_capacity * sizeof *types);
        physical->types = types;
        physical->type_capacity = capacity;
    }
    physical->types[*ret_column] = copy;
    return WEIR_OK;
}

/* ---- filter, project ---- */

static weir_status make_filter(struct physical *physical, struct logical *plan,
                               const struct columns *needed, struct made *ret,
                               struct weir_error *reterr)
{
    struct columns below;
    struct made child;
    WEIR_TRY(copy_set(physical, needed, &below, reterr));
    WEIR_TRY(need_nodes(physical, &plan->conditions, &below, reterr));
    WEIR_TRY(physical_make(physical, plan->children[0], &below, &child, reterr));
    ret->columns = child.columns;
    WEIR_TRY(operator_new(physical, WEIR_OP_FILTER, &child.columns, 1, plan->rows, &ret->operator,
                          reterr));
    ret->operator->children[0] = child.operator;
    return place_conjunction(physical, &child.columns, &plan->conditions, &ret->operator->filter,
                             reterr);
}

static weir_status make_project(struct physical *physical, struct logical *plan,
                                const struct columns *needed, struct made *ret,
                                struct weir_error *reterr)
{
    struct columns below;
    struct made child;
    struct nodes nodes = {0};
    struct numbers columns = {0};
    bool plain = true;
    WEIR_TRY(columns_new(physical->sql, &below, reterr));
    for (uint32_t i = 0; i < plan->columns.count; i++) {
        struct weir_node *node = plan->expressions.items[i];
        if (!columns_have(needed, plan->columns.items[i]) ||
            numbers_have(&columns, plan->columns.items[i]))
            continue;
        WEIR_TRY(nodes_add(physical->sql, &nodes, node, reterr));
        WEIR_TRY(numbers_add(physical->sql, &columns, plan->columns.items[i], reterr));
        plain = plain && node->kind == WEIR_NODE_COLUMN && node->index == plan->columns.items[i];
    }
    WEIR_TRY(need_nodes(physical, &nodes, &below, reterr));
    WEIR_TRY(physical_make(physical, plan->children[0], &below, &child, reterr));
    if (plain) { /* only names what is there */
        *ret = child;
        return WEIR_OK;
    }
    struct weir_node **placed;
    WEIR_TRY(place_all(physical, &child.columns, &nodes, &placed, reterr));
    for (uint32_t i = 0; i < nodes.count; i++)
        physical->types[columns.items[i]] = placed[i]->type;
    WEIR_TRY(
        operator_new(physical, WEIR_OP_PROJECT, &columns, 1, plan->rows, &ret->operator, reterr));
    ret->operator->expressions = placed;
    ret->operator->expression_count = nodes.count;
    ret->operator->children[0] = child.operator;
    ret->columns = columns;
    return WEIR_OK;
}

/* ---- aggregate ---- */

static weir_status place_call(struct physical *physical, const struct numbers *columns,
                              struct weir_aggregate_call *call, struct weir_error *reterr)
{
    struct weir_arena *arena = physical->sql->arena;
    struct weir_node **arguments, **order;
    WEIR_TRY(
        weir_arena_zero(arena, call->argument_count + 1, sizeof *arguments, &arguments, reterr));
    WEIR_TRY(weir_arena_zero(arena, call->order_count + 1, sizeof *order, &order, reterr));
    for (uint32_t i = 0; i < call->argument_count; i++)
        WEIR_TRY(place_node(physical, columns, call->arguments[i], &arguments[i], reterr));
    for (uint32_t i = 0; i < call->order_count; i++)
        WEIR_TRY(place_node(physical, columns, call->order[i], &order[i], reterr));
    if (call->filter)
        WEIR_TRY(place_node(physical, columns, call->filter, &call->filter, reterr));
    call->arguments = arguments;
    call->order = order;
    return WEIR_OK;
}

static weir_status need_call(struct physical *physical, const struct weir_aggregate_call *call,
                             struct columns *needed, struct weir_error *reterr)
{
    for (uint32_t i = 0; i < call->argument_count; i++)
        WEIR_TRY(columns_of_node(physical->sql, call->arguments[i], needed, reterr));
    for (uint32_t i = 0; i < call->order_count; i++)
        WEIR_TRY(columns_of_node(physical->sql, call->order[i], needed, reterr));
    return columns_of_node(physical->sql, call->filter, needed, reterr);
}

static weir_status make_aggregate(struct physical *physical, struct logical *plan,
                                  const struct columns *needed, struct made *ret,
                                  struct weir_error *reterr)
{
    struct sql *sql = physical->sql;
    struct columns below;
    struct made child;
    struct numbers columns = {0};
    struct weir_aggregate_call *calls;
    uint32_t keys = plan->expressions.count, count = 0;
    WEIR_TRY(columns_new(sql, &below, reterr));
    WEIR_TRY(weir_arena_zero(sql->arena, plan->call_count + 1, sizeof *calls, &calls, reterr));
    WEIR_TRY(need_nodes(physical, &plan->expressions, &below, reterr));
    for (uint32_t i = 0; i < keys; i++)
        WEIR_TRY(numbers_add(sql, &columns, plan->columns.items[i], reterr));
    for (uint32_t i = 0; i < plan->call_count; i++) {
        uint32_t column = plan->columns.items[keys + i];
        if (!columns_have(needed, column))
            continue;
        calls[count++] = plan->calls[i];
        WEIR_TRY(need_call(physical, &plan->calls[i], &below, reterr));
        WEIR_TRY(numbers_add(sql, &columns, column, reterr));
    }
    if (plan->set_count > 1)
        WEIR_TRY(numbers_add(sql, &columns, plan->columns.items[keys + plan->call_count], reterr));
    WEIR_TRY(physical_make(physical, plan->children[0], &below, &child, reterr));
    WEIR_TRY(
        operator_new(physical, WEIR_OP_AGGREGATE, &columns, 1, plan->rows, &ret->operator, reterr));
    struct weir_operator *operator= ret->operator;
    operator->children[0] = child.operator;
    WEIR_TRY(
        place_all(physical, &child.columns, &plan->expressions, &operator->expressions, reterr));
    operator->expression_count = keys;
    for (uint32_t i = 0; i < count; i++)
        WEIR_TRY(place_call(physical, &child.columns, &calls[i], reterr));
    operator->aggregates = calls;
    operator->aggregate_count = count;
    operator->sets = plan->sets;
    operator->set_count = plan->set_count;
    ret->columns = columns;
    return WEIR_OK;
}

/* ---- sort, limit, window ---- */

static weir_status make_sort(struct physical *physical, struct logical *plan,
                             const struct columns *needed, struct made *ret,
                             struct weir_error *reterr)
{
    struct sql *sql = physical->sql;
    struct columns below;
    struct made child;
    struct weir_node **nodes;
    struct weir_sort_key *keys;
    uint32_t *positions, count = plan->sort_count;
    WEIR_TRY(copy_set(physical, needed, &below, reterr));
    WEIR_TRY(weir_arena_zero(sql->arena, count + 1, sizeof *nodes, &nodes, reterr));
    WEIR_TRY(weir_arena_zero(sql->arena, count + 1, sizeof *keys, &keys, reterr));
    WEIR_TRY(weir_arena_zero(sql->arena, count + 1, sizeof *positions, &positions, reterr));
    for (uint32_t i = 0; i < count; i++) {
        nodes[i] = plan->sort[i].node;
        WEIR_TRY(columns_of_node(sql, nodes[i], &below, reterr));
    }
    WEIR_TRY(physical_make(physical, plan->children[0], &below, &child, reterr));
    WEIR_TRY(narrow(physical, &child.operator, & child.columns, &below, reterr));
    WEIR_TRY(
        as_columns(physical, &child.operator, & child.columns, nodes, count, positions, reterr));
    for (uint32_t i = 0; i < count; i++)
        keys[i] = (struct weir_sort_key){positions[i], plan->sort[i].descending,
                                         plan->sort[i].nulls_first};
    WEIR_TRY(operator_new(physical, plan->kind == LOGICAL_LIMIT ? WEIR_OP_LIMIT : WEIR_OP_SORT,
                          &child.columns, 1, plan->rows, &ret->operator, reterr));
    ret->operator->children[0] = child.operator;
    ret->operator->sort_keys = keys;
    ret->operator->sort_key_count = count;
    ret->operator->limit = plan->limit;
    ret->operator->offset = plan->offset;
    ret->columns = child.columns;
    return WEIR_OK;
}

static weir_status make_window(struct physical *physical, struct logical *plan,
                               const struct columns *needed, struct made *ret,
                               struct weir_error *reterr)
{
    struct sql *sql = physical->sql;
    struct columns below;
    struct made child;
    struct nodes keys = plan->partition, all = {0};
    struct weir_sort_key *order;
    uint32_t *positions, partitions = keys.count;
    for (uint32_t i = 0; i < keys.count; i++)
        WEIR_TRY(nodes_add(sql, &all, keys.items[i], reterr));
    for (uint32_t i = 0; i < plan->sort_count; i++)
        WEIR_TRY(nodes_add(sql, &all, plan->sort[i].node, reterr));
    WEIR_TRY(copy_set(physical, needed, &below, reterr));
    WEIR_TRY(need_nodes(physical, &all, &below, reterr));
    for (uint32_t i = 0; i < plan->window_count; i++)
        WEIR_TRY(need_call(physical, &plan->windows[i].aggregate, &below, reterr));
    WEIR_TRY(physical_make(physical, plan->children[0], &below, &child, reterr));
    WEIR_TRY(narrow(physical, &child.operator, & child.columns, &below, reterr));
    WEIR_TRY(weir_arena_zero(sql->arena, all.count + 1, sizeof *positions, &positions, reterr));
    WEIR_TRY(weir_arena_zero(sql->arena, plan->sort_count + 1, sizeof *order, &order, reterr));
    WEIR_TRY(as_columns(physical, &child.operator, & child.columns, all.items, all.count, positions,
                        reterr));
    struct numbers columns = {0};
    for (uint32_t i = 0; i < child.columns.count; i++)
        WEIR_TRY(numbers_add(sql, &columns, child.columns.items[i], reterr));
    for (uint32_t i = 0; i < plan->columns.count; i++)
        WEIR_TRY(numbers_add(sql, &columns, plan->columns.items[i], reterr));
    WEIR_TRY(
        operator_new(physical, WEIR_OP_WINDOW, &columns, 1, plan->rows, &ret->operator, reterr));
    struct weir_operator *operator= ret->operator;
    operator->children[0] = child.operator;
    operator->partition_columns = positions;
    operator->partition_count = partitions;
    for (uint32_t i = 0; i < plan->sort_count; i++)
        order[i] = (struct weir_sort_key){positions[partitions + i], plan->sort[i].descending,
                                          plan->sort[i].nulls_first};
    operator->sort_keys = order;
    operator->sort_key_count = plan->sort_count;
    operator->windows = plan->windows;
    operator->window_count = plan->window_count;
    for (uint32_t i = 0; i < plan->window_count; i++)
        WEIR_TRY(place_call(physical, &child.columns, &plan->windows[i].aggregate, reterr));
    ret->columns = columns;
    return WEIR_OK;
}

/* ---- union, set, unnest, values, shared ---- */

static weir_status make_union(struct physical *physical, struct logical *plan,
                              const struct columns *needed, struct made *ret,
                              struct weir_error *reterr)
{
    struct sql *sql = physical->sql;
    bool all = plan->kind == LOGICAL_SET;
    struct numbers columns = {0};
    for (uint32_t i = 0; i < plan->columns.count; i++)
        if (all || columns_have(needed, plan->columns.items[i]))
            WEIR_TRY(numbers_add(sql, &columns, plan->columns.items[i], reterr));
    WEIR_TRY(operator_new(physical, all ? WEIR_OP_SET : WEIR_OP_UNION_ALL, &columns,
                          plan->child_count, plan->rows, &ret->operator, reterr));
    for (uint32_t side = 0; side < plan->child_count; side++) {
        struct columns below;
        struct numbers wanted = {0};
        struct made child;
        WEIR_TRY(columns_new(sql, &below, reterr));
        for (uint32_t i = 0; i < plan->columns.count; i++)
            if (numbers_have(&columns, plan->columns.items[i])) {
                uint32_t column = plan->child_columns[side].items[i];
                WEIR_TRY(columns_add(sql, &below, column, reterr));
                WEIR_TRY(numbers_add(sql, &wanted, column, reterr));
            }
        WEIR_TRY(physical_make(physical, plan->children[side], &below, &child, reterr));
        WEIR_TRY(arrange(physical, &child.operator, & child.columns, &wanted, reterr));
        ret->operator->children[side] = child.operator;
    }
    ret->operator->except = plan->except;
    ret->operator->all = plan->all;
    ret->columns = columns;
    return WEIR_OK;
}

static weir_status make_unnest(struct physical *physical, struct logical *plan,
                               const struct columns *needed, struct made *ret,
                               struct weir_error *reterr)
{
    struct sql *sql = physical->sql;
    struct columns below;
    struct made child;
    struct numbers columns = {0};
    struct weir_node **placed;
    WEIR_TRY(copy_set(physical, needed, &below, reterr));
    WEIR_TRY(need_nodes(physical, &plan->expressions, &below, reterr));
    WEIR_TRY(physical_make(physical, plan->children[0], &below, &child, reterr));
    WEIR_TRY(place_all(physical, &child.columns, &plan->expressions, &placed, reterr));
    for (uint32_t i = 0; i < child.columns.count; i++)
        WEIR_TRY(numbers_add(sql, &columns, child.columns.items[i], reterr));
    for (uint32_t i = 0; i < plan->columns.count; i++)
        WEIR_TRY(numbers_add(sql, &columns, plan->columns.items[i], reterr));
    WEIR_TRY(
        operator_new(physical, WEIR_OP_UNNEST, &columns, 1, plan->rows, &ret->operator, reterr));
    ret->operator->children[0] = child.operator;
    ret->operator->expressions = placed;
    ret->operator->expression_count = plan->expressions.count;
    ret->operator->outer = plan->outer;
    ret->operator->ordinality = plan->ordinality;
    ret->columns = columns;
    return WEIR_OK;
}

static weir_status make_values(struct physical *physical, struct logical *plan, struct made *ret,
                               struct weir_error *reterr)
{
    WEIR_TRY(operator_new(physical, WEIR_OP_VALUES, &plan->columns, 0, (double)plan->row_count,
                          &ret->operator, reterr));
    ret->operator->values = plan->values;
    ret->operator->value_row_count = plan->row_count;
    ret->columns = plan->columns;
    return WEIR_OK;
}

/* Every reader has the same operator; what differs is what it calls the columns. */
static weir_status make_shared(struct physical *physical, struct logical *plan, struct made *ret,
                               struct weir_error *reterr)
{
    struct shared *shared = plan->shared;
    if (!shared->operator) {
        struct columns needed;
        struct made child;
        WEIR_TRY(columns_new(physical->sql, &needed, reterr));
        for (uint32_t i = 0; i < shared->columns.count; i++)
            WEIR_TRY(columns_add(physical->sql, &needed, shared->columns.items[i], reterr));
        WEIR_TRY(physical_make(physical, shared->plan, &needed, &child, reterr));
        WEIR_TRY(narrow(physical, &child.operator, & child.columns, &needed, reterr));
        WEIR_TRY(operator_new(physical, WEIR_OP_SHARED, &child.columns, 1,
                              child.operator->estimated_rows, &shared->operator, reterr));
        shared->operator->children[0] = child.operator;
        shared->operator->source_name = plan->name;
        shared->positions = child.columns;
    }
    ret->operator= shared->operator;
    for (uint32_t i = 0; i < shared->positions.count; i++)
        for (uint32_t k = 0; k < shared->columns.count; k++)
            if (shared->columns.items[k] == shared->positions.items[i]) {
                physical->types[plan->columns.items[k]] = physical->types[shared->columns.items[k]];
                WEIR_TRY(numbers_add(physical->sql, &ret->columns, plan->columns.items[k], reterr));
                break;
            }
    return WEIR_OK;
}

/* All columns, in their order: the next round reads them by place. */
static weir_status make_recursive(struct physical *physical, struct logical *plan, struct made *ret,
                                  struct weir_error *reterr)
{
    struct sql *sql = physical->sql;
    WEIR_TRY(operator_new(physical, WEIR_OP_RECURSIVE, &plan->columns, 2, plan->rows,
                          &ret->operator, reterr));
    plan->recursion->operator= ret->operator;
    ret->operator->all = plan->all;
    ret->columns = plan->columns;
    for (uint32_t side = 0; side < 2; side++) {
        const struct numbers *wanted = &plan->child_columns[side];
        struct columns below;
        struct made child;
        WEIR_TRY(columns_new(sql, &below, reterr));
        for (uint32_t i = 0; i < wanted->count; i++)
            WEIR_TRY(columns_add(sql, &below, wanted->items[i], reterr));
        WEIR_TRY(physical_make(physical, plan->children[side], &below, &child, reterr));
        WEIR_TRY(arrange(physical, &child.operator, & child.columns, wanted, reterr));
        ret->operator->children[side] = child.operator;
    }
    return WEIR_OK;
}

/* ---- joins ---- */

/* Only keys tell a mark what is unknown: a condition of one side alone is a key that is to be true.
 * *node becomes NULL if it is one. */
static weir_status mark_key(struct sql *sql, const struct columns *sides, struct join_parts *parts,
                            struct weir_node **node, struct weir_error *reterr)
{
    struct columns used;
    struct weir_node *yes;
    WEIR_TRY(columns_new(sql, &used, reterr));
    WEIR_TRY(columns_of_node(sql, *node, &used, reterr));
    bool left = columns_within(&used, &sides[0]);
    if (!left && !columns_within(&used, &sides[1]))
        return WEIR_OK;
    WEIR_TRY(weir_node_boolean(sql->arena, true, &yes, reterr));
    parts->null_safe[parts->left.count] = false;
    WEIR_TRY(nodes_add(sql, &parts->left, left ? *node : yes, reterr));
    WEIR_TRY(nodes_add(sql, &parts->right, left ? yes : *node, reterr));
    *node = NULL;
    return WEIR_OK;
}

static weir_status split_conditions(struct physical *physical, struct logical *plan,
                                    struct join_parts *parts, struct weir_error *reterr)
{
    struct sql *sql = physical->sql;
    struct columns sides[2];
    for (int i = 0; i < 2; i++)
        WEIR_TRY(columns_of_output(sql, plan->children[i], &sides[i], reterr));
    WEIR_TRY(weir_arena_zero(sql->arena, plan->conditions.count + 1, sizeof *parts->null_safe,
                             &parts->null_safe, reterr));
    for (uint32_t i = 0; i < plan->conditions.count; i++) {
        struct weir_node *node = plan->conditions.items[i];
        bool key = node->kind == WEIR_NODE_COMPARE &&
                   (node->compare == WEIR_EQ || node->compare == WEIR_NOT_DISTINCT);
        for (int swap = 0; key && swap < 2; swap++) {
            struct columns left, right;
            WEIR_TRY(columns_new(sql, &left, reterr));
            WEIR_TRY(columns_new(sql, &right, reterr));
            WEIR_TRY(columns_of_node(sql, node->arguments[swap], &left, reterr));
            WEIR_TRY(columns_of_node(sql, node->arguments[!swap], &right, reterr));
            if ((plan->join != WEIR_JOIN_MARK && (columns_empty(&left) || columns_empty(&right))) ||
                !columns_within(&left, &sides[0]) || !columns_within(&right, &sides[1]))
                continue;
            parts->null_safe[parts->left.count] = node->compare == WEIR_NOT_DISTINCT;
            WEIR_TRY(nodes_add(sql, &parts->left, node->arguments[swap], reterr));
            WEIR_TRY(nodes_add(sql, &parts->right, node->arguments[!swap], reterr));
            node = NULL;
            break;
        }
        if (node && plan->join == WEIR_JOIN_MARK)
            WEIR_TRY(mark_key(sql, sides, parts, &node, reterr));
        if (node)
            WEIR_TRY(nodes_add(sql, &parts->residual, node, reterr));
    }
    return WEIR_OK;
}

static enum weir_join_kind swapped_kind(enum weir_join_kind kind)
{
    switch (kind) {
    case WEIR_JOIN_LEFT: return WEIR_JOIN_RIGHT;
    case WEIR_JOIN_RIGHT: return WEIR_JOIN_LEFT;
    case WEIR_JOIN_SEMI: return WEIR_JOIN_RIGHT_SEMI;
    case WEIR_JOIN_ANTI: return WEIR_JOIN_RIGHT_ANTI;
    default: return kind;
    }
}

static bool drops_unmatched_probe(enum weir_join_kind kind)
{
    return kind == WEIR_JOIN_INNER || kind == WEIR_JOIN_SEMI || kind == WEIR_JOIN_RIGHT ||
           kind == WEIR_JOIN_RIGHT_SEMI || kind == WEIR_JOIN_RIGHT_ANTI;
}

/* The scan below whose column this is, if dropping its rows early is the same as dropping them
 * here.
 */
static bool reaches_scan(const struct logical *plan, uint32_t column)
{
    switch (plan->kind) {
    case LOGICAL_SCAN: return numbers_have(&plan->columns, column);
    case LOGICAL_FILTER:
    case LOGICAL_UNNEST: return reaches_scan(plan->children[0], column);
    case LOGICAL_SORT:
        return plan->limit < 0 && plan->offset == 0 && reaches_scan(plan->children[0], column);
    case LOGICAL_PROJECT:
        for (uint32_t i = 0; i < plan->columns.count; i++)
            if (plan->columns.items[i] == column)
                return plan->expressions.items[i]->kind == WEIR_NODE_COLUMN &&
                       plan->expressions.items[i]->index == column &&
                       reaches_scan(plan->children[0], column);
        return false;
    case LOGICAL_AGGREGATE:
        for (uint32_t i = 0; plan->set_count == 0 && i < plan->expressions.count; i++)
            if (plan->columns.items[i] == column)
                return plan->expressions.items[i]->kind == WEIR_NODE_COLUMN &&
                       plan->expressions.items[i]->index == column &&
                       reaches_scan(plan->children[0], column);
        return false;
    case LOGICAL_JOIN:
        if (plan->join != WEIR_JOIN_RIGHT && plan->join != WEIR_JOIN_FULL &&
            reaches_scan(plan->children[0], column))
            return true;
        return plan->join == WEIR_JOIN_INNER && reaches_scan(plan->children[1], column);
    default: return false;
    }
}

/* Build sides of so many different whole numbers as there are between the probe side's bounds find
 * a partner for all: all customers for the orders. */
static bool finds_all(const struct sql *sql, const struct weir_node *probe,
                      const struct weir_node *build, double rows)
{
    if (build->kind != WEIR_NODE_COLUMN)
        return false;
    const struct column *from = &sql->columns[probe->index], *to = &sql->columns[build->index];
    bool whole = from->type.id == WEIR_INT || from->type.id == WEIR_LONG ||
                 from->type.id == WEIR_DATE;
    return whole && from->has_range && to->distinct > 0 &&
           (to->distinct < rows ? to->distinct : rows) >= 0.95 * (from->high - from->low + 1);
}

/* keys[0] of the probe side, keys[1] of the build side */
static weir_status add_runtime(struct physical *physical, struct weir_operator *join,
                               struct logical *const sides[2], const struct nodes *const keys[2],
                               const bool *null_safe, struct weir_error *reterr)
{
    for (uint32_t k = 0; k < keys[0]->count; k++) {
        const struct weir_node *key = keys[0]->items[k];
        if (null_safe[k] || key->kind != WEIR_NODE_COLUMN || !reaches_scan(sides[0], key->index) ||
            finds_all(physical->sql, key, keys[1]->items[k], sides[1]->rows))
            continue;
        for (struct scan_made *scan = physical->scans; scan; scan = scan->next) {
            int at = position_of(&scan->columns, key->index);
            struct weir_operator *operator= scan->operator;
            if (at < 0 || operator->runtime_count == 8)
                continue;
            if (!operator->runtime)
                WEIR_TRY(weir_arena_zero(physical->sql->arena, 8, sizeof *operator->runtime,
                                         &operator->runtime, reterr));
            operator->runtime[operator->runtime_count++] =(struct weir_runtime_filter){
                join, k, (uint32_t)at};
        }
    }
    return WEIR_OK;
}

static weir_status make_join(struct physical *physical, struct logical *plan,
                             const struct columns *needed, struct made *ret,
                             struct weir_error *reterr)
{
    struct sql *sql = physical->sql;
    struct join_parts parts = {0};
    struct columns below, above;
    struct made sides[2];
    WEIR_TRY(split_conditions(physical, plan, &parts, reterr));
    WEIR_TRY(copy_set(physical, needed, &below, reterr));
    WEIR_TRY(need_nodes(physical, &plan->conditions, &below, reterr));
    WEIR_TRY(copy_set(physical, needed, &above, reterr));
    WEIR_TRY(need_nodes(physical, &parts.residual, &above, reterr));
    WEIR_TRY(need_nodes(physical, &parts.left, &above, reterr));
    WEIR_TRY(need_nodes(physical, &parts.right, &above, reterr));
    for (int i = 0; i < 2; i++) {
        WEIR_TRY(physical_make(physical, plan->children[i], &below, &sides[i], reterr));
        WEIR_TRY(narrow(physical, &sides[i].operator, & sides[i].columns, &above, reterr));
    }
    /* the build side is the second: the smaller one, where the kind of join leaves the choice */
    bool swap = plan->join != WEIR_JOIN_MARK && plan->join != WEIR_JOIN_SINGLE &&
                plan->children[0]->rows >= 0 && plan->children[0]->rows < plan->children[1]->rows;
    enum weir_join_kind kind = swap ? swapped_kind(plan->join) : plan->join;
    const struct made *probe = &sides[swap], *build = &sides[!swap];
    struct numbers both = {0}, columns = {0};
    bool left_out = kind != WEIR_JOIN_RIGHT_SEMI && kind != WEIR_JOIN_RIGHT_ANTI,
         right_out = kind != WEIR_JOIN_SEMI && kind != WEIR_JOIN_ANTI && kind != WEIR_JOIN_MARK;
    for (uint32_t i = 0; i < probe->columns.count; i++) {
        WEIR_TRY(numbers_add(sql, &both, probe->columns.items[i], reterr));
        if (left_out)
            WEIR_TRY(numbers_add(sql, &columns, probe->columns.items[i], reterr));
    }
    for (uint32_t i = 0; i < build->columns.count; i++) {
        WEIR_TRY(numbers_add(sql, &both, build->columns.items[i], reterr));
        if (right_out)
            WEIR_TRY(numbers_add(sql, &columns, build->columns.items[i], reterr));
    }
    if (kind == WEIR_JOIN_MARK)
        WEIR_TRY(numbers_add(sql, &columns, plan->columns.items[0], reterr));
    WEIR_TRY(operator_new(physical, WEIR_OP_JOIN, &columns, 2, plan->rows, &ret->operator, reterr));
    struct weir_operator *operator= ret->operator;
    operator->join = kind;
    operator->children[0] = probe->operator;
    operator->children[1] = build->operator;
    const struct nodes *probe_keys = swap ? &parts.right : &parts.left,
                       *build_keys = swap ? &parts.left : &parts.right;
    WEIR_TRY(place_all(physical, &probe->columns, probe_keys, &operator->left_keys, reterr));
    WEIR_TRY(place_all(physical, &build->columns, build_keys, &operator->right_keys, reterr));
    operator->null_safe = parts.null_safe;
    operator->key_count = probe_keys->count;
    WEIR_TRY(place_conjunction(physical, &both, &parts.residual, &operator->filter, reterr));
    ret->columns = columns;
    if (drops_unmatched_probe(kind) && !sql->options->unoptimized)
        WEIR_TRY(add_runtime(
            physical, operator,(struct logical *[]){plan->children[swap], plan->children[!swap]},
            (const struct nodes *[]){probe_keys, build_keys}, parts.null_safe, reterr));
    return narrow(physical, &ret->operator, & ret->columns, &below, reterr);
}

/* ---- all of them ---- */

weir_status physical_make(struct physical *physical, struct logical *plan,
                          const struct columns *needed, struct made *ret, struct weir_error *reterr)
{
    *ret = (struct made){0};
    switch (plan->kind) {
    case LOGICAL_SCAN: return physical_scan(physical, plan, needed, ret, reterr);
    case LOGICAL_VALUES: return make_values(physical, plan, ret, reterr);
    case LOGICAL_FILTER: return make_filter(physical, plan, needed, ret, reterr);
    case LOGICAL_PROJECT: return make_project(physical, plan, needed, ret, reterr);
    case LOGICAL_AGGREGATE: return make_aggregate(physical, plan, needed, ret, reterr);
    case LOGICAL_JOIN: return make_join(physical, plan, needed, ret, reterr);
    case LOGICAL_SORT:
    case LOGICAL_LIMIT: return make_sort(physical, plan, needed, ret, reterr);
    case LOGICAL_WINDOW: return make_window(physical, plan, needed, ret, reterr);
    case LOGICAL_UNION:
    case LOGICAL_SET: return make_union(physical, plan, needed, ret, reterr);
    case LOGICAL_UNNEST: return make_unnest(physical, plan, needed, ret, reterr);
    case LOGICAL_SHARED: return make_shared(physical, plan, ret, reterr);
    case LOGICAL_RECURSIVE: return make_recursive(physical, plan, ret, reterr);
    case LOGICAL_WORKING:
        WEIR_TRY(operator_new(physical, WEIR_OP_WORKING, &plan->columns, 0, plan->rows,
                              &ret->operator, reterr));
        ret->operator->recursive = plan->recursion->operator;
        ret->columns = plan->columns;
        return WEIR_OK;
    }
    return weir_fail(reterr, WEIR_INTERNAL, "logical plan of kind %d", plan->kind);
}

weir_status sql_physical(struct sql *sql, struct logical *plan, const struct numbers *columns,
                         const char *const *names, struct weir_operator **ret_root,
                         struct weir_error *reterr)
{
    struct physical physical = {.sql = sql, .type_capacity = sql->column_count + 16};
    struct columns needed;
    struct made made;
    WEIR_TRY(weir_arena_zero(sql->arena, physical.type_capacity, sizeof *physical.types,
                             &physical.types, reterr));
    for (uint32_t i = 0; i < sql->column_count; i++)
        physical.types[i] = sql->columns[i].type;
    WEIR_TRY(physical_uses(&physical, plan, columns, reterr));
    WEIR_TRY(columns_new(sql, &needed, reterr));
    for (uint32_t i = 0; i < columns->count; i++)
        WEIR_TRY(columns_add(sql, &needed, columns->items[i], reterr));
    WEIR_TRY(physical_make(&physical, plan, &needed, &made, reterr));
    WEIR_TRY(arrange(&physical, &made.operator, & made.columns, columns, reterr));
    /* the result's names are the statement's: on a type of its own, the operator may be shared */
    struct weir_operator *root = made.operator;
    if (root->kind == WEIR_OP_SHARED || root->kind == WEIR_OP_SCAN) {
        WEIR_TRY(operator_new(&physical, WEIR_OP_PROJECT, columns, 1, root->estimated_rows, &root,
                              reterr));
        WEIR_TRY(weir_arena_zero(sql->arena, columns->count + 1, sizeof *root->expressions,
                                 &root->expressions, reterr));
        root->children[0] = made.operator;
        root->expression_count = columns->count;
        for (uint32_t i = 0; i < columns->count; i++)
            WEIR_TRY(weir_node_column(sql->arena, i, &made.operator->type.children[i].type, -1,
                                      &root->expressions[i], reterr));
    }
    for (uint32_t i = 0; i < columns->count; i++)
        root->type.children[i].name = names[i];
    *ret_root = root;
    return WEIR_OK;
}
