/* Regular expressions by PCRE2, set up to mean what PostgreSQL's mean: . takes line ends too, $ is
 * the end of the text. Compiled once a call when the pattern is a constant; all of PCRE2's memory
 * is the arena's. Effort is limited, so that a hostile pattern costs a row, not the run. */
#include "engine/expr/function_int.h"

#include <stdio.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#define MATCH_LIMIT  2000000 /* steps of backtracking for one text */
#define MATCH_MEMORY 65536   /* KiB of them kept */
#define GROUP_MAX    64
#define TEXT_SHORT   8192 /* bytes that one look at each start of a match passes in no time */

struct regexp {
    pcre2_code *code;
    /* The same pattern for longer texts, which looks at each of its parts whether it shall stop:
     * one step may pass over the whole text, so that the limit of steps is none of time. */
    pcre2_code *watched;
    bool global;
};

/* Patterns and texts of one call over one batch. */
struct matcher {
    struct weir_evaluation *evaluation;
    const struct weir_node *call;
    struct weir_lane text, pattern, flags;
    bool has_flags;
    struct regexp regexp;
    struct weir_bytes compiled, compiled_flags; /* of what; data NULL = nothing yet */
    pcre2_match_data *match;
    pcre2_match_context *limits;
};

/* ---- memory ---- */

static void *arena_block(PCRE2_SIZE size, void *arena)
{
    void *block;
    return weir_arena_alloc(arena, size, &block, NULL) == WEIR_OK ? block : NULL;
}
static void arena_keep(void *block, void *arena)
{
    (void)block; /* dies with the arena */
    (void)arena;
}

/* ---- compiling ---- */

static bool read_flags(struct weir_bytes flags, uint32_t *options, bool *global)
{
    for (size_t i = 0; i < flags.size; i++)
        switch (flags.data[i]) {
        case 'i': *options |= PCRE2_CASELESS; break;
        case 'c': *options &= ~(uint32_t)PCRE2_CASELESS; break;
        case 'g': *global = true; break;
        case 's': *options |= PCRE2_DOTALL; break;
        case 'n':
        case 'm':
            *options |= PCRE2_MULTILINE;
            *options &= ~(uint32_t)(PCRE2_DOTALL | PCRE2_DOLLAR_ENDONLY);
            break;
        case 'x': *options |= PCRE2_EXTENDED; break;
        case 'q':
        case 'l':
            *options |= PCRE2_LITERAL;
            *options &= ~(uint32_t)(PCRE2_DOTALL | PCRE2_DOLLAR_ENDONLY);
            break;
        default: return false;
        }
    return true;
}

/* Called back by PCRE2 at the parts of a watched pattern. */
static int look_up(pcre2_callout_block *block, void *arena)
{
    (void)block;
    return weir_arena_check(arena, NULL) == WEIR_OK ? 0 : PCRE2_ERROR_CALLOUT;
}

/* false: no regular expression; the reason is in `why`. NO_MEMORY shows as such a reason too. */
static bool compile(struct weir_arena *arena, struct weir_bytes pattern, struct weir_bytes flags,
                    const char *name, struct regexp *ret, char why[160])
{
    uint32_t options = PCRE2_UTF | PCRE2_DOTALL | PCRE2_DOLLAR_ENDONLY;
    int error;
    PCRE2_SIZE at;
    size_t size = strlen(name);
    if (size && name[size - 1] == '*')
        options |= PCRE2_CASELESS;
    if (strcmp(name, "regexp_full_match") == 0)
        options |= PCRE2_ANCHORED | PCRE2_ENDANCHORED;
    ret->global = false;
    if (!read_flags(flags, &options, &ret->global)) {
        snprintf(why, 160, "flags of regular expressions are i c g s n m x q");
        return false;
    }
    if (options & PCRE2_LITERAL)
        options &= PCRE2_LITERAL | PCRE2_UTF | PCRE2_CASELESS | PCRE2_ANCHORED | PCRE2_ENDANCHORED;
    pcre2_general_context *memory = pcre2_general_context_create(arena_block, arena_keep, arena);
    pcre2_compile_context *context = memory ? pcre2_compile_context_create(memory) : NULL;
    ret->code = context ? pcre2_compile(pattern.data, pattern.size, options, &error, &at, context)
                        : NULL;
    ret->watched = ret->code ? pcre2_compile(pattern.data, pattern.size,
                                             options | PCRE2_AUTO_CALLOUT, &error, &at, context)
                             : NULL;
    if (!ret->code && !context) {
        snprintf(why, 160, "no memory for a regular expression");
    } else if (!ret->watched) {
        char message[100] = "";
        pcre2_get_error_message(error, (PCRE2_UCHAR *)message, sizeof message);
        snprintf(why, 160, "no regular expression: %s at byte %zu", message, (size_t)at);
    }
    return ret->watched != NULL;
}

/* Where the flags are among the arguments, or -1. */
static int flags_argument(const struct weir_node *call)
{
    uint32_t at = strcmp(call->function->name, "regexp_replace") == 0 ? 3 : 2;
    return call->argument_count > at && call->arguments[at]->type.id == WEIR_STRING ? (int)at : -1;
}

static bool constant_text(const struct weir_node *node, struct weir_bytes *ret)
{
    if (node->kind != WEIR_NODE_CONSTANT || !weir_vector_valid(&node->value, 0))
        return false;
    struct weir_lane lane = weir_lane_of(&node->value);
    *ret = weir_lane_bytes(&lane, 0);
    return true;
}

static weir_status regexp_prepare(struct weir_arena *arena, struct weir_node *call,
                                  struct weir_error *reterr)
{
    struct weir_bytes pattern, flags = {(const uint8_t *)"", 0};
    int at = flags_argument(call);
    struct regexp *kept;
    char why[160];
    if (!constant_text(call->arguments[1], &pattern) ||
        (at >= 0 && !constant_text(call->arguments[at], &flags)))
        return WEIR_OK;
    WEIR_TRY(weir_arena_zero(arena, 1, sizeof *kept, &kept, reterr));
    if (!compile(arena, pattern, flags, call->function->name, kept, why))
        return weir_fail(reterr, WEIR_USAGE, "%s", why);
    call->prepared = kept;
    return WEIR_OK;
}

/* ---- binding ---- */

static weir_status bind_texts(struct weir_arena *arena, struct weir_node *call,
                              enum weir_type_id result, struct weir_error *reterr)
{
    for (uint32_t i = 0; i < call->argument_count; i++)
        WEIR_TRY(bind_as(arena, call, i, WEIR_STRING, reterr));
    call->type = (struct weir_type){.id = result};
    return WEIR_OK;
}
static weir_status regexp_bind_boolean(struct weir_arena *arena, struct weir_node *call,
                                       struct weir_error *reterr)
{
    return bind_texts(arena, call, WEIR_BOOLEAN, reterr);
}
static weir_status regexp_bind_text(struct weir_arena *arena, struct weir_node *call,
                                    struct weir_error *reterr)
{
    return bind_texts(arena, call, WEIR_STRING, reterr);
}
static weir_status regexp_bind_long(struct weir_arena *arena, struct weir_node *call,
                                    struct weir_error *reterr)
{
    return bind_texts(arena, call, WEIR_LONG, reterr);
}

/* text, pattern, number of a group */
static weir_status regexp_bind_group(struct weir_arena *arena, struct weir_node *call,
                                     struct weir_error *reterr)
{
    WEIR_TRY(bind_as(arena, call, 0, WEIR_STRING, reterr));
    WEIR_TRY(bind_as(arena, call, 1, WEIR_STRING, reterr));
    if (call->argument_count > 2)
        WEIR_TRY(bind_as(arena, call, 2, WEIR_LONG, reterr));
    call->type = (struct weir_type){.id = WEIR_STRING};
    return WEIR_OK;
}

static weir_status regexp_bind_list(struct weir_arena *arena, struct weir_node *call,
                                    struct weir_error *reterr)
{
    struct weir_field *element;
    WEIR_TRY(regexp_bind_group(arena, call, reterr));
    WEIR_TRY(weir_arena_zero(arena, 1, sizeof *element, &element, reterr));
    *element = (struct weir_field){.name = "element", .type = {.id = WEIR_STRING}};
    call->type = (struct weir_type){.id = WEIR_LIST, .child_count = 1, .children = element};
    return WEIR_OK;
}

/* ---- matching ---- */

static weir_status matcher_begin(struct matcher *matcher, struct weir_evaluation *evaluation,
                                 const struct weir_node *call, const struct weir_vector *arguments,
                                 struct weir_error *reterr)
{
    int flags = flags_argument(call);
    *matcher = (struct matcher){.evaluation = evaluation,
                                .call = call,
                                .text = weir_lane_of(&arguments[0]),
                                .pattern = weir_lane_of(&arguments[1]),
                                .has_flags = flags >= 0};
    if (flags >= 0)
        matcher->flags = weir_lane_of(&arguments[flags]);
    if (call->prepared)
        matcher->regexp = *(const struct regexp *)call->prepared;
    pcre2_general_context *memory = pcre2_general_context_create(arena_block, arena_keep,
                                                                 evaluation->arena);
    if (memory) {
        matcher->match = pcre2_match_data_create(GROUP_MAX, memory);
        matcher->limits = pcre2_match_context_create(memory);
    }
    if (!matcher->match || !matcher->limits)
        return weir_fail(reterr, WEIR_NO_MEMORY, "no memory for regular expressions");
    pcre2_set_match_limit(matcher->limits, MATCH_LIMIT);
    pcre2_set_heap_limit(matcher->limits, MATCH_MEMORY);
    pcre2_set_callout(matcher->limits, look_up, evaluation->arena);
    return WEIR_OK;
}

static bool same_bytes(struct weir_bytes a, struct weir_bytes b)
{
    return a.data && a.size == b.size && memcmp(a.data, b.data, a.size) == 0;
}

/* The row's pattern, compiled; runs of one pattern are compiled once. *ret_good false: row failed.
 */
static weir_status matcher_row(struct matcher *matcher, uint32_t row, bool *ret_good,
                               struct weir_error *reterr)
{
    char why[160];
    *ret_good = true;
    if (matcher->call->prepared)
        return WEIR_OK;
    struct weir_bytes pattern = weir_lane_bytes(&matcher->pattern, row),
                      flags = {(const uint8_t *)"", 0};
    if (matcher->has_flags)
        flags = weir_lane_bytes(&matcher->flags, row);
    if (same_bytes(matcher->compiled, pattern) && same_bytes(matcher->compiled_flags, flags))
        return WEIR_OK;
    matcher->compiled.data = NULL;
    if (!compile(matcher->evaluation->arena, pattern, flags, matcher->call->function->name,
                 &matcher->regexp, why)) {
        *ret_good = false;
        return weir_evaluation_fail(matcher->evaluation, matcher->call, row, reterr, "%s", why);
    }
    matcher->compiled = pattern;
    matcher->compiled_flags = flags;
    return WEIR_OK;
}

/* Groups found (0 = no match); their bounds are pcre2_get_ovector_pointer's. */
static weir_status find(struct matcher *matcher, struct weir_bytes text, size_t from, uint32_t row,
                        int *ret_groups, struct weir_error *reterr)
{
    static const uint8_t nothing[1];
    const pcre2_code *code = text.size > TEXT_SHORT ? matcher->regexp.watched
                                                    : matcher->regexp.code;
    WEIR_TRY(weir_arena_check(matcher->evaluation->arena, reterr));
    int found = pcre2_match(code, text.data ? text.data : nothing, text.size, from,
                            from ? PCRE2_NO_UTF_CHECK : 0, matcher->match, matcher->limits);
    *ret_groups = found > 0 ? found : found == 0 ? GROUP_MAX : 0;
    if (found >= 0 || found == PCRE2_ERROR_NOMATCH)
        return WEIR_OK;
    if (found == PCRE2_ERROR_CALLOUT)
        return weir_arena_check(matcher->evaluation->arena, reterr);
    if (found == PCRE2_ERROR_NOMEMORY)
        return weir_fail(reterr, WEIR_NO_MEMORY, "no memory for a regular expression");
    return weir_evaluation_fail(
        matcher->evaluation, matcher->call, row, reterr, "%s",
        found == PCRE2_ERROR_MATCHLIMIT || found == PCRE2_ERROR_HEAPLIMIT ||
                found == PCRE2_ERROR_DEPTHLIMIT
            ? "a regular expression that takes too long for a text of this table"
            : "a text that is not UTF-8 met a regular expression");
}

/* Where to look after the match [start, end): behind an empty one a character further. */
static size_t next_start(struct weir_bytes text, size_t start, size_t end)
{
    if (end > start)
        return end;
    end++;
    while (end < text.size && (text.data[end] & 0xC0) == 0x80)
        end++;
    return end;
}

static bool row_valid(const struct weir_vector *ret, uint32_t row)
{
    return !ret->validity || weir_bit_get(ret->validity, row);
}

static weir_status regexp_test(struct weir_evaluation *evaluation, const struct weir_node *call,
                               const struct weir_vector *arguments, struct weir_vector *ret,
                               struct weir_error *reterr)
{
    struct matcher matcher;
    bool negated = call->function->name[0] == '!', good;
    int groups;
    WEIR_TRY(matcher_begin(&matcher, evaluation, call, arguments, reterr));
    WEIR_TRY(weir_result_flat(evaluation, &call->type, ret, reterr));
    for (uint32_t i = 0; i < evaluation->count; i++) {
        if (!row_valid(ret, i))
            continue;
        WEIR_TRY(matcher_row(&matcher, i, &good, reterr));
        if (!good)
            continue;
        WEIR_TRY(find(&matcher, weir_lane_bytes(&matcher.text, i), 0, i, &groups, reterr));
        if ((groups > 0) != negated)
            weir_bit_set(ret->values, i);
    }
    return WEIR_OK;
}

static weir_status regexp_count(struct weir_evaluation *evaluation, const struct weir_node *call,
                                const struct weir_vector *arguments, struct weir_vector *ret,
                                struct weir_error *reterr)
{
    struct matcher matcher;
    bool good;
    int groups;
    WEIR_TRY(matcher_begin(&matcher, evaluation, call, arguments, reterr));
    WEIR_TRY(weir_result_flat(evaluation, &call->type, ret, reterr));
    const PCRE2_SIZE *bounds = pcre2_get_ovector_pointer(matcher.match);
    for (uint32_t i = 0; i < evaluation->count; i++) {
        int64_t *out = (int64_t *)ret->values + i;
        *out = 0;
        if (!row_valid(ret, i))
            continue;
        WEIR_TRY(matcher_row(&matcher, i, &good, reterr));
        struct weir_bytes text = weir_lane_bytes(&matcher.text, i);
        for (size_t at = 0; good && at <= text.size;) {
            WEIR_TRY(find(&matcher, text, at, i, &groups, reterr));
            if (!groups)
                break;
            ++*out;
            at = next_start(text, bounds[0], bounds[1]);
        }
    }
    return WEIR_OK;
}

/* ---- replacing ---- */

/* \1 to \9 a group, \0 and \& the whole match, \\ a backslash */
static weir_status put_replacement(struct weir_buffer *out, struct weir_bytes by,
                                   struct weir_bytes text, const PCRE2_SIZE *bounds, int groups,
                                   struct weir_error *reterr)
{
    for (size_t i = 0; i < by.size; i++) {
        uint8_t next = by.data[i] == '\\' && i + 1 < by.size ? by.data[i + 1] : 0;
        int group = next == '&' ? 0 : next >= '0' && next <= '9' ? next - '0' : -1;
        if (group >= 0) {
            if (group < groups && bounds[2 * group] != PCRE2_UNSET)
                WEIR_TRY(weir_buffer_append(out, text.data + bounds[2 * group],
                                            bounds[2 * group + 1] - bounds[2 * group], reterr));
            i++;
            continue;
        }
        if (next == '\\')
            i++;
        WEIR_TRY(weir_buffer_append(out, &by.data[i], 1, reterr));
    }
    return WEIR_OK;
}

static weir_status replace_row(struct matcher *matcher, struct weir_bytes by, uint32_t row,
                               struct weir_buffer *out, struct weir_error *reterr)
{
    struct weir_bytes text = weir_lane_bytes(&matcher->text, row);
    const PCRE2_SIZE *bounds = pcre2_get_ovector_pointer(matcher->match);
    size_t copied = 0;
    for (size_t at = 0; at <= text.size;) {
        int groups;
        WEIR_TRY(find(matcher, text, at, row, &groups, reterr));
        if (!groups || bounds[0] < copied)
            break;
        WEIR_TRY(weir_buffer_append(out, text.data + copied, bounds[0] - copied, reterr));
        WEIR_TRY(put_replacement(out, by, text, bounds, groups, reterr));
        copied = bounds[1];
        if (!matcher->regexp.global)
            break;
        at = next_start(text, bounds[0], bounds[1]);
    }
    return weir_buffer_append(out, text.data + copied, text.size - copied, reterr);
}

static weir_status regexp_replace(struct weir_evaluation *evaluation, const struct weir_node *call,
                                  const struct weir_vector *arguments, struct weir_vector *ret,
                                  struct weir_error *reterr)
{
    struct matcher matcher;
    struct text_writer writer;
    struct weir_lane by = weir_lane_of(&arguments[2]);
    bool good = true;
    WEIR_TRY(matcher_begin(&matcher, evaluation, call, arguments, reterr));
    weir_status status = text_begin(&writer, evaluation, &call->type, ret, reterr);
    for (uint32_t i = 0; i < evaluation->count && status == WEIR_OK; i++) {
        bool valid = row_valid(ret, i);
        if (valid)
            status = matcher_row(&matcher, i, &good, reterr);
        if (status == WEIR_OK && valid && good)
            status = replace_row(&matcher, weir_lane_bytes(&by, i), i, &writer.buffer, reterr);
        if (status == WEIR_OK)
            status = text_row(&writer, reterr);
    }
    return text_finish(&writer, status, reterr);
}

/* ---- extracting ---- */

static int64_t group_at(const struct weir_node *call, const struct weir_vector *arguments,
                        uint32_t row)
{
    if (call->argument_count < 3)
        return 0;
    struct weir_lane lane = weir_lane_of(&arguments[2]);
    return ((const int64_t *)lane.flat->values)[weir_lane(&lane, row)];
}

static weir_status regexp_extract(struct weir_evaluation *evaluation, const struct weir_node *call,
                                  const struct weir_vector *arguments, struct weir_vector *ret,
                                  struct weir_error *reterr)
{
    struct matcher matcher;
    struct text_writer writer;
    bool good = true;
    int groups = 0;
    WEIR_TRY(matcher_begin(&matcher, evaluation, call, arguments, reterr));
    const PCRE2_SIZE *bounds = pcre2_get_ovector_pointer(matcher.match);
    weir_status status = text_begin(&writer, evaluation, &call->type, ret, reterr);
    for (uint32_t i = 0; i < evaluation->count && status == WEIR_OK; i++) {
        struct weir_bytes text = {0};
        groups = 0;
        if (row_valid(ret, i)) {
            text = weir_lane_bytes(&matcher.text, i);
            status = matcher_row(&matcher, i, &good, reterr);
            if (status == WEIR_OK && good)
                status = find(&matcher, text, 0, i, &groups, reterr);
        }
        int64_t group = group_at(call, arguments, i);
        if (status == WEIR_OK && group >= 0 && group < groups && bounds[2 * group] != PCRE2_UNSET)
            status = weir_buffer_append(&writer.buffer, text.data + bounds[2 * group],
                                        bounds[2 * group + 1] - bounds[2 * group], reterr);
        if (status == WEIR_OK)
            status = text_row(&writer, reterr);
    }
    return text_finish(&writer, status, reterr);
}

/* ---- lists of texts ---- */

struct parts {
    struct weir_buffer bytes, ends; /* ends: int32 each */
    uint32_t count;
};

static weir_status put_part(struct parts *parts, struct weir_bytes text, size_t from, size_t to,
                            struct weir_error *reterr)
{
    WEIR_TRY(weir_buffer_append(&parts->bytes, text.data + from, to - from, reterr));
    if (parts->bytes.size > INT32_MAX || parts->count == UINT32_MAX - 1)
        return weir_fail(reterr, WEIR_NO_MEMORY, "a batch of strings of more than 2 GiB");
    int32_t end = (int32_t)parts->bytes.size;
    parts->count++;
    return weir_buffer_append(&parts->ends, &end, sizeof end, reterr);
}

/* All matches (of a group), or what lies between them. */
static weir_status list_row(struct matcher *matcher, int64_t group, bool split, uint32_t row,
                            struct parts *parts, struct weir_error *reterr)
{
    struct weir_bytes text = weir_lane_bytes(&matcher->text, row);
    const PCRE2_SIZE *bounds = pcre2_get_ovector_pointer(matcher->match);
    size_t copied = 0;
    for (size_t at = 0; at <= text.size;) {
        int groups;
        WEIR_TRY(find(matcher, text, at, row, &groups, reterr));
        if (!groups)
            break;
        at = next_start(text, bounds[0], bounds[1]);
        if (split) {
            bool empty_edge = bounds[0] == bounds[1] &&
                              (bounds[0] == copied || bounds[0] == text.size);
            if (empty_edge || bounds[0] < copied)
                continue;
            WEIR_TRY(put_part(parts, text, copied, bounds[0], reterr));
            copied = bounds[1];
            continue;
        }
        bool found = group >= 0 && group < groups && bounds[2 * group] != PCRE2_UNSET;
        WEIR_TRY(put_part(parts, text, found ? bounds[2 * group] : 0,
                          found ? bounds[2 * group + 1] : 0, reterr));
    }
    return split ? put_part(parts, text, copied, text.size, reterr) : WEIR_OK;
}

static weir_status parts_vector(struct weir_evaluation *evaluation, const struct parts *parts,
                                struct weir_vector *ret, struct weir_error *reterr)
{
    struct weir_vector *child;
    WEIR_TRY(weir_arena_zero(evaluation->arena, 1, sizeof *child, &child, reterr));
    WEIR_TRY(weir_vector_make(evaluation->arena, &ret->type->children[0].type, parts->count,
                              parts->bytes.size, child, reterr));
    child->count = parts->count;
    if (parts->count)
        memcpy(child->offsets + 1, parts->ends.data, parts->ends.size);
    if (parts->bytes.size)
        memcpy(child->values, parts->bytes.data, parts->bytes.size);
    ret->children = child;
    return WEIR_OK;
}

static weir_status regexp_list(struct weir_evaluation *evaluation, const struct weir_node *call,
                               const struct weir_vector *arguments, struct weir_vector *ret,
                               struct weir_error *reterr)
{
    struct matcher matcher;
    bool split = strstr(call->function->name, "split") != NULL, good = true;
    WEIR_TRY(matcher_begin(&matcher, evaluation, call, arguments, reterr));
    WEIR_TRY(weir_result_flat(evaluation, &call->type, ret, reterr));
    struct parts parts = {.bytes.account = evaluation->arena->account,
                          .ends.account = evaluation->arena->account};
    weir_status status = WEIR_OK;
    for (uint32_t i = 0; i < evaluation->count && status == WEIR_OK; i++) {
        if (row_valid(ret, i))
            status = matcher_row(&matcher, i, &good, reterr);
        if (status == WEIR_OK && good && row_valid(ret, i))
            status = list_row(&matcher, group_at(call, arguments, i), split, i, &parts, reterr);
        ret->offsets[i + 1] = (int32_t)parts.count;
    }
    if (status == WEIR_OK)
        status = parts_vector(evaluation, &parts, ret, reterr);
    weir_buffer_done(&parts.bytes);
    weir_buffer_done(&parts.ends);
    return status;
}

/* ---- patterns of other kinds ---- */

/* One row of SIMILAR TO: % and _ as in LIKE, | * + ? {} () [] as in regular expressions, all else
 * as it is. */
static weir_status similar_row(struct weir_buffer *out, struct weir_bytes pattern, int escape,
                               struct weir_error *reterr)
{
    bool set = false;
    WEIR_TRY(weir_buffer_append(out, "^(?:", 4, reterr));
    for (size_t i = 0; i < pattern.size; i++) {
        uint8_t byte = pattern.data[i];
        bool taken = byte == escape && i + 1 < pattern.size;
        if (taken)
            byte = pattern.data[++i];
        bool special = strchr(".^$\\", byte) && byte;
        if (taken && byte < 0x80 && strchr("%_|*+?{}()[].^$\\-", byte) && byte)
            WEIR_TRY(weir_buffer_print(out, reterr, "\\%c", byte));
        else if (!taken && !set && byte == '%')
            WEIR_TRY(weir_buffer_append(out, ".*", 2, reterr));
        else if (!taken && !set && byte == '_')
            WEIR_TRY(weir_buffer_append(out, ".", 1, reterr));
        else if (!taken && special && !(set && byte == '^'))
            WEIR_TRY(weir_buffer_print(out, reterr, "\\%c", byte));
        else
            WEIR_TRY(weir_buffer_append(out, &byte, 1, reterr));
        set = !taken && byte == '[' ? true : !taken && byte == ']' ? false : set;
    }
    return weir_buffer_append(out, ")$", 2, reterr);
}

static weir_status like_row(struct weir_buffer *out, struct weir_bytes pattern, int escape,
                            struct weir_error *reterr)
{
    for (size_t i = 0; i < pattern.size; i++) {
        uint8_t byte = pattern.data[i];
        if (byte == escape && i + 1 < pattern.size) {
            WEIR_TRY(weir_buffer_append(out, "\\", 1, reterr));
            byte = pattern.data[++i];
        } else if (byte == '\\') {
            WEIR_TRY(weir_buffer_append(out, "\\", 1, reterr));
        }
        WEIR_TRY(weir_buffer_append(out, &byte, 1, reterr));
    }
    return WEIR_OK;
}

static weir_status escape_rows(struct weir_evaluation *evaluation, const struct weir_node *call,
                               const struct weir_vector *arguments, struct weir_vector *ret,
                               weir_status (*row)(struct weir_buffer *out,
                                                  struct weir_bytes pattern, int escape,
                                                  struct weir_error *reterr),
                               struct weir_error *reterr)
{
    struct text_writer writer;
    struct weir_lane pattern = weir_lane_of(&arguments[0]),
                     escape = weir_lane_of(&arguments[call->argument_count - 1]);
    weir_status status = text_begin(&writer, evaluation, &call->type, ret, reterr);
    for (uint32_t i = 0; i < evaluation->count && status == WEIR_OK; i++) {
        if (row_valid(ret, i)) {
            struct weir_bytes sign = {(const uint8_t *)"\\", 1};
            if (call->argument_count == 2)
                sign = weir_lane_bytes(&escape, i);
            if (sign.size > 1)
                status = weir_evaluation_fail(evaluation, call, i, reterr,
                                              "ESCAPE takes one ASCII character or none");
            else
                status = row(&writer.buffer, weir_lane_bytes(&pattern, i),
                             sign.size ? sign.data[0] : -1, reterr);
        }
        if (status == WEIR_OK)
            status = text_row(&writer, reterr);
    }
    return text_finish(&writer, status, reterr);
}

static weir_status similar_escape(struct weir_evaluation *evaluation, const struct weir_node *call,
                                  const struct weir_vector *arguments, struct weir_vector *ret,
                                  struct weir_error *reterr)
{
    return escape_rows(evaluation, call, arguments, ret, similar_row, reterr);
}

static weir_status like_escape(struct weir_evaluation *evaluation, const struct weir_node *call,
                               const struct weir_vector *arguments, struct weir_vector *ret,
                               struct weir_error *reterr)
{
    return escape_rows(evaluation, call, arguments, ret, like_row, reterr);
}

#define REGEXP(name, signature, doc, least, most, bind, evaluate)                                  \
    {                                                                                              \
        name, "strings", signature, doc, WEIR_FUNCTION_STRICT, least, most, bind, evaluate,        \
            regexp_prepare                                                                         \
    }
#define ESCAPE(name, signature, doc, evaluate)                                                     \
    {                                                                                              \
        name, "strings", signature, doc, WEIR_FUNCTION_STRICT, 1, 2, regexp_bind_text, evaluate,   \
            NULL                                                                                   \
    }

const struct weir_function functions_regexp[] = {
    REGEXP("regexp_matches", "regexp_matches(text, pattern, flags)",
           "whether a part of it matches; also text ~ pattern", 2, 3, regexp_bind_boolean,
           regexp_test),
    REGEXP("regexp_like", "regexp_like(text, pattern, flags)", "whether a part of it matches", 2, 3,
           regexp_bind_boolean, regexp_test),
    REGEXP("regexp_full_match", "regexp_full_match(text, pattern, flags)",
           "whether all of it matches", 2, 3, regexp_bind_boolean, regexp_test),
    REGEXP("~*", "text ~* pattern", "whether a part of it matches in either case", 2, 2,
           regexp_bind_boolean, regexp_test),
    REGEXP("!~", "text !~ pattern", "whether no part of it matches", 2, 2, regexp_bind_boolean,
           regexp_test),
    REGEXP("!~*", "text !~* pattern", "whether no part of it matches in either case", 2, 2,
           regexp_bind_boolean, regexp_test),
    REGEXP("regexp_replace", "regexp_replace(text, pattern, by, flags)",
           "the first match replaced, with flag g all; \\1 in `by` is a group", 3, 4,
           regexp_bind_text, regexp_replace),
    REGEXP("regexp_extract", "regexp_extract(text, pattern, group)",
           "the first match or a group of it; empty when there is none", 2, 3, regexp_bind_group,
           regexp_extract),
    REGEXP("regexp_count", "regexp_count(text, pattern)", "how many matches", 2, 2,
           regexp_bind_long, regexp_count),
    REGEXP("regexp_extract_all", "regexp_extract_all(text, pattern, group)",
           "all matches or a group of each, as a list", 2, 3, regexp_bind_list, regexp_list),
    REGEXP("regexp_split_to_array", "regexp_split_to_array(text, pattern)",
           "what lies between the matches, as a list", 2, 2, regexp_bind_list, regexp_list),
    REGEXP("string_split_regex", "string_split_regex(text, pattern)",
           "what lies between the matches, as a list", 2, 2, regexp_bind_list, regexp_list),
    ESCAPE("similar_to_escape", "similar_to_escape(pattern, escape)",
           "SIMILAR TO's pattern as a regular expression", similar_escape),
    ESCAPE("like_escape", "like_escape(pattern, escape)",
           "a pattern of LIKE with an escape of its own", like_escape),
    {0},
};
