/* Values within values as bytes: see row_int.h for the form. */
#include "engine/exec/row_int.h"

#include <string.h>

/* ---- size and writing ---- */

static uint64_t child_size(const struct weir_vector *child, uint32_t row)
{
    struct weir_lane lane = weir_lane_of(child);
    if (!weir_lane_valid(&lane, row))
        return 1;
    return 1 + row_nested_size(lane.flat, weir_lane(&lane, row));
}

uint64_t row_nested_size(const struct weir_vector *flat, uint32_t at)
{
    const struct weir_type *type = flat->type;
    uint64_t size = 0;
    switch (type->id) {
    case WEIR_BOOLEAN: return 1;
    case WEIR_STRING:
    case WEIR_BINARY: return 4 + (uint64_t)(flat->offsets[at + 1] - flat->offsets[at]);
    case WEIR_STRUCT:
        for (uint32_t i = 0; i < type->child_count; i++)
            size += child_size(&flat->children[i], at);
        return size;
    case WEIR_LIST:
    case WEIR_MAP:
        size = 4;
        for (int32_t e = flat->offsets[at]; e < flat->offsets[at + 1]; e++)
            for (uint32_t i = 0; i < type->child_count; i++)
                size += child_size(&flat->children[i], (uint32_t)e);
        return size;
    default: return weir_type_width(type);
    }
}

static uint8_t *write_child(const struct weir_vector *child, uint32_t row, bool canonical,
                            uint8_t *to)
{
    struct weir_lane lane = weir_lane_of(child);
    bool valid = weir_lane_valid(&lane, row);
    *to++ = !valid;
    return valid ? row_nested_write(lane.flat, weir_lane(&lane, row), canonical, to) : to;
}

static uint8_t *write_number(uint8_t *to, uint32_t number)
{
    memcpy(to, &number, sizeof number);
    return to + sizeof number;
}

static uint8_t *write_fixed(const struct weir_vector *flat, uint32_t at, bool canonical,
                            uint8_t *to)
{
    size_t width = weir_type_width(flat->type);
    if (canonical && flat->type->id == WEIR_DOUBLE) {
        double value = row_canonical_double(((const double *)flat->values)[at]);
        memcpy(to, &value, sizeof value);
    } else if (canonical && flat->type->id == WEIR_FLOAT) {
        float value = row_canonical_float(((const float *)flat->values)[at]);
        memcpy(to, &value, sizeof value);
    } else {
        memcpy(to, (const uint8_t *)flat->values + at * width, width);
    }
    return to + width;
}

uint8_t *row_nested_write(const struct weir_vector *flat, uint32_t at, bool canonical, uint8_t *to)
{
    const struct weir_type *type = flat->type;
    uint32_t size;
    switch (type->id) {
    case WEIR_BOOLEAN: *to = weir_bit_get(flat->values, at); return to + 1;
    case WEIR_STRING:
    case WEIR_BINARY:
        size = (uint32_t)(flat->offsets[at + 1] - flat->offsets[at]);
        to = write_number(to, size);
        if (size)
            memcpy(to, (const uint8_t *)flat->values + flat->offsets[at], size);
        return to + size;
    case WEIR_STRUCT:
        for (uint32_t i = 0; i < type->child_count; i++)
            to = write_child(&flat->children[i], at, canonical, to);
        return to;
    case WEIR_LIST:
    case WEIR_MAP:
        to = write_number(to, (uint32_t)(flat->offsets[at + 1] - flat->offsets[at]));
        for (int32_t e = flat->offsets[at]; e < flat->offsets[at + 1]; e++)
            for (uint32_t i = 0; i < type->child_count; i++)
                to = write_child(&flat->children[i], (uint32_t)e, canonical, to);
        return to;
    default: return write_fixed(flat, at, canonical, to);
    }
}

/* ---- reading ---- */

static uint32_t read_number(const uint8_t *from)
{
    uint32_t number;
    memcpy(&number, from, sizeof number);
    return number;
}

/* Behind the null mark and the value at `from`. */
static const uint8_t *skip_child(const struct weir_type *type, const uint8_t *from);

static const uint8_t *skip_value(const struct weir_type *type, const uint8_t *from)
{
    uint32_t count;
    switch (type->id) {
    case WEIR_BOOLEAN: return from + 1;
    case WEIR_STRING:
    case WEIR_BINARY: return from + 4 + read_number(from);
    case WEIR_STRUCT:
        for (uint32_t i = 0; i < type->child_count; i++)
            from = skip_child(&type->children[i].type, from);
        return from;
    case WEIR_LIST:
    case WEIR_MAP:
        count = read_number(from);
        from += 4;
        for (uint32_t e = 0; e < count; e++)
            for (uint32_t i = 0; i < type->child_count; i++)
                from = skip_child(&type->children[i].type, from);
        return from;
    default: return from + weir_type_width(type);
    }
}

static const uint8_t *skip_child(const struct weir_type *type, const uint8_t *from)
{
    return *from ? from + 1 : skip_value(type, from + 1);
}

static weir_status read_any(struct weir_arena *arena, const struct weir_type *type,
                            const uint8_t **values, uint32_t count, struct weir_vector *ret,
                            struct weir_error *reterr)
{
    struct weir_vector vector = {.type = type, .kind = WEIR_FLAT, .count = count};
    WEIR_TRY(row_make_validity(arena, values, count, &vector, reterr));
    WEIR_TRY(row_nested_read(arena, type, values, count, &vector, reterr));
    *ret = vector;
    return WEIR_OK;
}

static weir_status read_bytes(struct weir_arena *arena, const uint8_t **values, uint32_t count,
                              struct weir_vector *vector, struct weir_error *reterr)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < count; i++)
        total += values[i] ? read_number(values[i]) : 0;
    if (total > INT32_MAX)
        return weir_fail(reterr, WEIR_NO_MEMORY,
                         "%llu bytes of strings in one vector: more than offsets can hold",
                         (unsigned long long)total);
    WEIR_TRY(weir_arena_alloc(arena, ((size_t)count + 1) * sizeof(int32_t) + 64, &vector->offsets,
                              reterr));
    WEIR_TRY(weir_arena_alloc(arena, total + 64, &vector->values, reterr));
    uint8_t *out = vector->values;
    uint32_t at = 0;
    for (uint32_t i = 0; i < count; i++) {
        vector->offsets[i] = (int32_t)at;
        if (!values[i])
            continue;
        uint32_t size = read_number(values[i]);
        memcpy(out + at, values[i] + 4, size);
        at += size;
        values[i] += 4 + size;
    }
    vector->offsets[count] = (int32_t)at;
    return WEIR_OK;
}

static weir_status read_struct(struct weir_arena *arena, const struct weir_type *type,
                               const uint8_t **values, uint32_t count, struct weir_vector *vector,
                               struct weir_error *reterr)
{
    const uint8_t **below;
    WEIR_TRY(weir_arena_alloc(arena, ((size_t)count + 1) * sizeof *below, &below, reterr));
    WEIR_TRY(weir_arena_zero(arena, type->child_count + 1, sizeof *vector->children,
                             &vector->children, reterr));
    for (uint32_t c = 0; c < type->child_count; c++) {
        for (uint32_t i = 0; i < count; i++) {
            below[i] = NULL;
            if (values[i])
                below[i] = *values[i]++ ? NULL : values[i];
        }
        WEIR_TRY(
            read_any(arena, &type->children[c].type, below, count, &vector->children[c], reterr));
        for (uint32_t i = 0; i < count; i++)
            values[i] = below[i] ? below[i] : values[i];
    }
    return WEIR_OK;
}

/* Where the children of all elements begin: places[child][element]. */
static void find_elements(const struct weir_type *type, const uint8_t **values, uint32_t count,
                          const uint8_t **places[2], int32_t *offsets)
{
    uint32_t at = 0;
    for (uint32_t i = 0; i < count; i++) {
        offsets[i] = (int32_t)at;
        if (!values[i])
            continue;
        uint32_t elements = read_number(values[i]);
        const uint8_t *from = values[i] + 4;
        for (uint32_t e = 0; e < elements; e++, at++)
            for (uint32_t c = 0; c < type->child_count; c++) {
                places[c][at] = *from ? NULL : from + 1;
                from = skip_child(&type->children[c].type, from);
            }
        values[i] = from;
    }
    offsets[count] = (int32_t)at;
}

static weir_status read_list(struct weir_arena *arena, const struct weir_type *type,
                             const uint8_t **values, uint32_t count, struct weir_vector *vector,
                             struct weir_error *reterr)
{
    uint64_t total = 0;
    const uint8_t **places[2] = {NULL, NULL};
    for (uint32_t i = 0; i < count; i++)
        total += values[i] ? read_number(values[i]) : 0;
    if (total > INT32_MAX)
        return weir_fail(reterr, WEIR_NO_MEMORY,
                         "%llu elements in one vector: more than offsets can hold",
                         (unsigned long long)total);
    WEIR_TRY(weir_arena_alloc(arena, ((size_t)count + 1) * sizeof(int32_t) + 64, &vector->offsets,
                              reterr));
    WEIR_TRY(weir_arena_zero(arena, type->child_count + 1, sizeof *vector->children,
                             &vector->children, reterr));
    for (uint32_t c = 0; c < type->child_count; c++)
        WEIR_TRY(weir_arena_alloc(arena, (total + 1) * sizeof **places, &places[c], reterr));
    find_elements(type, values, count, places, vector->offsets);
    for (uint32_t c = 0; c < type->child_count; c++)
        WEIR_TRY(read_any(arena, &type->children[c].type, places[c], (uint32_t)total,
                          &vector->children[c], reterr));
    return WEIR_OK;
}

weir_status row_nested_read(struct weir_arena *arena, const struct weir_type *type,
                            const uint8_t **values, uint32_t count, struct weir_vector *vector,
                            struct weir_error *reterr)
{
    uint32_t width = type->id == WEIR_BOOLEAN ? 1 : weir_type_width(type);
    switch (type->id) {
    case WEIR_STRING:
    case WEIR_BINARY: return read_bytes(arena, values, count, vector, reterr);
    case WEIR_STRUCT: return read_struct(arena, type, values, count, vector, reterr);
    case WEIR_LIST:
    case WEIR_MAP: return read_list(arena, type, values, count, vector, reterr);
    default: break;
    }
    WEIR_TRY(row_read_fixed(arena, values, count, vector, reterr));
    for (uint32_t i = 0; i < count; i++)
        values[i] = values[i] ? values[i] + width : NULL;
    return WEIR_OK;
}
