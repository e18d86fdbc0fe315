/* Functions of text. */
#include "engine/expr/function_int.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* ---- binding ---- */

static weir_status all_text(struct weir_arena *arena, struct weir_node *call,
                            enum weir_type_id result, struct weir_error *reterr)
{
    for (uint32_t i = 0; i < call->argument_count; i++)
        WEIR_TRY(bind_as(arena, call, i, WEIR_STRING, reterr));
    call->type = (struct weir_type){.id = result};
    return WEIR_OK;
}
static weir_status text_to_text(struct weir_arena *arena, struct weir_node *call,
                                struct weir_error *reterr)
{
    return all_text(arena, call, WEIR_STRING, reterr);
}
static weir_status text_to_boolean(struct weir_arena *arena, struct weir_node *call,
                                   struct weir_error *reterr)
{
    return all_text(arena, call, WEIR_BOOLEAN, reterr);
}
static weir_status text_to_long(struct weir_arena *arena, struct weir_node *call,
                                struct weir_error *reterr)
{
    if (call->argument_count == 1 && call->arguments[0]->type.id == WEIR_LIST) {
        struct weir_node *made; /* length(list) */
        WEIR_TRY(weir_node_call(arena, "len", call->arguments, 1, call->location, &made, reterr));
        *call = *made;
        return WEIR_OK;
    }
    return all_text(arena, call, WEIR_LONG, reterr);
}
/* text, then numbers */
static weir_status text_and_numbers(struct weir_arena *arena, struct weir_node *call,
                                    struct weir_error *reterr)
{
    WEIR_TRY(bind_as(arena, call, 0, WEIR_STRING, reterr));
    for (uint32_t i = 1; i < call->argument_count; i++)
        WEIR_TRY(bind_as(arena, call, i, WEIR_LONG, reterr));
    call->type = (struct weir_type){.id = WEIR_STRING};
    return WEIR_OK;
}
/* text, number, text */
static weir_status bind_pad(struct weir_arena *arena, struct weir_node *call,
                            struct weir_error *reterr)
{
    WEIR_TRY(bind_as(arena, call, 0, WEIR_STRING, reterr));
    WEIR_TRY(bind_as(arena, call, 1, WEIR_LONG, reterr));
    if (call->argument_count == 3)
        WEIR_TRY(bind_as(arena, call, 2, WEIR_STRING, reterr));
    call->type = (struct weir_type){.id = WEIR_STRING};
    return WEIR_OK;
}
static weir_status bind_split_part(struct weir_arena *arena, struct weir_node *call,
                                   struct weir_error *reterr)
{
    WEIR_TRY(bind_as(arena, call, 0, WEIR_STRING, reterr));
    WEIR_TRY(bind_as(arena, call, 1, WEIR_STRING, reterr));
    WEIR_TRY(bind_as(arena, call, 2, WEIR_LONG, reterr));
    call->type = (struct weir_type){.id = WEIR_STRING};
    return WEIR_OK;
}
/* anything becomes text by a cast */
static weir_status bind_concat(struct weir_arena *arena, struct weir_node *call,
                               struct weir_error *reterr)
{
    static const struct weir_type string = {.id = WEIR_STRING};
    struct weir_node **side = call->arguments;
    bool lists = call->function->name[0] == '|' &&
                 (side[0]->type.id == WEIR_LIST || side[1]->type.id == WEIR_LIST);
    if (lists) {
        struct weir_node *made;
        WEIR_TRY(weir_node_call(arena, "list_concat", side, 2, call->location, &made, reterr));
        *call = *made;
        return WEIR_OK;
    }
    for (uint32_t i = 0; i < call->argument_count; i++)
        WEIR_TRY(weir_node_cast(arena, side[i], &string, false, false, &side[i], reterr));
    call->type = string;
    return WEIR_OK;
}

/* ---- characters ---- */

static bool starts_character(uint8_t byte)
{
    return (byte & 0xC0) != 0x80;
}

static size_t characters(struct weir_bytes text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.size; i++)
        count += starts_character(text.data[i]);
    return count;
}

/* Byte where character `at` (from 0) begins, or size. */
static size_t character_at(struct weir_bytes text, int64_t at)
{
    size_t i = 0;
    if (at <= 0)
        return 0;
    for (; i < text.size; i++)
        if (starts_character(text.data[i]) && at-- == 0)
            return i;
    return text.size;
}

/* ---- LIKE ---- */

enum like_shape { LIKE_ANY, LIKE_EXACT, LIKE_PREFIX, LIKE_SUFFIX, LIKE_CONTAINS };

static size_t next_character(struct weir_bytes text, size_t at)
{
    size_t size = 1;
    while (at + size < text.size && !starts_character(text.data[at + size]))
        size++;
    return size;
}

/* Where the text may go on behind a %: at the bytes that the pattern wants there, if any. SIZE_MAX:
 * nowhere. */
static size_t like_seek(struct weir_bytes text, size_t from, struct weir_bytes pattern, size_t p)
{
    size_t end = p;
    while (end < pattern.size && pattern.data[end] != '%' && pattern.data[end] != '_' &&
           pattern.data[end] != '\\')
        end++;
    if (end == p)
        return from;
    const uint8_t *found = memmem(text.data + from, text.size - from, pattern.data + p, end - p);
    return found ? (size_t)(found - text.data) : SIZE_MAX;
}

/* Greedy with one point of return: no recursion, quadratic at worst; ends with false when it is
 * asked to stop, which the caller sees by itself. */
static bool like_match(const struct weir_arena *arena, struct weir_bytes text,
                       struct weir_bytes pattern, bool blind)
{
    size_t t = 0, p = 0, star = SIZE_MAX, mark = 0, steps = 0;
    while (t < text.size) {
        bool escaped = p < pattern.size && pattern.data[p] == '\\' && p + 1 < pattern.size;
        size_t q = escaped ? p + 1 : p;
        if (!escaped && p < pattern.size && pattern.data[p] == '%') {
            star = p++;
            if (p == pattern.size)
                return true;
            mark = t = blind ? t : like_seek(text, t, pattern, p);
            if (t == SIZE_MAX)
                return false;
            continue;
        }
        if (!escaped && p < pattern.size && pattern.data[p] == '_') {
            t += next_character(text, t);
            p++;
            continue;
        }
        if (q < pattern.size && (pattern.data[q] == text.data[t] ||
                                 (blind && tolower(pattern.data[q]) == tolower(text.data[t])))) {
            t++;
            p = q + 1;
            continue;
        }
        if (star == SIZE_MAX || (++steps % 4096 == 0 && weir_arena_check(arena, NULL) != WEIR_OK))
            return false;
        p = star + 1;
        mark += next_character(text, mark);
        mark = t = blind ? mark : like_seek(text, mark, pattern, p);
        if (t == SIZE_MAX)
            return false;
    }
    while (p < pattern.size && pattern.data[p] == '%')
        p++;
    return p == pattern.size;
}

/* x, x%, %x, %x% have shorter ways. */
static enum like_shape shape_of(struct weir_bytes pattern, struct weir_bytes *ret_core)
{
    bool left = pattern.size && pattern.data[0] == '%',
         right = pattern.size > left && pattern.data[pattern.size - 1] == '%';
    struct weir_bytes core = {pattern.data + left, pattern.size - left - right};
    for (size_t i = 0; i < core.size; i++)
        if (core.data[i] == '%' || core.data[i] == '_' || core.data[i] == '\\')
            return LIKE_ANY;
    *ret_core = core;
    return left && right ? LIKE_CONTAINS : left ? LIKE_SUFFIX : right ? LIKE_PREFIX : LIKE_EXACT;
}

static bool shaped_match(enum like_shape shape, struct weir_bytes text, struct weir_bytes core)
{
    if (text.size < core.size || (shape == LIKE_EXACT && text.size != core.size))
        return false;
    if (core.size == 0)
        return true;
    if (shape == LIKE_CONTAINS)
        return memmem(text.data, text.size, core.data, core.size) != NULL;
    size_t from = shape == LIKE_SUFFIX ? text.size - core.size : 0;
    return memcmp(text.data + from, core.data, core.size) == 0;
}

static weir_status evaluate_like(struct weir_evaluation *evaluation, const struct weir_node *call,
                                 const struct weir_vector *arguments, struct weir_vector *ret,
                                 struct weir_error *reterr)
{
    const char *name = call->function->name;
    bool blind = name[strlen(name) - 1] == '*', negated = name[0] == '!';
    struct weir_lane text = weir_lane_of(&arguments[0]), pattern = weir_lane_of(&arguments[1]);
    struct weir_bytes core = {0};
    enum like_shape shape = LIKE_ANY;
    if (arguments[1].kind == WEIR_CONSTANT && !blind)
        shape = shape_of(weir_lane_bytes(&pattern, 0), &core);
    WEIR_TRY(weir_result_flat(evaluation, &call->type, ret, reterr));
    for (uint32_t i = 0; i < evaluation->count; i++) {
        if (ret->validity && !weir_bit_get(ret->validity, i))
            continue;
        struct weir_bytes value = weir_lane_bytes(&text, i);
        bool yes = shape == LIKE_ANY
                       ? like_match(evaluation->arena, value, weir_lane_bytes(&pattern, i), blind)
                       : shaped_match(shape, value, core);
        if (i % 64 == 0 || value.size > 4096)
            WEIR_TRY(weir_arena_check(evaluation->arena, reterr));
        if (yes != negated)
            weir_bit_set(ret->values, i);
    }
    return WEIR_OK;
}

/* ---- tests ---- */

static weir_status evaluate_test(struct weir_evaluation *evaluation, const struct weir_node *call,
                                 const struct weir_vector *arguments, struct weir_vector *ret,
                                 struct weir_error *reterr)
{
    enum like_shape shape = strcmp(call->function->name, "contains") == 0 ? LIKE_CONTAINS
                            : call->function->name[0] == 's'              ? LIKE_PREFIX
                                                                          : LIKE_SUFFIX;
    struct weir_lane text = weir_lane_of(&arguments[0]), part = weir_lane_of(&arguments[1]);
    WEIR_TRY(weir_result_flat(evaluation, &call->type, ret, reterr));
    for (uint32_t i = 0; i < evaluation->count; i++)
        if ((!ret->validity || weir_bit_get(ret->validity, i)) &&
            shaped_match(shape, weir_lane_bytes(&text, i), weir_lane_bytes(&part, i)))
            weir_bit_set(ret->values, i);
    return WEIR_OK;
}

/* ---- lengths and places ---- */

static weir_status evaluate_length(struct weir_evaluation *evaluation, const struct weir_node *call,
                                   const struct weir_vector *arguments, struct weir_vector *ret,
                                   struct weir_error *reterr)
{
    bool bytes = call->function->name[0] != 'l' && call->function->name[0] != 'c';
    struct weir_lane text = weir_lane_of(&arguments[0]);
    WEIR_TRY(weir_result_flat(evaluation, &call->type, ret, reterr));
    for (uint32_t i = 0; i < evaluation->count; i++) {
        struct weir_bytes value = {0};
        if (!ret->validity || weir_bit_get(ret->validity, i))
            value = weir_lane_bytes(&text, i);
        ((int64_t *)ret->values)[i] = (int64_t)(bytes ? value.size : characters(value));
    }
    return WEIR_OK;
}

static weir_status evaluate_position(struct weir_evaluation *evaluation,
                                     const struct weir_node *call,
                                     const struct weir_vector *arguments, struct weir_vector *ret,
                                     struct weir_error *reterr)
{
    struct weir_lane text = weir_lane_of(&arguments[0]), part = weir_lane_of(&arguments[1]);
    WEIR_TRY(weir_result_flat(evaluation, &call->type, ret, reterr));
    for (uint32_t i = 0; i < evaluation->count; i++) {
        int64_t at = 0;
        if (!ret->validity || weir_bit_get(ret->validity, i)) {
            struct weir_bytes a = weir_lane_bytes(&text, i), b = weir_lane_bytes(&part, i);
            const uint8_t *found = b.size ? memmem(a.data, a.size, b.data, b.size) : a.data;
            if (found)
                at = (int64_t)characters((struct weir_bytes){a.data, (size_t)(found - a.data)}) + 1;
        }
        ((int64_t *)ret->values)[i] = at;
    }
    return WEIR_OK;
}

/* ---- text from text ---- */

typedef weir_status (*make_text)(struct weir_buffer *out, const struct weir_node *call,
                                 struct weir_lane *lanes, uint32_t row, struct weir_error *reterr);

static weir_status by_row(struct weir_evaluation *evaluation, const struct weir_node *call,
                          const struct weir_vector *arguments, struct weir_vector *ret,
                          make_text make, struct weir_error *reterr)
{
    struct text_writer writer;
    struct weir_lane lanes[16];
    weir_status status = text_begin(&writer, evaluation, &call->type, ret, reterr);
    for (uint32_t i = 0; i < call->argument_count && i < 16; i++)
        lanes[i] = weir_lane_of(&arguments[i]);
    for (uint32_t i = 0; i < evaluation->count && status == WEIR_OK; i++) {
        if (!ret->validity || weir_bit_get(ret->validity, i))
            status = make(&writer.buffer, call, lanes, i, reterr);
        if (status == WEIR_OK)
            status = text_row(&writer, reterr);
    }
    return text_finish(&writer, status, reterr);
}

static int64_t number_at(const struct weir_lane *lane, uint32_t row)
{
    return ((const int64_t *)lane->flat->values)[weir_lane(lane, row)];
}

/* ASCII and the two-byte letters of Latin-1, Greek and Cyrillic; others stay. */
static weir_status put_cased(struct weir_buffer *out, struct weir_bytes text, bool upper,
                             struct weir_error *reterr)
{
    WEIR_TRY(weir_buffer_reserve(out, text.size + 1, reterr));
    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte = text.data[i];
        uint32_t letter = byte;
        if ((byte & 0xE0) == 0xC0 && i + 1 < text.size) {
            letter = (uint32_t)(byte & 0x1F) << 6 | (text.data[++i] & 0x3F);
            bool latin = (letter >= 0xE0 && letter <= 0xFE && letter != 0xF7) && upper,
                 latin_low = (letter >= 0xC0 && letter <= 0xDE && letter != 0xD7) && !upper;
            if (latin || (upper && letter >= 0x3B1 && letter <= 0x3C9 && letter != 0x3C2) ||
                (upper && letter >= 0x430 && letter <= 0x44F))
                letter -= 32;
            else if (latin_low || (!upper && letter >= 0x391 && letter <= 0x3A9) ||
                     (!upper && letter >= 0x410 && letter <= 0x42F))
                letter += 32;
            else if (upper && letter >= 0x450 && letter <= 0x45F)
                letter -= 80;
            else if (!upper && letter >= 0x400 && letter <= 0x40F)
                letter += 80;
            out->data[out->size++] = (uint8_t)(0xC0 | letter >> 6);
            out->data[out->size++] = (uint8_t)(0x80 | (letter & 0x3F));
            continue;
        }
        out->data[out->size++] = (uint8_t)(byte < 0x80 ? (upper ? toupper(byte) : tolower(byte))
                                                       : byte);
    }
    return WEIR_OK;
}

static weir_status make_case(struct weir_buffer *out, const struct weir_node *call,
                             struct weir_lane *lanes, uint32_t row, struct weir_error *reterr)
{
    return put_cased(out, weir_lane_bytes(&lanes[0], row), call->function->name[0] == 'u', reterr);
}

static weir_status make_substring(struct weir_buffer *out, const struct weir_node *call,
                                  struct weir_lane *lanes, uint32_t row, struct weir_error *reterr)
{
    struct weir_bytes text = weir_lane_bytes(&lanes[0], row);
    int64_t from = number_at(&lanes[1], row), to = INT64_MAX;
    if (call->argument_count == 3 && __builtin_add_overflow(from, number_at(&lanes[2], row), &to))
        to = INT64_MAX;
    from = from < 1 ? 1 : from;
    if (to <= from)
        return WEIR_OK;
    size_t first = character_at(text, from - 1),
           last = to == INT64_MAX ? text.size : character_at(text, to - 1);
    return weir_buffer_append(out, text.data + first, last - first, reterr);
}

static weir_status make_concat(struct weir_buffer *out, const struct weir_node *call,
                               struct weir_lane *lanes, uint32_t row, struct weir_error *reterr)
{
    for (uint32_t i = 0; i < call->argument_count; i++) {
        if (!weir_lane_valid(&lanes[i], row))
            continue; /* concat() passes over nulls */
        struct weir_bytes part = weir_lane_bytes(&lanes[i], row);
        WEIR_TRY(weir_buffer_append(out, part.data, part.size, reterr));
    }
    return WEIR_OK;
}

static bool among(uint8_t byte, struct weir_bytes set)
{
    return memchr(set.data, byte, set.size) != NULL;
}

static weir_status make_trim(struct weir_buffer *out, const struct weir_node *call,
                             struct weir_lane *lanes, uint32_t row, struct weir_error *reterr)
{
    struct weir_bytes text = weir_lane_bytes(&lanes[0], row), set = {(const uint8_t *)" ", 1};
    if (call->argument_count == 2)
        set = weir_lane_bytes(&lanes[1], row);
    char side = call->function->name[0];
    while (side != 'r' && text.size && set.size && among(text.data[0], set)) {
        text.data++;
        text.size--;
    }
    while (side != 'l' && text.size && set.size && among(text.data[text.size - 1], set))
        text.size--;
    return weir_buffer_append(out, text.data, text.size, reterr);
}

static weir_status make_replace(struct weir_buffer *out, const struct weir_node *call,
                                struct weir_lane *lanes, uint32_t row, struct weir_error *reterr)
{
    struct weir_bytes text = weir_lane_bytes(&lanes[0], row),
                      from = weir_lane_bytes(&lanes[1], row), to = weir_lane_bytes(&lanes[2], row);
    (void)call;
    while (from.size) {
        const uint8_t *found = memmem(text.data, text.size, from.data, from.size);
        if (!found)
            break;
        size_t before = (size_t)(found - text.data);
        WEIR_TRY(weir_buffer_append(out, text.data, before, reterr));
        WEIR_TRY(weir_buffer_append(out, to.data, to.size, reterr));
        text.data += before + from.size;
        text.size -= before + from.size;
    }
    return weir_buffer_append(out, text.data, text.size, reterr);
}

static weir_status make_split_part(struct weir_buffer *out, const struct weir_node *call,
                                   struct weir_lane *lanes, uint32_t row, struct weir_error *reterr)
{
    struct weir_bytes text = weir_lane_bytes(&lanes[0], row), by = weir_lane_bytes(&lanes[1], row);
    int64_t wanted = number_at(&lanes[2], row), parts = 1;
    (void)call;
    if (by.size == 0)
        return wanted == 1 || wanted == -1 ? weir_buffer_append(out, text.data, text.size, reterr)
                                           : WEIR_OK;
    for (const uint8_t *at = text.data;
         (at = memmem(at, (size_t)(text.data + text.size - at), by.data, by.size)); at += by.size)
        parts++;
    if (wanted < 0)
        wanted += parts + 1;
    if (wanted < 1 || wanted > parts)
        return WEIR_OK;
    for (int64_t part = 1;; part++) {
        const uint8_t *found = memmem(text.data, text.size, by.data, by.size);
        size_t size = found ? (size_t)(found - text.data) : text.size;
        if (part == wanted)
            return weir_buffer_append(out, text.data, size, reterr);
        text.data += size + by.size;
        text.size -= size + by.size;
    }
}

static weir_status make_ends(struct weir_buffer *out, const struct weir_node *call,
                             struct weir_lane *lanes, uint32_t row, struct weir_error *reterr)
{
    struct weir_bytes text = weir_lane_bytes(&lanes[0], row);
    int64_t wanted = number_at(&lanes[1], row), all = (int64_t)characters(text);
    bool left = call->function->name[0] == 'l';
    int64_t take = wanted >= 0 ? (wanted < all ? wanted : all)
                               : (all + wanted > 0 ? all + wanted : 0);
    size_t cut = character_at(text, left ? take : all - take);
    return left ? weir_buffer_append(out, text.data, cut, reterr)
                : weir_buffer_append(out, text.data + cut, text.size - cut, reterr);
}

static weir_status make_repeat(struct weir_buffer *out, const struct weir_node *call,
                               struct weir_lane *lanes, uint32_t row, struct weir_error *reterr)
{
    struct weir_bytes text = weir_lane_bytes(&lanes[0], row);
    int64_t times = number_at(&lanes[1], row);
    (void)call;
    if (times > 0 && text.size && (uint64_t)times > (64u << 20) / text.size)
        return weir_fail(reterr, WEIR_FAILED, "repeat makes more than 64 MiB");
    for (int64_t i = 0; i < times; i++)
        WEIR_TRY(weir_buffer_append(out, text.data, text.size, reterr));
    return WEIR_OK;
}

static weir_status make_pad(struct weir_buffer *out, const struct weir_node *call,
                            struct weir_lane *lanes, uint32_t row, struct weir_error *reterr)
{
    struct weir_bytes text = weir_lane_bytes(&lanes[0], row), fill = {(const uint8_t *)" ", 1};
    int64_t wanted = number_at(&lanes[1], row), all = (int64_t)characters(text);
    bool left = call->function->name[0] == 'l';
    if (call->argument_count == 3)
        fill = weir_lane_bytes(&lanes[2], row);
    if (wanted > (16 << 20))
        return weir_fail(reterr, WEIR_FAILED, "%s makes more than 16 Mi characters",
                         call->function->name);
    if (wanted <= all)
        return weir_buffer_append(out, text.data, character_at(text, wanted), reterr);
    if (!left)
        WEIR_TRY(weir_buffer_append(out, text.data, text.size, reterr));
    size_t at = 0;
    for (int64_t missing = wanted - all; missing > 0 && fill.size; missing--) {
        size_t size = next_character(fill, at);
        WEIR_TRY(weir_buffer_append(out, fill.data + at, size, reterr));
        at = at + size >= fill.size ? 0 : at + size;
    }
    return left ? weir_buffer_append(out, text.data, text.size, reterr) : WEIR_OK;
}

static weir_status make_reverse(struct weir_buffer *out, const struct weir_node *call,
                                struct weir_lane *lanes, uint32_t row, struct weir_error *reterr)
{
    struct weir_bytes text = weir_lane_bytes(&lanes[0], row);
    (void)call;
    for (size_t end = text.size; end > 0;) {
        size_t start = end - 1;
        while (start > 0 && !starts_character(text.data[start]))
            start--;
        WEIR_TRY(weir_buffer_append(out, text.data + start, end - start, reterr));
        end = start;
    }
    return WEIR_OK;
}

#define BY_ROW(name)                                                                               \
    static weir_status evaluate_##name(                                                            \
        struct weir_evaluation *evaluation, const struct weir_node *call,                          \
        const struct weir_vector *arguments, struct weir_vector *ret, struct weir_error *reterr)   \
    {                                                                                              \
        return by_row(evaluation, call, arguments, ret, make_##name, reterr);                      \
    }
BY_ROW(case)
BY_ROW(substring)
BY_ROW(concat)
BY_ROW(trim)
BY_ROW(replace)
BY_ROW(split_part)
BY_ROW(ends)
BY_ROW(repeat)
BY_ROW(pad)
BY_ROW(reverse)

#define STRICT(name, signature, doc, least, most, bind, evaluate)                                  \
    {                                                                                              \
        name, "strings", signature, doc, WEIR_FUNCTION_STRICT, least, most, bind, evaluate, NULL   \
    }

const struct weir_function functions_string[] = {
    STRICT("~~", "text LIKE pattern", "% any characters, _ one, \\ takes the next as it is", 2, 2,
           text_to_boolean, evaluate_like),
    STRICT("~~*", "text ILIKE pattern", "LIKE that does not tell ASCII's cases apart", 2, 2,
           text_to_boolean, evaluate_like),
    STRICT("!~~", "text NOT LIKE pattern", "the opposite of LIKE", 2, 2, text_to_boolean,
           evaluate_like),
    STRICT("!~~*", "text NOT ILIKE pattern", "the opposite of ILIKE", 2, 2, text_to_boolean,
           evaluate_like),
    STRICT("starts_with", "starts_with(text, prefix)", "whether it begins so", 2, 2,
           text_to_boolean, evaluate_test),
    STRICT("ends_with", "ends_with(text, suffix)", "whether it ends so", 2, 2, text_to_boolean,
           evaluate_test),
    STRICT("contains", "contains(text, part)", "whether the part is in it", 2, 2, text_to_boolean,
           evaluate_test),
    STRICT("length", "length(text)", "characters", 1, 1, text_to_long, evaluate_length),
    STRICT("char_length", "char_length(text)", "characters", 1, 1, text_to_long, evaluate_length),
    STRICT("character_length", "character_length(text)", "characters", 1, 1, text_to_long,
           evaluate_length),
    STRICT("octet_length", "octet_length(text)", "bytes", 1, 1, text_to_long, evaluate_length),
    STRICT("strlen", "strlen(text)", "bytes", 1, 1, text_to_long, evaluate_length),
    STRICT("position", "position(part IN text)", "where the part begins, from 1; 0 = nowhere", 2, 2,
           text_to_long, evaluate_position),
    STRICT("strpos", "strpos(text, part)", "where the part begins, from 1; 0 = nowhere", 2, 2,
           text_to_long, evaluate_position),
    STRICT("instr", "instr(text, part)", "where the part begins, from 1; 0 = nowhere", 2, 2,
           text_to_long, evaluate_position),
    STRICT("lower", "lower(text)", "in lower case", 1, 1, text_to_text, evaluate_case),
    STRICT("lcase", "lcase(text)", "in lower case", 1, 1, text_to_text, evaluate_case),
    STRICT("upper", "upper(text)", "in upper case", 1, 1, text_to_text, evaluate_case),
    STRICT("ucase", "ucase(text)", "in upper case", 1, 1, text_to_text, evaluate_case),
    STRICT("substring", "substring(text, from, count)", "characters from a place, from 1", 2, 3,
           text_and_numbers, evaluate_substring),
    STRICT("substr", "substr(text, from, count)", "characters from a place, from 1", 2, 3,
           text_and_numbers, evaluate_substring),
    STRICT("||", "a || b", "texts or lists one after the other; null if one is", 2, 2, bind_concat,
           evaluate_concat),
    {"concat", "strings", "concat(a, b, ...)", "texts one after the other, nulls left out", 0, 1,
     16, bind_concat, evaluate_concat, NULL},
    STRICT("btrim", "btrim(text, characters)", "without those characters at both ends", 1, 2,
           text_to_text, evaluate_trim),
    STRICT("trim", "trim(text, characters)", "without those characters at both ends", 1, 2,
           text_to_text, evaluate_trim),
    STRICT("ltrim", "ltrim(text, characters)", "without those characters at the start", 1, 2,
           text_to_text, evaluate_trim),
    STRICT("rtrim", "rtrim(text, characters)", "without those characters at the end", 1, 2,
           text_to_text, evaluate_trim),
    STRICT("replace", "replace(text, from, to)", "every part replaced", 3, 3, text_to_text,
           evaluate_replace),
    STRICT("split_part", "split_part(text, separator, n)", "the n-th part, from 1; -1 the last", 3,
           3, bind_split_part, evaluate_split_part),
    STRICT("left", "left(text, n)", "the first n characters; negative: all but the last", 2, 2,
           text_and_numbers, evaluate_ends),
    STRICT("right", "right(text, n)", "the last n characters; negative: all but the first", 2, 2,
           text_and_numbers, evaluate_ends),
    STRICT("repeat", "repeat(text, n)", "n times", 2, 2, text_and_numbers, evaluate_repeat),
    STRICT("lpad", "lpad(text, n, fill)", "filled or cut to n characters, on the left", 2, 3,
           bind_pad, evaluate_pad),
    STRICT("rpad", "rpad(text, n, fill)", "filled or cut to n characters, on the right", 2, 3,
           bind_pad, evaluate_pad),
    STRICT("reverse", "reverse(text)", "backwards", 1, 1, text_to_text, evaluate_reverse),
    {0},
};
