/* Forms that DuckDB's users write and PostgreSQL's grammar does not know, told in words it does:
 *
 *   [a, b]                        (ARRAY[a, b]); behind IN: (a, b)
 *   {'k': v}                      (struct_pack("k" := v))
 *   MAP {k: v}                    (map_from_entries(ARRAY[ROW(k, v)]))
 *   lambda x, y: e                (x, y) -> (e)
 *   f(x)[1], f(x).a               (f(x))[1], (f(x)).a
 *   TRY_CAST(x AS t)              _weir_try(CAST(x AS t))
 *   * EXCLUDE (a) REPLACE (e AS b) RENAME (c AS d)
 *                                 _weir_star(a, ROW(e, b), ARRAY[c, d])
 *   GROUP BY ALL, ORDER BY ALL    ... BY _weir_all
 *   QUALIFY e                     WINDOW _weir_qualify AS (PARTITION BY (e))
 *   a ASOF JOIN b ON e            a JOIN b ON _weir_asof AND e
 *   a ASOF JOIN b USING (k, t)    a JOIN b USING (k, t) AS _weir_asof
 *
 * One walk over the tokens, one frame a bracket. What does not fit a form stays as it is: then the
 * grammar says what is wrong. */
#include "engine/sql/rewrite_int.h"

#include <ctype.h>
#include <string.h>

enum frame_kind {
    FRAME_PLAIN, /* brackets of the grammar's own */
    FRAME_LIST,
    FRAME_LIST_OF_IN,
    FRAME_STRUCT,
    FRAME_MAP,
    FRAME_TRY_CAST,
    FRAME_REPLACE
};

struct frame {
    enum frame_kind kind;
    size_t open;     /* token of the bracket */
    size_t lambdas;  /* bodies that end with the next comma or the bracket */
    bool in_select;  /* a SELECT stands at this depth */
    bool has_window; /* and its WINDOW */
    bool qualifies;  /* inside QUALIFY */
};

struct forms {
    struct rewriter *rewriter;
    struct frame *frames;
    size_t depth;
    size_t *open_of; /* of each closing bracket: its partner */
};

/* ---- tokens ---- */

static bool any_word(const struct rewriter *rewriter, size_t at, const char *const *words)
{
    for (; *words; words++)
        if (rewrite_is_word(rewriter, at, *words))
            return true;
    return false;
}

static char byte_of(const struct rewriter *rewriter, size_t at)
{
    return rewrite_first_byte(rewriter, at);
}

static bool is_text(const struct rewriter *rewriter, size_t at)
{
    return byte_of(rewriter, at) == '\'';
}

/* What a value may end with: behind it, [ is a subscript. */
static bool ends_value(const struct rewriter *rewriter, size_t at)
{
    static const char *const values[] = {"null",
                                         "true",
                                         "false",
                                         "end",
                                         "array",
                                         "current_date",
                                         "current_time",
                                         "localtime",
                                         "current_timestamp",
                                         "localtimestamp",
                                         NULL},
                             *const words[] = {"between", "like",   "ilike", "by",
                                               "values",  "escape", NULL};
    char first = byte_of(rewriter, at);
    if (at >= rewriter->count)
        return false;
    if (first == ')' || first == ']' || first == '}' || first == '\'' || first == '"' ||
        isdigit((unsigned char)first))
        return true;
    if (!rewrite_is_name(rewriter, at))
        return false;
    if (rewriter->tokens[at].keyword == PG_QUERY__KEYWORD_KIND__RESERVED_KEYWORD)
        return any_word(rewriter, at, values);
    return !any_word(rewriter, at, words);
}

static bool begins_value(const struct rewriter *rewriter, size_t at)
{
    static const char *const words[] = {"not",  "case",  "null",  "true",
                                        "cast", "array", "false", NULL};
    char first = byte_of(rewriter, at);
    int keyword = at < rewriter->count ? rewriter->tokens[at].keyword : 0;
    if (at >= rewriter->count)
        return false;
    if (rewrite_is_name(rewriter, at) && first != '"')
        return any_word(rewriter, at, words) || keyword == PG_QUERY__KEYWORD_KIND__NO_KEYWORD ||
               keyword == PG_QUERY__KEYWORD_KIND__UNRESERVED_KEYWORD ||
               keyword == PG_QUERY__KEYWORD_KIND__COL_NAME_KEYWORD ||
               (keyword == PG_QUERY__KEYWORD_KIND__TYPE_FUNC_NAME_KEYWORD &&
                byte_of(rewriter, at + 1) == '(');
    return strchr("([{'\"+-", first) != NULL || isdigit((unsigned char)first);
}

/* ---- changes ---- */

static weir_status put(struct forms *forms, size_t from, size_t to, const char *text,
                       struct weir_error *reterr)
{
    const struct token *tokens = forms->rewriter->tokens;
    return rewrite_change(forms->rewriter, tokens[from].start, tokens[to].end, text, reterr);
}

static weir_status put_before(struct forms *forms, size_t at, const char *text,
                              struct weir_error *reterr)
{
    int start = forms->rewriter->tokens[at].start;
    return rewrite_change(forms->rewriter, start, start, text, reterr);
}

static weir_status put_behind(struct forms *forms, size_t at, const char *text,
                              struct weir_error *reterr)
{
    int end = forms->rewriter->tokens[at].end;
    return rewrite_change(forms->rewriter, end, end, text, reterr);
}

static weir_status end_lambdas(struct forms *forms, size_t at, struct weir_error *reterr)
{
    struct frame *frame = &forms->frames[forms->depth];
    for (; frame->lambdas; frame->lambdas--)
        WEIR_TRY(put_before(forms, at, ")", reterr));
    return WEIR_OK;
}

static weir_status end_qualify(struct forms *forms, size_t at, struct weir_error *reterr)
{
    struct frame *frame = &forms->frames[forms->depth];
    if (!frame->qualifies)
        return WEIR_OK;
    frame->qualifies = false;
    return put_behind(forms, at - 1, "))", reterr);
}

/* ---- keys of structs ---- */

/* 'k': or k: at token `at` becomes "k" := ; *ret_next the token behind, `at` when it is no key. */
static weir_status struct_key(struct forms *forms, size_t at, size_t *ret_next,
                              struct weir_error *reterr)
{
    struct rewriter *rewriter = forms->rewriter;
    const char *name;
    char *made, *to;
    *ret_next = at;
    if (byte_of(rewriter, at + 1) != ':' ||
        (!is_text(rewriter, at) && !rewrite_is_name(rewriter, at)))
        return WEIR_OK;
    const struct token *token = &rewriter->tokens[at];
    WEIR_TRY(rewrite_token_text(rewriter, at, &name, reterr));
    size_t size = strlen(name);
    if (size == 0 || size > 63) /* the grammar's names end there */
        return rewrite_wrong(rewriter, token->start, reterr,
                             "a name of a struct's field has 1 to 63 bytes");
    WEIR_TRY(weir_arena_alloc(rewriter->sql->arena, size * 2 + 8, &made, reterr));
    to = made;
    *to++ = '"';
    for (size_t i = 0; i < size; i++) {
        if (name[i] == '"')
            *to++ = '"';
        *to++ = name[i];
    }
    memcpy(to, "\" := ", 6);
    *ret_next = at + 2;
    return put(forms, at, at + 1, made, reterr);
}

/* ---- brackets ---- */

static void push(struct forms *forms, enum frame_kind kind, size_t open)
{
    forms->frames[++forms->depth] = (struct frame){.kind = kind, .open = open};
}

/* { at `at`: a struct, or a map where MAP is before it. */
static weir_status open_brace(struct forms *forms, size_t at, size_t *ret_next,
                              struct weir_error *reterr)
{
    struct rewriter *rewriter = forms->rewriter;
    bool map = at > 0 && rewrite_is_word(rewriter, at - 1, "map"),
         empty = byte_of(rewriter, at + 1) == '}';
    *ret_next = at + 1;
    if (empty && map) {
        forms->open_of[at + 1] = at;
        *ret_next = at + 2;
        return put(forms, at - 1, at + 1, "(map(ARRAY[], ARRAY[]))", reterr);
    }
    push(forms, empty ? FRAME_PLAIN : map ? FRAME_MAP : FRAME_STRUCT, at);
    if (empty)
        return WEIR_OK;
    if (map)
        return put(forms, at - 1, at, "(map_from_entries(ARRAY[ROW(", reterr);
    WEIR_TRY(put(forms, at, at, "(struct_pack(", reterr));
    return struct_key(forms, at + 1, ret_next, reterr);
}

/* f(x)[1] and f(x).a: the grammar wants brackets around the call. */
static weir_status around_call(struct forms *forms, size_t close, struct weir_error *reterr)
{
    static const char *const none[] = {"over", "filter", "values", "exists", "by", "between",
                                       "like", "ilike",  "using",  "is",     NULL},
                             *const some[] = {"cast", "array", "try_cast", NULL};
    struct rewriter *rewriter = forms->rewriter;
    size_t open = forms->open_of[close];
    if (byte_of(rewriter, close) != ')' || byte_of(rewriter, open) != '(' || open == 0)
        return WEIR_OK;
    size_t name = open - 1;
    if (!rewrite_is_name(rewriter, name) || any_word(rewriter, name, none) ||
        (rewriter->tokens[name].keyword == PG_QUERY__KEYWORD_KIND__RESERVED_KEYWORD &&
         !any_word(rewriter, name, some)))
        return WEIR_OK;
    while (name >= 2 && byte_of(rewriter, name - 1) == '.' && rewrite_is_name(rewriter, name - 2))
        name -= 2;
    const struct token *left = name > 0 ? &rewriter->tokens[name - 1] : NULL;
    bool type = left && ((byte_of(rewriter, name - 1) == ':' && left->end - left->start == 2) ||
                         rewrite_is_word(rewriter, name - 1, "as"));
    if (type)
        return WEIR_OK;
    WEIR_TRY(put_before(forms, name, "(", reterr));
    return put_behind(forms, close, ")", reterr);
}

static weir_status open_square(struct forms *forms, size_t at, struct weir_error *reterr)
{
    struct rewriter *rewriter = forms->rewriter;
    bool array = at > 0 && rewrite_is_word(rewriter, at - 1, "array");
    if (array && (at < 2 || !ends_value(rewriter, at - 2))) { /* brackets, for a subscript behind */
        push(forms, FRAME_LIST, at);
        return put(forms, at - 1, at, "(ARRAY[", reterr);
    }
    if (at > 0 && ends_value(rewriter, at - 1)) {
        push(forms, FRAME_PLAIN, at);
        return byte_of(rewriter, at + 1) == ']' ? WEIR_OK : around_call(forms, at - 1, reterr);
    }
    bool of_in = at > 0 && rewrite_is_word(rewriter, at - 1, "in");
    push(forms, of_in ? FRAME_LIST_OF_IN : FRAME_LIST, at);
    return put(forms, at, at, of_in ? "(" : "(ARRAY[", reterr);
}

static weir_status star_more(struct forms *forms, size_t at, bool first, size_t *ret_next,
                             struct weir_error *reterr);

static weir_status close_bracket(struct forms *forms, size_t at, size_t *ret_next,
                                 struct weir_error *reterr)
{
    static const char *const made[] = {[FRAME_LIST] = "])",
                                       [FRAME_LIST_OF_IN] = ")",
                                       [FRAME_STRUCT] = "))",
                                       [FRAME_MAP] = ")]))",
                                       [FRAME_TRY_CAST] = "))"};
    static const char closes[] = {[FRAME_LIST] = ']',
                                  [FRAME_LIST_OF_IN] = ']',
                                  [FRAME_STRUCT] = '}',
                                  [FRAME_MAP] = '}',
                                  [FRAME_TRY_CAST] = ')'};
    *ret_next = at + 1;
    if (forms->depth == 0)
        return WEIR_OK;
    WEIR_TRY(end_lambdas(forms, at, reterr));
    WEIR_TRY(end_qualify(forms, at, reterr));
    struct frame frame = forms->frames[forms->depth--];
    forms->open_of[at] = frame.open;
    if (frame.kind == FRAME_REPLACE)
        return star_more(forms, at + 1, false, ret_next, reterr);
    if (frame.kind == FRAME_PLAIN || byte_of(forms->rewriter, at) != closes[frame.kind])
        return WEIR_OK;
    return put(forms, at, at, made[frame.kind], reterr);
}

static weir_status comma(struct forms *forms, size_t at, size_t *ret_next,
                         struct weir_error *reterr)
{
    enum frame_kind kind = forms->frames[forms->depth].kind;
    *ret_next = at + 1;
    WEIR_TRY(end_lambdas(forms, at, reterr));
    if (kind == FRAME_STRUCT)
        return struct_key(forms, at + 1, ret_next, reterr);
    if (kind == FRAME_MAP || kind == FRAME_REPLACE)
        return put(forms, at, at, "), ROW(", reterr);
    return WEIR_OK;
}

/* ---- SELECT * EXCLUDE, REPLACE, RENAME ---- */

static bool star_word(const struct rewriter *rewriter, size_t at)
{
    static const char *const words[] = {"exclude", "replace", "rename", NULL};
    return any_word(rewriter, at, words) &&
           (byte_of(rewriter, at + 1) == '(' ||
            (rewrite_is_word(rewriter, at, "exclude") && rewrite_is_name(rewriter, at + 1)));
}

/* (a, t.b) or a: up to the token behind. */
static weir_status star_names(struct forms *forms, size_t at, bool rename, size_t *ret_next,
                              struct weir_error *reterr)
{
    struct rewriter *rewriter = forms->rewriter;
    size_t next = at + 2;
    if (byte_of(rewriter, at + 1) != '(') {
        while (byte_of(rewriter, next) == '.' && rewrite_is_name(rewriter, next + 1))
            next += 2;
        *ret_next = next;
        return WEIR_OK;
    }
    WEIR_TRY(put(forms, at + 1, at + 1, rename ? "ARRAY[" : "", reterr));
    for (; next < rewriter->count && byte_of(rewriter, next) != ')'; next++)
        if (rename && byte_of(rewriter, next) == ',')
            WEIR_TRY(put(forms, next, next, "], ARRAY[", reterr));
        else if (rename && rewrite_is_word(rewriter, next, "as"))
            WEIR_TRY(put(forms, next, next, ",", reterr));
    if (next < rewriter->count)
        WEIR_TRY(put(forms, next, next, rename ? "]" : "", reterr));
    *ret_next = next + 1;
    return WEIR_OK;
}

/* What follows the star, or what followed it; the last of them closes the call. */
static weir_status star_more(struct forms *forms, size_t at, bool first, size_t *ret_next,
                             struct weir_error *reterr)
{
    struct rewriter *rewriter = forms->rewriter;
    while (star_word(rewriter, at)) {
        const char *between = first ? "" : ", ";
        first = false;
        if (rewrite_is_word(rewriter, at, "replace")) {
            push(forms, FRAME_REPLACE, at + 1);
            *ret_next = at + 2;
            WEIR_TRY(put(forms, at, at, between, reterr));
            return put(forms, at + 1, at + 1, "ROW(", reterr);
        }
        WEIR_TRY(put(forms, at, at, between, reterr));
        WEIR_TRY(star_names(forms, at, rewrite_is_word(rewriter, at, "rename"), &at, reterr));
    }
    *ret_next = at;
    /* REPLACE's own bracket is still there */
    return at > rewriter->count ? WEIR_OK : put_behind(forms, at - 1, ")", reterr);
}

static weir_status star(struct forms *forms, size_t at, size_t *ret_next, struct weir_error *reterr)
{
    static const char *const before[] = {"select", "distinct", "all", NULL};
    struct rewriter *rewriter = forms->rewriter;
    char left = at ? byte_of(rewriter, at - 1) : 0;
    *ret_next = at + 1;
    if (at == 0 || !star_word(rewriter, at + 1))
        return WEIR_OK;
    size_t open = left == ')' ? forms->open_of[at - 1] : 0; /* DISTINCT ON (...) * */
    bool on = open >= 2 && rewrite_is_word(rewriter, open - 1, "on") &&
              rewrite_is_word(rewriter, open - 2, "distinct");
    if (!on && left != ',' && left != '.' && !any_word(rewriter, at - 1, before))
        return WEIR_OK;
    WEIR_TRY(put(forms, at, at, "_weir_star(", reterr));
    return star_more(forms, at + 1, true, ret_next, reterr);
}

/* ---- words ---- */

/* lambda x, y: up to the colon. */
static weir_status lambda(struct forms *forms, size_t at, size_t *ret_next,
                          struct weir_error *reterr)
{
    struct rewriter *rewriter = forms->rewriter;
    size_t last = at + 1;
    *ret_next = at + 1;
    while (rewrite_is_name(rewriter, last) && byte_of(rewriter, last + 1) == ',')
        last += 2;
    if (!rewrite_is_name(rewriter, last) || byte_of(rewriter, last + 1) != ':')
        return WEIR_OK;
    bool several = last > at + 1;
    WEIR_TRY(put(forms, at, at, several ? "(" : "", reterr));
    WEIR_TRY(put(forms, last + 1, last + 1, several ? ") -> (" : " -> (", reterr));
    forms->frames[forms->depth].lambdas++;
    *ret_next = last + 2;
    return WEIR_OK;
}

static weir_status qualify(struct forms *forms, size_t at, struct weir_error *reterr)
{
    struct frame *frame = &forms->frames[forms->depth];
    if (!frame->in_select || frame->qualifies || at == 0 || !ends_value(forms->rewriter, at - 1) ||
        !begins_value(forms->rewriter, at + 1) || byte_of(forms->rewriter, at - 1) == '.')
        return WEIR_OK;
    frame->qualifies = true;
    const char *made = frame->has_window ? ", _weir_qualify AS (PARTITION BY ("
                                         : "WINDOW _weir_qualify AS (PARTITION BY (";
    frame->has_window = true;
    return put(forms, at, at, made, reterr);
}

static weir_status window(struct forms *forms, size_t at, struct weir_error *reterr)
{
    struct frame *frame = &forms->frames[forms->depth];
    bool behind = frame->qualifies;
    WEIR_TRY(end_qualify(forms, at, reterr));
    frame->has_window = true;
    return behind ? put(forms, at, at, ",", reterr) : WEIR_OK;
}

/* ASOF [LEFT] JOIN: the mark goes behind its ON, or behind its USING (...). */
static weir_status asof(struct forms *forms, size_t at, struct weir_error *reterr)
{
    const struct rewriter *rewriter = forms->rewriter;
    size_t next = at + 1, depth = 0;
    next += rewrite_is_word(rewriter, next, "left") || rewrite_is_word(rewriter, next, "inner");
    next += rewrite_is_word(rewriter, next, "outer");
    if (!rewrite_is_word(rewriter, next, "join") || at == 0 || !ends_value(rewriter, at - 1))
        return WEIR_OK;
    WEIR_TRY(put(forms, at, at, "", reterr));
    for (bool using = false; next < rewriter->count; next++) {
        char first = byte_of(rewriter, next);
        depth += first == '(';
        if (first == ')' && depth == 0)
            return WEIR_OK;
        depth -= first == ')';
        if (depth == 0 && first == ')' && using)
            return put_behind(forms, next, " AS _weir_asof", reterr);
        if (depth == 0 && rewrite_is_word(rewriter, next, "on"))
            return put_behind(forms, next, " _weir_asof AND", reterr);
        using = using || (depth == 0 && rewrite_is_word(rewriter, next, "using"));
    }
    return WEIR_OK;
}

static weir_status by_all(struct forms *forms, size_t at, struct weir_error *reterr)
{
    static const char *const clauses[] = {"having",  "order", "limit",     "window",
                                          "qualify", "union", "intersect", "except",
                                          "offset",  "fetch", "for",       NULL};
    const struct rewriter *rewriter = forms->rewriter;
    char behind = byte_of(rewriter, at + 3);
    bool group = rewrite_is_word(rewriter, at, "group");
    if (!rewrite_is_word(rewriter, at + 1, "by") || !rewrite_is_word(rewriter, at + 2, "all") ||
        (group && behind != 0 && behind != ';' && behind != ')' &&
         !any_word(rewriter, at + 3, clauses)))
        return WEIR_OK;
    return put(forms, at + 2, at + 2, "_weir_all", reterr);
}

static weir_status word(struct forms *forms, size_t at, size_t *ret_next, struct weir_error *reterr)
{
    static const char *const ends[] = {"order",     "limit",  "offset", "fetch", "union",
                                       "intersect", "except", "for",    NULL};
    struct rewriter *rewriter = forms->rewriter;
    struct frame *frame = &forms->frames[forms->depth];
    *ret_next = at + 1;
    if (rewrite_is_word(rewriter, at, "lambda"))
        return lambda(forms, at, ret_next, reterr);
    if (rewrite_is_word(rewriter, at, "try_cast") && byte_of(rewriter, at + 1) == '(') {
        push(forms, FRAME_TRY_CAST, at + 1);
        *ret_next = at + 2;
        return put(forms, at, at + 1, "_weir_try(CAST(", reterr);
    }
    if (rewrite_is_word(rewriter, at, "select")) {
        frame->in_select = true;
        frame->has_window = frame->qualifies = false;
        return WEIR_OK;
    }
    if (rewrite_is_word(rewriter, at, "group") || rewrite_is_word(rewriter, at, "order"))
        WEIR_TRY(by_all(forms, at, reterr));
    if (rewrite_is_word(rewriter, at, "asof"))
        return asof(forms, at, reterr);
    if (!frame->in_select)
        return WEIR_OK;
    if (rewrite_is_word(rewriter, at, "qualify"))
        return qualify(forms, at, reterr);
    if (rewrite_is_word(rewriter, at, "window") &&
        rewriter->tokens[at].keyword == PG_QUERY__KEYWORD_KIND__RESERVED_KEYWORD)
        return window(forms, at, reterr);
    if (any_word(rewriter, at, ends))
        WEIR_TRY(end_qualify(forms, at, reterr));
    return WEIR_OK;
}

/* ---- the walk ---- */

static weir_status token(struct forms *forms, size_t at, size_t *ret_next,
                         struct weir_error *reterr)
{
    struct rewriter *rewriter = forms->rewriter;
    struct frame *frame = &forms->frames[forms->depth];
    *ret_next = at + 1;
    switch (byte_of(rewriter, at)) {
    case '(': push(forms, FRAME_PLAIN, at); return WEIR_OK;
    case '[': return open_square(forms, at, reterr);
    case '{': return open_brace(forms, at, ret_next, reterr);
    case ')':
    case ']':
    case '}': return close_bracket(forms, at, ret_next, reterr);
    case ',': return comma(forms, at, ret_next, reterr);
    case '*': return star(forms, at, ret_next, reterr);
    case '.': return at ? around_call(forms, at - 1, reterr) : WEIR_OK;
    case ';': return end_qualify(forms, at, reterr);
    case ':':
        return frame->kind == FRAME_MAP &&
                       rewriter->tokens[at].end - rewriter->tokens[at].start == 1
                   ? put(forms, at, at, ",", reterr)
                   : WEIR_OK;
    default: break;
    }
    if (frame->kind == FRAME_REPLACE && rewrite_is_word(rewriter, at, "as"))
        return put(forms, at, at, ",", reterr);
    return rewrite_is_name(rewriter, at) ? word(forms, at, ret_next, reterr) : WEIR_OK;
}

weir_status rewrite_forms(struct rewriter *rewriter, struct weir_error *reterr)
{
    struct forms forms = {.rewriter = rewriter};
    struct weir_arena *arena = rewriter->sql->arena;
    WEIR_TRY(
        weir_arena_zero(arena, rewriter->count + 2, sizeof *forms.frames, &forms.frames, reterr));
    WEIR_TRY(
        weir_arena_zero(arena, rewriter->count + 2, sizeof *forms.open_of, &forms.open_of, reterr));
    for (size_t at = 0; at < rewriter->count;)
        WEIR_TRY(token(&forms, at, &at, reterr));
    return rewriter->count ? end_qualify(&forms, rewriter->count, reterr) : WEIR_OK;
}
