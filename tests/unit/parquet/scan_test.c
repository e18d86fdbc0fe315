/* The scan reader: predicates never lose a row, columns that come late are the same, dictionaries
 * stay dictionaries, files make tables, and pages as old writers made them. Values of all encodings
 * are compared with pyarrow's by tests/interop/parquet_read.py. */
#include "formats/parquet/scan_int.h"
#include "tests/unit/parquet/file.h"

#include <criterion/criterion.h>

static struct weir_context context;
static struct weir_account account;
static struct weir_arena arena;
static struct weir_error error;
static struct weir_buffer file;
static const struct weir_type *schema;

#define must(call)                                                                                 \
    do {                                                                                           \
        weir_status must_status_ = (call);                                                         \
        cr_assert_eq(must_status_, WEIR_OK, "%s", error.text);                                     \
    } while (0)

static void setup(void)
{
    weir_context_init(&context);
    context.thread_count = 1;
    weir_account_init(&account, NULL, "scan", (size_t)512 << 20);
    weir_arena_init(&arena, &account);
    file = (struct weir_buffer){.account = &account};
    schema = sample_schema(&arena);
}

static void teardown(void)
{
    weir_buffer_done(&file);
    weir_arena_done(&arena);
    cr_assert_eq(account.used, 0);
    weir_context_done(&context);
}

TestSuite(parquet_scan, .init = setup, .fini = teardown);

static struct weir_batch write_sample(uint32_t count, uint64_t group_size, uint64_t seed)
{
    static const int32_t blooms[] = {3, 13, 14, 7};
    struct weir_parquet_writer *writer;
    struct weir_parquet_result result;
    struct sample_random random = {seed};
    struct weir_parquet_options options = {.codec = WEIR_CODEC_ZSTD,
                                           .row_group_size = group_size,
                                           .page_size = 1500,
                                           .bloom_ids = blooms,
                                           .bloom_count = 4};
    struct weir_batch batch = sample_batch(&arena, schema, count, 0, &random);
    weir_buffer_clear(&file);
    must(weir_parquet_writer_new(&context, &account, schema, &options,
                                 (struct weir_parquet_sink){file_append, &file}, &writer, &error));
    must(weir_parquet_writer_add(writer, &batch, NULL, &error));
    must(weir_parquet_writer_finish(writer, &result, &error));
    weir_parquet_writer_free(writer);
    return batch;
}

/* The schema with the row's number behind. */
static struct weir_type *with_position(void)
{
    struct weir_type *type;
    must(weir_arena_zero(&arena, 1, sizeof *type, &type, &error));
    *type = (struct weir_type){.id = WEIR_STRUCT, .child_count = schema->child_count + 1};
    must(weir_arena_zero(&arena, type->child_count, sizeof *type->children, &type->children,
                         &error));
    memcpy(type->children, schema->children, schema->child_count * sizeof *type->children);
    type->children[schema->child_count] = (struct weir_field){
        .name = "_pos", .id = WEIR_PARQUET_POSITION_ID, .type.id = WEIR_LONG};
    return type;
}

/* ---- predicates
 * --------------------------------------------------------------------------------------------- */

#define COMPARE(type)                                                                              \
    do {                                                                                           \
        type x = ((const type *)a->values)[i], y = ((const type *)b->values)[j];                   \
        return (x > y) - (x < y);                                                                  \
    } while (0)

/* SQL's order: NaN is equal to itself and greater than everything. */
static int compare(const struct weir_vector *a, uint32_t i, const struct weir_vector *b, uint32_t j)
{
    switch (a->type->id) {
    case WEIR_BOOLEAN: return weir_bit_get(a->values, i) - weir_bit_get(b->values, j);
    case WEIR_INT:
    case WEIR_DATE: COMPARE(int32_t);
    case WEIR_DECIMAL: COMPARE(weir_int128);
    case WEIR_FLOAT: {
        float x = ((const float *)a->values)[i], y = ((const float *)b->values)[j];
        return isnan(x) || isnan(y) ? !!isnan(x) - !!isnan(y) : (x > y) - (x < y);
    }
    case WEIR_DOUBLE: {
        double x = ((const double *)a->values)[i], y = ((const double *)b->values)[j];
        return isnan(x) || isnan(y) ? !!isnan(x) - !!isnan(y) : (x > y) - (x < y);
    }
    case WEIR_STRING:
    case WEIR_BINARY: {
        size_t x = (size_t)(a->offsets[i + 1] - a->offsets[i]),
               y = (size_t)(b->offsets[j + 1] - b->offsets[j]);
        int order = memcmp((const char *)a->values + a->offsets[i],
                           (const char *)b->values + b->offsets[j], x < y ? x : y);
        return order ? order : (x > y) - (x < y);
    }
    case WEIR_UUID:
    case WEIR_FIXED: {
        size_t width = weir_type_width(a->type);
        return memcmp((const char *)a->values + i * width, (const char *)b->values + j * width,
                      width);
    }
    default: COMPARE(int64_t);
    }
}

static bool holds(const struct weir_predicate *predicate, const struct weir_vector *column,
                  uint32_t row)
{
    bool valid = weir_vector_valid(column, row);
    if (predicate->kind == WEIR_PREDICATE_IS_NULL || predicate->kind == WEIR_PREDICATE_NOT_NULL)
        return valid == (predicate->kind == WEIR_PREDICATE_NOT_NULL);
    for (uint32_t i = 0; valid && i < predicate->value.count; i++) {
        int order = compare(column, row, &predicate->value, i);
        bool met = predicate->kind == WEIR_PREDICATE_LT   ? order < 0
                   : predicate->kind == WEIR_PREDICATE_LE ? order <= 0
                   : predicate->kind == WEIR_PREDICATE_GT ? order > 0
                   : predicate->kind == WEIR_PREDICATE_GE ? order >= 0
                                                          : order == 0;
        if (met)
            return true;
    }
    return false;
}

static bool is_nan(const struct weir_vector *vector)
{
    return (vector->type->id == WEIR_FLOAT && isnan(*(const float *)vector->values)) ||
           (vector->type->id == WEIR_DOUBLE && isnan(*(const double *)vector->values));
}

/* On a random flat column (or struct.a), with values out of the rows. False: none was found. */
static bool random_predicate(const struct weir_batch *rows, struct sample_random *random,
                             struct weir_predicate *predicate,
                             const struct weir_vector **ret_column)
{
    uint32_t at = (uint32_t)sample_below(random, 19);
    const struct weir_vector *column = &rows->columns[at], *nested = column;
    *predicate = (struct weir_predicate){
        .kind = (enum weir_predicate_kind)sample_below(random, 8), .path = {at}, .path_size = 1};
    if (column->type->id == WEIR_STRUCT) {
        column = &nested->children[0];
        predicate->path_size = 2;
    }
    uint32_t picks[3], count = predicate->kind == WEIR_PREDICATE_IN ? 3 : 1;
    for (uint32_t i = 0; i < count; i++) {
        picks[i] = (uint32_t)sample_below(random, rows->count);
        for (int tries = 0; !weir_vector_valid(column, picks[i]); tries++) {
            if (tries == 50)
                return false;
            picks[i] = (uint32_t)sample_below(random, rows->count);
        }
    }
    must(weir_vector_gather(&arena, column, &(struct weir_selection){count, picks},
                            &predicate->value, &error));
    /* Now and then a value that is not there. */
    if (weir_type_width(column->type) >= 4 && sample_below(random, 4) == 0)
        *(uint16_t *)predicate->value.values ^= (uint16_t)sample_next(random);
    for (uint32_t i = 0; i < count; i++)
        if (is_nan(&predicate->value) || count > 1)
            if (column->type->id == WEIR_FLOAT || column->type->id == WEIR_DOUBLE)
                return false;
    *ret_column = column;
    return true;
}

/* What came as row number n is row n, in flat columns. */
static void check_values(const struct weir_batch *batch, const struct weir_batch *rows,
                         struct weir_arena *scratch)
{
    const int64_t *numbers = batch->columns[schema->child_count].values;
    static const uint32_t columns[] = {0, 1, 2, 6, 8, 12, 13, 15, 17};
    for (size_t c = 0; c < sizeof columns / sizeof *columns; c++) {
        const struct weir_vector *want = &rows->columns[columns[c]];
        struct weir_vector flat;
        must(weir_vector_gather(scratch, &batch->columns[columns[c]], NULL, &flat, &error));
        for (uint32_t i = 0; i < batch->count; i++) {
            bool valid = weir_vector_valid(&flat, i);
            cr_assert_eq(valid, weir_vector_valid(want, (size_t)numbers[i]));
            cr_assert(!valid || compare(&flat, i, want, (uint32_t)numbers[i]) == 0);
        }
    }
}

/* Marks the rows that come, by their number; each must come once. */
static void read_marks(const struct weir_parquet_read *read, const struct weir_batch *rows,
                       uint8_t *marks)
{
    struct weir_parquet_file *opened;
    struct weir_arena batches;
    must(weir_parquet_file_open(&account, file_source(&file), &opened, &error));
    weir_arena_init(&batches, &account);
    for (size_t g = 0; g < weir_parquet_file_group_count(opened); g++) {
        struct weir_parquet_cursor *cursor = NULL;
        bool end = false;
        must(weir_parquet_cursor_open(&account, opened, g, read, &cursor, &error));
        while (cursor && !end) {
            struct weir_batch batch;
            weir_arena_reset(&batches);
            must(weir_parquet_cursor_next(cursor, &batches, &batch, &end, &error));
            cr_assert(end == (batch.count == 0));
            check_values(&batch, rows, &batches);
            const int64_t *numbers = batch.columns[read->wanted->child_count - 1].values;
            for (uint32_t i = 0; i < batch.count; i++) {
                cr_assert_not(weir_bit_get(marks, (size_t)numbers[i]));
                weir_bit_set(marks, (size_t)numbers[i]);
            }
        }
        weir_parquet_cursor_free(cursor);
    }
    weir_arena_done(&batches);
    weir_parquet_file_free(opened);
}

Test(parquet_scan, predicates_never_lose_a_row)
{
    struct sample_random random = {11};
    const struct weir_type *wanted = with_position();
    struct weir_scan_counters counters = {0};
    struct weir_parquet_pool *pool;
    must(weir_parquet_pool_new(&account, &pool, &error));
    for (int round = 0; round < 2; round++) {
        struct weir_batch rows = write_sample(2500, 150000, (uint64_t)round + 1);
        for (int i = 0; i < 120; i++) {
            struct weir_predicate predicates[2];
            const struct weir_vector *columns[2];
            size_t count = 1 + sample_below(&random, 2);
            bool made = true;
            for (size_t p = 0; p < count && made; p++)
                made = random_predicate(&rows, &random, &predicates[p], &columns[p]);
            if (!made)
                continue;
            struct weir_parquet_read read = {.wanted = wanted,
                                             .predicates = predicates,
                                             .predicate_count = count,
                                             .batch_rows = 1 + (uint32_t)sample_below(&random, 900),
                                             .counters = &counters,
                                             .pool = i % 3 ? pool : NULL};
            uint8_t marks[2500 / 8 + 8] = {0};
            read_marks(&read, &rows, marks);
            for (uint32_t row = 0; row < rows.count; row++) {
                bool wants = true;
                for (size_t p = 0; p < count; p++)
                    wants = wants && holds(&predicates[p], columns[p], row);
                cr_assert(!wants || weir_bit_get(marks, row),
                          "round %d, %d: row %u of column %u, kind %d", round, i, row,
                          predicates[0].path[0], (int)predicates[0].kind);
            }
        }
    }
    weir_parquet_pool_free(pool);
    cr_assert_gt(counters.row_groups_skipped, 50);
    cr_assert_gt(counters.pages_skipped, 50, "%llu", counters.pages_skipped);
    cr_assert_gt(counters.rows_skipped, counters.rows_read / 20);
}

/* ---- columns that come late
 * --------------------------------------------------------------------------------- */

struct choosing {
    const struct weir_type *wanted;
    uint32_t column, one_in;
};

static weir_status choose(void *self, const struct weir_batch *batch, struct weir_arena *to,
                          struct weir_selection *ret_selection, struct weir_error *reterr)
{
    const struct choosing *choosing = self;
    const int64_t *values = batch->columns[choosing->column].values;
    uint32_t *rows, count = 0;
    WEIR_TRY(weir_arena_alloc(to, (size_t)batch->count * 4 + 4, &rows, reterr));
    for (uint32_t i = 0; i < batch->count; i++)
        if (values[i] % choosing->one_in == 0)
            rows[count++] = i;
    *ret_selection = (struct weir_selection){count, rows};
    return WEIR_OK;
}

static void print_all(const struct weir_parquet_read *read, FILE *out)
{
    struct weir_parquet_file *opened;
    struct weir_arena batches;
    must(weir_parquet_file_open(&account, file_source(&file), &opened, &error));
    weir_arena_init(&batches, &account);
    for (size_t g = 0; g < weir_parquet_file_group_count(opened); g++) {
        struct weir_parquet_cursor *cursor = NULL;
        bool end = false;
        must(weir_parquet_cursor_open(&account, opened, g, read, &cursor, &error));
        while (cursor && !end) {
            struct weir_batch batch, flat;
            weir_arena_reset(&batches);
            must(weir_parquet_cursor_next(cursor, &batches, &batch, &end, &error));
            must(weir_batch_gather(&batches, &batch, NULL, &flat, &error));
            for (uint32_t i = 0; i < flat.count; i++)
                sample_print_row(&flat, i, out);
        }
        weir_parquet_cursor_free(cursor);
    }
    weir_arena_done(&batches);
    weir_parquet_file_free(opened);
}

Test(parquet_scan, late_columns_are_the_same_and_pages_stay_packed)
{
    const struct weir_type *wanted = with_position();
    uint8_t needs[8] = {0};
    struct weir_batch rows = write_sample(4000, 1 << 20, 3);
    weir_bit_set(needs, schema->child_count);
    static const uint32_t shares[] = {1, 2, 17, 100, 3999, 100000};
    for (size_t s = 0; s < sizeof shares / sizeof *shares; s++) {
        struct choosing choosing = {wanted, schema->child_count, shares[s]};
        struct weir_scan_filter filter = {choose, &choosing, needs};
        struct weir_scan_counters counters = {0};
        struct weir_parquet_read read = {
            .wanted = wanted, .filter = &filter, .batch_rows = 333, .counters = &counters};
        char *got, *want;
        size_t got_size, want_size;
        FILE *out = open_memstream(&got, &got_size);
        print_all(&read, out);
        fclose(out);
        out = open_memstream(&want, &want_size);
        for (uint32_t i = 0; i < rows.count; i += shares[s]) {
            char *line;
            size_t size;
            FILE *one = open_memstream(&line, &size);
            sample_print_row(&rows, i, one);
            fclose(one);
            fprintf(out, "%.*s,%u]\n", (int)size - 2, line, i);
            free(line);
        }
        fclose(out);
        cr_assert_str_eq(got, want);
        cr_assert(shares[s] != 3999 || counters.pages_skipped > 20, "%llu pages skipped",
                  counters.pages_skipped);
        free(got);
        free(want);
    }
}

Test(parquet_scan, strings_of_a_dictionary_stay_indices)
{
    struct weir_parquet_file *opened;
    struct weir_parquet_cursor *cursor = NULL;
    struct weir_batch batch;
    bool end;
    write_sample(3000, 1 << 20, 4);
    must(weir_parquet_file_open(&account, file_source(&file), &opened, &error));
    struct weir_parquet_read read = {.wanted = schema};
    must(weir_parquet_cursor_open(&account, opened, 0, &read, &cursor, &error));
    must(weir_parquet_cursor_next(cursor, &arena, &batch, &end, &error));
    int dictionaries = 0;
    for (uint32_t i = 0; i < schema->child_count; i++) {
        const struct weir_vector *column = &batch.columns[i];
        cr_assert_eq(column->count, 2048);
        if (column->kind != WEIR_DICTIONARY)
            continue;
        dictionaries++;
        cr_assert_eq(column->dictionary->kind, WEIR_FLAT);
        for (uint32_t row = 0; row < column->count; row++)
            cr_assert_lt(column->indices[row], column->dictionary->count);
    }
    cr_assert_geq(dictionaries, 1);
    weir_parquet_cursor_free(cursor);
    weir_parquet_file_free(opened);
}

/* ---- tables
 * -------------------------------------------------------------------------------------------------
 */

static struct weir_parquet_file *open_copy(struct weir_buffer *copy)
{
    struct weir_parquet_file *opened;
    *copy = (struct weir_buffer){.account = &account};
    must(weir_buffer_append(copy, file.data, file.size, &error));
    must(weir_parquet_file_open(&account, file_source(copy), &opened, &error));
    return opened;
}

Test(parquet_scan, files_make_a_table)
{
    struct weir_buffer copies[2];
    struct weir_parquet_file *files[2];
    struct weir_table_source source;
    write_sample(1000, 100000, 5);
    files[0] = open_copy(&copies[0]);
    write_sample(500, 100000, 6);
    files[1] = open_copy(&copies[1]);
    must(weir_parquet_table_source(&context, &account, files, 2, &source, &error));
    const struct weir_table_source_operations *operations = source.operations;
    bool exact = false;
    cr_assert_eq(operations->row_count(source.self, &exact), 1500);
    cr_assert(exact);
    struct weir_vector lower, upper;
    uint64_t nulls;
    cr_assert(operations->bounds(source.self, 17, &arena, &lower, &upper, &nulls));
    cr_assert_leq(*(int64_t *)lower.values, *(int64_t *)upper.values);
    cr_assert_not(operations->bounds(source.self, 4, &arena, &lower, &upper, &nulls));
    struct weir_type none = {.id = WEIR_STRUCT};
    const struct weir_type *wanted[] = {schema, &none};
    for (int i = 0; i < 2; i++) {
        struct weir_scan_request request = {.wanted = wanted[i], .batch_rows = 64, .limit = -1};
        struct weir_scan *scan;
        uint64_t rows = 0;
        must(operations->open(source.self, &context, &account, &request, &scan, &error));
        for (size_t m = 0; m < operations->morsel_count(scan); m++) {
            struct weir_morsel *morsel;
            struct weir_batch batch;
            bool end = false;
            must(operations->morsel_open(scan, m, &morsel, &error));
            while (!end) {
                must(operations->morsel_next(morsel, &arena, &batch, &end, &error));
                rows += batch.count;
            }
            operations->morsel_close(morsel);
        }
        cr_assert_eq(rows, 1500);
        cr_assert_eq(operations->counters(scan)->rows_read, 1500);
        operations->close(scan);
    }
    operations->free(source.self);
    weir_buffer_done(&copies[0]);
    weir_buffer_done(&copies[1]);
}

/* ---- what old writers made
 * ---------------------------------------------------------------------------------- */

struct old_file {
    int32_t codec;
    int32_t level_encoding;
    const uint8_t *body;
    size_t size, plain_size;
    int32_t value_count;
};

static void append_page(const struct old_file *old)
{
    struct thrift_writer writer;
    thrift_writer_init(&writer, &file, &error);
    thrift_element_struct(&writer);
    thrift_write_i32(&writer, 1, PARQUET_DATA_PAGE);
    thrift_write_i32(&writer, 2, (int32_t)old->plain_size);
    thrift_write_i32(&writer, 3, (int32_t)old->size);
    thrift_begin_struct(&writer, 5);
    thrift_write_i32(&writer, 1, old->value_count);
    thrift_write_i32(&writer, 2, PARQUET_PLAIN);
    thrift_write_i32(&writer, 3, old->level_encoding);
    thrift_write_i32(&writer, 4, old->level_encoding);
    thrift_end_struct(&writer);
    thrift_end_struct(&writer);
    must(writer.status);
    must(weir_buffer_append(&file, old->body, old->size, &error));
}

/* One optional int32 column "a", one page. */
static void make_old(const struct old_file *old)
{
    struct thrift_writer writer;
    weir_buffer_clear(&file);
    must(weir_buffer_append(&file, "PAR1", 4, &error));
    append_page(old);
    size_t end = file.size;
    thrift_writer_init(&writer, &file, &error);
    thrift_element_struct(&writer);
    thrift_write_i32(&writer, 1, 1);
    thrift_begin_list(&writer, 2, THRIFT_STRUCT, 2);
    thrift_element_struct(&writer);
    thrift_write_text(&writer, 4, "root");
    thrift_write_i32(&writer, 5, 1);
    thrift_end_struct(&writer);
    thrift_element_struct(&writer);
    thrift_write_i32(&writer, 1, PARQUET_INT32);
    thrift_write_i32(&writer, 3, 1);
    thrift_write_text(&writer, 4, "a");
    thrift_end_struct(&writer);
    thrift_write_i64(&writer, 3, old->value_count);
    thrift_begin_list(&writer, 4, THRIFT_STRUCT, 1);
    thrift_element_struct(&writer);
    thrift_begin_list(&writer, 1, THRIFT_STRUCT, 1);
    thrift_element_struct(&writer);
    thrift_write_i64(&writer, 2, 4);
    thrift_begin_struct(&writer, 3);
    thrift_write_i32(&writer, 1, PARQUET_INT32);
    thrift_write_i32(&writer, 4, old->codec);
    thrift_write_i64(&writer, 5, old->value_count);
    thrift_write_i64(&writer, 7, (int64_t)end - 4);
    thrift_write_i64(&writer, 9, 4);
    thrift_end_struct(&writer);
    thrift_end_struct(&writer);
    thrift_write_i64(&writer, 3, old->value_count);
    thrift_end_struct(&writer);
    thrift_end_struct(&writer);
    must(writer.status);
    uint32_t size = (uint32_t)(file.size - end);
    must(weir_buffer_append(&file, &size, 4, &error));
    must(weir_buffer_append(&file, "PAR1", 4, &error));
}

/* Rows 0..9, of which 1, 4 and 7 are null; the others hold 10 times their number. */
static void check_old(void)
{
    struct weir_type wanted = {.id = WEIR_STRUCT, KIDS(FIELD("a", 0, false, .id = WEIR_LONG))};
    char *text;
    size_t size;
    must(file_print(&account, &file, &wanted, 3, &text, &size, &error));
    cr_assert_str_eq(text, "[0]\n[null]\n[20]\n[30]\n[null]\n[50]\n[60]\n[null]\n[80]\n[90]\n");
    free(text);
}

static size_t old_values(uint8_t *to)
{
    static const int32_t values[] = {0, 20, 30, 50, 60, 80, 90};
    memcpy(to, values, sizeof values);
    return sizeof values;
}

Test(parquet_scan, levels_packed_from_the_highest_bit)
{
    uint8_t body[64] = {0xb6, 0xc0}; /* 1011 0110 11 */
    size_t size = 2 + old_values(body + 2);
    make_old(&(struct old_file){0, PARQUET_BIT_PACKED, body, size, size, 10});
    check_old();
    make_old(&(struct old_file){0, PARQUET_BIT_PACKED, body, 1, 1, 10});
    char *text;
    size_t text_size;
    struct weir_type wanted = {.id = WEIR_STRUCT, KIDS(FIELD("a", 0, false, .id = WEIR_LONG))};
    cr_assert_eq(file_print(&account, &file, &wanted, 3, &text, &text_size, &error), WEIR_CORRUPT);
    cr_assert(strstr(error.text, "column 0 \"a\": page at byte 4"), "%s", error.text);
    free(text);
}

static void put_big_endian(uint8_t *to, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        to[i] = (uint8_t)(value >> (24 - 8 * i));
}

/* Hadoop's frames of two blocks; and the same codec number without a frame. */
Test(parquet_scan, the_old_lz4_framed_and_bare)
{
    uint8_t plain[64] = {3, 0, 0, 0, 0x05, 0x6d, 0x03}; /* two groups of eight, packed */
    size_t size = 7 + old_values(plain + 7), cut = 15;
    struct weir_compressor *compressor;
    must(weir_compressor_new(&account, WEIR_CODEC_LZ4_RAW, 0, &compressor, &error));
    WEIR_AUTO(weir_buffer) body = {.account = &account};
    for (int i = 0; i < 2; i++) {
        size_t at = i ? cut : 0, here = i ? size - cut : cut, head = body.size;
        must(weir_buffer_append(&body, (uint8_t[8]){0}, 8, &error));
        must(weir_compress(compressor, plain + at, here, &body, &error));
        put_big_endian(body.data + head, (uint32_t)here);
        put_big_endian(body.data + head + 4, (uint32_t)(body.size - head - 8));
    }
    make_old(&(struct old_file){5, PARQUET_RLE, body.data, body.size, size, 10});
    check_old();
    weir_buffer_clear(&body);
    must(weir_compress(compressor, plain, size, &body, &error));
    make_old(&(struct old_file){5, PARQUET_RLE, body.data, body.size, size, 10});
    check_old();
    weir_compressor_free(compressor);
}
