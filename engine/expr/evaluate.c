/* The bound tree over a batch: each node gives one column of values of its class, whole vectors at
 * a time. */
#include "engine/expr/expr_int.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

/* Values of one node for all rows. A constant has one value at row 0 (stride 0). validity NULL =
 * all valid. */
struct values {
    enum value_class class;
    size_t stride;     /* 0: the same value for every row; 1 */
    uint8_t *validity; /* bitmap, always per row */
    uint8_t *bits;     /* BOOL: bitmap per row (constants are spread) */
    const int64_t *numbers;
    const double *reals;
    const weir_int128 *decimals;
    const struct weir_bytes *bytes;
};

struct evaluation {
    const struct weir_batch *batch;
    struct weir_arena *arena;
    uint32_t count;
    uint8_t *failed; /* rows that met overflow or division by zero; NULL = none so far */
};

static size_t bitmap_bytes(const struct evaluation *evaluation)
{
    return ((size_t)evaluation->count + 63) / 64 * 8 + 8;
}

static weir_status bitmap(struct evaluation *evaluation, bool ones, uint8_t **ret,
                          struct weir_error *reterr)
{
    WEIR_TRY(weir_arena_alloc(evaluation->arena, bitmap_bytes(evaluation), ret, reterr));
    memset(*ret, ones ? 0xff : 0, bitmap_bytes(evaluation));
    return WEIR_OK;
}

static weir_status fail_row(struct evaluation *evaluation, uint32_t row, struct weir_error *reterr)
{
    if (!evaluation->failed)
        WEIR_TRY(bitmap(evaluation, false, &evaluation->failed, reterr));
    weir_bit_set(evaluation->failed, row);
    return WEIR_OK;
}

static bool valid(const struct values *values, uint32_t row)
{
    return !values->validity || weir_bit_get(values->validity, row);
}

static weir_status merge_validity(struct evaluation *evaluation, uint8_t **into,
                                  const uint8_t *from, struct weir_error *reterr)
{
    if (!from)
        return WEIR_OK;
    if (!*into)
        WEIR_TRY(bitmap(evaluation, true, into, reterr));
    for (size_t i = 0; i < ((size_t)evaluation->count + 7) / 8; i++)
        (*into)[i] &= from[i];
    return WEIR_OK;
}

/* ---- columns ---- */

static uint32_t flat_row(const struct weir_vector *vector, uint32_t row)
{
    return vector->kind == WEIR_CONSTANT     ? 0
           : vector->kind == WEIR_DICTIONARY ? vector->indices[row]
                                             : row;
}

static weir_status column_validity(struct evaluation *evaluation, const struct weir_vector *vector,
                                   struct values *out, struct weir_error *reterr)
{
    if (!vector->validity)
        return WEIR_OK;
    if (vector->kind != WEIR_CONSTANT)
        return merge_validity(evaluation, &out->validity, vector->validity, reterr);
    if (weir_bit_get(vector->validity, 0))
        return WEIR_OK;
    return bitmap(evaluation, false, &out->validity, reterr);
}

static weir_status load_numbers(struct evaluation *evaluation, const struct weir_vector *vector,
                                const struct weir_vector *flat, struct values *out,
                                struct weir_error *reterr)
{
    bool wide = weir_type_width(vector->type) == 8;
    if (wide && vector->kind == WEIR_FLAT) {
        out->numbers = vector->values;
        return WEIR_OK;
    }
    int64_t *numbers;
    WEIR_TRY(weir_arena_alloc(evaluation->arena, ((size_t)evaluation->count + 1) * sizeof *numbers,
                              &numbers, reterr));
    for (uint32_t i = 0; i < evaluation->count; i++) {
        uint32_t row = flat_row(vector, i);
        numbers[i] = !valid(out, i) ? 0
                     : wide         ? ((const int64_t *)flat->values)[row]
                                    : ((const int32_t *)flat->values)[row];
    }
    out->numbers = numbers;
    return WEIR_OK;
}

static weir_status load_reals(struct evaluation *evaluation, const struct weir_vector *vector,
                              const struct weir_vector *flat, struct values *out,
                              struct weir_error *reterr)
{
    bool wide = vector->type->id == WEIR_DOUBLE;
    if (wide && vector->kind == WEIR_FLAT) {
        out->reals = vector->values;
        return WEIR_OK;
    }
    double *reals;
    WEIR_TRY(weir_arena_alloc(evaluation->arena, ((size_t)evaluation->count + 1) * sizeof *reals,
                              &reals, reterr));
    for (uint32_t i = 0; i < evaluation->count; i++) {
        uint32_t row = flat_row(vector, i);
        reals[i] = !valid(out, i) ? 0
                   : wide         ? ((const double *)flat->values)[row]
                                  : (double)((const float *)flat->values)[row];
    }
    out->reals = reals;
    return WEIR_OK;
}

static weir_status load_decimals(struct evaluation *evaluation, const struct weir_vector *vector,
                                 const struct weir_vector *flat, struct values *out,
                                 struct weir_error *reterr)
{
    weir_int128 *decimals;
    WEIR_TRY(weir_arena_alloc(evaluation->arena, ((size_t)evaluation->count + 4) * sizeof *decimals,
                              &decimals, reterr));
    for (uint32_t i = 0; i < evaluation->count; i++) {
        decimals[i] = 0;
        if (valid(out, i))
            memcpy(&decimals[i], (const uint8_t *)flat->values + (size_t)flat_row(vector, i) * 16,
                   16);
    }
    out->decimals = decimals;
    return WEIR_OK;
}

static weir_status load_bytes(struct evaluation *evaluation, const struct weir_vector *vector,
                              const struct weir_vector *flat, struct values *out,
                              struct weir_error *reterr)
{
    struct weir_bytes *bytes;
    uint32_t width = weir_type_width(vector->type);
    WEIR_TRY(weir_arena_alloc(evaluation->arena, ((size_t)evaluation->count + 1) * sizeof *bytes,
                              &bytes, reterr));
    for (uint32_t i = 0; i < evaluation->count; i++) {
        uint32_t row = flat_row(vector, i);
        if (!valid(out, i))
            bytes[i] = (struct weir_bytes){(const uint8_t *)"", 0};
        else if (width)
            bytes[i] = (struct weir_bytes){(const uint8_t *)flat->values + (size_t)row * width,
                                           width};
        else
            bytes[i] = (struct weir_bytes){(const uint8_t *)flat->values + flat->offsets[row],
                                           (size_t)(flat->offsets[row + 1] - flat->offsets[row])};
    }
    out->bytes = bytes;
    return WEIR_OK;
}

static weir_status load_bits(struct evaluation *evaluation, const struct weir_vector *vector,
                             const struct weir_vector *flat, struct values *out,
                             struct weir_error *reterr)
{
    WEIR_TRY(bitmap(evaluation, false, &out->bits, reterr));
    if (vector->kind == WEIR_FLAT) {
        memcpy(out->bits, vector->values, ((size_t)evaluation->count + 7) / 8);
        return WEIR_OK;
    }
    for (uint32_t i = 0; i < evaluation->count; i++)
        if (valid(out, i) && weir_bit_get(flat->values, flat_row(vector, i)))
            weir_bit_set(out->bits, i);
    return WEIR_OK;
}

static weir_status load_column(struct evaluation *evaluation, const struct weir_expr *expr,
                               struct values *out, struct weir_error *reterr)
{
    const struct weir_vector *vector = &evaluation->batch->columns[expr->path[0]];
    WEIR_TRY(column_validity(evaluation, vector, out, reterr));
    for (uint32_t i = 1; i < expr->path_size; i++) {
        vector = &vector->children[expr->path[i]];
        WEIR_TRY(
            column_validity(evaluation, vector, out, reterr)); /* a null struct has null fields */
    }
    const struct weir_vector *flat = vector->kind == WEIR_DICTIONARY ? vector->dictionary : vector;
    out->stride = 1;
    switch (expr->class) {
    case CLASS_BOOL: return load_bits(evaluation, vector, flat, out, reterr);
    case CLASS_LONG: return load_numbers(evaluation, vector, flat, out, reterr);
    case CLASS_DOUBLE: return load_reals(evaluation, vector, flat, out, reterr);
    case CLASS_DECIMAL: return load_decimals(evaluation, vector, flat, out, reterr);
    case CLASS_BYTES: return load_bytes(evaluation, vector, flat, out, reterr);
    }
    return WEIR_OK;
}

static weir_status constant(struct evaluation *evaluation, const struct weir_expr *expr,
                            struct values *out, struct weir_error *reterr)
{
    out->numbers = &expr->number;
    out->reals = &expr->real;
    out->decimals = &expr->decimal;
    out->bytes = &expr->bytes;
    if (expr->kind == NODE_NULL)
        WEIR_TRY(bitmap(evaluation, false, &out->validity, reterr));
    if (expr->class == CLASS_BOOL)
        WEIR_TRY(bitmap(evaluation, expr->number != 0, &out->bits, reterr));
    return WEIR_OK;
}

static weir_status evaluate(struct evaluation *evaluation, const struct weir_expr *expr,
                            struct values *out, struct weir_error *reterr);

/* ---- comparison ---- */

static bool holds(enum compare compare, int order)
{
    switch (compare) {
    case COMPARE_EQ: return order == 0;
    case COMPARE_NE: return order != 0;
    case COMPARE_LT: return order < 0;
    case COMPARE_LE: return order <= 0;
    case COMPARE_GT: return order > 0;
    case COMPARE_GE: return order >= 0;
    }
    return false;
}

/* PostgreSQL's order of doubles: NaN equals NaN and is above everything. */
static int order_reals(double a, double b)
{
    if (isnan(a) || isnan(b))
        return isnan(a) - isnan(b);
    return (a > b) - (a < b);
}

static int order_bytes(struct weir_bytes a, struct weir_bytes b)
{
    size_t size = a.size < b.size ? a.size : b.size;
    int order = size ? memcmp(a.data, b.data, size) : 0;
    return order ? order : (a.size > b.size) - (a.size < b.size);
}

#define COMPARE_LOOP(order)                                                                        \
    for (uint32_t i = 0; i < count; i++)                                                           \
        if (holds(compare, (order)))                                                               \
    weir_bit_set(bits, i)

static void compare_loops(enum compare compare, const struct values *a, const struct values *b,
                          uint32_t count, uint8_t *bits)
{
    size_t x = a->stride, y = b->stride;
    switch (a->class) {
    case CLASS_BOOL:
        COMPARE_LOOP((int)weir_bit_get(a->bits, i) - (int)weir_bit_get(b->bits, i));
        break;
    case CLASS_LONG:
        COMPARE_LOOP((a->numbers[i * x] > b->numbers[i * y]) -
                     (a->numbers[i * x] < b->numbers[i * y]));
        break;
    case CLASS_DOUBLE: COMPARE_LOOP(order_reals(a->reals[i * x], b->reals[i * y])); break;
    case CLASS_DECIMAL:
        COMPARE_LOOP((a->decimals[i * x] > b->decimals[i * y]) -
                     (a->decimals[i * x] < b->decimals[i * y]));
        break;
    case CLASS_BYTES: COMPARE_LOOP(order_bytes(a->bytes[i * x], b->bytes[i * y])); break;
    }
}

static weir_status compare(struct evaluation *evaluation, const struct weir_expr *expr,
                           struct values *out, struct weir_error *reterr)
{
    struct values a, b;
    WEIR_TRY(evaluate(evaluation, expr->arguments[0], &a, reterr));
    WEIR_TRY(evaluate(evaluation, expr->arguments[1], &b, reterr));
    b.class = a.class;
    WEIR_TRY(bitmap(evaluation, false, &out->bits, reterr));
    compare_loops(expr->compare, &a, &b, evaluation->count, out->bits);
    WEIR_TRY(merge_validity(evaluation, &out->validity, a.validity, reterr));
    WEIR_TRY(merge_validity(evaluation, &out->validity, b.validity, reterr));
    if (expr->kind != NODE_DISTINCT)
        return WEIR_OK;
    for (uint32_t i = 0; i < evaluation->count; i++) { /* nulls compare as values */
        bool both = valid(&a, i) && valid(&b, i),
             equal = both ? weir_bit_get(out->bits, i) : valid(&a, i) == valid(&b, i);
        weir_bit_clear(out->bits, i);
        if (equal != expr->negated)
            weir_bit_set(out->bits, i);
    }
    out->validity = NULL;
    return WEIR_OK;
}

/* ---- three-valued logic ---- */

/* AND: false wins over unknown; OR: true does. With `any` = OR. */
static weir_status logic(struct evaluation *evaluation, const struct weir_expr *expr, bool any,
                         struct values *out, struct weir_error *reterr)
{
    uint8_t *unknown, *result;
    size_t size = ((size_t)evaluation->count + 7) / 8;
    bool some_unknown = false;
    WEIR_TRY(bitmap(evaluation, false, &unknown, reterr));
    WEIR_TRY(bitmap(evaluation, !any, &result, reterr));
    for (size_t a = 0; a < expr->argument_count; a++) {
        struct values values;
        WEIR_TRY(evaluate(evaluation, expr->arguments[a], &values, reterr));
        for (size_t i = 0; i < size; i++) {
            uint8_t known = values.validity ? values.validity[i] : 0xff;
            uint8_t truth = values.bits[i] & known, falsehood = (uint8_t)(~values.bits[i] & known);
            unknown[i] |= (uint8_t)~known;
            if (any)
                result[i] |= truth;
            else
                result[i] &= (uint8_t)~falsehood;
        }
        some_unknown |= values.validity != NULL;
    }
    out->bits = result;
    if (!some_unknown)
        return WEIR_OK;
    WEIR_TRY(bitmap(evaluation, true, &out->validity, reterr));
    for (size_t i = 0; i < size; i++) /* unknown only where nothing decided */
        out->validity[i] = any ? (uint8_t)(result[i] | ~unknown[i])
                               : (uint8_t)(~result[i] | ~unknown[i]);
    return WEIR_OK;
}

static weir_status test(struct evaluation *evaluation, const struct weir_expr *expr,
                        struct values *out, struct weir_error *reterr)
{
    struct values values;
    WEIR_TRY(evaluate(evaluation, expr->arguments[0], &values, reterr));
    WEIR_TRY(bitmap(evaluation, false, &out->bits, reterr));
    for (uint32_t i = 0; i < evaluation->count; i++) {
        bool known = valid(&values, i), yes;
        if (expr->kind == NODE_IS_NULL)
            yes = !known;
        else
            yes = known && weir_bit_get(values.bits, i) == (expr->kind == NODE_IS_TRUE);
        if (yes != expr->negated)
            weir_bit_set(out->bits, i);
    }
    return WEIR_OK;
}

static weir_status negate_bits(struct evaluation *evaluation, struct values *out,
                               struct weir_error *reterr)
{
    uint8_t *bits;
    WEIR_TRY(bitmap(evaluation, false, &bits, reterr));
    for (size_t i = 0; i < ((size_t)evaluation->count + 7) / 8; i++)
        bits[i] = (uint8_t)~out->bits[i];
    out->bits = bits;
    return WEIR_OK;
}

/* ---- LIKE ---- */

static size_t character(struct weir_bytes text, size_t at)
{
    size_t size = 1;
    while (at + size < text.size && (text.data[at + size] & 0xC0) == 0x80)
        size++;
    return size;
}

/* Greedy with one point of return: linear in practice, quadratic at worst; no recursion. */
static bool like(struct weir_bytes text, struct weir_bytes pattern, bool blind)
{
    size_t t = 0, p = 0, star = SIZE_MAX, mark = 0;
    while (t < text.size) {
        bool escaped = p < pattern.size && pattern.data[p] == '\\' && p + 1 < pattern.size;
        size_t q = escaped ? p + 1 : p;
        if (!escaped && p < pattern.size && pattern.data[p] == '%') {
            star = p++;
            mark = t;
            continue;
        }
        if (!escaped && p < pattern.size && pattern.data[p] == '_') {
            t += character(text, t);
            p++;
            continue;
        }
        if (q < pattern.size && (pattern.data[q] == text.data[t] ||
                                 (blind && tolower(pattern.data[q]) == tolower(text.data[t])))) {
            t++;
            p = q + 1;
            continue;
        }
        if (star == SIZE_MAX)
            return false;
        p = star + 1;
        mark += character(text, mark);
        t = mark;
    }
    while (p < pattern.size && pattern.data[p] == '%')
        p++;
    return p == pattern.size;
}

static weir_status evaluate_like(struct evaluation *evaluation, const struct weir_expr *expr,
                                 struct values *out, struct weir_error *reterr)
{
    struct values a, b;
    WEIR_TRY(evaluate(evaluation, expr->arguments[0], &a, reterr));
    WEIR_TRY(evaluate(evaluation, expr->arguments[1], &b, reterr));
    WEIR_TRY(bitmap(evaluation, false, &out->bits, reterr));
    WEIR_TRY(merge_validity(evaluation, &out->validity, a.validity, reterr));
    WEIR_TRY(merge_validity(evaluation, &out->validity, b.validity, reterr));
    for (uint32_t i = 0; i < evaluation->count; i++)
        if (valid(out, i) &&
            like(a.bytes[i * a.stride], b.bytes[i * b.stride], expr->case_blind) != expr->negated)
            weir_bit_set(out->bits, i);
    return WEIR_OK;
}

/* ---- numbers ---- */

static bool long_operation(char operation, int64_t a, int64_t b, bool narrow, int64_t *ret)
{
    bool bad = false;
    switch (operation) {
    case '+': bad = __builtin_add_overflow(a, b, ret); break;
    case '-': bad = __builtin_sub_overflow(a, b, ret); break;
    case '*': bad = __builtin_mul_overflow(a, b, ret); break;
    case '/':
        bad = b == 0 || (a == INT64_MIN && b == -1);
        if (!bad)
            *ret = a / b;
        break;
    default:
        bad = b == 0;
        if (!bad)
            *ret = b == -1 ? 0 : a % b;
        break;
    }
    return !bad && (!narrow || (*ret >= INT32_MIN && *ret <= INT32_MAX));
}

static bool real_operation(char operation, double a, double b, double *ret)
{
    if ((operation == '/' || operation == '%') && b == 0)
        return false;
    *ret = operation == '+'   ? a + b
           : operation == '-' ? a - b
           : operation == '*' ? a * b
           : operation == '/' ? a / b
                              : fmod(a, b);
    return !isinf(*ret) || isinf(a) || isinf(b);
}

static bool decimal_fits(weir_int128 value)
{
    static const weir_int128 limit = (weir_int128)1000000000000000000LL * 1000000000000000000LL *
                                     100; /* 10^38 */
    return value < limit && value > -limit;
}

static bool decimal_operation(char operation, weir_int128 a, weir_int128 b, weir_int128 *ret)
{
    bool bad = operation == '+'   ? __builtin_add_overflow(a, b, ret)
               : operation == '-' ? __builtin_sub_overflow(a, b, ret)
                                  : __builtin_mul_overflow(a, b, ret);
    return !bad && decimal_fits(*ret);
}

static weir_status arithmetic(struct evaluation *evaluation, const struct weir_expr *expr,
                              struct values *out, struct weir_error *reterr)
{
    struct values a, b;
    uint32_t count = evaluation->count;
    WEIR_TRY(evaluate(evaluation, expr->arguments[0], &a, reterr));
    WEIR_TRY(evaluate(evaluation, expr->arguments[1], &b, reterr));
    WEIR_TRY(merge_validity(evaluation, &out->validity, a.validity, reterr));
    WEIR_TRY(merge_validity(evaluation, &out->validity, b.validity, reterr));
    out->stride = 1;
    bool narrow = expr->type.id == WEIR_INT, good;
    weir_int128 *decimals = NULL;
    int64_t *numbers = NULL;
    double *reals = NULL;
    void *block;
    WEIR_TRY(weir_arena_zero(evaluation->arena, (size_t)count + 4, 16, &block, reterr));
    out->decimals = decimals = block;
    out->numbers = numbers = block;
    out->reals = reals = block;
    for (uint32_t i = 0; i < count; i++) {
        if (!valid(out, i))
            continue;
        if (expr->class == CLASS_LONG)
            good = long_operation(expr->operation, a.numbers[i * a.stride], b.numbers[i * b.stride],
                                  narrow, &numbers[i]);
        else if (expr->class == CLASS_DOUBLE)
            good = real_operation(expr->operation, a.reals[i * a.stride], b.reals[i * b.stride],
                                  &reals[i]);
        else
            good = decimal_operation(expr->operation, a.decimals[i * a.stride],
                                     b.decimals[i * b.stride], &decimals[i]);
        if (!good) {
            WEIR_TRY(fail_row(evaluation, i, reterr));
        }
    }
    return WEIR_OK;
}

static weir_status negate(struct evaluation *evaluation, const struct weir_expr *expr,
                          struct values *out, struct weir_error *reterr)
{
    struct values a;
    WEIR_TRY(evaluate(evaluation, expr->arguments[0], &a, reterr));
    void *block;
    WEIR_TRY(weir_arena_zero(evaluation->arena, (size_t)evaluation->count + 4, 16, &block, reterr));
    out->validity = a.validity;
    out->stride = 1;
    out->numbers = block;
    out->reals = block;
    out->decimals = block;
    bool narrow = expr->type.id == WEIR_INT;
    for (uint32_t i = 0; i < evaluation->count; i++) {
        if (!valid(out, i))
            continue;
        bool good = true;
        if (expr->class == CLASS_LONG)
            good = long_operation('-', 0, a.numbers[i * a.stride], narrow, &((int64_t *)block)[i]);
        else if (expr->class == CLASS_DOUBLE)
            ((double *)block)[i] = -a.reals[i * a.stride];
        else
            ((weir_int128 *)block)[i] = -a.decimals[i * a.stride];
        if (!good)
            WEIR_TRY(fail_row(evaluation, i, reterr));
    }
    return WEIR_OK;
}

static bool rescale(weir_int128 value, int up, weir_int128 *ret)
{
    for (; up > 0; up--)
        if (__builtin_mul_overflow(value, 10, &value))
            return false;
    *ret = value;
    return decimal_fits(value);
}

static double decimal_to_real(weir_int128 value, int scale)
{
    char text[64];
    double real = 0;
    size_t size = weir_print_decimal(text, value, scale);
    if (!weir_text_double(text, size, &real))
        real = (double)value / pow(10, scale);
    return real;
}

/* Widening between classes; a date to its midnight. */
static weir_status convert(struct evaluation *evaluation, const struct weir_expr *expr,
                           struct values *out, struct weir_error *reterr)
{
    const struct weir_expr *from = expr->arguments[0];
    struct values a;
    void *block;
    WEIR_TRY(evaluate(evaluation, from, &a, reterr));
    WEIR_TRY(weir_arena_zero(evaluation->arena, (size_t)evaluation->count + 4, 16, &block, reterr));
    out->validity = a.validity;
    out->stride = 1;
    out->numbers = block;
    out->reals = block;
    out->decimals = block;
    for (uint32_t i = 0; i < evaluation->count; i++) {
        bool good = true;
        if (!valid(out, i))
            continue;
        if (expr->class == CLASS_LONG)
            good = !__builtin_mul_overflow(a.numbers[i * a.stride], (int64_t)86400000000,
                                           &((int64_t *)block)[i]);
        else if (expr->class == CLASS_DOUBLE)
            ((double *)block)[i] = from->class == CLASS_LONG
                                       ? (double)a.numbers[i * a.stride]
                                       : decimal_to_real(a.decimals[i * a.stride], from->scale);
        else
            good = rescale(from->class == CLASS_LONG ? a.numbers[i * a.stride]
                                                     : a.decimals[i * a.stride],
                           expr->scale - from->scale, &((weir_int128 *)block)[i]);
        if (!good)
            WEIR_TRY(fail_row(evaluation, i, reterr));
    }
    return WEIR_OK;
}

static weir_status evaluate(struct evaluation *evaluation, const struct weir_expr *expr,
                            struct values *out, struct weir_error *reterr)
{
    *out = (struct values){.class = expr->class};
    switch (expr->kind) {
    case NODE_COLUMN: return load_column(evaluation, expr, out, reterr);
    case NODE_CONSTANT:
    case NODE_NULL: return constant(evaluation, expr, out, reterr);
    case NODE_AND: return logic(evaluation, expr, false, out, reterr);
    case NODE_OR: return logic(evaluation, expr, true, out, reterr);
    case NODE_IN:
        WEIR_TRY(logic(evaluation, expr, true, out, reterr));
        return expr->negated ? negate_bits(evaluation, out, reterr) : WEIR_OK;
    case NODE_NOT:
        WEIR_TRY(evaluate(evaluation, expr->arguments[0], out, reterr));
        out->class = CLASS_BOOL;
        return negate_bits(evaluation, out, reterr);
    case NODE_COMPARE:
    case NODE_DISTINCT: return compare(evaluation, expr, out, reterr);
    case NODE_IS_NULL:
    case NODE_IS_TRUE:
    case NODE_IS_FALSE: return test(evaluation, expr, out, reterr);
    case NODE_LIKE: return evaluate_like(evaluation, expr, out, reterr);
    case NODE_ARITHMETIC: return arithmetic(evaluation, expr, out, reterr);
    case NODE_NEGATE: return negate(evaluation, expr, out, reterr);
    case NODE_CONVERT: return convert(evaluation, expr, out, reterr);
    }
    return weir_fail(reterr, WEIR_INTERNAL, "unknown expression node %d", expr->kind);
}

weir_status weir_expr_evaluate(const struct weir_expr *expr, const struct weir_batch *batch,
                               struct weir_arena *arena, struct weir_vector *ret_result,
                               uint8_t **ret_failed, struct weir_error *reterr)
{
    static const struct weir_type boolean = {.id = WEIR_BOOLEAN};
    struct evaluation evaluation = {.batch = batch, .arena = arena, .count = batch->count};
    struct values values;
    WEIR_TRY(evaluate(&evaluation, expr, &values, reterr));
    struct weir_vector result = {.type = &boolean,
                                 .kind = WEIR_FLAT,
                                 .count = batch->count,
                                 .values = values.bits,
                                 .validity = values.validity};
    if (evaluation.failed) {
        if (!result.validity)
            WEIR_TRY(bitmap(&evaluation, true, &result.validity, reterr));
        for (uint32_t i = 0; i < batch->count; i++)
            if (weir_bit_get(evaluation.failed, i))
                weir_bit_clear(result.validity, i);
    }
    if (result.validity)
        result.null_count = batch->count - (uint32_t)weir_bits_count(result.validity, batch->count);
    *ret_result = result;
    *ret_failed = evaluation.failed;
    return WEIR_OK;
}
