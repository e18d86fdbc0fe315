/* One condition over a schema: bronze's `expect` and `where`. */
#include "engine/expr/bind.h"
#include "engine/expr/expr.h"

#include "engine/base/limits.h"
#include "engine/base/text.h"

#include <stdio.h>
#include <string.h>

#include <pg_query.h>

#define PREFIX      "SELECT "
#define PREFIX_SIZE 7

struct weir_expr {
    struct weir_node *root;
};

static weir_status schema_column(struct weir_binder *binder, void *self, const char *const *names,
                                 size_t count, int location, struct weir_node **ret,
                                 size_t *ret_used, struct weir_error *reterr)
{
    const struct weir_type *schema = self;
    int child = weir_bind_child(schema, names[0]);
    (void)count;
    *ret = NULL;
    *ret_used = 1;
    if (child == -2)
        return weir_bind_wrong(
            binder, location, reterr,
            "%s names more than one column; write it in double quotes as it is spelt", names[0]);
    if (child < 0)
        return WEIR_OK;
    return weir_node_column(binder->arena, (uint32_t)child, &schema->children[child].type, location,
                            ret, reterr);
}

static const char *schema_nearest(void *self, const char *name)
{
    const struct weir_type *schema = self;
    const char *best = NULL;
    size_t distance = 4;
    for (uint32_t i = 0; i < schema->child_count; i++)
        if (weir_text_distance(schema->children[i].name, name) < distance) {
            best = schema->children[i].name;
            distance = weir_text_distance(best, name);
        }
    return best;
}

/* "line:column" of a byte of the text in front of the message. */
static weir_status placed(const char *text, int location, weir_status status,
                          struct weir_error *reterr)
{
    int line = 1, column = 1;
    for (int i = 0; i < location - PREFIX_SIZE && text[i]; i++) {
        if (text[i] == '\n') {
            ++line;
            column = 1;
        } else if ((text[i] & 0xC0) != 0x80) {
            ++column;
        }
    }
    if (reterr && status == WEIR_USAGE)
        weir_error_prefix(reterr, "%d:%d", line, column);
    return status;
}

/* libpg_query recurses on long chains of operators: too many are refused before it sees them. */
static weir_status check_size(const char *text, struct weir_error *reterr)
{
    size_t size = strlen(text), operators = 0;
    for (const char *at = text; *at; at++)
        operators += strchr("+-*/%<>=(,", *at) != NULL ||
                     ((*at == ' ' || *at == '\n' || *at == '\t') && at[1] != ' ');
    if (size > WEIR_EXPRESSION_SIZE_MAX)
        return weir_fail(reterr, WEIR_USAGE, "%zu bytes; an expression may have %u", size,
                         WEIR_EXPRESSION_SIZE_MAX);
    if (operators > 2 * WEIR_EXPRESSION_OPERATORS_MAX)
        return weir_fail(reterr, WEIR_USAGE, "more than %d operators",
                         WEIR_EXPRESSION_OPERATORS_MAX);
    return WEIR_OK;
}

static weir_status bind_statement(struct weir_binder *binder, const PgQuery__ParseResult *tree,
                                  struct weir_node **ret, struct weir_error *reterr)
{
    const PgQuery__Node *statement = tree && tree->n_stmts == 1 ? tree->stmts[0]->stmt : NULL;
    const PgQuery__SelectStmt *select = statement && statement->node_case ==
                                                         PG_QUERY__NODE__NODE_SELECT_STMT
                                            ? statement->select_stmt
                                            : NULL;
    if (!select || select->n_target_list != 1 || select->n_from_clause || select->where_clause ||
        select->n_group_clause || select->having_clause || select->n_sort_clause ||
        select->n_distinct_clause || select->limit_count || select->limit_offset ||
        select->with_clause || select->larg)
        return weir_bind_wrong(binder, PREFIX_SIZE, reterr, "give one condition, as behind WHERE");
    const PgQuery__ResTarget *target = select->target_list[0]->res_target;
    if (target->name && *target->name)
        return weir_bind_wrong(binder, target->location, reterr,
                               "give one condition, as behind WHERE");
    WEIR_TRY(weir_bind_condition(binder, target->val, "this", ret, reterr));
    return weir_node_fold(binder->arena, *ret, ret, reterr);
}

static weir_status parse(struct weir_binder *binder, const char *statement, struct weir_node **ret,
                         struct weir_error *reterr)
{
    PgQueryProtobufParseResult parsed = pg_query_parse_protobuf(statement);
    weir_status status;
    if (parsed.error) {
        status = weir_bind_wrong(binder, parsed.error->cursorpos - 1, reterr, "%s",
                                 parsed.error->message);
        weir_error_hint(
            reterr,
            "a column whose name is a word of SQL (order, inner, user) goes in double quotes");
    } else {
        PgQuery__ParseResult *tree = pg_query__parse_result__unpack(
            NULL, parsed.parse_tree.len, (const uint8_t *)parsed.parse_tree.data);
        status = bind_statement(binder, tree, ret, reterr);
        if (tree)
            pg_query__parse_result__free_unpacked(tree, NULL);
    }
    pg_query_free_protobuf_parse_result(parsed);
    return status;
}

weir_status weir_expr_compile(struct weir_arena *arena, const struct weir_type *schema,
                              const char *text, struct weir_expr **ret_expr,
                              struct weir_error *reterr)
{
    struct weir_bind_scope scope = {
        .column = schema_column, .nearest = schema_nearest, .self = (void *)schema};
    struct weir_binder binder = {.arena = arena, .scope = &scope, .location = -1};
    struct weir_expr *expr;
    char *statement;
    weir_status status = check_size(text, reterr);
    if (status != WEIR_OK)
        return placed(text, PREFIX_SIZE, status, reterr);
    WEIR_TRY(weir_arena_print(arena, &statement, reterr, PREFIX "%s", text));
    WEIR_TRY(weir_arena_zero(arena, 1, sizeof *expr, &expr, reterr));
    status = parse(&binder, statement, &expr->root, reterr);
    if (status != WEIR_OK)
        return placed(text, binder.location, status, reterr);
    *ret_expr = expr;
    return WEIR_OK;
}

weir_status weir_expr_evaluate(const struct weir_expr *expr, const struct weir_batch *batch,
                               struct weir_arena *arena, struct weir_vector *ret_result,
                               uint8_t **ret_failed, struct weir_error *reterr)
{
    struct weir_evaluation evaluation = {.batch = batch, .arena = arena, .count = batch->count};
    struct weir_vector value, flat;
    WEIR_TRY(weir_node_evaluate(&evaluation, expr->root, &value, reterr));
    value.count = batch->count;
    WEIR_TRY(weir_vector_flatten(arena, &value, &flat, reterr));
    if (evaluation.failed) {
        uint8_t *validity;
        size_t bytes = ((size_t)batch->count + 7) / 8;
        WEIR_TRY(weir_arena_zero(arena, bytes + 64, 1, &validity, reterr));
        for (size_t i = 0; i < bytes; i++)
            validity[i] = (uint8_t)((flat.validity ? flat.validity[i] : 0xff) &
                                    ~evaluation.failed[i]);
        flat.validity = validity;
    }
    flat.null_count = flat.validity
                          ? batch->count - (uint32_t)weir_bits_count(flat.validity, batch->count)
                          : 0;
    *ret_result = flat;
    *ret_failed = evaluation.failed;
    return WEIR_OK;
}
