/* Damaged files: every answer is a status, and page bodies are reached behind their checksums. */
#include "formats/parquet/scan_int.h"
#include "tests/unit/parquet/file.h"

#include <criterion/criterion.h>
#include <zlib.h>

static struct weir_context context;
static struct weir_account
    account; /* bounded, as a file must not decide how much memory is taken */
static struct weir_arena arena;
static struct weir_error error;
static struct weir_buffer file;
static const struct weir_type *schema;

#define must(call)                                                                                 \
    do {                                                                                           \
        weir_status must_status_ = (call);                                                         \
        cr_assert_eq(must_status_, WEIR_OK, "%s", error.text);                                     \
    } while (0)

static void write_sample(enum weir_codec codec, uint32_t count)
{
    struct weir_parquet_writer *writer;
    struct weir_parquet_result result;
    struct sample_random random = {count};
    struct weir_parquet_options options = {
        .codec = codec, .row_group_size = 30000, .page_size = 2000};
    struct weir_batch batch = sample_batch(&arena, schema, count, 0, &random);
    weir_buffer_clear(&file);
    must(weir_parquet_writer_new(&context, &account, schema, &options,
                                 (struct weir_parquet_sink){file_append, &file}, &writer, &error));
    must(weir_parquet_writer_add(writer, &batch, NULL, &error));
    must(weir_parquet_writer_finish(writer, &result, &error));
    weir_parquet_writer_free(writer);
}

static void setup(void)
{
    weir_context_init(&context);
    context.thread_count = 1;
    weir_account_init(&account, NULL, "damage", 64 << 20);
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

TestSuite(parquet_damage, .init = setup, .fini = teardown);

static weir_status read_all(void)
{
    char *text;
    size_t size;
    size_t before = account.used;
    weir_status status = file_print(&account, &file, schema, 100, &text, &size, &error);
    free(text);
    cr_assert_eq(account.used, before);
    cr_assert(status == WEIR_OK || status == WEIR_CORRUPT || status == WEIR_UNSUPPORTED ||
                  status == WEIR_NO_MEMORY || status == WEIR_IO,
              "%s", error.text);
    return status;
}

Test(parquet_damage, cut_files)
{
    write_sample(WEIR_CODEC_LZ4_RAW, 200);
    size_t whole = file.size;
    for (size_t size = 0; size < whole; size += size < 100 || whole - size < 4000 ? 1 : 97) {
        file.size = size;
        cr_assert_neq(read_all(), WEIR_OK);
    }
    file.size = whole;
    cr_assert_eq(read_all(), WEIR_OK);
}

Test(parquet_damage, flipped_bytes_of_pages_are_told_with_column_and_byte)
{
    write_sample(WEIR_CODEC_NONE, 100);
    file.data[700] ^= 1;
    cr_assert_eq(read_all(), WEIR_CORRUPT);
    cr_assert(strstr(error.text, "row group 0, column "), "%s", error.text);
    cr_assert(strstr(error.text, "at byte "), "%s", error.text);
}

Test(parquet_damage, random_bytes_anywhere)
{
    struct sample_random random = {77};
    for (int codec = 0; codec < 5; codec++) {
        write_sample((enum weir_codec)codec, 150);
        uint32_t footer;
        memcpy(&footer, file.data + file.size - 8, 4);
        for (int i = 0; i < 400; i++) {
            uint8_t was[4];
            size_t at[4];
            for (int j = 0; j < 4; j++) { /* three of four into the footer */
                at[j] = j == 3 ? sample_below(&random, file.size)
                               : file.size - 1 - sample_below(&random, footer + 8);
                was[j] = file.data[at[j]];
                file.data[at[j]] = (uint8_t)sample_next(&random);
            }
            (void)read_all();
            for (int j = 4; j-- > 0;)
                file.data[at[j]] = was[j];
        }
        cr_assert_eq(read_all(), WEIR_OK, "%s", error.text);
    }
}

/* ---- behind the checksum
 * --------------------------------------------------------------------------------------- */

struct page_at {
    size_t crc_at, crc_size, body, size;
};

/* The page whose header begins at `at`. */
static struct page_at parse_page(size_t at, size_t *ret_end)
{
    struct thrift_reader thrift;
    struct page_at page = {0};
    int16_t id;
    thrift_reader_init(&thrift, file.data + at, file.size - at);
    thrift_enter_struct(&thrift);
    while (thrift_next_field(&thrift, &id)) {
        size_t before = thrift.at;
        if (id == 3)
            page.size = (size_t)thrift_read_integer(&thrift);
        else
            thrift_skip(&thrift);
        if (id == 4) {
            page.crc_at = at + before;
            page.crc_size = thrift.at - before;
        }
    }
    cr_assert_not(thrift.failed);
    page.body = at + thrift.at;
    *ret_end = page.body + page.size;
    return page;
}

/* Writes the checksum anew into the bytes the old one took; false if it needs more of them. */
static bool patch_crc(const struct page_at *page)
{
    int64_t crc = (int32_t)crc32(0, file.data + page->body, (uInt)page->size);
    uint64_t value = ((uint64_t)crc << 1) ^ (uint64_t)(crc >> 63);
    for (size_t i = 0; i < page->crc_size; i++, value >>= 7)
        file.data[page->crc_at + i] = (uint8_t)((value & 0x7f) |
                                                (i + 1 < page->crc_size ? 0x80 : 0));
    return value == 0;
}

Test(parquet_damage, random_bytes_in_page_bodies, .timeout = 120)
{
    struct sample_random random = {78};
    struct file_meta meta;
    write_sample(WEIR_CODEC_NONE, 120);
    uint32_t footer;
    memcpy(&footer, file.data + file.size - 8, 4);
    WEIR_AUTO(weir_buffer) copy = {.account = &account};
    must(weir_buffer_append(&copy, file.data, file.size, &error));
    must(parquet_meta_parse(&arena, copy.data + copy.size - 8 - footer, footer, 0, &meta, &error));
    int reached = 0, corrupt = 0;
    for (int i = 0; i < 1500; i++) {
        const struct file_chunk *chunk = &meta.groups[sample_below(&random, meta.group_count)]
                                              .chunks[sample_below(&random, meta.leaf_count)];
        size_t at = chunk->dictionary_offset ? chunk->dictionary_offset : chunk->data_offset,
               end = at + chunk->compressed_size;
        while (at < end) {
            struct page_at page = parse_page(at, &at);
            if (page.size && sample_below(&random, 2)) {
                for (uint64_t n = 1 + sample_below(&random, 3); n > 0; n--)
                    file.data[page.body + sample_below(&random, page.size < 40 ? page.size : 40)] =
                        (uint8_t)sample_next(&random);
                reached += patch_crc(&page);
            }
        }
        corrupt += read_all() == WEIR_CORRUPT;
        memcpy(file.data, copy.data, copy.size);
    }
    cr_assert_gt(reached, 700);
    cr_assert_gt(corrupt, 200);
}

/* ---- decoders by themselves
 * ------------------------------------------------------------------------------------- */

/* Piece by piece, as readers do: every piece begins where the one before ended. */
static bool read_runs32(const uint8_t *data, size_t size, unsigned width, uint32_t *values,
                        size_t count, struct sample_random *random)
{
    struct parquet_runs runs;
    if (width > 32)
        return false;
    parquet_runs_open(&runs, data, size, width);
    for (size_t at = 0, here; at < count; at += here) {
        here = 1 + sample_below(random, 70);
        here = here < count - at ? here : count - at;
        if (!parquet_runs_read32(&runs, values + at, here))
            return false;
    }
    return true;
}

static bool read_runs8(const uint8_t *data, size_t size, unsigned width, uint8_t *values,
                       size_t count)
{
    struct parquet_runs runs;
    if (width > 8)
        return false;
    parquet_runs_open(&runs, data, size, width);
    return parquet_runs_read8(&runs, values, count);
}

/* Bits read, skipped and counted in pieces, against a byte each. */
static void check_bits(const uint8_t *data, size_t size, const uint8_t *bits, size_t count,
                       struct sample_random *random)
{
    struct parquet_runs runs;
    uint8_t made[3000 / 8 + 64] = {0};
    parquet_runs_open(&runs, data, size, 1);
    for (size_t at = 0, here; at < count; at += here) {
        size_t ones = 0, want = 0;
        here = 1 + sample_below(random, 200);
        here = here < count - at ? here : count - at;
        for (size_t i = 0; i < here; i++)
            want += bits[at + i];
        if (sample_below(random, 3) == 0) {
            cr_assert(parquet_runs_skip(&runs, here, 1, &ones));
        } else {
            cr_assert(parquet_runs_bits(&runs, made, at, here, &ones));
            for (size_t i = 0; i < here; i++)
                cr_assert_eq(weir_bit_get(made, at + i), bits[at + i]);
        }
        cr_assert_eq(ones, want);
    }
}

Test(parquet_damage, run_lengths_against_a_plain_reading)
{
    struct sample_random random = {5};
    static uint32_t values[3000], back[3000];
    static uint8_t small[3000], small_back[3000];
    for (int i = 0; i < 3000; i++) {
        size_t count = sample_below(&random, 3000);
        unsigned width = (unsigned)sample_below(&random, 21);
        uint32_t value = 0;
        for (size_t at = 0; at < count; at++) {
            if (sample_below(&random, i % 20 + 1) == 0)
                value = width ? (uint32_t)sample_next(&random) & ((1u << width) - 1) : 0;
            values[at] = value;
            small[at] = (uint8_t)(value & 3);
        }
        WEIR_AUTO(weir_buffer) out = {.account = &account};
        must(parquet_rle_encode32(values, count, width, &out, &error));
        cr_assert(read_runs32(out.data, out.size, width, back, count, &random),
                  "width %u count %zu", width, count);
        cr_assert(memcmp(values, back, count * 4) == 0);
        weir_buffer_clear(&out);
        must(parquet_rle_encode8(small, count, 2, &out, &error));
        cr_assert(read_runs8(out.data, out.size, 2, small_back, count));
        cr_assert(memcmp(small, small_back, count) == 0);
        for (size_t at = 0; at < count; at++)
            small[at] &= 1;
        weir_buffer_clear(&out);
        must(parquet_rle_encode8(small, count, 1, &out, &error));
        check_bits(out.data, out.size, small, count, &random);
    }
}

Test(parquet_damage, deltas_at_every_width_and_overflow)
{
    struct sample_random random = {6};
    static int64_t values[1000], back[1000];
    static int32_t narrow[1000];
    static const size_t counts[] = {0, 1, 2, 32, 33, 128, 129, 130, 257, 1000};
    for (int i = 0; i < 3000; i++) {
        size_t count = counts[sample_below(&random, 10)], used;
        unsigned bits = (unsigned)sample_below(&random, 65);
        for (size_t at = 0; at < count; at++) {
            values[at] = bits == 64 ? (int64_t)sample_next(&random)
                         : bits     ? (int64_t)(sample_next(&random) >> (64 - bits))
                                    : 0;
            narrow[at] = (int32_t)values[at];
        }
        WEIR_AUTO(weir_buffer) out = {.account = &account};
        must(parquet_delta_encode(values, count, 8, &out, &error));
        cr_assert(parquet_delta_read(out.data, out.size, back, true, count, &used) &&
                      used == out.size,
                  "bits %u count %zu", bits, count);
        cr_assert(memcmp(values, back, count * 8) == 0);
        cr_assert_geq(parquet_delta_size(values, count, 8) + 40, out.size);
        if (out.size > 8)
            cr_assert(!parquet_delta_read(out.data, out.size / 2, back, true, count, &used) ||
                      count < 2 || bits == 0);
        weir_buffer_clear(&out);
        must(parquet_delta_encode(narrow, count, 4, &out, &error));
        cr_assert(parquet_delta_read(out.data, out.size, back, true, count, &used));
        for (size_t at = 0; at < count; at++)
            cr_assert_eq((int32_t)back[at], narrow[at]);
    }
}

Test(parquet_damage, random_input_to_decoders)
{
    struct sample_random random = {9};
    for (int i = 0; i < 100000; i++) {
        size_t size = sample_below(&random, 60), used, count = sample_below(&random, 200);
        uint8_t *data = malloc(size ? size : 1); /* exactly as large, for the sanitizer */
        static int64_t values[200];
        for (size_t at = 0; at < size; at++)
            data[at] = (uint8_t)(sample_next(&random) >> sample_below(&random, 8));
        if (sample_below(&random, 2) && size > 4) { /* a likely head */
            data[0] = 0x80;
            data[1] = 1;
            data[2] = 4;
            data[3] = (uint8_t)count;
        }
        (void)parquet_delta_read(data, size, values, true, count, &used);
        (void)read_runs32(data, size, (unsigned)sample_below(&random, 40),
                          (uint32_t *)(void *)values, count, &random);
        (void)read_runs8(data, size, (unsigned)sample_below(&random, 10), (uint8_t *)(void *)values,
                         count);
        struct thrift_reader thrift;
        int16_t id;
        thrift_reader_init(&thrift, data, size);
        thrift_enter_struct(&thrift);
        while (thrift_next_field(&thrift, &id))
            thrift_skip(&thrift);
        free(data);
    }
}
