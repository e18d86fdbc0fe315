/* Random schemas and rows for the Parquet tests: every type, nested three deep, nulls and empty
 * lists everywhere. */
#ifndef WEIR_TESTS_UNIT_PARQUET_SAMPLE_H
#define WEIR_TESTS_UNIT_PARQUET_SAMPLE_H

#include "engine/base/text.h"
#include "engine/vec/vector.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sample_random {
    uint64_t state;
};

static inline uint64_t sample_next(struct sample_random *random)
{
    uint64_t x = (random->state += 0x9e3779b97f4a7c15u);
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}
static inline uint64_t sample_below(struct sample_random *random, uint64_t bound)
{
    return sample_next(random) % bound;
}

static inline void sample_must(weir_status status, const struct weir_error *error)
{
    if (status != WEIR_OK) {
        fprintf(stderr, "%s\n", error->text);
        abort();
    }
}

#define FIELD(name_, id_, required_, ...)                                                          \
    (struct weir_field)                                                                            \
    {                                                                                              \
        .name = name_, .id = id_, .required = required_, .type = { __VA_ARGS__ }                   \
    }
#define KIDS(...)                                                                                  \
    .child_count = sizeof((struct weir_field[]){__VA_ARGS__}) / sizeof(struct weir_field),         \
    .children = (struct weir_field[])                                                              \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

/* Every type once, flat, optional and required, then nesting. Deep copy in the arena. */
static inline struct weir_type *sample_schema(struct weir_arena *arena)
{
    struct weir_type flat = {
        .id = WEIR_STRUCT,
        KIDS(FIELD("boolean", 1, false, .id = WEIR_BOOLEAN), FIELD("int", 2, false, .id = WEIR_INT),
             FIELD("long", 3, true, .id = WEIR_LONG), FIELD("float", 4, false, .id = WEIR_FLOAT),
             FIELD("double", 5, false, .id = WEIR_DOUBLE),
             FIELD("decimal9", 6, false, .id = WEIR_DECIMAL, .precision = 9, .scale = 2),
             FIELD("decimal18", 7, false, .id = WEIR_DECIMAL, .precision = 18, .scale = 3),
             FIELD("decimal38", 8, false, .id = WEIR_DECIMAL, .precision = 38, .scale = 10),
             FIELD("date", 9, false, .id = WEIR_DATE), FIELD("time", 10, false, .id = WEIR_TIME),
             FIELD("timestamp", 11, false, .id = WEIR_TIMESTAMP),
             FIELD("timestamptz", 12, true, .id = WEIR_TIMESTAMPTZ),
             FIELD("string", 13, false, .id = WEIR_STRING),
             FIELD("uuid", 14, false, .id = WEIR_UUID),
             FIELD("fixed5", 15, false, .id = WEIR_FIXED, .length = 5),
             FIELD("binary", 16, false, .id = WEIR_BINARY),
             FIELD("all_null", 17, false, .id = WEIR_INT),
             FIELD("counter", 18, true, .id = WEIR_LONG))};
    struct weir_type inner = {.id = WEIR_STRUCT,
                              KIDS(FIELD("a", 101, false, .id = WEIR_INT),
                                   FIELD("b", 102, true, .id = WEIR_STRING),
                                   FIELD("c", 103, false, .id = WEIR_LIST,
                                         KIDS(FIELD("element", 104, false, .id = WEIR_DOUBLE))))};
    struct weir_field nested[] = {
        FIELD("struct", 200, false, .id = WEIR_STRUCT, .child_count = inner.child_count,
              .children = inner.children),
        FIELD("list", 201, false, .id = WEIR_LIST,
              KIDS(FIELD("element", 202, false, .id = WEIR_LONG))),
        FIELD("list_required", 203, true, .id = WEIR_LIST,
              KIDS(FIELD("element", 204, true, .id = WEIR_STRING))),
        FIELD("map", 205, false, .id = WEIR_MAP,
              KIDS(FIELD("key", 206, true, .id = WEIR_STRING),
                   FIELD("value", 207, false, .id = WEIR_DECIMAL, .precision = 30, .scale = 4))),
        FIELD("list_list", 208, false, .id = WEIR_LIST,
              KIDS(FIELD("element", 209, false, .id = WEIR_LIST,
                         KIDS(FIELD("element", 210, false, .id = WEIR_LIST,
                                    KIDS(FIELD("element", 211, false, .id = WEIR_INT))))))),
        FIELD(
            "map_deep", 212, false, .id = WEIR_MAP,
            KIDS(FIELD("key", 213, true, .id = WEIR_INT),
                 FIELD("value", 214, false, .id = WEIR_STRUCT,
                       KIDS(FIELD("x", 215, false, .id = WEIR_BOOLEAN),
                            FIELD("y", 216, false, .id = WEIR_LIST,
                                  KIDS(FIELD("element", 217, false, .id = WEIR_STRUCT,
                                             KIDS(FIELD("p", 218, true, .id = WEIR_TIMESTAMPTZ),
                                                  FIELD("q", 219, false, .id = WEIR_BINARY))))))))),
    };
    size_t more = sizeof nested / sizeof *nested;
    struct weir_field all[64];
    memcpy(all, flat.children, flat.child_count * sizeof *all);
    memcpy(all + flat.child_count, nested, sizeof nested);
    struct weir_type whole = {
        .id = WEIR_STRUCT, .child_count = flat.child_count + (uint32_t)more, .children = all};
    struct weir_type *copy;
    struct weir_error error;
    sample_must(weir_arena_alloc(arena, sizeof *copy, &copy, &error), &error);
    sample_must(weir_type_copy(arena, &whole, copy, &error), &error);
    return copy;
}

static inline void sample_fixed(const struct weir_field *field, struct sample_random *random,
                                uint32_t row, uint8_t *to)
{
    uint64_t bits = sample_next(random);
    switch (field->type.id) {
    case WEIR_INT:
    case WEIR_DATE: {
        int32_t value = bits & 1 ? (int32_t)(bits >> 40) % 50
                                 : (int32_t)(bits >> 30) % 3000000 - 700000;
        memcpy(to, &value, 4);
        return;
    }
    case WEIR_LONG:
    case WEIR_TIME:
    case WEIR_TIMESTAMP:
    case WEIR_TIMESTAMPTZ: {
        int64_t value = field->type.id == WEIR_TIME ? (int64_t)(bits % 86400000000u)
                        : field->type.id == WEIR_LONG
                            ? (int64_t)bits
                            : (int64_t)(bits % 4000000000000000u) - 1000000000000000;
        if (strcmp(field->name, "counter") == 0)
            value = 5000000 + row;
        memcpy(to, &value, 8);
        return;
    }
    case WEIR_FLOAT: {
        float value = bits % 7 == 0 ? NAN : bits % 11 == 0 ? -0.0f : (float)(int32_t)bits / 7;
        memcpy(to, &value, 4);
        return;
    }
    case WEIR_DOUBLE: {
        double value = bits % 7 == 0    ? (double)(bits >> 60)
                       : bits % 23 == 0 ? INFINITY
                                        : (double)(int64_t)bits / 3e9;
        memcpy(to, &value, 8);
        return;
    }
    case WEIR_DECIMAL: {
        weir_int128 value = ((weir_int128)(int64_t)bits * ((weir_int128)1 << 62)) +
                            (weir_int128)sample_next(random),
                    bound = 1;
        for (int i = 0; i < field->type.precision; i++)
            bound *= 10;
        value %= bound;
        memcpy(to, &value, 16);
        return;
    }
    default:
        for (uint32_t i = 0; i < weir_type_width(&field->type); i++)
            to[i] = (uint8_t)sample_next(random);
    }
}

static inline uint32_t sample_string(const struct weir_field *field, struct sample_random *random,
                                     uint8_t *to)
{
    static const char *const words[] = {"",
                                        "a",
                                        "device-17",
                                        "straße",
                                        "日本語テキスト",
                                        "😀😀😀",
                                        "the quick brown fox jumps over the lazy dog and more than "
                                        "that, it also sleeps under the tree"};
    uint64_t pick = sample_below(random, 10);
    if (field->type.id == WEIR_STRING && pick < 7) {
        memcpy(to, words[pick], strlen(words[pick]));
        return (uint32_t)strlen(words[pick]);
    }
    uint32_t size = (uint32_t)sample_below(random, field->type.id == WEIR_BINARY ? 20 : 12);
    for (uint32_t i = 0; i < size; i++)
        to[i] = field->type.id == WEIR_BINARY ? (uint8_t)sample_next(random)
                                              : (uint8_t)('a' + sample_below(random, 26));
    return size;
}

/* `count` rows of a field; first_row is the number of the first, for counters. Values under nulls
 * are garbage on purpose. */
static inline struct weir_vector sample_vector(struct weir_arena *arena,
                                               const struct weir_field *field, uint32_t count,
                                               uint32_t first_row, struct sample_random *random)
{
    const struct weir_type *type = &field->type;
    struct weir_vector out = {.type = type, .count = count};
    struct weir_error error;
    size_t bitmap = ((size_t)count + 511) / 512 * 64 + 64;
    bool no_nulls = sample_below(random, 4) == 0 && strcmp(field->name, "all_null") != 0;
    if (!field->required && !no_nulls) {
        sample_must(weir_arena_zero(arena, bitmap, 1, &out.validity, &error), &error);
        for (uint32_t i = 0; i < count; i++)
            if (sample_below(random, 4) && strcmp(field->name, "all_null") != 0)
                weir_bit_set(out.validity, i);
            else
                out.null_count++;
    }
    if (type->id == WEIR_BOOLEAN) {
        sample_must(weir_arena_zero(arena, bitmap, 1, &out.values, &error), &error);
        for (size_t i = 0; i < bitmap; i++)
            ((uint8_t *)out.values)[i] = (uint8_t)sample_next(random);
    } else if (type->id == WEIR_STRING || type->id == WEIR_BINARY) {
        sample_must(weir_arena_zero(arena, (size_t)count + 17, 4, &out.offsets, &error), &error);
        sample_must(weir_arena_zero(arena, (size_t)count * 100 + 64, 1, &out.values, &error),
                    &error);
        for (uint32_t i = 0; i < count; i++)
            out.offsets[i + 1] = out.offsets[i] +
                                 (int32_t)sample_string(field, random,
                                                        (uint8_t *)out.values + out.offsets[i]);
    } else if (type->id == WEIR_LIST || type->id == WEIR_MAP) {
        sample_must(weir_arena_zero(arena, (size_t)count + 17, 4, &out.offsets, &error), &error);
        for (uint32_t i = 0; i < count; i++)
            out.offsets[i + 1] = out.offsets[i] +
                                 (weir_vector_valid(&out, i) && sample_below(random, 3)
                                      ? (int32_t)sample_below(random, 4)
                                      : 0);
    } else if (type->id != WEIR_STRUCT) {
        sample_must(weir_arena_zero(arena, (size_t)count * weir_type_width(type) + 64, 1,
                                    &out.values, &error),
                    &error);
        for (uint32_t i = 0; i < count; i++)
            sample_fixed(field, random, first_row + i,
                         (uint8_t *)out.values + (size_t)i * weir_type_width(type));
    }
    if (type->child_count) {
        uint32_t below = type->id == WEIR_STRUCT ? count : (uint32_t)out.offsets[count];
        sample_must(
            weir_arena_zero(arena, type->child_count, sizeof *out.children, &out.children, &error),
            &error);
        for (uint32_t i = 0; i < type->child_count; i++)
            out.children[i] = sample_vector(arena, &type->children[i], below, first_row, random);
    }
    /* keys of a map are told apart, so that readers that make dictionaries lose nothing */
    if (type->id == WEIR_MAP && type->children[0].type.id == WEIR_INT)
        for (uint32_t i = 0; i < (uint32_t)out.offsets[count]; i++)
            ((int32_t *)out.children[0].values)[i] = (int32_t)i;
    return out;
}

static inline struct weir_batch sample_batch(struct weir_arena *arena,
                                             const struct weir_type *schema, uint32_t count,
                                             uint32_t first_row, struct sample_random *random)
{
    struct weir_batch batch = {.type = schema, .count = count};
    struct weir_error error;
    sample_must(
        weir_arena_zero(arena, schema->child_count, sizeof *batch.columns, &batch.columns, &error),
        &error);
    for (uint32_t i = 0; i < schema->child_count; i++)
        batch.columns[i] = sample_vector(arena, &schema->children[i], count, first_row, random);
    return batch;
}

/* ---- canonical text: what a foreign reader's values are compared with
 * -------------------------------------------- */

static inline void sample_print(const struct weir_vector *vector, uint32_t row, FILE *out)
{
    const struct weir_type *type = vector->type;
    const uint8_t *values = vector->values;
    if (!weir_vector_valid(vector, row)) {
        fputs("null", out);
        return;
    }
    switch (type->id) {
    case WEIR_BOOLEAN: fputs(weir_bit_get(values, row) ? "true" : "false", out); return;
    case WEIR_INT:
    case WEIR_DATE: fprintf(out, "%d", ((const int32_t *)vector->values)[row]); return;
    case WEIR_LONG:
    case WEIR_TIME:
    case WEIR_TIMESTAMP:
    case WEIR_TIMESTAMPTZ:
        fprintf(out, "%lld", (long long)((const int64_t *)vector->values)[row]);
        return;
    case WEIR_DECIMAL: {
        char text[64];
        text[weir_print_decimal(text, ((const weir_int128 *)vector->values)[row], type->scale)] = 0;
        fprintf(out, "\"%s\"", text);
        return;
    }
    case WEIR_STRUCT:
        for (uint32_t i = 0; i < type->child_count; i++) {
            fputs(i ? "," : "[", out);
            sample_print(&vector->children[i], row, out);
        }
        fputs("]", out);
        return;
    case WEIR_LIST:
    case WEIR_MAP:
        fputs("[", out);
        for (int32_t at = vector->offsets[row]; at < vector->offsets[row + 1]; at++) {
            fputs(at > vector->offsets[row] ? "," : "", out);
            if (type->id == WEIR_MAP)
                fputs("[", out);
            sample_print(&vector->children[0], (uint32_t)at, out);
            if (type->id == WEIR_MAP) {
                fputs(",", out);
                sample_print(&vector->children[1], (uint32_t)at, out);
                fputs("]", out);
            }
        }
        fputs("]", out);
        return;
    default: {
        bool text = type->id == WEIR_STRING || type->id == WEIR_BINARY;
        size_t width = text ? (size_t)(vector->offsets[row + 1] - vector->offsets[row])
                            : weir_type_width(type);
        const uint8_t *from = text ? values + vector->offsets[row] : values + width * row;
        fputs("\"", out);
        for (size_t i = 0; i < width; i++)
            fprintf(out, "%02x", from[i]);
        fputs("\"", out);
    }
    }
}

static inline void sample_print_row(const struct weir_batch *batch, uint32_t row, FILE *out)
{
    struct weir_vector whole = {
        .type = batch->type, .count = batch->count, .children = batch->columns};
    sample_print(&whole, row, out);
    fputs("\n", out);
}

#endif
