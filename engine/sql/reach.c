/* What a change of one table can change in a query's rows: asked of the physical plan, whose
 * columns go by position. Whoever is not sure says ALL. */
#include "engine/sql/sql.h"

#include <string.h>

#define COLUMNS_MAX 4096 /* of one operator; wider ones are ALL */

struct wanted { /* columns of an operator that must be told by the table's rows as they are */
    uint64_t bits[COLUMNS_MAX / 64];
};

static void want(struct wanted *wanted, uint32_t column)
{
    if (column < COLUMNS_MAX)
        wanted->bits[column / 64] |= UINT64_C(1) << (column % 64);
}

static bool is_wanted(const struct wanted *wanted, uint32_t column)
{
    return column >= COLUMNS_MAX || (wanted->bits[column / 64] >> (column % 64) & 1);
}

static void want_node(struct wanted *wanted, const struct weir_node *node, uint32_t first)
{
    if (!node)
        return;
    if (node->kind == WEIR_NODE_COLUMN && node->index >= first)
        want(wanted, node->index - first);
    for (uint32_t i = 0; i < node->argument_count; i++)
        want_node(wanted, node->arguments[i], first);
    for (uint32_t i = 0; i < node->capture_count; i++)
        want_node(wanted, node->captures[i], first);
}

static enum weir_reach higher(enum weir_reach a, enum weir_reach b)
{
    return a > b ? a : b;
}

struct asking {
    const struct weir_table_source *source;
    int depth, scans;
};

static enum weir_reach reach(struct asking *asking, const struct weir_operator *step,
                             const struct wanted *wanted);

static enum weir_reach below_project(struct asking *asking, const struct weir_operator *step,
                                     const struct wanted *wanted)
{
    struct wanted below = {0};
    for (uint32_t i = 0; i < step->expression_count; i++)
        if (is_wanted(wanted, i))
            want_node(&below, step->expressions[i], 0);
    return reach(asking, step->children[0], &below);
}

/* A group is touched by its new rows if what names it is a key; what an aggregate yields for new
 * rows alone names nothing. */
static enum weir_reach below_aggregate(struct asking *asking, const struct weir_operator *step,
                                       const struct wanted *wanted)
{
    struct wanted below = {0};
    bool result_wanted = step->set_count > 1;
    for (uint32_t i = 0; i < step->type.child_count; i++) {
        if (!is_wanted(wanted, i))
            continue;
        if (i < step->expression_count)
            want_node(&below, step->expressions[i], 0);
        else
            result_wanted = true;
    }
    enum weir_reach under = reach(asking, step->children[0], &below);
    if (under == WEIR_REACH_NONE || under == WEIR_REACH_ALL)
        return under;
    return result_wanted ? WEIR_REACH_ALL : WEIR_REACH_GROUPS;
}

/* Wanted columns must be the same in a whole partition: then a touched one is found by any new row
 * of it. */
static enum weir_reach below_window(struct asking *asking, const struct weir_operator *step,
                                    const struct wanted *wanted)
{
    uint32_t inputs = step->children[0]->type.child_count;
    struct wanted keys = {0};
    bool other = false;
    for (uint32_t i = 0; i < step->partition_count; i++)
        want(&keys, step->partition_columns[i]);
    for (uint32_t i = 0; i < step->type.child_count; i++)
        other |= is_wanted(wanted, i) && (i >= inputs || !is_wanted(&keys, i));
    enum weir_reach under = reach(asking, step->children[0], wanted);
    if (under == WEIR_REACH_NONE || under == WEIR_REACH_ALL)
        return under;
    return other ? WEIR_REACH_ALL : WEIR_REACH_GROUPS;
}

/* May new rows of child `side` only make new rows (or, above, touch groups of rows that they are
 * joined with)? */
static bool join_keeps(enum weir_join_kind kind, uint32_t side)
{
    switch (kind) {
    case WEIR_JOIN_INNER:
    case WEIR_JOIN_SEMI:
    case WEIR_JOIN_RIGHT_SEMI: return true;
    case WEIR_JOIN_LEFT:
    case WEIR_JOIN_SINGLE:
    case WEIR_JOIN_ANTI:
    case WEIR_JOIN_MARK: return side == 0;
    case WEIR_JOIN_RIGHT:
    case WEIR_JOIN_RIGHT_ANTI: return side == 1;
    case WEIR_JOIN_FULL: return false;
    }
    return false;
}

/* A partner more or less on this side: the other's rows come once all the same. */
static bool join_only_asks(enum weir_join_kind kind, uint32_t side)
{
    return (kind == WEIR_JOIN_SEMI && side == 1) || (kind == WEIR_JOIN_RIGHT_SEMI && side == 0);
}

static enum weir_reach below_join(struct asking *asking, const struct weir_operator *step,
                                  const struct wanted *wanted)
{
    uint32_t left = step->children[0]->type.child_count;
    bool only_right = step->join == WEIR_JOIN_RIGHT_SEMI || step->join == WEIR_JOIN_RIGHT_ANTI;
    enum weir_reach most = WEIR_REACH_NONE;
    for (uint32_t side = 0; side < 2; side++) {
        struct wanted below = {0};
        uint32_t first = side == 0 || only_right ? 0 : left,
                 count = step->children[side]->type.child_count;
        bool out = only_right                                                       ? side == 1
                   : step->type.child_count > left || step->join == WEIR_JOIN_INNER ? true
                                                                                    : side == 0;
        for (uint32_t i = 0; out && i < count; i++)
            if (is_wanted(wanted, first + i))
                want(&below, i);
        for (uint32_t i = 0; i < step->key_count; i++)
            want_node(&below, side ? step->right_keys[i] : step->left_keys[i], 0);
        if (step->filter && side == 1)
            want_node(&below, step->filter, left);
        else if (step->filter)
            want_node(&below, step->filter, 0);
        enum weir_reach under = reach(asking, step->children[side], &below);
        if (under != WEIR_REACH_NONE && !join_keeps(step->join, side))
            under = WEIR_REACH_ALL;
        if (under == WEIR_REACH_ROWS && join_only_asks(step->join, side))
            under = WEIR_REACH_GROUPS;
        most = higher(most, under);
    }
    return most;
}

static enum weir_reach below_all(struct asking *asking, const struct weir_operator *step,
                                 const struct wanted *wanted, bool sure)
{
    enum weir_reach most = WEIR_REACH_NONE;
    for (uint32_t i = 0; i < step->child_count; i++)
        most = higher(most, reach(asking, step->children[i], wanted));
    return sure || most == WEIR_REACH_NONE ? most : WEIR_REACH_ALL;
}

static enum weir_reach below_unnest(struct asking *asking, const struct weir_operator *step,
                                    const struct wanted *wanted)
{
    struct wanted below = *wanted;
    for (uint32_t i = 0; i < step->expression_count; i++)
        want_node(&below, step->expressions[i], 0);
    return reach(asking, step->children[0], &below);
}

static enum weir_reach reach(struct asking *asking, const struct weir_operator *step,
                             const struct wanted *wanted)
{
    enum weir_reach under = WEIR_REACH_ALL;
    if (step->type.child_count > COLUMNS_MAX || asking->depth == 500)
        return WEIR_REACH_ALL;
    asking->depth++;
    switch (step->kind) {
    case WEIR_OP_SCAN:
        asking->scans += step->source == asking->source;
        under = step->source == asking->source ? WEIR_REACH_ROWS : WEIR_REACH_NONE;
        break;
    case WEIR_OP_VALUES: under = WEIR_REACH_NONE; break;
    case WEIR_OP_RECURSIVE:
    case WEIR_OP_WORKING: break; /* a row may change any that follow from it */
    case WEIR_OP_PROJECT: under = below_project(asking, step, wanted); break;
    case WEIR_OP_AGGREGATE: under = below_aggregate(asking, step, wanted); break;
    case WEIR_OP_WINDOW: under = below_window(asking, step, wanted); break;
    case WEIR_OP_JOIN: under = below_join(asking, step, wanted); break;
    case WEIR_OP_UNNEST: under = below_unnest(asking, step, wanted); break;
    case WEIR_OP_FILTER:
    case WEIR_OP_UNION_ALL:
    case WEIR_OP_SHARED: under = below_all(asking, step, wanted, true); break;
    case WEIR_OP_SORT: under = below_all(asking, step, wanted, step->limit < 0); break;
    case WEIR_OP_LIMIT:
    case WEIR_OP_SET: under = below_all(asking, step, wanted, false); break;
    }
    asking->depth--;
    return under;
}

enum weir_reach weir_sql_reach(const struct weir_operator *root,
                               const struct weir_table_source *source, const uint32_t *columns,
                               uint32_t count)
{
    struct asking asking = {source, 0, 0};
    struct wanted wanted = {0};
    for (uint32_t i = 0; i < count; i++)
        want(&wanted, columns[i]);
    enum weir_reach most = reach(&asking, root, &wanted);
    /* joined with itself, changed rows must meet the others too */
    return asking.scans > 1 ? WEIR_REACH_ALL : most;
}

static bool makes_groups(const struct weir_operator *step)
{
    if (step->kind == WEIR_OP_AGGREGATE || step->kind == WEIR_OP_WINDOW)
        return true;
    for (uint32_t i = 0; i < step->child_count; i++)
        if (makes_groups(step->children[i]))
            return true;
    return false;
}

void weir_sql_without_having(struct weir_operator **root)
{
    while ((*root)->kind == WEIR_OP_FILTER && makes_groups(*root))
        *root = (*root)->children[0];
    for (uint32_t i = 0; i < (*root)->child_count; i++)
        weir_sql_without_having(&(*root)->children[i]);
}

bool weir_sql_only_reading(struct weir_operator *root, const struct weir_table_source *one,
                           const struct weir_table_source *other)
{
    bool any = root->kind == WEIR_OP_SCAN && (root->source == one || root->source == other);
    uint32_t kept = 0, count = root->child_count;
    for (uint32_t i = 0; i < count; i++) {
        struct weir_operator *child = root->children[i];
        bool reads = weir_sql_only_reading(child, one, other);
        if (root->kind != WEIR_OP_UNION_ALL) {
            any |= reads;
            continue;
        }
        if (reads && !any) { /* those before it read neither */
            any = true;
            kept = 0;
        }
        if (reads || !any)
            root->children[kept++] = child;
    }
    if (root->kind == WEIR_OP_UNION_ALL)
        root->child_count = kept;
    return any;
}
