/* What PostgreSQL's grammar has no words for, put into words it has: FROM 'file' and FROM t FOR
 * VERSION | TIMESTAMP AS OF x become names that stand for a struct weir_table_name; other forms are
 * rewrite_forms.c's. Every change is noted, so that places in the changed text lead back to the
 * user's. */
#include "engine/sql/rewrite_int.h"

#include "engine/base/limits.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <pg_query.h>

bool rewrite_is_word(const struct rewriter *rewriter, size_t at, const char *word)
{
    if (at >= rewriter->count)
        return false;
    const struct token *token = &rewriter->tokens[at];
    size_t size = strlen(word);
    return (size_t)(token->end - token->start) == size &&
           strncasecmp(rewriter->text + token->start, word, size) == 0;
}

char rewrite_first_byte(const struct rewriter *rewriter, size_t at)
{
    return at < rewriter->count ? rewriter->text[rewriter->tokens[at].start] : 0;
}

bool rewrite_is_name(const struct rewriter *rewriter, size_t at)
{
    char first = rewrite_first_byte(rewriter, at);
    return first == '"' || first == '_' || isalpha((unsigned char)first) || (first & 0x80);
}

/* The text of a token without its quotes. */
weir_status rewrite_token_text(struct rewriter *rewriter, size_t at, const char **ret,
                               struct weir_error *reterr)
{
    const struct token *token = &rewriter->tokens[at];
    const char *from = rewriter->text + token->start;
    size_t size = (size_t)(token->end - token->start), used = 0;
    char *copy, quote = *from;
    WEIR_TRY(weir_arena_copy(rewriter->sql->arena, from, size, &copy, reterr));
    *ret = copy;
    if (quote != '\'' && quote != '"') {
        for (size_t i = 0; i < size; i++)
            copy[i] = (char)tolower((unsigned char)copy[i]);
        return WEIR_OK;
    }
    for (size_t i = 1; i + 1 < size; i++) {
        copy[used++] = from[i];
        i += from[i] == quote; /* a doubled quote is one */
    }
    copy[used] = 0;
    return WEIR_OK;
}

weir_status rewrite_wrong(struct rewriter *rewriter, int location, struct weir_error *reterr,
                          const char *what)
{
    /* the binder's places are of the changed text, of which there is none yet */
    rewriter->out->edit_count = 0;
    return weir_bind_wrong(&rewriter->sql->binder, location, reterr, "%s", what);
}

weir_status rewrite_change(struct rewriter *rewriter, int start, int end, const char *text,
                           struct weir_error *reterr)
{
    if (rewriter->change_count == rewriter->change_capacity) {
        struct change *grown;
        size_t capacity = rewriter->change_capacity ? rewriter->change_capacity * 2 : 16;
        WEIR_TRY(weir_arena_alloc(rewriter->sql->arena, capacity * sizeof *grown, &grown, reterr));
        if (rewriter->change_count)
            memcpy(grown, rewriter->changes, rewriter->change_count * sizeof *grown);
        rewriter->changes = grown;
        rewriter->change_capacity = capacity;
    }
    size_t order = rewriter->change_count++;
    rewriter->changes[order] = (struct change){start, end, text, order};
    return WEIR_OK;
}

static weir_status replace(struct rewriter *rewriter, int start, int end,
                           const struct weir_table_name *name, struct weir_error *reterr)
{
    struct rewritten *out = rewriter->out;
    char *text;
    WEIR_TRY(
        weir_arena_print(rewriter->sql->arena, &text, reterr, "_weir_table_%zu", out->name_count));
    out->names[out->name_count++] = *name;
    return rewrite_change(rewriter, start, end, text, reterr);
}

/* By place; at one place what is only put in comes before what is replaced. */
static int by_place(const void *left, const void *right)
{
    const struct change *a = left, *b = right;
    if (a->start != b->start)
        return a->start < b->start ? -1 : 1;
    if ((a->end == a->start) != (b->end == b->start))
        return a->end == a->start ? -1 : 1;
    return a->order < b->order ? -1 : a->order > b->order;
}

static weir_status apply(struct rewriter *rewriter, struct weir_buffer *buffer,
                         struct weir_error *reterr)
{
    struct rewritten *out = rewriter->out;
    const char *text = rewriter->text;
    int copied = 0; /* bytes of text that are in the buffer or replaced */
    WEIR_TRY(weir_arena_zero(rewriter->sql->arena, rewriter->change_count + 1, sizeof *out->edits,
                             &out->edits, reterr));
    if (rewriter->change_count)
        qsort(rewriter->changes, rewriter->change_count, sizeof *rewriter->changes, by_place);
    for (size_t i = 0; i < rewriter->change_count; i++) {
        const struct change *change = &rewriter->changes[i];
        if (change->start < copied) /* inside another: it is no SQL, and the grammar says so */
            continue;
        struct edit *edit = &out->edits[out->edit_count++];
        WEIR_TRY(
            weir_buffer_append(buffer, text + copied, (size_t)(change->start - copied), reterr));
        edit->made_start = (int)buffer->size;
        WEIR_TRY(weir_buffer_append(buffer, change->text, strlen(change->text), reterr));
        edit->made_end = (int)buffer->size;
        edit->start = change->start;
        edit->end = copied = change->end;
    }
    return weir_buffer_append(buffer, text + copied, strlen(text + copied) + 1, reterr);
}

/* t FOR VERSION AS OF x at token `at` = FOR; 0 = it is not. */
static size_t version_clause(const struct rewriter *rewriter, size_t at)
{
    bool form = rewrite_is_word(rewriter, at, "for") &&
                (rewrite_is_word(rewriter, at + 1, "version") ||
                 rewrite_is_word(rewriter, at + 1, "timestamp") ||
                 rewrite_is_word(rewriter, at + 1, "system_version") ||
                 rewrite_is_word(rewriter, at + 1, "system_time")) &&
                rewrite_is_word(rewriter, at + 2, "as") && rewrite_is_word(rewriter, at + 3, "of");
    char first = rewrite_first_byte(rewriter, at + 4);
    return form && (first == '\'' || isdigit((unsigned char)first) ||
                    rewrite_is_name(rewriter, at + 4))
               ? at + 5
               : 0;
}

/* A table at token `at`: rewritten if it needs to be. Returns the token behind it. */
static weir_status table_at(struct rewriter *rewriter, size_t at, size_t *ret_next,
                            struct weir_error *reterr)
{
    struct weir_table_name name = {0};
    size_t next = at;
    if (rewrite_first_byte(rewriter, at) == '\'') {
        name.is_path = true;
        WEIR_TRY(rewrite_token_text(rewriter, at, &name.parts[name.part_count++], reterr));
        next = at + 1;
    } else {
        while (rewrite_is_name(rewriter, next) && name.part_count < 4) {
            WEIR_TRY(rewrite_token_text(rewriter, next, &name.parts[name.part_count++], reterr));
            next++;
            if (rewrite_first_byte(rewriter, next) != '.')
                break;
            next++;
        }
    }
    size_t behind = next > at ? version_clause(rewriter, next) : 0;
    if (behind) {
        const char *value;
        WEIR_TRY(rewrite_token_text(rewriter, behind - 1, &value, reterr));
        bool version = rewrite_is_word(rewriter, next + 1, "version") ||
                       rewrite_is_word(rewriter, next + 1, "system_version");
        *(version ? &name.version : &name.timestamp) = value;
        next = behind;
    }
    *ret_next = next; /* what is no table is looked at again */
    if (!behind && !name.is_path)
        return WEIR_OK;
    return replace(rewriter, rewriter->tokens[at].start, rewriter->tokens[next - 1].end, &name,
                   reterr);
}

/* a IS [NOT] DISTINCT FROM b */
static bool distinct_from(const struct rewriter *rewriter, size_t at)
{
    return at >= 2 && rewrite_is_word(rewriter, at - 1, "distinct") &&
           (rewrite_is_word(rewriter, at - 2, "is") || rewrite_is_word(rewriter, at - 2, "not"));
}

#define DEPTH_MAX 4096

/* FROM counts where a SELECT stands at the same depth of brackets (not in EXTRACT(x FROM y)); a
 * comma is FROM's until the next clause begins, behind an ON too. */
static weir_status walk(struct rewriter *rewriter, struct weir_error *reterr)
{
    static const char *const clauses[] = {"where",  "group",  "having",    "order",
                                          "limit",  "union",  "intersect", "except",
                                          "window", "offset", "fetch"};
    static bool none[2];
    bool(*seen)[2], (*state)[2] = &none; /* by depth: SELECT seen, inside FROM */
    size_t depth = 0;
    WEIR_TRY(weir_arena_zero(rewriter->sql->arena, DEPTH_MAX + 1, sizeof *seen, &seen, reterr));
    for (size_t at = 0; at < rewriter->count;) {
        state = &seen[depth];
        char first = rewrite_first_byte(rewriter, at);
        bool table = (*state)[0] &&
                     ((rewrite_is_word(rewriter, at, "from") && !distinct_from(rewriter, at)) ||
                      rewrite_is_word(rewriter, at, "join") || (first == ',' && (*state)[1]));
        if ((first == '(' || first == '[') && depth < DEPTH_MAX) {
            depth++;
            seen[depth][0] = seen[depth][1] = false;
        } else if ((first == ')' || first == ']') && depth) {
            depth--;
        } else if (rewrite_is_word(rewriter, at, "select")) {
            (*state)[0] = true;
            (*state)[1] = false;
        } else if (table) {
            (*state)[1] = true;
            while (rewrite_is_word(rewriter, at + 1, "lateral") ||
                   rewrite_is_word(rewriter, at + 1, "only"))
                at++;
            WEIR_TRY(table_at(rewriter, at + 1, &at, reterr));
            /* what is no table is looked at again: a bracket, a function's name */
            continue;
        }
        for (size_t i = 0; i < sizeof clauses / sizeof *clauses; i++)
            if (rewrite_is_word(rewriter, at, clauses[i]))
                (*state)[1] = false;
        at++;
    }
    return WEIR_OK;
}

static weir_status take_tokens(struct rewriter *rewriter, const PgQuery__ScanResult *scan,
                               struct weir_error *reterr)
{
    size_t operators = 0;
    WEIR_TRY(weir_arena_zero(rewriter->sql->arena, scan->n_tokens + 1, sizeof *rewriter->tokens,
                             &rewriter->tokens, reterr));
    for (size_t i = 0; i < scan->n_tokens; i++) {
        const PgQuery__ScanToken *token = scan->tokens[i];
        if (token->token == PG_QUERY__TOKEN__SQL_COMMENT ||
            token->token == PG_QUERY__TOKEN__C_COMMENT)
            continue;
        char first = rewriter->text[token->start];
        operators += strchr("+-*/%<>=|&^~!([", first) != NULL || isalpha((unsigned char)first);
        rewriter->tokens[rewriter->count++] = (struct token){
            token->start, token->end, (int)token->token, (int)token->keyword_kind};
    }
    if (operators > WEIR_SQL_OPERATORS_MAX)
        return weir_fail(reterr, WEIR_USAGE, "more than %d words and operators in one statement",
                         WEIR_SQL_OPERATORS_MAX);
    return WEIR_OK;
}

weir_status sql_rewrite(struct sql *sql, const char *text, struct weir_buffer *buffer,
                        struct rewritten *ret, struct weir_error *reterr)
{
    struct rewriter rewriter = {.sql = sql, .out = ret, .text = text};
    weir_status status = WEIR_OK;
    if (strlen(text) > WEIR_SQL_SIZE_MAX)
        return weir_fail(reterr, WEIR_USAGE, "%zu bytes; a statement may have %d", strlen(text),
                         WEIR_SQL_SIZE_MAX);
    PgQueryScanResult scanned = pg_query_scan(text);
    PgQuery__ScanResult *scan = scanned.error ? NULL
                                              : pg_query__scan_result__unpack(
                                                    NULL, scanned.pbuf.len,
                                                    (const uint8_t *)scanned.pbuf.data);
    if (scan) {
        status = take_tokens(&rewriter, scan, reterr);
        size_t most = rewriter.count + 1;
        if (status == WEIR_OK)
            status = weir_arena_zero(sql->arena, most, sizeof *ret->names, &ret->names, reterr);
        if (status == WEIR_OK)
            status = walk(&rewriter, reterr);
        if (status == WEIR_OK)
            status = rewrite_forms(&rewriter, reterr);
        pg_query__scan_result__free_unpacked(scan, NULL);
    }
    pg_query_free_scan_result(scanned);
    if (status != WEIR_OK)
        return status;
    return apply(&rewriter, buffer, reterr);
}

int sql_original(const struct rewritten *rewritten, int location)
{
    int shift = 0;
    for (size_t i = 0; i < rewritten->edit_count; i++) {
        const struct edit *edit = &rewritten->edits[i];
        if (location < edit->made_start)
            break;
        if (location < edit->made_end)
            return edit->start;
        shift = edit->end - edit->made_end;
    }
    return location + shift;
}

/* ---- where a statement of a script ends: PostgreSQL's quotes and comments, passed over ---- */

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '$' || (unsigned char)c >= 0x80;
}

/* Behind the quoted text that begins at `at`; `size` when it does not end. A doubled quote ends one
 * and begins the next, which comes to the same. */
static size_t quoted_end(const char *text, size_t size, size_t at)
{
    char quote = text[at];
    bool escapes = quote == '\'' && at > 0 && (text[at - 1] == 'E' || text[at - 1] == 'e') &&
                   (at == 1 || !is_word(text[at - 2]));
    for (size_t i = at + 1; i < size; i++) {
        if (escapes && text[i] == '\\')
            i++;
        else if (text[i] == quote)
            return i + 1;
    }
    return size;
}

/* Behind a comment, which may hold comments. */
static size_t comment_end(const char *text, size_t size, size_t at)
{
    size_t depth = 1;
    for (size_t i = at + 2; i + 1 < size; i++) {
        bool opens = text[i] == '/' && text[i + 1] == '*',
             closes = text[i] == '*' && text[i + 1] == '/';
        depth = opens ? depth + 1 : closes ? depth - 1 : depth;
        i += opens || closes;
        if (depth == 0)
            return i + 1;
    }
    return size + 1; /* it does not end */
}

/* Behind $tag$ ... $tag$; at + 1 when no such text begins there. */
static size_t dollar_end(const char *text, size_t size, size_t at)
{
    size_t tag = at + 1;
    if (at > 0 && is_word(text[at - 1]))
        return at + 1;
    while (tag < size && text[tag] != '$' && is_word(text[tag]))
        tag++;
    if (tag == size || text[tag] != '$' || isdigit((unsigned char)text[at + 1]))
        return at + 1;
    size_t length = tag + 1 - at;
    for (size_t i = tag + 1; i + length <= size; i++)
        if (memcmp(text + i, text + at, length) == 0)
            return i + length;
    return size;
}

size_t weir_sql_statement_size(const char *text, size_t size)
{
    bool something = false;
    for (size_t i = 0, next; i < size; i = next) {
        char c = text[i], second = i + 1 < size ? text[i + 1] : 0;
        next = i + 1;
        if (c == '-' && second == '-') {
            while (next < size && text[next] != '\n')
                next++;
        } else if (c == '/' && second == '*') {
            next = comment_end(text, size, i);
            something = something || next > size; /* for the parser to complain of */
        } else if (c == ';') {
            if (something)
                return next;
        } else {
            if (c == '\'' || c == '"')
                next = quoted_end(text, size, i);
            else if (c == '$')
                next = dollar_end(text, size, i);
            something = something || !isspace((unsigned char)c);
        }
    }
    return something ? size : 0;
}
