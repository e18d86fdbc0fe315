/* The digest of rows in their order: however batches are cut, whatever lies under nulls; and any
 * other row, order, null or length makes another one. */
#include "scheduler/upkeep/compact_int.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct weir_context context;
static struct weir_arena arena;
static struct weir_type type;

static void setup(void)
{
    struct weir_error error = {0};
    weir_context_init(&context);
    weir_arena_init(&arena, &context.memory);
    cr_assert_eq(weir_type_parse(&arena,
                                 "struct<a:long, b:string, c:boolean, "
                                 "d:list<struct<e:int, f:list<string>>>, g:struct<h:double, "
                                 "i:map<string,date>>>",
                                 &type, &error),
                 WEIR_OK, "%s", error.text);
}

static void done(void)
{
    weir_arena_done(&arena);
    weir_context_done(&context);
}
TestSuite(compact_digest, .init = setup, .fini = done);

static bool null_here(struct weir_vector *vector, uint32_t row)
{
    if (rand() % 4)
        return false;
    if (!vector->validity) {
        cr_assert_eq(weir_arena_zero(&arena, 128, 1, &vector->validity, NULL), WEIR_OK);
        memset(vector->validity, 0xff, 128);
    }
    weir_bit_clear(vector->validity, row);
    return true;
}

/* `count` random rows, at most 200. */
static struct weir_vector make(const struct weir_type *of, uint32_t count)
{
    struct weir_vector vector = {.type = of, .count = count};
    cr_assert_eq(weir_arena_zero(&arena, count + 1, 32, &vector.values, NULL), WEIR_OK);
    cr_assert_eq(weir_arena_zero(&arena, count + 1, 4, &vector.offsets, NULL), WEIR_OK);
    cr_assert_eq(weir_arena_zero(&arena, of->child_count + 1, sizeof *vector.children,
                                 &vector.children, NULL),
                 WEIR_OK);
    uint8_t *bytes = vector.values;
    for (uint32_t i = 0; i < count * 32; i++)
        bytes[i] = (uint8_t)(rand() % 3);
    for (uint32_t i = 0; i < count; i++) {
        bool null = null_here(&vector, i), nested = weir_type_is_nested(of->id);
        vector.offsets[i + 1] = vector.offsets[i] + (null && nested ? 0 : rand() % 3);
    }
    uint32_t below = of->id == WEIR_STRUCT ? count : (uint32_t)vector.offsets[count];
    for (uint32_t i = 0; i < of->child_count; i++)
        vector.children[i] = make(&of->children[i].type, below);
    return vector;
}

static struct compact_digest *digest_of(const struct weir_batch *batch, uint32_t cut)
{
    struct compact_digest *digest;
    cr_assert_eq(compact_digest_new(&context.memory, &type, &digest, NULL), WEIR_OK);
    for (uint32_t from = 0; from < batch->count; from += cut) {
        uint32_t rows[200], count = batch->count - from < cut ? batch->count - from : cut;
        struct weir_selection selection = {count, rows};
        struct weir_batch part;
        for (uint32_t i = 0; i < count; i++)
            rows[i] = from + i;
        cr_assert_eq(weir_batch_gather(&arena, batch, &selection, &part, NULL), WEIR_OK);
        cr_assert_eq(compact_digest_add(digest, &part, NULL), WEIR_OK);
    }
    return digest;
}

static bool same(const struct weir_batch *a, uint32_t cut_a, const struct weir_batch *b,
                 uint32_t cut_b)
{
    struct compact_digest *one = digest_of(a, cut_a), *other = digest_of(b, cut_b);
    bool result = compact_digest_same(one, other);
    compact_digest_free(one);
    compact_digest_free(other);
    return result;
}

static struct weir_batch rows_of(unsigned seed, uint32_t count)
{
    struct weir_batch batch = {.type = &type, .count = count};
    srand(seed);
    cr_assert_eq(
        weir_arena_zero(&arena, type.child_count, sizeof *batch.columns, &batch.columns, NULL),
        WEIR_OK);
    for (uint32_t i = 0; i < type.child_count; i++)
        batch.columns[i] = make(&type.children[i].type, count);
    return batch;
}

Test(compact_digest, cuts_do_not_matter)
{
    for (unsigned seed = 1; seed <= 100; seed++) {
        struct weir_batch batch = rows_of(seed, seed * 2);
        for (uint32_t cut = 1; cut < 9; cut += 3)
            cr_assert(same(&batch, 200, &batch, cut), "seed %u, cut %u", seed, cut);
        done();
        setup();
    }
}

/* The row hash is the judge: where it differs, so does the digest. */
Test(compact_digest, another_row_is_another_digest)
{
    for (unsigned seed = 1; seed <= 200; seed++) {
        struct weir_batch batch = rows_of(seed, 40), other = rows_of(seed, 40);
        srand(seed * 7);
        struct weir_vector *column = &other.columns[rand() % type.child_count];
        while (column->type->child_count && rand() % 4 && column->children[0].count)
            column = &column->children[rand() % (int)column->type->child_count];
        if (column->count == 0 || column->type->child_count)
            continue;
        uint8_t *bytes = column->values;
        uint32_t at = (uint32_t)rand() % column->count;
        bytes[column->type->id == WEIR_BOOLEAN  ? at / 8
              : column->type->id == WEIR_STRING ? (uint32_t)column->offsets[at]
                                                : at * weir_type_width(column->type)] ^= 1;
        struct weir_row_hash one = {0}, two = {0};
        cr_assert_eq(weir_row_hash_add(&one, &batch, NULL, &arena, NULL), WEIR_OK);
        cr_assert_eq(weir_row_hash_add(&two, &other, NULL, &arena, NULL), WEIR_OK);
        bool alike = one.low == two.low && one.high == two.high;
        if (!alike)
            cr_assert(!same(&batch, 200, &other, 200), "seed %u", seed);
        done();
        setup();
    }
}

Test(compact_digest, fewer_rows_and_another_order)
{
    struct weir_batch batch = rows_of(3, 40), less = batch;
    struct weir_selection turned = {40, (uint32_t[40]){1, 0}};
    struct weir_batch other;
    for (uint32_t i = 2; i < 40; i++)
        ((uint32_t *)(uintptr_t)turned.rows)[i] = i;
    less.count = 39;
    cr_assert(!same(&batch, 200, &less, 200));
    cr_assert_eq(weir_batch_gather(&arena, &batch, &turned, &other, NULL), WEIR_OK);
    cr_assert(!same(&batch, 200, &other, 200));
}
