/* Wanted types matched with a file's schema, and nested rows rebuilt from levels.
 *
 * Rebuilding goes down the plan: each node reads the level stream of one leaf below it and makes
 * its rows, its validity and its offsets from that. */
#include "formats/parquet/scan_int.h"

#include "engine/base/limits.h"

#include <string.h>

#define PADDING 64

/* ---- plan
 * --------------------------------------------------------------------------------------------------
 */

struct planning {
    struct weir_arena *arena;
    const struct file_meta *meta;
    const struct weir_type **targets;
    bool *levels;
    struct weir_error *reterr;
};

static const struct file_node *file_child(const struct planning *planning,
                                          const struct file_node *parent,
                                          const struct weir_field *field, const char *name)
{
    const struct file_meta *meta = planning->meta;
    bool by_id = meta->has_ids && field->id != 0;
    size_t size = strlen(name);
    uint32_t at = parent->first_child;
    for (uint32_t i = 0; i < parent->child_count; i++, at = meta->nodes[at].next) {
        const struct file_node *node = &meta->nodes[at];
        bool named = node->name.size == size &&
                     (size == 0 || memcmp(node->name.data, name, size) == 0);
        if (by_id ? node->field_id == field->id : named)
            return node;
    }
    return NULL;
}

static weir_status plan_missing(const struct planning *planning, const struct weir_type *type,
                                struct parquet_plan *plan)
{
    *plan = (struct parquet_plan){.type = type, .leaf = PARQUET_NO_LEAF};
    return WEIR_OK;
}

static weir_status plan_node(const struct planning *planning, const struct weir_field *field,
                             const struct weir_field *name, const struct file_node *node,
                             bool owned, const struct file_node *repeated, unsigned depth,
                             struct parquet_plan *plan);

static weir_status plan_struct(const struct planning *planning, const struct weir_type *type,
                               const struct weir_type *names, const struct file_node *node,
                               const struct file_node *repeated, unsigned depth,
                               struct parquet_plan *plans)
{
    for (uint32_t i = 0; i < type->child_count; i++) {
        const struct weir_field *field = &type->children[i], *name = &names->children[i];
        const struct file_node *child = file_child(planning, node, field, name->name);
        if (depth == 0 && field->id == WEIR_PARQUET_POSITION_ID && field->type.id == WEIR_LONG)
            plans[i] = (struct parquet_plan){
                .type = &field->type, .leaf = PARQUET_NO_LEAF, .position = true};
        else if (child)
            WEIR_TRY(
                plan_node(planning, field, name, child, false, repeated, depth + 1, &plans[i]));
        else
            WEIR_TRY(plan_missing(planning, &field->type, &plans[i]));
    }
    return WEIR_OK;
}

/* The leaf to take a node's levels from: one that is read anyway, with as few levels as may be. */
static void choose_leaf(const struct planning *planning, const struct file_node *node,
                        struct parquet_plan *plan, uint32_t child_count)
{
    const struct file_meta *meta = planning->meta;
    plan->leaf = node->first_leaf;
    bool found = false;
    for (uint32_t i = 0; i < child_count; i++) {
        uint32_t leaf = plan->children[i].leaf;
        if (leaf == PARQUET_NO_LEAF)
            continue;
        if (!found || meta->nodes[meta->leaf_nodes[leaf]].repeated <
                          meta->nodes[meta->leaf_nodes[plan->leaf]].repeated)
            plan->leaf = leaf;
        found = true;
    }
    planning->levels[plan->leaf] = true;
}

static weir_status plan_leaf(const struct planning *planning, const struct weir_field *field,
                             const struct file_node *node, struct parquet_plan *plan)
{
    if (parquet_conversion_of(node, &field->type) == CONVERT_IMPOSSIBLE)
        return weir_fail(planning->reterr, WEIR_UNSUPPORTED,
                         "column %s: its type in the file does not widen to %s", field->name,
                         weir_type_name(field->type.id));
    if (planning->targets[node->first_leaf])
        return weir_fail(planning->reterr, WEIR_UNSUPPORTED, "column %s is wanted twice",
                         field->name);
    planning->targets[node->first_leaf] = &field->type;
    planning->levels[node->first_leaf] = true;
    plan->leaf = node->first_leaf;
    return WEIR_OK;
}

static weir_status plan_node(const struct planning *planning, const struct weir_field *field,
                             const struct weir_field *name, const struct file_node *node,
                             bool owned, const struct file_node *repeated, unsigned depth,
                             struct parquet_plan *plan)
{
    const struct weir_type *type = &field->type;
    struct parquet_repeated below = {0};
    enum parquet_shape shape = parquet_shape_of(planning->meta, node, owned, &below);
    enum parquet_shape want = type->id == WEIR_STRUCT ? PARQUET_SHAPE_STRUCT
                              : type->id == WEIR_LIST ? PARQUET_SHAPE_LIST
                              : type->id == WEIR_MAP  ? PARQUET_SHAPE_MAP
                                                      : PARQUET_SHAPE_LEAF;
    if (depth > 2 * PARQUET_DEPTH_MAX || shape != want || node->leaf_count == 0)
        return weir_fail(planning->reterr, WEIR_UNSUPPORTED,
                         "column %s has another shape in the file", field->name);
    bool bare = below.group == node; /* a list that is its repeated node */
    *plan = (struct parquet_plan){.type = type,
                                  .definition = (uint8_t)(node->definition - bare),
                                  .repeated = (uint8_t)(node->repeated - bare),
                                  .repeated_definition = repeated ? repeated->definition : 0};
    if (shape == PARQUET_SHAPE_LEAF)
        return plan_leaf(planning, field, node, plan);
    WEIR_TRY(weir_arena_zero(planning->arena, type->child_count + 1, sizeof *plan->children,
                             &plan->children, planning->reterr));
    const struct weir_field *fields = type->children, *labels = name->type.children;
    if (shape == PARQUET_SHAPE_STRUCT) {
        WEIR_TRY(plan_struct(planning, type, &name->type, node, repeated, depth, plan->children));
    } else if (shape == PARQUET_SHAPE_LIST) {
        WEIR_TRY(plan_node(planning, &fields[0], &labels[0], below.element,
                           below.element == below.group, below.group, depth + 1,
                           &plan->children[0]));
    } else {
        WEIR_TRY(plan_node(planning, &fields[0], &labels[0], below.key, false, below.group,
                           depth + 1, &plan->children[0]));
        WEIR_TRY(plan_node(planning, &fields[1], &labels[1], below.value, false, below.group,
                           depth + 1, &plan->children[1]));
    }
    choose_leaf(planning, node, plan, type->child_count);
    return WEIR_OK;
}

weir_status parquet_plan_make(struct weir_arena *arena, const struct file_meta *meta,
                              const struct weir_type *wanted, const struct weir_type *names,
                              struct parquet_plan **ret_columns, const struct weir_type **targets,
                              bool *levels, struct weir_error *reterr)
{
    struct planning planning = {arena, meta, targets, levels, reterr};
    struct parquet_plan *columns;
    WEIR_TRY(weir_arena_zero(arena, wanted->child_count + 1, sizeof *columns, &columns, reterr));
    WEIR_TRY(
        plan_struct(&planning, wanted, names ? names : wanted, &meta->nodes[0], NULL, 0, columns));
    *ret_columns = columns;
    return WEIR_OK;
}

/* ---- rebuilding
 * --------------------------------------------------------------------------------------------
 */

struct rebuild {
    struct weir_arena *arena;
    const struct parquet_taken *taken;
    struct weir_error *reterr;
};

static weir_status mismatch(const struct rebuild *rebuild)
{
    return weir_fail(rebuild->reterr, WEIR_CORRUPT,
                     "columns of one struct or list disagree about its rows");
}

static inline bool begins_row(const struct parquet_plan *plan, const struct parquet_taken *levels,
                              size_t at)
{
    return levels->repetition[at] <= plan->repeated &&
           levels->definition[at] >= plan->repeated_definition;
}

static size_t bitmap_size(size_t count)
{
    return (count + 511) / 512 * 64 + PADDING;
}

/* Rows of the node and which of them are null, where every slot is a row. */
static weir_status plain_rows(const struct rebuild *rebuild, const struct parquet_plan *plan,
                              const struct parquet_taken *levels, struct weir_vector *vector)
{
    uint32_t nulls = 0;
    vector->count = (uint32_t)levels->count;
    if (!levels->definition)
        return WEIR_OK;
    for (size_t i = 0; i < levels->count; i++)
        nulls += levels->definition[i] < plan->definition;
    vector->null_count = nulls;
    if (nulls == 0)
        return WEIR_OK;
    WEIR_TRY(weir_arena_zero(rebuild->arena, bitmap_size(vector->count), 1, &vector->validity,
                             rebuild->reterr));
    for (size_t i = 0; i < levels->count; i++)
        vector->validity[i / 8] |= (uint8_t)((levels->definition[i] >= plan->definition)
                                             << (i % 8));
    return WEIR_OK;
}

static weir_status repeated_rows(const struct rebuild *rebuild, const struct parquet_plan *plan,
                                 const struct parquet_taken *levels, struct weir_vector *vector)
{
    size_t rows = 0, nulls = 0;
    for (size_t i = 0; i < levels->count; i++) {
        bool row = begins_row(plan, levels, i);
        rows += row;
        nulls += row && levels->definition[i] < plan->definition;
    }
    vector->count = (uint32_t)rows;
    vector->null_count = (uint32_t)nulls;
    if (nulls == 0)
        return WEIR_OK;
    WEIR_TRY(
        weir_arena_zero(rebuild->arena, bitmap_size(rows), 1, &vector->validity, rebuild->reterr));
    size_t row = 0;
    for (size_t i = 0; i < levels->count; i++) {
        if (!begins_row(plan, levels, i))
            continue;
        if (levels->definition[i] >= plan->definition)
            weir_bit_set(vector->validity, row);
        row++;
    }
    return WEIR_OK;
}

static weir_status flat_nulls(struct weir_arena *arena, const struct weir_type *type,
                              uint32_t count, struct weir_vector *vector, struct weir_error *reterr)
{
    bool list = type->id == WEIR_LIST || type->id == WEIR_MAP;
    size_t size = type->id == WEIR_BOOLEAN ? bitmap_size(count)
                                           : (size_t)count * weir_type_width(type);
    *vector = (struct weir_vector){.type = type, .count = count, .null_count = count};
    WEIR_TRY(weir_arena_zero(arena, bitmap_size(count), 1, &vector->validity, reterr));
    WEIR_TRY(weir_arena_zero(arena, size + PADDING, 1, &vector->values, reterr));
    if (list || type->id == WEIR_STRING || type->id == WEIR_BINARY)
        WEIR_TRY(weir_arena_zero(arena, (size_t)count + 17, 4, &vector->offsets, reterr));
    if (type->child_count)
        WEIR_TRY(weir_arena_zero(arena, type->child_count, sizeof *vector->children,
                                 &vector->children, reterr));
    for (uint32_t i = 0; i < type->child_count; i++)
        WEIR_TRY(flat_nulls(arena, &type->children[i].type, list ? 0 : count, &vector->children[i],
                            reterr));
    if (count == 0)
        vector->validity = NULL;
    return WEIR_OK;
}

weir_status parquet_nulls(struct weir_arena *arena, const struct weir_type *type, uint32_t count,
                          struct weir_vector *ret_vector, struct weir_error *reterr)
{
    if (weir_type_is_nested(type->id))
        return flat_nulls(arena, type, count, ret_vector, reterr);
    WEIR_TRY(flat_nulls(arena, type, 1, ret_vector, reterr));
    ret_vector->kind = WEIR_CONSTANT;
    ret_vector->count = ret_vector->null_count = count;
    return WEIR_OK;
}

/* Offsets of a list: elements begin at slots one repetition deeper that are defined one level
 * further. */
static weir_status list_offsets(const struct rebuild *rebuild, const struct parquet_plan *plan,
                                const struct parquet_taken *levels, struct weir_vector *vector)
{
    WEIR_TRY(weir_arena_alloc(rebuild->arena, ((size_t)vector->count + 1) * 4 + PADDING,
                              &vector->offsets, rebuild->reterr));
    if (levels->count > WEIR_LIST_ELEMENTS_MAX)
        return mismatch(rebuild);
    uint32_t row = 0;
    int32_t elements = 0;
    vector->offsets[0] = 0;
    for (size_t i = 0; i < levels->count; i++) {
        row += begins_row(plan, levels, i);
        bool element = levels->repetition[i] <= plan->repeated + 1 &&
                       levels->definition[i] > plan->definition;
        if (element && row == 0)
            return mismatch(rebuild);
        elements += element;
        vector->offsets[row] = elements;
    }
    return WEIR_OK;
}

static weir_status build_node(const struct rebuild *rebuild, const struct parquet_plan *plan,
                              uint32_t expect, struct weir_vector *vector)
{
    if (plan->leaf == PARQUET_NO_LEAF)
        return flat_nulls(rebuild->arena, plan->type, expect, vector, rebuild->reterr);
    const struct parquet_taken *levels = &rebuild->taken[plan->leaf];
    *vector = (struct weir_vector){.type = plan->type};
    if (levels->repetition)
        WEIR_TRY(repeated_rows(rebuild, plan, levels, vector));
    else
        WEIR_TRY(plain_rows(rebuild, plan, levels, vector));
    if (vector->count != expect)
        return mismatch(rebuild);
    if (!weir_type_is_nested(plan->type->id))
        return parquet_spread(rebuild->arena, &levels->values, vector, rebuild->reterr);
    uint32_t below = vector->count;
    if (plan->type->id != WEIR_STRUCT) {
        if (levels->count && (!levels->repetition || !levels->definition))
            return mismatch(rebuild);
        WEIR_TRY(list_offsets(rebuild, plan, levels, vector));
        below = (uint32_t)vector->offsets[vector->count];
    }
    WEIR_TRY(weir_arena_zero(rebuild->arena, plan->type->child_count, sizeof *vector->children,
                             &vector->children, rebuild->reterr));
    for (uint32_t i = 0; i < plan->type->child_count; i++)
        WEIR_TRY(build_node(rebuild, &plan->children[i], below, &vector->children[i]));
    return WEIR_OK;
}

weir_status parquet_assemble(struct weir_arena *arena, const struct parquet_plan *plan,
                             const struct parquet_taken *taken, uint32_t rows,
                             struct weir_vector *ret_vector, struct weir_error *reterr)
{
    struct rebuild rebuild = {arena, taken, reterr};
    return build_node(&rebuild, plan, rows, ret_vector);
}
