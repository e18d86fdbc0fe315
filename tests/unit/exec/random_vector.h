/* Random vectors of every type and kind, and values as text, for the tests of this room. */
#ifndef WEIR_TESTS_UNIT_EXEC_RANDOM_VECTOR_H
#define WEIR_TESTS_UNIT_EXEC_RANDOM_VECTOR_H

#include "engine/base/text.h"
#include "engine/vec/vector.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define OK(call)                                                                                   \
    do {                                                                                           \
        struct weir_error ok_error_ = {0};                                                         \
        struct weir_error *error = &ok_error_;                                                     \
        (void)error;                                                                               \
        weir_status ok_status_ = (call);                                                           \
        cr_assert_eq(ok_status_, WEIR_OK, "%s: %s", weir_status_name(ok_status_), ok_error_.text); \
    } while (0)

struct dice {
    uint64_t state;
};

static inline uint64_t roll(struct dice *dice)
{
    uint64_t mixed = dice->state += 0x9e3779b97f4a7c15u;
    mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9u;
    mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111ebu;
    return mixed ^ mixed >> 31;
}

static inline uint32_t roll_below(struct dice *dice, uint32_t bound)
{
    return (uint32_t)(roll(dice) % bound);
}

/* Small numbers mostly, so that values meet again; extremes now and then. */
static inline int64_t roll_long(struct dice *dice)
{
    uint32_t kind = roll_below(dice, 40);
    if (kind == 0)
        return INT64_MIN;
    if (kind == 1)
        return INT64_MAX;
    return kind < 10 ? (int64_t)roll(dice) : (int64_t)roll_below(dice, 9) - 4;
}

static inline double roll_double(struct dice *dice)
{
    static const double odd[] = {0.0, -0.0, 1.5, -1.5, INFINITY, -INFINITY, 5e-324, -1e308};
    uint32_t kind = roll_below(dice, 12);
    if (kind == 0)
        return NAN;
    if (kind == 1)
        return -NAN;
    return kind < 8 ? odd[roll_below(dice, 8)] : ((double)roll_below(dice, 1000) - 500) / 8;
}

static inline struct weir_vector random_flat(struct weir_arena *arena, struct dice *dice,
                                             const struct weir_type *type, uint32_t count,
                                             uint32_t null_percent);

static inline void random_values(struct weir_arena *arena, struct dice *dice,
                                 struct weir_vector *vector, uint32_t count, uint32_t null_percent)
{
    const struct weir_type *type = vector->type;
    uint8_t *bytes = vector->values;
    for (uint32_t i = 0; i < count; i++) {
        bool valid = weir_vector_valid(vector, i);
        switch (type->id) {
        case WEIR_BOOLEAN:
            if (roll(dice) & 1)
                weir_bit_set(bytes, i);
            break;
        case WEIR_INT:
        case WEIR_DATE: ((int32_t *)vector->values)[i] = (int32_t)roll_long(dice); break;
        case WEIR_FLOAT: ((float *)vector->values)[i] = (float)roll_double(dice); break;
        case WEIR_DOUBLE: ((double *)vector->values)[i] = roll_double(dice); break;
        case WEIR_DECIMAL:
            ((weir_int128 *)vector->values)[i] = (weir_int128)roll_long(dice) *
                                                 (roll_below(dice, 4) ? 1 : 1000000007);
            break;
        case WEIR_STRING:
        case WEIR_BINARY: {
            uint32_t size = valid ? roll_below(dice, roll_below(dice, 8) ? 3 : 40) : 0;
            for (uint32_t b = 0; b < size; b++)
                bytes[vector->offsets[i] + (int32_t)b] =
                    type->id == WEIR_STRING ? (uint8_t)("ab\0"[roll_below(dice, 3)])
                                            : (uint8_t)(roll(dice) % 3 * 127);
            vector->offsets[i + 1] = vector->offsets[i] + (int32_t)size;
            break;
        }
        case WEIR_LIST:
        case WEIR_MAP:
            vector->offsets[i + 1] = vector->offsets[i] +
                                     (int32_t)(valid ? roll_below(dice, 4) : 0);
            break;
        case WEIR_STRUCT: break;
        default:
            if (weir_type_width(type) == 8)
                ((int64_t *)vector->values)[i] = roll_long(dice);
            else
                for (uint32_t b = 0; b < weir_type_width(type); b++)
                    bytes[i * weir_type_width(type) + b] = (uint8_t)(roll_below(dice, 3) * 100);
        }
    }
    uint32_t below = vector->offsets ? (uint32_t)vector->offsets[count] : count;
    for (uint32_t c = 0; c < type->child_count; c++)
        vector->children[c] = random_flat(arena, dice, &type->children[c].type, below,
                                          type->children[c].required ? 0 : null_percent);
}

static inline struct weir_vector random_flat(struct weir_arena *arena, struct dice *dice,
                                             const struct weir_type *type, uint32_t count,
                                             uint32_t null_percent)
{
    struct weir_vector vector;
    OK(weir_vector_make(arena, type, count, (size_t)count * 40, &vector, error));
    vector.count = count;
    if (null_percent) {
        OK(weir_arena_zero(arena, count / 8 + 128, 1, &vector.validity, error));
        for (uint32_t i = 0; i < count; i++) {
            if (roll_below(dice, 100) >= null_percent)
                weir_bit_set(vector.validity, i);
            else
                vector.null_count++;
        }
    }
    random_values(arena, dice, &vector, count, null_percent);
    return vector;
}

static inline struct weir_vector random_vector(struct weir_arena *arena, struct dice *dice,
                                               const struct weir_type *type,
                                               enum weir_vector_kind kind, uint32_t count,
                                               uint32_t null_percent)
{
    if (kind == WEIR_FLAT)
        return random_flat(arena, dice, type, count, null_percent);
    struct weir_vector flat = random_flat(arena, dice, type, kind == WEIR_CONSTANT ? 1 : 7,
                                          kind == WEIR_CONSTANT ? null_percent : 0);
    if (kind == WEIR_CONSTANT) {
        flat.kind = WEIR_CONSTANT;
        flat.count = count;
        return flat;
    }
    struct weir_vector vector = {.type = type, .kind = kind, .count = count};
    OK(weir_arena_zero(arena, 1, sizeof flat, &vector.dictionary, error));
    *vector.dictionary = flat;
    OK(weir_arena_alloc(arena, (count + 1) * sizeof(uint32_t), &vector.indices, error));
    OK(weir_arena_zero(arena, count / 8 + 128, 1, &vector.validity, error));
    for (uint32_t i = 0; i < count; i++) {
        vector.indices[i] = roll_below(dice, 7);
        if (roll_below(dice, 100) >= null_percent)
            weir_bit_set(vector.validity, i);
        else
            vector.null_count++;
    }
    return vector;
}

/* ---- values as text ---- */

static inline void print_value(struct weir_buffer *out, const struct weir_vector *vector,
                               uint32_t row);

static inline void print_fixed(struct weir_buffer *out, const struct weir_vector *flat, uint32_t at)
{
    char text[64];
    double number;
    switch (flat->type->id) {
    case WEIR_INT:
    case WEIR_DATE:
        OK(weir_buffer_print(out, error, "%" PRId32, ((const int32_t *)flat->values)[at]));
        break;
    case WEIR_FLOAT:
    case WEIR_DOUBLE:
        number = flat->type->id == WEIR_FLOAT ? (double)((const float *)flat->values)[at]
                                              : ((const double *)flat->values)[at];
        OK(weir_buffer_print(out, error, "%s", isnan(number) ? "nan" : ""));
        if (!isnan(number))
            OK(weir_buffer_print(out, error, "%.17g", number == 0 ? 0.0 : number));
        break;
    case WEIR_DECIMAL:
        weir_print_decimal(text, ((const weir_int128 *)flat->values)[at], flat->type->scale);
        OK(weir_buffer_print(out, error, "%s", text));
        break;
    case WEIR_UUID:
    case WEIR_FIXED:
        for (uint32_t b = 0; b < weir_type_width(flat->type); b++)
            OK(weir_buffer_print(
                out, error, "%02x",
                ((const uint8_t *)flat->values)[at * weir_type_width(flat->type) + b]));
        break;
    default: OK(weir_buffer_print(out, error, "%" PRId64, ((const int64_t *)flat->values)[at]));
    }
}

static inline void print_flat(struct weir_buffer *out, const struct weir_vector *flat, uint32_t at)
{
    const struct weir_type *type = flat->type;
    switch (type->id) {
    case WEIR_BOOLEAN:
        OK(weir_buffer_print(out, error, "%s", weir_bit_get(flat->values, at) ? "true" : "false"));
        break;
    case WEIR_STRING:
    case WEIR_BINARY:
        OK(weir_buffer_print(out, error, "'"));
        for (int32_t b = flat->offsets[at], end = flat->offsets[at + 1]; b < end; b++) {
            const uint8_t *bytes = flat->values;
            int32_t plain = b;
            while (plain < end && bytes[plain] >= ' ' && bytes[plain] < 127)
                plain++;
            OK(weir_buffer_append(out, bytes + b, (size_t)(plain - b), error));
            b = plain;
            if (b < end)
                OK(weir_buffer_print(out, error, "\\%02x", bytes[b]));
        }
        OK(weir_buffer_print(out, error, "'"));
        break;
    case WEIR_STRUCT:
        OK(weir_buffer_print(out, error, "{"));
        for (uint32_t c = 0; c < type->child_count; c++) {
            OK(weir_buffer_print(out, error, c ? ", " : ""));
            print_value(out, &flat->children[c], at);
        }
        OK(weir_buffer_print(out, error, "}"));
        break;
    case WEIR_LIST:
    case WEIR_MAP:
        OK(weir_buffer_print(out, error, "["));
        for (int32_t e = flat->offsets[at]; e < flat->offsets[at + 1]; e++) {
            OK(weir_buffer_print(out, error, e > flat->offsets[at] ? ", " : ""));
            for (uint32_t c = 0; c < type->child_count; c++) {
                OK(weir_buffer_print(out, error, c ? ": " : ""));
                print_value(out, &flat->children[c], (uint32_t)e);
            }
        }
        OK(weir_buffer_print(out, error, "]"));
        break;
    default: print_fixed(out, flat, at);
    }
}

/* -0.0 prints as 0. */
static inline void print_value(struct weir_buffer *out, const struct weir_vector *vector,
                               uint32_t row)
{
    if (!weir_vector_valid(vector, row))
        OK(weir_buffer_print(out, error, "null"));
    else if (vector->kind == WEIR_DICTIONARY)
        print_flat(out, vector->dictionary, vector->indices[row]);
    else
        print_flat(out, vector, vector->kind == WEIR_CONSTANT ? 0 : row);
}

#endif
