/* How many rows come out of each node: from row counts, bounds of columns, and rules of thumb. */
#include "engine/sql/optimize_int.h"

#include "engine/base/text.h"

#include <math.h>
#include <string.h>

bool is_equality(const struct weir_node *node)
{
    return node->kind == WEIR_NODE_COMPARE &&
           (node->compare == WEIR_EQ || node->compare == WEIR_NOT_DISTINCT) &&
           node->arguments[0]->kind != WEIR_NODE_CONSTANT &&
           node->arguments[1]->kind != WEIR_NODE_CONSTANT;
}

/* Numbers and times as one scale; NAN: not a number. */
static double as_number(const struct weir_vector *value, uint32_t row)
{
    struct weir_lane lane = weir_lane_of(value);
    uint32_t at = weir_lane(&lane, row);
    weir_int128 decimal;
    switch (value->type->id) {
    case WEIR_INT:
    case WEIR_DATE: return ((const int32_t *)lane.flat->values)[at];
    case WEIR_LONG:
    case WEIR_TIME:
    case WEIR_TIMESTAMP:
    case WEIR_TIMESTAMPTZ: return (double)((const int64_t *)lane.flat->values)[at];
    case WEIR_FLOAT: return ((const float *)lane.flat->values)[at];
    case WEIR_DOUBLE: return ((const double *)lane.flat->values)[at];
    case WEIR_DECIMAL:
        memcpy(&decimal, (const uint8_t *)lane.flat->values + (size_t)at * 16, 16);
        return (double)decimal / pow(10, value->type->scale);
    default: return NAN;
    }
}

static const struct column *column_of(struct sql *sql, const struct weir_node *node)
{
    while (node->kind == WEIR_NODE_CAST)
        node = node->arguments[0];
    return node->kind == WEIR_NODE_COLUMN && node->index < sql->column_count
               ? &sql->columns[node->index]
               : NULL;
}

double distinct_values(struct sql *sql, const struct weir_node *node, double rows)
{
    const struct column *column = column_of(sql, node);
    double distinct = column && column->distinct > 0 ? column->distinct : sqrt(rows) * 3;
    if (rows >= 1e15 && !(column && column->distinct > 0))
        distinct = 1000;
    return distinct < rows ? distinct : rows;
}

static double compare_share(struct sql *sql, const struct weir_node *node)
{
    const struct weir_node *left = node->arguments[0], *right = node->arguments[1];
    enum weir_compare compare = node->compare;
    if (left->kind == WEIR_NODE_CONSTANT) {
        const struct weir_node *swap = left;
        left = right;
        right = swap;
        compare = compare == WEIR_LT   ? WEIR_GT
                  : compare == WEIR_LE ? WEIR_GE
                  : compare == WEIR_GT ? WEIR_LT
                  : compare == WEIR_GE ? WEIR_LE
                                       : compare;
    }
    const struct column *column = column_of(sql, left);
    bool constant = right->kind == WEIR_NODE_CONSTANT && weir_vector_valid(&right->value, 0);
    if (compare == WEIR_EQ || compare == WEIR_NOT_DISTINCT)
        return column && column->distinct > 0 ? 1 / column->distinct : constant ? 0.02 : 0.1;
    if (compare == WEIR_NE || compare == WEIR_DISTINCT)
        return 0.9;
    if (!column || !column->has_range || !constant)
        return 0.3;
    double value = as_number(&right->value, 0), width = column->high - column->low;
    if (isnan(value))
        return 0.3;
    double below = width > 0 ? (value - column->low) / width : 0.5;
    below = below < 0 ? 0 : below > 1 ? 1 : below;
    double share = compare == WEIR_LT || compare == WEIR_LE ? below : 1 - below;
    return share < 0.0001 ? 0.0001 : share;
}

double selectivity(struct sql *sql, const struct weir_node *node)
{
    double share = 1;
    switch (node->kind) {
    case WEIR_NODE_CONSTANT:
        return weir_vector_valid(&node->value, 0) && weir_bit_get(node->value.values, 0) ? 1
                                                                                         : 0.0001;
    case WEIR_NODE_COMPARE: return compare_share(sql, node);
    case WEIR_NODE_AND:
        for (uint32_t i = 0; i < node->argument_count; i++)
            share *= selectivity(sql, node->arguments[i]);
        return share;
    case WEIR_NODE_OR:
        for (uint32_t i = 0; i < node->argument_count; i++)
            share *= 1 - selectivity(sql, node->arguments[i]);
        return 1 - share;
    case WEIR_NODE_NOT: return 1 - selectivity(sql, node->arguments[0]);
    case WEIR_NODE_IS_NULL: return node->negated ? 0.95 : 0.05;
    case WEIR_NODE_IN: {
        const struct column *column = column_of(sql, node->arguments[0]);
        share = (node->argument_count - 1) *
                (column && column->distinct > 0 ? 1 / column->distinct : 0.02);
        share = share > 0.9 ? 0.9 : share;
        return node->negated ? 1 - share : share;
    }
    case WEIR_NODE_CALL: return node->function->name[0] == '~' ? 0.1 : 0.3;
    default: return 0.3;
    }
}

/* ---- plans ---- */

static void column_bounds(struct sql *sql, struct logical *plan, uint32_t at, double rows)
{
    struct column *column = &sql->columns[plan->columns.items[at]];
    struct weir_vector low, high;
    uint64_t nulls = 0;
    column->distinct = 0;
    if (!plan->source->operations->bounds || weir_type_is_nested(column->type.id) ||
        !plan->source->operations->bounds(plan->source->self, plan->fields.items[at], sql->arena,
                                          &low, &high, &nulls))
        return;
    double from = as_number(&low, 0), to = as_number(&high, 0);
    if (isnan(from) || isnan(to))
        return;
    column->low = from;
    column->high = to;
    column->has_range = true;
    if (column->type.id == WEIR_INT || column->type.id == WEIR_LONG || column->type.id == WEIR_DATE)
        column->distinct = to - from + 1 < rows ? to - from + 1 : rows;
    else if (column->type.id == WEIR_DECIMAL) {
        double values = (to - from) * pow(10, column->type.scale) + 1;
        column->distinct = values < rows ? values : rows;
    }
}

static weir_status estimate_scan(struct sql *sql, struct logical *plan, struct weir_error *reterr)
{
    bool exact = false;
    (void)reterr;
    double rows = (double)plan->source->operations->row_count(plan->source->self, &exact);
    for (uint32_t i = 0; i < plan->columns.count && !plan->estimated; i++)
        column_bounds(sql, plan, i, rows);
    plan->estimated = true;
    for (uint32_t i = 0; i < plan->conditions.count; i++)
        rows *= selectivity(sql, plan->conditions.items[i]);
    plan->rows = rows < 1 ? 1 : rows;
    return WEIR_OK;
}

static double keys_distinct(struct sql *sql, const struct nodes *keys, double rows)
{
    double groups = 1;
    for (uint32_t i = 0; i < keys->count; i++)
        groups *= distinct_values(sql, keys->items[i], rows);
    return groups < rows ? groups : rows;
}

static double join_rows(struct sql *sql, const struct logical *plan)
{
    double left = plan->children[0]->rows, right = plan->children[1]->rows, rows = left * right,
           most = 1, rest = 1;
    uint32_t keys = 0;
    for (uint32_t i = 0; i < plan->conditions.count; i++) {
        const struct weir_node *node = plan->conditions.items[i];
        if (!is_equality(node)) {
            rest *= selectivity(sql, node);
            continue;
        }
        double a = distinct_values(sql, node->arguments[0], left),
               b = distinct_values(sql, node->arguments[1], right);
        most = keys++ ? most * (a < b ? a : b) : a > b ? a : b;
    }
    double least = left < right ? left : right;
    if (keys > 1 && most > least)
        most = least;
    rows = rows / most * rest;
    switch (plan->join) {
    case WEIR_JOIN_LEFT: return rows > left ? rows : left;
    case WEIR_JOIN_RIGHT: return rows > right ? rows : right;
    case WEIR_JOIN_FULL: return rows > left + right ? rows : left + right;
    case WEIR_JOIN_MARK:
    case WEIR_JOIN_SINGLE: return left;
    case WEIR_JOIN_SEMI: return rows < left ? rows : left * 0.9;
    case WEIR_JOIN_ANTI: return rows < left ? left - rows + 1 : left * 0.1 + 1;
    default: return rows;
    }
}

static weir_status copy_stats(struct sql *sql, const struct logical *plan)
{
    for (uint32_t i = 0; i < plan->columns.count && i < plan->expressions.count; i++) {
        const struct column *from = column_of(sql, plan->expressions.items[i]);
        struct column *to = &sql->columns[plan->columns.items[i]];
        if (!from || from == to)
            continue;
        to->distinct = from->distinct;
        to->low = from->low;
        to->high = from->high;
        to->has_range = from->has_range && plan->expressions.items[i]->kind == WEIR_NODE_COLUMN;
    }
    return WEIR_OK;
}

weir_status sql_estimate(struct sql *sql, struct logical *plan, struct weir_error *reterr)
{
    double rows = 0;
    for (uint32_t i = 0; i < plan->child_count; i++) {
        WEIR_TRY(sql_estimate(sql, plan->children[i], reterr));
        rows += plan->children[i]->rows;
    }
    switch (plan->kind) {
    case LOGICAL_SCAN: return estimate_scan(sql, plan, reterr);
    case LOGICAL_VALUES: rows = (double)plan->row_count; break;
    case LOGICAL_FILTER:
        for (uint32_t i = 0; i < plan->conditions.count; i++)
            rows *= selectivity(sql, plan->conditions.items[i]);
        break;
    case LOGICAL_PROJECT: WEIR_TRY(copy_stats(sql, plan)); break;
    case LOGICAL_AGGREGATE:
        WEIR_TRY(copy_stats(sql, plan));
        rows = plan->expressions.count ? keys_distinct(sql, &plan->expressions, rows) : 1;
        rows *= plan->set_count > 1 ? plan->set_count : 1;
        break;
    case LOGICAL_JOIN: rows = join_rows(sql, plan); break;
    case LOGICAL_SORT:
    case LOGICAL_LIMIT:
        if (plan->limit >= 0 && (double)plan->limit < rows)
            rows = (double)plan->limit;
        break;
    case LOGICAL_UNNEST: rows *= 4; break;
    case LOGICAL_SHARED:
        WEIR_TRY(sql_estimate(sql, plan->shared->plan, reterr));
        rows = plan->shared->plan->rows;
        for (uint32_t i = 0; i < plan->columns.count; i++) {
            const struct column *from = &sql->columns[plan->shared->columns.items[i]];
            struct column *to = &sql->columns[plan->columns.items[i]];
            to->distinct = from->distinct;
            to->has_range = from->has_range;
            to->low = from->low;
            to->high = from->high;
        }
        break;
    default: break;
    }
    plan->rows = rows < 1 ? 1 : rows;
    return WEIR_OK;
}
