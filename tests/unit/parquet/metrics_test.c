/* What the writer tells Iceberg's manifests, and what it keeps out of a file. */
#include "formats/parquet/parquet_int.h"
#include "tests/unit/parquet/file.h"

#include <criterion/criterion.h>

static struct weir_context context;
static struct weir_arena arena;
static struct weir_error error;

static void setup(void)
{
    weir_context_init(&context);
    context.thread_count = 1;
    weir_arena_init(&arena, &context.memory);
}

static void teardown(void)
{
    weir_arena_done(&arena);
    cr_assert_eq(context.memory.used, 0);
    weir_context_done(&context);
}

TestSuite(parquet_metrics, .init = setup, .fini = teardown);

#define must(call)                                                                                 \
    do {                                                                                           \
        weir_status must_status_ = (call);                                                         \
        cr_assert_eq(must_status_, WEIR_OK, "%s", error.text);                                     \
    } while (0)

/* One required column of those values; bounds as hex, "-" = none. */
static void check_bounds(struct weir_type type, uint32_t count, const void *values,
                         const int32_t *ends, const char *lower, const char *upper)
{
    struct weir_field field = {.name = "a", .id = 1, .required = true, .type = type};
    struct weir_type schema = {.id = WEIR_STRUCT, .child_count = 1, .children = &field};
    struct weir_vector column = {.type = &field.type,
                                 .count = count,
                                 .values = (void *)(uintptr_t)values,
                                 .offsets = (int32_t *)(uintptr_t)ends};
    struct weir_batch batch = {&schema, count, &column};
    WEIR_AUTO(weir_buffer) file = {.account = &context.memory};
    struct weir_parquet_writer *writer;
    struct weir_parquet_result result;
    /* a row group for each row, so that bounds are put together from several */
    struct weir_parquet_options options = {.row_group_size = 1};
    must(weir_parquet_writer_new(&context, &context.memory, &schema, &options,
                                 (struct weir_parquet_sink){file_append, &file}, &writer, &error));
    must(weir_parquet_writer_add(writer, &batch, NULL, &error));
    must(weir_parquet_writer_finish(writer, &result, &error));
    if (type.id != WEIR_BOOLEAN) /* two bits a row */
        cr_assert_eq(result.split_count, count);
    cr_assert_eq(result.leaves[0].value_count, count);
    const struct weir_bytes *bounds[] = {&result.leaves[0].lower, &result.leaves[0].upper};
    const char *wanted[] = {lower, upper};
    for (int i = 0; i < 2; i++) {
        char text[200] = "-";
        for (size_t b = 0; bounds[i]->data && b < bounds[i]->size; b++)
            snprintf(text + 2 * b, 3, "%02x", bounds[i]->data[b]);
        if (bounds[i]->data && bounds[i]->size == 0)
            text[0] = 0;
        cr_assert_str_eq(text, wanted[i], "%s bound", i ? "upper" : "lower");
    }
    weir_parquet_writer_free(writer);
}

static void check_texts(enum weir_type_id id, uint32_t count, const char *const *texts,
                        const char *lower, const char *upper)
{
    int32_t ends[20] = {0};
    char all[1000];
    for (uint32_t i = 0; i < count; i++) {
        memcpy(all + ends[i], texts[i], strlen(texts[i]));
        ends[i + 1] = ends[i] + (int32_t)strlen(texts[i]);
    }
    check_bounds((struct weir_type){.id = id}, count, all, ends, lower, upper);
}

Test(parquet_metrics, numbers)
{
    check_bounds((struct weir_type){.id = WEIR_INT}, 3, (int32_t[16]){5, -2, 3}, NULL, "feffffff",
                 "05000000");
    check_bounds((struct weir_type){.id = WEIR_LONG}, 2, (int64_t[16]){INT64_MAX, INT64_MIN}, NULL,
                 "0000000000000080", "ffffffffffffff7f");
    check_bounds((struct weir_type){.id = WEIR_BOOLEAN}, 2, (uint8_t[64]){2}, NULL, "00", "01");
    check_bounds((struct weir_type){.id = WEIR_BOOLEAN}, 2, (uint8_t[64]){3}, NULL, "01", "01");
}

Test(parquet_metrics, floats_pass_over_nan_and_write_both_zeros)
{
    check_bounds((struct weir_type){.id = WEIR_DOUBLE}, 3, (double[8]){0.0, NAN, 0.0}, NULL,
                 "0000000000000080", "0000000000000000");
    check_bounds((struct weir_type){.id = WEIR_DOUBLE}, 3, (double[8]){-0.0, NAN, 2.0}, NULL,
                 "0000000000000080", "0000000000000040");
    check_bounds((struct weir_type){.id = WEIR_DOUBLE}, 2, (double[8]){NAN, NAN}, NULL, "-", "-");
    check_bounds((struct weir_type){.id = WEIR_FLOAT}, 2, (float[16]){-INFINITY, 1.0f}, NULL,
                 "000080ff", "0000803f");
}

Test(parquet_metrics, decimals_are_the_fewest_bytes)
{
    check_bounds((struct weir_type){.id = WEIR_DECIMAL, .precision = 9, .scale = 2}, 2,
                 (weir_int128[4]){-129, 127}, NULL, "ff7f", "7f");
    check_bounds((struct weir_type){.id = WEIR_DECIMAL, .precision = 18, .scale = 2}, 2,
                 (weir_int128[4]){0, 128}, NULL, "00", "0080");
    check_bounds((struct weir_type){.id = WEIR_DECIMAL, .precision = 38, .scale = 2}, 3,
                 (weir_int128[4]){-1, 65536, -70000}, NULL, "feee90", "010000");
}

Test(parquet_metrics, strings_are_cut_at_characters_and_rounded_up)
{
    check_texts(WEIR_STRING, 2, (const char *[]){"b", "abc"}, "616263", "62");
    check_texts(WEIR_STRING, 1, (const char *[]){"0123456789abcdef"},
                "30313233343536373839616263646566", "30313233343536373839616263646566");
    check_texts(WEIR_STRING, 1, (const char *[]){"0123456789abcdefg"},
                "30313233343536373839616263646566", "30313233343536373839616263646567");
    /* sixteen characters of two bytes each */
    check_texts(WEIR_STRING, 1, (const char *[]){"öööööööööööööööööö"},
                "c3b6c3b6c3b6c3b6c3b6c3b6c3b6c3b6c3b6c3b6c3b6c3b6c3b6c3b6c3b6c3b6",
                "c3b6c3b6c3b6c3b6c3b6c3b6c3b6c3b6c3b6c3b6c3b6c3b6c3b6c3b6c3b6c3b7");
    /* U+D7FF goes up to U+E000, one byte lengths grow, and the greatest character is dropped */
    check_texts(WEIR_STRING, 1, (const char *[]){"aaaaaaaaaaaaaaa\xed\x9f\xbfz"},
                "616161616161616161616161616161ed9fbf", "616161616161616161616161616161ee8080");
    check_texts(WEIR_STRING, 1, (const char *[]){"aaaaaaaaaaaaaaa\x7fz"},
                "6161616161616161616161616161617f", "616161616161616161616161616161c280");
    check_texts(WEIR_STRING, 1, (const char *[]){"aaaaaaaaaaaaaaa\xf4\x8f\xbf\xbfz"},
                "616161616161616161616161616161f48fbfbf", "616161616161616161616161616162");
}

Test(parquet_metrics, an_upper_bound_that_cannot_be_is_none)
{
    char greatest[4 * 17 + 1] = "";
    for (int i = 0; i < 17; i++)
        strcat(greatest, "\xf4\x8f\xbf\xbf");
    check_texts(WEIR_STRING, 2, (const char *[]){greatest, "a"}, "61", "-");
    check_texts(WEIR_BINARY, 2,
                (const char *[]){
                    "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "a"},
                "61", "-");
    check_texts(WEIR_BINARY, 1, (const char *[]){"aaaaaaaaaaaaaa\xff\xff\xff"},
                "6161616161616161616161616161ffff", "6161616161616161616161616162");
}

static bool holds(const struct weir_buffer *file, const char *text)
{
    return memmem(file->data, file->size, text, strlen(text)) != NULL;
}

Test(parquet_metrics, hidden_columns_leave_no_bounds)
{
    struct weir_type schema = {.id = WEIR_STRUCT,
                               KIDS(FIELD("open", 1, true, .id = WEIR_STRING),
                                    FIELD("hidden", 2, true, .id = WEIR_STRING))};
    /* values lie compressed in their pages, so what is found outside of them is a bound */
    char text[2000];
    int32_t ends[41] = {0};
    for (int i = 0; i < 40; i++)
        ends[i + 1] = ends[i] + snprintf(text + ends[i], 30, "person-%d-person-%d", i % 3, i % 3);
    struct weir_vector columns[] = {
        {.type = &schema.children[0].type, .count = 40, .offsets = ends, .values = text},
        {.type = &schema.children[1].type, .count = 40, .offsets = ends, .values = text}};
    struct weir_batch batch = {&schema, 40, columns};
    static const int32_t hidden[] = {1, 2};
    for (size_t count = 0; count < 2; count++) {
        WEIR_AUTO(weir_buffer) file = {.account = &context.memory};
        struct weir_parquet_writer *writer;
        struct weir_parquet_result result;
        struct weir_parquet_options options = {
            .codec = WEIR_CODEC_ZSTD, .no_bounds_ids = hidden, .no_bounds_count = count * 2};
        must(weir_parquet_writer_new(&context, &context.memory, &schema, &options,
                                     (struct weir_parquet_sink){file_append, &file}, &writer,
                                     &error));
        must(weir_parquet_writer_add(writer, &batch, NULL, &error));
        must(weir_parquet_writer_finish(writer, &result, &error));
        size_t pages = result.leaves[0].column_size + result.leaves[1].column_size + 4;
        struct weir_buffer behind = {.data = file.data + pages, .size = file.size - pages};
        cr_assert_eq(holds(&behind, "person-"), count == 0);
        for (int i = 0; i < 2; i++)
            cr_assert_eq(result.leaves[i].lower.data == NULL && result.leaves[i].upper.data == NULL,
                         count == 1);
        weir_parquet_writer_free(writer);
    }
}

Test(parquet_metrics, nulls_nans_and_list_elements_are_counted)
{
    struct weir_type schema = {.id = WEIR_STRUCT,
                               KIDS(FIELD("l", 1, false, .id = WEIR_LIST,
                                          KIDS(FIELD("element", 2, false, .id = WEIR_DOUBLE))))};
    int32_t ends[16] = {0, 3, 3, 3, 4};
    double values[8] = {1, NAN, 9, 2};
    uint8_t lists[64] = {0xfb}, elements[64] = {0x0b}; /* row 2 null, element 2 null */
    struct weir_vector element = {.type = &schema.children[0].type.children[0].type,
                                  .count = 4,
                                  .null_count = 1,
                                  .validity = elements,
                                  .values = values};
    struct weir_vector list = {.type = &schema.children[0].type,
                               .count = 4,
                               .null_count = 1,
                               .validity = lists,
                               .offsets = ends,
                               .children = &element};
    struct weir_batch batch = {&schema, 4, &list};
    WEIR_AUTO(weir_buffer) file = {.account = &context.memory};
    struct weir_parquet_writer *writer;
    struct weir_parquet_result result;
    must(weir_parquet_writer_new(&context, &context.memory, &schema,
                                 &(struct weir_parquet_options){0},
                                 (struct weir_parquet_sink){file_append, &file}, &writer, &error));
    must(weir_parquet_writer_add(writer, &batch, NULL, &error));
    must(weir_parquet_writer_finish(writer, &result, &error));
    const struct weir_parquet_leaf *leaf = &result.leaves[0];
    cr_assert_eq(result.leaf_count, 1);
    cr_assert_eq(leaf->field_id, 2);
    cr_assert_eq(leaf->value_count,
                 6); /* three elements, an empty list, a null list, one element */
    cr_assert_eq(leaf->null_count, 3);
    cr_assert(leaf->has_nan_count && leaf->nan_count == 1);
    cr_assert_eq(result.split_offsets[0], 4);
    weir_parquet_writer_free(writer);
}

Test(parquet_metrics, bloom_filters_have_what_was_put_in)
{
    static uint8_t filter[4096];
    int wrong = 0;
    size_t size = parquet_bloom_size(2000);
    cr_assert(size <= sizeof filter && size >= 2000);
    for (uint64_t i = 0; i < 2000; i++)
        parquet_bloom_add(filter, size, parquet_bloom_hash(&i, 8));
    for (uint64_t i = 0; i < 2000; i++)
        cr_assert(parquet_bloom_has(filter, size, parquet_bloom_hash(&i, 8)));
    for (uint64_t i = 2000; i < 102000; i++)
        wrong += parquet_bloom_has(filter, size, parquet_bloom_hash(&i, 8));
    cr_assert_lt(wrong, 2000, "%d false answers in 100000", wrong);
    cr_assert_eq(parquet_bloom_size(0), 32);
    cr_assert_eq(parquet_bloom_size(UINT64_MAX / 200), PARQUET_BLOOM_MAX);
}
