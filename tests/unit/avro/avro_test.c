/* Avro: schemas, values, containers, and bytes that mean harm. */
#include "formats/avro/avro.h"

#include <criterion/criterion.h>
#include <math.h>
#include <snappy-c.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

static struct weir_account account;
static struct weir_arena arena;
static struct weir_error error;

static void setup(void)
{
    weir_account_init(&account, NULL, "test", 256u << 20);
    weir_arena_init(&arena, &account);
}

static void teardown(void)
{
    weir_arena_done(&arena);
    cr_assert_eq(atomic_load(&account.used), 0, "%zu bytes leaked", atomic_load(&account.used));
}

TestSuite(avro, .init = setup, .fini = teardown);

static const char schema_text[] =
    "{\"type\":\"record\",\"name\":\"r\",\"namespace\":\"a.b\",\"fields\":["
    "{\"name\":\"flag\",\"type\":\"boolean\",\"field-id\":1},{\"name\":\"small\",\"type\":\"int\","
    "\"field-id\":2},"
    "{\"name\":\"large\",\"type\":\"long\",\"field-id\":3},{\"name\":\"f\",\"type\":\"float\","
    "\"field-id\":4},"
    "{\"name\":\"d\",\"type\":\"double\",\"field-id\":5},{\"name\":\"raw\",\"type\":\"bytes\","
    "\"field-id\":6},"
    "{\"name\":\"text\",\"type\":[\"null\",\"string\"],\"default\":null,\"field-id\":7},"
    "{\"name\":\"four\",\"type\":{\"type\":\"fixed\",\"name\":\"four\",\"size\":4},\"field-id\":8},"
    "{\"name\":\"suit\",\"type\":{\"type\":\"enum\",\"name\":\"suit\",\"symbols\":[\"A\",\"B\"]},"
    "\"field-id\":9},"
    "{\"name\":\"list\",\"type\":{\"type\":\"array\",\"items\":\"int\",\"element-id\":11},\"field-"
    "id\":10},"
    "{\"name\":\"map\",\"type\":{\"type\":\"map\",\"values\":\"long\"},\"field-id\":12},"
    "{\"name\":\"again\",\"type\":\"four\",\"field-id\":13}]}";

static void put_record(struct weir_buffer *out, int64_t large)
{
    float f = 1.5f;
    double d = -2.25;
    uint8_t yes = 1;
    cr_assert_eq(weir_avro_put_raw(out, &yes, 1, NULL), WEIR_OK);
    cr_assert_eq(weir_avro_put_long(out, -7, NULL), WEIR_OK);
    cr_assert_eq(weir_avro_put_long(out, large, NULL), WEIR_OK);
    cr_assert_eq(weir_avro_put_raw(out, &f, 4, NULL), WEIR_OK);
    cr_assert_eq(weir_avro_put_raw(out, &d, 8, NULL), WEIR_OK);
    cr_assert_eq(weir_avro_put_bytes(out, "\0\1", 2, NULL), WEIR_OK);
    cr_assert_eq(weir_avro_put_long(out, 1, NULL), WEIR_OK);
    cr_assert_eq(weir_avro_put_bytes(out, "grün", 5, NULL), WEIR_OK);
    cr_assert_eq(weir_avro_put_raw(out, "abcd", 4, NULL), WEIR_OK);
    cr_assert_eq(weir_avro_put_long(out, 1, NULL), WEIR_OK);
    /* two blocks, the second with its size as the spec allows: -1 item, 1 byte */
    const int64_t list[] = {2, 5, -6, -1, 1, 9, 0};
    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        cr_assert_eq(weir_avro_put_long(out, list[i], NULL), WEIR_OK);
    cr_assert_eq(weir_avro_put_long(out, 1, NULL), WEIR_OK);
    cr_assert_eq(weir_avro_put_bytes(out, "k", 1, NULL), WEIR_OK);
    cr_assert_eq(weir_avro_put_long(out, INT64_MIN, NULL), WEIR_OK);
    cr_assert_eq(weir_avro_put_long(out, 0, NULL), WEIR_OK);
    cr_assert_eq(weir_avro_put_raw(out, "wxyz", 4, NULL), WEIR_OK);
}

static void write_file(struct weir_buffer *out, bool deflate, int count)
{
    const struct weir_avro_pair metadata[] = {{"schema", "{}"}, {"format-version", "2"}};
    struct weir_avro_writer writer;
    cr_assert_eq(weir_avro_writer_begin(&writer, out, schema_text, metadata, 2, deflate,
                                        (const uint8_t *)"0123456789abcdef", &error),
                 WEIR_OK);
    for (int i = 0; i < count; i++) {
        put_record(&writer.block, i);
        cr_assert_eq(weir_avro_writer_record(&writer, &error), WEIR_OK);
    }
    cr_assert_eq(weir_avro_writer_finish(&writer, &error), WEIR_OK);
    weir_avro_writer_done(&writer);
}

static void check_record(const struct weir_avro_value *record, int64_t large)
{
    const struct weir_avro_value *v = record->as.list.items;
    cr_assert(v[0].as.boolean);
    cr_assert_eq(v[1].as.integer, -7);
    cr_assert_eq(v[2].as.integer, large);
    cr_assert_eq(v[3].as.real, 1.5);
    cr_assert_eq(v[4].as.real, -2.25);
    cr_assert_eq(v[5].as.bytes.size, 2);
    cr_assert_str_eq((const char *)v[6].as.bytes.data, "grün");
    cr_assert_str_eq((const char *)v[7].as.bytes.data, "abcd");
    cr_assert_str_eq(v[8].type->symbols[v[8].as.integer], "B");
    cr_assert_eq(v[9].as.list.count, 3);
    cr_assert_eq(v[9].as.list.items[1].as.integer, -6);
    cr_assert_eq(v[9].as.list.items[2].as.integer, 9);
    cr_assert_eq(v[10].as.list.count, 1);
    cr_assert_str_eq((const char *)v[10].as.list.items[0].as.bytes.data, "k");
    cr_assert_eq(v[10].as.list.items[1].as.integer, INT64_MIN);
    cr_assert_str_eq((const char *)v[11].as.bytes.data, "wxyz");
}

static int read_all(const void *data, size_t size, weir_status *ret_status)
{
    struct weir_avro_reader *reader = NULL;
    struct weir_avro_value value;
    struct weir_arena own;
    bool end = false;
    int count = 0;
    weir_arena_init(&own, &account);
    *ret_status = weir_avro_reader_open(&own, data, size, &reader, &error);
    while (*ret_status == WEIR_OK) {
        *ret_status = weir_avro_reader_next(reader, &own, &end, &value, &error);
        if (*ret_status != WEIR_OK || end)
            break;
        count++;
    }
    weir_avro_reader_close(reader);
    weir_arena_done(&own);
    return count;
}

Test(avro, round_trip_of_every_type)
{
    for (int deflate = 0; deflate < 2; deflate++) {
        WEIR_AUTO(weir_buffer)
        file = {.account = &account};
        struct weir_avro_reader *reader;
        struct weir_avro_value value;
        struct weir_bytes bytes;
        bool end;
        write_file(&file, deflate, 5000); /* several blocks */
        cr_assert_eq(weir_avro_reader_open(&arena, file.data, file.size, &reader, &error), WEIR_OK,
                     "%s", error.text);
        cr_assert(weir_avro_reader_metadata(reader, "format-version", &bytes));
        cr_assert_str_eq((const char *)bytes.data, "2");
        cr_assert(weir_avro_reader_metadata(reader, "avro.schema", &bytes));
        cr_assert_str_eq((const char *)bytes.data, schema_text,
                         "attributes Avro does not know stay");
        cr_assert_not(weir_avro_reader_metadata(reader, "nothing", &bytes));
        for (int i = 0; i < 5000; i++) {
            cr_assert_eq(weir_avro_reader_next(reader, &arena, &end, &value, &error), WEIR_OK, "%s",
                         error.text);
            cr_assert_not(end);
            check_record(&value, i);
        }
        cr_assert_eq(weir_avro_reader_next(reader, &arena, &end, &value, &error), WEIR_OK);
        cr_assert(end);
        weir_avro_reader_close(reader);
    }
}

Test(avro, fields_are_found_by_id_then_by_name)
{
    struct weir_avro_type *type;
    cr_assert_eq(weir_avro_schema_parse(&arena, schema_text, strlen(schema_text), &type, &error),
                 WEIR_OK, "%s", error.text);
    cr_assert_eq(weir_avro_find(type, 10, "another name"), 9);
    cr_assert_eq(weir_avro_find(type, 99, "small"), SIZE_MAX,
                 "a file with ids is not searched by name");
    cr_assert_eq(weir_avro_find(type, -1, "small"), 1);
    cr_assert_eq(type->fields[9].type->fields[0].id, 11, "element-id");
    cr_assert_str_eq(type->name, "a.b.r");
    static const char bare[] =
        "{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"x\",\"type\":\"int\"}]}";
    cr_assert_eq(weir_avro_schema_parse(&arena, bare, strlen(bare), &type, &error), WEIR_OK);
    cr_assert_eq(weir_avro_find(type, 5, "x"), 0, "a file without ids is");
}

Test(avro, unwanted_fields_of_any_shape_are_stepped_over)
{
    struct weir_avro_type *type;
    struct weir_avro_value value;
    size_t position = 0;
    WEIR_AUTO(weir_buffer)
    bytes = {.account = &account};
    put_record(&bytes, 42);
    cr_assert_eq(weir_avro_schema_parse(&arena, schema_text, strlen(schema_text), &type, &error),
                 WEIR_OK);
    for (size_t i = 0; i < type->field_count; i++)
        type->fields[i].skip = i != 2 && i != 11;
    cr_assert_eq(weir_avro_decode(&arena, type, bytes.data, bytes.size, &position, &value, &error),
                 WEIR_OK, "%s", error.text);
    cr_assert_eq(position, bytes.size);
    cr_assert_null(value.as.list.items[9].type);
    cr_assert_eq(value.as.list.items[2].as.integer, 42);
    cr_assert_str_eq((const char *)value.as.list.items[11].as.bytes.data, "wxyz");
}

Test(avro, longs_at_their_ends)
{
    static const int64_t numbers[] = {0, -1, 1, 63, 64, -64, -65, INT32_MAX, INT64_MAX, INT64_MIN};
    static const struct weir_avro_type type = {
        .kind = WEIR_AVRO_LONG, .name = "", .logical_type = ""};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        WEIR_AUTO(weir_buffer)
        bytes = {.account = &account};
        struct weir_avro_value value;
        size_t position = 0;
        cr_assert_eq(weir_avro_put_long(&bytes, numbers[i], NULL), WEIR_OK);
        cr_assert_eq(
            weir_avro_decode(&arena, &type, bytes.data, bytes.size, &position, &value, NULL),
            WEIR_OK);
        cr_assert_eq(value.as.integer, numbers[i]);
    }
    struct weir_avro_value value;
    size_t position = 0;
    cr_assert_eq(weir_avro_decode(&arena, &type,
                                  (const uint8_t *)"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 10,
                                  &position, &value, &error),
                 WEIR_CORRUPT);
}

/* A container of one string record whose block was packed by hand. */
static void packed_file(struct weir_buffer *out, const char *codec, const void *block, size_t size)
{
    cr_assert_eq(weir_avro_put_raw(out, "Obj\1", 4, NULL), WEIR_OK);
    cr_assert_eq(weir_avro_put_long(out, 2, NULL), WEIR_OK);
    cr_assert_eq(weir_avro_put_bytes(out, "avro.schema", 11, NULL), WEIR_OK);
    cr_assert_eq(weir_avro_put_bytes(out, "\"string\"", 8, NULL), WEIR_OK);
    cr_assert_eq(weir_avro_put_bytes(out, "avro.codec", 10, NULL), WEIR_OK);
    cr_assert_eq(weir_avro_put_bytes(out, codec, strlen(codec), NULL), WEIR_OK);
    cr_assert_eq(weir_avro_put_long(out, 0, NULL), WEIR_OK);
    cr_assert_eq(weir_avro_put_raw(out, "0123456789abcdef", 16, NULL), WEIR_OK);
    cr_assert_eq(weir_avro_put_long(out, 1, NULL), WEIR_OK);
    cr_assert_eq(weir_avro_put_bytes(out, block, size, NULL), WEIR_OK);
    cr_assert_eq(weir_avro_put_raw(out, "0123456789abcdef", 16, NULL), WEIR_OK);
}

Test(avro, codecs_of_other_writers)
{
    char plain[101], packed[512];
    weir_status status;
    plain[0] = (char)0xc6; /* length 99 as zigzag: 198 = 0xc6 0x01 */
    plain[1] = 1;
    memset(plain + 2, 'x', 99);
    size_t size = ZSTD_compress(packed, sizeof packed, plain, 101, 1);
    WEIR_AUTO(weir_buffer)
    zstd = {.account = &account};
    packed_file(&zstd, "zstandard", packed, size);
    cr_assert_eq(read_all(zstd.data, zstd.size, &status), 1, "%s", error.text);
    cr_assert_eq(status, WEIR_OK);

    size = sizeof packed;
    cr_assert_eq(snappy_compress(plain, 101, packed, &size), SNAPPY_OK);
    uint32_t sum = (uint32_t)crc32(0, (const uint8_t *)plain, 101);
    for (int i = 0; i < 4; i++)
        packed[size + (size_t)i] = (char)(sum >> (24 - 8 * i));
    WEIR_AUTO(weir_buffer)
    snappy = {.account = &account};
    packed_file(&snappy, "snappy", packed, size + 4);
    cr_assert_eq(read_all(snappy.data, snappy.size, &status), 1, "%s", error.text);
    snappy.data[snappy.size - 17] ^= 1;
    read_all(snappy.data, snappy.size, &status);
    cr_assert_eq(status, WEIR_CORRUPT, "a wrong crc");

    WEIR_AUTO(weir_buffer)
    unknown = {.account = &account};
    packed_file(&unknown, "bzip2", "x", 1);
    read_all(unknown.data, unknown.size, &status);
    cr_assert_eq(status, WEIR_UNSUPPORTED);
}

Test(avro, every_cut_and_every_changed_byte_ends_in_a_status)
{
    WEIR_AUTO(weir_buffer)
    file = {.account = &account};
    weir_status status;
    for (int deflate = 0; deflate < 2; deflate++) {
        weir_buffer_clear(&file);
        write_file(&file, deflate, 3);
        for (size_t size = 0; size < file.size; size++) {
            uint8_t *cut = malloc(size + 1); /* its own block, so that ASan sees the end */
            memcpy(cut, file.data, size);
            int count = read_all(cut, size, &status);
            cr_assert(status != WEIR_OK || count == 0, "%zu bytes of %zu read as a whole file",
                      size, file.size); /* a header alone is an empty file */
            free(cut);
        }
        for (size_t at = 0; at < file.size; at++)
            for (int bit = 0; bit < 8; bit++) {
                file.data[at] ^= (uint8_t)(1 << bit);
                read_all(file.data, file.size, &status);
                cr_assert(status == WEIR_OK || status == WEIR_CORRUPT ||
                          status == WEIR_UNSUPPORTED || status == WEIR_NO_MEMORY);
                file.data[at] ^= (uint8_t)(1 << bit);
            }
    }
}

Test(avro, values_without_bytes_do_not_make_work_without_end)
{
    /* an array of 2^62 nulls; a record that doubles itself thirty times and holds nothing; a record
     * that holds itself */
    struct weir_avro_type *type;
    struct weir_avro_value value;
    WEIR_AUTO(weir_buffer)
    bytes = {.account = &account};
    WEIR_AUTO(weir_buffer)
    schema = {.account = &account};
    size_t position = 0;
    static const char nulls[] = "{\"type\":\"array\",\"items\":\"null\"}";
    cr_assert_eq(weir_avro_schema_parse(&arena, nulls, strlen(nulls), &type, &error), WEIR_OK);
    cr_assert_eq(weir_avro_put_long(&bytes, INT64_C(1) << 62, NULL), WEIR_OK);
    cr_assert_eq(weir_avro_decode(&arena, type, bytes.data, bytes.size, &position, &value, &error),
                 WEIR_CORRUPT);

    for (int i = 0; i < 30; i++)
        cr_assert_eq(
            weir_buffer_print(
                &schema, NULL,
                "{\"type\":\"record\",\"name\":\"n%d\",\"fields\":[{\"name\":\"a\",\"type\":", i),
            WEIR_OK);
    cr_assert_eq(weir_buffer_print(&schema, NULL, "\"null\""), WEIR_OK);
    for (int i = 29; i >= 0; i--) {
        if (i == 29)
            cr_assert_eq(weir_buffer_print(&schema, NULL, "},{\"name\":\"b\",\"type\":\"null\"}]}"),
                         WEIR_OK);
        else
            cr_assert_eq(
                weir_buffer_print(&schema, NULL, "},{\"name\":\"b\",\"type\":\"n%d\"}]}", i + 1),
                WEIR_OK);
    }
    cr_assert_eq(
        weir_avro_schema_parse(&arena, (const char *)schema.data, schema.size, &type, &error),
        WEIR_OK, "%s", error.text);
    position = 0;
    cr_assert_eq(weir_avro_decode(&arena, type, bytes.data, 0, &position, &value, &error),
                 WEIR_CORRUPT);

    static const char self[] =
        "{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"a\",\"type\":\"r\"}]}";
    cr_assert_eq(weir_avro_schema_parse(&arena, self, strlen(self), &type, &error), WEIR_OK);
    position = 0;
    cr_assert_eq(weir_avro_decode(&arena, type, bytes.data, bytes.size, &position, &value, &error),
                 WEIR_CORRUPT);
}

Test(avro, schemas_that_are_none)
{
    static const char *const bad[] = {
        "",
        "{",
        "7",
        "\"nonsense\"",
        "{\"type\":\"record\",\"name\":\"r\"}",
        "{\"type\":\"record\",\"fields\":[]}",
        "[]",
        "[[\"null\"]]",
        "{\"type\":\"array\"}",
        "{\"type\":\"fixed\",\"name\":\"f\"}",
        "{\"type\":\"fixed\",\"name\":\"f\",\"size\":-1}",
        "{\"type\":\"enum\",\"name\":\"e\",\"symbols\":[]}",
        "{\"type\":\"enum\",\"name\":\"e\",\"symbols\":[1]}",
        "{\"type\":{\"type\":{}}}",
        "{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"a\",\"type\":{\"type\":"
        "\"fixed\",\"name\":\"r\",\"size\":1}}]}",
    };
    struct weir_avro_type *type;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_eq(weir_avro_schema_parse(&arena, bad[i], strlen(bad[i]), &type, &error),
                     WEIR_CORRUPT, "%s", bad[i]);
    WEIR_AUTO(weir_buffer)
    deep = {.account = &account};
    for (int i = 0; i < 500; i++)
        cr_assert_eq(weir_buffer_print(&deep, NULL, "{\"type\":\"array\",\"items\":"), WEIR_OK);
    cr_assert_eq(weir_buffer_print(&deep, NULL, "\"int\""), WEIR_OK);
    for (int i = 0; i < 500; i++)
        cr_assert_eq(weir_buffer_print(&deep, NULL, "}"), WEIR_OK);
    cr_assert_eq(weir_avro_schema_parse(&arena, (const char *)deep.data, deep.size, &type, &error),
                 WEIR_CORRUPT);
}
