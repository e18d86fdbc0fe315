/* Lineage: sets of table columns flow up the bound plan, along the numbers its columns have.
 *
 * The plan is walked until no set changes: twice for most, more for WITH RECURSIVE, whose rounds
 * read what they make. */
#include "engine/sql/lineage_int.h"

#include <string.h>

#define PASSES_MAX 1000 /* sets only grow: a bound for what cannot be */

/* A way from a column in one number, so that sets are sorted lists: table, column, kind, masks. */
#define USE(table, column, kind, masks)                                                            \
    ((uint64_t)(table) << 44 | (uint64_t)(column) << 20 | (uint64_t)(kind) << 16 | (masks))
#define USE_TABLE(use)  ((uint32_t)((use) >> 44))
#define USE_COLUMN(use) ((uint32_t)((use) >> 20) & 0xFFFFFF)
#define USE_KIND(use)   ((enum weir_lineage_kind)((use) >> 16 & 0xF))
#define USE_MASKS(use)  ((unsigned)((use)&0xFFFF))

struct uses { /* sorted, each once; never changed once made */
    const uint64_t *items;
    uint32_t count;
};

/* What a value carries. fields: of a struct whose parts are known one by one; `uses` holds them all
 * too. */
struct flow {
    struct uses uses, influences;
    struct flow *fields;
    uint32_t field_count;
};

struct tracing {
    struct sql *sql;
    struct flow *flows; /* by column number */
    bool *known;
    const struct weir_table_source **tables;
    uint32_t table_count, table_capacity;
    struct uses rows;
    const struct shared **shared; /* walked in this pass */
    uint32_t shared_count, shared_capacity;
    bool changed;
    uint32_t unknown; /* a column that was read before anything made it; UINT32_MAX: none */
};

/* Where expressions stand: the plan's columns, or a lambda's own. */
struct scope {
    const struct flow *flows; /* NULL: the plan's */
    uint32_t count;
};

static const char *const kind_names[] = {"identity",  "transformation", "aggregation",
                                         "condition", "window",         "filter",
                                         "join",      "group",          "sort"};
static const char *const mask_names[WEIR_LINEAGE_MASKS] = {"hmac_sha256", "mask_email"};

const char *weir_lineage_kind_name(enum weir_lineage_kind kind)
{
    return kind_names[kind];
}

const char *weir_lineage_mask_name(unsigned index)
{
    return index < WEIR_LINEAGE_MASKS ? mask_names[index] : NULL;
}

unsigned weir_lineage_mask(const char *name)
{
    for (unsigned i = 0; i < WEIR_LINEAGE_MASKS; i++)
        if (strcmp(name, mask_names[i]) == 0)
            return 1U << i;
    return 0;
}

/* ---- sets ---- */

static weir_status uses_union(struct tracing *tracing, struct uses a, struct uses b,
                              struct uses *ret, struct weir_error *reterr)
{
    uint64_t *items;
    uint32_t count = 0, i = 0, j = 0;
    if (b.count == 0 || a.items == b.items) {
        *ret = a;
        return WEIR_OK;
    }
    if (a.count == 0) {
        *ret = b;
        return WEIR_OK;
    }
    WEIR_TRY(weir_arena_zero(tracing->sql->arena, (size_t)a.count + b.count, sizeof *items, &items,
                             reterr));
    while (i < a.count || j < b.count) {
        bool left = j == b.count || (i < a.count && a.items[i] <= b.items[j]);
        uint64_t item = left ? a.items[i++] : b.items[j++];
        if (count == 0 || items[count - 1] != item)
            items[count++] = item;
    }
    *ret = (struct uses){items, count};
    return WEIR_OK;
}

static bool uses_equal(struct uses a, struct uses b)
{
    return a.count == b.count &&
           (a.count == 0 || memcmp(a.items, b.items, a.count * sizeof *a.items) == 0);
}

static void sort_uses(uint64_t *items, uint32_t count)
{
    for (uint32_t gap = count / 2; gap; gap /= 2)
        for (uint32_t i = gap; i < count; i++)
            for (uint32_t j = i; j >= gap && items[j - gap] > items[j]; j -= gap) {
                uint64_t swap = items[j];
                items[j] = items[j - gap];
                items[j - gap] = swap;
            }
}

/* Each way is of at least this kind from now on, and went through these masks. */
static weir_status uses_as(struct tracing *tracing, struct uses uses, enum weir_lineage_kind kind,
                           unsigned masks, struct uses *ret, struct weir_error *reterr)
{
    uint64_t *items;
    uint32_t count = 0;
    if (uses.count == 0 || (kind == WEIR_LINEAGE_IDENTITY && masks == 0)) {
        *ret = uses;
        return WEIR_OK;
    }
    WEIR_TRY(weir_arena_zero(tracing->sql->arena, uses.count, sizeof *items, &items, reterr));
    for (uint32_t i = 0; i < uses.count; i++) {
        uint64_t use = uses.items[i];
        enum weir_lineage_kind was = USE_KIND(use);
        items[i] = USE(USE_TABLE(use), USE_COLUMN(use), was > kind ? was : kind,
                       USE_MASKS(use) | masks);
    }
    sort_uses(items, uses.count);
    for (uint32_t i = 0; i < uses.count; i++)
        if (i == 0 || items[i] != items[count - 1])
            items[count++] = items[i];
    *ret = (struct uses){items, count};
    return WEIR_OK;
}

/* ---- flows ---- */

static weir_status flow_merge(struct tracing *tracing, struct flow *into, const struct flow *from,
                              struct weir_error *reterr)
{
    bool empty = into->uses.count == 0 && into->field_count == 0;
    WEIR_TRY(uses_union(tracing, into->influences, from->influences, &into->influences, reterr));
    if (empty || (from->uses.count == 0 && from->field_count == 0)) { /* NULL, or nothing yet */
        struct uses influences = into->influences;
        if (empty)
            *into = *from;
        into->influences = influences;
        return WEIR_OK;
    }
    WEIR_TRY(uses_union(tracing, into->uses, from->uses, &into->uses, reterr));
    if (into->field_count != from->field_count) {
        into->field_count = 0;
        return WEIR_OK;
    }
    struct flow *fields;
    WEIR_TRY(weir_arena_zero(tracing->sql->arena, into->field_count + 1, sizeof *fields, &fields,
                             reterr));
    for (uint32_t i = 0; i < into->field_count; i++) {
        fields[i] = into->fields[i];
        WEIR_TRY(flow_merge(tracing, &fields[i], &from->fields[i], reterr));
    }
    into->fields = fields;
    return WEIR_OK;
}

/* Values of a flow as a further step makes them of it; the parts of a struct are kept apart if it
 * hands them on. */
static weir_status flow_as(struct tracing *tracing, struct flow *flow, enum weir_lineage_kind kind,
                           unsigned masks, bool parts, struct weir_error *reterr)
{
    struct flow *fields;
    WEIR_TRY(uses_as(tracing, flow->uses, kind, masks, &flow->uses, reterr));
    if (!parts)
        flow->field_count = 0;
    WEIR_TRY(weir_arena_zero(tracing->sql->arena, flow->field_count + 1, sizeof *fields, &fields,
                             reterr));
    for (uint32_t i = 0; i < flow->field_count; i++) {
        fields[i] = flow->fields[i];
        WEIR_TRY(flow_as(tracing, &fields[i], kind, masks, true, reterr));
    }
    flow->fields = fields;
    return WEIR_OK;
}

/* Everything in it as an influence: added to `into`. */
static weir_status flow_influence(struct tracing *tracing, const struct flow *flow,
                                  enum weir_lineage_kind kind, struct uses *into,
                                  struct weir_error *reterr)
{
    struct uses uses;
    WEIR_TRY(uses_as(tracing, flow->uses, kind, 0, &uses, reterr));
    WEIR_TRY(uses_union(tracing, *into, uses, into, reterr));
    WEIR_TRY(uses_as(tracing, flow->influences, kind, 0, &uses, reterr));
    return uses_union(tracing, *into, uses, into, reterr);
}

static bool flow_equal(const struct flow *a, const struct flow *b)
{
    if (!uses_equal(a->uses, b->uses) || !uses_equal(a->influences, b->influences) ||
        a->field_count != b->field_count)
        return false;
    for (uint32_t i = 0; i < a->field_count; i++)
        if (!flow_equal(&a->fields[i], &b->fields[i]))
            return false;
    return true;
}

static void flow_set(struct tracing *tracing, uint32_t column, const struct flow *flow)
{
    if (tracing->known[column] && flow_equal(&tracing->flows[column], flow))
        return;
    tracing->known[column] = true;
    tracing->flows[column] = *flow;
    tracing->changed = true;
}

static const struct flow *flow_get(struct tracing *tracing, const struct scope *scope,
                                   uint32_t column)
{
    static const struct flow nothing;
    if (scope->flows)
        return column < scope->count ? &scope->flows[column] : &nothing;
    if (column < tracing->sql->column_count && tracing->known[column])
        return &tracing->flows[column];
    tracing->unknown = column;
    return &nothing;
}

/* ---- expressions ---- */

static weir_status trace_node(struct tracing *tracing, const struct scope *scope,
                              const struct weir_node *node, struct flow *ret,
                              struct weir_error *reterr);

/* arguments[i], for i = first, first + step, ...: their values, or what they influence. */
static weir_status trace_arguments(struct tracing *tracing, const struct scope *scope,
                                   const struct weir_node *node, bool values, struct flow *ret,
                                   struct weir_error *reterr)
{
    for (uint32_t i = 0; i < node->argument_count; i++) {
        struct flow flow;
        WEIR_TRY(trace_node(tracing, scope, node->arguments[i], &flow, reterr));
        bool condition = !values || (node->kind == WEIR_NODE_CASE && i % 2 == 0 &&
                                     i + 1 < node->argument_count);
        if (condition)
            WEIR_TRY(
                flow_influence(tracing, &flow, WEIR_LINEAGE_CONDITION, &ret->influences, reterr));
        else
            WEIR_TRY(flow_merge(tracing, ret, &flow, reterr));
    }
    return WEIR_OK;
}

/* The body of a lambda whose elements are `elements`. */
static weir_status trace_lambda(struct tracing *tracing, const struct scope *outside,
                                const struct weir_node *lambda, const struct flow *elements,
                                struct flow *ret, struct weir_error *reterr)
{
    struct flow *own;
    uint32_t count = lambda->parameter_count + lambda->capture_count;
    WEIR_TRY(weir_arena_zero(tracing->sql->arena, count + 1, sizeof *own, &own, reterr));
    for (uint32_t i = 0; i < count; i++)
        if (i < lambda->parameter_count)
            own[i] = *elements;
        else
            WEIR_TRY(trace_node(tracing, outside, lambda->captures[i - lambda->parameter_count],
                                &own[i], reterr));
    struct scope scope = {own, count};
    return trace_node(tracing, &scope, lambda->arguments[0], ret, reterr);
}

static bool is_one_of(const char *name, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

/* list_transform gives what the lambda makes, list_filter what it lets through; any other may give
 * both. */
static weir_status trace_list_call(struct tracing *tracing, const struct scope *scope,
                                   const struct weir_node *call, struct flow *ret,
                                   struct weir_error *reterr)
{
    struct flow elements = {0}, flow;
    static const char *const makers[] = {"list_transform", "list_apply", "array_transform",
                                         "array_apply",    "transform",  "apply"},
                             *const takers[] = {"list_filter", "array_filter", "filter"};
    bool transforms = is_one_of(call->function->name, makers, sizeof makers / sizeof *makers),
         filters = is_one_of(call->function->name, takers, sizeof takers / sizeof *takers);
    for (uint32_t i = 0; i < call->argument_count; i++)
        if (call->arguments[i]->kind != WEIR_NODE_LAMBDA) {
            WEIR_TRY(trace_node(tracing, scope, call->arguments[i], &flow, reterr));
            WEIR_TRY(flow_merge(tracing, &elements, &flow, reterr));
        }
    if (transforms)
        WEIR_TRY(
            flow_influence(tracing, &elements, WEIR_LINEAGE_CONDITION, &ret->influences, reterr));
    else
        WEIR_TRY(flow_merge(tracing, ret, &elements, reterr));
    for (uint32_t i = 0; i < call->argument_count; i++) {
        if (call->arguments[i]->kind != WEIR_NODE_LAMBDA)
            continue;
        WEIR_TRY(trace_lambda(tracing, scope, call->arguments[i], &elements, &flow, reterr));
        if (filters)
            WEIR_TRY(
                flow_influence(tracing, &flow, WEIR_LINEAGE_CONDITION, &ret->influences, reterr));
        else
            WEIR_TRY(flow_merge(tracing, ret, &flow, reterr));
    }
    return flow_as(tracing, ret, WEIR_LINEAGE_TRANSFORMATION, 0, false, reterr);
}

static weir_status trace_call(struct tracing *tracing, const struct scope *scope,
                              const struct weir_node *call, struct flow *ret,
                              struct weir_error *reterr)
{
    unsigned mask = weir_lineage_mask(call->function->name);
    for (uint32_t i = 0; i < call->argument_count; i++)
        if (call->arguments[i]->kind == WEIR_NODE_LAMBDA)
            return trace_list_call(tracing, scope, call, ret, reterr);
    WEIR_TRY(trace_arguments(tracing, scope, call, true, ret, reterr));
    return flow_as(tracing, ret, WEIR_LINEAGE_TRANSFORMATION, mask, false, reterr);
}

static weir_status trace_struct(struct tracing *tracing, const struct scope *scope,
                                const struct weir_node *node, struct flow *ret,
                                struct weir_error *reterr)
{
    struct flow *fields;
    WEIR_TRY(weir_arena_zero(tracing->sql->arena, node->argument_count + 1, sizeof *fields, &fields,
                             reterr));
    for (uint32_t i = 0; i < node->argument_count; i++) {
        struct uses uses;
        WEIR_TRY(trace_node(tracing, scope, node->arguments[i], &fields[i], reterr));
        WEIR_TRY(uses_as(tracing, fields[i].uses, WEIR_LINEAGE_TRANSFORMATION, 0, &uses, reterr));
        WEIR_TRY(uses_union(tracing, ret->uses, uses, &ret->uses, reterr));
        WEIR_TRY(
            uses_union(tracing, ret->influences, fields[i].influences, &ret->influences, reterr));
    }
    ret->fields = fields;
    ret->field_count = node->argument_count;
    return WEIR_OK;
}

static weir_status trace_field(struct tracing *tracing, const struct scope *scope,
                               const struct weir_node *node, struct flow *ret,
                               struct weir_error *reterr)
{
    struct flow whole;
    WEIR_TRY(trace_node(tracing, scope, node->arguments[0], &whole, reterr));
    if (node->index < whole.field_count) {
        *ret = whole.fields[node->index];
        return uses_union(tracing, ret->influences, whole.influences, &ret->influences, reterr);
    }
    *ret = whole;
    return flow_as(tracing, ret, WEIR_LINEAGE_TRANSFORMATION, 0, false, reterr);
}

static weir_status trace_node(struct tracing *tracing, const struct scope *scope,
                              const struct weir_node *node, struct flow *ret,
                              struct weir_error *reterr)
{
    struct flow flow = {0};
    switch (node->kind) {
    case WEIR_NODE_COLUMN: flow = *flow_get(tracing, scope, node->index); break;
    case WEIR_NODE_CONSTANT: break;
    case WEIR_NODE_CALL: WEIR_TRY(trace_call(tracing, scope, node, &flow, reterr)); break;
    case WEIR_NODE_FIELD: WEIR_TRY(trace_field(tracing, scope, node, &flow, reterr)); break;
    case WEIR_NODE_STRUCT: WEIR_TRY(trace_struct(tracing, scope, node, &flow, reterr)); break;
    case WEIR_NODE_IS_NULL:
        WEIR_TRY(trace_arguments(tracing, scope, node, false, &flow, reterr));
        break;
    case WEIR_NODE_CASE:
    case WEIR_NODE_COALESCE:
        WEIR_TRY(trace_arguments(tracing, scope, node, true, &flow, reterr));
        WEIR_TRY(flow_as(tracing, &flow, WEIR_LINEAGE_TRANSFORMATION, 0, true, reterr));
        break;
    default:
        WEIR_TRY(trace_arguments(tracing, scope, node, true, &flow, reterr));
        WEIR_TRY(flow_as(tracing, &flow, WEIR_LINEAGE_TRANSFORMATION, 0, false, reterr));
    }
    *ret = flow;
    return WEIR_OK;
}

/* ---- plans ---- */

static const struct scope outermost;

static weir_status trace_plan(struct tracing *tracing, struct logical *plan,
                              struct weir_error *reterr);

static weir_status influence_rows(struct tracing *tracing, const struct weir_node *node,
                                  enum weir_lineage_kind kind, struct weir_error *reterr)
{
    struct flow flow;
    WEIR_TRY(trace_node(tracing, &outermost, node, &flow, reterr));
    return flow_influence(tracing, &flow, kind, &tracing->rows, reterr);
}

static weir_status table_number(struct tracing *tracing, const struct weir_table_source *source,
                                uint32_t *ret, struct weir_error *reterr)
{
    for (*ret = 0; *ret < tracing->table_count; ++*ret)
        if (tracing->tables[*ret] == source)
            return WEIR_OK;
    if (tracing->table_count == tracing->table_capacity) {
        const struct weir_table_source **grown;
        uint32_t more = tracing->table_capacity ? 2 * tracing->table_capacity : 16;
        WEIR_TRY(weir_arena_zero(tracing->sql->arena, more, sizeof *grown, &grown, reterr));
        if (tracing->table_count)
            memcpy(grown, tracing->tables, tracing->table_count * sizeof *grown);
        tracing->tables = grown;
        tracing->table_capacity = more;
    }
    tracing->tables[tracing->table_count++] = source;
    return WEIR_OK;
}

static weir_status trace_scan(struct tracing *tracing, const struct logical *scan,
                              struct weir_error *reterr)
{
    uint32_t table;
    uint64_t *items;
    WEIR_TRY(table_number(tracing, scan->source, &table, reterr));
    WEIR_TRY(weir_arena_zero(tracing->sql->arena, scan->columns.count + 1, sizeof *items, &items,
                             reterr));
    for (uint32_t i = 0; i < scan->columns.count; i++) {
        items[i] = USE(table, scan->fields.items[i], WEIR_LINEAGE_IDENTITY, 0);
        struct flow flow = {.uses = {&items[i], 1}};
        flow_set(tracing, scan->columns.items[i], &flow);
    }
    return WEIR_OK;
}

static weir_status trace_values(struct tracing *tracing, const struct logical *plan,
                                struct weir_error *reterr)
{
    for (uint32_t c = 0; c < plan->columns.count; c++) {
        struct flow all = {0}, one;
        for (uint64_t row = 0; row < plan->row_count; row++) {
            WEIR_TRY(trace_node(tracing, &outermost, plan->values[row * plan->columns.count + c],
                                &one, reterr));
            WEIR_TRY(flow_merge(tracing, &all, &one, reterr));
        }
        flow_set(tracing, plan->columns.items[c], &all);
    }
    return WEIR_OK;
}

static weir_status trace_project(struct tracing *tracing, const struct logical *plan,
                                 struct weir_error *reterr)
{
    for (uint32_t i = 0; i < plan->expressions.count; i++) {
        const struct weir_node *node = plan->expressions.items[i];
        struct flow flow;
        WEIR_TRY(trace_node(tracing, &outermost, node, &flow, reterr));
        if (node->kind != WEIR_NODE_COLUMN || node->index != plan->columns.items[i])
            flow_set(tracing, plan->columns.items[i], &flow);
    }
    return WEIR_OK;
}

/* What only counts rows shows nothing of their values. */
static bool only_counts(const struct weir_aggregate_call *call)
{
    static const char *const names[] = {"count", "count_if", "regr_count", "approx_count_distinct"};
    return call->function && is_one_of(call->function->name, names, sizeof names / sizeof *names);
}

static weir_status trace_aggregate_call(struct tracing *tracing,
                                        const struct weir_aggregate_call *call, struct flow *ret,
                                        struct weir_error *reterr)
{
    struct flow flow, all = {0};
    for (uint32_t i = 0; i < call->argument_count; i++) {
        WEIR_TRY(trace_node(tracing, &outermost, call->arguments[i], &flow, reterr));
        if (only_counts(call))
            WEIR_TRY(
                flow_influence(tracing, &flow, WEIR_LINEAGE_CONDITION, &all.influences, reterr));
        else
            WEIR_TRY(flow_merge(tracing, &all, &flow, reterr));
    }
    for (uint32_t i = 0; i < call->order_count + (call->filter != NULL); i++) {
        const struct weir_node *node = i < call->order_count ? call->order[i] : call->filter;
        WEIR_TRY(trace_node(tracing, &outermost, node, &flow, reterr));
        WEIR_TRY(flow_influence(tracing, &flow, WEIR_LINEAGE_CONDITION, &all.influences, reterr));
    }
    /* of one argument the parts of a struct stay where they are: min, max, any_value, last_value */
    WEIR_TRY(flow_as(tracing, &all, WEIR_LINEAGE_AGGREGATION, 0,
                     call->argument_count == 1 && call->type.id == WEIR_STRUCT, reterr));
    *ret = all;
    return WEIR_OK;
}

static weir_status trace_aggregate(struct tracing *tracing, const struct logical *plan,
                                   struct weir_error *reterr)
{
    struct flow nothing = {0}, flow;
    uint32_t keys = plan->expressions.count;
    WEIR_TRY(trace_project(tracing, plan, reterr));
    for (uint32_t i = 0; i < keys; i++)
        WEIR_TRY(influence_rows(tracing, plan->expressions.items[i], WEIR_LINEAGE_GROUP, reterr));
    for (uint32_t i = 0; i < plan->call_count; i++) {
        WEIR_TRY(trace_aggregate_call(tracing, &plan->calls[i], &flow, reterr));
        flow_set(tracing, plan->columns.items[keys + i], &flow);
    }
    for (uint32_t i = keys + plan->call_count; i < plan->columns.count; i++)
        flow_set(tracing, plan->columns.items[i], &nothing); /* the set's number */
    return WEIR_OK;
}

/* What IN and ANY find is told by comparing values: it is made of them, as a comparison is. */
static weir_status trace_join(struct tracing *tracing, const struct logical *plan,
                              struct weir_error *reterr)
{
    struct flow mark = {0}, flow;
    bool marks = plan->join == WEIR_JOIN_MARK && plan->columns.count == 1;
    for (uint32_t i = 0; i < plan->conditions.count; i++) {
        if (!marks) {
            WEIR_TRY(influence_rows(tracing, plan->conditions.items[i], WEIR_LINEAGE_JOIN, reterr));
            continue;
        }
        WEIR_TRY(trace_node(tracing, &outermost, plan->conditions.items[i], &flow, reterr));
        WEIR_TRY(flow_merge(tracing, &mark, &flow, reterr));
    }
    if (marks)
        flow_set(tracing, plan->columns.items[0], &mark);
    return WEIR_OK;
}

static weir_status trace_window(struct tracing *tracing, const struct logical *plan,
                                struct weir_error *reterr)
{
    struct uses over = {0};
    struct flow flow;
    for (uint32_t i = 0; i < plan->partition.count + plan->sort_count; i++) {
        const struct weir_node *node = i < plan->partition.count
                                           ? plan->partition.items[i]
                                           : plan->sort[i - plan->partition.count].node;
        WEIR_TRY(trace_node(tracing, &outermost, node, &flow, reterr));
        WEIR_TRY(flow_influence(tracing, &flow, WEIR_LINEAGE_WINDOW, &over, reterr));
    }
    for (uint32_t i = 0; i < plan->window_count; i++) {
        WEIR_TRY(trace_aggregate_call(tracing, &plan->windows[i].aggregate, &flow, reterr));
        WEIR_TRY(uses_union(tracing, flow.influences, over, &flow.influences, reterr));
        flow_set(tracing, plan->columns.items[i], &flow);
    }
    return WEIR_OK;
}

/* UNION, INTERSECT, RECURSIVE: values of both sides. EXCEPT: of the first; the other takes away. */
static weir_status trace_set(struct tracing *tracing, const struct logical *plan,
                             struct weir_error *reterr)
{
    bool compares = plan->kind == LOGICAL_SET;
    for (uint32_t c = 0; c < plan->columns.count; c++) {
        struct flow all = {0};
        for (uint32_t k = 0; k < plan->child_count; k++) {
            const struct flow *one = flow_get(tracing, &outermost, plan->child_columns[k].items[c]);
            if (compares)
                WEIR_TRY(flow_influence(tracing, one, WEIR_LINEAGE_FILTER, &tracing->rows, reterr));
            if (k == 0 || !plan->except)
                WEIR_TRY(flow_merge(tracing, &all, one, reterr));
        }
        flow_set(tracing, plan->columns.items[c], &all);
    }
    return WEIR_OK;
}

static weir_status trace_unnest(struct tracing *tracing, const struct logical *plan,
                                struct weir_error *reterr)
{
    struct flow flow, nothing = {0};
    uint32_t at = 0;
    for (uint32_t i = 0; i < plan->expressions.count; i++) {
        const struct weir_node *list = plan->expressions.items[i];
        uint32_t columns = list->type.id == WEIR_MAP ? 2 : 1;
        WEIR_TRY(trace_node(tracing, &outermost, list, &flow, reterr));
        WEIR_TRY(flow_as(tracing, &flow, WEIR_LINEAGE_TRANSFORMATION, 0, false, reterr));
        for (uint32_t k = 0; k < columns && at < plan->columns.count; k++)
            flow_set(tracing, plan->columns.items[at++], &flow);
    }
    for (; at < plan->columns.count; at++)
        flow_set(tracing, plan->columns.items[at], &nothing); /* the ordinal */
    return WEIR_OK;
}

static void trace_renamed(struct tracing *tracing, const struct numbers *from,
                          const struct numbers *to)
{
    for (uint32_t i = 0; i < to->count; i++) {
        struct flow flow = *flow_get(tracing, &outermost, from->items[i]);
        flow_set(tracing, to->items[i], &flow);
    }
}

static weir_status trace_shared(struct tracing *tracing, const struct logical *plan,
                                struct weir_error *reterr)
{
    bool walked = false;
    for (uint32_t i = 0; i < tracing->shared_count; i++)
        walked |= tracing->shared[i] == plan->shared;
    if (!walked) {
        if (tracing->shared_count == tracing->shared_capacity) {
            const struct shared **grown;
            uint32_t more = tracing->shared_capacity ? 2 * tracing->shared_capacity : 16;
            WEIR_TRY(weir_arena_zero(tracing->sql->arena, more, sizeof *grown, &grown, reterr));
            if (tracing->shared_count)
                memcpy(grown, tracing->shared, tracing->shared_count * sizeof *grown);
            tracing->shared = grown;
            tracing->shared_capacity = more;
        }
        tracing->shared[tracing->shared_count++] = plan->shared;
        WEIR_TRY(trace_plan(tracing, plan->shared->plan, reterr));
    }
    trace_renamed(tracing, &plan->shared->columns, &plan->columns);
    return WEIR_OK;
}

static weir_status trace_own(struct tracing *tracing, const struct logical *plan,
                             struct weir_error *reterr)
{
    switch (plan->kind) {
    case LOGICAL_SCAN: return trace_scan(tracing, plan, reterr);
    case LOGICAL_VALUES: return trace_values(tracing, plan, reterr);
    case LOGICAL_PROJECT: return trace_project(tracing, plan, reterr);
    case LOGICAL_AGGREGATE: return trace_aggregate(tracing, plan, reterr);
    case LOGICAL_JOIN: return trace_join(tracing, plan, reterr);
    case LOGICAL_WINDOW: return trace_window(tracing, plan, reterr);
    case LOGICAL_UNION:
    case LOGICAL_SET:
    case LOGICAL_RECURSIVE: return trace_set(tracing, plan, reterr);
    case LOGICAL_UNNEST: return trace_unnest(tracing, plan, reterr);
    case LOGICAL_SHARED: return trace_shared(tracing, plan, reterr);
    case LOGICAL_WORKING:
        trace_renamed(tracing, &plan->recursion->columns, &plan->columns);
        return WEIR_OK;
    case LOGICAL_FILTER:
    case LOGICAL_SORT:
    case LOGICAL_LIMIT: return WEIR_OK;
    }
    return WEIR_OK;
}

static weir_status trace_plan(struct tracing *tracing, struct logical *plan,
                              struct weir_error *reterr)
{
    for (uint32_t i = 0; i < plan->child_count; i++)
        WEIR_TRY(trace_plan(tracing, plan->children[i], reterr));
    WEIR_TRY(trace_own(tracing, plan, reterr));
    for (uint32_t i = 0; plan->kind != LOGICAL_JOIN && i < plan->conditions.count; i++)
        WEIR_TRY(influence_rows(tracing, plan->conditions.items[i], WEIR_LINEAGE_FILTER, reterr));
    for (uint32_t i = 0; plan->kind == LOGICAL_SORT && i < plan->sort_count; i++)
        WEIR_TRY(influence_rows(tracing, plan->sort[i].node, WEIR_LINEAGE_SORT, reterr));
    return WEIR_OK;
}

/* ---- the result ---- */

static weir_status give_uses(struct tracing *tracing, struct uses values, struct uses influences,
                             const struct weir_lineage_use **ret, uint32_t *ret_count,
                             struct weir_error *reterr)
{
    struct weir_lineage_use *uses;
    uint32_t count = 0;
    WEIR_TRY(weir_arena_zero(tracing->sql->arena, (size_t)values.count + influences.count + 1,
                             sizeof *uses, &uses, reterr));
    for (uint32_t i = 0; i < values.count + influences.count; i++) {
        uint64_t use = i < values.count ? values.items[i] : influences.items[i - values.count];
        const struct weir_table_source *source = tracing->tables[USE_TABLE(use)];
        uses[count++] = (struct weir_lineage_use){
            source, source->operations->schema(source->self)->children[USE_COLUMN(use)].name,
            USE_KIND(use), USE_MASKS(use)};
    }
    *ret = uses;
    *ret_count = count;
    return WEIR_OK;
}

static weir_status give(struct tracing *tracing, const struct numbers *columns,
                        const char *const *names, struct weir_lineage *ret,
                        struct weir_error *reterr)
{
    struct weir_lineage lineage = {.column_count = columns->count};
    WEIR_TRY(weir_arena_zero(tracing->sql->arena, columns->count + 1, sizeof *lineage.columns,
                             &lineage.columns, reterr));
    for (uint32_t i = 0; i < columns->count; i++) {
        const struct flow *flow = flow_get(tracing, &outermost, columns->items[i]);
        struct weir_lineage_column *column = &lineage.columns[i];
        char *name; /* the tree's text goes before the result does */
        WEIR_TRY(weir_arena_copy(tracing->sql->arena, names[i], strlen(names[i]), &name, reterr));
        column->name = name;
        WEIR_TRY(give_uses(tracing, flow->uses, flow->influences, &column->uses, &column->use_count,
                           reterr));
    }
    WEIR_TRY(give_uses(tracing, (struct uses){0}, tracing->rows, &lineage.rows, &lineage.row_count,
                       reterr));
    if (tracing->unknown != UINT32_MAX)
        return weir_fail(reterr, WEIR_INTERNAL, "it cannot be told where column %s comes from",
                         tracing->unknown < tracing->sql->column_count
                             ? tracing->sql->columns[tracing->unknown].name
                             : "?");
    *ret = lineage;
    return WEIR_OK;
}

weir_status lineage_trace(struct sql *sql, struct logical *plan, const struct numbers *columns,
                          const char *const *names, struct weir_lineage *ret,
                          struct weir_error *reterr)
{
    struct tracing tracing = {.sql = sql, .changed = true};
    WEIR_TRY(weir_arena_zero(sql->arena, sql->column_count + 1, sizeof *tracing.flows,
                             &tracing.flows, reterr));
    WEIR_TRY(weir_arena_zero(sql->arena, sql->column_count + 1, sizeof *tracing.known,
                             &tracing.known, reterr));
    for (int pass = 0; tracing.changed && pass < PASSES_MAX; pass++) {
        tracing.changed = false;
        tracing.unknown = UINT32_MAX;
        tracing.shared_count = 0;
        WEIR_TRY(trace_plan(&tracing, plan, reterr));
    }
    return give(&tracing, columns, names, ret, reterr);
}
