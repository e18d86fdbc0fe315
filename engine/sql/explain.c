/* The plan as a tree of lines. */
#include "engine/sql/sql.h"

#include "engine/base/text.h"
#include "engine/exec/aggregate.h"

#include <stdio.h>
#include <string.h>

static const char *const names[] = {
    "scan", "values", "filter", "project",   "aggregate",
    "join", "sort",   "limit",  "window",    "union all",
    "set",  "unnest", "shared", "recursive", "rows of the round before"};
static const char *const joins[] = {"inner", "left",       "right",      "full", "semi",
                                    "anti",  "right semi", "right anti", "mark", "single"};

static weir_status column_names(struct weir_arena *arena, const struct weir_operator *operator,
                                const char *** ret, struct weir_error *reterr)
{
    uint32_t at = 0, count = 0;
    const char **made;
    bool self = operator->kind == WEIR_OP_SCAN;
    for (uint32_t i = 0; i < operator->child_count; i++)
        count += operator->children[i]->type.child_count;
    count += self ? operator->type.child_count : 0;
    WEIR_TRY(weir_arena_zero(arena, count + 1, sizeof *made, &made, reterr));
    for (uint32_t i = 0; i < operator->child_count; i++)
        for (uint32_t c = 0; c < operator->children[i]->type.child_count; c++)
            made[at++] = operator->children[i]->type.children[c].name;
    for (uint32_t c = 0; self && c < operator->type.child_count; c++)
        made[at++] = operator->type.children[c].name;
    *ret = made;
    return WEIR_OK;
}

static weir_status list(const struct weir_operator *operator, struct weir_node * const * nodes,
                        uint32_t count, const char *const *columns, struct weir_buffer *out,
                        struct weir_error *reterr)
{
    (void)operator;
    for (uint32_t i = 0; i < count; i++) {
        if (i == 12)
            return weir_buffer_print(out, reterr, ", ...");
        if (i)
            WEIR_TRY(weir_buffer_print(out, reterr, ", "));
        WEIR_TRY(weir_node_print(nodes[i], columns, out, reterr));
    }
    return WEIR_OK;
}

static weir_status join_keys(const struct weir_operator *operator, const char * const * columns,
                             struct weir_buffer *out, struct weir_error *reterr)
{
    uint32_t left = operator->children[0]->type.child_count;
    for (uint32_t i = 0; i < operator->key_count; i++) {
        WEIR_TRY(weir_buffer_print(out, reterr, i ? " and " : " on "));
        WEIR_TRY(weir_node_print(operator->left_keys[i], columns, out, reterr));
        WEIR_TRY(weir_buffer_print(out, reterr, operator->null_safe[i] ? " is " : " = "));
        WEIR_TRY(weir_node_print(operator->right_keys[i], columns + left, out, reterr));
    }
    return WEIR_OK;
}

static weir_status details(const struct weir_operator *operator, const char * const * columns,
                           struct weir_buffer *out, struct weir_error *reterr)
{
    switch (operator->kind) {
    case WEIR_OP_SCAN:
        WEIR_TRY(weir_buffer_print(out, reterr, " %s (", operator->source_name));
        for (uint32_t i = 0; i < operator->type.child_count; i++)
            WEIR_TRY(weir_buffer_print(out, reterr, "%s%s",
                                       i ? ", " : "", operator->type.children[i].name));
        WEIR_TRY(weir_buffer_print(out, reterr, ")"));
        break;
    case WEIR_OP_PROJECT:
        WEIR_TRY(weir_buffer_print(out, reterr, " "));
        WEIR_TRY(list(operator, operator->expressions, operator->expression_count, columns, out,
                      reterr));
        break;
    case WEIR_OP_AGGREGATE:
        WEIR_TRY(weir_buffer_print(out, reterr, " by ("));
        WEIR_TRY(list(operator, operator->expressions, operator->expression_count, columns, out,
                      reterr));
        WEIR_TRY(weir_buffer_print(out, reterr, ")"));
        for (uint32_t i = 0; i < operator->aggregate_count; i++) {
            const struct weir_aggregate_call *call = &operator->aggregates[i];
            WEIR_TRY(weir_buffer_print(out, reterr, " %s(", call->function->name));
            WEIR_TRY(list(operator, call->arguments, call->argument_count, columns, out, reterr));
            WEIR_TRY(weir_buffer_print(out, reterr, ")"));
        }
        break;
    case WEIR_OP_JOIN:
        WEIR_TRY(weir_buffer_print(out, reterr, " %s", joins[operator->join]));
        WEIR_TRY(join_keys(operator, columns, out, reterr));
        break;
    case WEIR_OP_SORT:
    case WEIR_OP_LIMIT:
        if (operator->limit >= 0)
            WEIR_TRY(weir_buffer_print(out, reterr, " limit %lld", (long long)operator->limit));
        break;
    default: break;
    }
    if (!operator->filter)
        return WEIR_OK;
    WEIR_TRY(weir_buffer_print(out, reterr, " where "));
    return weir_node_print(operator->filter, columns, out, reterr);
}

static weir_status did(const struct weir_operator *operator, struct weir_buffer * out,
                       struct weir_error *reterr)
{
    const struct weir_operator_counters *counters = &operator->counters;
    char size[32], skipped[32];
    WEIR_TRY(weir_buffer_print(out, reterr, "  [%llu rows, %.1f ms",
                               (unsigned long long)atomic_load(&counters->rows_out),
                               (double)atomic_load(&counters->nanoseconds) / 1e6));
    if (operator->kind == WEIR_OP_SCAN && atomic_load(&counters->bytes_read)) {
        weir_print_size(size, atomic_load(&counters->bytes_read));
        weir_print_size(skipped, atomic_load(&counters->bytes_skipped));
        WEIR_TRY(weir_buffer_print(out, reterr, ", read %s, skipped %s", size, skipped));
        unsigned long long files = atomic_load(&counters->files_skipped),
                           groups = atomic_load(&counters->row_groups_skipped);
        if (files || groups)
            WEIR_TRY(
                weir_buffer_print(out, reterr, " (%llu files, %llu row groups)", files, groups));
    }
    if (atomic_load(&counters->bytes_spilled)) {
        weir_print_size(size, atomic_load(&counters->bytes_spilled));
        WEIR_TRY(weir_buffer_print(out, reterr, ", spilled %s", size));
    }
    if (atomic_load(&counters->memory_peak)) {
        weir_print_size(size, atomic_load(&counters->memory_peak));
        WEIR_TRY(weir_buffer_print(out, reterr, ", memory %s", size));
    }
    return weir_buffer_print(out, reterr, "]");
}

static weir_status explain(const struct weir_operator *operator, bool analyze, int depth,
                           struct weir_arena *arena, struct weir_buffer *out,
                           struct weir_error *reterr)
{
    const char **columns;
    WEIR_TRY(column_names(arena, operator, & columns, reterr));
    WEIR_TRY(weir_buffer_print(out, reterr, "%*s%s", depth * 2, "", names[operator->kind]));
    WEIR_TRY(details(operator, columns, out, reterr));
    if (analyze)
        WEIR_TRY(did(operator, out, reterr));
    else
        WEIR_TRY(weir_buffer_print(out, reterr, "  [about %.0f rows]", operator->estimated_rows));
    WEIR_TRY(weir_buffer_print(out, reterr, "\n"));
    if (depth > 200)
        return WEIR_OK;
    for (uint32_t i = 0; i < operator->child_count; i++)
        WEIR_TRY(explain(operator->children[i], analyze, depth + 1, arena, out, reterr));
    return WEIR_OK;
}

weir_status weir_sql_explain(const struct weir_operator *root, bool analyze,
                             struct weir_buffer *out, struct weir_error *reterr)
{
    struct weir_arena arena;
    weir_arena_init(&arena, out->account);
    weir_status status = explain(root, analyze, 0, &arena, out, reterr);
    weir_arena_done(&arena);
    return status;
}
