/* The row hash against numbers that Python's xxhash gave for the definition in row_hash.h, and its
 * promises. */
#include "engine/kernel/row_hash.h"
#include "engine/base/context.h"
#include "tests/unit/parquet/sample.h"

#include <criterion/criterion.h>

static struct weir_account account;
static struct weir_arena arena;
static struct weir_error error;

static void setup(void)
{
    weir_account_init(&account, NULL, "test", 0);
    weir_arena_init(&arena, &account);
}
static void teardown(void)
{
    weir_arena_done(&arena);
}
TestSuite(row_hash, .init = setup, .fini = teardown);

#define must(call)                                                                                 \
    do {                                                                                           \
        weir_status must_status_ = (call);                                                         \
        cr_assert_eq(must_status_, WEIR_OK, "%s", error.text);                                     \
    } while (0)

static void hash_text(const struct weir_batch *batch, const struct weir_selection *selection,
                      char ret_text[33])
{
    struct weir_row_hash hash = {0};
    must(weir_row_hash_add(&hash, batch, selection, &arena, &error));
    cr_assert_eq(hash.count, selection ? selection->count : batch->count);
    weir_row_hash_print(&hash, ret_text);
}

Test(row_hash, equals_what_python_says)
{
    /* rows: {7: 42, 3: "ab", list 8 (element 9): [1.5, null, -0.0]}, {7: null, 3: "", list: null}
     */
    struct weir_type schema = {.id = WEIR_STRUCT,
                               KIDS(FIELD("i", 7, false, .id = WEIR_INT),
                                    FIELD("s", 3, true, .id = WEIR_STRING),
                                    FIELD("l", 8, false, .id = WEIR_LIST,
                                          KIDS(FIELD("element", 9, false, .id = WEIR_FLOAT))))};
    int32_t ints[16] = {42, 77}, ends[16] = {0, 2, 2}, list[16] = {0, 3, 3};
    float floats[16] = {1.5f, 9, -0.0f};
    uint8_t text[64] = "ab", one[64] = {1}, five[64] = {5};
    struct weir_vector element = {.type = &schema.children[2].type.children[0].type,
                                  .count = 3,
                                  .null_count = 1,
                                  .validity = five,
                                  .values = floats};
    struct weir_vector columns[] = {
        {.type = &schema.children[0].type,
         .count = 2,
         .null_count = 1,
         .validity = one,
         .values = ints},
        {.type = &schema.children[1].type, .count = 2, .offsets = ends, .values = text},
        {.type = &schema.children[2].type,
         .count = 2,
         .null_count = 1,
         .validity = one,
         .offsets = list,
         .children = &element}};
    struct weir_batch batch = {&schema, 2, columns};
    char sum[33];
    hash_text(&batch, NULL, sum);
    cr_assert_str_eq(sum, "08d0f27175017dc7af07bf632b5dad16");
}

Test(row_hash, order_batches_and_selections_do_not_matter)
{
    const struct weir_type *schema = sample_schema(&arena);
    struct sample_random random = {17};
    struct weir_batch batch = sample_batch(&arena, schema, 1500, 0, &random);
    struct weir_row_hash whole = {0}, parts = {0}, backwards = {0}, odd = {0}, even = {0};
    uint32_t rows[1500];
    must(weir_row_hash_add(&whole, &batch, NULL, &arena, &error));
    for (uint32_t i = 0; i < 1500; i++)
        must(weir_row_hash_add(&parts, &batch, &(struct weir_selection){1, &i}, &arena, &error));
    cr_assert(memcmp(&whole, &parts, sizeof whole) == 0);
    for (uint32_t i = 0; i < 1500; i++)
        rows[i] = 1499 - i;
    must(weir_row_hash_add(&backwards, &batch, &(struct weir_selection){1500, rows}, &arena,
                           &error));
    cr_assert(memcmp(&whole, &backwards, sizeof whole) == 0);
    for (uint32_t i = 0; i < 750; i++)
        rows[i] = 2 * i;
    must(weir_row_hash_add(&even, &batch, &(struct weir_selection){750, rows}, &arena, &error));
    for (uint32_t i = 0; i < 750; i++)
        rows[i] = 2 * i + 1;
    must(weir_row_hash_add(&odd, &batch, &(struct weir_selection){750, rows}, &arena, &error));
    cr_assert(memcmp(&whole, &even, sizeof whole) != 0);
    weir_row_hash_merge(&even, &odd);
    cr_assert(memcmp(&whole, &even, sizeof whole) == 0);
}

Test(row_hash, added_renamed_and_widened_columns_change_nothing)
{
    struct weir_type old = {
        .id = WEIR_STRUCT,
        KIDS(FIELD("a", 1, true, .id = WEIR_INT), FIELD("b", 2, true, .id = WEIR_FLOAT),
             FIELD("c", 3, true, .id = WEIR_DECIMAL, .precision = 9, .scale = 2))};
    struct weir_type new = {
        .id = WEIR_STRUCT,
        KIDS(FIELD("added", 9, false, .id = WEIR_STRING),
             FIELD("c", 3, true, .id = WEIR_DECIMAL, .precision = 20, .scale = 2),
             FIELD("renamed", 1, true, .id = WEIR_LONG), FIELD("b", 2, true, .id = WEIR_DOUBLE))};
    struct sample_random random = {4};
    struct weir_batch x = sample_batch(&arena, &old, 100, 0, &random),
                      y = sample_batch(&arena, &new, 100, 0, &random);
    uint8_t none[64] = {0};
    y.columns[0].validity = none;
    y.columns[0].null_count = 100;
    memcpy(y.columns[1].values, x.columns[2].values, 1600);
    for (int i = 0; i < 100; i++) {
        ((int64_t *)y.columns[2].values)[i] = ((int32_t *)x.columns[0].values)[i];
        ((double *)y.columns[3].values)[i] = ((float *)x.columns[1].values)[i];
    }
    char a[33], b[33];
    hash_text(&x, NULL, a);
    hash_text(&y, NULL, b);
    cr_assert_str_eq(a, b);
    ((int64_t *)y.columns[2].values)[50]++;
    hash_text(&y, NULL, b);
    cr_assert_str_neq(a, b);
}

Test(row_hash, one_nan_and_one_zero)
{
    struct weir_type schema = {.id = WEIR_STRUCT, KIDS(FIELD("a", 1, true, .id = WEIR_DOUBLE))};
    double x[8] = {NAN, -0.0}, y[8] = {-NAN, 0.0};
    struct weir_vector column = {.type = &schema.children[0].type, .count = 2, .values = x};
    struct weir_batch batch = {&schema, 2, &column};
    char a[33], b[33];
    hash_text(&batch, NULL, a);
    column.values = y;
    hash_text(&batch, NULL, b);
    cr_assert_str_eq(a, b);
}

Test(row_hash, positions_count)
{
    struct weir_type schema = {.id = WEIR_STRUCT,
                               KIDS(FIELD("l", 1, true, .id = WEIR_LIST,
                                          KIDS(FIELD("element", 2, true, .id = WEIR_INT))))};
    int32_t ends[16] = {0, 2}, x[16] = {1, 2}, y[16] = {2, 1};
    struct weir_vector element = {
        .type = &schema.children[0].type.children[0].type, .count = 2, .values = x};
    struct weir_vector list = {
        .type = &schema.children[0].type, .count = 1, .offsets = ends, .children = &element};
    struct weir_batch batch = {&schema, 1, &list};
    char a[33], b[33];
    hash_text(&batch, NULL, a);
    element.values = y;
    hash_text(&batch, NULL, b);
    cr_assert_str_neq(a, b);
}

Test(row_hash, text_comes_back)
{
    struct weir_row_hash hash = {.low = 0x0123456789abcdefu,
                                 .high = 0xfedcba9876543210u,
                                 .count = 5},
                         back = {.count = 8};
    char text[33];
    weir_row_hash_print(&hash, text);
    cr_assert_str_eq(text, "fedcba98765432100123456789abcdef");
    cr_assert(weir_row_hash_parse(text, &back));
    cr_assert(back.low == hash.low && back.high == hash.high && back.count == 8);
    cr_assert_not(weir_row_hash_parse("fedcba98765432100123456789abcde", &back));
    cr_assert_not(weir_row_hash_parse("fedcba98765432100123456789abcdeg", &back));
    cr_assert_not(weir_row_hash_parse("fedcba98765432100123456789abcdef0", &back));
}
