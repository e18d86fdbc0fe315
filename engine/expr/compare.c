/* Comparisons of vectors of one type: one loop a type and operator, bytes of 0 and 1 first (which
 * compilers turn into SIMD), packed to bits behind it. */
#include "engine/expr/function_int.h"

#include <math.h>
#include <string.h>

#define LOOPS(T, OP)                                                                               \
    do {                                                                                           \
        if (y_constant) {                                                                          \
            T c = y[0];                                                                            \
            for (uint32_t i = 0; i < count; i++)                                                   \
                out[i] = x[i] OP c;                                                                \
        } else if (x_constant) {                                                                   \
            T c = x[0];                                                                            \
            for (uint32_t i = 0; i < count; i++)                                                   \
                out[i] = c OP y[i];                                                                \
        } else {                                                                                   \
            for (uint32_t i = 0; i < count; i++)                                                   \
                out[i] = x[i] OP y[i];                                                             \
        }                                                                                          \
    } while (0)

#define COMPARE_TYPE(name, T)                                                                      \
    static void name(enum weir_compare compare, const T *restrict x, bool x_constant,              \
                     const T *restrict y, bool y_constant, uint32_t count, uint8_t *restrict out)  \
    {                                                                                              \
        switch (compare) {                                                                         \
        case WEIR_EQ:                                                                              \
        case WEIR_NOT_DISTINCT: LOOPS(T, ==); break;                                               \
        case WEIR_NE:                                                                              \
        case WEIR_DISTINCT: LOOPS(T, !=); break;                                                   \
        case WEIR_LT: LOOPS(T, <); break;                                                          \
        case WEIR_LE: LOOPS(T, <=); break;                                                         \
        case WEIR_GT: LOOPS(T, >); break;                                                          \
        case WEIR_GE: LOOPS(T, >=); break;                                                         \
        }                                                                                          \
    }

COMPARE_TYPE(compare_int, int32_t)
COMPARE_TYPE(compare_long, int64_t)
COMPARE_TYPE(compare_decimal, weir_int128)

static bool holds(enum weir_compare compare, int order)
{
    switch (compare) {
    case WEIR_EQ:
    case WEIR_NOT_DISTINCT: return order == 0;
    case WEIR_NE:
    case WEIR_DISTINCT: return order != 0;
    case WEIR_LT: return order < 0;
    case WEIR_LE: return order <= 0;
    case WEIR_GT: return order > 0;
    case WEIR_GE: return order >= 0;
    }
    return false;
}

/* Doubles: NaN is equal to itself and above all, which no C operator knows. */
static void compare_double(enum weir_compare compare, const double *x, bool x_constant,
                           const double *y, bool y_constant, uint32_t count, uint8_t *out)
{
    for (uint32_t i = 0; i < count; i++) {
        double a = x[x_constant ? 0 : i], b = y[y_constant ? 0 : i];
        int order = isnan(a) || isnan(b) ? isnan(a) - isnan(b) : (a > b) - (a < b);
        out[i] = holds(compare, order);
    }
}

static void compare_bytes(enum weir_compare compare, const struct weir_vector *a,
                          const struct weir_vector *b, uint32_t count, uint8_t *out)
{
    struct weir_lane x = weir_lane_of(a), y = weir_lane_of(b);
    bool equality = compare == WEIR_EQ || compare == WEIR_NE || compare >= WEIR_DISTINCT;
    for (uint32_t i = 0; i < count; i++) {
        if (!weir_lane_valid(&x, i) || !weir_lane_valid(&y, i)) {
            out[i] = 0;
            continue;
        }
        struct weir_bytes p = weir_lane_bytes(&x, i), q = weir_lane_bytes(&y, i);
        size_t size = p.size < q.size ? p.size : q.size;
        int order;
        if (equality && p.size != q.size)
            order = 1;
        else {
            order = size ? memcmp(p.data, q.data, size) : 0;
            order = order ? order : (p.size > q.size) - (p.size < q.size);
        }
        out[i] = holds(compare, order);
    }
}

static void compare_any(enum weir_compare compare, const struct weir_vector *a,
                        const struct weir_vector *b, uint32_t count, uint8_t *out)
{
    struct weir_lane x = weir_lane_of(a), y = weir_lane_of(b);
    for (uint32_t i = 0; i < count; i++)
        out[i] = weir_lane_valid(&x, i) && weir_lane_valid(&y, i) &&
                 holds(compare, weir_value_order(a, i, b, i));
}

static weir_status compare_values(struct weir_evaluation *evaluation, enum weir_compare compare,
                                  struct weir_vector *a, struct weir_vector *b, uint32_t count,
                                  uint8_t *out, struct weir_error *reterr)
{
    enum weir_type_id id = a->type->id;
    uint32_t width = weir_type_width(a->type);
    bool fixed = (width == 4 || width == 8 || id == WEIR_DECIMAL) && id != WEIR_FLOAT &&
                 id != WEIR_FIXED;
    if (fixed) {
        if (a->kind == WEIR_DICTIONARY)
            WEIR_TRY(weir_vector_flatten(evaluation->arena, a, a, reterr));
        if (b->kind == WEIR_DICTIONARY)
            WEIR_TRY(weir_vector_flatten(evaluation->arena, b, b, reterr));
        bool x = a->kind == WEIR_CONSTANT, y = b->kind == WEIR_CONSTANT;
        if (id == WEIR_DOUBLE)
            compare_double(compare, a->values, x, b->values, y, count, out);
        else if (id == WEIR_DECIMAL)
            compare_decimal(compare, a->values, x, b->values, y, count, out);
        else if (width == 4)
            compare_int(compare, a->values, x, b->values, y, count, out);
        else
            compare_long(compare, a->values, x, b->values, y, count, out);
    } else if (id == WEIR_STRING || id == WEIR_BINARY || id == WEIR_UUID || id == WEIR_FIXED) {
        compare_bytes(compare, a, b, count, out);
    } else {
        compare_any(compare, a, b, count, out);
    }
    return WEIR_OK;
}

/* A dictionary beside a constant: once an entry. */
static weir_status by_entries(struct weir_evaluation *evaluation, enum weir_compare compare,
                              const struct weir_vector *a, const struct weir_vector *b,
                              uint8_t *out, struct weir_error *reterr)
{
    bool left = a->kind == WEIR_DICTIONARY;
    const struct weir_vector *coded = left ? a : b;
    struct weir_vector entries = *coded->dictionary, other = left ? *b : *a;
    uint32_t count = entries.count;
    uint8_t *yes;
    other.count = count;
    WEIR_TRY(weir_arena_alloc(evaluation->arena, (size_t)count + 64, &yes, reterr));
    WEIR_TRY(compare_values(evaluation, compare, left ? &entries : &other, left ? &other : &entries,
                            count, yes, reterr));
    for (uint32_t i = 0; i < evaluation->count; i++)
        out[i] = yes[coded->indices[i]];
    return WEIR_OK;
}

static weir_status merge_distinct(struct weir_evaluation *evaluation, enum weir_compare compare,
                                  const struct weir_vector *a, const struct weir_vector *b,
                                  uint8_t *out)
{
    struct weir_lane x = weir_lane_of(a), y = weir_lane_of(b);
    for (uint32_t i = 0; i < evaluation->count; i++) {
        bool p = weir_lane_valid(&x, i), q = weir_lane_valid(&y, i);
        if (!p || !q)
            out[i] = (p == q) == (compare == WEIR_NOT_DISTINCT);
    }
    return WEIR_OK;
}

weir_status eval_compare(struct weir_evaluation *evaluation, enum weir_compare compare,
                         const struct weir_vector *a, const struct weir_vector *b,
                         struct weir_vector *ret, struct weir_error *reterr)
{
    struct weir_vector x = *a, y = *b, made = {.count = evaluation->count, .type = ret->type};
    uint8_t *bytes;
    bool distinct = compare >= WEIR_DISTINCT;
    bool entries = (x.kind == WEIR_DICTIONARY && y.kind == WEIR_CONSTANT &&
                    x.dictionary->count <= evaluation->count * 2) ||
                   (y.kind == WEIR_DICTIONARY && x.kind == WEIR_CONSTANT &&
                    y.dictionary->count <= evaluation->count * 2);
    bool null_constant = (x.kind == WEIR_CONSTANT && !weir_vector_valid(&x, 0)) ||
                         (y.kind == WEIR_CONSTANT && !weir_vector_valid(&y, 0));
    WEIR_TRY(weir_arena_alloc(evaluation->arena, (size_t)evaluation->count + 64, &bytes, reterr));
    if (null_constant) {
        memset(bytes, 0, evaluation->count);
    } else if (x.kind == WEIR_CONSTANT && y.kind == WEIR_CONSTANT) {
        WEIR_TRY(compare_values(evaluation, compare, &x, &y, 1, bytes, reterr));
        memset(bytes, bytes[0], evaluation->count);
    } else if (entries) {
        WEIR_TRY(by_entries(evaluation, compare, &x, &y, bytes, reterr));
    } else {
        WEIR_TRY(compare_values(evaluation, compare, &x, &y, evaluation->count, bytes, reterr));
    }
    if (distinct) {
        merge_distinct(evaluation, compare, a, b, bytes);
    } else {
        WEIR_TRY(expr_merge_validity(evaluation, a, &made.validity, reterr));
        WEIR_TRY(expr_merge_validity(evaluation, b, &made.validity, reterr));
    }
    WEIR_TRY(
        expr_bitmap(evaluation->arena, evaluation->count, false, (uint8_t **)&made.values, reterr));
    expr_pack_bits(bytes, evaluation->count, made.values);
    expr_count_nulls(&made);
    *ret = made;
    return WEIR_OK;
}
