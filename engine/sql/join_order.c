/* The order of joins: inner joins commute, so a tree of them is a set of relations and conditions.
 * Up to ORDER_EXACT relations the cheapest tree is found among all; beyond, the cheapest next join
 * is taken. Cost: rows that come out of each join and rows that are built. SEMI and ANTI joins
 * whose left columns come from one relation go down to it. */
#include "engine/sql/optimize_int.h"

#include <math.h>
#include <string.h>

#define ORDER_EXACT   11
#define RELATIONS_MAX 60

struct relation_plan {
    struct logical *plan;
    struct columns output;
    struct nodes conditions; /* over it alone */
    double rows;
};

struct edge {
    struct weir_node *node;
    uint64_t relations; /* that it uses */
    double share;       /* of the product that it lets through */
    bool equality, placed;
};

struct tree {
    struct sql *sql;
    struct relation_plan *relations;
    uint32_t count;
    struct edge *edges;
    uint32_t edge_count;
    struct logical **semis; /* SEMI and ANTI joins met on the way */
    uint32_t semi_count;
    struct nodes conditions;
};

/* ---- taking apart ---- */

static weir_status collect(struct tree *tree, struct logical *plan, struct weir_error *reterr)
{
    struct sql *sql = tree->sql;
    bool semi = plan->kind == LOGICAL_JOIN &&
                (plan->join == WEIR_JOIN_SEMI || plan->join == WEIR_JOIN_ANTI);
    bool inner = plan->kind == LOGICAL_JOIN && plan->join == WEIR_JOIN_INNER;
    if (plan->kind == LOGICAL_FILTER || inner) {
        for (uint32_t i = 0; i < plan->conditions.count; i++)
            WEIR_TRY(nodes_add(sql, &tree->conditions, plan->conditions.items[i], reterr));
        for (uint32_t i = 0; i < plan->child_count; i++)
            WEIR_TRY(collect(tree, plan->children[i], reterr));
        return WEIR_OK;
    }
    if (semi) {
        if (tree->semi_count == RELATIONS_MAX)
            return weir_fail(reterr, WEIR_USAGE, "more than %d subqueries of EXISTS and IN",
                             RELATIONS_MAX);
        tree->semis[tree->semi_count++] = plan;
        return collect(tree, plan->children[0], reterr);
    }
    if (tree->count == RELATIONS_MAX)
        return weir_fail(reterr, WEIR_USAGE, "more than %d tables in one join", RELATIONS_MAX);
    struct relation_plan *relation = &tree->relations[tree->count++];
    relation->plan = plan;
    return columns_of_output(sql, plan, &relation->output, reterr);
}

static uint64_t relations_of(struct tree *tree, const struct columns *used)
{
    uint64_t set = 0;
    for (uint32_t r = 0; r < tree->count; r++)
        if (columns_meet(used, &tree->relations[r].output))
            set |= (uint64_t)1 << r;
    return set;
}

static weir_status relations_of_node(struct tree *tree, const struct weir_node *node, uint64_t *ret,
                                     struct weir_error *reterr)
{
    struct columns used;
    WEIR_TRY(columns_new(tree->sql, &used, reterr));
    WEIR_TRY(columns_of_node(tree->sql, node, &used, reterr));
    *ret = relations_of(tree, &used);
    return WEIR_OK;
}

/* (r.a and s.b) or (r.c and s.d) lets only rows of r through that are a or c. */
static weir_status derive(struct tree *tree, const struct weir_node *node, uint32_t relation,
                          struct weir_error *reterr)
{
    struct sql *sql = tree->sql;
    struct weir_node *all;
    WEIR_TRY(weir_node_new(sql->arena, WEIR_NODE_OR, node->argument_count, node->location, &all,
                           reterr));
    all->type = node->type;
    for (uint32_t b = 0; b < node->argument_count; b++) {
        struct nodes parts = {0};
        WEIR_TRY(conjuncts(sql, node->arguments[b], &parts, reterr));
        for (uint32_t i = 0; i < parts.count; i++) {
            uint64_t used;
            WEIR_TRY(relations_of_node(tree, parts.items[i], &used, reterr));
            if (used == (uint64_t)1 << relation)
                WEIR_TRY(weir_node_and(sql->arena, all->arguments[b], parts.items[i],
                                       &all->arguments[b], reterr));
        }
        if (!all->arguments[b])
            return WEIR_OK; /* a branch that says nothing of it */
    }
    return nodes_add(sql, &tree->relations[relation].conditions, all, reterr);
}

/* a = b and a = 5: b = 5 too. */
static weir_status spread_constants(struct tree *tree, struct weir_error *reterr)
{
    struct sql *sql = tree->sql;
    uint32_t count = tree->conditions.count;
    for (uint32_t i = 0; i < count; i++) {
        const struct weir_node *constant = tree->conditions.items[i];
        if (constant->kind != WEIR_NODE_COMPARE || constant->compare >= WEIR_DISTINCT ||
            constant->compare == WEIR_NE || constant->arguments[0]->kind != WEIR_NODE_COLUMN ||
            constant->arguments[1]->kind != WEIR_NODE_CONSTANT)
            continue;
        for (uint32_t k = 0; k < count; k++) {
            const struct weir_node *equal = tree->conditions.items[k];
            if (equal->kind != WEIR_NODE_COMPARE || equal->compare != WEIR_EQ)
                continue;
            for (int side = 0; side < 2; side++) {
                struct weir_node *made, *other = equal->arguments[!side];
                if (!weir_node_equal(equal->arguments[side], constant->arguments[0]) ||
                    other->kind != WEIR_NODE_COLUMN)
                    continue;
                WEIR_TRY(weir_node_compare(sql->arena, constant->compare, other,
                                           constant->arguments[1], constant->location, &made,
                                           reterr));
                bool known = false;
                for (uint32_t c = 0; c < tree->conditions.count && !known; c++)
                    known = weir_node_equal(tree->conditions.items[c], made);
                if (!known)
                    WEIR_TRY(nodes_add(sql, &tree->conditions, made, reterr));
            }
        }
    }
    return WEIR_OK;
}

static weir_status assign_conditions(struct tree *tree, struct nodes *ret_above,
                                     struct weir_error *reterr)
{
    struct sql *sql = tree->sql;
    WEIR_TRY(spread_constants(tree, reterr));
    WEIR_TRY(weir_arena_zero(sql->arena, tree->conditions.count + 1, sizeof *tree->edges,
                             &tree->edges, reterr));
    for (uint32_t i = 0; i < tree->conditions.count; i++) {
        struct weir_node *node = tree->conditions.items[i];
        uint64_t used;
        WEIR_TRY(relations_of_node(tree, node, &used, reterr));
        if (used == 0) {
            WEIR_TRY(nodes_add(sql, ret_above, node, reterr));
        } else if ((used & (used - 1)) == 0) {
            WEIR_TRY(
                nodes_add(sql, &tree->relations[__builtin_ctzll(used)].conditions, node, reterr));
        } else {
            for (uint32_t r = 0; node->kind == WEIR_NODE_OR && r < tree->count; r++)
                if (used >> r & 1)
                    WEIR_TRY(derive(tree, node, r, reterr));
            tree->edges[tree->edge_count++] = (struct edge){
                .node = node, .relations = used, .equality = is_equality(node)};
        }
    }
    return WEIR_OK;
}

/* ---- SEMI and ANTI joins: down to the one relation they look at ---- */

static weir_status place_semis(struct tree *tree, struct weir_error *reterr)
{
    struct sql *sql = tree->sql;
    struct logical **kept; /* in the order they are applied in: innermost first */
    uint32_t kept_count = 0;
    WEIR_TRY(
        weir_arena_zero(sql->arena, tree->semi_count + 1, sizeof(struct logical *), &kept, reterr));
    for (uint32_t s = tree->semi_count; s-- > 0;) { /* the innermost were met last */
        struct logical *semi = tree->semis[s];
        uint64_t used = 0;
        struct nodes none = {0}, own = semi->conditions, right = {0}, rest = {0};
        struct columns output;
        WEIR_TRY(columns_of_output(sql, semi->children[1], &output, reterr));
        for (uint32_t i = 0; i < own.count; i++) {
            uint64_t one;
            struct columns columns;
            WEIR_TRY(columns_new(sql, &columns, reterr));
            WEIR_TRY(columns_of_node(sql, own.items[i], &columns, reterr));
            one = relations_of(tree, &columns);
            used |= one;
            WEIR_TRY(nodes_add(sql, one == 0 && !columns_empty(&columns) ? &right : &rest,
                               own.items[i], reterr));
        }
        semi->conditions = rest;
        WEIR_TRY(push_conditions(sql, &semi->children[1], right.count ? &right : &none, reterr));
        if (used && (used & (used - 1)) == 0) {
            struct relation_plan *relation = &tree->relations[__builtin_ctzll(used)];
            semi->children[0] = relation->plan;
            relation->plan = semi;
        } else {
            kept[kept_count++] = semi;
        }
    }
    tree->semis = kept;
    tree->semi_count = kept_count;
    return WEIR_OK;
}

/* ---- estimates of joins ---- */

static void edge_shares(struct tree *tree)
{
    for (uint32_t e = 0; e < tree->edge_count; e++) {
        struct edge *edge = &tree->edges[e];
        edge->share = 0.3;
        if (!edge->equality)
            continue;
        double most = 1;
        for (int side = 0; side < 2; side++) {
            double distinct = distinct_values(tree->sql, edge->node->arguments[side], 1e15);
            most = distinct > most ? distinct : most;
        }
        edge->share = 1 / most;
    }
    /* several equalities between the same two: together no more than the smaller one has rows */
    for (uint32_t e = 0; e < tree->edge_count; e++) {
        struct edge *edge = &tree->edges[e];
        double product = edge->share, rows = 1e15;
        uint32_t others = 0;
        for (uint32_t f = 0; edge->equality && f < tree->edge_count; f++)
            if (f != e && tree->edges[f].equality && tree->edges[f].relations == edge->relations) {
                if (f < e)
                    product = -1;
                product *= tree->edges[f].share;
                others++;
            }
        if (!others || product < 0)
            continue;
        for (uint32_t r = 0; r < tree->count; r++)
            if ((edge->relations >> r & 1) && tree->relations[r].rows < rows)
                rows = tree->relations[r].rows;
        if (product * rows < 1)
            edge->share *= 1 / (product * (rows > 1 ? rows : 1));
    }
}

static double rows_of(const struct tree *tree, uint64_t set)
{
    double rows = 1;
    for (uint32_t r = 0; r < tree->count; r++)
        if (set >> r & 1)
            rows *= tree->relations[r].rows;
    for (uint32_t e = 0; e < tree->edge_count; e++)
        if ((tree->edges[e].relations & ~set) == 0)
            rows *= tree->edges[e].share;
    return rows < 1 ? 1 : rows;
}

static bool connected(const struct tree *tree, uint64_t a, uint64_t b)
{
    for (uint32_t e = 0; e < tree->edge_count; e++) {
        uint64_t used = tree->edges[e].relations;
        if ((used & a) && (used & b) && (used & ~(a | b)) == 0 && tree->edges[e].equality)
            return true;
    }
    return false;
}

static double join_cost(double left, double right, double out, bool is_connected)
{
    double build = left < right ? left : right, probe = left < right ? right : left;
    return out + build * 2 + probe * 0.3 + (is_connected ? 0 : left * right);
}

/* ---- the order ---- */

struct choice {
    double cost, rows;
    uint32_t left; /* set of the left side; 0 = a relation, or nothing yet */
    bool there;
};

static weir_status join_pair(struct tree *tree, struct logical *left, struct logical *right,
                             uint64_t set, double rows, struct logical **ret,
                             struct weir_error *reterr)
{
    struct logical *join;
    WEIR_TRY(logical_new(tree->sql, LOGICAL_JOIN, left, right, &join, reterr));
    join->join = WEIR_JOIN_INNER;
    for (uint32_t e = 0; e < tree->edge_count; e++)
        if (!tree->edges[e].placed && (tree->edges[e].relations & ~set) == 0) {
            WEIR_TRY(nodes_add(tree->sql, &join->conditions, tree->edges[e].node, reterr));
            tree->edges[e].placed = true;
        }
    join->rows = rows;
    *ret = join;
    return WEIR_OK;
}

static weir_status build_choice(struct tree *tree, const struct choice *choices, uint32_t set,
                                struct logical **ret, struct weir_error *reterr)
{
    struct logical *left, *right;
    if ((set & (set - 1)) == 0) {
        *ret = tree->relations[__builtin_ctz(set)].plan;
        return WEIR_OK;
    }
    WEIR_TRY(build_choice(tree, choices, choices[set].left, &left, reterr));
    WEIR_TRY(build_choice(tree, choices, set & ~choices[set].left, &right, reterr));
    return join_pair(tree, left, right, set, choices[set].rows, ret, reterr);
}

static weir_status order_exact(struct tree *tree, struct logical **ret, struct weir_error *reterr)
{
    uint32_t all = (1u << tree->count) - 1;
    struct choice *choices;
    WEIR_TRY(weir_arena_zero(tree->sql->arena, (size_t)all + 1, sizeof *choices, &choices, reterr));
    for (uint32_t set = 1; set <= all; set++) {
        struct choice *best = &choices[set];
        best->rows = rows_of(tree, set);
        if ((set & (set - 1)) == 0) {
            best->there = true;
            continue;
        }
        for (uint32_t left = (set - 1) & set; left; left = (left - 1) & set) {
            const struct choice *a = &choices[left], *b = &choices[set & ~left];
            if (left < (set & ~left))
                continue; /* the other way round is the same join */
            double cost = a->cost + b->cost +
                          join_cost(a->rows, b->rows, best->rows,
                                    connected(tree, left, set & ~left));
            if (!best->there || cost < best->cost)
                *best = (struct choice){cost, best->rows, left, true};
        }
    }
    return build_choice(tree, choices, all, ret, reterr);
}

static weir_status order_greedy(struct tree *tree, struct logical **ret, struct weir_error *reterr)
{
    struct {
        struct logical *plan;
        uint64_t set;
        double rows;
    } parts[RELATIONS_MAX];
    uint32_t count = tree->count;
    for (uint32_t r = 0; r < count; r++) {
        parts[r].plan = tree->relations[r].plan;
        parts[r].set = (uint64_t)1 << r;
        parts[r].rows = tree->relations[r].rows;
    }
    while (count > 1) {
        uint32_t a = 0, b = 1;
        double least = INFINITY;
        for (uint32_t i = 0; i < count; i++)
            for (uint32_t k = i + 1; k < count; k++) {
                double rows = rows_of(tree, parts[i].set | parts[k].set);
                double cost = join_cost(parts[i].rows, parts[k].rows, rows,
                                        connected(tree, parts[i].set, parts[k].set));
                if (cost < least) {
                    least = cost;
                    a = i;
                    b = k;
                }
            }
        parts[a].set |= parts[b].set;
        parts[a].rows = rows_of(tree, parts[a].set);
        WEIR_TRY(join_pair(tree, parts[a].plan, parts[b].plan, parts[a].set, parts[a].rows,
                           &parts[a].plan, reterr));
        parts[b] = parts[--count];
    }
    *ret = parts[0].plan;
    return WEIR_OK;
}

weir_status order_joins(struct sql *sql, struct logical **at, const struct nodes *conditions,
                        struct weir_error *reterr)
{
    struct tree tree = {.sql = sql};
    struct nodes above = {0};
    struct logical *plan;
    WEIR_TRY(weir_arena_zero(sql->arena, RELATIONS_MAX, sizeof *tree.relations, &tree.relations,
                             reterr));
    WEIR_TRY(weir_arena_zero(sql->arena, RELATIONS_MAX, sizeof *tree.semis, &tree.semis, reterr));
    for (uint32_t i = 0; i < conditions->count; i++)
        WEIR_TRY(nodes_add(sql, &tree.conditions, conditions->items[i], reterr));
    WEIR_TRY(collect(&tree, *at, reterr));
    WEIR_TRY(assign_conditions(&tree, &above, reterr));
    for (uint32_t r = 0; r < tree.count; r++)
        WEIR_TRY(
            push_conditions(sql, &tree.relations[r].plan, &tree.relations[r].conditions, reterr));
    WEIR_TRY(place_semis(&tree, reterr));
    for (uint32_t r = 0; r < tree.count; r++) {
        WEIR_TRY(sql_estimate(sql, tree.relations[r].plan, reterr));
        tree.relations[r].rows = tree.relations[r].plan->rows;
    }
    edge_shares(&tree);
    if (tree.count <= ORDER_EXACT)
        WEIR_TRY(order_exact(&tree, &plan, reterr));
    else
        WEIR_TRY(order_greedy(&tree, &plan, reterr));
    for (uint32_t s = 0; s < tree.semi_count; s++) {
        tree.semis[s]->children[0] = plan;
        plan = tree.semis[s];
    }
    for (uint32_t e = 0; e < tree.edge_count; e++)
        if (!tree.edges[e].placed)
            WEIR_TRY(nodes_add(sql, &above, tree.edges[e].node, reterr));
    return filter_on(sql, plan, &above, at, reterr);
}
