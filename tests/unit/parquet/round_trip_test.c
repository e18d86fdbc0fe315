/* What the writer writes, the reader reads; and the bytes depend on nothing but rows, schema and
 * options. */
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
    cr_assert_eq(context.memory.used, 0, "%zu bytes leak", (size_t)context.memory.used);
    weir_context_done(&context);
}

TestSuite(parquet, .init = setup, .fini = teardown);

#define must(call)                                                                                 \
    do {                                                                                           \
        weir_status must_status_ = (call);                                                         \
        cr_assert_eq(must_status_, WEIR_OK, "%s", error.text);                                     \
    } while (0)

/* Writes `count` rows of one batch, handed in as pieces of `piece` rows; result copied. */
static void write_rows(const struct weir_batch *batch, uint32_t piece,
                       const struct weir_parquet_options *options, struct weir_buffer *file,
                       struct weir_parquet_result *ret_result)
{
    struct weir_parquet_writer *writer;
    struct weir_parquet_result result;
    must(weir_parquet_writer_new(&context, &context.memory, batch->type, options,
                                 (struct weir_parquet_sink){file_append, file}, &writer, &error));
    for (uint32_t at = 0; at < batch->count; at += piece) {
        uint32_t rows[4096], here = batch->count - at < piece ? batch->count - at : piece;
        for (uint32_t i = 0; i < here && piece < batch->count; i++)
            rows[i] = at + i;
        must(weir_parquet_writer_add(
            writer, batch, piece >= batch->count ? NULL : &(struct weir_selection){here, rows},
            &error));
    }
    must(weir_parquet_writer_finish(writer, &result, &error));
    cr_assert_eq(result.file_size, file->size);
    cr_assert_eq(result.row_count, batch->count);
    if (ret_result)
        *ret_result = result;
    weir_parquet_writer_free(writer);
}

static void batch_text(const struct weir_batch *batch, char **ret_text, size_t *ret_size)
{
    FILE *out = open_memstream(ret_text, ret_size);
    for (uint32_t i = 0; i < batch->count; i++)
        sample_print_row(batch, i, out);
    fclose(out);
}

static void check_round_trip(const struct weir_batch *batch,
                             const struct weir_parquet_options *options, uint32_t step)
{
    WEIR_AUTO(weir_buffer) file = {.account = &context.memory};
    char *want, *got;
    size_t want_size, got_size;
    write_rows(batch, batch->count ? batch->count : 1, options, &file, NULL);
    batch_text(batch, &want, &want_size);
    must(file_print(&context.memory, &file, batch->type, step, &got, &got_size, &error));
    cr_assert(want_size == got_size && memcmp(want, got, want_size) == 0, "rows differ");
    free(want);
    free(got);
}

Test(parquet, every_type_and_codec_comes_back)
{
    const struct weir_type *schema = sample_schema(&arena);
    struct sample_random random = {7};
    for (uint32_t codec = 0; codec < 5; codec++)
        for (uint32_t count = 0; count < 700; count = count * 3 + 1) {
            struct weir_batch batch = sample_batch(&arena, schema, count, 0, &random);
            struct weir_parquet_options options = {
                .codec = codec, .row_group_size = count % 2 ? 20000 : 0, .page_size = 1000};
            check_round_trip(&batch, &options, 100);
        }
}

Test(parquet, pages_end_at_20000_rows)
{
    struct weir_type schema = {.id = WEIR_STRUCT,
                               KIDS(FIELD("counter", 1, false, .id = WEIR_LONG),
                                    FIELD("list", 2, false, .id = WEIR_LIST,
                                          KIDS(FIELD("element", 3, false, .id = WEIR_INT))),
                                    FIELD("text", 4, false, .id = WEIR_STRING))};
    struct sample_random random = {11};
    struct weir_batch batch = sample_batch(&arena, &schema, 50000, 0, &random);
    check_round_trip(&batch, &(struct weir_parquet_options){.codec = WEIR_CODEC_ZSTD}, 4096);
}

Test(parquet, bytes_depend_on_rows_only)
{
    const struct weir_type *schema = sample_schema(&arena);
    struct sample_random random = {3};
    struct weir_batch batch = sample_batch(&arena, schema, 3000, 0, &random);
    static const int32_t blooms[] = {3, 13};
    struct weir_parquet_options options = {.codec = WEIR_CODEC_ZSTD,
                                           .row_group_size = 150000,
                                           .page_size = 3000,
                                           .bloom_ids = blooms,
                                           .bloom_count = 2};
    WEIR_AUTO(weir_buffer) first = {.account = &context.memory};
    write_rows(&batch, 3000, &options, &first, NULL);
    static const uint32_t pieces[] = {1, 7, 2048};
    for (int threads = 1; threads <= 4; threads *= 2)
        for (int p = 0; p < 3; p++) {
            WEIR_AUTO(weir_buffer) again = {.account = &context.memory};
            context.thread_count = threads;
            write_rows(&batch, pieces[p], &options, &again, NULL);
            cr_assert(again.size == first.size && memcmp(again.data, first.data, first.size) == 0,
                      "%d threads, batches of %u rows: other bytes", threads, pieces[p]);
        }
}

Test(parquet, garbage_under_nulls_does_not_show)
{
    struct weir_type schema = {.id = WEIR_STRUCT,
                               KIDS(FIELD("s", 1, false, .id = WEIR_STRUCT,
                                          KIDS(FIELD("a", 2, true, .id = WEIR_LONG),
                                               FIELD("b", 3, false, .id = WEIR_STRING))))};
    WEIR_AUTO(weir_buffer) a = {.account = &context.memory};
    WEIR_AUTO(weir_buffer) b = {.account = &context.memory};
    struct sample_random random = {5};
    struct weir_batch batch = sample_batch(&arena, &schema, 1000, 0, &random);
    struct weir_vector *whole = &batch.columns[0];
    if (!whole->validity)
        must(weir_arena_zero(&arena, 1000, 1, &whole->validity, &error));
    memset(whole->validity, 0x5a, 125);
    struct weir_parquet_options options = {.row_group_size = 3000};
    write_rows(&batch, 1000, &options, &a, NULL);
    int64_t *values = whole->children[0].values;
    uint8_t *text = whole->children[1].values;
    int32_t *offsets = whole->children[1].offsets;
    for (uint32_t i = 0; i < 1000; i++) {
        if (weir_vector_valid(whole, i))
            continue;
        values[i] = -1;
        memset(text + offsets[i], '#', (size_t)(offsets[i + 1] - offsets[i]));
    }
    write_rows(&batch, 1000, &options, &b, NULL);
    cr_assert(a.size == b.size && memcmp(a.data, b.data, a.size) == 0);
}

Test(parquet, constant_and_dictionary_vectors_are_written_flat)
{
    struct weir_type schema = {
        .id = WEIR_STRUCT,
        KIDS(FIELD("a", 1, false, .id = WEIR_STRING), FIELD("b", 2, false, .id = WEIR_LONG))};
    struct sample_random random = {9};
    struct weir_batch source = sample_batch(&arena, &schema, 10, 0, &random),
                      batch = {.type = &schema, .count = 100};
    struct weir_vector columns[2] = {source.columns[0], source.columns[1]};
    uint32_t indices[100];
    for (uint32_t i = 0; i < 100; i++)
        indices[i] = i % 10;
    columns[0].kind = WEIR_CONSTANT;
    columns[0].validity = NULL;
    columns[0].count = columns[1].count = 100;
    source.columns[1].validity = NULL;
    columns[1] = (struct weir_vector){.type = &schema.children[1].type,
                                      .kind = WEIR_DICTIONARY,
                                      .count = 100,
                                      .indices = indices,
                                      .dictionary = &source.columns[1]};
    batch.columns = columns;
    WEIR_AUTO(weir_buffer) file = {.account = &context.memory};
    write_rows(&batch, 100, &(struct weir_parquet_options){0}, &file, NULL);
    struct weir_batch flat;
    must(weir_batch_gather(&arena, &batch, NULL, &flat, &error));
    WEIR_AUTO(weir_buffer) again = {.account = &context.memory};
    write_rows(&flat, 100, &(struct weir_parquet_options){0}, &again, NULL);
    cr_assert(file.size == again.size && memcmp(file.data, again.data, file.size) == 0);
}

Test(parquet, large_strings)
{
    struct weir_type schema = {.id = WEIR_STRUCT, KIDS(FIELD("a", 1, true, .id = WEIR_STRING))};
    int32_t offsets[20] = {0, 5 << 20, (5 << 20) + 1, 9 << 20};
    uint8_t *text;
    must(weir_arena_alloc(&arena, (9 << 20) + 64, &text, &error));
    memset(text, 'x', 9 << 20);
    struct weir_vector column = {
        .type = &schema.children[0].type, .count = 3, .offsets = offsets, .values = text};
    struct weir_batch batch = {&schema, 3, &column};
    check_round_trip(&batch, &(struct weir_parquet_options){.codec = WEIR_CODEC_LZ4_RAW}, 1);
}

Test(parquet, columns_come_by_id_missing_ones_are_null_and_types_widen)
{
    struct weir_type old = {
        .id = WEIR_STRUCT,
        KIDS(FIELD("a", 1, true, .id = WEIR_INT), FIELD("b", 2, true, .id = WEIR_FLOAT),
             FIELD("c", 3, true, .id = WEIR_DECIMAL, .precision = 9, .scale = 2),
             FIELD("s", 4, false, .id = WEIR_STRUCT, KIDS(FIELD("x", 5, true, .id = WEIR_LONG))))};
    struct weir_type new = {
        .id = WEIR_STRUCT,
        KIDS(FIELD("s", 4, false, .id = WEIR_STRUCT,
                   KIDS(FIELD("y", 6, false, .id = WEIR_STRING),
                        FIELD("renamed", 5, true, .id = WEIR_LONG))),
             FIELD("c", 3, true, .id = WEIR_DECIMAL, .precision = 20, .scale = 2),
             FIELD("more", 7, false, .id = WEIR_LIST,
                   KIDS(FIELD("element", 8, false, .id = WEIR_INT))),
             FIELD("b", 2, true, .id = WEIR_DOUBLE), FIELD("a", 1, true, .id = WEIR_LONG))};
    struct sample_random random = {21};
    struct weir_batch batch = sample_batch(&arena, &old, 300, 0, &random), read;
    float *floats = batch.columns[1].values;
    for (int i = 0; i < 300; i++)
        floats[i] = (float)i / 3;
    WEIR_AUTO(weir_buffer) file = {.account = &context.memory};
    write_rows(&batch, 300, &(struct weir_parquet_options){0}, &file, NULL);
    struct weir_parquet_reader *reader;
    must(weir_parquet_reader_new(&context.memory, file_source(&file), &new, &reader, &error));
    must(weir_parquet_reader_next(reader, 300, &arena, &read, &error));
    cr_assert_eq(read.count, 300);
    for (uint32_t i = 0; i < 300; i++) {
        cr_assert_eq(((int64_t *)read.columns[4].values)[i],
                     ((int32_t *)batch.columns[0].values)[i]);
        cr_assert_eq(((double *)read.columns[3].values)[i], (double)floats[i]);
        cr_assert(((weir_int128 *)read.columns[1].values)[i] ==
                  ((weir_int128 *)batch.columns[2].values)[i]);
        cr_assert_not(weir_vector_valid(&read.columns[2], i));
        cr_assert_eq(weir_vector_valid(&read.columns[0], i),
                     weir_vector_valid(&batch.columns[3], i));
        cr_assert_not(weir_vector_valid(&read.columns[0].children[0], i));
        if (weir_vector_valid(&batch.columns[3], i))
            cr_assert_eq(((int64_t *)read.columns[0].children[1].values)[i],
                         ((int64_t *)batch.columns[3].children[0].values)[i]);
    }
    weir_parquet_reader_free(reader);
}

Test(parquet, required_null_is_a_bug_not_a_file)
{
    struct weir_type schema = {.id = WEIR_STRUCT, KIDS(FIELD("a", 1, true, .id = WEIR_INT))};
    uint8_t validity[64] = {1};
    int32_t values[16] = {0};
    struct weir_vector column = {.type = &schema.children[0].type,
                                 .count = 2,
                                 .null_count = 1,
                                 .values = values,
                                 .validity = validity};
    struct weir_batch batch = {&schema, 2, &column};
    WEIR_AUTO(weir_buffer) file = {.account = &context.memory};
    struct weir_parquet_writer *writer;
    must(weir_parquet_writer_new(&context, &context.memory, &schema,
                                 &(struct weir_parquet_options){0},
                                 (struct weir_parquet_sink){file_append, &file}, &writer, &error));
    cr_assert_eq(weir_parquet_writer_add(writer, &batch, NULL, &error), WEIR_INTERNAL);
    cr_assert(strstr(error.text, "required column a"));
    struct weir_parquet_result result;
    cr_assert_eq(weir_parquet_writer_finish(writer, &result, &error), WEIR_INTERNAL,
                 "a file of half a batch was finished");
    weir_parquet_writer_free(writer);
}

Test(parquet, memory_stays_near_the_decoded_size)
{
    const struct weir_type schema = {.id = WEIR_STRUCT,
                                     KIDS(FIELD("a", 1, true, .id = WEIR_LONG),
                                          FIELD("b", 2, true, .id = WEIR_DOUBLE),
                                          FIELD("t", 3, true, .id = WEIR_BINARY))};
    struct weir_account account;
    weir_account_init(&account, &context.memory, "writer", 0);
    struct sample_random random = {2};
    struct weir_batch batch = sample_batch(&arena, &schema, 2048, 0, &random);
    WEIR_AUTO(weir_buffer) file = {.account = &context.memory};
    struct weir_parquet_writer *writer;
    must(weir_parquet_writer_new(&context, &account, &schema,
                                 &(struct weir_parquet_options){.row_group_size = 8 << 20},
                                 (struct weir_parquet_sink){file_append, &file}, &writer, &error));
    size_t most = 0;
    while (weir_parquet_writer_written(writer) == 0) {
        most = account.used > most ? account.used : most;
        must(weir_parquet_writer_add(writer, &batch, NULL, &error));
    }
    cr_assert_lt(most, (size_t)(8 << 20) * 5 / 4, "%zu bytes for 8 MiB of rows", most);
    cr_assert_lt((size_t)account.peak, (size_t)(8 << 20) * 5 / 2, "peak %zu", (size_t)account.peak);
    weir_parquet_writer_free(writer);
}

static weir_status fail_at;
static weir_status failing_sink(void *self, const void *data, size_t size,
                                struct weir_error *reterr)
{
    return weir_fail(reterr, fail_at, "no");
}

Test(parquet, a_failing_sink_is_passed_on)
{
    struct weir_type schema = {.id = WEIR_STRUCT, KIDS(FIELD("a", 1, true, .id = WEIR_LONG))};
    struct weir_parquet_writer *writer;
    struct weir_parquet_result result;
    fail_at = WEIR_NO_SPACE;
    must(weir_parquet_writer_new(&context, &context.memory, &schema,
                                 &(struct weir_parquet_options){0},
                                 (struct weir_parquet_sink){failing_sink, NULL}, &writer, &error));
    cr_assert_eq(weir_parquet_writer_finish(writer, &result, &error), WEIR_NO_SPACE);
    weir_parquet_writer_free(writer);
}

/* Fails the first, second, ... byte of memory that is asked for, until the limit lets the whole run
 * through. */
Test(parquet, every_shortage_of_memory_is_an_error)
{
    const struct weir_type *schema = sample_schema(&arena);
    struct sample_random random = {13};
    struct weir_batch batch = sample_batch(&arena, schema, 200, 0, &random);
    WEIR_AUTO(weir_buffer) file = {.account = &context.memory};
    bool whole = false;
    for (size_t limit = 1000; !whole; limit += limit / 16 + 1) {
        struct weir_account account;
        weir_account_init(&account, &context.memory, "small", limit);
        struct weir_parquet_writer *writer = NULL;
        struct weir_parquet_result result;
        weir_buffer_clear(&file);
        struct weir_parquet_options options = {.codec = WEIR_CODEC_LZ4_RAW,
                                               .row_group_size = 10000};
        weir_status status = weir_parquet_writer_new(&context, &account, schema, &options,
                                                     (struct weir_parquet_sink){file_append, &file},
                                                     &writer, &error);
        if (status == WEIR_OK)
            status = weir_parquet_writer_add(writer, &batch, NULL, &error);
        if (status == WEIR_OK)
            status = weir_parquet_writer_finish(writer, &result, &error);
        cr_assert(status == WEIR_OK || status == WEIR_NO_MEMORY, "%s", error.text);
        whole = status == WEIR_OK;
        weir_parquet_writer_free(writer);
        cr_assert_eq(account.used, 0);
    }
    for (size_t limit = 1000, done = 0; !done; limit += limit / 16 + 1) {
        struct weir_account account;
        char *text;
        size_t size;
        weir_account_init(&account, &context.memory, "small", limit);
        weir_status status = file_print(&account, &file, schema, 64, &text, &size, &error);
        cr_assert(status == WEIR_OK || status == WEIR_NO_MEMORY, "%s", error.text);
        done = status == WEIR_OK;
        free(text);
        cr_assert_eq(account.used, 0);
    }
}
