/* Scans: only the columns, and of structs only the fields, that are looked at; conditions as a
 * filter, and as predicates a source may skip by. */
#include "engine/sql/physical_int.h"

#include <string.h>
#include <strings.h>

/* ---- which parts of a column are used ---- */

struct use {
    bool whole;
    struct use *children; /* of a struct; NULL = none yet */
};

static weir_status use_path(struct physical *physical, struct use *use,
                            const struct weir_type *type, const struct weir_node *const *path,
                            uint32_t depth, struct weir_error *reterr)
{
    if (use->whole)
        return WEIR_OK;
    if (depth == 0 || type->id != WEIR_STRUCT) {
        use->whole = true;
        return WEIR_OK;
    }
    if (!use->children)
        WEIR_TRY(weir_arena_zero(physical->sql->arena, type->child_count + 1, sizeof *use->children,
                                 &use->children, reterr));
    uint32_t child = path[depth - 1]->index;
    return use_path(physical, &use->children[child], &type->children[child].type, path, depth - 1,
                    reterr);
}

static weir_status use_node(struct physical *physical, const struct weir_node *node,
                            struct weir_error *reterr)
{
    const struct weir_node *path[32], *at = node;
    uint32_t depth = 0;
    while (at->kind == WEIR_NODE_FIELD && depth < 32) {
        path[depth++] = at;
        at = at->arguments[0];
    }
    if (at->kind == WEIR_NODE_COLUMN && at->index < physical->use_count)
        return use_path(physical, &physical->uses[at->index],
                        &physical->sql->columns[at->index].type, path, depth, reterr);
    for (uint32_t i = 0; i < node->argument_count && node->kind != WEIR_NODE_LAMBDA; i++)
        WEIR_TRY(use_node(physical, node->arguments[i], reterr));
    for (uint32_t i = 0; i < node->capture_count; i++)
        WEIR_TRY(use_node(physical, node->captures[i], reterr));
    return WEIR_OK;
}

static weir_status visit_use(void *self, struct weir_node **node, struct weir_error *reterr)
{
    return use_node(self, *node, reterr);
}

static weir_status use_plan(struct physical *physical, struct logical *plan,
                            struct weir_error *reterr)
{
    if (plan->kind == LOGICAL_PROJECT) {
        for (uint32_t i = 0; i < plan->expressions.count; i++) {
            struct weir_node *node = plan->expressions.items[i];
            if (node->kind != WEIR_NODE_COLUMN || node->index != plan->columns.items[i])
                WEIR_TRY(use_node(physical, node, reterr)); /* else it only passes */
        }
    } else {
        WEIR_TRY(logical_visit(plan, visit_use, physical, reterr));
    }
    for (uint32_t side = 0; plan->child_columns && side < plan->child_count; side++)
        for (uint32_t i = 0; i < plan->child_columns[side].count; i++)
            physical->uses[plan->child_columns[side].items[i]].whole = true;
    if (plan->kind == LOGICAL_SHARED) {
        for (uint32_t i = 0; i < plan->shared->columns.count; i++)
            physical->uses[plan->shared->columns.items[i]].whole = true;
        WEIR_TRY(use_plan(physical, plan->shared->plan, reterr));
    }
    for (uint32_t i = 0; i < plan->child_count; i++)
        WEIR_TRY(use_plan(physical, plan->children[i], reterr));
    return WEIR_OK;
}

weir_status physical_uses(struct physical *physical, struct logical *plan,
                          const struct numbers *result, struct weir_error *reterr)
{
    physical->use_count = physical->sql->column_count;
    WEIR_TRY(weir_arena_zero(physical->sql->arena, physical->use_count + 1, sizeof *physical->uses,
                             &physical->uses, reterr));
    for (uint32_t i = 0; i < result->count; i++)
        physical->uses[result->items[i]].whole = true;
    return use_plan(physical, plan, reterr);
}

static weir_status prune(struct physical *physical, const struct use *use,
                         const struct weir_type *type, struct weir_type *ret,
                         struct weir_error *reterr)
{
    *ret = *type;
    if (use->whole || type->id != WEIR_STRUCT || !use->children)
        return WEIR_OK;
    ret->child_count = 0;
    WEIR_TRY(weir_arena_zero(physical->sql->arena, type->child_count + 1, sizeof *ret->children,
                             &ret->children, reterr));
    for (uint32_t i = 0; i < type->child_count; i++) {
        if (!use->children[i].whole && !use->children[i].children)
            continue;
        struct weir_field *field = &ret->children[ret->child_count++];
        *field = type->children[i];
        WEIR_TRY(prune(physical, &use->children[i], &type->children[i].type, &field->type, reterr));
    }
    return WEIR_OK;
}

/* ---- predicates ---- */

static bool column_path(const struct weir_node *node, struct weir_predicate *predicate)
{
    uint32_t path[8], depth = 0;
    while (node->kind == WEIR_NODE_FIELD && depth < 7) {
        path[depth++] = node->index;
        node = node->arguments[0];
    }
    if (node->kind != WEIR_NODE_COLUMN)
        return false;
    predicate->path[0] = node->index;
    for (uint32_t i = 0; i < depth; i++)
        predicate->path[i + 1] = path[depth - 1 - i];
    predicate->path_size = depth + 1;
    return true;
}

static bool is_nan(const struct weir_node *constant)
{
    double value = 0;
    if (constant->type.id == WEIR_DOUBLE)
        value = *(const double *)constant->value.values;
    if (constant->type.id == WEIR_FLOAT)
        value = *(const float *)constant->value.values;
    return value != value;
}

static bool usable(const struct weir_node *column, const struct weir_node *constant)
{
    return constant->kind == WEIR_NODE_CONSTANT && !weir_type_is_nested(column->type.id) &&
           weir_type_equal(&column->type, &constant->type, false) &&
           weir_vector_valid(&constant->value, 0) && !is_nan(constant);
}

static bool compare_predicate(const struct weir_node *node, struct weir_predicate *ret)
{
    static const enum weir_predicate_kind kinds[] = {[WEIR_EQ] = WEIR_PREDICATE_EQ,
                                                     [WEIR_LT] = WEIR_PREDICATE_LT,
                                                     [WEIR_LE] = WEIR_PREDICATE_LE,
                                                     [WEIR_GT] = WEIR_PREDICATE_GT,
                                                     [WEIR_GE] = WEIR_PREDICATE_GE};
    enum weir_compare compare = node->compare;
    const struct weir_node *column = node->arguments[0], *constant = node->arguments[1];
    if (compare == WEIR_NE || compare == WEIR_DISTINCT || compare == WEIR_NOT_DISTINCT)
        return false;
    if (column->kind == WEIR_NODE_CONSTANT) {
        static const enum weir_compare turned[] = {[WEIR_EQ] = WEIR_EQ,
                                                   [WEIR_LT] = WEIR_GT,
                                                   [WEIR_LE] = WEIR_GE,
                                                   [WEIR_GT] = WEIR_LT,
                                                   [WEIR_GE] = WEIR_LE};
        column = node->arguments[1];
        constant = node->arguments[0];
        compare = turned[compare];
    }
    if (!usable(column, constant) || !column_path(column, ret))
        return false;
    ret->kind = kinds[compare];
    ret->value = constant->value;
    ret->value.type = &constant->type;
    ret->value.kind = WEIR_FLAT;
    return true;
}

static weir_status in_predicate(struct physical *physical, const struct weir_node *node,
                                struct weir_predicate *ret, bool *ret_good,
                                struct weir_error *reterr)
{
    struct weir_arena *arena = physical->sql->arena;
    uint32_t count = node->argument_count - 1, width = weir_type_width(&node->arguments[0]->type);
    size_t bytes = 0;
    *ret_good = false;
    if (node->negated || !column_path(node->arguments[0], ret) ||
        node->arguments[0]->type.id == WEIR_BOOLEAN)
        return WEIR_OK;
    for (uint32_t i = 1; i <= count; i++) {
        if (!usable(node->arguments[0], node->arguments[i]))
            return WEIR_OK;
        struct weir_lane lane = weir_lane_of(&node->arguments[i]->value);
        bytes += weir_lane_bytes(&lane, 0).size;
    }
    struct weir_vector value;
    WEIR_TRY(weir_vector_make(arena, &node->arguments[0]->type, count, bytes, &value, reterr));
    value.count = count;
    bytes = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct weir_lane lane = weir_lane_of(&node->arguments[i + 1]->value);
        struct weir_bytes one = weir_lane_bytes(&lane, 0);
        if (one.size)
            memcpy((uint8_t *)value.values + (width ? (size_t)i * width : bytes), one.data,
                   one.size);
        bytes += one.size;
        if (value.offsets)
            value.offsets[i + 1] = (int32_t)bytes;
    }
    ret->kind = WEIR_PREDICATE_IN;
    ret->value = value;
    *ret_good = true;
    return WEIR_OK;
}

/* ---- predicates through functions that keep the order of times ---- */

#define HOUR_MICROS INT64_C(3600000000)
#define DAY_MICROS  (24 * HOUR_MICROS)

struct order_kept {               /* f(x) - early <= x <= f(x) + late */
    const struct weir_node *time; /* x */
    int64_t early, late;
};

/* With room for time zones and their changes. */
static bool keeps_order(const struct weir_node *node, struct order_kept *ret)
{
    static const struct {
        const char *unit;
        int64_t longest;
    } units[] = {{"microsecond", HOUR_MICROS},
                 {"millisecond", HOUR_MICROS},
                 {"second", HOUR_MICROS},
                 {"minute", HOUR_MICROS},
                 {"hour", 2 * HOUR_MICROS},
                 {"day", 2 * DAY_MICROS},
                 {"week", 8 * DAY_MICROS},
                 {"month", 32 * DAY_MICROS},
                 {"quarter", 93 * DAY_MICROS},
                 {"year", 367 * DAY_MICROS},
                 {"decade", 3654 * DAY_MICROS},
                 {"century", 36526 * DAY_MICROS},
                 {"millennium", 365244 * DAY_MICROS}};
    if (node->kind == WEIR_NODE_CAST && node->type.id == WEIR_DATE) {
        *ret = (struct order_kept){node->arguments[0], DAY_MICROS, 2 * DAY_MICROS};
        return true;
    }
    if (node->kind != WEIR_NODE_CALL || strcmp(node->function->name, "date_trunc") != 0 ||
        node->arguments[0]->kind != WEIR_NODE_CONSTANT ||
        !weir_vector_valid(&node->arguments[0]->value, 0))
        return false;
    struct weir_lane lane = weir_lane_of(&node->arguments[0]->value);
    struct weir_bytes unit = weir_lane_bytes(&lane, 0);
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (unit.size == strlen(units[i].unit) &&
            strncasecmp((const char *)unit.data, units[i].unit, unit.size) == 0) {
            *ret = (struct order_kept){node->arguments[1], 0, units[i].longest};
            return true;
        }
    return false;
}

static bool is_moment(const struct weir_type *type)
{
    return type->id == WEIR_TIMESTAMP || type->id == WEIR_TIMESTAMPTZ;
}

static weir_status moment_predicate(struct physical *physical, struct weir_operator *scan,
                                    const struct weir_node *time, enum weir_predicate_kind kind,
                                    int64_t micros, struct weir_error *reterr)
{
    struct weir_predicate *predicate = &scan->predicates[scan->predicate_count];
    *predicate = (struct weir_predicate){.kind = kind};
    if (!column_path(time, predicate))
        return WEIR_OK;
    WEIR_TRY(weir_vector_make(physical->sql->arena, &time->type, 1, 0, &predicate->value, reterr));
    *(int64_t *)predicate->value.values = micros;
    predicate->value.count = 1;
    scan->predicate_count++;
    return WEIR_OK;
}

static bool moment_of(const struct weir_node *node, int64_t *ret_micros)
{
    if (node->kind != WEIR_NODE_CONSTANT || !weir_vector_valid(&node->value, 0))
        return false;
    if (node->type.id == WEIR_DATE)
        *ret_micros = *(const int32_t *)node->value.values * DAY_MICROS;
    else if (is_moment(&node->type))
        *ret_micros = *(const int64_t *)node->value.values;
    return node->type.id == WEIR_DATE || is_moment(&node->type);
}

/* f(x) compared with a constant says where x lies. */
static weir_status order_predicates(struct physical *physical, struct weir_operator *scan,
                                    const struct weir_node *node, struct weir_error *reterr)
{
    bool turned = node->arguments[0]->kind == WEIR_NODE_CONSTANT;
    const struct weir_node *call = node->arguments[turned], *constant = node->arguments[!turned];
    enum weir_compare compare = node->compare;
    struct order_kept kept;
    int64_t micros, bound;
    if (!keeps_order(call, &kept) || !is_moment(&kept.time->type) || !moment_of(constant, &micros))
        return WEIR_OK;
    bool above = compare == WEIR_GT || compare == WEIR_GE,
         below = compare == WEIR_LT || compare == WEIR_LE, least = turned ? below : above,
         most = turned ? above : below;
    if ((least || compare == WEIR_EQ) && !__builtin_sub_overflow(micros, kept.early, &bound))
        WEIR_TRY(moment_predicate(physical, scan, kept.time, WEIR_PREDICATE_GE, bound, reterr));
    if ((most || compare == WEIR_EQ) && !__builtin_add_overflow(micros, kept.late, &bound))
        WEIR_TRY(moment_predicate(physical, scan, kept.time, WEIR_PREDICATE_LE, bound, reterr));
    return WEIR_OK;
}

static weir_status add_predicate(struct physical *physical, struct weir_operator *scan,
                                 const struct weir_node *node, struct weir_error *reterr)
{
    struct weir_predicate *predicate = &scan->predicates[scan->predicate_count];
    bool good = false;
    *predicate = (struct weir_predicate){0};
    if (node->kind == WEIR_NODE_COMPARE && !(good = compare_predicate(node, predicate)))
        return order_predicates(physical, scan, node, reterr);
    else if (node->kind == WEIR_NODE_IN)
        WEIR_TRY(in_predicate(physical, node, predicate, &good, reterr));
    else if (node->kind == WEIR_NODE_IS_NULL && column_path(node->arguments[0], predicate) &&
             predicate->path_size == 1) {
        predicate->kind = node->negated ? WEIR_PREDICATE_NOT_NULL : WEIR_PREDICATE_IS_NULL;
        good = !weir_type_is_nested(node->arguments[0]->type.id);
    }
    scan->predicate_count += good;
    return WEIR_OK;
}

/* ---- the scan ---- */

weir_status physical_scan(struct physical *physical, struct logical *plan,
                          const struct columns *needed, struct made *ret, struct weir_error *reterr)
{
    struct sql *sql = physical->sql;
    const struct weir_type *schema = plan->source->operations->schema(plan->source->self);
    struct columns all;
    struct weir_operator *scan;
    struct weir_node *filter = NULL;
    struct numbers columns = {0};
    WEIR_TRY(columns_new(sql, &all, reterr));
    for (uint32_t i = 0; i < plan->conditions.count; i++)
        WEIR_TRY(columns_of_node(sql, plan->conditions.items[i], &all, reterr));
    for (uint32_t i = 0; i < plan->columns.count; i++) {
        uint32_t column = plan->columns.items[i];
        if (!columns_have(needed, column) && !columns_have(&all, column))
            continue;
        WEIR_TRY(numbers_add(sql, &columns, column, reterr));
        WEIR_TRY(prune(physical, &physical->uses[column], &sql->columns[column].type,
                       &physical->types[column], reterr));
    }
    WEIR_TRY(operator_new(physical, WEIR_OP_SCAN, &columns, 0, plan->rows, &scan, reterr));
    for (uint32_t i = 0, at = 0; i < plan->columns.count && at < columns.count; i++)
        if (plan->columns.items[i] == columns.items[at]) {
            const struct weir_field *field = &schema->children[plan->fields.items[i]];
            scan->type.children[at].name = field->name;
            scan->type.children[at].id = field->id;
            scan->type.children[at].required = field->required;
            at++;
        }
    scan->wanted = scan->type;
    scan->source = plan->source;
    scan->source_name = plan->name;
    WEIR_TRY(weir_arena_zero(sql->arena, 2 * plan->conditions.count + 1, sizeof *scan->predicates,
                             &scan->predicates, reterr));
    for (uint32_t i = 0; i < plan->conditions.count; i++) {
        struct weir_node *one;
        WEIR_TRY(place_node(physical, &columns, plan->conditions.items[i], &one, reterr));
        WEIR_TRY(weir_node_and(sql->arena, filter, one, &filter, reterr));
        WEIR_TRY(add_predicate(physical, scan, one, reterr));
    }
    scan->filter = filter;
    struct scan_made *made;
    WEIR_TRY(weir_arena_zero(sql->arena, 1, sizeof *made, &made, reterr));
    *made = (struct scan_made){scan, columns, physical->scans};
    physical->scans = made;
    ret->operator= scan;
    ret->columns = columns;
    return WEIR_OK;
}
