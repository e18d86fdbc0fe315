/* Vectors: making, gathering and measuring, against row-by-row comparison on random batches of
 * every shape. */
#include "engine/vec/vector.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct weir_account account;
static struct weir_arena arena;

static void set_up(void)
{
    weir_account_init(&account, NULL, "test", 0);
    weir_arena_init(&arena, &account);
}

static void tear_down(void)
{
    weir_arena_done(&arena);
    cr_assert_eq(atomic_load(&account.used), 0);
}

TestSuite(vector, .init = set_up, .fini = tear_down);

static struct weir_type *type_of(const char *text)
{
    struct weir_type *type;
    struct weir_error error = {0};
    cr_assert_eq(weir_arena_zero(&arena, 1, sizeof *type, &type, NULL), WEIR_OK);
    cr_assert_eq(weir_type_parse(&arena, text, type, &error), WEIR_OK, "%s", error.text);
    return type;
}

static bool has_offsets(const struct weir_type *type)
{
    return type->id == WEIR_STRING || type->id == WEIR_BINARY || type->id == WEIR_LIST ||
           type->id == WEIR_MAP;
}

/* Random rows; about a third null unless the seed says otherwise. */
static void fill(struct weir_vector *vector, uint32_t count)
{
    const struct weir_type *type = vector->type;
    bool nulls = rand() % 3 != 0;
    vector->count = count;
    if (nulls)
        cr_assert_eq(weir_arena_zero(&arena, count / 8 + 72, 1, &vector->validity, NULL), WEIR_OK);
    for (uint32_t i = 0; i < count; i++) {
        bool valid = !nulls || rand() % 3;
        if (nulls && valid)
            weir_bit_set(vector->validity, i);
        vector->null_count += !valid;
        if (has_offsets(type))
            vector->offsets[i + 1] = vector->offsets[i] + (valid ? rand() % 4 : 0);
        else if (type->id == WEIR_BOOLEAN && rand() % 2)
            weir_bit_set(vector->values, i);
    }
    if (type->id == WEIR_STRING || type->id == WEIR_BINARY)
        for (int32_t i = 0; i < vector->offsets[count]; i++)
            ((char *)vector->values)[i] = (char)('a' + rand() % 26);
    for (size_t i = 0; i < (size_t)count * weir_type_width(type); i++)
        ((uint8_t *)vector->values)[i] = (uint8_t)rand();
    uint32_t below = type->id == WEIR_STRUCT ? count
                     : type->child_count     ? (uint32_t)vector->offsets[count]
                                             : 0;
    for (uint32_t i = 0; i < type->child_count; i++)
        fill(&vector->children[i], below);
}

static struct weir_vector random_vector(const struct weir_type *type, uint32_t count)
{
    struct weir_vector vector;
    cr_assert_eq(weir_vector_make(&arena, type, count * 9 + 1, count * 30 + 1, &vector, NULL),
                 WEIR_OK);
    fill(&vector, count);
    return vector;
}

/* Row a of one and row b of another, whatever their kinds. */
static bool same(const struct weir_vector *one, uint32_t a, const struct weir_vector *two,
                 uint32_t b)
{
    const struct weir_type *type = one->type;
    if (weir_vector_valid(one, a) != weir_vector_valid(two, b))
        return false;
    if (!weir_vector_valid(one, a))
        return true;
    if (one->kind == WEIR_CONSTANT)
        a = 0;
    if (one->kind == WEIR_DICTIONARY)
        return same(one->dictionary, one->indices[a], two, b);
    if (type->id == WEIR_BOOLEAN)
        return weir_bit_get(one->values, a) == weir_bit_get(two->values, b);
    if (type->id == WEIR_STRUCT) {
        for (uint32_t i = 0; i < type->child_count; i++)
            if (!same(&one->children[i], a, &two->children[i], b))
                return false;
        return true;
    }
    if (!has_offsets(type)) {
        size_t width = weir_type_width(type);
        return memcmp((uint8_t *)one->values + a * width, (uint8_t *)two->values + b * width,
                      width) == 0;
    }
    int32_t size = one->offsets[a + 1] - one->offsets[a];
    if (size != two->offsets[b + 1] - two->offsets[b])
        return false;
    if (!type->child_count)
        return memcmp((char *)one->values + one->offsets[a], (char *)two->values + two->offsets[b],
                      (size_t)size) == 0;
    for (int32_t e = 0; e < size; e++)
        for (uint32_t i = 0; i < type->child_count; i++)
            if (!same(&one->children[i], (uint32_t)(one->offsets[a] + e), &two->children[i],
                      (uint32_t)(two->offsets[b] + e)))
                return false;
    return true;
}

static const char *const types[] = {"boolean",
                                    "int",
                                    "long",
                                    "double",
                                    "decimal(20,3)",
                                    "date",
                                    "timestamptz",
                                    "string",
                                    "binary",
                                    "uuid",
                                    "fixed(5)",
                                    "list<long>",
                                    "list<list<string>>",
                                    "map<string, boolean>",
                                    "struct<a: int, b: string, c: list<fixed(3)>>",
                                    "list<struct<a: boolean, b: map<string, list<int>>>>"};
#define TYPES (sizeof types / sizeof *types)

static struct weir_selection random_selection(uint32_t count)
{
    uint32_t *rows, kept = 0;
    cr_assert_eq(weir_arena_alloc(&arena, (count + 1) * sizeof *rows, &rows, NULL), WEIR_OK);
    for (uint32_t i = 0; i < count; i++)
        if (rand() % 2)
            rows[kept++] = i;
    return (struct weir_selection){kept, rows};
}

static void check_gather(const struct weir_vector *vector, const struct weir_selection *selection,
                         const char *what)
{
    struct weir_vector out;
    struct weir_error error = {0};
    cr_assert_eq(weir_vector_gather(&arena, vector, selection, &out, &error), WEIR_OK, "%s",
                 error.text);
    uint32_t nulls = 0;
    cr_assert_eq(out.kind, WEIR_FLAT);
    cr_assert_eq(out.count, selection ? selection->count : vector->count);
    for (uint32_t i = 0; i < out.count; i++) {
        cr_assert(same(vector, selection ? selection->rows[i] : i, &out, i), "%s: row %u", what, i);
        nulls += !weir_vector_valid(&out, i);
    }
    cr_assert_eq(out.null_count, nulls);
    if (has_offsets(out.type)) {
        cr_assert_eq(out.offsets[0], 0);
        for (uint32_t i = 0; i < out.count; i++)
            cr_assert_leq(out.offsets[i], out.offsets[i + 1]);
    }
    if (selection)
        return;
    cr_assert_eq(weir_vector_as_flat(&arena, vector, &out, &error), WEIR_OK, "%s", error.text);
    cr_assert_eq(out.kind, WEIR_FLAT);
    cr_assert_eq(out.count, vector->count);
    for (uint32_t i = 0; i < out.count; i++)
        cr_assert(same(vector, i, &out, i), "%s: row %u as flat", what, i);
    cr_assert_eq(out.null_count, nulls);
}

Test(vector, gathering_keeps_each_row)
{
    for (unsigned seed = 1; seed <= 40; seed++)
        for (size_t t = 0; t < TYPES; t++) {
            srand(seed);
            const struct weir_type *type = type_of(types[t]);
            uint32_t count = seed < 4 ? seed - 1 : (uint32_t)(rand() % 200);
            struct weir_vector vector = random_vector(type, count);
            struct weir_selection selection = random_selection(count), none = {0};
            check_gather(&vector, NULL, types[t]);
            check_gather(&vector, &selection, types[t]);
            check_gather(&vector, &none, types[t]);
            weir_arena_reset(&arena);
        }
}

Test(vector, constants_and_dictionaries_become_flat)
{
    for (unsigned seed = 1; seed <= 20; seed++)
        for (size_t t = 0; t < TYPES; t++) {
            const struct weir_type *type = type_of(types[t]);
            srand(seed);
            struct weir_vector constant = random_vector(type, 1);
            constant.kind = WEIR_CONSTANT;
            constant.count = 77;
            struct weir_selection selection = random_selection(77);
            if (type->id != WEIR_STRUCT) { /* nested vectors are flat */
                check_gather(&constant, NULL, types[t]);
                check_gather(&constant, &selection, types[t]);
            }
            struct weir_vector entries = random_vector(type, 9),
                               dictionary = {.type = type, .kind = WEIR_DICTIONARY, .count = 77};
            entries.validity = NULL; /* validity is the vector's, not the entries' */
            entries.null_count = 0;
            dictionary.dictionary = &entries;
            cr_assert_eq(weir_arena_zero(&arena, 77, 4, &dictionary.indices, NULL), WEIR_OK);
            cr_assert_eq(weir_arena_zero(&arena, 128, 1, &dictionary.validity, NULL), WEIR_OK);
            for (uint32_t i = 0; i < 77; i++) {
                dictionary.indices[i] = (uint32_t)rand() % 9;
                if (rand() % 4)
                    weir_bit_set(dictionary.validity, i);
            }
            check_gather(&dictionary, NULL, types[t]);
            check_gather(&dictionary, &selection, types[t]);
            weir_arena_reset(&arena);
        }
}

/* Row groups are cut by it: the same rows weigh the same wherever they lie. */
Test(vector, bytes_depend_on_the_rows_alone)
{
    for (unsigned seed = 1; seed <= 20; seed++)
        for (size_t t = 0; t < TYPES; t++) {
            srand(seed);
            struct weir_vector vector = random_vector(type_of(types[t]), 50), copy, again;
            cr_assert_eq(weir_vector_gather(&arena, &vector, NULL, &copy, NULL), WEIR_OK);
            cr_assert_eq(weir_vector_gather(&arena, &copy, NULL, &again, NULL), WEIR_OK);
            cr_assert_eq(weir_vector_bytes(&copy), weir_vector_bytes(&again));
            cr_assert_gt(weir_vector_bytes(&copy), 0);
            struct weir_selection none = {0};
            cr_assert_eq(weir_vector_gather(&arena, &vector, &none, &copy, NULL), WEIR_OK);
            cr_assert_eq(weir_vector_bytes(&copy), 0, "%s", types[t]);
            weir_arena_reset(&arena);
        }
    const struct weir_type *text = type_of("string");
    struct weir_vector vector;
    cr_assert_eq(weir_vector_make(&arena, text, 100, 1000, &vector, NULL), WEIR_OK);
    vector.count = 2;
    vector.offsets[1] = 3;
    vector.offsets[2] = 10;
    cr_assert_eq(weir_vector_bytes(&vector), 1 + 2 * 4 + 10);
}

Test(vector, a_made_vector_is_empty_and_padded)
{
    struct weir_batch batch;
    const struct weir_type *type = type_of(
        "struct<a: boolean, b: string, c: struct<d: list<int>, e: double>>");
    cr_assert_eq(weir_batch_make(&arena, type, 33, &batch, NULL), WEIR_OK);
    cr_assert_eq(batch.count, 0);
    const struct weir_vector *flags = &batch.columns[0];
    for (size_t i = 0; i < 64 + 5; i++)
        cr_assert_eq(((uint8_t *)flags->values)[i], 0, "bitmaps may be read a bit further");
    cr_assert_eq(batch.columns[1].offsets[0], 0);
    cr_assert_null(batch.columns[1].validity);
    cr_assert_eq(batch.columns[2].children[0].offsets[0], 0);
    account.limit = 1;
    struct weir_vector untouched = {.count = 99};
    cr_assert_eq(weir_vector_make(&arena, type, 1u << 30, 0, &untouched, NULL), WEIR_NO_MEMORY);
    cr_assert_eq(untouched.count, 99);
}

Test(vector, batches_are_gathered_column_by_column)
{
    struct weir_batch batch, out;
    const struct weir_type *type = type_of("struct<a: int, b: list<string>, c: boolean>");
    cr_assert_eq(weir_batch_make(&arena, type, 500, &batch, NULL), WEIR_OK);
    srand(5);
    batch.count = 100;
    for (int i = 0; i < 3; i++)
        batch.columns[i] = random_vector(&type->children[i].type, 100);
    struct weir_selection selection = random_selection(100);
    cr_assert_eq(weir_batch_gather(&arena, &batch, &selection, &out, NULL), WEIR_OK);
    cr_assert_eq(out.count, selection.count);
    for (uint32_t column = 0; column < 3; column++)
        for (uint32_t i = 0; i < out.count; i++)
            cr_assert(same(&batch.columns[column], selection.rows[i], &out.columns[column], i));
    cr_assert_eq(weir_batch_gather(&arena, &batch, NULL, &out, NULL), WEIR_OK);
    cr_assert_eq(out.count, 100);
}

Test(vector, a_column_is_found_by_its_path_through_structs)
{
    struct weir_batch batch;
    const struct weir_type *type = type_of(
        "struct<a: int, s: struct<a: string, t: struct<u: long>>, l: list<struct<x: int>>>");
    cr_assert_eq(weir_batch_make(&arena, type, 1, &batch, NULL), WEIR_OK);
    cr_assert_eq(weir_batch_column(&batch, "a"), &batch.columns[0]);
    cr_assert_eq(weir_batch_column(&batch, "s"), &batch.columns[1]);
    cr_assert_eq(weir_batch_column(&batch, "s.a"), &batch.columns[1].children[0]);
    cr_assert_eq(weir_batch_column(&batch, "s.t.u"), &batch.columns[1].children[1].children[0]);
    static const char *const nowhere[] = {"",  "b",       "s.",   "s.b",       ".a",  "a.a",
                                          "A", "s.t.u.v", "s.t.", "l.element", "l.x", "s.tt"};
    for (size_t i = 0; i < sizeof nowhere / sizeof *nowhere; i++)
        cr_assert_null(weir_batch_column(&batch, nowhere[i]), "%s", nowhere[i]);
}

Test(vector, bits_are_counted)
{
    uint8_t bits[64];
    for (unsigned seed = 1; seed <= 50; seed++) {
        srand(seed);
        for (size_t i = 0; i < sizeof bits; i++)
            bits[i] = (uint8_t)rand();
        size_t ones = 0;
        for (size_t count = 0; count <= 8 * sizeof bits; count++) {
            cr_assert_eq(weir_bits_count(bits, count), ones, "%zu", count);
            ones += count < 8 * sizeof bits && weir_bit_get(bits, count);
        }
    }
    weir_bit_clear(bits, 13);
    cr_assert_not(weir_bit_get(bits, 13));
    weir_bit_set(bits, 13);
    cr_assert(weir_bit_get(bits, 13));
}
