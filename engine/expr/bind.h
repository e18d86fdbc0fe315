/* PostgreSQL's parse tree (libpg_query) -> bound expressions. One binder for bronze's checks and
 * for SQL: what differs is the scope, which knows what names mean and which functions are special.
 *
 * Only engine/expr and engine/sql see libpg_query. */
#ifndef WEIR_ENGINE_EXPR_BIND_H
#define WEIR_ENGINE_EXPR_BIND_H

#include "engine/expr/ir.h"

#include <pg_query/pg_query.pb-c.h>

struct weir_binder;

/* Each gives *ret NULL when it is not its business; a failure notes the place by weir_bind_wrong or
 * leaves it to the binder. */
struct weir_bind_scope {
    /* names[0..count): "c", or "t","c", or "c","field": *ret_used names were taken, the rest are
     * fields of the struct it is. */
    weir_status (*column)(struct weir_binder *binder, void *self, const char *const *names,
                          size_t count, int location, struct weir_node **ret, size_t *ret_used,
                          struct weir_error *reterr);
    /* Aggregates, window functions. May be NULL. */
    weir_status (*function)(struct weir_binder *binder, void *self, const PgQuery__FuncCall *call,
                            const char *name, struct weir_node **ret, struct weir_error *reterr);
    /* SubLink, GroupingFunc. May be NULL: refused. */
    weir_status (*special)(struct weir_binder *binder, void *self, const PgQuery__Node *node,
                           struct weir_node **ret, struct weir_error *reterr);
    /* For "did you mean": calls visit with each name there is. May be NULL. */
    const char *(*nearest)(void *self, const char *name);
    void *self;
};

struct weir_binder {
    struct weir_arena *arena;
    const struct weir_bind_scope *scope;
    int64_t now_micros; /* now() of the statement */
    int depth;
    int location; /* of the failure; -1 = not known yet */
};

weir_status weir_bind(struct weir_binder *binder, const PgQuery__Node *node, struct weir_node **ret,
                      struct weir_error *reterr) WEIR_MUST_CHECK;
/* The same, and it is a boolean; `where` for the error: "WHERE". */
weir_status weir_bind_condition(struct weir_binder *binder, const PgQuery__Node *node,
                                const char *where, struct weir_node **ret,
                                struct weir_error *reterr) WEIR_MUST_CHECK;
/* USAGE, and notes where. */
weir_status weir_bind_wrong(struct weir_binder *binder, int location, struct weir_error *reterr,
                            const char *format, ...) WEIR_MUST_CHECK WEIR_PRINTF(4, 5);
/* Notes where if nobody has yet; returns status. */
weir_status weir_bind_at(struct weir_binder *binder, int location, weir_status status);
/* The field `name` of a struct value; exact match first, then without regard to case. */
weir_status weir_bind_field(struct weir_binder *binder, struct weir_node *value, const char *name,
                            int location, struct weir_node **ret,
                            struct weir_error *reterr) WEIR_MUST_CHECK;
/* int4, numeric(9,2), text[], bigint, ... */
weir_status weir_bind_type(struct weir_binder *binder, const PgQuery__TypeName *name,
                           struct weir_type *ret, struct weir_error *reterr) WEIR_MUST_CHECK;
/* Child number by name: exact, else the only one that differs in case; -1 none, -2 several. */
int weir_bind_child(const struct weir_type *type, const char *name);
/* Byte of the text where a node begins, -1 = unknown. */
int weir_bind_location(const PgQuery__Node *node);
const char *weir_bind_string(const PgQuery__Node *node); /* of a String node, else "" */

#endif
