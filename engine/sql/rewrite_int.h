/* Between rewrite.c and sql.c. */
#ifndef WEIR_ENGINE_SQL_REWRITE_INT_H
#define WEIR_ENGINE_SQL_REWRITE_INT_H

#include "engine/sql/logical_int.h"

struct edit { /* bytes [start, end) of the user's text became [made_start, made_end) */
    int start, end, made_start, made_end;
};

struct rewritten {
    struct weir_table_name *names; /* what _weir_table_0, _1, ... stand for */
    size_t name_count;
    struct edit *edits;
    size_t edit_count;
};

/* The text for the grammar, NUL behind, into the buffer. */
weir_status sql_rewrite(struct sql *sql, const char *text, struct weir_buffer *buffer,
                        struct rewritten *ret, struct weir_error *reterr) WEIR_MUST_CHECK;
/* A place of the changed text as one of the user's. */
int sql_original(const struct rewritten *rewritten, int location);

#endif
