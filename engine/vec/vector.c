/* Making, copying and measuring vectors. */
#include "engine/vec/vector.h"

#include "engine/base/context.h"
#include "engine/base/limits.h"

#include <string.h>

static size_t bitmap_size(size_t count)
{
    return (count + 511) / 512 * 64;
}

size_t weir_bits_count(const uint8_t *bits, size_t count)
{
    size_t ones = 0, at = 0;
    for (; at + 64 <= count; at += 64) {
        uint64_t word;
        memcpy(&word, bits + at / 8, 8);
        ones += (size_t)__builtin_popcountll(word);
    }
    for (; at < count; at++)
        ones += weir_bit_get(bits, at);
    return ones;
}

weir_status weir_vector_make(struct weir_arena *arena, const struct weir_type *type,
                             uint32_t capacity, size_t bytes, struct weir_vector *ret_vector,
                             struct weir_error *reterr)
{
    struct weir_vector vector = {.type = type, .kind = WEIR_FLAT};
    uint32_t width = weir_type_width(type);
    bool has_offsets = type->id == WEIR_STRING || type->id == WEIR_BINARY ||
                       type->id == WEIR_LIST || type->id == WEIR_MAP;
    if (type->id == WEIR_BOOLEAN)
        WEIR_TRY(weir_arena_zero(arena, bitmap_size(capacity) + 64, 1, &vector.values, reterr));
    else if (width)
        WEIR_TRY(weir_arena_alloc(arena, (size_t)capacity * width + 64, &vector.values, reterr));
    if (has_offsets) {
        WEIR_TRY(weir_arena_alloc(arena, ((size_t)capacity + 1) * sizeof(int32_t) + 64,
                                  &vector.offsets, reterr));
        vector.offsets[0] = 0;
    }
    if (type->id == WEIR_STRING || type->id == WEIR_BINARY)
        WEIR_TRY(weir_arena_alloc(arena, bytes + 64, &vector.values, reterr));
    if (type->child_count) {
        WEIR_TRY(weir_arena_zero(arena, type->child_count, sizeof *vector.children,
                                 &vector.children, reterr));
        for (uint32_t i = 0; i < type->child_count; i++)
            WEIR_TRY(weir_vector_make(arena, &type->children[i].type, capacity, bytes,
                                      &vector.children[i], reterr));
    }
    *ret_vector = vector;
    return WEIR_OK;
}

weir_status weir_batch_make(struct weir_arena *arena, const struct weir_type *type,
                            uint32_t capacity, struct weir_batch *ret_batch,
                            struct weir_error *reterr)
{
    struct weir_batch batch = {.type = type};
    WEIR_TRY(weir_arena_zero(arena, type->child_count + 1, sizeof *batch.columns, &batch.columns,
                             reterr));
    for (uint32_t i = 0; i < type->child_count; i++)
        WEIR_TRY(weir_vector_make(arena, &type->children[i].type, capacity, (size_t)capacity * 16,
                                  &batch.columns[i], reterr));
    *ret_batch = batch;
    return WEIR_OK;
}

/* Where row `at` of the output comes from: the flat row below constants and dictionaries. */
static uint32_t source_row(const struct weir_vector *vector, const struct weir_selection *selection,
                           uint32_t at)
{
    uint32_t row = selection ? selection->rows[at] : at;
    return vector->kind == WEIR_CONSTANT ? 0 : row;
}

static weir_status gather_validity(struct weir_arena *arena, const struct weir_vector *vector,
                                   const struct weir_selection *selection, uint32_t count,
                                   struct weir_vector *out, struct weir_error *reterr)
{
    if (!vector->validity)
        return WEIR_OK;
    WEIR_TRY(weir_arena_zero(arena, bitmap_size(count) + 64, 1, &out->validity, reterr));
    if (!selection && vector->kind != WEIR_CONSTANT)
        memcpy(out->validity, vector->validity, ((size_t)count + 7) / 8);
    else
        for (uint32_t i = 0; i < count; i++)
            if (weir_bit_get(vector->validity, source_row(vector, selection, i)))
                weir_bit_set(out->validity, i);
    out->null_count = count - (uint32_t)weir_bits_count(out->validity, count);
    if (out->null_count == 0)
        out->validity = NULL;
    return WEIR_OK;
}

/* Values of `from` (flat) at rows[i] for i < count; a row of UINT32_MAX has no value. */
static weir_status gather_values(struct weir_arena *arena, const struct weir_vector *from,
                                 const uint32_t *rows, uint32_t count, struct weir_vector *out,
                                 struct weir_error *reterr);

static weir_status gather_bytes(struct weir_arena *arena, const struct weir_vector *from,
                                const uint32_t *rows, uint32_t count, struct weir_vector *out,
                                struct weir_error *reterr)
{
    size_t total = 0;
    for (uint32_t i = 0; i < count; i++)
        if (rows[i] != UINT32_MAX)
            total += (size_t)(from->offsets[rows[i] + 1] - from->offsets[rows[i]]);
    if (total > INT32_MAX)
        return weir_fail(reterr, WEIR_NO_MEMORY,
                         "%zu bytes of strings in one vector: more than offsets can hold", total);
    WEIR_TRY(
        weir_arena_alloc(arena, ((size_t)count + 1) * sizeof(int32_t) + 64, &out->offsets, reterr));
    WEIR_TRY(weir_arena_alloc(arena, total + 64, &out->values, reterr));
    const uint8_t *values = from->values;
    uint8_t *to = out->values;
    int32_t at = 0, safe = from->offsets[from->count] - 16; /* 16 bytes from there are within it */
    for (uint32_t i = 0; i < count; i++) {
        out->offsets[i] = at;
        if (i % 1024 == 0)
            WEIR_TRY(weir_arena_check(arena, reterr));
        if (rows[i] == UINT32_MAX)
            continue;
        int32_t begin = from->offsets[rows[i]], size = from->offsets[rows[i] + 1] - begin;
        /* most are short: a copy of a fixed size is one instruction, and its rest is written over
         */
        if (size <= 16 && begin <= safe)
            memcpy(to + at, values + begin, 16);
        else
            memcpy(to + at, values + begin, (size_t)size);
        at += size;
    }
    out->offsets[count] = at;
    return WEIR_OK;
}

static weir_status gather_list(struct weir_arena *arena, const struct weir_vector *from,
                               const uint32_t *rows, uint32_t count, struct weir_vector *out,
                               struct weir_error *reterr)
{
    size_t total = 0;
    for (uint32_t i = 0; i < count; i++)
        if (rows[i] != UINT32_MAX)
            total += (size_t)(from->offsets[rows[i] + 1] - from->offsets[rows[i]]);
    if (total > INT32_MAX)
        return weir_fail(reterr, WEIR_NO_MEMORY,
                         "%zu elements in one vector: more than offsets can hold", total);
    uint32_t *elements;
    WEIR_TRY(weir_arena_alloc(arena, (total + 1) * sizeof *elements, &elements, reterr));
    WEIR_TRY(
        weir_arena_alloc(arena, ((size_t)count + 1) * sizeof(int32_t) + 64, &out->offsets, reterr));
    int32_t at = 0;
    for (uint32_t i = 0; i < count; i++) {
        out->offsets[i] = at;
        if (rows[i] == UINT32_MAX)
            continue;
        if (from->offsets[rows[i] + 1] - from->offsets[rows[i]] > 1024)
            WEIR_TRY(weir_arena_check(arena, reterr));
        for (int32_t e = from->offsets[rows[i]]; e < from->offsets[rows[i] + 1]; e++)
            elements[at++] = (uint32_t)e;
    }
    out->offsets[count] = at;
    struct weir_selection below = {(uint32_t)total, elements};
    WEIR_TRY(weir_arena_zero(arena, from->type->child_count, sizeof *out->children, &out->children,
                             reterr));
    for (uint32_t i = 0; i < from->type->child_count; i++)
        WEIR_TRY(weir_vector_gather(arena, &from->children[i], &below, &out->children[i], reterr));
    return WEIR_OK;
}

static weir_status gather_fixed(struct weir_arena *arena, const struct weir_vector *from,
                                const uint32_t *rows, uint32_t count, struct weir_vector *out,
                                struct weir_error *reterr)
{
    size_t width = weir_type_width(from->type);
    WEIR_TRY(weir_arena_alloc(arena, (size_t)count * width + 64, &out->values, reterr));
    uint8_t *to = out->values;
    const uint8_t *values = from->values;
    for (uint32_t i = 0; i < count; i++) {
        if (i % WEIR_CHECK_ROWS == 0)
            WEIR_TRY(weir_arena_check(arena, reterr));
        if (rows[i] == UINT32_MAX)
            memset(to + i * width, 0, width);
        else if (width == 8)
            memcpy(to + (size_t)i * 8, values + (size_t)rows[i] * 8, 8);
        else if (width == 4)
            memcpy(to + (size_t)i * 4, values + (size_t)rows[i] * 4, 4);
        else
            memcpy(to + i * width, values + rows[i] * width, width);
    }
    return WEIR_OK;
}

static weir_status gather_struct(struct weir_arena *arena, const struct weir_vector *from,
                                 const uint32_t *rows, uint32_t count, struct weir_vector *out,
                                 struct weir_error *reterr)
{
    WEIR_TRY(weir_arena_zero(arena, from->type->child_count, sizeof *out->children, &out->children,
                             reterr));
    for (uint32_t i = 0; i < from->type->child_count; i++) {
        struct weir_selection below = {
            count, rows}; /* every row: a struct's children keep its row count */
        WEIR_TRY(weir_vector_gather(arena, &from->children[i], &below, &out->children[i], reterr));
    }
    return WEIR_OK;
}

static weir_status gather_values(struct weir_arena *arena, const struct weir_vector *from,
                                 const uint32_t *rows, uint32_t count, struct weir_vector *out,
                                 struct weir_error *reterr)
{
    switch (from->type->id) {
    case WEIR_BOOLEAN:
        WEIR_TRY(weir_arena_zero(arena, bitmap_size(count) + 64, 1, &out->values, reterr));
        for (uint32_t i = 0; i < count; i++)
            if (rows[i] != UINT32_MAX && weir_bit_get(from->values, rows[i]))
                weir_bit_set(out->values, i);
        return WEIR_OK;
    case WEIR_STRING:
    case WEIR_BINARY: return gather_bytes(arena, from, rows, count, out, reterr);
    case WEIR_LIST:
    case WEIR_MAP: return gather_list(arena, from, rows, count, out, reterr);
    case WEIR_STRUCT: return gather_struct(arena, from, rows, count, out, reterr);
    default: return gather_fixed(arena, from, rows, count, out, reterr);
    }
}

weir_status weir_vector_gather(struct weir_arena *arena, const struct weir_vector *vector,
                               const struct weir_selection *selection,
                               struct weir_vector *ret_vector, struct weir_error *reterr)
{
    uint32_t count = selection ? selection->count : vector->count;
    struct weir_vector out = {.type = vector->type, .kind = WEIR_FLAT, .count = count};
    WEIR_TRY(gather_validity(arena, vector, selection, count, &out, reterr));
    const struct weir_vector *flat = vector->kind == WEIR_DICTIONARY ? vector->dictionary : vector;
    uint32_t *rows;
    WEIR_TRY(weir_arena_alloc(arena, ((size_t)count + 1) * sizeof *rows, &rows, reterr));
    bool is_struct = vector->type->id ==
                     WEIR_STRUCT; /* children keep their own validity, so every row is copied */
    for (uint32_t i = 0; i < count; i++) {
        if (i % WEIR_CHECK_ROWS == 0)
            WEIR_TRY(weir_arena_check(arena, reterr));
        uint32_t row = source_row(vector, selection, i);
        bool valid = is_struct || !out.validity || weir_bit_get(out.validity, i);
        rows[i] = !valid                            ? UINT32_MAX
                  : vector->kind == WEIR_DICTIONARY ? vector->indices[row]
                                                    : row;
    }
    WEIR_TRY(gather_values(arena, flat, rows, count, &out, reterr));
    *ret_vector = out;
    return WEIR_OK;
}

weir_status weir_batch_gather(struct weir_arena *arena, const struct weir_batch *batch,
                              const struct weir_selection *selection, struct weir_batch *ret_batch,
                              struct weir_error *reterr)
{
    struct weir_batch out = {.type = batch->type,
                             .count = selection ? selection->count : batch->count};
    WEIR_TRY(weir_arena_zero(arena, batch->type->child_count + 1, sizeof *out.columns, &out.columns,
                             reterr));
    for (uint32_t i = 0; i < batch->type->child_count; i++)
        WEIR_TRY(weir_vector_gather(arena, &batch->columns[i], selection, &out.columns[i], reterr));
    *ret_batch = out;
    return WEIR_OK;
}

weir_status weir_vector_as_flat(struct weir_arena *arena, const struct weir_vector *vector,
                                struct weir_vector *ret_vector, struct weir_error *reterr)
{
    struct weir_vector out = *vector;
    uint32_t children = vector->type->child_count;
    if (vector->kind != WEIR_FLAT)
        return weir_vector_gather(arena, vector, NULL, ret_vector, reterr);
    if (out.validity)
        out.null_count = out.count - (uint32_t)weir_bits_count(out.validity, out.count);
    if (out.null_count == 0)
        out.validity = NULL;
    if (children)
        WEIR_TRY(weir_arena_zero(arena, children, sizeof *out.children, &out.children, reterr));
    for (uint32_t i = 0; i < children; i++)
        WEIR_TRY(weir_vector_as_flat(arena, &vector->children[i], &out.children[i], reterr));
    *ret_vector = out;
    return WEIR_OK;
}

weir_status weir_batch_as_flat(struct weir_arena *arena, const struct weir_batch *batch,
                               struct weir_batch *ret_batch, struct weir_error *reterr)
{
    struct weir_batch out = {.type = batch->type, .count = batch->count};
    WEIR_TRY(weir_arena_zero(arena, batch->type->child_count + 1, sizeof *out.columns, &out.columns,
                             reterr));
    for (uint32_t i = 0; i < batch->type->child_count; i++)
        WEIR_TRY(weir_vector_as_flat(arena, &batch->columns[i], &out.columns[i], reterr));
    *ret_batch = out;
    return WEIR_OK;
}

uint64_t weir_vector_bytes(const struct weir_vector *vector)
{
    uint64_t count = vector->count, bytes = count ? (count + 7) / 8 : 0;
    switch (vector->type->id) {
    case WEIR_BOOLEAN: return bytes + (count + 7) / 8;
    case WEIR_STRING:
    case WEIR_BINARY:
        if (vector->kind != WEIR_FLAT)
            return bytes + count * 8;
        return bytes + count * 4 + (uint64_t)vector->offsets[count];
    case WEIR_LIST:
    case WEIR_MAP: bytes += count * 4; break;
    case WEIR_STRUCT: break;
    default: return bytes + count * weir_type_width(vector->type);
    }
    for (uint32_t i = 0; i < vector->type->child_count; i++)
        bytes += weir_vector_bytes(&vector->children[i]);
    return bytes;
}

const struct weir_vector *weir_batch_column(const struct weir_batch *batch, const char *path)
{
    const struct weir_type *type = batch->type;
    const struct weir_vector *columns = batch->columns;
    for (;;) {
        const char *dot = strchr(path, '.');
        size_t size = dot ? (size_t)(dot - path) : strlen(path);
        const struct weir_field *field = weir_type_child(type, path, size);
        if (!field)
            return NULL;
        const struct weir_vector *column = &columns[field - type->children];
        if (!dot)
            return column;
        if (field->type.id != WEIR_STRUCT)
            return NULL;
        type = &field->type;
        columns = column->children;
        path = dot + 1;
    }
}

void weir_vector_retype(struct weir_vector *vector, const struct weir_type *type)
{
    vector->type = type;
    for (uint32_t i = 0; vector->children && i < type->child_count; i++)
        weir_vector_retype(&vector->children[i], &type->children[i].type);
}
