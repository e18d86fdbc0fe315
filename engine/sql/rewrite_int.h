/* Between rewrite.c, sql.c and view.c: a text, changed for the grammar, and its tree. */
#ifndef WEIR_ENGINE_SQL_REWRITE_INT_H
#define WEIR_ENGINE_SQL_REWRITE_INT_H

#include "engine/sql/logical_int.h"

#include <pg_query.h>

struct edit { /* bytes [start, end) of the user's text became [made_start, made_end) */
    int start, end, made_start, made_end;
};

struct rewritten {
    struct weir_table_name *names; /* what _weir_table_0, _1, ... stand for */
    size_t name_count;
    struct edit *edits;
    size_t edit_count;
};

struct parsed {
    const char *text; /* the user's */
    struct rewritten rewritten;
    struct weir_account account;
    struct weir_buffer buffer;
    PgQueryProtobufParseResult result;
    PgQuery__ParseResult *tree;
    struct parsed *next; /* views of one statement */
};

/* One statement's tree. USAGE: the binder's location is a byte of `text`. parsed_done after failure
 * too; text outlives it. */
weir_status sql_parse(struct sql *sql, const char *text, struct parsed *ret,
                      struct weir_error *reterr) WEIR_MUST_CHECK;
void parsed_done(struct parsed *parsed);
/* The only statement as a query; kind NULL: EXPLAIN is refused too. */
weir_status parsed_select(const struct parsed *parsed, enum weir_sql_kind *ret_kind,
                          const PgQuery__SelectStmt **ret_select,
                          struct weir_error *reterr) WEIR_MUST_CHECK;

/* ---- between rewrite.c and rewrite_forms.c ---- */

struct token {
    int start, end;
    int kind;
    int keyword; /* PgQuery__KeywordKind */
};

struct change { /* bytes [start, end) of the user's text become `text` */
    int start, end;
    const char *text;
    size_t order; /* of those at one place */
};

struct rewriter {
    struct sql *sql;
    struct rewritten *out;
    const char *text;
    struct token *tokens;
    size_t count;
    struct change *changes;
    size_t change_count, change_capacity;
};

/* Tokens at or behind count: no word, no name, byte 0. */
bool rewrite_is_word(const struct rewriter *rewriter, size_t at, const char *word);
bool rewrite_is_name(const struct rewriter *rewriter, size_t at);
char rewrite_first_byte(const struct rewriter *rewriter, size_t at);
/* The text of a token without its quotes, names in lower case. */
weir_status rewrite_token_text(struct rewriter *rewriter, size_t at, const char **ret,
                               struct weir_error *reterr) WEIR_MUST_CHECK;
/* Changes do not overlap; text is kept. */
weir_status rewrite_change(struct rewriter *rewriter, int start, int end, const char *text,
                           struct weir_error *reterr) WEIR_MUST_CHECK;
/* USAGE at a byte of the user's text. */
weir_status rewrite_wrong(struct rewriter *rewriter, int location, struct weir_error *reterr,
                          const char *what) WEIR_MUST_CHECK;
weir_status rewrite_forms(struct rewriter *rewriter, struct weir_error *reterr) WEIR_MUST_CHECK;

/* The text for the grammar, NUL behind, into the buffer. */
weir_status sql_rewrite(struct sql *sql, const char *text, struct weir_buffer *buffer,
                        struct rewritten *ret, struct weir_error *reterr) WEIR_MUST_CHECK;
/* A place of the changed text as one of the user's. */
int sql_original(const struct rewritten *rewritten, int location);

#endif
