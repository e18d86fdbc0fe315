/* Shapes: what values were seen where no schema says what to want, and the types that hold them
 * all. Serves unknown_fields: evolve, and weir_json_infer, which is the same on an empty schema. */
#include "formats/json/json_int.h"

#include "engine/base/text.h"

#include <stdio.h>
#include <string.h>

#define SHAPE_SLOTS 32768 /* more than twice WEIR_SCHEMA_FIELDS_MAX */
#define MAP_KEYS    64    /* an object with more different keys than this is a map */

enum {
    SEEN_NULL = 1 << 0,
    SEEN_LONG = 1 << 1,
    SEEN_WIDE = 1 << 2, /* whole, beyond 64 bits, within 38 digits */
    SEEN_REAL = 1 << 3,
    SEEN_BOOLEAN = 1 << 4,
    SEEN_OBJECT = 1 << 5,
    SEEN_ARRAY = 1 << 6,
    SEEN_TIMESTAMPTZ = 1 << 7,
    SEEN_TIMESTAMP = 1 << 8,
    SEEN_DATE = 1 << 9,
    SEEN_TIME = 1 << 10,
    SEEN_UUID = 1 << 11,
    SEEN_TEXT = 1 << 12,

    CLASS_NUMBER = SEEN_LONG | SEEN_WIDE | SEEN_REAL,
    CLASS_TEXT = SEEN_TIMESTAMPTZ | SEEN_TIMESTAMP | SEEN_DATE | SEEN_TIME | SEEN_UUID | SEEN_TEXT,
};

/* Values of different classes exclude each other. */
#define CLASSES 5
static const uint32_t classes[CLASSES] = {CLASS_NUMBER, CLASS_TEXT, SEEN_BOOLEAN, SEEN_OBJECT,
                                          SEEN_ARRAY};

_Static_assert(SHAPE_SLOTS >= 2 * WEIR_SCHEMA_FIELDS_MAX, "slots must stay free");

struct json_shape {
    const char *name; /* as a member */
    uint32_t name_size;
    uint32_t seen;
    uint64_t values[CLASSES]; /* how many of each */
    uint64_t objects;         /* times it was an object */
    uint64_t present;         /* times it was there, as a member */
    uint32_t member_count;
    bool is_map;         /* had too many keys: `element` is the value */
    uint64_t present_in; /* the last object that had it */
    const struct json_shape *parent;
    struct json_shape *members, *last, *next_member;
    struct json_shape *element;
};

static bool shape_new(struct weir_json_decoder *decoder, struct json_shape **ret_shape)
{
    weir_status status = weir_arena_zero(&decoder->shapes, 1, sizeof **ret_shape, ret_shape,
                                         &decoder->error);

    decoder->shape_count++;
    return status == WEIR_OK || json_out_of_memory(decoder, status);
}

static void shape_see(struct json_shape *shape, uint32_t seen)
{
    shape->seen |= seen;
    for (size_t i = 0; i < CLASSES; i++)
        shape->values[i] += (seen & classes[i]) != 0;
}

/* Where (shape, name) stands in the table, or the free slot where it would. The table is never more
 * than half full: there are at most WEIR_SCHEMA_FIELDS_MAX shapes. */
static size_t member_slot(const struct weir_json_decoder *decoder, const struct json_shape *shape,
                          const char *name, size_t size)
{
    uint64_t seed = decoder->seed ^ (uint64_t)(uintptr_t)shape;
    size_t slot = json_hash(seed, name, size) & (SHAPE_SLOTS - 1);

    for (;; slot = (slot + 1) & (SHAPE_SLOTS - 1)) {
        const struct json_shape *member = decoder->shape_table[slot];
        if (!member || (member->parent == shape && member->name_size == size &&
                        memcmp(member->name, name, size) == 0))
            return slot;
    }
}

static bool member_new(struct weir_json_decoder *decoder, struct json_shape *shape,
                       const char *name, size_t size, struct json_shape **ret_member)
{
    struct json_shape *member;
    char *copy;
    weir_status status;

    if (!shape_new(decoder, &member))
        return false;
    status = weir_arena_copy(&decoder->shapes, name, size, &copy, &decoder->error);
    if (status != WEIR_OK)
        return json_out_of_memory(decoder, status);
    member->name = copy;
    member->name_size = (uint32_t)size;
    member->parent = shape;
    *(shape->last ? &shape->last->next_member : &shape->members) = member;
    shape->last = member;
    shape->member_count++;
    *ret_member = member;
    return true;
}

/* The member of that name, made if it is new; *ret_member = NULL when there are too many to
 * remember. */
static bool shape_member(struct weir_json_decoder *decoder, struct json_shape *shape,
                         const char *name, size_t size, struct json_shape **ret_member)
{
    size_t slot;

    if (!decoder->shape_table) {
        weir_status status = weir_arena_zero(&decoder->shapes, SHAPE_SLOTS,
                                             sizeof *decoder->shape_table, &decoder->shape_table,
                                             &decoder->error);
        if (status != WEIR_OK)
            return json_out_of_memory(decoder, status);
    }
    slot = member_slot(decoder, shape, name, size);
    *ret_member = decoder->shape_table[slot];
    if (*ret_member)
        return true;
    if (decoder->shape_count >= WEIR_SCHEMA_FIELDS_MAX || size > WEIR_NAME_SIZE_MAX ||
        memchr(name, 0, size))
        return true;
    return member_new(decoder, shape, name, size, &decoder->shape_table[slot]) &&
           (*ret_member = decoder->shape_table[slot]) != NULL;
}

/* A key that comes twice in one object is there once. `object` numbers the objects, from 1. */
static void shape_present(struct json_shape *member, uint64_t object)
{
    member->present += member->present_in != object;
    member->present_in = object;
}

/* ---- looking at values ----------------------------------------------------------------------- */

static const uint8_t *skip_space(const uint8_t *at)
{
    while (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t')
        at++;
    return at;
}

/* Behind the closing quote of the string at `at`; its bytes as they stand. */
static const uint8_t *string_behind(const uint8_t *at, bool *ret_escapes)
{
    *ret_escapes = false;
    for (at++; *at != '"'; at++) {
        if (*at == '\\') {
            *ret_escapes = true;
            at++;
        }
    }
    return at + 1;
}

static uint32_t text_kind(const char *text, size_t size, bool escapes)
{
    int64_t micros;
    int32_t days;
    uint8_t uuid[16];

    if (escapes)
        return SEEN_TEXT;
    if (weir_text_timestamptz(text, size, &micros))
        return SEEN_TIMESTAMPTZ;
    if (weir_text_timestamp(text, size, &micros))
        return SEEN_TIMESTAMP;
    if (weir_text_date(text, size, &days))
        return SEEN_DATE;
    if (weir_text_time(text, size, &micros))
        return SEEN_TIME;
    return weir_text_uuid(text, size, uuid) ? SEEN_UUID : SEEN_TEXT;
}

static uint32_t number_kind(const char *text, size_t size)
{
    int64_t whole;
    weir_int128 wide;

    /* 1.0 is a whole number, but whoever writes the point means a fraction */
    if (memchr(text, '.', size) || memchr(text, 'e', size) || memchr(text, 'E', size))
        return SEEN_REAL;
    if (weir_text_exact_int64(text, size, &whole))
        return SEEN_LONG;
    return weir_text_decimal(text, size, 38, 0, &wide) ? SEEN_WIDE : SEEN_REAL;
}

static const uint8_t *shape_value(struct weir_json_decoder *decoder, struct json_shape *shape,
                                  const uint8_t *at);

/* Too many keys: what the members saw becomes what the map's value saw. */
static bool shape_to_map(struct weir_json_decoder *decoder, struct json_shape *shape)
{
    if (!shape->element && !shape_new(decoder, &shape->element))
        return false;
    shape->is_map = true;
    return true;
}

static bool shape_merge(struct weir_json_decoder *decoder, struct json_shape *into,
                        const struct json_shape *from, unsigned depth);

static bool shape_merge_members(struct weir_json_decoder *decoder, struct json_shape *into,
                                const struct json_shape *from, unsigned depth)
{
    for (const struct json_shape *member = from->members; member; member = member->next_member) {
        struct json_shape *same = into->element;
        if (!into->is_map && !shape_member(decoder, into, member->name, member->name_size, &same))
            return false;
        if (same && !shape_merge(decoder, same, member, depth + 1))
            return false;
    }
    return true;
}

static bool shape_check_keys(struct weir_json_decoder *decoder, struct json_shape *shape,
                             unsigned depth)
{
    if (shape->is_map || !(shape->seen & SEEN_OBJECT) || shape->member_count <= MAP_KEYS)
        return true;
    if (!shape_to_map(decoder, shape) || !shape_merge_members(decoder, shape, shape, depth))
        return false;
    shape->members = shape->last = NULL;
    return true;
}

static bool shape_merge(struct weir_json_decoder *decoder, struct json_shape *into,
                        const struct json_shape *from, unsigned depth)
{
    if (depth > WEIR_JSON_DEPTH_MAX)
        return true;
    into->seen |= from->seen;
    into->objects += from->objects;
    into->present += from->present;
    for (size_t i = 0; i < CLASSES; i++)
        into->values[i] += from->values[i];
    if (from->is_map && !into->is_map) {
        if (!shape_to_map(decoder, into) || !shape_merge_members(decoder, into, into, depth))
            return false;
        into->members = into->last = NULL;
    }
    if (!shape_merge_members(decoder, into, from, depth) || !shape_check_keys(decoder, into, depth))
        return false;
    if (from->element) {
        if (!into->element && !shape_new(decoder, &into->element))
            return false;
        return shape_merge(decoder, into->element, from->element, depth + 1);
    }
    return true;
}

static const uint8_t *shape_object(struct weir_json_decoder *decoder, struct json_shape *shape,
                                   const uint8_t *at)
{
    shape->objects++;
    at = skip_space(at + 1);
    while (*at != '}') {
        struct json_shape *member = shape->element, ignored = {0};
        const char *name = (const char *)at + 1;
        bool escapes;
        const uint8_t *end = string_behind(at, &escapes);
        size_t size = (size_t)(end - at) - 2;
        if (escapes) {
            if (!json_scratch(decoder) ||
                !json_unescape(decoder, at + 1, end - 1, decoder->scratch, &size))
                return NULL;
            name = (const char *)decoder->scratch;
        }
        if (!shape->is_map && !shape_member(decoder, shape, name, size, &member))
            return NULL;
        if (!member)
            member = &ignored;
        shape_present(member, shape->objects);
        at = skip_space(skip_space(end) + 1);
        at = shape_value(decoder, member, at);
        if (!at)
            return NULL;
        at = skip_space(at);
        if (*at == ',')
            at = skip_space(at + 1);
        if (!shape_check_keys(decoder, shape, 0))
            return NULL;
    }
    return at + 1;
}

static const uint8_t *shape_array(struct weir_json_decoder *decoder, struct json_shape *shape,
                                  const uint8_t *at)
{
    if (!shape->element && !shape_new(decoder, &shape->element))
        return NULL;
    at = skip_space(at + 1);
    while (*at != ']') {
        at = shape_value(decoder, shape->element, at);
        if (!at)
            return NULL;
        at = skip_space(at);
        if (*at == ',')
            at = skip_space(at + 1);
    }
    return at + 1;
}

/* Recursion is bounded: the value was walked before, within WEIR_JSON_DEPTH_MAX. */
static const uint8_t *shape_value(struct weir_json_decoder *decoder, struct json_shape *shape,
                                  const uint8_t *at)
{
    const uint8_t *end;
    bool escapes;

    switch (*at) {
    case '{': shape_see(shape, SEEN_OBJECT); return shape_object(decoder, shape, at);
    case '[': shape_see(shape, SEEN_ARRAY); return shape_array(decoder, shape, at);
    case '"':
        end = string_behind(at, &escapes);
        shape_see(shape, text_kind((const char *)at + 1, (size_t)(end - at) - 2, escapes));
        return end;
    case 't':
    case 'f': shape_see(shape, SEEN_BOOLEAN); return at + (*at == 't' ? 4 : 5);
    case 'n': shape_see(shape, SEEN_NULL); return at + 4;
    default:
        end = json_number_end(at);
        shape_see(shape, number_kind((const char *)at, (size_t)(end - at)));
        return end;
    }
}

bool json_shape_note(struct weir_json_decoder *decoder, struct json_node *node, const char *name,
                     size_t size, const uint8_t *at)
{
    struct json_shape *member;

    if (!node->unknown && !shape_new(decoder, &node->unknown))
        return false;
    if (!shape_member(decoder, node->unknown, name, size, &member))
        return false;
    if (!member)
        return true;
    shape_present(member, (uint64_t)decoder->root->count + decoder->rows_before + 1);
    return shape_value(decoder, member, at) != NULL;
}

/* ---- from shapes to types -------------------------------------------------------------------- */

struct resolve {
    struct weir_arena *arena;
    struct weir_error *reterr;
    /* infer: conflicts are errors, what is unknown is a string, required where always there.
     * Else: the class of most values, text is a string, whatever it looks like. */
    bool strict;
};

static weir_status resolve_type(const struct resolve *resolve, const struct json_shape *shape,
                                struct weir_type *ret_type, bool *ret_known);

static enum weir_type_id scalar_type(uint32_t seen)
{
    switch (seen) {
    case SEEN_TIMESTAMPTZ: return WEIR_TIMESTAMPTZ;
    case SEEN_TIMESTAMP: return WEIR_TIMESTAMP;
    case SEEN_DATE: return WEIR_DATE;
    case SEEN_TIME: return WEIR_TIME;
    case SEEN_UUID: return WEIR_UUID;
    case SEEN_BOOLEAN: return WEIR_BOOLEAN;
    case SEEN_LONG: return WEIR_LONG;
    case SEEN_WIDE:
    case SEEN_WIDE | SEEN_LONG: return WEIR_DECIMAL;
    default: return seen & CLASS_NUMBER ? WEIR_DOUBLE : WEIR_STRING;
    }
}

static weir_status resolve_members(const struct resolve *resolve, const struct json_shape *shape,
                                   uint64_t objects, struct weir_type *ret_type, bool *ret_known)
{
    struct weir_type type = {.id = WEIR_STRUCT};
    bool known;

    WEIR_TRY(weir_arena_zero(resolve->arena, (size_t)shape->member_count + 1, sizeof *type.children,
                             &type.children, resolve->reterr));
    for (const struct json_shape *member = shape->members; member; member = member->next_member) {
        struct weir_field *field = &type.children[type.child_count];
        char *name;
        weir_status status = resolve_type(resolve, member, &field->type, &known);
        if (status != WEIR_OK) {
            weir_error_prefix(resolve->reterr, "%s", member->name);
            return status;
        }
        if (!known)
            continue;
        WEIR_TRY(weir_arena_copy(resolve->arena, member->name, member->name_size, &name,
                                 resolve->reterr));
        field->name = name;
        field->required = resolve->strict && member->present >= objects &&
                          !(member->seen & SEEN_NULL);
        type.child_count++;
    }
    *ret_known = type.child_count > 0;
    *ret_type = type;
    return WEIR_OK;
}

static weir_status resolve_element(const struct resolve *resolve, const struct json_shape *element,
                                   const char *name, struct weir_field *field, bool *ret_known)
{
    field->name = name;
    field->required = resolve->strict && element && element->seen != 0 &&
                      !(element->seen & SEEN_NULL);
    if (!element) {
        field->type = (struct weir_type){.id = WEIR_STRING};
        *ret_known = resolve->strict;
        return WEIR_OK;
    }
    return resolve_type(resolve, element, &field->type, ret_known);
}

static weir_status resolve_nested(const struct resolve *resolve, const struct json_shape *shape,
                                  struct weir_type *ret_type, bool *ret_known)
{
    struct weir_type type = {.id = shape->seen & SEEN_ARRAY ? WEIR_LIST : WEIR_MAP};
    uint32_t at = 0;

    WEIR_TRY(
        weir_arena_zero(resolve->arena, 2, sizeof *type.children, &type.children, resolve->reterr));
    if (type.id == WEIR_MAP)
        type.children[at++] = (struct weir_field){
            .name = "key", .required = true, .type = {.id = WEIR_STRING}};
    WEIR_TRY(resolve_element(resolve, shape->element, at ? "value" : "element", &type.children[at],
                             ret_known));
    type.child_count = at + 1;
    *ret_type = type;
    return WEIR_OK;
}

static weir_status resolve_type(const struct resolve *resolve, const struct json_shape *shape,
                                struct weir_type *ret_type, bool *ret_known)
{
    uint32_t seen = shape->seen & ~(uint32_t)SEEN_NULL;
    size_t most = 0;
    int different = 0;

    for (size_t i = 0; i < CLASSES; i++) {
        different += (seen & classes[i]) != 0;
        most = shape->values[i] > shape->values[most] ? i : most;
    }
    *ret_known = false;
    if (different > 1 && resolve->strict)
        return weir_fail(resolve->reterr, WEIR_USAGE,
                         "values of different types that no one type holds");
    if (seen == 0 && !resolve->strict)
        return WEIR_OK;
    if (different > 1)
        seen &= classes[most];
    if (!resolve->strict && (seen & CLASS_TEXT))
        seen = SEEN_TEXT;
    if (seen == SEEN_OBJECT && !shape->is_map && (shape->members || !resolve->strict))
        return resolve_members(resolve, shape, shape->objects, ret_type, ret_known);
    if (seen == SEEN_ARRAY ||
        seen == SEEN_OBJECT) /* an object that was always empty is a map, too */
        return resolve_nested(resolve, shape, ret_type, ret_known);
    *ret_type = (struct weir_type){.id = scalar_type(seen)};
    if (ret_type->id == WEIR_DECIMAL)
        ret_type->precision = 38;
    *ret_known = true;
    return WEIR_OK;
}

weir_status json_shape_fields(const struct weir_json_decoder *decoder, uint64_t records,
                              struct weir_arena *arena, struct weir_type *ret_type,
                              struct weir_error *reterr)
{
    const struct resolve resolve = {.arena = arena, .reterr = reterr, .strict = true};
    bool known;

    if (!decoder->root->unknown)
        return weir_fail(reterr, WEIR_USAGE, "no field in any record");
    return resolve_members(&resolve, decoder->root->unknown, records, ret_type, &known);
}

/* ---- what the schema lacks ------------------------------------------------------------------- */

bool json_shape_holds(const uint8_t *at)
{
    bool escapes;
    size_t depth = 0;

    for (;;) {
        at = skip_space(at);
        if (*at == '{' || *at == '[') {
            depth++;
            at++;
        } else if (*at == '}' || *at == ']') {
            depth--;
            at++;
        } else if (*at == ',') {
            at++;
        } else if (*at == 'n') {
            at += 4;
        } else if (*at == '"' && depth > 0) { /* a key, or a text */
            at = skip_space(string_behind(at, &escapes));
            if (*at != ':')
                return true;
            at++;
            continue;
        } else {
            return true;
        }
        if (depth == 0)
            return false;
    }
}

static bool gather(struct weir_json_decoder *into, struct json_node *node,
                   const struct json_node *from)
{
    if (from->unknown) {
        if (!node->unknown && !shape_new(into, &node->unknown))
            return false;
        if (!shape_merge(into, node->unknown, from->unknown, 0))
            return false;
    }
    for (uint32_t i = 0; i < node->child_count; i++)
        if (!gather(into, &node->children[i], &from->children[i]))
            return false;
    return true;
}

static weir_status extend(const struct resolve *resolve, const struct json_node *node,
                          struct weir_type *type)
{
    struct weir_type more = {0};
    struct weir_field *fields;
    bool known;

    for (uint32_t i = 0; i < type->child_count; i++)
        WEIR_TRY(extend(resolve, &node->children[i], &type->children[i].type));
    if (!node->unknown)
        return WEIR_OK;
    WEIR_TRY(resolve_members(resolve, node->unknown, 0, &more, &known));
    if (!known)
        return WEIR_OK;
    WEIR_TRY(weir_arena_zero(resolve->arena, (size_t)type->child_count + more.child_count,
                             sizeof *fields, &fields, resolve->reterr));
    if (type->child_count > 0)
        memcpy(fields, type->children, type->child_count * sizeof *fields);
    memcpy(fields + type->child_count, more.children, more.child_count * sizeof *fields);
    type->children = fields;
    type->child_count += more.child_count;
    return WEIR_OK;
}

weir_status weir_json_evolved(struct weir_json_decoder *const *decoders, size_t count,
                              struct weir_arena *arena, struct weir_type *ret_type,
                              struct weir_error *reterr)
{
    const struct resolve resolve = {.arena = arena, .reterr = reterr};
    struct weir_json_decoder *first = decoders[0];
    struct weir_type type;

    for (size_t i = 1; i < count; i++) {
        if (gather(first, first->root, decoders[i]->root))
            continue;
        if (reterr)
            *reterr = first->error;
        return first->status;
    }
    WEIR_TRY(weir_type_copy(arena, first->root->declared, &type, reterr));
    WEIR_TRY(extend(&resolve, first->root, &type));
    *ret_type = type;
    return WEIR_OK;
}
