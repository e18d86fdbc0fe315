/* Vectors put together from several: CASE, lists, concatenation. */
#include "engine/expr/function_int.h"

#include <string.h>

static weir_status concat(struct weir_arena *arena, const struct weir_vector *parts,
                          uint32_t part_count, const struct weir_type *type,
                          struct weir_vector *ret, struct weir_error *reterr);

static weir_status concat_validity(struct weir_arena *arena, const struct weir_vector *parts,
                                   uint32_t part_count, struct weir_vector *out,
                                   struct weir_error *reterr)
{
    bool any = false;
    uint32_t at = 0;
    for (uint32_t p = 0; p < part_count; p++)
        any = any || parts[p].validity;
    if (!any)
        return WEIR_OK;
    WEIR_TRY(expr_bitmap(arena, out->count, false, &out->validity, reterr));
    for (uint32_t p = 0; p < part_count; p++)
        for (uint32_t i = 0; i < parts[p].count; i++, at++)
            if (!parts[p].validity || weir_bit_get(parts[p].validity, i))
                weir_bit_set(out->validity, at);
    expr_count_nulls(out);
    return WEIR_OK;
}

static weir_status concat_offsets(struct weir_arena *arena, const struct weir_vector *parts,
                                  uint32_t part_count, struct weir_vector *out, size_t *ret_total,
                                  struct weir_error *reterr)
{
    size_t total = 0;
    uint32_t at = 0;
    for (uint32_t p = 0; p < part_count; p++)
        total += parts[p].count ? (size_t)parts[p].offsets[parts[p].count] : 0;
    if (total > INT32_MAX)
        return weir_fail(reterr, WEIR_NO_MEMORY, "%zu bytes or elements in one vector", total);
    WEIR_TRY(weir_arena_zero(arena, (size_t)out->count + 17, sizeof *out->offsets, &out->offsets,
                             reterr));
    int32_t base = 0;
    for (uint32_t p = 0; p < part_count; p++) {
        for (uint32_t i = 0; i < parts[p].count; i++)
            out->offsets[++at] = base + parts[p].offsets[i + 1];
        base = out->offsets[at];
    }
    *ret_total = total;
    return WEIR_OK;
}

static weir_status concat_children(struct weir_arena *arena, const struct weir_vector *parts,
                                   uint32_t part_count, struct weir_vector *out,
                                   struct weir_error *reterr)
{
    struct weir_vector *inner;
    uint32_t width = out->type->child_count;
    WEIR_TRY(weir_arena_zero(arena, width + 1, sizeof *out->children, &out->children, reterr));
    WEIR_TRY(weir_arena_zero(arena, part_count + 1, sizeof *inner, &inner, reterr));
    for (uint32_t c = 0; c < width; c++) {
        for (uint32_t p = 0; p < part_count; p++) {
            inner[p] = parts[p].children[c];
            inner[p].count = parts[p].offsets
                                 ? (parts[p].count ? (uint32_t)parts[p].offsets[parts[p].count] : 0)
                                 : parts[p].count;
        }
        WEIR_TRY(concat(arena, inner, part_count, &out->type->children[c].type, &out->children[c],
                        reterr));
    }
    return WEIR_OK;
}

/* parts of any kind, one after the other */
static weir_status concat(struct weir_arena *arena, const struct weir_vector *parts,
                          uint32_t part_count, const struct weir_type *type,
                          struct weir_vector *ret, struct weir_error *reterr)
{
    struct weir_vector out = {.type = type}, *flat;
    uint32_t width = weir_type_width(type), at = 0;
    size_t total = 0;
    WEIR_TRY(weir_arena_zero(arena, part_count + 1, sizeof *flat, &flat, reterr));
    for (uint32_t p = 0; p < part_count; p++) {
        WEIR_TRY(weir_vector_flatten(arena, &parts[p], &flat[p], reterr));
        out.count += flat[p].count;
    }
    WEIR_TRY(concat_validity(arena, flat, part_count, &out, reterr));
    if (type->id == WEIR_STRUCT) {
        WEIR_TRY(concat_children(arena, flat, part_count, &out, reterr));
    } else if (type->id == WEIR_LIST || type->id == WEIR_MAP) {
        WEIR_TRY(concat_offsets(arena, flat, part_count, &out, &total, reterr));
        WEIR_TRY(concat_children(arena, flat, part_count, &out, reterr));
    } else if (type->id == WEIR_BOOLEAN) {
        WEIR_TRY(expr_bitmap(arena, out.count, false, (uint8_t **)&out.values, reterr));
        for (uint32_t p = 0; p < part_count; p++)
            for (uint32_t i = 0; i < flat[p].count; i++, at++)
                if (weir_bit_get(flat[p].values, i))
                    weir_bit_set(out.values, at);
    } else if (width) {
        WEIR_TRY(weir_arena_alloc(arena, (size_t)out.count * width + 64, &out.values, reterr));
        for (uint32_t p = 0; p < part_count; p++) {
            if (flat[p].count)
                memcpy((uint8_t *)out.values + (size_t)at * width, flat[p].values,
                       (size_t)flat[p].count * width);
            at += flat[p].count;
        }
    } else {
        WEIR_TRY(concat_offsets(arena, flat, part_count, &out, &total, reterr));
        WEIR_TRY(weir_arena_alloc(arena, total + 64, &out.values, reterr));
        total = 0;
        for (uint32_t p = 0; p < part_count; p++) {
            size_t size = flat[p].count ? (size_t)flat[p].offsets[flat[p].count] : 0;
            if (size)
                memcpy((uint8_t *)out.values + total, flat[p].values, size);
            total += size;
        }
    }
    *ret = out;
    return WEIR_OK;
}

weir_status weir_vectors_interleave(struct weir_arena *arena, const struct weir_vector *parts,
                                    uint32_t part_count, uint32_t rows,
                                    const struct weir_type *type, struct weir_vector *ret,
                                    struct weir_error *reterr)
{
    struct weir_vector all;
    uint32_t *order;
    WEIR_TRY(concat(arena, parts, part_count, type, &all, reterr));
    WEIR_TRY(
        weir_arena_alloc(arena, ((size_t)rows * part_count + 1) * sizeof *order, &order, reterr));
    for (uint32_t row = 0; row < rows; row++)
        for (uint32_t p = 0; p < part_count; p++)
            order[row * part_count + p] = p * rows + row;
    struct weir_selection selection = {rows * part_count, order};
    return weir_vector_gather(arena, &all, &selection, ret, reterr);
}

static weir_status choose_fixed(struct weir_arena *arena, const struct weir_vector *values,
                                const uint32_t *source, uint32_t rows, uint32_t sources,
                                struct weir_vector *out, struct weir_error *reterr)
{
    uint32_t width = weir_type_width(out->type);
    struct weir_lane *lanes;
    uint8_t *valid, *to;
    bool nulls = false;
    WEIR_TRY(weir_arena_zero(arena, sources + 1, sizeof *lanes, &lanes, reterr));
    WEIR_TRY(weir_arena_alloc(arena, (size_t)rows + 64, &valid, reterr));
    WEIR_TRY(weir_arena_alloc(arena, (size_t)rows * width + 64, &out->values, reterr));
    for (uint32_t s = 0; s < sources; s++)
        if (values[s].type)
            lanes[s] = weir_lane_of(&values[s]);
    to = out->values;
    for (uint32_t i = 0; i < rows; i++) {
        const struct weir_lane *lane = &lanes[source[i]];
        valid[i] = weir_lane_valid(lane, i);
        nulls |= !valid[i];
        memcpy(to + (size_t)i * width,
               (const uint8_t *)lane->flat->values + (size_t)weir_lane(lane, i) * width, width);
    }
    if (!nulls)
        return WEIR_OK;
    WEIR_TRY(expr_bitmap(arena, rows, false, &out->validity, reterr));
    expr_pack_bits(valid, rows, out->validity);
    expr_count_nulls(out);
    return WEIR_OK;
}

weir_status weir_vectors_choose(struct weir_arena *arena, const struct weir_vector *values,
                                const uint32_t *source, uint32_t rows, const struct weir_type *type,
                                struct weir_vector *ret, struct weir_error *reterr)
{
    struct weir_vector out = {.type = type, .count = rows}, all, *parts;
    uint32_t sources = 0, used = 0, *order, *base;
    for (uint32_t i = 0; i < rows; i++)
        sources = source[i] + 1 > sources ? source[i] + 1 : sources;
    if (weir_type_width(type)) {
        WEIR_TRY(choose_fixed(arena, values, source, rows, sources, &out, reterr));
        *ret = out;
        return WEIR_OK;
    }
    WEIR_TRY(weir_arena_zero(arena, sources + 1, sizeof *parts, &parts, reterr));
    WEIR_TRY(weir_arena_zero(arena, sources + 1, sizeof *base, &base, reterr));
    for (uint32_t s = 0; s < sources; s++)
        if (values[s].type) {
            base[s] = used * rows;
            parts[used] = values[s];
            parts[used++].count = rows;
        }
    WEIR_TRY(concat(arena, parts, used, type, &all, reterr));
    WEIR_TRY(weir_arena_alloc(arena, ((size_t)rows + 1) * sizeof *order, &order, reterr));
    for (uint32_t i = 0; i < rows; i++)
        order[i] = base[source[i]] + i;
    struct weir_selection selection = {rows, order};
    return weir_vector_gather(arena, &all, &selection, ret, reterr);
}
